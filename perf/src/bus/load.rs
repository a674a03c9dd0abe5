//! The messages of the load, and the clock that every thread of a run reads.

use crate::MessageMix;
use stele_bus::template;
use stele_wire::frame::frame_length;
use stele_wire::messages::VenueNotice;
use zerocopy::IntoBytes;

/// The maximum length in words of a frame in a slot of the rivals. Longer messages of a recorded market are
/// skipped.
pub(crate) const FRAME_WORDS_MAX: usize = 32;

/// The highest template id of the load, which is market data. Events of the sequencer itself have higher ids.
pub(crate) const LOAD_TEMPLATES_MAX: u16 = VenueNotice::TEMPLATE_ID;

/// A message whose first word holds the time when it was due.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) template_id: u16,
    length: usize,
    words: Box<[u64]>,
}

impl Parcel {
    /// Returns the body: block, groups and data.
    #[inline]
    pub(crate) fn body(&self) -> &[u8] {
        &self.words.as_bytes()[..self.length]
    }

    /// Replaces the venue's time with the time when the message was due.
    #[inline]
    pub(crate) fn stamp(&mut self, due: u64) {
        self.words[0] = due;
    }

    /// Returns the length of its frame in words, which the rivals carry, too.
    pub(crate) fn frame_words(&self) -> usize {
        frame_length(self.length) / 8
    }
}

/// Returns the messages of `mix` that begin with the venue's time and fit the slots of the rivals: all except
/// a few definitions.
pub(crate) fn parcels(mix: &MessageMix) -> Vec<Parcel> {
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

/// Reads the nanoseconds since its start from the processor's counter, which is the same on every CPU.
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
