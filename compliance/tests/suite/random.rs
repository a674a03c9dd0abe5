//! Random sessions of a sequencer, a journal, an order gateway and the paper exchange: every trail verifies,
//! and one changed event is found by the rule that it breaks.

use crate::rig::Frames;
use proptest::prelude::*;
use std::mem::offset_of;
use std::path::Path;
use stele_bus::session::{SchemaDocument, SessionEnding};
use stele_bus::{
    Agent, Clock as _, ControlPublisher, Grants, LogRing, ManualClock, NOT_RECEIVED, Publisher, RingOptions,
    Sequencer, SessionBeginning, Watermark,
};
use stele_compliance::{VerifiedTrail, VerifyError, VerifyOptions, verify};
use stele_journal::{Journal, JournalOptions};
use stele_risk::{Risk, RiskLimits};
use stele_venue::paper_exchange::{Counterparty, PaperExchange, PaperOptions};
use stele_venue::{OrderGateway, PaperVenue};
use stele_wire::messages::{
    AccountDefinition, CancelOrder, CancelScope, Check, EndReason, InstrumentDefinition, KillSwitch,
    NewOrder, OrderFilled, OrderType, ReplaceOrder, RiskLimit, Side, SourceDefinition, StrategyDefinition,
    SwitchState, TimeInForce, TimerFired, TimerSet, Trade,
};
use stele_wire::units::{Epoch, Nanos, Sequence};
use stele_wire::{Identity, Price};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{I64, U16, U32, U64};

/// What happens in a session.
#[derive(Clone, Copy, Debug)]
enum Action {
    Order {
        account: u32,
        is_buy: bool,
        quantity: u64,
        price: i64,
    },
    /// Of the order sent so many orders ago.
    Replace {
        ago: usize,
        quantity: u64,
        price: i64,
    },
    Cancel {
        ago: usize,
    },
    Print {
        price: i64,
    },
    Limit {
        check: Check,
        limit: i64,
    },
    Switch {
        account: u32,
        is_engaged: bool,
    },
    Timer {
        id: u64,
        after: u64,
    },
    Turns(usize),
}

fn action() -> impl Strategy<Value = Action> {
    let limit = prop_oneof![
        (5_i64..60).prop_map(|limit| (Check::ORDER_QUANTITY, limit)),
        (5_i64..200).prop_map(|limit| (Check::POSITION, limit)),
        (1_i64..20).prop_map(|limit| (Check::OPEN_ORDERS, limit)),
        (500_i64..5_000).prop_map(|limit| (Check::NOTIONAL, limit * Price::SCALE)),
        (1_i64..20).prop_map(|limit| (Check::PRICE_COLLAR, limit * Price::SCALE / 100)),
        (1_i64..50).prop_map(|limit| (Check::MESSAGE_RATE, limit)),
        Just((Check::SELF_MATCH, 0)),
        (1_i64..1_000_000).prop_map(|window| (Check::DUPLICATE, window)),
        // No limit.
        Just((Check::ORDER_QUANTITY, i64::MAX)),
        Just((Check::POSITION, i64::MAX)),
    ];
    prop_oneof![
        12 => (1_u32..4, any::<bool>(), 1_u64..30, 95_i64..106).prop_map(
            |(account, is_buy, quantity, price)| Action::Order { account, is_buy, quantity, price }
        ),
        2 => (0_usize..12, 1_u64..30, 95_i64..106)
            .prop_map(|(ago, quantity, price)| Action::Replace { ago, quantity, price }),
        3 => (0_usize..12).prop_map(|ago| Action::Cancel { ago }),
        2 => (95_i64..106).prop_map(|price| Action::Print { price }),
        1 => limit.prop_map(|(check, limit)| Action::Limit { check, limit }),
        1 => (1_u32..4, any::<bool>())
            .prop_map(|(account, is_engaged)| Action::Switch { account, is_engaged }),
        1 => (1_u64..4, 0_u64..100_000).prop_map(|(id, after)| Action::Timer { id, after }),
        8 => (1_usize..30).prop_map(Action::Turns),
    ]
}

