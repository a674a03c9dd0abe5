//! Random schedules of publishers with grants, resets, crashes and retries, against a naive model that
//! predicts the whole log.

use super::Sequencer;
use crate::agent::Agent as _;
use crate::bounds::RING_LENGTH_MIN;
use crate::clock::ManualClock;
use crate::consumer::GatingConsumer;
use crate::grants::Grants;
use crate::head::SequencerStart;
use crate::publisher::Publisher;
use crate::recorded::RecordedNumbers;
use crate::ring::{LogRing, RingOptions};
use crate::submission::NOT_RECEIVED;
use crate::templates::template;
use std::collections::BTreeMap;
use stele_risk::{Risk, RiskLimits};
use stele_wire::messages::{
    AccountDefinition, CancelOrder, CancelScope, Check, GrantGroups, InstrumentDefinition,
    InstrumentDefinitionLegs, KillSwitch, NewOrder, OrderAccepted, OrderRejected, OrderReleased,
    PublisherGrant, PublisherProgress, PublisherReset, RefusalReason, RefusedOrder, RiskDecision, Side,
    SubmissionRefused, SwitchState, TimerFired, TimerSet, VenueNotice,
};
use stele_wire::{Frame, Identity, Nanos, Position, Sequence};
use zerocopy::IntoBytes;

/// Sessions of one log, each a schedule with other grants.
const SESSIONS: usize = 25;
const LOGS: u64 = 80;
const _: () = assert!(LOGS as usize * SESSIONS == 2_000);
/// The publishers: two in other processes, a strategy's and an operator's.
const IDS: [u16; 4] = [101, 102, 3, 6];
const OPERATOR: usize = 3;
/// A strategy without orders, so that its switch stops nothing else.
const IDLE: u32 = 99;

struct Random(u64);

impl Random {
    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ word >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// What is submitted.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Notice,
    Order { account: u32, strategy: u16 },
    Cancel { account: u32, strategy: u16 },
    Timer { strategy: u16 },
    Accepted,
    Released,
    StopIdle,
    ReleaseIdle,
    Fired,
    Reset { target: u16, new: u64, party: u32, approved_by: u32 },
}

/// An event of the log, as far as the model predicts it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Entry {
    Grant {
        publisher: u16,
        last: u64,
    },
    Progress {
        publisher: u16,
        number: u64,
    },
    /// With the tag of the submission, and publisher and number where the message carries them.
    Event {
        template_id: u16,
        tag: u64,
        origin: Option<(u16, u64)>,
    },
    Refused {
        publisher: u16,
        number: u64,
    },
    Rejected {
        tag: u64,
        value: i64,
    },
    Decision,
    UsedUp {
        publisher: u16,
        count: u64,
        first: u64,
        last: u64,
    },
    Reset {
        target: u16,
        last: u64,
        new: u64,
    },
}

/// The model of one publisher.
#[derive(Clone, Debug)]
struct Peer {
    groups: GrantGroups,
    accounts: Vec<u32>,
    strategies: Vec<u16>,
    step: u64,
    is_outside: bool,
    is_granted: bool,
    last: u64,
    expected: Option<u64>,
    used_up: Option<(u64, u64, u64)>,
    /// The highest number that its client has sent.
    sent: u64,
}

#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Counts {
    duplicates: u64,
    jumps: u64,
    not_granted: u64,
}

impl Kind {
    fn group(self) -> GrantGroups {
        match self {
            Self::Notice => GrantGroups::MARKET,
            Self::Order { .. } | Self::Cancel { .. } => GrantGroups::ORDERS,
            Self::Timer { .. } => GrantGroups::STRATEGY_OWN,
            Self::Accepted => GrantGroups::REPORTS,
            Self::Released => GrantGroups::RELEASE,
            Self::StopIdle | Self::ReleaseIdle | Self::Reset { .. } => GrantGroups::OPERATOR,
            Self::Fired => GrantGroups::EMPTY,
        }
    }

