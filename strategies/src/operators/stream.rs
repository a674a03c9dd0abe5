//! The builder of pipelines.

use super::aggregate::{Aggregate, Merge, Remove};
use super::branch::{Either, Fork, Zip};
use super::change::Changed;
use super::join::{Join, TableJoin};
use super::key::{Key, KeyBy, Keys};
use super::operator::{Operator, PassThrough, Then};
use super::session::Sessions;
use super::sliding::{Recent, Running, Sliding};
use super::state::{DropCounts, State, StateValue};
use super::stateless::{Filter, FilterMap, InTime, Map};
use super::window::{Late, Windows};
use crate::snapshot::{RestoreError, SnapshotReader};
use std::marker::PhantomData;
use stele_wire::Nanos;

/// A pipeline: receives events of type `In` and emits the results of `O`. It is built from [`stream`] by
/// methods that append one operator each, like iterator adapters; the compiler turns the whole pipeline into
/// one function.
///
/// # Examples
///
/// ```
/// use stele_strategies::operators::{Operator, stream};
/// use stele_wire::Nanos;
///
/// let mut pipeline = stream::<i64>().filter(|number| number % 2 == 0).map(|number| number * 10);
/// let mut results = Vec::new();
/// for number in 1..5 {
///     pipeline.on_event(Nanos(0), number, &mut |_, result| results.push(result));
/// }
/// assert_eq!(results, [20, 40]);
/// ```
pub struct Stream<In, O> {
    operator: O,
    input: PhantomData<fn(In)>,
}

/// Starts a pipeline.
pub fn stream<In>() -> Stream<In, PassThrough> {
    Stream { operator: PassThrough, input: PhantomData }
}

impl<In, O: Clone> Clone for Stream<In, O> {
    fn clone(&self) -> Self {
        Self { operator: self.operator.clone(), input: PhantomData }
    }
}

impl<In, O: State> State for Stream<In, O> {
    fn reset(&mut self) {
        self.operator.reset();
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.operator.snapshot(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.operator.restore(reader)
    }

    fn drops(&self) -> DropCounts {
        self.operator.drops()
    }
}

impl<In, O: Operator<In>> Operator<In> for Stream<In, O> {
    type Out = O::Out;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, O::Out)) {
        self.operator.on_event(at, input, emit);
    }

    #[inline]
    fn on_time(&mut self, at: Nanos, emit: &mut impl FnMut(Nanos, O::Out)) -> Nanos {
        self.operator.on_time(at, emit)
    }
}

impl<In, O: Operator<In>> Stream<In, O> {
    /// Appends any operator: an indicator, or one of your own.
    pub fn then<B: Operator<O::Out>>(self, second: B) -> Stream<In, Then<O, B>> {
        Stream { operator: Then { first: self.operator, second }, input: PhantomData }
    }

    /// Appends a [`Map`]: emits `make(event)`. Like all functions of a pipeline, `make` is `Fn`; state
    /// belongs in an operator, which saves it across a restart.
    pub fn map<Out, F: Fn(O::Out) -> Out>(self, make: F) -> Stream<In, Then<O, Map<F>>> {
        self.then(Map::new(make))
    }

    /// Appends a [`Filter`]: emits the events for which `keeps` returns true.
    pub fn filter<F: Fn(&O::Out) -> bool>(self, keeps: F) -> Stream<In, Then<O, Filter<F>>> {
        self.then(Filter::new(keeps))
    }

    /// Appends a [`FilterMap`]: emits `make(event)` where it is `Some`.
    pub fn filter_map<Out, F>(self, make: F) -> Stream<In, Then<O, FilterMap<F>>>
    where
        F: Fn(O::Out) -> Option<Out>,
    {
        self.then(FilterMap::new(make))
    }

    /// Emits the events that differ from the previous one; the first event is emitted.
    pub fn changed(self) -> Stream<In, Then<O, Changed<O::Out>>>
    where
        O::Out: StateValue + PartialEq,
    {
        self.then(Changed::default())
    }

    /// Runs a separate pipeline for each key, each built by `each`: see [`KeyBy`]. Emits pairs of the key and
    /// its pipeline's result.
    pub fn key_by<K, F, P>(
        self,
        keys: Keys,
        key: F,
        each: impl FnOnce(Stream<O::Out, PassThrough>) -> P,
    ) -> Stream<In, Then<O, KeyBy<K, F, P>>>
    where
        K: Key,
        F: Fn(&O::Out) -> K,
        P: Operator<O::Out> + Clone,
    {
        self.then(KeyBy::new(keys, key, each(stream())))
    }