/// What every session begins with, so that each change below finds its event: a limit, the release of a
/// switch, an order that is executed in two parts, and a timer that fires.
const PROLOGUE: &[Action] = &[
    Action::Limit { check: Check::ORDER_QUANTITY, limit: 25 },
    Action::Switch { account: 1, is_engaged: false },
    Action::Print { price: 100 },
    Action::Order { account: 1, is_buy: true, quantity: 20, price: 101 },
    Action::Turns(400),
    Action::Order { account: 2, is_buy: false, quantity: 5, price: 100 },
    Action::Turns(400),
    Action::Order { account: 3, is_buy: false, quantity: 4, price: 100 },
    Action::Timer { id: 9, after: 20_000 },
    Action::Turns(400),
];

struct Session {
    clock: ManualClock,
    sequencer: Sequencer<ManualClock>,
    control: Publisher,
    market: Publisher,
    strategies: Publisher,
    gateway: OrderGateway<PaperVenue, ManualClock>,
    journal: Journal,
    ring: LogRing,
    epoch: u32,
    /// Account, side and client order id of the orders sent so far.
    sent: Vec<(u32, Side, u64)>,
}

const SOURCE: u16 = 9;
const INSTRUMENT: u32 = 1;

impl Session {
    fn open(folder: &Path, counterparty: Counterparty) -> Self {
        let now = Nanos(1_700_000_000_000_000_000);
        let options = JournalOptions { segment_length: 2 << 20, ..JournalOptions::default() };
        let opened = Journal::open(folder, &options, now).unwrap();
        let start = opened.start;
        let ring = RingOptions { capacity: 4 << 20, ..RingOptions::default() };
        let parts = LogRing::create(&ring, start.position).unwrap();
        let clock = ManualClock::at(now);
        let risk = Risk::new(RiskLimits::default());
        let mut sequencer = Sequencer::new(&start, parts.writer, clock.clone(), risk).unwrap();
        let mut publisher = |id, name| sequencer.publisher(id, name, 64 << 10, Grants::all());
        let (control, market, strategies) =
            (publisher(1, "control"), publisher(2, "feed"), publisher(3, "strategies"));
        let (releases, reports) = (publisher(4, "gateway"), publisher(5, "venue"));
        let exchange =
            PaperExchange::new(PaperOptions { source: SOURCE, counterparty, ..PaperOptions::default() });
        let venue = PaperVenue::new(exchange, sequencer.gating_consumer("venue"), reports);
        let consumer = sequencer.gating_consumer("gateway");
        let gateway =
            OrderGateway::new("gateway", consumer, releases, Watermark::Durable, venue, clock.clone());
        let (journal, _) = opened.attach(parts.journal).unwrap();
        let epoch = start.identity.epoch.0;
        let (ring, sent) = (parts.ring, Vec::new());
        let mut session =
            Self { clock, sequencer, control, market, strategies, gateway, journal, ring, epoch, sent };
        session.begin(start.next_sequence);
        session
    }

    fn begin(&mut self, first: Sequence) {
        let schema = SchemaDocument::stele();
        let identity = Identity { epoch: Epoch(self.epoch), ..Identity::default() };
        let source = |source| (SourceDefinition { source: U16::new(source), ..SourceDefinition::NULL }, "");
        let account = |account| AccountDefinition { account: U32::new(account), ..AccountDefinition::NULL };
        let beginning = SessionBeginning {
            schemas: vec![schema],
            accounts: (1..4).map(account).collect(),
            sources: vec![source(2), source(SOURCE)],
            ..SessionBeginning::new(&identity, self.clock.now())
                .following(Sequence(first.0 - 1), None)
                .of_schema(&schema)
        };
        let mut control = ControlPublisher::new(|template_id: u16, body: &[u8]| {
            self.control.offer(template_id, body, NOT_RECEIVED)
        });
        control.begin(&beginning).unwrap();
        let mut buffer = [0; 1_024];
        let instrument = InstrumentDefinition {
            instrument: U32::new(INSTRUMENT),
            source: U16::new(2),
            multiplier: I64::new(Price::SCALE),
            quantity_exponent: 0,
            ..InstrumentDefinition::NULL
        };
        let body = instrument.encode(&mut buffer, []).unwrap();
        self.control.offer(InstrumentDefinition::TEMPLATE_ID, body, NOT_RECEIVED).unwrap();
        let strategy = StrategyDefinition { strategy: U16::new(1), ..StrategyDefinition::NULL };
        let body = strategy.encode(&mut buffer, b"").unwrap();
        self.control.offer(StrategyDefinition::TEMPLATE_ID, body, NOT_RECEIVED).unwrap();
        self.turns(20);
    }

