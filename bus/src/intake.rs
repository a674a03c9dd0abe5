//! The sequencer's end of a publisher's ring: what waits in it, what was taken from it, and whether more can
//! come.

use crate::counters::sequencer::IntakeCounters;
use crate::grants::Grants;
use crate::refusals::{RefusedAtRing, UnreportedRefusals};
use crate::shared::intake::RemoteIntake;
use crate::shared::port::RemotePort;
use rtrb::{Consumer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use stele_wire::Position;

/// How far the sequencer has come with a publisher's submissions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Acknowledgement {
    /// Every submission up to this number is on the log, or in the case of an order its refusal is.
    pub sequence: u64,
    /// They all end at or before this position: they are durable once `durable` has reached it.
    pub position: Position,
}

/// An [`Acknowledgement`] that the sequencer shares with a publisher of its own process.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct AcknowledgementCell {
    sequence: AtomicU64,
    position: AtomicU64,
}

impl AcknowledgementCell {
    /// Records that submissions up to `sequence` are on the log, before `position`.
    #[inline]
    pub(crate) fn set(&self, sequence: u64, position: Position) {
        self.position.store(position.0, Ordering::Relaxed);
        // Release, partner of the Acquire load in `get`: the position is this one's or a later one's.
        self.sequence.store(sequence, Ordering::Release);
    }

    pub(crate) fn get(&self) -> Acknowledgement {
        let sequence = self.sequence.load(Ordering::Acquire);
        Acknowledgement { sequence, position: Position(self.position.load(Ordering::Relaxed)) }
    }
}

/// The sequencer's end of a publisher's ring.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) id: u16,
    pub(crate) name: [u8; 32],
    pub(crate) words: Consumer<u64>,
    /// The number of the next submission if none is missing.
    pub(crate) expected: Option<u64>,
    /// The last number that was taken; 0 before the first.
    pub(crate) last: u64,
    /// The publisher outlives the process.
    pub(crate) is_outside: bool,
    /// What it may submit, and whether that is on the log.
    pub(crate) grants: Grants,
    pub(crate) is_granted: bool,
    /// What the publisher refused by itself.
    pub(crate) refused: Arc<RefusedAtRing>,
    pub(crate) unreported: UnreportedRefusals,
    pub(crate) counters: Option<IntakeCounters>,
    /// What fills `words` where the publisher is in another process.
    pub(crate) remote: Option<RemoteIntake>,
    /// What a publisher in this process reads.
    pub(crate) acknowledgement: Arc<AcknowledgementCell>,
    pub(crate) finished: Arc<AtomicBool>,
}

/// The intake of a publisher in another process, with lanes of `capacity` words, a power of two, and its
/// port. `last` is the publisher's last number on the log.
pub(crate) fn remote_intake(
    id: u16,
    name: &str,
    capacity: usize,
    grants: Grants,
    last: u64,
) -> (Intake, RemotePort) {
    let (mut producer, mut consumer) = RingBuffer::new(capacity);
    producer.push_entire_slice(&vec![0; capacity]).expect("the ring is empty");
    consumer.read_chunk(capacity).expect("the ring is full").commit_all();
    let name = shown(name);
    let numbers = (last, grants.number_step_max());
    let (remote, port) = RemoteIntake::create(id, &name, capacity, producer, numbers);
    let intake = Intake::new(id, name, grants, consumer);
    (Intake { last, is_outside: true, remote: Some(remote), ..intake }, port)
}

/// A publisher's name as it is logged.
pub(crate) fn shown(name: &str) -> [u8; 32] {
    let mut shown = [0; 32];
    let length = name.floor_char_boundary(shown.len());
    shown[..length].copy_from_slice(&name.as_bytes()[..length]);
    shown
}

impl Intake {
    pub(crate) fn new(id: u16, name: [u8; 32], grants: Grants, words: Consumer<u64>) -> Self {
        grants.prepare();
        Self {
            id,
            name,
            words,
            expected: None,
            last: 0,
            is_outside: false,
            grants,
            is_granted: false,
            refused: Arc::default(),
            unreported: UnreportedRefusals::default(),
            counters: None,
            remote: None,
            acknowledgement: Arc::default(),
            finished: Arc::default(),
        }
    }

    /// Takes what a publisher in another process committed. What another process claimed anew gets its grants
    /// on the log again.
    #[inline]
    pub(crate) fn pump(&mut self) {
        let Some(remote) = &mut self.remote else { return };
        remote.pump();
        if remote.is_claimed_anew() {
            (self.is_granted, self.expected) = (false, None);
        }
    }

    /// Acknowledges to the publisher that everything that was taken is on the log, before `position`.
    #[inline]
    pub(crate) fn acknowledge(&mut self, position: Position) {
        match &mut self.remote {
            Some(remote) => remote.acknowledge(self.last, position, self.words.is_empty()),
            None => self.acknowledgement.set(self.last, position),
        }
    }

    /// Continues the numbering after `last`, as an event that ends before `position` says.
    pub(crate) fn reset(&mut self, last: u64, position: Position) {
        (self.last, self.expected) = (last, None);
        self.acknowledge(position);
    }

    /// Whether nothing more can come after what is in the ring now.
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
