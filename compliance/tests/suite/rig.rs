//! A session driven by hand on one thread: sequencer, journal, order gateway, and a venue that accepts
//! everything.
#![allow(dead_code, reason = "each test that shares this rig uses a part of it")]

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::{Path, PathBuf};
use stele_bus::session::{SchemaDocument, SessionEnding};
use stele_bus::{
    Agent, AgentError, Clock as _, ControlPublisher, Event, Grants, LogRing, ManualClock, NOT_RECEIVED,
    Publisher, RecordedNumbers, Refusal, RingOptions, Sequencer, SessionBeginning, Watermark,
};
use stele_journal::format::{HeaderState, SegmentHeader, segment_name};
use stele_journal::{Journal, JournalOptions, TrailReader};
use stele_risk::{Risk, RiskLimits};
use stele_venue::{OrderGateway, Venue, VenueBusy};
use stele_wire::codec::Message;
use stele_wire::frame::seal;
use stele_wire::messages::{
    AccountDefinition, CreditAllotment, EndReason, InstrumentDefinition, NewOrder, OrderAccepted, OrderType,
    Side, SourceDefinition, StrategyDefinition, Trade,
};
use stele_wire::units::{Epoch, Nanos, Sequence};
use stele_wire::{Frame, Identity, Position, Price, Quantity};
use zerocopy::little_endian::{I64, U16, U32, U64};

/// Answers every order as soon as its publisher accepts the answer.
struct Accepting {
    publisher: Publisher,
    waiting: VecDeque<u64>,
}

impl Venue for Accepting {
    fn submit(&mut self, order: Event<'_>, _: Nanos) -> Result<(), VenueBusy> {
        self.waiting.push_back(order.sequence().0);
        Ok(())
    }

    fn do_work(&mut self, now: Nanos) -> Result<usize, AgentError> {
        let mut count = 0;
        while let Some(order) = self.waiting.front() {
            let accepted = OrderAccepted {
                instrument: U32::new(1),
                source: U16::new(9),
                order_sequence: U64::new(*order),
                account: U32::new(1),
                strategy: U16::new(1),
                ..OrderAccepted::NULL
            };
            if self.publisher.offer_message(&accepted, now).is_err() {
                break;
            }
            self.waiting.pop_front();
            count += 1;
        }
        Ok(count)
    }
}

/// The largest quantity that passes the risk check.
const QUANTITY_MAX: Quantity = Quantity(100);

pub(crate) struct Rig {
    clock: ManualClock,
    sequencer: Sequencer<ManualClock>,
    control: Publisher,
    feed: Publisher,
    gateway: OrderGateway<Accepting, ManualClock>,
    journal: Journal,
    ring: LogRing,
    first: u64,
    epoch: u32,
    /// The client order id of the last order.
    last_order_id: u64,
}

impl Rig {
    /// A session without an event.
    pub(crate) fn silent(folder: &Path) -> Self {
        let now = Nanos(1_700_000_000_000_000_000);
        let numbers = numbers(folder);
        let options = JournalOptions { segment_length: 256 << 10, ..JournalOptions::default() };
        let opened = Journal::open(folder, &options, now).unwrap();
        let start = opened.start;
        let ring = RingOptions { capacity: 4 << 20, ..RingOptions::default() };
        let parts = LogRing::create(&ring, start.position).unwrap();
        let clock = ManualClock::at(now);
        let limits = RiskLimits { order_quantity_max: Some(QUANTITY_MAX), ..RiskLimits::default() };
        let risk = Risk::new(limits);
        let mut sequencer = Sequencer::new(&start, parts.writer, clock.clone(), risk).unwrap();
        sequencer.continue_numbering(numbers);
        let mut publisher = |id, name| sequencer.publisher(id, name, 64 << 10, Grants::all());
        let (control, feed) = (publisher(1, "control"), publisher(2, "feed"));
        let (releases, reports) = (publisher(4, "gateway"), publisher(5, "venue"));
        let venue = Accepting { publisher: reports, waiting: VecDeque::new() };
        let consumer = sequencer.gating_consumer("reader");
        let gateway =
            OrderGateway::new("gateway", consumer, releases, Watermark::Durable, venue, clock.clone());
        let (journal, _) = opened.attach(parts.journal).unwrap();
        let (first, epoch) = (start.next_sequence.0, start.identity.epoch.0);
        Self {
            clock,
            sequencer,
            control,
            feed,
            gateway,
            journal,
            ring: parts.ring,
            first,
            epoch,
            last_order_id: first,
        }
    }

