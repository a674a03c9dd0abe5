//! A sequencer on a small ring, a journal that the test controls, and messages to submit. The tests of feeds
//! and of the order gateway include this file, too; none uses all of it.
#![allow(dead_code)]

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use stele_bus::bounds::RING_LENGTH_MIN;
use stele_bus::{
    Agent, JournalReader, Liveness, LogRing, ManualClock, PortError, Publisher, Refusal, RemotePort,
    RemotePublisher, RingOptions, RingParts, RingView, SealMark, Sequencer, SequencerStart, Timers,
};
use stele_risk::{Risk, RiskLimits, SequencedEvent};
use stele_wire::bounds::FRAME_LENGTH_MAX;
use stele_wire::messages::{
    AccountDefinition, CancelOrder, InstrumentDefinition, NewOrder, OrderAccepted, PublisherGrant,
    PublisherProgress, RefusedOrder, Side, SubmissionRefused, VenueNotice,
};
use stele_wire::{Epoch, Frame, Identity, Nanos, Position, Quantity, Sequence, ShardId, TrailId};
use zerocopy::IntoBytes;

pub(crate) const BLOCK: usize = 4096;
pub(crate) const SEGMENT: u64 = 300 << 10;
pub(crate) const START: Nanos = Nanos(1_700_000_000_000_000_000);

pub(crate) struct Rig {
    pub(crate) sequencer: Sequencer<ManualClock>,
    pub(crate) clock: ManualClock,
    pub(crate) ring: LogRing,
    pub(crate) journal: JournalReader,
    pub(crate) seal: SealMark,
    pub(crate) start: SequencerStart,
    /// What the journal wrote, from the epoch's first position on.
    pub(crate) trail: Vec<u8>,
}

/// The start of an epoch that begins neither at the ring's first byte nor with sequence 1.
pub(crate) fn start() -> SequencerStart {
    SequencerStart {
        identity: Identity { trail: TrailId([7; 16]), shard: ShardId(1), epoch: Epoch(3) },
        next_sequence: Sequence(1_001),
        position: Position(100 * BLOCK as u64),
        last_timestamp: Nanos(START.0 - 5),
        segment_length: SEGMENT,
        block_length: BLOCK,
    }
}

/// The instruments that the checks of a [`Rig`] know. The highest bits of an id may number events.
const INSTRUMENTS: u32 = 8_192;

