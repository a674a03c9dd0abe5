//! Joins: of two streams within a window, and of a stream with a table.

use super::branch::Either;
use super::operator::Operator;
use super::ring::Ring;
use super::state::{DropCounts, State, StateValue};
use super::window::Late;
use crate::snapshot::{RestoreError, SnapshotReader};
use stele_wire::Nanos;

/// Joins two streams: emits every pair of a left and a right event whose times are at most a window apart,
/// when the later of the two arrives, with the later of their times. The pairs of one arrival are ordered by
/// their partners. To join by a key, wrap the join in [`super::KeyBy`].
///
/// Events may arrive out of order, up to `grace` before the latest time of either side, and still meet all
/// their partners. An older event is counted and emitted as [`Late`]. Each side keeps the events that can
/// still find a partner, at most `capacity`; when it is full the oldest is removed and counted as
/// [`DropCounts::crowded_out`].
///
/// # Examples
///
/// ```
/// use stele_strategies::operators::{Either, Operator, seconds, stream};
/// use stele_wire::Nanos;
///
/// let mut pipeline = stream::<Either<u64, u32>>().join(seconds(1), Nanos(0), 100).in_time();
/// # let mut pairs = Vec::new();
/// # let mut feed = |at: u64, event| pipeline.on_event(Nanos(at), event, &mut |_, pair| pairs.push(pair));
/// feed(0, Either::Left(11));
/// feed(500_000_000, Either::Right(7));
/// feed(5_000_000_000, Either::Right(8));
/// assert_eq!(pairs, [(11, 7)]);
/// ```
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
    /// Joins events at most `window` apart that arrive at most `grace` late, and keeps `capacity` events of
    /// each side.
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

/// The events of a side that are at most a window away.
#[inline]
fn partners<T: StateValue>(side: &Ring<(u64, T)>, at: u64, window: u64) -> impl Iterator<Item = (u64, T)> {
    let from = side.partition_point(|(other, _)| other.saturating_add(window) < at);
    let until = at.saturating_add(window);
    side.range(from..).copied().take_while(move |(other, _)| *other <= until)
}

/// Keeps an event; when the side is full, removes the oldest.
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

/// Joins a stream with a table: emits each left event with the latest value of the right stream, if there is
/// one. A right `None` removes the value. For one value per key, wrap it in [`super::KeyBy`]; for an inner
/// join, add a `filter_map`.
///
/// The table keeps the latest value by time, not by arrival: an older value changes nothing and is counted as
/// [`DropCounts::late`]. A left event meets the table as it is when the event arrives.
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
