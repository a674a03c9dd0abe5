//! `risk_check`: the cost of the pre-trade checks of an order, with every check that has a limit in force.
//!
//! ```text
//!  one thread:  64 orders ─> Risk::check, one after the other       64 orders open, 64 instruments
//! ```
//!
//! The time between two readings of the clock with 64 checks between them, divided by 64, because reading the
//! clock takes as long as one check.

use crate::Percentiles;
use crate::figure::latency_histogram;
use std::hint::black_box;
use std::time::Instant;
use stele_risk::{OrderTerms, Risk, RiskLimits, SequencedEvent};
use stele_wire::codec::Message;
use stele_wire::messages::{
    AccountDefinition, CancelScope, Check, InstrumentClass, InstrumentDefinition, NewOrder, OrderType,
    RiskLimit, Side, TopOfBook,
};
use stele_wire::{Nanos, Sequence};

const INSTRUMENTS: u64 = 64;
const OPEN: u64 = 64;
/// The number of different orders, which are checked in turn.
const ORDERS: u64 = 1 << 10;
/// The price that the market is around, in units of 1e-9.
pub(crate) const REFERENCE: i64 = 100_000_000_000;
/// The time between two orders, in ns.
const INTERVAL: u64 = 1_000;
/// The number of checks between two readings of the clock.
const BATCH: u64 = 64;

/// Returns limits for every check that has one: for all orders, for account 1 and for strategy 1. Ordinary
/// orders stay below all of them.
pub(crate) fn limits() -> Vec<RiskLimit> {
    let limits = [
        (Check::ORDER_QUANTITY, 1_000),
        (Check::NOTIONAL, 1_000 * REFERENCE),
        (Check::PRICE_COLLAR, 50_000_000),
        (Check::DUPLICATE, 1_000_000),
        (Check::MESSAGE_RATE, 4_000_000),
        (Check::OPEN_ORDERS, 1_000),
        (Check::POSITION, 1_000_000),
        (Check::CREDIT, i64::MAX - 1),
        (Check::SELF_MATCH, 0),
    ];
    let limit = |scope, id: u32, check, max: i64| RiskLimit {
        scope,
        scope_id: id.into(),
        check,
        limit: max.into(),
        ..RiskLimit::NULL
    };
    let mut all = Vec::new();
    for (check, max) in limits {
        all.push(limit(CancelScope::ALL, 0, check, max));
        all.push(limit(CancelScope::ACCOUNT, 1, check, max));
        if !matches!(check, Check::POSITION | Check::CREDIT) {
            all.push(limit(CancelScope::STRATEGY, 1, check, max));
        }
    }
    all.push(limit(CancelScope::INSTRUMENT, 999, Check::RESTRICTED, 0));
    all
}

/// Checks `count` orders and returns the time per check.
pub(crate) fn measure(count: u64) -> Percentiles {
    let mut log = Log::new();
    let orders: Vec<NewOrder> = (1..=ORDERS).map(|number| order(OPEN + number)).collect();
    let mut seen = latency_histogram();
    let mut number = 0;
    while number < count {
        let begin = Instant::now();
        for number in number..number + BATCH {
            log.time += INTERVAL;
            let terms = OrderTerms::of_order(black_box(&orders[(number % ORDERS) as usize]));
            let verdict = log.risk.check(&terms, Nanos(log.time));
            assert!(black_box(&verdict).is_ok(), "{verdict:?}");
        }
        seen.saturating_record((begin.elapsed().as_nanos() as u64 / BATCH).max(1));
        number += BATCH;
    }
    Percentiles::from(&seen)
}

struct Log {
    risk: Risk,
    sequence: u64,
    time: u64,
}

impl Log {
    /// A risk state with prices, limits and open orders.
    fn new() -> Self {
        let mut log = Self { risk: Risk::new(RiskLimits::default()), sequence: 0, time: 1_000_000_000 };
        log.event(&AccountDefinition { account: 1.into(), ..AccountDefinition::NULL });
        for instrument in 1..=INSTRUMENTS as u32 {
            log.event(&instrument_definition(instrument));
            let (bid_price, ask_price) = ((REFERENCE - 5).into(), (REFERENCE + 5).into());
            let top = TopOfBook { instrument: instrument.into(), bid_price, ask_price, ..TopOfBook::NULL };
            log.event(&top);
        }
        limits().iter().for_each(|limit| log.event(limit));
        (1..=OPEN).for_each(|number| log.event(&order(number)));
        log
    }

    fn event<M: Message>(&mut self, message: &M) {
        self.sequence += 1;
        self.risk.on_sequenced(&SequencedEvent::of(message, Sequence(self.sequence), Nanos(self.time)));
    }
}

/// A share, so that price × quantity is its value.
pub(crate) fn instrument_definition(instrument: u32) -> InstrumentDefinition {
    InstrumentDefinition {
        instrument: instrument.into(),
        instrument_class: InstrumentClass::EQUITY,
        quantity_exponent: 0,
        ..InstrumentDefinition::NULL
    }
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
