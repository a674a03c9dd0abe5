//! The publishers and channels of a file, each a source of its own on the log.

use crate::counts::Counts;
use crate::instruments::fixed;
use stele_feed::Batch;
use stele_wire::messages::{SourceDefinition, SourceKind};
use stele_wire::units::Nanos;

/// The greatest number of sources of one file; further publishers and channels share the last number.
pub(super) const SOURCES_MAX: usize = 64;

/// The channel of a record that has none.
pub(super) const NO_CHANNEL: u16 = u16::MAX;

/// Numbers the sources in the order in which they come.
#[derive(Debug)]
pub(super) struct Sources {
    first: u16,
    known: Vec<(u16, u16)>,
}

impl Sources {
    pub(super) fn new(first: u16) -> Self {
        Self { first, known: Vec::with_capacity(SOURCES_MAX) }
    }

    /// Whether all numbers are used, so that further publishers and channels share the last.
    pub(super) fn is_full(&self) -> bool {
        self.known.len() == SOURCES_MAX
    }

    /// The source of a record. A record without a channel belongs to its publisher's first source.
    #[inline]
    pub(super) fn get(
        &mut self,
        publisher: u16,
        channel: u16,
        due: Nanos,
        counts: &mut Counts,
        batch: &mut Batch,
    ) -> u16 {
        let is_it =
            |known: &(u16, u16)| known.0 == publisher && (channel == NO_CHANNEL || known.1 == channel);
        match self.known.iter().position(is_it) {
            Some(index) => self.first + index as u16,
            None => self.define(publisher, channel, due, counts, batch),
        }
    }

    #[cold]
    fn define(
        &mut self,
        publisher: u16,
        channel: u16,
        due: Nanos,
        counts: &mut Counts,
        batch: &mut Batch,
    ) -> u16 {
        if self.is_full() {
            return self.first + SOURCES_MAX as u16 - 1;
        }
        let source = self.first + self.known.len() as u16;
        self.known.push((publisher, channel));
        let named = dbn::Publisher::try_from(publisher).ok();
        let venue = named.map_or("", |named| named.venue().as_str());
        let dataset = named.map_or("", |named| named.dataset().as_str());
        let definition = SourceDefinition {
            source: source.into(),
            vendor_publisher: publisher.into(),
            channel: channel.into(),
            kind: SourceKind::FILE,
            mic: fixed(venue.as_bytes()),
            dataset: fixed(dataset.as_bytes()),
            name: fixed(named.map_or("", |named| named.as_str()).as_bytes()),
            ..SourceDefinition::NULL
        };
        counts
            .push_with::<SourceDefinition>(batch, due, |buffer| definition.encode(buffer, b""))
            .expect("a definition without text fits");
        source
    }
}
