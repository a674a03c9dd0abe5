//! Aggregates of windows: count, sum, mean, first, last, minimum, maximum, and combinations.

use super::ring::Ring;
use super::state::{DropCounts, Number, State, StateValue, floor_divide};
use crate::snapshot::{RestoreError, SnapshotReader};
use std::marker::PhantomData;

/// An aggregate of events. Windows add events in the order of arrival, which may differ from the order of
/// time. `order` states the position of the event: its time in nanoseconds or, in windows that count events,
/// the number of its arrival. Among events with equal `order`, the one that arrived later is the later event.
///
/// A tuple of aggregates computes several aggregates at once; [`Aggregate::of`] aggregates a part of each
/// event.
///
/// # Examples
///
/// ```
/// use stele_strategies::operators::{Aggregate, Count, Max, Operator, seconds, stream};
/// use stele_wire::{Nanos, Price};
///
/// let mut pipeline = stream::<Price>().tumbling(seconds(1), Nanos(0), (Count::default(), Max::default()));
/// let mut windows = Vec::new();
/// for (millis, price) in [(100, 7), (900, 9), (1_500, 8)] {
///     pipeline.on_event(Nanos(millis * 1_000_000), Price(price), &mut |_, window| windows.push(window));
/// }
/// assert_eq!(windows[0].unwrap().value, (2, Price(9)));
/// ```
pub trait Aggregate<In>: State {
    /// The result.
    type Out;

    /// Adds an event.
    fn add(&mut self, order: u64, input: &In);

    /// The result over the events that were added.
    ///
    /// # Panics
    /// May panic when no event was added. Windows never call it then.
    fn value(&self) -> Self::Out;

    /// The same aggregate over a part of each event.
    fn of<Event, F: Fn(&Event) -> In>(self, part: F) -> AggregateOf<In, F, Self>
    where
        Self: Sized,
    {
        AggregateOf { part, aggregate: self, input: PhantomData }
    }
}

/// An aggregate that can be merged with another one, as when two sessions become one.
pub trait Merge {
    /// Merges `other` into this aggregate.
    fn merge(&mut self, other: &Self);
}

/// An aggregate from which the oldest event can be removed, as sliding windows require.
pub trait Remove<In>: Aggregate<In> {
    /// Removes the event that is before all others.
    fn remove(&mut self, order: u64, input: &In);
}

/// Implements `State` for plain fields that a new instance has at their defaults.
macro_rules! plain_state {
    ([$($generics:tt)*] $aggregate:ty, $($part:ident),*) => {
        impl<$($generics)*> State for $aggregate {
            #[inline]
            fn reset(&mut self) {
                *self = Self::default();
            }

            fn snapshot(&self, out: &mut Vec<u8>) {
                $(self.$part.put(out);)*
            }

            fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
                $(self.$part = StateValue::take(reader)?;)*
                Ok(())
            }
        }
    };
}
pub(crate) use plain_state;

const EMPTY: &str = "an empty window has no value";

/// The number of events, as `u64`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    count: u64,
}

plain_state!([] Count, count);

impl<In> Aggregate<In> for Count {
    type Out = u64;

    #[inline]
    fn add(&mut self, _: u64, _: &In) {
        self.count += 1;
    }

    #[inline]
    fn value(&self) -> u64 {
        self.count
    }
}

impl Merge for Count {
    fn merge(&mut self, other: &Self) {
        self.count += other.count;
    }
}

impl<In> Remove<In> for Count {
    #[inline]
    fn remove(&mut self, _: u64, _: &In) {
        self.count -= 1;
    }
}

/// The exact sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    sum: i128,
}

plain_state!([] Sum, sum);

impl<N: Number> Aggregate<N> for Sum {
    type Out = i128;

    #[inline]
    fn add(&mut self, _: u64, input: &N) {
        self.sum += input.units();
    }

    #[inline]
    fn value(&self) -> i128 {
        self.sum
    }
}

impl Merge for Sum {
    fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
    }
}

impl<N: Number> Remove<N> for Sum {
    #[inline]
    fn remove(&mut self, _: u64, input: &N) {
        self.sum -= input.units();
    }
}

/// The mean, rounded down to the unit.
#[derive(Clone, Copy, Debug)]
pub struct Mean<N> {
    count: u64,
    sum: i128,
    number: PhantomData<fn() -> N>,
}

