//! Detection of changes: any change, and a lasting shift in noise.

use super::aggregate::plain_state;
use super::operator::Operator;
use super::state::{Number, State, StateValue};
use crate::snapshot::{RestoreError, SnapshotReader};
use std::marker::PhantomData;
use stele_wire::Nanos;

/// Emits the events that differ from the previous one; the first event is emitted.
#[derive(Clone, Copy, Debug)]
pub struct Changed<T> {
    last: Option<T>,
}

impl<T> Default for Changed<T> {
    fn default() -> Self {
        Self { last: None }
    }
}

plain_state!([T: StateValue] Changed<T>, last);

impl<T: StateValue + PartialEq> Operator<T> for Changed<T> {
    type Out = T;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: T, emit: &mut impl FnMut(Nanos, T)) {
        if self.last != Some(input) {
            self.last = Some(input);
            emit(at, input);
        }
    }
}

/// A lasting shift of a mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shift {
    /// The mean rose above the target.
    Up,
    /// The mean fell below the target.
    Down,
}

/// Detects that the mean of noisy values has left its target, with cumulative sums: `S⁺ = max(0, S⁺ + x −
/// target − slack)` and `S⁻ = max(0, S⁻ + target − slack − x)`. When one of them exceeds the threshold, a
/// [`Shift`] is emitted and both restart at 0 (Page, Continuous Inspection Schemes, Biometrika 41, 1954,
/// section 4; tabulated in Montgomery, Introduction to Statistical Quality Control, section 9.1). The
/// arithmetic is exact.
///
/// # Examples
///
/// ```
/// use stele_strategies::operators::{Cusum, Operator, Shift, stream};
/// use stele_wire::Nanos;
///
/// let mut pipeline = stream::<i64>().then(Cusum::new(100, 1, 5));
/// let mut shifts = Vec::new();
/// for value in [100, 99, 101, 104, 104, 104] {
///     pipeline.on_event(Nanos(0), value, &mut |_, shift| shifts.push(shift));
/// }
/// assert_eq!(shifts, [Shift::Up]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cusum<N> {
    target: i128,
    slack: i128,
    threshold: i128,
    above: i128,
    below: i128,
    number: PhantomData<fn(N)>,
}

impl<N: Number> Cusum<N> {
    /// Detects shifts from the mean `target`. Shifts of less than twice `slack` are ignored; `threshold` is
    /// usually four to five standard deviations.
    ///
    /// # Panics
    /// When `slack` or `threshold` is negative.
    pub fn new(target: N, slack: N, threshold: N) -> Self {
        let (target, slack, threshold) = (target.units(), slack.units(), threshold.units());
        assert!(slack >= 0 && threshold >= 0, "slack {slack} and threshold {threshold} must not be negative");
        Self { target, slack, threshold, above: 0, below: 0, number: PhantomData }
    }

    /// The sums `S⁺` and `S⁻`, in units.
    pub fn sums(&self) -> (i128, i128) {
        (self.above, self.below)
    }
}

impl<N> State for Cusum<N> {
    fn reset(&mut self) {
        (self.above, self.below) = (0, 0);
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        (self.above, self.below).put(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        (self.above, self.below) = StateValue::take(reader)?;
        Ok(())
    }
}

impl<N: Number> Operator<N> for Cusum<N> {
    type Out = Shift;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: N, emit: &mut impl FnMut(Nanos, Shift)) {
        let distance = input.units() - self.target;
        self.above = (self.above + distance - self.slack).max(0);
        self.below = (self.below - distance - self.slack).max(0);
        let shift = match () {
            () if self.above > self.threshold => Shift::Up,
            () if self.below > self.threshold => Shift::Down,
            () => return,
        };
        (self.above, self.below) = (0, 0);
        emit(at, shift);
    }
}