    fn turns(&mut self, count: usize) {
        for _ in 0..count {
            self.clock.advance(Nanos(1_000));
            self.sequencer.do_work().unwrap();
            self.journal.do_work().unwrap();
            self.gateway.do_work().unwrap();
        }
    }

    /// Runs turns until nothing more happens and everything is durable.
    fn settle(&mut self) {
        let mut quiet = 0;
        for turn in 0..1_000_000 {
            let before = self.sequencer.next_sequence();
            self.turns(1);
            if turn > 10_000 {
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

    fn act(&mut self, action: Action) {
        match action {
            Action::Order { account, is_buy, quantity, price } => {
                let side = if is_buy { Side::BUY } else { Side::SELL };
                self.order(account, side, quantity, price, None);
            }
            Action::Replace { ago, quantity, price } => {
                if let Some(&(account, side, replaced)) = self.sent.iter().rev().nth(ago) {
                    self.order(account, side, quantity, price, Some(replaced));
                }
            }
            Action::Cancel { ago } => self.cancel(ago),
            Action::Print { price } => {
                let trade = Trade {
                    instrument: U32::new(INSTRUMENT),
                    source: U16::new(2),
                    price: I64::new(price * Price::SCALE),
                    quantity: U64::new(3),
                    side: Side::BUY,
                    ..Trade::NULL
                };
                self.market.offer_message(&trade, NOT_RECEIVED).unwrap();
            }
            Action::Limit { check, limit } => {
                let change = RiskLimit {
                    check,
                    limit: I64::new(limit),
                    scope: CancelScope::ALL,
                    scope_id: U32::new(0),
                    ..RiskLimit::NULL
                };
                self.control.offer_message(&change, NOT_RECEIVED).unwrap();
            }
            Action::Switch { account, is_engaged } => self.switch(account, is_engaged),
            Action::Timer { id, after } => {
                let set = TimerSet {
                    timer_id: U64::new(id),
                    due: U64::new(self.clock.now().0 + after),
                    strategy: U16::new(1),
                    cause: U64::new(0),
                    publisher: U16::new(3),
                    ..TimerSet::NULL
                };
                self.strategies.offer_message(&set, NOT_RECEIVED).unwrap();
            }
            Action::Turns(count) => self.turns(count),
        }
    }

    fn order(&mut self, account: u32, side: Side, quantity: u64, price: i64, replaced: Option<u64>) {
        let id = 1 + self.sent.len() as u64;
        self.sent.push((account, side, id));
        let order = NewOrder {
            instrument: U32::new(INSTRUMENT),
            account: U32::new(account),
            strategy: U16::new(1),
            publisher: U16::new(3),
            cause: U64::new(0),
            client_order_id: U64::new(id),
            order_type: OrderType::LIMIT,
            time_in_force: TimeInForce::DAY,
            side,
            quantity: U64::new(quantity),
            limit_price: I64::new(price * Price::SCALE),
            ..NewOrder::NULL
        };
        let mut buffer = [0; 512];
        let Some(replaced) = replaced else {
            let body = order.encode(&mut buffer, [], &[], &[]).unwrap();
            self.strategies.offer(NewOrder::TEMPLATE_ID, body, NOT_RECEIVED).unwrap();
            return;
        };
        let replacement = ReplaceOrder {
            instrument: order.instrument,
            account: order.account,
            strategy: order.strategy,
            publisher: order.publisher,
            cause: order.cause,
            client_order_id: order.client_order_id,
            replaced_order_id: U64::new(replaced),
            order_type: order.order_type,
            time_in_force: order.time_in_force,
            side,
            quantity: order.quantity,
            limit_price: order.limit_price,
            ..ReplaceOrder::NULL
        };
        let body = replacement.encode(&mut buffer, [], &[], &[]).unwrap();
        self.strategies.offer(ReplaceOrder::TEMPLATE_ID, body, NOT_RECEIVED).unwrap();
    }

    fn cancel(&mut self, ago: usize) {
        let Some(&(account, side, cancelled)) = self.sent.iter().rev().nth(ago) else { return };
        let id = 1 + self.sent.len() as u64;
        self.sent.push((account, side, id));
        let cancel = CancelOrder {
            instrument: U32::new(INSTRUMENT),
            account: U32::new(account),
            strategy: U16::new(1),
            publisher: U16::new(3),
            cause: U64::new(0),
            client_order_id: U64::new(id),
            cancelled_order_id: U64::new(cancelled),
            side,
            ..CancelOrder::NULL
        };
        self.strategies.offer_message(&cancel, NOT_RECEIVED).unwrap();
    }

    fn switch(&mut self, account: u32, is_engaged: bool) {
        let state = if is_engaged { SwitchState::ENGAGED } else { SwitchState::RELEASED };
        let switch = KillSwitch {
            scope: CancelScope::ACCOUNT,
            scope_id: U32::new(account),
            state,
            ..KillSwitch::NULL
        };
        let mut buffer = [0; 64];
        let body = switch.encode(&mut buffer, b"").unwrap();
        self.control.offer(KillSwitch::TEMPLATE_ID, body, NOT_RECEIVED).unwrap();
    }

    fn stop(mut self) {
        self.settle();
        let (epoch, now) = (Epoch(self.epoch), self.clock.now());
        let mut control = ControlPublisher::new(|template_id: u16, body: &[u8]| {
            self.control.offer(template_id, body, NOT_RECEIVED)
        });
        control.end(&SessionEnding { epoch, reason: EndReason::FINISHED, now, text: "" }).unwrap();
        self.settle();
        self.ring.request_stop();
        while !self.ring.is_stopped() {
            self.turns(1);
        }
        self.journal.stop().unwrap();
    }
}

/// Runs a session in `folder`.
fn run(folder: &Path, counterparty: Counterparty, actions: &[Action]) {
    let mut session = Session::open(folder, counterparty);
    PROLOGUE.iter().chain(actions).for_each(|action| session.act(*action));
    session.stop();
}

fn check(folder: &Path) -> Result<VerifiedTrail, VerifyError> {
    verify(folder, &VerifyOptions { threads: 1, ..VerifyOptions::default() })
}

/// The rule that finds a change, and the change.
type Change = (&'static str, fn(&mut Frames));

/// Changes of one event, and the rule that finds each.
const CHANGES: &[Change] = &[
    ("order-within-limits", |frames| {
        set(frames, RiskLimit::TEMPLATE_ID, 0, offset_of!(RiskLimit, limit), &19_i64.to_le_bytes())
    }),
    ("order-under-switch", |frames| {
        set(
            frames,
            KillSwitch::TEMPLATE_ID,
            0,
            offset_of!(KillSwitch, state),
            SwitchState::ENGAGED.as_bytes(),
        );
    }),
    ("fill-within-quantity", |frames| {
        set(
            frames,
            OrderFilled::TEMPLATE_ID,
            0,
            offset_of!(OrderFilled, last_quantity),
            &1_000_u64.to_le_bytes(),
        );
    }),
    ("fill-within-limit", |frames| {
        let beyond = if side_of_first_fill(frames) == Side::BUY { i64::MAX - 1 } else { 1 };
        set(frames, OrderFilled::TEMPLATE_ID, 0, offset_of!(OrderFilled, last_price), &beyond.to_le_bytes());
    }),
    ("fill-of-working", |frames| {
        let other = if side_of_first_fill(frames) == Side::BUY { Side::SELL } else { Side::BUY };
        set(frames, OrderFilled::TEMPLATE_ID, 0, offset_of!(OrderFilled, side), other.as_bytes());
    }),
    ("quantities-add-up", |frames| {
        set(
            frames,
            OrderFilled::TEMPLATE_ID,
            0,
            offset_of!(OrderFilled, cumulative_quantity),
            &17_u64.to_le_bytes(),
        );
    }),
    ("execution-once", |frames| {
        // Both executions of the first order.
        let fills: Vec<usize> = (0..4).filter(|at| account_of_fill(frames, *at) == 1).collect();
        let id = field(frames, fills[0], offset_of!(OrderFilled, execution_id));
        set(frames, OrderFilled::TEMPLATE_ID, fills[1], offset_of!(OrderFilled, execution_id), &id);
    }),
    ("timer-in-order", |frames| {
        set(frames, TimerFired::TEMPLATE_ID, 0, offset_of!(TimerFired, timer_id), &8_u64.to_le_bytes());
    }),
];

fn set(frames: &mut Frames, template_id: u16, nth: usize, offset: usize, value: &[u8]) {
    let event = frames.nth(template_id, nth);
    let at = event.start + 32 + offset;
    frames.bytes[at..at + value.len()].copy_from_slice(value);
    frames.mend(event);
}

fn field(frames: &Frames, nth: usize, offset: usize) -> [u8; 8] {
    let at = frames.nth(OrderFilled::TEMPLATE_ID, nth).start + 32 + offset;
    frames.bytes[at..at + 8].try_into().unwrap()
}

fn account_of_fill(frames: &Frames, nth: usize) -> u32 {
    u32::from_le_bytes(field(frames, nth, offset_of!(OrderFilled, account))[..4].try_into().unwrap())
}

fn side_of_first_fill(frames: &Frames) -> Side {
    Side(field(frames, 0, offset_of!(OrderFilled, side))[0])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_random_session_verifies_and_a_changed_event_is_found_by_its_rule(
        actions in proptest::collection::vec(action(), 0..120),
        change in 0..CHANGES.len(),
        is_replayed in proptest::bool::weighted(0.2),
    ) {
        let folder = tempfile::tempdir().unwrap();
        if is_replayed {
            run(folder.path(), Counterparty::Replayed, &actions);
            let verified = check(folder.path()).unwrap_or_else(|error| panic!("{error}"));
            prop_assert_eq!(verified.unexplained_refusals, 0);
            return Ok(());
        }
        run(folder.path(), Counterparty::OwnBook, &actions);
        let verified = check(folder.path()).unwrap_or_else(|error| panic!("{error}"));
        prop_assert_eq!(verified.unexplained_refusals, 0);
        let judged = |name: &str| verified.rules.iter().find(|rule| rule.rule == name).unwrap().checked;
        prop_assert!(judged("fill-within-limit") >= 4 && judged("timer-in-order") >= 1);
        let (rule, change) = CHANGES[change];
        let mut frames = Frames::read(folder.path(), 1);
        change(&mut frames);
        frames.write();
        match check(folder.path()) {
            Err(VerifyError::Broken(broken)) => prop_assert_eq!(broken.first.rule, rule, "{}", broken),
            Err(other) => panic!("{other}"),
            Ok(verified) => panic!("{rule} was not found: {verified}"),
        }
    }
}

/// Each change is found, also where the random choice above leaves one out.
#[test]
fn each_changed_event_is_found_by_its_rule() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), Counterparty::OwnBook, &[]);
    for (rule, change) in CHANGES {
        let original = Frames::read(folder.path(), 1);
        let mut frames = Frames::read(folder.path(), 1);
        change(&mut frames);
        frames.write();
        let found = check(folder.path()).unwrap_err();
        let VerifyError::Broken(broken) = found else { panic!("{found}") };
        assert_eq!(broken.first.rule, *rule, "{broken}");
        assert!(broken.first.sequence.is_some() && !broken.first.found.is_empty());
        original.write();
    }
    check(folder.path()).unwrap();
}