    /// A session with its schema and definitions.
    pub(crate) fn open(folder: &Path) -> Self {
        let mut rig = Self::silent(folder);
        let schema = SchemaDocument::stele();
        let identity = Identity { epoch: Epoch(rig.epoch), ..Identity::default() };
        let credit = i64::MAX - 1;
        let allotment = CreditAllotment {
            account: U32::new(0),
            shard: U32::new(0),
            amount: I64::new(credit),
            firm_limit: I64::new(credit),
            ..CreditAllotment::NULL
        };
        let source = |source| (SourceDefinition { source: U16::new(source), ..SourceDefinition::NULL }, "");
        let session = SessionBeginning {
            schemas: vec![schema],
            allotments: vec![allotment],
            accounts: vec![AccountDefinition { account: U32::new(1), ..AccountDefinition::NULL }],
            sources: vec![source(2), source(9)],
            ..SessionBeginning::new(&identity, rig.clock.now())
                .following(Sequence(rig.first - 1), None)
                .of_schema(&schema)
        };
        let mut control = ControlPublisher::new(|template_id: u16, body: &[u8]| {
            rig.submit(template_id, body);
            Ok(())
        });
        control.begin(&session).unwrap();
        let mut buffer = [0; 1_024];
        let instrument = InstrumentDefinition {
            instrument: U32::new(1),
            multiplier: I64::new(Price::SCALE),
            quantity_exponent: 0,
            ..InstrumentDefinition::NULL
        };
        rig.say::<InstrumentDefinition>(instrument.encode(&mut buffer, []).unwrap());
        let strategy = StrategyDefinition { strategy: U16::new(1), ..StrategyDefinition::NULL };
        rig.say::<StrategyDefinition>(strategy.encode(&mut buffer, b"").unwrap());
        rig.settle();
        rig
    }

    /// Publishes a message, with turns until it is accepted.
    pub(crate) fn say<M: Message>(&mut self, body: &[u8]) {
        self.submit(M::TEMPLATE_ID, body);
    }

    fn submit(&mut self, template_id: u16, body: &[u8]) {
        while let Err(refusal) = self.control.offer(template_id, body, NOT_RECEIVED) {
            assert!(refusal.is_transient(), "{refusal:?}");
            self.turn();
        }
    }

    /// Publishes `count` trades and an order after every tenth, and waits until everything is durable and
    /// answered. The first five orders are released and answered one by one, whatever the speed of the disk.
    /// One further order is too large and refused.
    pub(crate) fn trade(&mut self, count: u64) {
        for number in 1..=count {
            let trade = Trade {
                instrument: U32::new(1),
                source: U16::new(2),
                trade_id: U64::new(number),
                ..Trade::NULL
            };
            while let Err(refusal) = self.feed.offer_message(&trade, NOT_RECEIVED) {
                assert_eq!(refusal, Refusal::RingFull);
                self.turn();
            }
            if number % 10 == 0 {
                self.turn();
                self.order(Quantity(1));
                if number <= 50 {
                    self.settle();
                }
            }
        }
        self.order(Quantity(QUANTITY_MAX.0 + 1));
        self.settle();
    }

