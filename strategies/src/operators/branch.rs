//! Operators that feed one stream into two pipelines.

use super::operator::Operator;
use super::state::{DropCounts, State, StateValue};
use crate::snapshot::{RestoreError, SnapshotReader};
use stele_wire::Nanos;

/// An event of one of two types.
///
/// # Examples
///
/// Two branches of one stream, whose outputs are merged:
///
/// ```
/// use stele_strategies::operators::{Either, Operator, stream};
/// use stele_wire::Nanos;
///
/// let mut pipeline = stream::<i64>()
///     .fork(|left| left.filter(|number| *number > 0), |right| right.map(|number| number * 10))
///     .map(|either| match either {
///         Either::Left(number) | Either::Right(number) => number,
///     });
/// let mut results = Vec::new();
/// for number in [-1, 2] {
///     pipeline.on_event(Nanos(0), number, &mut |_, result| results.push(result));
/// }
/// assert_eq!(results, [-10, 2, 20]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Either<L, R> {
    /// An event of the first type.
    Left(L),
    /// An event of the second type.
    Right(R),
}

impl<L: StateValue, R: StateValue> StateValue for Either<L, R> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Left(left) => {
                false.put(out);
                left.put(out);
            }
            Self::Right(right) => {
                true.put(out);
                right.put(out);
            }
        }
    }

    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        if bool::take(reader)? { R::take(reader).map(Self::Right) } else { L::take(reader).map(Self::Left) }
    }
}

macro_rules! branching {
    ($(#[$doc:meta])* $operator:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $operator<A, B> {
            left: A,
            right: B,
        }

        impl<A, B> $operator<A, B> {
            pub(crate) fn new(left: A, right: B) -> Self {
                Self { left, right }
            }
        }

        impl<A: State, B: State> State for $operator<A, B> {
            fn reset(&mut self) {
                self.left.reset();
                self.right.reset();
            }

            fn snapshot(&self, out: &mut Vec<u8>) {
                self.left.snapshot(out);
                self.right.snapshot(out);
            }

            fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
                self.left.restore(reader)?;
                self.right.restore(reader)
            }

            fn drops(&self) -> DropCounts {
                self.left.drops() + self.right.drops()
            }
        }
    };
}

branching!(
    /// Feeds every event to two pipelines and emits everything that either emits, the left one first.
    Fork
);
branching!(
    /// Feeds every event to two pipelines and emits a pair when both emitted for the same event: the last
    /// result of each, with the time of the event. For example, a fast and a slow average of the same price.
    Zip
);

impl<In: Clone, A: Operator<In>, B: Operator<In>> Operator<In> for Fork<A, B> {
    type Out = Either<A::Out, B::Out>;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, Self::Out)) {
        self.left.on_event(at, input.clone(), &mut |at, left| emit(at, Either::Left(left)));
        self.right.on_event(at, input, &mut |at, right| emit(at, Either::Right(right)));
    }

    #[inline]
    fn on_time(&mut self, at: Nanos, emit: &mut impl FnMut(Nanos, Self::Out)) -> Nanos {
        let left = self.left.on_time(at, &mut |at, left| emit(at, Either::Left(left)));
        left.min(self.right.on_time(at, &mut |at, right| emit(at, Either::Right(right))))
    }
}

impl<In: Clone, A: Operator<In>, B: Operator<In>> Operator<In> for Zip<A, B> {
    type Out = (A::Out, B::Out);

    #[inline]
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, Self::Out)) {
        let (mut left, mut right) = (None, None);
        self.left.on_event(at, input.clone(), &mut |_, out| left = Some(out));
        self.right.on_event(at, input, &mut |_, out| right = Some(out));
        if let (Some(left), Some(right)) = (left, right) {
            emit(at, (left, right));
        }
    }

    #[inline]
    fn on_time(&mut self, at: Nanos, emit: &mut impl FnMut(Nanos, Self::Out)) -> Nanos {
        let (mut left, mut right) = (None, None);
        self.left.on_time(at, &mut |_, out| left = Some(out));
        self.right.on_time(at, &mut |_, out| right = Some(out));
        if let (Some(left), Some(right)) = (left, right) {
            emit(at, (left, right));
        }
        at
    }
}