    /// Whether the message carries the publisher's number.
    fn is_numbered(self) -> bool {
        matches!(self, Self::Order { .. } | Self::Cancel { .. } | Self::Timer { .. })
    }

    /// The template and the body. Where it carries an identity, a wrong one is submitted.
    fn message(self, tag: u64) -> (u16, Vec<u8>) {
        let (publisher, publisher_sequence) =
            (IDS[tag as usize % IDS.len()].into(), (u64::MAX - tag % 2).into());
        let mut buffer = [0; 512];
        let body = match self {
            Self::Notice => {
                VenueNotice { instrument: (tag as u32).into(), ..VenueNotice::NULL }.as_bytes().to_vec()
            }
            Self::Order { account, strategy } => {
                let order = NewOrder {
                    publisher,
                    publisher_sequence,
                    client_order_id: tag.into(),
                    account: account.into(),
                    strategy: strategy.into(),
                    instrument: 1.into(),
                    side: Side::BUY,
                    quantity: 1.into(),
                    limit_price: 1_000_000_000.into(),
                    ..NewOrder::NULL
                };
                order.encode(&mut buffer, [], b"", b"").unwrap().to_vec()
            }
            Self::Cancel { account, strategy } => CancelOrder {
                publisher,
                publisher_sequence,
                client_order_id: tag.into(),
                account: account.into(),
                strategy: strategy.into(),
                ..CancelOrder::NULL
            }
            .as_bytes()
            .to_vec(),
            Self::Timer { strategy } => TimerSet {
                timer_id: tag.into(),
                publisher,
                publisher_sequence,
                strategy: strategy.into(),
                ..TimerSet::NULL
            }
            .as_bytes()
            .to_vec(),
            Self::Accepted => {
                OrderAccepted { client_order_id: tag.into(), ..OrderAccepted::NULL }.as_bytes().to_vec()
            }
            Self::Released => {
                OrderReleased { through_sequence: tag.into(), gateway: publisher, ..OrderReleased::NULL }
                    .as_bytes()
                    .to_vec()
            }
            Self::StopIdle | Self::ReleaseIdle => {
                let is_stop = matches!(self, Self::StopIdle);
                let state = if is_stop { SwitchState::ENGAGED } else { SwitchState::RELEASED };
                let (scope, scope_id) = (CancelScope::STRATEGY, IDLE.into());
                let switch = KillSwitch {
                    scope,
                    scope_id,
                    state,
                    party: (tag as u32).into(),
                    approved_by: u32::MAX.into(),
                    ..KillSwitch::NULL
                };
                switch.encode(&mut buffer, b"").unwrap().to_vec()
            }
            Self::Fired => TimerFired { timer_id: tag.into(), ..TimerFired::NULL }.as_bytes().to_vec(),
            Self::Reset { target, new, party, approved_by } => {
                let reset = PublisherReset {
                    new_number: new.into(),
                    party: party.into(),
                    approved_by: approved_by.into(),
                    publisher: target.into(),
                    ..PublisherReset::NULL
                };
                reset.encode(&mut buffer, b"why").unwrap().to_vec()
            }
        };
        let template_id = match self {
            Self::Notice => VenueNotice::TEMPLATE_ID,
            Self::Order { .. } => NewOrder::TEMPLATE_ID,
            Self::Cancel { .. } => CancelOrder::TEMPLATE_ID,
            Self::Timer { .. } => TimerSet::TEMPLATE_ID,
            Self::Accepted => OrderAccepted::TEMPLATE_ID,
            Self::Released => OrderReleased::TEMPLATE_ID,
            Self::StopIdle | Self::ReleaseIdle => KillSwitch::TEMPLATE_ID,
            Self::Fired => TimerFired::TEMPLATE_ID,
            Self::Reset { .. } => PublisherReset::TEMPLATE_ID,
        };
        assert!(body.len() >= template(template_id).unwrap().block_length.into());
        (template_id, body)
    }
}