    fn order(&mut self, quantity: Quantity) {
        self.last_order_id += 1;
        let order = NewOrder {
            instrument: U32::new(1),
            account: U32::new(1),
            strategy: U16::new(1),
            order_type: OrderType::LIMIT,
            side: Side::BUY,
            quantity: U64::new(quantity.0),
            limit_price: I64::new(1),
            cause: U64::new(self.sequencer.next_sequence().0 - 1),
            client_order_id: U64::new(self.last_order_id),
            ..NewOrder::NULL
        };
        let mut buffer = [0; 512];
        let body = order.encode(&mut buffer, [], &[], &[]).unwrap().to_vec();
        self.say::<NewOrder>(&body);
    }

    fn turn(&mut self) {
        self.clock.advance(Nanos(10_000));
        self.sequencer.do_work().unwrap();
        self.journal.do_work().unwrap();
        self.gateway.do_work().unwrap();
    }

    /// Runs turns until nothing more happens and everything is durable.
    fn settle(&mut self) {
        let mut quiet = 0;
        for turn in 0..1_000_000 {
            let before = self.sequencer.next_sequence();
            self.turn();
            if turn > 100_000 {
                // The disk is busy with other writes.
                std::thread::sleep(std::time::Duration::from_micros(20));
            }
            let marks = self.ring.watermarks();
            let is_quiet = marks.durable() == marks.published() && before == self.sequencer.next_sequence();
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if quiet == 10 {
                return;
            }
        }
        panic!("not quiet after a million turns");
    }

    /// The durable position of the log.
    pub(crate) fn durable(&self) -> Position {
        self.ring.watermarks().durable()
    }

    /// Ends the session in order. Returns the last sequence.
    pub(crate) fn stop(mut self) -> u64 {
        let last = self.sequencer.next_sequence().0;
        let (epoch, now) = (Epoch(self.epoch), self.clock.now());
        let mut control = ControlPublisher::new(|template_id: u16, body: &[u8]| {
            self.submit(template_id, body);
            Ok(())
        });
        control.end(&SessionEnding { epoch, reason: EndReason::FINISHED, now, text: "" }).unwrap();
        self.settle();
        self.ring.request_stop();
        while !self.ring.is_stopped() {
            self.turn();
        }
        self.journal.stop().unwrap();
        last
    }
}

/// The bytes of one segment file, to be altered.
pub(crate) struct Frames {
    path: PathBuf,
    header: SegmentHeader,
    pub(crate) bytes: Vec<u8>,
}

impl Frames {
    pub(crate) fn read(folder: &Path, index: u64) -> Self {
        let path = folder.join(segment_name(index));
        let bytes = std::fs::read(&path).unwrap();
        let header = *HeaderState::read(&bytes[..4096]).header().unwrap();
        Self { path, header, bytes }
    }

    /// The range of message number `nth` of this template, from 0.
    pub(crate) fn nth(&self, template_id: u16, nth: usize) -> Range<usize> {
        let mut at = 4096;
        let mut seen = 0;
        loop {
            let frame = Frame::read(&self.bytes[at..]).expect("the segment has that many");
            if frame.template_id() == template_id {
                if seen == nth {
                    return at..at + frame.len();
                }
                seen += 1;
            }
            at += frame.len();
        }
    }

    pub(crate) fn sequence(&self, place: &Range<usize>) -> u64 {
        Frame::read(&self.bytes[place.clone()]).unwrap().sequence().0
    }

    /// Recomputes the CRC of the frame.
    pub(crate) fn mend(&mut self, place: Range<usize>) {
        seal(&mut self.bytes[place], self.header.identity.seed());
    }

    pub(crate) fn write(&self) {
        write(&self.path, &self.bytes);
    }
}

/// Replaces a file that may be read-only.
pub(crate) fn write(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// The last number of each publisher in the earlier sessions of the trail.
fn numbers(folder: &Path) -> BTreeMap<u16, u64> {
    let mut numbers = RecordedNumbers::default();
    // Without an earlier session there is nothing to read.
    if let Ok(mut reader) = TrailReader::open(folder) {
        while let Some(entry) = reader.read_next().unwrap() {
            numbers.on_event(&entry.frame);
        }
    }
    numbers.last
}
