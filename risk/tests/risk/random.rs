//! Random streams of events, compared with the model, through snapshots and replayed from the log.

use super::model::Model;
use super::rig::*;
use proptest::prelude::*;
use stele_risk::{OrderTerms, Risk, affects_risk};
use stele_wire::codec::Message;
use stele_wire::messages::{
    CancelOrder, CancelScope, Check, InstrumentDefinition, KillSwitch, NewOrder, OrderAccepted,
    OrderCancelled, OrderFilled, OrderReplaced, OrderStatus, Quote, ReplaceOrder, ReplaceRejected, Side,
    SwitchState, TopOfBook, Trade,
};

/// One step, with everything in it chosen beforehand.
#[derive(Clone, Debug)]
struct Step {
    kind: u8,
    account: u32,
    instrument: u32,
    strategy: u16,
    publisher: u16,
    price: i64,
    quantity: u64,
    pick: usize,
    wait: u64,
}

fn step() -> impl Strategy<Value = Step> {
    let ids = (1_u32..3, 1_u32..3, 1_u16..3, 1_u16..3);
    let wait = prop_oneof![Just(0), 0..SECOND / 50, Just(SECOND)];
    (0_u8..40, ids, 90_i64..110, 1_u64..25, any::<usize>(), wait).prop_map(
        |(kind, (account, instrument, strategy, publisher), price, quantity, pick, wait)| Step {
            kind,
            account,
            instrument,
            strategy,
            publisher,
            price,
            quantity,
            pick,
            wait,
        },
    )
}

struct Play {
    rig: Rig,
    model: Model,
    numbers: [u64; 3],
    next_id: u64,
    seen: Vec<Check>,
}

impl Play {
    fn new() -> Self {
        let mut play = Self {
            rig: Rig::new(small_limits()),
            model: Model::default(),
            numbers: [0; 3],
            next_id: 1,
            seen: Vec::new(),
        };
        play.rig.put(&InstrumentDefinition {
            instrument: 2.into(),
            multiplier: 3_000_000_000_i64.into(),
            quantity_exponent: 0,
            ..InstrumentDefinition::NULL
        });
        assert_eq!(play.rig.risk.untracked(), 0);
        play.model.multipliers.insert(2, 3);
        play
    }

    fn step(&mut self, step: &Step) {
        self.rig.now += step.wait;
        match step.kind {
            0..=9 => self.order(step),
            10..=12 => self.replacement(step),
            13..=15 => self.quote(step),
            16 => self.cancel(step),
            17..=24 => self.report(step),
            25..=27 => self.trade(step),
            28..=29 => self.top(step),
            30 => self.switch(step),
            31 => self.restart(),
            _ => self.limit(step),
        }
        for account in 1..3 {
            assert_eq!(self.rig.risk.credit_used(account), self.model.credit_used(account));
            for instrument in 1..3 {
                let position = self.model.position(account, instrument);
                assert_eq!(self.rig.risk.position(account, instrument), position);
            }
        }
        assert_eq!(self.rig.risk.open_orders(), self.model.open.len());
    }