/// Checks that know the accounts 1 to 8 and some instruments, as from events of an earlier session.
pub(crate) fn defined(limits: RiskLimits) -> Risk {
    let mut risk = Risk::new(limits);
    for account in 1..=8 {
        let definition = AccountDefinition { account: account.into(), ..AccountDefinition::NULL };
        risk.on_sequenced(&SequencedEvent::of(&definition, Sequence(1), Nanos(1)));
    }
    for instrument in 1..=INSTRUMENTS {
        let definition = InstrumentDefinition {
            instrument: instrument.into(),
            multiplier: 1_000_000_000.into(),
            quantity_exponent: 0,
            ..InstrumentDefinition::NULL
        };
        risk.on_sequenced(&SequencedEvent::of(&definition, Sequence(1), Nanos(1)));
    }
    risk
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with_limits(RiskLimits { has_sealer: true, ..RiskLimits::default() })
    }

    pub(crate) fn with_limits(limits: RiskLimits) -> Self {
        Self::made(defined(limits), Timers::new())
    }

    pub(crate) fn with_risk(risk: Risk) -> Self {
        Self::made(risk, Timers::new())
    }

    pub(crate) fn with_timers(timers: Timers) -> Self {
        Self::made(defined(RiskLimits::default()), timers)
    }

    fn made(risk: Risk, timers: Timers) -> Self {
        let options = RingOptions { capacity: RING_LENGTH_MIN, huge_pages: false };
        Self::around(LogRing::create(&options, start().position).unwrap(), risk, timers)
    }

    /// A rig on a ring in shared memory.
    pub(crate) fn shared() -> Self {
        Self::shared_with(RiskLimits::default())
    }

    pub(crate) fn shared_with(limits: RiskLimits) -> Self {
        let options = RingOptions { capacity: RING_LENGTH_MIN, huge_pages: false };
        let parts = LogRing::create_shared(&options, start().position).unwrap();
        Self::over(parts, RiskLimits { has_sealer: true, ..limits })
    }

    /// The memory of the ring, as another process gets it.
    pub(crate) fn memory(&self) -> OwnedFd {
        self.ring.descriptor().expect("the ring is shared").try_clone_to_owned().unwrap()
    }

    /// The ring through another mapping, as in another process.
    pub(crate) fn view(&self) -> RingView {
        RingView::attach(self.memory(), Liveness::Process).unwrap()
    }

    /// The memory of a new lane, once what the publisher before committed is taken.
    pub(crate) fn open(&mut self, port: &mut RemotePort) -> OwnedFd {
        loop {
            match port.open() {
                Err(PortError::Busy) => self.cycle(),
                opened => return opened.unwrap(),
            };
        }
    }

    /// Connects a publisher, as another process does.
    pub(crate) fn connect(&mut self, port: &mut RemotePort) -> RemotePublisher {
        let lane = self.open(port);
        RemotePublisher::attach(self.view(), lane).unwrap()
    }

    /// A rig on a ring that begins at the position of [`start`].
    pub(crate) fn over(parts: RingParts, limits: RiskLimits) -> Self {
        Self::around(parts, defined(limits), Timers::new())
    }

    fn around(parts: RingParts, risk: Risk, timers: Timers) -> Self {
        let start = start();
        let RingParts { ring, writer, journal, seal } = parts;
        let clock = ManualClock::at(START);
        let sequencer = Sequencer::new(&start, writer, clock.clone(), risk).unwrap().with_timers(timers);
        Self { sequencer, clock, ring, journal, seal, start, trail: Vec::new() }
    }

    /// One duty cycle of the sequencer.
    pub(crate) fn cycle(&mut self) -> usize {
        self.sequencer.do_work().unwrap()
    }

    /// Duty cycles until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        while self.cycle() > 0 {}
    }

    /// The journal writes up to `bytes` of what is batched, as far as the ring's end.
    pub(crate) fn write(&mut self, bytes: u64) {
        let marks = self.ring.watermarks();
        let (from, batched) = (marks.written(), marks.batched());
        let to = self.journal.contiguous_end(from, batched.min(from.plus(bytes)));
        self.trail.extend_from_slice(self.journal.bytes(from, to));
        self.journal.advance_written(to);
    }

    /// The journal writes and flushes everything that is batched.
    pub(crate) fn flush(&mut self) {
        while self.ring.watermarks().written() < self.ring.watermarks().batched() {
            self.write(u64::MAX >> 1);
        }
        self.journal.advance_durable(self.ring.watermarks().written());
    }

    /// Closes the open batch by letting it grow old.
    pub(crate) fn close_batch(&mut self) {
        self.clock.advance(Nanos(200_000));
        self.settle();
    }

    /// Every frame of the trail, checked: checksum, numbering, time, ends of ring and segment.
    pub(crate) fn verified_trail(&self) -> Vec<(Position, Frame<'_>)> {
        let seed = self.start.identity.seed();
        let (mut position, mut expected) = (self.start.position, self.start.next_sequence);
        let mut last_timestamp = self.start.last_timestamp;
        let mut frames = Vec::new();
        let mut rest = &self.trail[..];
        while !rest.is_empty() {
            let frame = Frame::read(rest).unwrap();
            frame.verify(seed).unwrap();
            assert!(frame.timestamp() >= last_timestamp, "time goes back at {position}");
            last_timestamp = frame.timestamp();
            if frame.is_padding() {
                assert_eq!(frame.padding().unwrap().last_sequence.get() + 1, expected.0);
            } else {
                assert_eq!(frame.sequence(), expected);
                expected = expected.next();
            }
            let (last_byte, base) = (position.0 + frame.len() as u64 - 1, self.start.position.0);
            let capacity = self.ring.capacity() as u64;
            assert_eq!(position.0 / capacity, last_byte / capacity, "across the ring's end");
            assert_eq!((position.0 - base) / SEGMENT, (last_byte - base) / SEGMENT, "across a segment's end");
            assert!(frame.len() <= FRAME_LENGTH_MAX);
            frames.push((position, frame));
            position = position.plus(frame.len() as u64);
            rest = &rest[frame.len()..];
        }
        assert_eq!(position, self.ring.watermarks().written());
        frames
    }

    /// The events of the trail by template and body, without the sequencer's own events about numbering and
    /// refused submissions.
    pub(crate) fn trail_events(&self) -> Vec<(u16, Vec<u8>)> {
        let frames = self.verified_trail().into_iter().map(|(_, frame)| frame);
        let is_note = |id| {
            [
                PublisherGrant::TEMPLATE_ID,
                PublisherProgress::TEMPLATE_ID,
                RefusedOrder::TEMPLATE_ID,
                SubmissionRefused::TEMPLATE_ID,
            ]
            .contains(&id)
        };
        let events = frames.filter(|frame| !frame.is_padding() && !is_note(frame.template_id()));
        events.map(|frame| (frame.template_id(), frame.body().to_vec())).collect()
    }
}

/// Market data of `length` bytes of body whose content follows from `tag`; `length` is at least its block's.
pub(crate) fn notice(tag: u32, length: usize) -> Vec<u8> {
    let head = VenueNotice { instrument: tag.into(), ..VenueNotice::NULL };
    let mut body = head.as_bytes().to_vec();
    body.extend((body.len()..length).map(|index| (index as u32).wrapping_mul(tag | 1) as u8));
    body
}

pub(crate) fn order(client_order_id: u64, quantity: u64) -> NewOrder {
    NewOrder {
        client_order_id: client_order_id.into(),
        account: 1.into(),
        instrument: 1.into(),
        side: Side::BUY,
        quantity: Quantity(quantity).0.into(),
        limit_price: 1_000_000_000.into(),
        ..NewOrder::NULL
    }
}

/// An order as it is submitted: its block, an empty group and two empty texts.
pub(crate) fn order_body(order: &NewOrder) -> Vec<u8> {
    let mut buffer = [0; 512];
    order.encode(&mut buffer, [], b"", b"").unwrap().to_vec()
}

pub(crate) fn cancel(cancelled: u64) -> CancelOrder {
    CancelOrder { cancelled_order_id: cancelled.into(), ..CancelOrder::NULL }
}

pub(crate) fn accepted(client_order_id: u64) -> OrderAccepted {
    OrderAccepted { client_order_id: client_order_id.into(), ..OrderAccepted::NULL }
}

/// Submits until refused. Returns how many submissions were accepted, and the refusal.
pub(crate) fn fill(publisher: &mut Publisher, template_id: u16, body: &[u8]) -> (usize, Refusal) {
    let mut count = 0;
    loop {
        match publisher.offer(template_id, body, START) {
            Ok(()) => count += 1,
            Err(refusal) => return (count, refusal),
        }
    }
}

/// The submissions of each publisher, in the order in which they must appear.
pub(crate) type Expected = VecDeque<(u16, Vec<u8>)>;