/// Reads what the model predicts from an event; none for events that it does not.
fn entry(frame: &Frame<'_>) -> Option<Entry> {
    macro_rules! event {
        ($message:ident, $tag:ident) => {{
            let it = frame.message::<$message>()?;
            Some(Entry::Event {
                template_id: $message::TEMPLATE_ID,
                tag: u64::from(it.$tag.get()),
                origin: None,
            })
        }};
        ($message:ident, $tag:ident, $publisher:ident, $number:ident) => {{
            let it = frame.message::<$message>()?;
            let origin = Some((it.$publisher.get(), it.$number.get()));
            Some(Entry::Event { template_id: $message::TEMPLATE_ID, tag: it.$tag.get(), origin })
        }};
    }
    match frame.template_id() {
        PublisherGrant::TEMPLATE_ID => {
            let it = frame.message::<PublisherGrant>()?;
            Some(Entry::Grant { publisher: it.publisher.get(), last: it.last_number.get() })
        }
        PublisherProgress::TEMPLATE_ID => {
            let it = frame.message::<PublisherProgress>()?;
            Some(Entry::Progress { publisher: it.publisher.get(), number: it.publisher_sequence.get() })
        }
        VenueNotice::TEMPLATE_ID => event!(VenueNotice, instrument),
        NewOrder::TEMPLATE_ID => event!(NewOrder, client_order_id, publisher, publisher_sequence),
        CancelOrder::TEMPLATE_ID => event!(CancelOrder, client_order_id, publisher, publisher_sequence),
        TimerSet::TEMPLATE_ID => event!(TimerSet, timer_id, publisher, publisher_sequence),
        OrderAccepted::TEMPLATE_ID => event!(OrderAccepted, client_order_id),
        OrderReleased::TEMPLATE_ID => event!(OrderReleased, through_sequence, gateway, through_sequence),
        KillSwitch::TEMPLATE_ID => event!(KillSwitch, party),
        RefusedOrder::TEMPLATE_ID => {
            let it = frame.message::<RefusedOrder>()?;
            Some(Entry::Refused { publisher: it.publisher.get(), number: it.publisher_sequence.get() })
        }
        OrderRejected::TEMPLATE_ID => {
            let it = frame.message::<OrderRejected>()?;
            assert_eq!(it.check, Check::NOT_GRANTED);
            Some(Entry::Rejected { tag: it.client_order_id.get(), value: it.value.get() })
        }
        RiskDecision::TEMPLATE_ID => Some(Entry::Decision),
        SubmissionRefused::TEMPLATE_ID => {
            let it = frame.message::<SubmissionRefused>()?;
            let is_predicted = it.reason == RefusalReason::NOT_GRANTED && it.publisher.get() > 100;
            is_predicted.then(|| Entry::UsedUp {
                publisher: it.publisher.get(),
                count: it.count.get(),
                first: it.first_publisher_sequence.get(),
                last: it.last_publisher_sequence.get(),
            })
        }
        PublisherReset::TEMPLATE_ID => {
            let it = frame.message::<PublisherReset>()?;
            let (last, new) = (it.last_number.get(), it.new_number.get());
            Some(Entry::Reset { target: it.publisher.get(), last, new })
        }
        InstrumentDefinition::TEMPLATE_ID | AccountDefinition::TEMPLATE_ID => None,
        other => panic!("template {other} is not expected"),
    }
}

