//! The cost of an order in the risk engine, with every check active: the check before it is sequenced, and
//! the update of the state afterwards; and what a kill switch costs the sequencer.
//!
//! ```text
//! one thread:   check ─> on_event(order) ─> on_event(cancelled)     OPEN orders open, 64 instruments
//!               on_switch ─> next ─> on_event(cancel) ─> next …     duty cycle by duty cycle
//! ```
//!
//! Run it with
//! `cargo bench -p stele-perf --bench risk -- [orders] [check|order|market|switch|memory] [open]`.
//! `switch` engages a switch over everything and measures each duty cycle: its comparisons and up to 64
//! cancels. `memory` prints what a state with 30,000 instruments adds to the process. To get the instructions
//! of a check, run it twice under `valgrind --tool=callgrind` with `check`, which only checks orders, and
//! divide the difference of the instructions by the difference of the orders.

use std::hint::black_box;
use std::time::Instant;
use stele_bus::bounds::OWN_EVENTS_PER_CYCLE_MAX;
use stele_risk::{Cancel, OrderTerms, PendingCancels, Risk, RiskCapacity, RiskLimits, SequencedEvent};
use stele_wire::codec::Message;
use stele_wire::messages::{
    AccountDefinition, CancelScope, Check, InstrumentClass, InstrumentDefinition, KillSwitch, NewOrder,
    OrderCancelled, OrderStatus, OrderType, RiskLimit, Side, SwitchState, TopOfBook, Trade,
};
use stele_wire::{Nanos, Sequence};

const INSTRUMENTS: u64 = 64;
/// The orders that are open, unless the command line has another number.
const OPEN: u64 = 64;
/// The most orders that the command line may have open.
const OPEN_MAX: usize = 64 << 10;
/// The number of different orders, which are checked in turn with `check`.
const ORDERS: u64 = 1 << 10;
const REFERENCE: i64 = 100_000_000_000;
/// The time between two orders, in ns.
const INTERVAL: u64 = 1_000;
/// The number of orders between two readings of the clock, which takes as long as a check.
const BATCH: u64 = 64;

struct Log {
    risk: Risk,
    sequence: u64,
    time: u64,
}

impl Log {
    fn event<M: Message>(&mut self, message: &M) {
        self.sequence += 1;
        let event = SequencedEvent::of(message, Sequence(self.sequence), Nanos(self.time));
        self.risk.on_sequenced(&event);
    }

    fn limit(&mut self, scope: CancelScope, id: u32, check: Check, limit: i64) {
        let change = RiskLimit { scope, scope_id: id.into(), check, limit: limit.into(), ..RiskLimit::NULL };
        self.event(&change);
    }

    fn check(&mut self, order: &NewOrder) {
        let terms = OrderTerms::of_order(black_box(order));
        let verdict = self.risk.check(&terms, Nanos(self.time));
        assert!(black_box(verdict).is_ok(), "{verdict:?}");
    }
}

/// Returns a risk state in which every check with a limit is in force, for all orders, the account and the
/// strategy.
fn log() -> Log {
    let capacity = RiskCapacity {
        open_orders: OPEN_MAX,
        strategy_open_orders: OPEN_MAX,
        account_open_orders: OPEN_MAX,
        ..RiskCapacity::default()
    };
    let limits = RiskLimits { capacity, ..RiskLimits::default() };
    let mut log = Log { risk: Risk::new(limits), sequence: 0, time: 1_000_000_000 };
    log.event(&AccountDefinition { account: 1.into(), ..AccountDefinition::NULL });
    for instrument in 1..=INSTRUMENTS as u32 {
        log.event(&definition(instrument));
        let (bid_price, ask_price) = ((REFERENCE - 5).into(), (REFERENCE + 5).into());
        let top = TopOfBook { instrument: instrument.into(), bid_price, ask_price, ..TopOfBook::NULL };
        log.event(&top);
    }
    let limits = [
        (Check::ORDER_QUANTITY, 1_000),
        (Check::NOTIONAL, 1_000 * REFERENCE),
        (Check::PRICE_COLLAR, 50_000_000),
        (Check::DUPLICATE, 1_000 * INTERVAL as i64),
        (Check::MESSAGE_RATE, 4_000_000),
        (Check::OPEN_ORDERS, OPEN_MAX as i64),
        (Check::POSITION, 1_000_000_000),
        (Check::CREDIT, i64::MAX - 1),
        (Check::SELF_MATCH, 0),
    ];
    log.limit(CancelScope::ALL, 0, Check::DOUBTFUL_MARKET, i64::MAX - 1);
    for (check, max) in limits {
        log.limit(CancelScope::ALL, 0, check, max);
        log.limit(CancelScope::ACCOUNT, 1, check, max);
        if !matches!(check, Check::POSITION | Check::CREDIT) {
            log.limit(CancelScope::STRATEGY, 1, check, max);
        }
    }
    log.limit(CancelScope::INSTRUMENT, 999, Check::RESTRICTED, 0);
    log
}

