//! The trait of all operators, and the composition of two operators.

use super::state::{DropCounts, State};
use crate::snapshot::{RestoreError, SnapshotReader};
use stele_wire::Nanos;

/// An operator: receives events and emits events, immediately or later.
///
/// # Examples
///
/// An operator that emits the difference to the previous value:
///
/// ```
/// use stele_strategies::operators::{Operator, State, stream};
/// use stele_strategies::{RestoreError, SnapshotReader, SnapshotWrite};
/// use stele_wire::Nanos;
///
/// #[derive(Default)]
/// struct Difference {
///     previous: i64,
/// }
///
/// impl State for Difference {
///     fn reset(&mut self) {
///         self.previous = 0;
///     }
///
///     fn snapshot(&self, out: &mut Vec<u8>) {
///         out.put_i64(self.previous);
///     }
///
///     fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
///         self.previous = reader.i64()?;
///         Ok(())
///     }
/// }
///
/// impl Operator<i64> for Difference {
///     type Out = i64;
///
///     fn on_event(&mut self, at: Nanos, input: i64, emit: &mut impl FnMut(Nanos, i64)) {
///         emit(at, input - self.previous);
///         self.previous = input;
///     }
/// }
///
/// let mut pipeline = stream::<i64>().then(Difference::default());
/// let mut differences = Vec::new();
/// for value in [3, 7] {
///     pipeline.on_event(Nanos(0), value, &mut |_, difference| differences.push(difference));
/// }
/// assert_eq!(differences, [3, 4]);
/// ```
pub trait Operator<In>: State {
    /// The type of emitted events.
    type Out;

    /// Handles an event with time `at`. Calls `emit` for each result, with the time to which the result
    /// applies.
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, Self::Out));

    /// Advances the time to `at` without an event: windows that end before it close. A later event with an
    /// earlier time is late, as if an event with time `at` had arrived.
    ///
    /// Returns the time for the operators that follow: no result that is in time will be emitted with an
    /// earlier one. A window with a grace period returns an earlier time than `at`.
    fn on_time(&mut self, at: Nanos, emit: &mut impl FnMut(Nanos, Self::Out)) -> Nanos {
        let _ = emit;
        at
    }
}

/// Emits every event unchanged: the start of a pipeline.
#[derive(Clone, Copy, Debug, Default)]
pub struct PassThrough;

impl State for PassThrough {
    fn reset(&mut self) {}

    fn snapshot(&self, _: &mut Vec<u8>) {}

    fn restore(&mut self, _: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        Ok(())
    }
}

impl<In> Operator<In> for PassThrough {
    type Out = In;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, In)) {
        emit(at, input);
    }
}

/// Two operators in sequence.
#[derive(Clone, Copy, Debug)]
pub struct Then<A, B> {
    pub(super) first: A,
    pub(super) second: B,
}

impl<A: State, B: State> State for Then<A, B> {
    fn reset(&mut self) {
        self.first.reset();
        self.second.reset();
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.first.snapshot(out);
        self.second.snapshot(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.first.restore(reader)?;
        self.second.restore(reader)
    }

    fn drops(&self) -> DropCounts {
        self.first.drops() + self.second.drops()
    }
}

impl<In, A: Operator<In>, B: Operator<A::Out>> Operator<In> for Then<A, B> {
    type Out = B::Out;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, B::Out)) {
        let second = &mut self.second;
        self.first.on_event(at, input, &mut |at, middle| second.on_event(at, middle, emit));
    }

    #[inline]
    fn on_time(&mut self, at: Nanos, emit: &mut impl FnMut(Nanos, B::Out)) -> Nanos {
        let second = &mut self.second;
        let at = self.first.on_time(at, &mut |at, middle| second.on_event(at, middle, emit));
        self.second.on_time(at, emit)
    }
}
