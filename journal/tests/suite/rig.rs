//! A sequencer, one publisher and a journal, driven by hand on one thread.
#![allow(dead_code)]

use std::path::Path;
use std::time::{Duration, Instant};
use stele_bus::{Agent, Grants, LogRing, ManualClock, Publisher, RingOptions, Sequencer, SequencerStart};
use stele_journal::{EngineNotice, Journal, JournalOptions, OpenError, RecoveryReport, TrailReader};
use stele_risk::{Risk, RiskLimits};
use stele_wire::messages::Trade;
use stele_wire::units::{Nanos, Position, Sequence};
use zerocopy::IntoBytes;
use zerocopy::little_endian::U64;

pub(crate) struct Rig {
    pub(crate) clock: ManualClock,
    pub(crate) sequencer: Sequencer<ManualClock>,
    pub(crate) publisher: Publisher,
    pub(crate) journal: Journal,
    pub(crate) ring: LogRing,
    pub(crate) start: SequencerStart,
    pub(crate) recovery: RecoveryReport,
    pub(crate) notices: Vec<EngineNotice>,
    pub(crate) published: u64,
}

pub(crate) fn options() -> JournalOptions {
    JournalOptions { segment_length: 256 << 10, ..JournalOptions::default() }
}

impl Rig {
    pub(crate) fn open(path: &Path, options: &JournalOptions) -> Result<Self, OpenError> {
        Self::open_at(path, options, Nanos(1_000_000))
    }

    pub(crate) fn open_at(path: &Path, options: &JournalOptions, now: Nanos) -> Result<Self, OpenError> {
        let opened = Journal::open(path, options, now)?;
        let (start, recovery) = (opened.start, opened.recovery.clone());
        let ring_options = RingOptions { capacity: 1 << 20, ..RingOptions::default() };
        let parts = LogRing::create(&ring_options, start.position).unwrap();
        let clock = ManualClock::at(now);
        let risk = Risk::new(RiskLimits::default());
        let mut sequencer = Sequencer::new(&start, parts.writer, clock.clone(), risk).unwrap();
        let publisher = sequencer.publisher(1, "test", 64 << 10, Grants::all());
        let (journal, notices) = opened.attach(parts.journal)?;
        let ring = parts.ring;
        Ok(Self { clock, sequencer, publisher, journal, ring, start, recovery, notices, published: 0 })
    }

    /// Publishes `count` trades, driving sequencer and journal whenever a ring is full.
    pub(crate) fn publish(&mut self, count: u64) {
        for _ in 0..count {
            self.published += 1;
            let trade = Trade { trade_id: U64::new(self.published), ..Trade::NULL };
            loop {
                match self.publisher.offer(Trade::TEMPLATE_ID, trade.as_bytes(), Nanos(1)) {
                    Ok(()) => break,
                    Err(refusal) if refusal.is_transient() => self.turn(),
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    }

    /// Runs one duty cycle of each, 10 µs apart.
    pub(crate) fn turn(&mut self) {
        self.clock.advance(Nanos(10_000));
        self.sequencer.do_work().unwrap();
        self.journal.do_work().unwrap();
    }

    /// Runs duty cycles until everything published is durable. Preparing a segment may take the disk a while.
    pub(crate) fn settle(&mut self) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            self.turn();
            let marks = self.ring.watermarks();
            if marks.durable() == marks.published() && self.sequencer.next_sequence().0 > self.published {
                return;
            }
        }
        panic!("not durable after 30 s: {:?}", self.ring.watermarks());
    }

    /// Stops as a program does: the sequencer first, then the journal.
    pub(crate) fn stop(mut self) -> (Position, Sequence) {
        self.settle();
        self.ring.request_stop();
        for _ in 0..1_000_000 {
            if self.ring.is_stopped() {
                break;
            }
            self.turn();
        }
        assert!(self.ring.is_stopped());
        self.journal.stop().unwrap();
        (self.ring.watermarks().durable(), Sequence(self.sequencer.next_sequence().0 - 1))
    }

    /// Ends without stopping anything, like a kill, except that writes in flight complete.
    pub(crate) fn kill(self) {}
}

/// Returns the sequences on the trail, which must have no gap.
pub(crate) fn read_all(path: &Path) -> Vec<u64> {
    let mut reader = TrailReader::open(path).unwrap();
    let mut all = Vec::new();
    while let Some(entry) = reader.read_next().unwrap() {
        all.push(entry.frame.sequence().0);
    }
    all
}
