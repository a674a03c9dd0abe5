//! Orders in doubt: what an earlier session let go, or may have let go, and of which the venue's last word is not on
//! the log.
//!
//! An order may have left although no `OrderReleased` tells it (that event waits for nothing), so that every order
//! that the log leaves open is in doubt after a restart. The venue is asked for each, and nothing new leaves before
//! every one of them is answered:
//!
//! | the venue | what the log learns |
//! |---|---|
//! | has it, working | what the venue reports of it; a cancel that was under way is refused as in doubt |
//! | had it, done | what the venue reports of it |
//! | never got a new order | `OrderRejected`, check `InDoubt` |
//! | never got a replacement | `ReplaceRejected`, check `InDoubt` |
//! | has forgotten an order that it took | `OrderCancelled`, by the market |
//!
//! Nothing is sent again: what the venue never got is refused, and its strategy, which learns of it as of any refusal,
//! decides anew.

use stele_wire::Sequence;
use stele_wire::messages::{
    CancelRejected, Check, OrderCancelled, OrderEvent, OrderRejected, OrderStatus, Originator,
    ReplaceRejected, Side,
};

/// An order that an earlier session left open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InDoubt {
    /// The event that gave it its present terms.
    pub sequence: Sequence,
    /// Who decided; 0 where no strategy did.
    pub strategy: u16,
    /// Whose it is.
    pub account: u32,
    /// Of what.
    pub instrument: u32,
    /// Buy or sell.
    pub side: Side,
    /// As its sender calls it.
    pub client_order_id: u64,
    /// As the venue calls it; 0 before the venue has answered.
    pub venue_order_id: u64,
    /// The order that it is to replace; 0 for none.
    pub replaced_order_id: u64,
    /// Over its life, as a mantissa.
    pub quantity: u64,
    /// Executed, as far as the log knows.
    pub cumulative: u64,
    /// Left, as far as the log knows.
    pub leaves: u64,
    /// The venue has taken it.
    pub is_acknowledged: bool,
    /// A cancel that the venue has not answered: its event and its own identification.
    pub cancel: Option<(Sequence, u64)>,
}

/// What a venue says of an order in doubt. What became of it meanwhile the venue has reported by then, by its own
/// publisher, as it reports everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It has it, and it works.
    Working,
    /// It had it, and it works no longer.
    Done,
    /// It never got it, or knows of it no longer.
    Unknown,
}

/// Longest body of an [`Answer`].
pub(crate) const ANSWER_LENGTH_MAX: usize = size_of::<ReplaceRejected>() + 2;

const _: () = assert!(size_of::<OrderRejected>() + 2 <= ANSWER_LENGTH_MAX);
const _: () = assert!(size_of::<CancelRejected>() + 2 <= ANSWER_LENGTH_MAX);
const _: () = assert!(size_of::<OrderCancelled>() <= ANSWER_LENGTH_MAX);

macro_rules! answer {
    ($message:ident of $order:expr, { $($field:ident: $value:expr),* $(,)? }) => {
        $message {
            $($field: $value,)*
            ..$message {
            instrument: $order.instrument.into(),
            venue_sequence: 0.into(),
            side: $order.side,
            client_order_id: $order.client_order_id.into(),
            venue_order_id: $order.venue_order_id.into(),
            order_sequence: $order.sequence.0.into(),
            account: $order.account.into(),
            strategy: $order.strategy.into(),
            event: OrderEvent::REJECTED,
            originator: Originator::MEMBER,
            leaves_quantity: 0.into(),
            cumulative_quantity: $order.cumulative.into(),
            status: OrderStatus::DONE,
            ..$message::NULL
            }
        }
    };
}

const ROOM: &str = "the buffer is as long as the longest answer";

impl InDoubt {
    /// What is to be told of the order besides the venue's own reports: template and body, which is written into
    /// `buffer`.
    pub(crate) fn answer<'a>(
        &self,
        answer: Answer,
        buffer: &'a mut [u8; ANSWER_LENGTH_MAX],
    ) -> Option<(u16, &'a [u8])> {
        match (answer, self.cancel) {
            (Answer::Done, _) | (Answer::Working, None) => None,
            (Answer::Working, Some((sequence, id))) => {
                let rejected = answer!(CancelRejected of self, {
                    request_sequence: sequence.0.into(),
                    request_order_id: id.into(),
                    leaves_quantity: self.leaves.into(),
                    status: OrderStatus::ACTIVE,
                    check: Check::IN_DOUBT,
                });
                Some((CancelRejected::TEMPLATE_ID, rejected.encode(buffer, b"").expect(ROOM)))
            }
            (Answer::Unknown, _) => Some(self.unknown(buffer)),
        }
    }

    fn unknown<'a>(&self, buffer: &'a mut [u8; ANSWER_LENGTH_MAX]) -> (u16, &'a [u8]) {
        if self.is_acknowledged {
            let cancelled = answer!(OrderCancelled of self, {
                event: OrderEvent::CANCELLED_BY_MARKET,
                originator: Originator::UNKNOWN,
                cancelled_quantity: self.leaves.into(),
                request_sequence: self.cancel.map_or(0, |(sequence, _)| sequence.0).into(),
            });
            let block = &mut buffer[..size_of::<OrderCancelled>()];
            block.copy_from_slice(zerocopy::IntoBytes::as_bytes(&cancelled));
            return (OrderCancelled::TEMPLATE_ID, block);
        }
        if self.replaced_order_id != 0 {
            let rejected = answer!(ReplaceRejected of self, {
                client_order_id: self.replaced_order_id.into(),
                request_order_id: self.client_order_id.into(),
                request_sequence: self.sequence.0.into(),
                leaves_quantity: u64::MAX.into(),
                status: OrderStatus::ACTIVE,
                check: Check::IN_DOUBT,
            });
            return (ReplaceRejected::TEMPLATE_ID, rejected.encode(buffer, b"").expect(ROOM));
        }
        let rejected = answer!(OrderRejected of self, { check: Check::IN_DOUBT });
        (OrderRejected::TEMPLATE_ID, rejected.encode(buffer, b"").expect(ROOM))
    }
}