impl<N> Default for Mean<N> {
    fn default() -> Self {
        Self { count: 0, sum: 0, number: PhantomData }
    }
}

plain_state!([N] Mean<N>, count, sum);

impl<N: Number> Aggregate<N> for Mean<N> {
    type Out = N;

    #[inline]
    fn add(&mut self, _: u64, input: &N) {
        self.count += 1;
        self.sum += input.units();
    }

    #[inline]
    fn value(&self) -> N {
        assert!(self.count > 0, "{EMPTY}");
        N::from_units(floor_divide(self.sum, self.count.into()))
    }
}

impl<N> Merge for Mean<N> {
    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
    }
}

impl<N: Number> Remove<N> for Mean<N> {
    #[inline]
    fn remove(&mut self, _: u64, input: &N) {
        self.count -= 1;
        self.sum -= input.units();
    }
}

/// Defines an aggregate that keeps one event, selected by order or value.
macro_rules! kept {
    ($(#[$doc:meta])* $kept:ident, $bound:ident, |$new:ident, $old:ident| $replaces:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $kept<T> {
            kept: Option<(u64, T)>,
        }

        impl<T> Default for $kept<T> {
            fn default() -> Self {
                Self { kept: None }
            }
        }

        plain_state!([T: StateValue] $kept<T>, kept);

        impl<T: $bound> $kept<T> {
            #[inline]
            fn offer(&mut self, $new: (u64, T)) {
                if self.kept.is_none_or(|$old| $replaces) {
                    self.kept = Some($new);
                }
            }
        }

        impl<T: $bound> Aggregate<T> for $kept<T> {
            type Out = T;

            #[inline]
            fn add(&mut self, order: u64, input: &T) {
                self.offer((order, *input));
            }

            #[inline]
            fn value(&self) -> T {
                self.kept.expect(EMPTY).1
            }
        }

        impl<T: $bound> Merge for $kept<T> {
            fn merge(&mut self, other: &Self) {
                if let Some(kept) = other.kept {
                    self.offer(kept);
                }
            }
        }
    };
}

kept!(
    /// The earliest event.
    First, StateValue, |new, old| new.0 < old.0
);
kept!(
    /// The latest event.
    Last, StateValue, |new, old| new.0 >= old.0
);
kept!(
    /// The minimum; for sliding windows use [`MovingMin`].
    Min, Number, |new, old| new.1 < old.1
);
kept!(
    /// The maximum; for sliding windows use [`MovingMax`].
    Max, Number, |new, old| new.1 > old.1
);

/// The removed event is never the latest one, unless no other event remains; sliding windows do not ask for a
/// value then.
impl<T: StateValue> Remove<T> for Last<T> {
    #[inline]
    fn remove(&mut self, _: u64, _: &T) {}
}

/// The minimum or maximum over a sliding window. Keeps the values that are more extreme than all later ones
/// (Lemire, Streaming maximum-minimum filter using no more than three comparisons per element, Nordic Journal
/// of Computing 13, 2006), extended to events that arrive out of order.
#[derive(Clone, Debug)]
pub struct MovingExtreme<N, const GREATEST: bool> {
    candidates: Ring<(u64, N)>,
}

/// The minimum over a sliding window.
pub type MovingMin<N> = MovingExtreme<N, false>;
/// The maximum over a sliding window.
pub type MovingMax<N> = MovingExtreme<N, true>;

impl<N: Number, const GREATEST: bool> MovingExtreme<N, GREATEST> {
    /// For a window of at most `capacity` events.
    ///
    /// # Panics
    /// When `capacity` is 0 or above [`super::bounds::BUFFERED_MAX`].
    pub fn new(capacity: usize) -> Self {
        Self { candidates: Ring::new(capacity) }
    }

    #[inline]
    fn beats(one: N, other: N) -> bool {
        if GREATEST { one > other } else { one < other }
    }
}

impl<N: Number, const GREATEST: bool> State for MovingExtreme<N, GREATEST> {
    fn reset(&mut self) {
        self.candidates.clear();
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.candidates.snapshot(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.candidates.restore(reader)
    }
}

impl<N: Number, const GREATEST: bool> Aggregate<N> for MovingExtreme<N, GREATEST> {
    type Out = N;

