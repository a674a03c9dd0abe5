//! The trait of every operator, and the builder that puts operators one behind the other.

use super::aggregate::{Aggregate, Merge, Remove};
use super::branch::{Either, Fork, Zip};
use super::change::Changed;
use super::join::{Join, TableJoin};
use super::key::{Key, KeyBy, Keys};
use super::session::Sessions;
use super::sliding::{Recent, Running, Sliding};
use super::state::{DropCounts, State, StateValue};
use super::stateless::{Filter, FilterMap, InTime, Map};
use super::window::{Late, Windows};
use crate::snapshot::{RestoreError, SnapshotReader};
use std::marker::PhantomData;
use stele_wire::Nanos;

/// Takes events in and gives events out, now or later.
pub trait Operator<In>: State {
    /// What is given out.
    type Out;

    /// Takes an event that happened `at`, and gives what follows from it to `emit`, with the time that it is
    /// true for.
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, Self::Out));

    /// Time has come to `at` without an event: windows that end before it close. An event that comes later with
    /// an earlier time is late as if an event of `at` had come.
    ///
    /// Gives the time that has come for what stands behind: nothing in time will be given with an earlier one. A
    /// window with a grace holds it back.
    fn on_time(&mut self, at: Nanos, emit: &mut impl FnMut(Nanos, Self::Out)) -> Nanos {
        let _ = emit;
        at
    }
}

/// The beginning of a pipeline: gives every event on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

impl State for Identity {
    fn reset(&mut self) {}

    fn snapshot(&self, _: &mut Vec<u8>) {}

    fn restore(&mut self, _: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        Ok(())
    }
}

impl<In> Operator<In> for Identity {
    type Out = In;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, In)) {
        emit(at, input);
    }
}