    /// The next number of the step's publisher, or now and then the one before.
    fn number(&mut self, step: &Step) -> u64 {
        let number = &mut self.numbers[usize::from(step.publisher)];
        *number += u64::from(*number == 0 || !step.pick.is_multiple_of(16));
        *number
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn submit<M: Message>(&mut self, message: &M) {
        let terms = OrderTerms::read(M::TEMPLATE_ID, message.as_bytes()).unwrap();
        let expected = self.model.check(&terms, self.rig.now);
        assert_eq!(self.rig.submit(message), expected, "{terms:?}");
        match expected {
            Answer::Passed => self.model.enter(&terms, self.rig.now, self.rig.sequence),
            Answer::Refused(breach) => self.seen.push(breach.check),
            Answer::Kept(_) => unreachable!("an order does not change a control"),
        }
    }

    fn order(&mut self, step: &Step) {
        let side = if step.pick & 1 == 0 { Side::BUY } else { Side::SELL };
        let price = if step.pick & 30 == 0 { i64::MAX } else { step.price };
        let (number, mut new) = (self.number(step), self.id());
        if step.pick.is_multiple_of(11)
            && let Some(at) = self.picked(step)
        {
            new = self.model.open[at].id;
        }
        let message = NewOrder {
            account: step.account.into(),
            instrument: step.instrument.into(),
            strategy: step.strategy.into(),
            publisher: step.publisher.into(),
            publisher_sequence: number.into(),
            ..order(new, side, step.quantity, price)
        };
        self.submit(&message);
    }

    /// The index in the model of an open order.
    fn picked(&self, step: &Step) -> Option<usize> {
        (!self.model.open.is_empty()).then(|| step.pick % self.model.open.len())
    }

    fn replacement(&mut self, step: &Step) {
        let Some(at) = self.picked(step).filter(|at| !self.model.open[*at].is_quote) else { return };
        let (old, number, new) = (self.model.open[at].clone(), self.number(step), self.id());
        let message = ReplaceOrder {
            account: old.account.into(),
            // Now and then of another instrument or side.
            instrument: if step.pick % 13 == 1 { 3 - old.instrument } else { old.instrument }.into(),
            strategy: old.strategy.into(),
            publisher: step.publisher.into(),
            publisher_sequence: number.into(),
            ..replace(
                new,
                old.id,
                if step.pick % 13 == 2 { Side::BUY } else { old.side },
                step.quantity,
                step.price,
            )
        };
        self.submit(&message);
    }

    fn quote(&mut self, step: &Step) {
        let (number, new) = (self.number(step), self.id());
        let old = self.picked(step).map(|at| self.model.open[at].clone()).filter(|open| open.is_quote);
        let (account, strategy, instrument, replaced) = match old {
            Some(old) => (old.account, old.strategy, old.instrument, old.id),
            None => (step.account, step.strategy, step.instrument, 0),
        };
        let message = Quote {
            account: account.into(),
            instrument: instrument.into(),
            strategy: strategy.into(),
            publisher: step.publisher.into(),
            publisher_sequence: number.into(),
            ..quote(new, replaced, step.quantity, step.price, step.price + (step.pick % 5) as i64)
        };
        self.submit(&message);
    }

    fn cancel(&mut self, step: &Step) {
        let number = self.number(step);
        self.rig.put(&CancelOrder {
            account: step.account.into(),
            strategy: step.strategy.into(),
            publisher: step.publisher.into(),
            publisher_sequence: number.into(),
            ..CancelOrder::NULL
        });
        self.model.send(step.publisher, step.account, step.strategy, number, self.rig.now);
    }

    fn report(&mut self, step: &Step) {
        let Some(at) = self.picked(step) else { return };
        let open = self.model.open[at].clone();
        macro_rules! about {
            ($message:ident { $($field:ident: $value:expr),* $(,)? }) => {
                self.rig.put(&$message {
                    client_order_id: open.id.into(),
                    account: open.account.into(),
                    instrument: open.instrument.into(),
                    strategy: open.strategy.into(),
                    order_sequence: if step.pick.is_multiple_of(3) { 0 } else { open.sequence }.into(),
                    side: open.side,
                    $($field: $value,)*
                    ..$message::NULL
                })
            };
        }
        let executed = step.quantity.min(open.leaves);
        let left = open.leaves - executed;
        match step.kind {
            17 => {
                about!(OrderAccepted { leaves_quantity: open.leaves.into() });
                self.model.settle(at, open.leaves, None);
            }
            18..=20 => {
                about!(OrderFilled {
                    last_quantity: executed.into(),
                    last_price: step.price.into(),
                    leaves_quantity: left.into(),
                });
                let signed = i128::from(executed) * if open.side == Side::BUY { 1 } else { -1 };
                self.model.fill(open.account, open.instrument, signed, step.price);
                self.model.settle(at, left, None);
            }
            21 => {
                about!(OrderCancelled { leaves_quantity: 0.into(), status: OrderStatus::DONE });
                self.model.settle(at, 0, None);
            }
            22 => {
                let rejected = ReplaceRejected {
                    client_order_id: 999_999.into(),
                    request_order_id: open.id.into(),
                    account: open.account.into(),
                    strategy: open.strategy.into(),
                    side: open.side,
                    ..ReplaceRejected::NULL
                };
                self.rig.put(&rejected);
                self.model.settle(at, 0, None);
            }
            _ => {
                let other = |other: &&super::model::Open| {
                    (other.account, other.strategy) == (open.account, open.strategy)
                        && other.is_quote == open.is_quote
                        && (other.instrument, other.side) == (open.instrument, open.side)
                        && other.id < open.id
                };
                let Some(old) = self.model.open.iter().find(other).map(|old| old.id) else { return };
                about!(OrderReplaced {
                    replaced_order_id: old.into(),
                    leaves_quantity: step.quantity.into(),
                    price: step.price.into(),
                });
                self.model.settle(at, step.quantity, Some(step.price));
                let gone = |other: &super::model::Open| {
                    (other.account, other.strategy, other.id) == (open.account, open.strategy, old)
                        && (!other.is_quote || other.side == open.side)
                };
                self.model.open.retain(|other| !gone(other));
            }
        }
    }

    fn trade(&mut self, step: &Step) {
        self.rig.put(&Trade { instrument: step.instrument.into(), price: step.price.into(), ..Trade::NULL });
        self.model.trade(step.instrument, step.price);
    }

    fn top(&mut self, step: &Step) {
        let spread = (step.pick % 8) as i64 - 1;
        let ask = if step.pick.is_multiple_of(7) { i64::MAX } else { step.price + spread };
        self.rig.put(&TopOfBook {
            instrument: step.instrument.into(),
            bid_price: step.price.into(),
            ask_price: ask.into(),
            ..TopOfBook::NULL
        });
        self.model.top(step.instrument, step.price, ask);
    }

    fn switch(&mut self, step: &Step) {
        let scopes = [
            (CancelScope::ACCOUNT, step.account),
            (CancelScope::INSTRUMENT, step.instrument),
            (CancelScope::STRATEGY, step.strategy.into()),
        ];
        let (scope, id) = scopes[step.pick % 3];
        let is_engaged = step.pick.is_multiple_of(4);
        let state = if is_engaged { SwitchState::ENGAGED } else { SwitchState::RELEASED };
        self.rig.put(&KillSwitch { scope, scope_id: id.into(), state, ..KillSwitch::NULL });
        self.model.set_switch(scope, id, is_engaged);
    }

    fn limit(&mut self, step: &Step) {
        let scopes = [
            (CancelScope::ALL, 0, 0),
            (CancelScope::ACCOUNT, step.account, 0),
            (CancelScope::INSTRUMENT, step.instrument, 0),
            (CancelScope::STRATEGY, u32::from(step.strategy), 0),
            (CancelScope::ACCOUNT, step.account, step.instrument),
            (CancelScope::STRATEGY, u32::from(step.strategy), step.instrument),
        ];
        let (scope, id, instrument) = scopes[step.pick % 6];
        let (check, max) = match step.pick / 6 % 10 {
            0 => (Check::ORDER_QUANTITY, 22),
            1 => (Check::NOTIONAL, 4_000),
            2 => (Check::PRICE_COLLAR, 80_000_000),
            3 => (Check::DUPLICATE, SECOND as i64),
            4 => (Check::MESSAGE_RATE, step.quantity as i64 / 3),
            5 => (Check::OPEN_ORDERS, 15),
            6 => (Check::POSITION, 60),
            7 => (Check::CREDIT, 10_000),
            8 => (Check::RESTRICTED, 0),
            _ => (Check::SELF_MATCH, 0),
        };
        // Restrictions are lifted more often than not, so that orders pass.
        let is_lifted = step.pick / 60 % 5 < if check == Check::RESTRICTED { 4 } else { 2 };
        let max = if is_lifted { i64::MAX } else { max };
        let mut change = limit(scope, id, check, max);
        change.instrument = instrument.into();
        if self.rig.submit(&change) == Answer::Passed {
            self.model.set_limit(scope, id, instrument, check, max);
        }
    }

    /// Continues from a snapshot.
    fn restart(&mut self) {
        let bytes = self.rig.snapshot();
        let restored = Risk::restore(small_limits(), &bytes).unwrap();
        self.rig.risk = restored;
        assert_eq!(self.rig.snapshot(), bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn every_decision_is_the_models_and_the_log_alone_gives_the_same_state(
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let mut play = Play::new();
        steps.iter().for_each(|step| play.step(step));
        let mut replayed = Risk::new(small_limits());
        for (template_id, body, sequence, time) in &play.rig.log {
            if affects_risk(*template_id) {
                // What passed once passes again.
                if let Some(terms) = OrderTerms::read(*template_id, body) {
                    prop_assert_eq!(replayed.check(&terms, stele_wire::Nanos(*time)), Ok(()));
                }
                replayed.on_sequenced(&sequenced(*template_id, body, *sequence, *time));
            }
        }
        let mut bytes = Vec::new();
        replayed.snapshot(&mut bytes);
        prop_assert_eq!(bytes, play.rig.snapshot());
    }
}

/// Otherwise the comparison could pass without a single refusal.
#[test]
fn the_random_streams_meet_every_check() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = Vec::new();
    for _ in 0..60 {
        let steps = prop::collection::vec(step(), 250..300).new_tree(&mut runner).unwrap().current();
        let mut play = Play::new();
        steps.iter().for_each(|step| play.step(step));
        seen.append(&mut play.seen);
    }
    let limited = (Check::ORDER_QUANTITY.0..=Check::KILL_SWITCH.0).map(Check);
    let limited = limited.chain([Check::UNKNOWN_ORDER]);
    let unmet: Vec<Check> = limited.filter(|check| !seen.contains(check)).collect();
    assert_eq!(unmet, []);
}
