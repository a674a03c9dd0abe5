//! The cost of an order in the risk engine, with every check active: the check before it is sequenced, and
//! the update of the state afterwards.
//!
//! ```text
//! one thread:   check ─> on_event(order) ─> on_event(cancelled)      64 orders open, 64 instruments
//! ```
//!
//! Run it with `cargo bench -p stele-perf --bench risk -- [orders] [check|order|market]`. To get the
//! instructions of a check, run it twice under `valgrind --tool=callgrind` with `check`, which only checks
//! orders, and divide the difference of the instructions by the difference of the orders.

use std::hint::black_box;
use std::time::Instant;
use stele_bus::template;
use stele_risk::{OrderTerms, Risk, RiskLimits, SequencedEvent};
use stele_wire::codec::Message;
use stele_wire::messages::{
    CancelScope, Check, NewOrder, OrderCancelled, OrderStatus, OrderType, RiskLimit, SCHEMA_VERSION, Side,
    TopOfBook, Trade,
};
use stele_wire::{Nanos, Sequence};

const INSTRUMENTS: u64 = 64;
const OPEN: u64 = 64;
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
        self.risk.on_sequenced(&SequencedEvent {
            template_id: M::TEMPLATE_ID,
            block_length: template(M::TEMPLATE_ID).expect("of the schema").block_length,
            schema_version: SCHEMA_VERSION,
            sequence: Sequence(self.sequence),
            timestamp: Nanos(self.time),
            body: message.as_bytes(),
        });
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
    let mut log = Log { risk: Risk::new(RiskLimits::default()), sequence: 0, time: 1_000_000_000 };
    for instrument in 1..=INSTRUMENTS as u32 {
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
        (Check::OPEN_ORDERS, 1_000),
        (Check::POSITION, 1_000_000),
        (Check::CREDIT, i64::MAX - 1),
        (Check::SELF_MATCH, 0),
    ];
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

fn order(number: u64) -> NewOrder {
    let side = if number.is_multiple_of(2) { Side::BUY } else { Side::SELL };
    let away = (number % 97) as i64 * 1_000_000;
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
    let mut log = log();
    for number in 1..=OPEN {
        log.event(&order(number));
    }
    let orders: Vec<NewOrder> = (1..=ORDERS).map(|number| order(OPEN + number)).collect();
    let mut samples = Vec::with_capacity((count / BATCH) as usize + 1);
    let mut number = OPEN + 1;
    while number < OPEN + count {
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
                    log.event(&cancelled(number - OPEN));
                }
            }
        }
        samples.push(begin.elapsed().as_nanos() as u64 / BATCH);
        number += BATCH;
    }
    samples.sort_unstable();
    let at = |share: usize| samples[(samples.len() - 1) * share / 1_000];
    println!("{what}: p50 {} ns, p99 {} ns over batches of {BATCH}", at(500), at(990));
}
