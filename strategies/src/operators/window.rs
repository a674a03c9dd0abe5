//! Windows of a fixed length: tumbling and hopping.

use super::aggregate::Aggregate;
use super::bounds::OPEN_WINDOWS_MAX;
use super::operator::Operator;
use super::state::{DropCounts, State, StateValue};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use stele_wire::Nanos;

/// A time window with the aggregate of its events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window<T> {
    /// Start of the window, inclusive.
    pub start: Nanos,
    /// End of the window, exclusive.
    pub end: Nanos,
    /// The aggregate of its events, of which there is at least one.
    pub value: T,
}

impl<T> Window<T> {
    /// The same window with another value.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Window<U> {
        Window { start: self.start, end: self.end, value: make(self.value) }
    }
}

/// An event that arrived after all its windows were closed: the side output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Late<T>(pub T);

/// One window of a ring.
#[derive(Clone, Debug)]
struct Slot<A> {
    count: u64,
    aggregate: A,
}

/// An aggregate over windows of a fixed length that start at multiples of a hop since the epoch: tumbling
/// windows when the hop equals the length, overlapping hopping windows when it is shorter. A window includes
/// its start and excludes its end.
///
/// A window closes when the time (the latest of an event or of [`Operator::on_time`]) reaches its end plus
/// `grace`. Its result is then emitted once, with the time of its last nanosecond; windows close in order.
/// Windows without events emit nothing. An event whose windows are all closed is counted and emitted as
/// [`Late`]; an event of which some windows are closed contributes to the others and is counted.
///
/// An event costs one addition to each of its `length / hop` windows.
#[derive(Clone, Debug)]
pub struct Windows<A> {
    length: u64,
    hop: u64,
    grace: u64,
    slots: Box<[Slot<A>]>,
    /// The oldest open window, as a multiple of the hop.
    first_open: u64,
    /// The time at which it closes.
    closes: u64,
    /// The newest window of the last event, with its start: saves most events a division.
    newest: u64,
    newest_start: u64,
    drops: DropCounts,
}

impl<A: State + Clone> Windows<A> {
    /// Windows of `length` that start every `hop` and close `grace` after their end.
    ///
    /// # Panics
    /// When `hop` is 0 or above `length`, or when more than [`OPEN_WINDOWS_MAX`] windows could be open at the
    /// same time.
    pub fn new(length: Nanos, hop: Nanos, grace: Nanos, aggregate: A) -> Self {
        let (length, hop, grace) = (length.0, hop.0, grace.0);
        assert!(
            (1..=length).contains(&hop),
            "the hop is {hop} ns, but must be 1 to the window's length of {length} ns"
        );
        let open = length.saturating_add(grace) / hop + 1;
        assert!(
            open <= OPEN_WINDOWS_MAX as u64,
            "up to {open} windows could be open, more than {OPEN_WINDOWS_MAX}: choose a shorter grace period or a longer hop"
        );
        let slots = vec![Slot { count: 0, aggregate }; (open as usize).next_power_of_two()];
        let mut windows = Self {
            length,
            hop,
            grace,
            slots: slots.into(),
            first_open: 0,
            closes: 0,
            newest: 0,
            newest_start: 0,
            drops: DropCounts::default(),
        };
        windows.open_from(0);
        windows
    }
}

impl<A> Windows<A> {
    fn open_from(&mut self, first: u64) {
        self.first_open = first;
        self.closes = first.saturating_mul(self.hop).saturating_add(self.length).saturating_add(self.grace);
    }

    #[inline]
    fn slot(&mut self, window: u64) -> &mut Slot<A> {
        let mask = self.slots.len() - 1;
        &mut self.slots[window as usize & mask]
    }

    /// The newest window that contains a time.
    #[inline]
    fn newest(&mut self, at: u64) -> u64 {
        if at.wrapping_sub(self.newest_start) >= self.hop {
            self.newest = at / self.hop;
            self.newest_start = self.newest * self.hop;
        }
        self.newest
    }

    /// Closes every window whose end plus grace is at or before a time. The oldest one is known to be.
    fn close<In>(&mut self, at: u64, emit: &mut impl FnMut(Nanos, Window<A::Out>))
    where
        A: Aggregate<In>,
    {
        let first = at.saturating_sub(self.length).saturating_sub(self.grace) / self.hop + 1;
        for window in self.first_open..first.min(self.first_open.saturating_add(self.slots.len() as u64)) {
            let (start, length) = (window.saturating_mul(self.hop), self.length);
            let slot = self.slot(window);
            if slot.count > 0 {
                let (start, end) = (Nanos(start), Nanos(start.saturating_add(length)));
                emit(Nanos(end.0 - 1), Window { start, end, value: slot.aggregate.value() });
                slot.aggregate.reset();
                slot.count = 0;
            }
        }
        self.open_from(first);
    }
}

impl<A: State> State for Windows<A> {
    fn reset(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.count > 0) {
            slot.aggregate.reset();
            slot.count = 0;
        }
        (self.newest, self.newest_start) = (0, 0);
        self.open_from(0);
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.first_open);
        self.drops.put(out);
        for slot in &self.slots {
            let is_fresh = slot.count == 0 && slot.aggregate.drops().is_empty();
            is_fresh.put(out);
            if !is_fresh {
                out.put_u64(slot.count);
                slot.aggregate.snapshot(out);
            }
        }
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        let first = reader.u64()?;
        self.open_from(first);
        self.drops = StateValue::take(reader)?;
        for slot in &mut self.slots {
            if !bool::take(reader)? {
                slot.count = reader.u64()?;
                slot.aggregate.restore(reader)?;
            }
        }
        Ok(())
    }

    fn drops(&self) -> DropCounts {
        self.slots.iter().fold(self.drops, |sum, slot| sum + slot.aggregate.drops())
    }
}

impl<In, A: Aggregate<In>> Operator<In> for Windows<A> {
    type Out = Result<Window<A::Out>, Late<In>>;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, Self::Out)) {
        if at.0 >= self.closes {
            self.close::<In>(at.0, &mut |at, window| emit(at, Ok(window)));
        }
        let newest = self.newest(at.0);
        if newest < self.first_open {
            self.drops.late += 1;
            return emit(at, Err(Late(input)));
        }
        let (mut window, mut reach) = (newest, at.0 - self.newest_start);
        loop {
            let slot = self.slot(window);
            slot.count += 1;
            slot.aggregate.add(at.0, &input);
            reach = reach.saturating_add(self.hop);
            if reach >= self.length || window == 0 {
                return;
            }
            window -= 1;
            if window < self.first_open {
                self.drops.late_in_part += 1;
                return;
            }
        }
    }

    #[inline]
    fn on_time(&mut self, at: Nanos, emit: &mut impl FnMut(Nanos, Self::Out)) -> Nanos {
        if at.0 >= self.closes {
            self.close::<In>(at.0, &mut |at, window| emit(at, Ok(window)));
        }
        at.min(Nanos(self.closes.saturating_sub(self.grace).saturating_sub(1)))
    }
}
