//! Joins: two streams within a window, a stream with a table.

use super::branch::Either;
use super::ring::Ring;
use super::state::{DropCounts, State, StateValue};
use super::stream::Operator;
use super::window::Late;
use crate::snapshot::{RestoreError, SnapshotReader};
use stele_wire::Nanos;

/// Every pair of a left and a right event that are not more than a window apart, given when the later of the two
/// arrives, with the later of their times; the pairs of one arrival in the order of their partners. Join by a key
/// with [`super::KeyBy`] around it.
///
/// Events may come out of order by up to `grace` behind the latest time of either side, and meet all their partners;
/// one that is older is counted and given on as [`Late`]. Each side keeps what can still meet a partner, `capacity`
/// events at most: when one more comes the oldest leaves, and is counted as [`DropCounts::crowded_out`].
#[derive(Clone, Debug)]
pub struct Join<L, R> {
    window: u64,
    grace: u64,
    lefts: Ring<(u64, L)>,
    rights: Ring<(u64, R)>,
    time: u64,
    drops: DropCounts,
}

impl<L, R> Join<L, R> {
    /// Pairs at most `window` apart, of events at most `grace` late, `capacity` of each side kept.
    ///
    /// # Panics
    /// When `capacity` is 0 or above [`super::bounds::BUFFERED_MAX`].
    pub fn new(window: Nanos, grace: Nanos, capacity: usize) -> Self {
        Self {
            window: window.0,
            grace: grace.0,
            lefts: Ring::new(capacity),
            rights: Ring::new(capacity),
            time: 0,
            drops: DropCounts::default(),
        }
    }

    #[inline]
    fn advance(&mut self, at: u64) {
        self.time = self.time.max(at);
        let keeps = self.time.saturating_sub(self.grace).saturating_sub(self.window);
        while self.lefts.front().is_some_and(|(at, _)| *at < keeps) {
            self.lefts.pop_front();
        }
        while self.rights.front().is_some_and(|(at, _)| *at < keeps) {
            self.rights.pop_front();
        }
    }
}

/// The events of a side that are not more than a window away.
#[inline]
fn partners<T: StateValue>(side: &Ring<(u64, T)>, at: u64, window: u64) -> impl Iterator<Item = (u64, T)> {
    let from = side.partition_point(|(other, _)| other.saturating_add(window) < at);
    let until = at.saturating_add(window);
    side.range(from..).copied().take_while(move |(other, _)| *other <= until)
}

/// Keeps an event, unless it is the oldest of more than there is room for.
#[inline]
fn keep<T>(side: &mut Ring<(u64, T)>, at: u64, event: T, drops: &mut DropCounts) {
    if side.is_full() {
        drops.crowded_out += 1;
        if side.front().is_some_and(|(oldest, _)| *oldest > at) {
            return;
        }
        side.pop_front();
    }
    let place = side.place(at);
    side.insert(place, (at, event));
}

impl<L: StateValue, R: StateValue> State for Join<L, R> {
    fn reset(&mut self) {
        self.lefts.clear();
        self.rights.clear();
        self.time = 0;
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.time.put(out);
        self.drops.put(out);
        self.lefts.snapshot(out);
        self.rights.snapshot(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.time = StateValue::take(reader)?;
        self.drops = StateValue::take(reader)?;
        self.lefts.restore(reader)?;
        self.rights.restore(reader)
    }

    fn drops(&self) -> DropCounts {
        self.drops
    }
}

impl<L: StateValue, R: StateValue> Operator<Either<L, R>> for Join<L, R> {
    type Out = Result<(L, R), Late<Either<L, R>>>;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: Either<L, R>, emit: &mut impl FnMut(Nanos, Self::Out)) {
        self.advance(at.0);
        if at.0 < self.time.saturating_sub(self.grace) {
            self.drops.late += 1;
            return emit(at, Err(Late(input)));
        }
        match input {
            Either::Left(left) => {
                for (other, right) in partners(&self.rights, at.0, self.window) {
                    emit(Nanos(at.0.max(other)), Ok((left, right)));
                }
                keep(&mut self.lefts, at.0, left, &mut self.drops);
            }
            Either::Right(right) => {
                for (other, left) in partners(&self.lefts, at.0, self.window) {
                    emit(Nanos(at.0.max(other)), Ok((left, right)));
                }
                keep(&mut self.rights, at.0, right, &mut self.drops);
            }
        }
    }

    #[inline]
    fn on_time(&mut self, at: Nanos, _: &mut impl FnMut(Nanos, Self::Out)) -> Nanos {
        self.advance(at.0);
        Nanos(at.0.saturating_sub(self.grace))
    }
}

/// Each left event with what the right stream said last, if anything; a right `None` takes it back. Have one entry a
/// key with [`super::KeyBy`] around it. An inner join is this and a `filter_map`.
///
/// The table holds the newest entry by time, whatever comes last; one that is older than it changes nothing and is
/// counted as [`DropCounts::late`]. A left event meets the table as it is when the event arrives.
#[derive(Clone, Copy, Debug)]
pub struct TableJoin<R> {
    time: u64,
    entry: Option<R>,
    drops: DropCounts,
}

impl<R> Default for TableJoin<R> {
    fn default() -> Self {
        Self { time: 0, entry: None, drops: DropCounts::default() }
    }
}

impl<R: StateValue> State for TableJoin<R> {
    fn reset(&mut self) {
        (self.time, self.entry) = (0, None);
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        (self.time, self.entry, self.drops).put(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        (self.time, self.entry, self.drops) = StateValue::take(reader)?;
        Ok(())
    }

    fn drops(&self) -> DropCounts {
        self.drops
    }
}

impl<L, R: StateValue> Operator<Either<L, Option<R>>> for TableJoin<R> {
    type Out = (L, Option<R>);

    #[inline]
    fn on_event(&mut self, at: Nanos, input: Either<L, Option<R>>, emit: &mut impl FnMut(Nanos, Self::Out)) {
        match input {
            Either::Left(left) => emit(at, (left, self.entry)),
            Either::Right(_) if at.0 < self.time => self.drops.late += 1,
            Either::Right(entry) => (self.time, self.entry) = (at.0, entry),
        }
    }
}
