//! A bounded queue of events that were copied off the ring.
//!
//! ```text
//! entries   [ order 101 ][ order 103 ][ order 107 ]      in the order of the log
//!                 │            │            └──────────────────┐
//!                 │            └──────────────┐                │
//! bytes     [ frame of 101 |  hole of 102  | frame of 103 | frame of 107 |      free      ]
//! ```
//! Entries are appended at the end and may be removed anywhere. When the end is reached, the frames are moved
//! together. An empty lane begins again at its first byte, so a lane that is drained at once stays in the
//! cache.

use std::collections::VecDeque;
use stele_bus::{Event, Watermark};
use stele_wire::{Frame, Position, Sequence};

/// What waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WaitingKind {
    Order,
    Replacement,
    Quote,
    Cancel,
    QuoteCancel,
    MassCancel,
}

/// The identification of an order or a quote: unique while it is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OrderName {
    pub(crate) strategy: u16,
    pub(crate) account: u32,
    pub(crate) id: u64,
    pub(crate) is_quote: bool,
}

/// An order or a cancel that has not left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) sequence: Sequence,
    pub(crate) position: Position,
    pub(crate) end: Position,
    pub(crate) release: Watermark,
    pub(crate) kind: WaitingKind,
    /// The order itself; of a cancel, the order that it names.
    pub(crate) name: OrderName,
    /// The id of the order that it replaces; 0 for none.
    pub(crate) replaced: u64,
    /// Where its frame begins in the bytes of its lane.
    at: usize,
}

impl Waiting {
    pub(crate) fn new(
        event: &Event<'_>,
        kind: WaitingKind,
        name: OrderName,
        replaced: u64,
        release: Watermark,
    ) -> Self {
        let (sequence, position, end) = (event.sequence(), event.position(), event.end());
        Self { sequence, position, end, release, kind, name, replaced, at: 0 }
    }

    fn length(&self) -> usize {
        (self.end.0 - self.position.0) as usize
    }

    /// Whether it is an order, a replacement or a quote.
    pub(crate) fn is_order(&self) -> bool {
        matches!(self.kind, WaitingKind::Order | WaitingKind::Replacement | WaitingKind::Quote)
    }

    /// The order that it replaces.
    pub(crate) fn replaced(&self) -> Option<OrderName> {
        (self.replaced != 0).then_some(OrderName { id: self.replaced, ..self.name })
    }
}

/// The error of a lane without room for another event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LaneFull;

/// The queue. Allocates only when it is created.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    entries: VecDeque<Waiting>,
    entries_max: usize,
    bytes: Box<[u8]>,
    /// Where the next frame goes.
    end: usize,
    /// The length of all frames together.
    occupied: usize,
}