struct World {
    random: Random,
    /// None only while the process restarts.
    running: Option<Sequencer<ManualClock>>,
    publishers: Vec<Publisher>,
    consumer: GatingConsumer,
    /// The frames of the log, of all sessions.
    frames: Vec<Vec<u8>>,
    /// The frames and entries of earlier sessions.
    kept: (usize, usize),
    entries: Vec<Entry>,
    peers: Vec<Peer>,
    counts: Counts,
    four_eyes: bool,
    tag: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let four_eyes = random.below(2) == 0;
        let peers: Vec<Peer> = (0..IDS.len()).map(|index| peer(&mut random, index)).collect();
        let risk = Risk::new(RiskLimits { four_eyes, ..RiskLimits::default() });
        let (sequencer, publishers, consumer) = open(&[], &peers, risk);
        let mut world = Self {
            random,
            running: Some(sequencer),
            publishers,
            consumer,
            frames: Vec::new(),
            kept: (0, 0),
            entries: Vec::new(),
            peers,
            counts: Counts::default(),
            four_eyes,
            tag: 0,
        };
        world.read();
        world
    }

    fn sequencer(&mut self) -> &mut Sequencer<ManualClock> {
        self.running.as_mut().expect("it runs")
    }

    /// A publisher sends some submissions, which are sequenced together.
    fn send(&mut self) {
        let at = self.random.below(IDS.len() as u64) as usize;
        for _ in 0..=self.random.below(5) {
            let number = self.number(at);
            let kind = self.kind(at);
            self.tag += 1;
            let (template_id, body) = kind.message(self.tag);
            self.publishers[at].continue_after(number - 1);
            self.publishers[at].offer(template_id, &body, NOT_RECEIVED).unwrap();
            if number < 1 << 62 {
                self.peers[at].sent = self.peers[at].sent.max(number);
            }
            let (after, tag) = (self.entries.len(), self.tag);
            self.predict(at, number, kind, tag);
            // A reset ends the chunk.
            if self.entries[after..]
                .iter()
                .any(|entry| matches!(entry, Entry::Reset { .. } | Entry::Decision))
            {
                self.report_used_up(at);
            }
        }
        self.report_used_up(at);
        while self.sequencer().do_work().unwrap() > 0 {}
        self.read();
        let intakes = &self.running.as_ref().expect("it runs").intakes;
        for (intake, peer) in intakes.iter().zip(&self.peers) {
            assert_eq!(intake.last, peer.last, "publisher {}", intake.id);
        }
    }

    /// The next number, a retry, a skip, or one that is far ahead.
    fn number(&mut self, at: usize) -> u64 {
        let (next, step) = (self.peers[at].last + 1, self.peers[at].step);
        match self.random.below(8) {
            0..5 => next,
            5 => 1 + self.random.below(self.peers[at].sent.max(1)),
            6 => next + self.random.below(step + 2),
            _ => u64::MAX - 1 - self.random.below(3),
        }
    }

    fn kind(&mut self, at: usize) -> Kind {
        let (account, strategy) = (1 + self.random.below(3) as u32, 1 + self.random.below(3) as u16);
        match self.random.below(if at == OPERATOR { 14 } else { 12 }) {
            0..3 => Kind::Notice,
            3..6 => Kind::Order { account, strategy },
            6 => Kind::Cancel { account, strategy },
            7 => Kind::Timer { strategy },
            8 => Kind::Accepted,
            9 => Kind::Released,
            10 if strategy == 1 => Kind::Fired,
            10 => Kind::StopIdle,
            11 => Kind::ReleaseIdle,
            _ => {
                let last = self.peers[at].last;
                let target = [IDS[0], IDS[1], IDS[2], IDS[3], 77][self.random.below(5) as usize];
                let new = [0, last / 2, last + 3, 1 << 62, 1 << 63][self.random.below(5) as usize];
                let (party, approved_by) = (self.random.below(3) as u32, self.random.below(3) as u32);
                Kind::Reset { target, new, party, approved_by }
            }
        }
    }

    fn predict(&mut self, at: usize, number: u64, kind: Kind, tag: u64) {
        let peer = &mut self.peers[at];
        if number <= peer.last {
            self.counts.duplicates += 1;
            return;
        }
        if number - peer.last > peer.step {
            self.counts.jumps += 1;
            return;
        }
        match peer.check(kind) {
            Ok(()) => {
                self.note(at, number, kind);
                self.append(at, number, kind, tag);
            }
            Err(value) => {
                self.counts.not_granted += 1;
                if let (Some(id), Kind::Order { .. }) = (value, kind) {
                    self.note(at, number, kind);
                    self.entries.push(Entry::Refused { publisher: IDS[at], number });
                    self.entries.push(Entry::Rejected { tag, value: id.into() });
                    return;
                }
                let peer = &mut self.peers[at];
                (peer.last, peer.expected) = (number, None);
                let (count, first, _) = peer.used_up.unwrap_or((0, number, number));
                peer.used_up = Some((count + 1, first.min(number), number));
            }
        }
    }

    fn note(&mut self, at: usize, number: u64, kind: Kind) {
        let publisher = IDS[at];
        if self.peers[at].is_outside {
            self.report_used_up(at);
        }
        let peer = &mut self.peers[at];
        let is_next = peer.expected == Some(number);
        if !is_next || peer.is_outside {
            if !peer.is_granted {
                self.entries.push(Entry::Grant { publisher, last: peer.last });
                peer.is_granted = true;
            }
            if !is_next || !kind.is_numbered() {
                self.entries.push(Entry::Progress { publisher, number: number - 1 });
            }
        }
        (peer.last, peer.expected) = (number, Some(number + 1));
    }

    fn append(&mut self, at: usize, number: u64, kind: Kind, tag: u64) {
        let Kind::Reset { target, new, party, approved_by } = kind else {
            let origin = match kind {
                Kind::Released => Some((IDS[at], tag)),
                _ if kind.is_numbered() => Some((IDS[at], number)),
                _ => None,
            };
            self.entries.push(Entry::Event { template_id: kind.message(tag).0, tag, origin });
            return;
        };
        let peer = IDS.iter().position(|id| *id == target).map(|index| &mut self.peers[index]);
        let are_two = party != 0 && approved_by != 0 && party != approved_by;
        match peer {
            Some(peer) if new <= 1 << 62 && party != 0 && (!self.four_eyes || are_two) => {
                self.entries.push(Entry::Reset { target, last: peer.last, new });
                (peer.last, peer.expected) = (new, None);
            }
            _ => self.entries.push(Entry::Decision),
        }
    }

    fn report_used_up(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        let Some((count, first, last)) = peer.used_up.take() else { return };
        if peer.is_outside {
            self.entries.push(Entry::UsedUp { publisher: IDS[at], count, first, last });
        }
    }

    /// Reads what was published and compares it with what was predicted.
    fn read(&mut self) {
        let frames = &mut self.frames;
        self.consumer.poll(usize::MAX, |event| frames.push(event.frame().bytes().to_vec()));
        let found: Vec<Entry> = self.frames[self.kept.0..]
            .iter()
            .filter_map(|bytes| entry(&Frame::read(bytes).unwrap()))
            .collect();
        let found: Vec<Entry> = found.into_iter().filter(|found| !is_of_setup(found)).collect();
        assert_eq!(found, self.entries[self.kept.1..]);
    }

    /// The process dies and starts again with other grants. The log ends after any event of the session, or
    /// after its last. Numbers continue from what is left.
    fn crash(&mut self) {
        self.compare_counts();
        let old = self.running.take().expect("it runs");
        let risk = if self.random.below(10) == 0 { self.lose_tail() } else { old.desk.risk };
        self.kept = (self.frames.len(), self.entries.len());
        let lasts = last_numbers(&self.entries);
        for index in 0..IDS.len() {
            let (last, sent) = (self.peers[index].last, self.peers[index].sent);
            self.peers[index] = Peer { last, sent, ..peer(&mut self.random, index) };
        }
        let (sequencer, publishers, consumer) = open(&self.frames, &self.peers, risk);
        (self.publishers, self.consumer) = (publishers, consumer);
        for (intake, peer) in sequencer.intakes.iter().zip(&mut self.peers) {
            if peer.is_outside {
                let expected = lasts.get(&intake.id).copied().unwrap_or(0);
                assert_eq!(intake.last, expected, "publisher {}", intake.id);
            }
            peer.last = intake.last;
        }
        self.running = Some(sequencer);
        self.counts = Counts::default();
        self.read();
    }

    /// Cuts the session's log after any event, and gives the state of the risk checks there.
    fn lose_tail(&mut self) -> Risk {
        let session = self.frames.len() - self.kept.0;
        self.frames.truncate(self.kept.0 + self.random.below(session as u64 + 1) as usize);
        let is_kept = |bytes: &&Vec<u8>| {
            let entry = entry(&Frame::read(bytes).unwrap());
            entry.is_some_and(|entry| !is_of_setup(&entry))
        };
        let entries = self.frames[self.kept.0..].iter().filter(is_kept).count();
        self.entries.truncate(self.kept.1 + entries);
        let mut risk = Risk::new(RiskLimits { four_eyes: self.four_eyes, ..RiskLimits::default() });
        self.frames.iter().for_each(|bytes| risk.on_event(&Frame::read(bytes).unwrap()));
        risk
    }

    fn compare_counts(&self) {
        let refused = self.running.as_ref().expect("it runs").statistics().refused;
        let found = Counts {
            duplicates: refused.of(RefusalReason::DUPLICATE),
            jumps: refused.of(RefusalReason::NUMBER_JUMP),
            not_granted: refused.of(RefusalReason::NOT_GRANTED),
        };
        assert_eq!(found, self.counts);
    }
}

