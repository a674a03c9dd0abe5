//! Where a trail left off: what a new session over it goes on from.
//!
//! Runs on the caller's thread, before any hot thread is there.

use crate::difference::Difference;
use crate::divergence::PROGRESS_INTERVAL;
use crate::known::Known;
use crate::open_orders::{OpenOrder, OpenOrders};
use crate::paper_exchange::Numbers;
use crate::regeneration::{Interruption, Regeneration, RegenerationError, Submission};
use std::path::Path;
use stele_journal::{TrailError, TrailReader};
use stele_strategies::Host;
use stele_strategies::registry::Registry;
use stele_wire::Frame;

/// The end of a trail, as far as a new session needs it.
pub struct Resumed {
    /// The strategies as they are after every recorded event: positions, open orders, their own state.
    pub host: Host,
    /// What they sent and the trail does not have: lost with the process before it was durable. It is to be
    /// submitted in the new epoch, in this order, before anything else of theirs.
    pub unsent: Vec<Submission>,
    /// Orders that are neither refused nor done, oldest first: what
    /// [`crate::paper_exchange::PaperExchange::resume`] cancels and what is to be reconciled with a real venue.
    pub open_orders: Vec<OpenOrder>,
    /// The last numbers that the paper exchange gave out.
    pub numbers: Numbers,
    /// Instruments, sources and publishers that the trail defines.
    pub known: Known,
    /// Events read.
    pub events: u64,
    /// Sequence of the last event; 0 when there is none.
    pub last_sequence: u64,
    /// Its time in nanoseconds UTC; 0 when there is none.
    pub last_timestamp: u64,
    /// Its epoch; 0 when there is none.
    pub epoch: u32,
    /// Whether the last session ended in order.
    pub has_ended: bool,
}

/// Why a trail cannot be gone on from.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The trail could not be read.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// Its strategies could not be run.
    #[error(transparent)]
    Strategies(#[from] RegenerationError),
    /// This program's strategies do not do what the recorded ones did, so their state would be made up.
    #[error("the strategies of this program do not do what the trail has: {0}; start them anew instead")]
    Difference(Box<Difference>),
}

/// Reads the trail in `directory` to its end. `progress` is told the sequence reached every
/// [`PROGRESS_INTERVAL`] events.
///
/// # Errors
/// [`ResumeError`].
pub fn resume(
    directory: &Path,
    registry: Registry,
    mut progress: impl FnMut(u64),
) -> Result<Resumed, ResumeError> {
    let mut reader = TrailReader::open(directory)?;
    let mut resume = Resume::new(registry);
    while let Some(entry) = reader.read_next()? {
        resume.on_event(&entry.frame)?;
        if resume.regeneration.events().is_multiple_of(PROGRESS_INTERVAL) {
            progress(entry.frame.sequence().0);
        }
    }
    Ok(resume.finish())
}

/// The same, fed event by event.
pub struct Resume {
    regeneration: Regeneration,
    open_orders: OpenOrders,
    known: Known,
}

impl Resume {
    /// One that has seen nothing.
    pub fn new(registry: Registry) -> Self {
        Self {
            regeneration: Regeneration::new(registry),
            open_orders: OpenOrders::default(),
            known: Known::default(),
        }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// [`ResumeError`], after which it is of no further use.
    pub fn on_event(&mut self, event: &Frame<'_>) -> Result<(), ResumeError> {
        self.open_orders.on_event(event);
        self.known.on_event(event);
        self.regeneration.on_event(event).map_err(|interruption| match interruption {
            Interruption::Difference(difference) => ResumeError::Difference(difference),
            Interruption::Error(error) => ResumeError::Strategies(error),
        })
    }

    /// The trail is at its end.
    pub fn finish(self) -> Resumed {
        let Self { regeneration, open_orders, known } = self;
        let (events, last_sequence) = (regeneration.events(), regeneration.last_sequence());
        let (last_timestamp, epoch) = (regeneration.last_timestamp(), regeneration.epoch());
        let (has_ended, numbers) = (regeneration.has_ended(), open_orders.numbers());
        let (host, unsent) = regeneration.into_parts();
        Resumed {
            host,
            unsent,
            open_orders: open_orders.finish(),
            numbers,
            known,
            events,
            last_sequence,
            last_timestamp,
            epoch,
            has_ended,
        }
    }
}