    /// Feeds every event to both pipelines, and emits everything that either emits.
    pub fn fork<A, B>(
        self,
        left: impl FnOnce(Stream<O::Out, PassThrough>) -> A,
        right: impl FnOnce(Stream<O::Out, PassThrough>) -> B,
    ) -> Stream<In, Then<O, Fork<A, B>>>
    where
        O::Out: Clone,
        A: Operator<O::Out>,
        B: Operator<O::Out>,
    {
        self.then(Fork::new(left(stream()), right(stream())))
    }

    /// Feeds every event to both pipelines, and emits a pair whenever both emit for the same event.
    pub fn zip<A, B>(
        self,
        left: impl FnOnce(Stream<O::Out, PassThrough>) -> A,
        right: impl FnOnce(Stream<O::Out, PassThrough>) -> B,
    ) -> Stream<In, Then<O, Zip<A, B>>>
    where
        O::Out: Clone,
        A: Operator<O::Out>,
        B: Operator<O::Out>,
    {
        self.then(Zip::new(left(stream()), right(stream())))
    }

    /// Computes `aggregate` over consecutive windows of `length`: see [`Windows`].
    pub fn tumbling<A>(self, length: Nanos, grace: Nanos, aggregate: A) -> Stream<In, Then<O, Windows<A>>>
    where
        A: Aggregate<O::Out> + Clone,
    {
        self.then(Windows::new(length, length, grace, aggregate))
    }

    /// Computes `aggregate` over windows of `length` that start every `hop`: see [`Windows`].
    pub fn hopping<A>(
        self,
        length: Nanos,
        hop: Nanos,
        grace: Nanos,
        aggregate: A,
    ) -> Stream<In, Then<O, Windows<A>>>
    where
        A: Aggregate<O::Out> + Clone,
    {
        self.then(Windows::new(length, hop, grace, aggregate))
    }

    /// Computes `aggregate` over sessions of events with at most `gap` between them: see [`Sessions`].
    pub fn sessions<A>(self, gap: Nanos, grace: Nanos, aggregate: A) -> Stream<In, Then<O, Sessions<A>>>
    where
        A: Aggregate<O::Out> + Merge + Clone,
    {
        self.then(Sessions::new(gap, grace, aggregate))
    }

    /// Computes `aggregate` over the last `length` of time at each event: see [`Sliding`].
    pub fn sliding<A>(
        self,
        length: Nanos,
        capacity: usize,
        aggregate: A,
    ) -> Stream<In, Then<O, Sliding<O::Out, A>>>
    where
        O::Out: StateValue,
        A: Remove<O::Out>,
    {
        self.then(Sliding::new(length, capacity, aggregate))
    }

    /// Computes `aggregate` over the last `count` events, from event number `count` on: see [`Recent`].
    pub fn recent<A>(self, count: usize, aggregate: A) -> Stream<In, Then<O, Recent<O::Out, A>>>
    where
        O::Out: StateValue,
        A: Remove<O::Out>,
    {
        self.then(Recent::new(count, aggregate))
    }

    /// Computes `aggregate` over all events so far: see [`Running`].
    pub fn running<A: Aggregate<O::Out>>(self, aggregate: A) -> Stream<In, Then<O, Running<A>>> {
        self.then(Running::new(aggregate))
    }
}

/// Methods of pipelines that may emit late events.
impl<In, T, L, O: Operator<In, Out = Result<T, Late<L>>>> Stream<In, O> {
    /// Drops late events; they stay counted in [`State::drops`].
    pub fn in_time(self) -> Stream<In, Then<O, InTime>> {
        self.then(InTime)
    }
}

/// Methods of pipelines of two kinds of events.
impl<In, L: StateValue, R: StateValue, O: Operator<In, Out = Either<L, R>>> Stream<In, O> {
    /// Joins left and right events at most `window` apart: see [`Join`].
    pub fn join(self, window: Nanos, grace: Nanos, capacity: usize) -> Stream<In, Then<O, Join<L, R>>> {
        self.then(Join::new(window, grace, capacity))
    }
}

/// Methods of pipelines of events and table values.
impl<In, L, R: StateValue, O: Operator<In, Out = Either<L, Option<R>>>> Stream<In, O> {
    /// Joins each left event with the latest right value: see [`TableJoin`].
    pub fn join_table(self) -> Stream<In, Then<O, TableJoin<R>>> {
        self.then(TableJoin::default())
    }
}