impl Peer {
    /// None: the group is not granted. Some: the account or strategy is not.
    fn check(&self, kind: Kind) -> Result<(), Option<u32>> {
        let is_strategy =
            |id: u32| self.strategies.is_empty() || self.strategies.iter().any(|own| u32::from(*own) == id);
        if kind.group() == GrantGroups::EMPTY || !self.groups.contains(kind.group()) {
            let is_own = matches!(kind, Kind::StopIdle) && self.groups.contains(GrantGroups::STRATEGY_OWN);
            return if is_own && is_strategy(IDLE) { Ok(()) } else { Err(None) };
        }
        let is_account = |id: u32| self.accounts.is_empty() || self.accounts.contains(&id);
        match kind {
            Kind::Order { account, strategy } | Kind::Cancel { account, strategy } => {
                // The first field of the block that is outside.
                if !is_strategy(strategy.into()) {
                    return Err(Some(strategy.into()));
                }
                if is_account(account) { Ok(()) } else { Err(Some(account)) }
            }
            Kind::Timer { strategy } if !is_strategy(strategy.into()) => Err(Some(strategy.into())),
            Kind::Accepted if !self.strategies.is_empty() || !self.accounts.is_empty() => Err(Some(0)),
            Kind::StopIdle | Kind::ReleaseIdle
                if !self.strategies.is_empty() || !self.accounts.is_empty() =>
            {
                Err(Some(IDLE))
            }
            _ => Ok(()),
        }
    }

