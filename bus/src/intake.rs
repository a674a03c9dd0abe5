//! The sequencer's end of a publisher's ring: what waits in it, what was taken from it, and whether more can
//! come.

use crate::counters::sequencer::IntakeCounters;
use crate::refusals::{RefusedAtRing, Untold};
use crate::shared::intake::RemoteIntake;
use rtrb::{Consumer, RingBuffer};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The sequencer's end of a publisher's ring.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) id: u16,
    pub(crate) name: [u8; 32],
    pub(crate) words: Consumer<u64>,
    /// What the next submission is numbered if nothing is missing.
    pub(crate) expected: Option<u64>,
    /// The last number that was taken, 0 before the first.
    pub(crate) last: u64,
    /// The publisher outlives the process.
    pub(crate) is_outside: bool,
    /// What the publisher was refused at its own end.
    pub(crate) refused: Arc<RefusedAtRing>,
    pub(crate) untold: Untold,
    pub(crate) counters: Option<IntakeCounters>,
    /// What fills `words` where the publisher is in another process.
    pub(crate) remote: Option<RemoteIntake>,
    pub(crate) finished: Arc<AtomicBool>,
}

/// The sequencer's end for a publisher in another process, which attaches to the file `path`: a ring of
/// `capacity` words, a power of two. `last` is what the log knows of the publisher's numbering.
pub(crate) fn remote_intake(
    path: &Path,
    id: u16,
    name: &str,
    capacity: usize,
    last: u64,
) -> io::Result<Intake> {
    let (mut producer, mut consumer) = RingBuffer::new(capacity);
    producer.push_entire_slice(&vec![0; capacity]).expect("the ring is empty");
    consumer.read_chunk(capacity).expect("the ring is full").commit_all();
    let name = shown(name);
    let remote = RemoteIntake::create(path, id, &name, capacity, producer, last)?;
    Ok(Intake { last, is_outside: true, remote: Some(remote), ..Intake::new(id, name, consumer) })
}

/// A publisher's name as it stands on the log.
pub(crate) fn shown(name: &str) -> [u8; 32] {
    let mut shown = [0; 32];
    let length = name.floor_char_boundary(shown.len());
    shown[..length].copy_from_slice(&name.as_bytes()[..length]);
    shown
}

impl Intake {
    pub(crate) fn new(id: u16, name: [u8; 32], words: Consumer<u64>) -> Self {
        Self {
            id,
            name,
            words,
            expected: None,
            last: 0,
            is_outside: false,
            refused: Arc::default(),
            untold: Untold::default(),
            counters: None,
            remote: None,
            finished: Arc::default(),
        }
    }

    /// Whether nothing more can come: what is in the ring now is all.
    pub(crate) fn is_finished(&self) -> bool {
        match &self.remote {
            Some(remote) => remote.is_finished(),
            None => self.finished.load(Ordering::Acquire) || self.words.is_abandoned(),
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.remote.as_ref().is_none_or(RemoteIntake::is_empty)
    }
}
