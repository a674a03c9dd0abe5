//! Operators without state: map, filter, and both at once.

use super::operator::Operator;
use super::state::State;
use super::window::Late;
use crate::snapshot::{RestoreError, SnapshotReader};
use stele_wire::Nanos;

macro_rules! stateless {
    ($(#[$doc:meta])* $operator:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $operator<F> {
            function: F,
        }

        impl<F> $operator<F> {
            pub(crate) fn new(function: F) -> Self {
                Self { function }
            }
        }

        impl<F> State for $operator<F> {
            fn reset(&mut self) {}

            fn snapshot(&self, _: &mut Vec<u8>) {}

            fn restore(&mut self, _: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
                Ok(())
            }
        }
    };
}

stateless!(
    /// Emits the result of a function of each event.
    Map
);
stateless!(
    /// Emits the events for which a function returns true.
    Filter
);
stateless!(
    /// Emits the result of a function of each event, where there is one.
    FilterMap
);

impl<In, Out, F: Fn(In) -> Out> Operator<In> for Map<F> {
    type Out = Out;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, Out)) {
        emit(at, (self.function)(input));
    }
}

impl<In, F: Fn(&In) -> bool> Operator<In> for Filter<F> {
    type Out = In;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, In)) {
        if (self.function)(&input) {
            emit(at, input);
        }
    }
}

impl<In, Out, F: Fn(In) -> Option<Out>> Operator<In> for FilterMap<F> {
    type Out = Out;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, Out)) {
        if let Some(out) = (self.function)(input) {
            emit(at, out);
        }
    }
}

/// Emits results and drops late events.
#[derive(Clone, Copy, Debug, Default)]
pub struct InTime;

impl State for InTime {
    fn reset(&mut self) {}

    fn snapshot(&self, _: &mut Vec<u8>) {}

    fn restore(&mut self, _: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        Ok(())
    }
}

impl<T, L> Operator<Result<T, Late<L>>> for InTime {
    type Out = T;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: Result<T, Late<L>>, emit: &mut impl FnMut(Nanos, T)) {
        if let Ok(result) = input {
            emit(at, result);
        }
    }
}