    fn grants(&self) -> Grants {
        let grants = Grants::from(self.groups).with_number_step_max(Some(self.step));
        grants.for_accounts(self.accounts.iter().copied()).for_strategies(self.strategies.iter().copied())
    }
}

fn peer(random: &mut Random, index: usize) -> Peer {
    let is_operator = index == OPERATOR;
    let groups = random.next() as u16 & !GrantGroups::SESSION.bits() & 0xFF;
    let groups = GrantGroups::from_bits(groups);
    let some = |random: &mut Random| (1..=3).filter(|_| random.below(2) == 0).collect::<Vec<u16>>();
    let is_scoped = !is_operator && random.below(2) == 0;
    let (accounts, strategies) =
        if is_scoped { (some(random), some(random)) } else { (Vec::new(), Vec::new()) };
    Peer {
        groups: if is_operator {
            groups | GrantGroups::OPERATOR
        } else {
            groups.without(GrantGroups::OPERATOR)
        },
        accounts: accounts.into_iter().map(u32::from).collect(),
        strategies,
        step: 1 + random.below(6),
        is_outside: index < 2,
        is_granted: false,
        last: 0,
        expected: None,
        used_up: None,
        sent: 0,
    }
}

/// The publisher that defines what orders refer to.
const SETUP: u16 = 1;

