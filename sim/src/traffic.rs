//! Random valid messages of every class, as publishers submit them.

use crate::random::SeededRandom;
use std::sync::LazyLock;
use stele_bus::template;
use stele_risk::OrderTerms;
use stele_wire::Nanos;
use stele_wire::messages::{
    CancelOrder, CancelReleased, CancelScope, CreditAllotment, KillSwitch, LimitProposed, NewOrder,
    OperatorCancel, OrderDropped, OrderReleased, OrderType, PublisherReset, Quote, ReplaceOrder, RiskLimit,
    SchemaText, Side, SwitchState,
};
use zerocopy::IntoBytes;

/// A submitted message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submission {
    /// The message's template id.
    pub template_id: u16,
    /// Its block, groups and data.
    pub body: Vec<u8>,
    /// When it was received.
    pub received: Nanos,
}

impl Submission {
    /// Returns the number of its order, if a refusal of the message is logged as an event.
    pub fn order_id(&self) -> Option<u64> {
        OrderTerms::read(self.template_id, &self.body).map(|terms| terms.client_order_id)
    }
}

/// The mix of messages that a life's publishers submit.
#[derive(Clone, Copy, Debug)]
pub struct TrafficMix {
    /// The weights of: market data and everything else, orders, cancels, kill switches, very long messages.
    pub weights: [u32; 5],
}

/// The accounts that are defined: 1, 2, 3.
pub(crate) const ACCOUNTS: u32 = 3;
/// The instrument of all orders.
pub(crate) const INSTRUMENT: u32 = 1;

/// Generates submissions.
#[derive(Clone, Debug)]
pub struct Traffic {
    random: SeededRandom,
    next_order: u64,
}

/// The templates that only publishers send and that need no particular content.
static ANYTHING: LazyLock<Vec<u16>> = LazyLock::new(|| {
    let typed = [NewOrder::TEMPLATE_ID, ReplaceOrder::TEMPLATE_ID, Quote::TEMPLATE_ID];
    let apart = [
        KillSwitch::TEMPLATE_ID,
        OrderReleased::TEMPLATE_ID,
        CancelReleased::TEMPLATE_ID,
        OrderDropped::TEMPLATE_ID,
        RiskLimit::TEMPLATE_ID,
        CreditAllotment::TEMPLATE_ID,
        PublisherReset::TEMPLATE_ID,
        LimitProposed::TEMPLATE_ID,
        OperatorCancel::TEMPLATE_ID,
    ];
    let is_submitted = |id: &u16| template(*id).is_some_and(|known| !known.group.is_empty());
    let others = |id: &u16| is_submitted(id) && !typed.contains(id) && !apart.contains(id);
    (1..u16::MAX).filter(others).collect()
});

/// After a block, the empty groups and data of every message of the schema are at most this many zeros.
const EMPTY_TAIL: usize = 64;

impl Traffic {
    /// Creates traffic with this random generator.
    pub fn new(random: SeededRandom) -> Self {
        Self { random, next_order: 1 }
    }

    /// Returns the next submission, received at `now` or a little before.
    pub fn next(&mut self, mix: &TrafficMix, now: Nanos) -> Submission {
        let received = Nanos(now.0.saturating_sub(self.random.between(0, 5_000)));
        let (template_id, body) = match self.random.weighted(&mix.weights) {
            0 => self.anything(),
            1 => self.order(),
            2 => self.cancel(),
            3 => self.kill_switch(),
            _ => self.long(),
        };
        Submission { template_id, body, received }
    }

    fn anything(&mut self) -> (u16, Vec<u8>) {
        let template_id = self.random.pick(&ANYTHING);
        let block_length = usize::from(template(template_id).expect("of the schema").block_length);
        let mut body = vec![0; block_length + self.random.pick(&[0, EMPTY_TAIL, EMPTY_TAIL + 5])];
        self.random.fill(&mut body[..block_length]);
        (template_id, body)
    }