    /// Equal values are all kept, so that each is removed with its own event.
    #[inline]
    fn add(&mut self, order: u64, input: &N) {
        let place = self.candidates.place(order);
        if self.candidates.get(place).is_some_and(|(_, behind)| Self::beats(*behind, *input)) {
            return;
        }
        let mut from = place;
        while from > 0 && Self::beats(*input, self.candidates[from - 1].1) {
            from -= 1;
            self.candidates.remove(from);
        }
        self.candidates.insert(from, (order, *input));
    }

    #[inline]
    fn value(&self) -> N {
        self.candidates.front().expect(EMPTY).1
    }
}

impl<N: Number, const GREATEST: bool> Remove<N> for MovingExtreme<N, GREATEST> {
    #[inline]
    fn remove(&mut self, order: u64, input: &N) {
        if self.candidates.front().is_some_and(|oldest| oldest.0 == order && oldest.1 == *input) {
            self.candidates.pop_front();
        }
    }
}

/// An aggregate over a part of each event: made by [`Aggregate::of`].
pub struct AggregateOf<In, F, A> {
    part: F,
    aggregate: A,
    input: PhantomData<fn(In)>,
}

impl<In, F: Clone, A: Clone> Clone for AggregateOf<In, F, A> {
    fn clone(&self) -> Self {
        Self { part: self.part.clone(), aggregate: self.aggregate.clone(), input: PhantomData }
    }
}

impl<In, F, A: State> State for AggregateOf<In, F, A> {
    fn reset(&mut self) {
        self.aggregate.reset();
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.aggregate.snapshot(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.aggregate.restore(reader)
    }

    fn drops(&self) -> DropCounts {
        self.aggregate.drops()
    }
}

impl<Event, In, F: Fn(&Event) -> In, A: Aggregate<In>> Aggregate<Event> for AggregateOf<In, F, A> {
    type Out = A::Out;

    #[inline]
    fn add(&mut self, order: u64, input: &Event) {
        self.aggregate.add(order, &(self.part)(input));
    }

    #[inline]
    fn value(&self) -> A::Out {
        self.aggregate.value()
    }
}

impl<In, F, A: Merge> Merge for AggregateOf<In, F, A> {
    fn merge(&mut self, other: &Self) {
        self.aggregate.merge(&other.aggregate);
    }
}

impl<Event, In, F: Fn(&Event) -> In, A: Remove<In>> Remove<Event> for AggregateOf<In, F, A> {
    #[inline]
    fn remove(&mut self, order: u64, input: &Event) {
        self.aggregate.remove(order, &(self.part)(input));
    }
}

macro_rules! tuple_aggregates {
    ($($part:ident $at:tt),*) => {
        impl<$($part: State),*> State for ($($part,)*) {
            #[inline]
            fn reset(&mut self) {
                $(self.$at.reset();)*
            }

            fn snapshot(&self, out: &mut Vec<u8>) {
                $(self.$at.snapshot(out);)*
            }

            fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
                $(self.$at.restore(reader)?;)*
                Ok(())
            }

            fn drops(&self) -> DropCounts {
                DropCounts::default() $(+ self.$at.drops())*
            }
        }

        impl<In, $($part: Aggregate<In>),*> Aggregate<In> for ($($part,)*) {
            type Out = ($($part::Out,)*);

            #[inline]
            fn add(&mut self, order: u64, input: &In) {
                $(self.$at.add(order, input);)*
            }

            #[inline]
            fn value(&self) -> Self::Out {
                ($(self.$at.value(),)*)
            }
        }

        impl<$($part: Merge),*> Merge for ($($part,)*) {
            fn merge(&mut self, other: &Self) {
                $(self.$at.merge(&other.$at);)*
            }
        }

        impl<In, $($part: Remove<In>),*> Remove<In> for ($($part,)*) {
            #[inline]
            fn remove(&mut self, order: u64, input: &In) {
                $(self.$at.remove(order, input);)*
            }
        }
    };
}
tuple_aggregates!(A 0, B 1);
tuple_aggregates!(A 0, B 1, C 2);
tuple_aggregates!(A 0, B 1, C 2, D 3);
tuple_aggregates!(A 0, B 1, C 2, D 3, E 4);
tuple_aggregates!(A 0, B 1, C 2, D 3, E 4, F 5);
