//! What is published, and the clock that every thread of a run reads.

use crate::Mix;
use stele_bus::template;
use stele_wire::frame::frame_length;
use stele_wire::messages::VenueNotice;
use zerocopy::IntoBytes;

/// Words of the longest frame that a slot of the rivals takes: what is longer is left out of a recorded
/// market.
pub(crate) const FRAME_WORDS_MAX: usize = 32;

/// Messages of the load are market data: the last of their template ids. What the sequencer says on its own
/// account is above it.
pub(crate) const LOAD_TEMPLATES_MAX: u16 = VenueNotice::TEMPLATE_ID;

/// A message whose first word carries when it was due.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) template_id: u16,
    length: usize,
    words: Box<[u64]>,
}

impl Parcel {
    /// Block, groups and data.
    #[inline]
    pub(crate) fn body(&self) -> &[u8] {
        &self.words.as_bytes()[..self.length]
    }

    /// Writes when it was due in the place of the venue's time.
    #[inline]
    pub(crate) fn stamp(&mut self, due: u64) {
        self.words[0] = due;
    }

    /// Words of its frame: what the rivals carry as well.
    pub(crate) fn frame_words(&self) -> usize {
        frame_length(self.length) / 8
    }
}

/// The messages of `mix` that begin with the venue's time and fit the rivals' slots: all but a few
/// definitions.
pub(crate) fn parcels(mix: &Mix) -> Vec<Parcel> {
    let is_stamped = |id| id <= LOAD_TEMPLATES_MAX && template(id).is_some_and(|template| template.stamped);
    let fits = |length| frame_length(length) <= FRAME_WORDS_MAX * 8;
    let chosen =
        mix.messages.iter().filter(|message| is_stamped(message.template_id) && fits(message.body.len()));
    chosen
        .map(|message| {
            let mut words = vec![0_u64; message.body.len().div_ceil(8)].into_boxed_slice();
            words.as_mut_bytes()[..message.body.len()].copy_from_slice(&message.body);
            Parcel { template_id: message.template_id, length: message.body.len(), words }
        })
        .collect()
}

/// Nanoseconds since it was started, the same on every CPU: the processor's counter.
#[derive(Clone, Debug)]
pub(crate) struct Stopwatch {
    counter: quanta::Clock,
    start: u64,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        let counter = quanta::Clock::new();
        let start = counter.raw();
        Self { counter, start }
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.counter.delta_as_nanos(self.start, self.counter.raw())
    }
}