    fn order(&mut self) -> (u16, Vec<u8>) {
        let client_order_id = self.number();
        // Now and then an account that is not defined.
        let account = self.random.below(5) as u32;
        let quantity = self.random.between(0, 50);
        let limit_price = self.random.between(1, 1_000_000) as i64;
        let side = self.random.pick(&[Side::BUY, Side::SELL]);
        // Null, and every watermark, including the one that is not offered.
        let release =
            stele_wire::messages::ReleaseWatermark(self.random.pick(&[255, 255, 255, 0, 1, 2, 2, 3, 4]));
        let mut body = match self.random.below(3) {
            0 => {
                let order = ReplaceOrder {
                    client_order_id: client_order_id.into(),
                    replaced_order_id: self.random.between(1, client_order_id).into(),
                    account: account.into(),
                    instrument: INSTRUMENT.into(),
                    quantity: quantity.into(),
                    limit_price: limit_price.into(),
                    release_watermark: release,
                    side,
                    ..ReplaceOrder::NULL
                };
                (ReplaceOrder::TEMPLATE_ID, order.as_bytes().to_vec())
            }
            1 => {
                let quote = Quote {
                    client_order_id: client_order_id.into(),
                    account: account.into(),
                    instrument: INSTRUMENT.into(),
                    bid_quantity: quantity.into(),
                    ask_quantity: quantity.into(),
                    bid_price: limit_price.into(),
                    ask_price: (limit_price + 1).into(),
                    release_watermark: release,
                    ..Quote::NULL
                };
                (Quote::TEMPLATE_ID, quote.as_bytes().to_vec())
            }
            _ => {
                let order = NewOrder {
                    client_order_id: client_order_id.into(),
                    account: account.into(),
                    instrument: INSTRUMENT.into(),
                    quantity: quantity.into(),
                    limit_price: limit_price.into(),
                    order_type: OrderType::LIMIT,
                    release_watermark: release,
                    side,
                    ..NewOrder::NULL
                };
                (NewOrder::TEMPLATE_ID, order.as_bytes().to_vec())
            }
        };
        body.1.resize(body.1.len() + EMPTY_TAIL, 0);
        body
    }

    /// Returns a number that no other submission has.
    fn number(&mut self) -> u64 {
        self.next_order += 1;
        self.next_order - 1
    }

    fn cancel(&mut self) -> (u16, Vec<u8>) {
        let cancelled = self.random.between(0, self.next_order);
        let client_order_id = self.number().into();
        let cancel =
            CancelOrder { client_order_id, cancelled_order_id: cancelled.into(), ..CancelOrder::NULL };
        let mut body = cancel.as_bytes().to_vec();
        body.resize(body.len() + EMPTY_TAIL, 0);
        (CancelOrder::TEMPLATE_ID, body)
    }

    fn kill_switch(&mut self) -> (u16, Vec<u8>) {
        let switch = KillSwitch {
            // No two submissions are equal, so that a checker can tell them apart.
            party: (self.number() as u32).into(),
            scope: CancelScope::ACCOUNT,
            scope_id: (self.random.below(4) as u32).into(),
            state: self.random.pick(&[SwitchState::ENGAGED, SwitchState::RELEASED, SwitchState::RELEASED]),
            ..KillSwitch::NULL
        };
        (KillSwitch::TEMPLATE_ID, switch.as_bytes().to_vec())
    }

    fn long(&mut self) -> (u16, Vec<u8>) {
        let longest = stele_wire::bounds::BODY_LENGTH_MAX - size_of::<SchemaText>() - 4;
        let shortest = self.random.pick(&[1_000, 20_000, longest as u64]);
        let mut text = vec![0; self.random.between(shortest, longest as u64) as usize];
        self.random.fill(&mut text);
        let mut body = vec![0; size_of::<SchemaText>() + 4 + text.len()];
        let length = SchemaText::NULL.encode(&mut body, &text).expect("the text is short enough").len();
        body.truncate(length);
        (SchemaText::TEMPLATE_ID, body)
    }
}