impl Lane {
    /// A lane for `entries_max` events of `bytes` bytes together.
    pub(crate) fn new(entries_max: usize, bytes: usize) -> Self {
        let mut memory = Vec::with_capacity(bytes);
        // Ones, not zeros: every page is written, and therefore there, before the lane is used.
        memory.resize(bytes, 1);
        let entries = VecDeque::with_capacity(entries_max);
        Self { entries, entries_max, bytes: memory.into_boxed_slice(), end: 0, occupied: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn front(&self) -> Option<&Waiting> {
        self.entries.front()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.entries.iter()
    }

    /// Copies `event`, which is `waiting`, to the end.
    pub(crate) fn push(&mut self, event: &Event<'_>, waiting: Waiting) -> Result<(), LaneFull> {
        let frame = event.frame().bytes();
        if self.entries.len() == self.entries_max || self.occupied + frame.len() > self.bytes.len() {
            return Err(LaneFull);
        }
        if self.end + frame.len() > self.bytes.len() {
            self.move_together();
        }
        self.bytes[self.end..self.end + frame.len()].copy_from_slice(frame);
        self.entries.push_back(Waiting { at: self.end, ..waiting });
        self.end += frame.len();
        self.occupied += frame.len();
        Ok(())
    }

    #[cold]
    fn move_together(&mut self) {
        let mut to = 0;
        for entry in &mut self.entries {
            self.bytes.copy_within(entry.at..entry.at + entry.length(), to);
            entry.at = to;
            to += entry.length();
        }
        self.end = to;
    }

    /// The event of an entry, as it is on the log.
    pub(crate) fn event(&self, entry: &Waiting) -> Event<'_> {
        let bytes = &self.bytes[entry.at..entry.at + entry.length()];
        Event::new(Frame::read(bytes).expect("it was copied from a frame"), entry.position)
    }

    pub(crate) fn newest(&self) -> Option<&Waiting> {
        self.entries.back()
    }

    /// The bytes of the newest event.
    pub(crate) fn newest_mut(&mut self) -> &mut [u8] {
        let newest = self.entries.back().expect("an event was just appended");
        &mut self.bytes[newest.at..newest.at + newest.length()]
    }

    pub(crate) fn pop_front(&mut self) -> Option<Waiting> {
        let first = self.entries.pop_front()?;
        self.on_removed(&first);
        Some(first)
    }

    /// Removes the first entry that `is_wanted`, and passes it with its event to `on_removed` before.
    pub(crate) fn remove_first(
        &mut self,
        mut is_wanted: impl FnMut(&Waiting) -> bool,
        on_removed: impl FnOnce(&Waiting, &Event<'_>),
    ) -> Option<Waiting> {
        let index = self.entries.iter().position(&mut is_wanted)?;
        let entry = self.entries[index];
        on_removed(&entry, &self.event(&entry));
        self.entries.remove(index);
        self.on_removed(&entry);
        Some(entry)
    }

    /// Removes every entry for which `is_wanted` answers true, in order.
    pub(crate) fn remove_where(&mut self, mut is_wanted: impl FnMut(&Waiting, &Event<'_>) -> bool) {
        let Self { entries, bytes, occupied, .. } = self;
        entries.retain(|entry| {
            let frame = &bytes[entry.at..entry.at + entry.length()];
            let event = Event::new(Frame::read(frame).expect("it was copied from a frame"), entry.position);
            let is_removed = is_wanted(entry, &event);
            *occupied -= if is_removed { entry.length() } else { 0 };
            !is_removed
        });
        if self.entries.is_empty() {
            self.end = 0;
        }
    }

    fn on_removed(&mut self, entry: &Waiting) {
        self.occupied -= entry.length();
        if self.entries.is_empty() {
            self.end = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Log, limit_order, order_body};
    use proptest::prelude::*;
    use stele_wire::messages::{NewOrder, Side};

    proptest! {
        /// Against a plain list of copies.
        #[test]
        fn what_is_in_a_lane_stays_as_it_was_copied_whatever_is_removed(
            steps in prop::collection::vec((0_u8..4, any::<prop::sample::Index>()), 1..200)
        ) {
            let mut lane = Lane::new(12, 2_500);
            let mut model: Vec<(u64, Vec<u8>)> = Vec::new();
            let (mut log, mut position) = (Log::default(), 0_u64);
            for (step, index) in steps {
                match step {
                    0 | 1 => {
                        let id = log.frames().count() as u64 + 1;
                        let body = order_body(&limit_order(1, id, Side::BUY, 1_000, id));
                        log.push_body(NewOrder::TEMPLATE_ID, NewOrder::BLOCK_LENGTH, &body);
                        let event = Event::new(log.last(), Position(position));
                        position = event.end().0;
                        let name = OrderName { strategy: 1, account: 7, id, is_quote: false };
                        let entry =
                            Waiting::new(&event, WaitingKind::Order, name, 0, Watermark::Durable);
                        let occupied: usize = model.iter().map(|(_, bytes)| bytes.len()).sum();
                        let fits = model.len() < 12 && occupied + event.frame().len() <= 2_500;
                        prop_assert_eq!(lane.push(&event, entry).is_ok(), fits);
                        if fits {
                            model.push((id, event.frame().bytes().to_vec()));
                        }
                    }
                    2 => {
                        let popped = lane.pop_front().map(|entry| entry.name.id);
                        let expected = (!model.is_empty()).then(|| model.remove(0).0);
                        prop_assert_eq!(popped, expected);
                    }
                    _ if !model.is_empty() => {
                        let (id, _) = model.remove(index.index(model.len()));
                        let removed = lane.remove_first(|entry| entry.name.id == id, |_, _| ());
                        prop_assert_eq!(removed.map(|entry| entry.name.id), Some(id));
                    }
                    _ => lane.remove_where(|_, _| true),
                }
                let held: Vec<(u64, Vec<u8>)> = lane
                    .iter()
                    .map(|entry| (entry.name.id, lane.event(entry).frame().bytes().to_vec()))
                    .collect();
                prop_assert_eq!(&held, &model);
            }
        }
    }
}