/// A share, so that price × quantity is its value.
fn definition(instrument: u32) -> InstrumentDefinition {
    InstrumentDefinition {
        instrument: instrument.into(),
        instrument_class: InstrumentClass::EQUITY,
        quantity_exponent: 0,
        ..InstrumentDefinition::NULL
    }
}

fn order(number: u64) -> NewOrder {
    let side = if number.is_multiple_of(2) { Side::BUY } else { Side::SELL };
    let away = (number % 9_973) as i64 * 10_000;
    NewOrder {
        publisher: 1.into(),
        publisher_sequence: number.into(),
        client_order_id: number.into(),
        account: 1.into(),
        strategy: 1.into(),
        instrument: (1 + (number % INSTRUMENTS) as u32).into(),
        side,
        quantity: (1 + number % 100).into(),
        limit_price: (if side == Side::BUY { REFERENCE - away - 1 } else { REFERENCE + away + 1 }).into(),
        order_type: OrderType::LIMIT,
        ..NewOrder::NULL
    }
}

fn cancelled(number: u64) -> OrderCancelled {
    OrderCancelled {
        client_order_id: number.into(),
        account: 1.into(),
        strategy: 1.into(),
        instrument: (1 + (number % INSTRUMENTS) as u32).into(),
        leaves_quantity: 0.into(),
        status: OrderStatus::DONE,
        ..OrderCancelled::NULL
    }
}

fn main() {
    // `cargo bench` adds the argument `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let count: u64 = arguments.next().map_or(1_000_000, |count| count.parse().expect("orders is a number"));
    let what = arguments.next().unwrap_or_else(|| "order".into());
    let open = arguments.next().map_or(OPEN, |open| open.parse().expect("open is a number"));
    if what == "memory" {
        return memory();
    }
    let mut log = log();
    for number in 1..=open {
        log.event(&order(number));
    }
    if what == "switch" {
        return switch(&mut log);
    }
    let orders: Vec<NewOrder> = (1..=ORDERS).map(|number| order(open + number)).collect();
    let mut samples = Vec::with_capacity((count / BATCH) as usize + 1);
    let mut number = open + 1;
    while number < open + count {
        let begin = Instant::now();
        for number in number..number + BATCH {
            log.time += INTERVAL;
            match what.as_str() {
                "check" => log.check(&orders[(number % ORDERS) as usize]),
                "market" => {
                    let instrument = (1 + (number % INSTRUMENTS) as u32).into();
                    log.event(&Trade { instrument, price: REFERENCE.into(), ..Trade::NULL });
                }
                _ => {
                    log.check(&order(number));
                    log.event(&order(number));
                    log.event(&cancelled(number - open));
                }
            }
        }
        samples.push(begin.elapsed().as_nanos() as u64 / BATCH);
        number += BATCH;
    }
    print(&format!("{what}, {open} open, batches of {BATCH}"), samples);
}

/// Engages a switch over everything and measures the duty cycles until every order is being cancelled.
fn switch(log: &mut Log) {
    let engaged = KillSwitch { scope: CancelScope::ALL, state: SwitchState::ENGAGED, ..KillSwitch::NULL };
    log.event(&engaged);
    let (mut cancels, mut samples, mut count) = (PendingCancels::default(), Vec::new(), 0);
    cancels.on_switch(&engaged, Sequence(log.sequence), &log.risk);
    while cancels.is_due(Nanos(log.time)) {
        let begin = Instant::now();
        cancels.begin_cycle();
        for _ in 0..OWN_EVENTS_PER_CYCLE_MAX {
            let next = cancels.next(&log.risk, Sequence(log.sequence + 1), Nanos(log.time));
            match next {
                None => break,
                Some(Cancel::Order(cancel)) => log.event(&cancel),
                Some(Cancel::Quote(cancel)) => log.event(&cancel),
            }
            count += 1;
        }
        samples.push(begin.elapsed().as_nanos() as u64);
    }
    print(&format!("switch, {count} cancels, a duty cycle"), samples);
}

/// Prints the memory of a state with 30,000 instruments.
fn memory() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
        let pages: u64 = status.split(' ').nth(1).expect("resident").parse().expect("a number");
        pages * 4 / 1024
    };
    let before = resident();
    let mut log = Log { risk: Risk::new(RiskLimits::default()), sequence: 0, time: 1_000_000_000 };
    let created = resident();
    let begin = Instant::now();
    (1..=30_000).for_each(|instrument| log.event(&definition(instrument)));
    let seconds = begin.elapsed().as_secs_f64();
    let all = resident();
    println!(
        "memory: {} MiB created, {} MiB with 30,000 instruments, {:.0} definitions/s",
        created - before,
        all - before,
        30_000.0 / seconds
    );
    drop(black_box(log));
}

fn print(what: &str, mut samples: Vec<u64>) {
    samples.sort_unstable();
    let at = |share: usize| samples[(samples.len() - 1) * share / 1_000];
    println!("{what}: p50 {} ns, p99 {} ns, maximum {} ns", at(500), at(990), at(1_000));
}