/// One operator behind the other.
#[derive(Clone, Copy, Debug)]
pub struct Then<A, B> {
    first: A,
    second: B,
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

/// A pipeline: events of type `In` go in, and what `O` makes of them comes out. Built from [`stream`] by methods
/// that each put one operator behind, as iterator adapters do; the compiler makes one function of it all.
pub struct Stream<In, O> {
    operator: O,
    input: PhantomData<fn(In)>,
}

/// The beginning of a pipeline.
pub fn stream<In>() -> Stream<In, Identity> {
    Stream { operator: Identity, input: PhantomData }
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
    /// Puts any operator behind: an indicator, one of your own.
    pub fn then<B: Operator<O::Out>>(self, second: B) -> Stream<In, Then<O, B>> {
        Stream { operator: Then { first: self.operator, second }, input: PhantomData }
    }

    /// What `make` makes of each. Like every function of a pipeline it is `Fn`: what changes belongs into an
    /// operator, whose state is kept across a restart.
    pub fn map<Out, F: Fn(O::Out) -> Out>(self, make: F) -> Stream<In, Then<O, Map<F>>> {
        self.then(Map::new(make))
    }

    /// Those that `keeps` is true for.
    pub fn filter<F: Fn(&O::Out) -> bool>(self, keeps: F) -> Stream<In, Then<O, Filter<F>>> {
        self.then(Filter::new(keeps))
    }

    /// What `make` makes of each where it makes something.
    pub fn filter_map<Out, F>(self, make: F) -> Stream<In, Then<O, FilterMap<F>>>
    where
        F: Fn(O::Out) -> Option<Out>,
    {
        self.then(FilterMap::new(make))
    }

    /// Those that differ from the one before; the first does.
    pub fn changed(self) -> Stream<In, Then<O, Changed<O::Out>>>
    where
        O::Out: StateValue + PartialEq,
    {
        self.then(Changed::default())
    }

    /// A pipeline of its own for each key, all built alike by `each`: see [`KeyBy`]. Gives pairs of a key and what
    /// its pipeline gives.
    pub fn key_by<K, F, P>(
        self,
        keys: Keys,
        key: F,
        each: impl FnOnce(Stream<O::Out, Identity>) -> P,
    ) -> Stream<In, Then<O, KeyBy<K, F, P>>>
    where
        K: Key,
        F: Fn(&O::Out) -> K,
        P: Operator<O::Out> + Clone,
    {
        self.then(KeyBy::new(keys, key, each(stream())))
    }

    /// Every event into both pipelines, and whatever comes out of either.
    pub fn fork<A, B>(
        self,
        left: impl FnOnce(Stream<O::Out, Identity>) -> A,
        right: impl FnOnce(Stream<O::Out, Identity>) -> B,
    ) -> Stream<In, Then<O, Fork<A, B>>>
    where
        O::Out: Clone,
        A: Operator<O::Out>,
        B: Operator<O::Out>,
    {
        self.then(Fork::new(left(stream()), right(stream())))
    }

    /// Every event into both pipelines, and a pair whenever both make something of it.
    pub fn zip<A, B>(
        self,
        left: impl FnOnce(Stream<O::Out, Identity>) -> A,
        right: impl FnOnce(Stream<O::Out, Identity>) -> B,
    ) -> Stream<In, Then<O, Zip<A, B>>>
    where
        O::Out: Clone,
        A: Operator<O::Out>,
        B: Operator<O::Out>,
    {
        self.then(Zip::new(left(stream()), right(stream())))
    }

    /// `aggregate` over windows of `length` that follow each other: see [`Windows`].
    pub fn tumbling<A>(self, length: Nanos, grace: Nanos, aggregate: A) -> Stream<In, Then<O, Windows<A>>>
    where
        A: Aggregate<O::Out> + Clone,
    {
        self.then(Windows::new(length, length, grace, aggregate))
    }

    /// `aggregate` over windows of `length`, one beginning every `hop`: see [`Windows`].
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

    /// `aggregate` over events with no more than `gap` between them: see [`Sessions`].
    pub fn sessions<A>(self, gap: Nanos, grace: Nanos, aggregate: A) -> Stream<In, Then<O, Sessions<A>>>
    where
        A: Aggregate<O::Out> + Merge + Clone,
    {
        self.then(Sessions::new(gap, grace, aggregate))
    }

    /// `aggregate` over the last `length` before each event: see [`Sliding`].
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

    /// `aggregate` over the last `count` events, from the `count`-th on: see [`Recent`].
    pub fn recent<A>(self, count: usize, aggregate: A) -> Stream<In, Then<O, Recent<O::Out, A>>>
    where
        O::Out: StateValue,
        A: Remove<O::Out>,
    {
        self.then(Recent::new(count, aggregate))
    }

    /// `aggregate` over everything so far.
    pub fn running<A: Aggregate<O::Out>>(self, aggregate: A) -> Stream<In, Then<O, Running<A>>> {
        self.then(Running::new(aggregate))
    }
}

/// For pipelines that may give something late.
impl<In, T, L, O: Operator<In, Out = Result<T, Late<L>>>> Stream<In, O> {
    /// What is in time alone; what is late stays counted in [`State::drops`].
    pub fn in_time(self) -> Stream<In, Then<O, InTime>> {
        self.then(InTime)
    }
}

/// For pipelines of two kinds of events.
impl<In, L: StateValue, R: StateValue, O: Operator<In, Out = Either<L, R>>> Stream<In, O> {
    /// Pairs of a left and a right event not more than `window` apart: see [`Join`].
    pub fn join(self, window: Nanos, grace: Nanos, capacity: usize) -> Stream<In, Then<O, Join<L, R>>> {
        self.then(Join::new(window, grace, capacity))
    }
}

/// For pipelines of events and of what a table says.
impl<In, L, R: StateValue, O: Operator<In, Out = Either<L, Option<R>>>> Stream<In, O> {
    /// Each left event with what the right said last: see [`TableJoin`].
    pub fn join_table(self) -> Stream<In, Then<O, TableJoin<R>>> {
        self.then(TableJoin::default())
    }
}
