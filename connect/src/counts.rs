//! Counts what became of each record of a source: events, or none and why.

use stele_feed::{Batch, FeedReport, NotCarried};
use stele_wire::codec::{Message, WriteError};
use stele_wire::messages;
use stele_wire::units::Nanos;

/// The first template that a feed makes, and how many from it on are counted.
const TEMPLATE_FIRST: u16 = 101;
const TEMPLATES: usize = 128;

/// The counters of one feed, by the byte that names a kind of record.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    records: Box<[u64; 256]>,
    not_carried: Box<[u64; 256]>,
    events: Box<[u64; TEMPLATES]>,
    total: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            records: Box::new([0; 256]),
            not_carried: Box::new([0; 256]),
            events: Box::new([0; TEMPLATES]),
            total: 0,
        }
    }
}

impl Counts {
    /// Counts a record that was read whole.
    #[inline]
    pub(crate) fn record(&mut self, kind: u8) {
        self.records[usize::from(kind)] += 1;
        self.total += 1;
    }

    /// Counts the record that was just read as one without an event.
    pub(crate) fn not_carried(&mut self, kind: u8) {
        self.not_carried[usize::from(kind)] += 1;
    }

    /// The number of records read whole.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Puts an event without groups and data.
    #[inline]
    pub(crate) fn push<M: Message>(&mut self, batch: &mut Batch, due: Nanos, message: &M) {
        self.event::<M>();
        batch.push(due, message);
    }

    /// Puts an event that `write` encodes.
    pub(crate) fn push_with<M: Message>(
        &mut self,
        batch: &mut Batch,
        due: Nanos,
        write: impl FnOnce(&mut [u8]) -> Result<&[u8], WriteError>,
    ) -> Result<(), WriteError> {
        batch.push_with::<M>(due, write)?;
        self.event::<M>();
        Ok(())
    }

    #[inline]
    fn event<M: Message>(&mut self) {
        const { assert!(M::TEMPLATE_ID >= TEMPLATE_FIRST && M::TEMPLATE_ID < TEMPLATE_FIRST + TEMPLATES as u16) };
        self.events[usize::from(M::TEMPLATE_ID - TEMPLATE_FIRST)] += 1;
    }

    /// The counts by name: `kind_name` names a kind, `reason` says why its records are not carried.
    pub(crate) fn report(
        &self,
        kind_name: impl Fn(u8) -> String,
        reason: impl Fn(u8) -> &'static str,
    ) -> FeedReport {
        let counted = |counts: &[u64; 256]| -> Vec<(u8, u64)> {
            (0..=255u8)
                .map(|kind| (kind, counts[usize::from(kind)]))
                .filter(|(_, count)| *count > 0)
                .collect()
        };
        let records =
            counted(&self.records).into_iter().map(|(kind, count)| (kind_name(kind), count)).collect();
        let not_carried = counted(&self.not_carried)
            .into_iter()
            .map(|(kind, count)| NotCarried { kind: kind_name(kind), count, reason: reason(kind) })
            .collect();
        let events = (TEMPLATE_FIRST..)
            .zip(self.events.iter())
            .filter(|(_, count)| **count > 0)
            .map(|(id, count)| (messages::message_name(id).unwrap_or("?"), *count))
            .collect();
        FeedReport { records, events, not_carried, notices: Vec::new() }
    }
}
