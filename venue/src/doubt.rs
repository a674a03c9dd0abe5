//! Orders in doubt: orders that an earlier session released, or may have released, and whose end is not on
//! the log.
//!
//! An order may have left without an `OrderReleased` on the log, because that event is published after the
//! order was submitted. So after a restart every order that the log leaves open is in doubt. The venue is
//! asked about each, and no new order leaves before all of them are answered:
//!
//! | the venue | on the log |
//! |---|---|
//! | has the order, and it works | the venue's own reports; a cancel that was under way is refused with check `InDoubt` |
//! | had the order, and it is done | the venue's own reports |
//! | never got a new order | `OrderRejected`, check `InDoubt` |
//! | never got a replacement | `ReplaceRejected`, check `InDoubt` |
//! | no longer knows an order that it had accepted | `OrderCancelled`, by the market |
//! | is not asked, because the log says that the order never left (`OrderDropped`) | as if it never got it |
//!
//! Nothing is sent again. An order that the venue never got is refused; the strategy receives the refusal
//! like any other and decides what to do.

use stele_wire::Sequence;
use stele_wire::messages::{
    CancelRejected, Check, OrderCancelled, OrderEvent, OrderRejected, OrderStatus, Originator,
    ReplaceRejected, Side,
};

/// An order that an earlier session left open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderInDoubt {
    /// The sequence of the event that gave it its present terms.
    pub sequence: Sequence,
    /// The strategy; 0 when it comes from none.
    pub strategy: u16,
    /// The account.
    pub account: u32,
    /// The instrument.
    pub instrument: u32,
    /// Buy or sell.
    pub side: Side,
    /// The sender's identification of the order.
    pub client_order_id: u64,
    /// The venue's identification of the order; 0 before the venue has answered.
    pub venue_order_id: u64,
    /// The client order id of the order that it is to replace; 0 for none.
    pub replaced_order_id: u64,
    /// The quantity over its life, a mantissa.
    pub quantity: u64,
    /// The quantity executed, as far as the log has it.
    pub cumulative: u64,
    /// The open quantity, as far as the log has it.
    pub leaves: u64,
    /// Whether the venue has accepted it.
    pub is_acknowledged: bool,
    /// A cancel that the venue has not answered: the sequence of its event and its own client order id.
    pub cancel: Option<(Sequence, u64)>,
    /// Whether the log says that it never left (`OrderDropped`) and not that it ended. The venue is not asked
    /// about it.
    pub is_dropped: bool,
}

/// The venue's answer about an order in doubt. By the time of the answer the venue has reported, through
/// its own publisher, what happened to the order in the meantime.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reconciliation {
    /// The venue has the order, and it works.
    Working,
    /// The venue had the order, and it no longer works.
    Done,
    /// The venue never got the order, or no longer knows it.
    Unknown,
}

/// The longest body of a message that follows from a [`Reconciliation`].
pub(crate) const ANSWER_LENGTH_MAX: usize = size_of::<ReplaceRejected>() + 2;

const _: () = assert!(size_of::<stele_wire::messages::OrderDropped>() <= ANSWER_LENGTH_MAX);
const _: () = assert!(size_of::<OrderRejected>() + 2 <= ANSWER_LENGTH_MAX);
const _: () = assert!(size_of::<CancelRejected>() + 2 <= ANSWER_LENGTH_MAX);
const _: () = assert!(size_of::<OrderCancelled>() <= ANSWER_LENGTH_MAX);

/// Builds a report by the member about an order: `$order` has the fields that all reports share.
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

pub(crate) use answer;

const ROOM: &str = "the buffer is as long as the longest answer";

impl OrderInDoubt {
    /// Returns the message that the gateway logs besides the venue's own reports: its template and its
    /// body, which is written into `buffer`. None when the venue's reports say everything.
    pub(crate) fn answer<'a>(
        &self,
        answer: Reconciliation,
        buffer: &'a mut [u8; ANSWER_LENGTH_MAX],
    ) -> Option<(u16, &'a [u8])> {
        match (answer, self.cancel) {
            (Reconciliation::Done, _) | (Reconciliation::Working, None) => None,
            (Reconciliation::Working, Some((sequence, id))) => {
                let rejected = answer!(CancelRejected of self, {
                    request_sequence: sequence.0.into(),
                    request_order_id: id.into(),
                    leaves_quantity: self.leaves.into(),
                    status: OrderStatus::ACTIVE,
                    check: Check::IN_DOUBT,
                });
                Some((CancelRejected::TEMPLATE_ID, rejected.encode(buffer, b"").expect(ROOM)))
            }
            (Reconciliation::Unknown, _) => Some(self.unknown(buffer)),
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