fn is_of_setup(entry: &Entry) -> bool {
    matches!(entry, Entry::Grant { publisher: SETUP, .. } | Entry::Progress { publisher: SETUP, .. })
}

/// The last number of each publisher that left a trace.
fn last_numbers(entries: &[Entry]) -> BTreeMap<u16, u64> {
    let mut lasts = BTreeMap::new();
    let mut announced = None;
    for entry in entries {
        let (publisher, number) = match *entry {
            Entry::Grant { publisher, last } => (publisher, last),
            Entry::Progress { publisher, number } => {
                announced = Some((publisher, number + 1));
                (publisher, number)
            }
            Entry::Event { origin: Some(origin), template_id, .. }
                if template_id != OrderReleased::TEMPLATE_ID =>
            {
                announced = None;
                origin
            }
            Entry::Refused { publisher, number } => {
                announced = None;
                (publisher, number)
            }
            Entry::UsedUp { publisher, last, .. } => (publisher, last),
            Entry::Event { .. } | Entry::Decision | Entry::Reset { .. } => announced.take().unwrap_or((0, 0)),
            Entry::Rejected { .. } => continue,
        };
        let last = lasts.entry(publisher).or_insert(number);
        *last = number.max(*last);
        if let Entry::Reset { target, new, .. } = *entry {
            lasts.insert(target, new);
        }
    }
    lasts
}

/// A session that continues the log of `frames`, with its definitions on the log.
fn open(
    frames: &[Vec<u8>],
    peers: &[Peer],
    risk: Risk,
) -> (Sequencer<ManualClock>, Vec<Publisher>, GatingConsumer) {
    let start = SequencerStart {
        identity: Identity::default(),
        next_sequence: Sequence(frames.len() as u64 + 1),
        position: Position(0),
        last_timestamp: Nanos(1_000),
        segment_length: 1 << 20,
        block_length: 4096,
    };
    let options = RingOptions { capacity: RING_LENGTH_MIN, huge_pages: false };
    let parts = LogRing::create(&options, start.position).unwrap();
    let mut numbers = RecordedNumbers::default();
    frames.iter().for_each(|bytes| numbers.on_event(&Frame::read(bytes).unwrap()));
    let clock = ManualClock::at(Nanos(1_000));
    let mut sequencer = Sequencer::new(&start, parts.writer, clock, risk).unwrap();
    sequencer.continue_numbering(numbers.last);
    let mut publishers = Vec::new();
    for (id, peer) in IDS.iter().zip(peers) {
        publishers.push(sequencer.publisher(*id, "peer", 4096, peer.grants()));
        sequencer.intakes.last_mut().unwrap().is_outside = peer.is_outside;
    }
    let consumer = sequencer.gating_consumer("model");
    let mut setup = sequencer.publisher(SETUP, "setup", 4096, Grants::session());
    let mut buffer = [0; 512];
    let instrument = InstrumentDefinition {
        instrument: 1.into(),
        multiplier: 1_000_000_000.into(),
        quantity_exponent: 0,
        ..InstrumentDefinition::NULL
    };
    let legs: [InstrumentDefinitionLegs; 0] = [];
    let body = instrument.encode(&mut buffer, legs).unwrap();
    setup.offer(InstrumentDefinition::TEMPLATE_ID, body, NOT_RECEIVED).unwrap();
    for account in 1..=3_u32 {
        let account = AccountDefinition { account: account.into(), ..AccountDefinition::NULL };
        setup.offer_message(&account, NOT_RECEIVED).unwrap();
    }
    while sequencer.do_work().unwrap() > 0 {}
    (sequencer, publishers, consumer)
}

#[test]
fn two_thousand_schedules_of_publishers_with_grants_give_the_log_of_a_naive_model() {
    for seed in 0..LOGS {
        let run = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for session in 0..SESSIONS {
                if session > 0 {
                    world.crash();
                }
                for _ in 0..4 + world.random.below(12) {
                    world.send();
                }
            }
            world.compare_counts();
        });
        assert!(run.is_ok(), "seed {seed}");
    }
}
