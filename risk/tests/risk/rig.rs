//! Risk checks that are fed as the sequencer feeds them, and messages to feed them with.

use stele_risk::{
    Breach, OrderTerms, Risk, RiskCapacity, RiskLimits, SequencedEvent, affects_risk, is_checked_change,
};
use stele_wire::codec::Message;
use stele_wire::messages::{
    AccountDefinition, CancelScope, Check, CreditAllotment, InstrumentClass, InstrumentDefinition, NewOrder,
    OrderAccepted, OrderCancelled, OrderEvent, OrderFilled, OrderRejected, OrderReplaced, OrderStatus,
    OrderType, Originator, Quote, ReplaceOrder, RiskDecision, RiskLimit, SCHEMA, SCHEMA_VERSION, Side,
    TimeInForce, TopOfBook, Trade,
};
use stele_wire::{Nanos, Sequence};

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const ACCOUNT: u32 = 7;
pub(crate) const INSTRUMENT: u32 = 3;
pub(crate) const STRATEGY: u16 = 2;

/// The result of a submission.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Passed,
    Refused(Breach),
    Kept(Box<RiskDecision>),
}

pub(crate) fn refused(check: Check, limit: i64, value: i64) -> Answer {
    Answer::Refused(Breach { check, limit, value })
}

/// No limits, and tables that are small, because a test that creates many states is fast then.
pub(crate) fn small_limits() -> RiskLimits {
    let capacity = RiskCapacity {
        instruments: 64,
        accounts: 64,
        strategies: 64,
        holdings: 256,
        open_orders: 512,
        strategy_open_orders: 512,
        account_open_orders: 512,
        strategy_holdings: 256,
    };
    RiskLimits { capacity, ..RiskLimits::default() }
}

/// A log whose only follower is the risk checks.
#[derive(Clone)]
pub(crate) struct Rig {
    pub(crate) risk: Risk,
    pub(crate) now: u64,
    pub(crate) sequence: u64,
    /// Everything that got a sequence, with its time.
    pub(crate) log: Vec<(u16, Vec<u8>, u64, u64)>,
}

impl Rig {
    /// With definitions of the accounts and instruments that the tests use, without currency and owner.
    pub(crate) fn new(limits: RiskLimits) -> Self {
        let mut rig = Self::undefined(limits);
        for account in [1, 2, 3, ACCOUNT, 8] {
            rig.put(&account_definition(account));
        }
        for instrument in [1, 2, INSTRUMENT, 99] {
            rig.put(&instrument_definition(instrument));
        }
        rig
    }

    /// With nothing on the log.
    pub(crate) fn undefined(limits: RiskLimits) -> Self {
        Self { risk: Risk::new(limits), now: 1_000 * SECOND, sequence: 0, log: Vec::new() }
    }

    /// With limits of scope ALL.
    pub(crate) fn with(limits: &[(Check, i64)]) -> Self {
        let mut rig = Self::new(small_limits());
        for (check, max) in limits {
            assert_eq!(rig.submit(&limit(CancelScope::ALL, 0, *check, *max)), Answer::Passed);
        }
        rig
    }

    /// Handles a submission as the sequencer does.
    pub(crate) fn submit<M: Message>(&mut self, message: &M) -> Answer {
        self.submit_bytes(M::TEMPLATE_ID, message.as_bytes())
    }

    pub(crate) fn submit_bytes(&mut self, template_id: u16, body: &[u8]) -> Answer {
        let now = Nanos(self.now);
        if let Some(terms) = OrderTerms::read(template_id, body) {
            if let Err(breach) = self.risk.check(&terms, now) {
                return Answer::Refused(breach);
            }
        } else if is_checked_change(template_id)
            && let Err(decision) = self.risk.check_control(template_id, body, now)
        {
            return Answer::Kept(Box::new(decision));
        }
        self.sequence += 1;
        self.log.push((template_id, body.to_vec(), self.sequence, self.now));
        if affects_risk(template_id) {
            self.risk.on_sequenced(&sequenced(template_id, body, self.sequence, self.now));
        }
        Answer::Passed
    }

    /// Submits a message that must pass.
    pub(crate) fn put<M: Message>(&mut self, message: &M) {
        assert_eq!(self.submit(message), Answer::Passed, "{}", M::NAME);
    }

    pub(crate) fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.risk.snapshot(&mut bytes);
        bytes
    }
}

/// The bytes of a message's root block.
pub(crate) fn block_length(template_id: u16) -> u16 {
    SCHEMA.message(template_id).unwrap().block.length
}

pub(crate) fn sequenced(template_id: u16, body: &[u8], sequence: u64, now: u64) -> SequencedEvent<'_> {
    SequencedEvent {
        template_id,
        block_length: block_length(template_id),
        schema_version: SCHEMA_VERSION,
        sequence: Sequence(sequence),
        timestamp: Nanos(now),
        body,
    }
}

pub(crate) fn account_definition(account: u32) -> AccountDefinition {
    AccountDefinition { account: account.into(), ..AccountDefinition::NULL }
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

pub(crate) fn limit(scope: CancelScope, id: u32, check: Check, limit: i64) -> RiskLimit {
    RiskLimit { scope, scope_id: id.into(), check, limit: limit.into(), ..RiskLimit::NULL }
}

pub(crate) fn allotment(account: u32, shard: u32, amount: i64, firm: i64) -> CreditAllotment {
    CreditAllotment {
        account: account.into(),
        shard: shard.into(),
        amount: amount.into(),
        firm_limit: firm.into(),
        ..CreditAllotment::NULL
    }
}

/// A limit order of the rig's account; price `i64::MAX` is a market order.
pub(crate) fn order(id: u64, side: Side, quantity: u64, price: i64) -> NewOrder {
    NewOrder {
        client_order_id: id.into(),
        account: ACCOUNT.into(),
        instrument: INSTRUMENT.into(),
        strategy: STRATEGY.into(),
        side,
        quantity: quantity.into(),
        limit_price: price.into(),
        order_type: if price == i64::MAX { OrderType::MARKET } else { OrderType::LIMIT },
        time_in_force: TimeInForce::DAY,
        ..NewOrder::NULL
    }
}

pub(crate) fn buy(id: u64, quantity: u64, price: i64) -> NewOrder {
    order(id, Side::BUY, quantity, price)
}

pub(crate) fn sell(id: u64, quantity: u64, price: i64) -> NewOrder {
    order(id, Side::SELL, quantity, price)
}

pub(crate) fn replace(id: u64, replaced: u64, side: Side, quantity: u64, price: i64) -> ReplaceOrder {
    ReplaceOrder {
        client_order_id: id.into(),
        replaced_order_id: replaced.into(),
        account: ACCOUNT.into(),
        instrument: INSTRUMENT.into(),
        strategy: STRATEGY.into(),
        side,
        quantity: quantity.into(),
        limit_price: price.into(),
        order_type: OrderType::LIMIT,
        ..ReplaceOrder::NULL
    }
}

pub(crate) fn quote(id: u64, replaced: u64, quantity: u64, bid: i64, ask: i64) -> Quote {
    Quote {
        client_order_id: id.into(),
        original_order_id: replaced.into(),
        account: ACCOUNT.into(),
        instrument: INSTRUMENT.into(),
        strategy: STRATEGY.into(),
        bid_price: bid.into(),
        ask_price: ask.into(),
        bid_quantity: quantity.into(),
        ask_quantity: quantity.into(),
        ..Quote::NULL
    }
}

macro_rules! report {
    ($message:ident { $($field:ident: $value:expr),* $(,)? }) => {
        $message {
            account: ACCOUNT.into(),
            instrument: INSTRUMENT.into(),
            strategy: STRATEGY.into(),
            $($field: $value,)*
            ..$message::NULL
        }
    };
}
pub(crate) use report;

pub(crate) fn accepted(id: u64, leaves: u64) -> OrderAccepted {
    report!(OrderAccepted { client_order_id: id.into(), leaves_quantity: leaves.into() })
}

pub(crate) fn cancelled(id: u64) -> OrderCancelled {
    report!(OrderCancelled {
        client_order_id: id.into(),
        leaves_quantity: 0.into(),
        status: OrderStatus::DONE,
    })
}

pub(crate) fn filled(id: u64, side: Side, quantity: u64, price: i64, leaves: u64) -> OrderFilled {
    report!(OrderFilled {
        client_order_id: id.into(),
        side: side,
        last_quantity: quantity.into(),
        last_price: price.into(),
        leaves_quantity: leaves.into(),
    })
}

pub(crate) fn replaced(id: u64, old: u64, leaves: u64, price: i64) -> OrderReplaced {
    report!(OrderReplaced {
        client_order_id: id.into(),
        replaced_order_id: old.into(),
        leaves_quantity: leaves.into(),
        quantity: leaves.into(),
        price: price.into(),
    })
}

/// A refusal as the sequencer writes it.
pub(crate) fn our_rejection(id: u64) -> OrderRejected {
    OrderRejected {
        client_order_id: id.into(),
        account: ACCOUNT.into(),
        strategy: STRATEGY.into(),
        event: OrderEvent::REJECTED,
        originator: Originator::MEMBER,
        check: Check::DUPLICATE,
        status: OrderStatus::DONE,
        ..OrderRejected::NULL
    }
}

pub(crate) fn top(bid: i64, ask: i64) -> TopOfBook {
    TopOfBook {
        instrument: INSTRUMENT.into(),
        bid_price: bid.into(),
        ask_price: ask.into(),
        ..TopOfBook::NULL
    }
}

pub(crate) fn trade(price: i64, id: u64) -> Trade {
    Trade { instrument: INSTRUMENT.into(), price: price.into(), trade_id: id.into(), ..Trade::NULL }
}
