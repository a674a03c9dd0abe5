//! Read access to a book.

use super::{Book, BookCounts, BookKind, BookOrder, BookSide, Level, NONE, QueuePosition};
use stele_wire::{Price, Quantity};

/// The mid price weighted by the quantities at the best bid and offer, nearer to the side with less quantity:
/// `(bid × ask quantity + ask × bid quantity) / (bid quantity + ask quantity)`, rounded down (Gatheral and
/// Oomen, Zero-intelligence realized variance estimation, Finance and Stochastics 14, 2010, section 5).
/// `None` when both quantities are 0.
#[inline]
pub fn weighted_mid(bid: Level, ask: Level) -> Option<Price> {
    let (bids, asks) = (i128::from(bid.quantity.0), i128::from(ask.quantity.0));
    if bids + asks == 0 {
        return None;
    }
    // The distance and the quantity are both below 2^64, so their product fits.
    let above =
        (i128::from(ask.price.0) - i128::from(bid.price.0)).saturating_mul(bids).div_euclid(bids + asks);
    Some(Price((i128::from(bid.price.0) + above) as i64))
}

impl Book {
    /// The kind of records that the book is built from.
    pub fn kind(&self) -> BookKind {
        self.kind
    }

    /// The source of the book's records; 0 when it is empty.
    pub fn source(&self) -> u16 {
        self.source
    }

    /// How often each rule was applied. Clearing the book does not reset the counts.
    pub fn counts(&self) -> &BookCounts {
        &self.counts
    }

    /// The best level of a side.
    #[inline]
    pub fn best(&self, side: BookSide) -> Option<Level> {
        self.ladders[side as usize].best()
    }

    /// The level of the best bid.
    #[inline]
    pub fn bid(&self) -> Option<Level> {
        self.best(BookSide::Bid)
    }

    /// The level of the best offer.
    #[inline]
    pub fn ask(&self) -> Option<Level> {
        self.best(BookSide::Ask)
    }

    /// The mid price: halfway between best bid and best offer, rounded down. `None` unless both sides have a
    /// level.
    #[inline]
    pub fn mid(&self) -> Option<Price> {
        let (bid, ask) = (self.bid()?.price.0, self.ask()?.price.0);
        Some(Price(((bid as i128 + ask as i128) >> 1) as i64))
    }

    /// The [`weighted_mid`] of the best bid and offer. `None` unless both sides have a level.
    #[inline]
    pub fn weighted_mid(&self) -> Option<Price> {
        weighted_mid(self.bid()?, self.ask()?)
    }

    /// Best offer minus best bid, in units of a price; negative when the book is crossed.
    #[inline]
    pub fn spread(&self) -> Option<i64> {
        Some(self.ask()?.price.0.saturating_sub(self.bid()?.price.0))
    }

    /// Whether the best bid is at (locked) or above (crossed) the best offer.
    #[inline]
    pub fn is_crossed(&self) -> bool {
        let [bid, ask] = &self.ladders;
        bid.touch().zip(ask.touch()).is_some_and(|(bid, ask)| bid >= ask)
    }

    /// Whether both sides are empty.
    pub fn is_empty(&self) -> bool {
        self.ladders.iter().all(|ladder| ladder.count() == 0)
    }

    /// The levels of a side, best first; `take(n)` limits the depth.
    pub fn levels(&self, side: BookSide) -> impl ExactSizeIterator<Item = Level> {
        self.ladders[side as usize].iter()
    }

    /// The level at a price.
    pub fn level(&self, side: BookSide, price: Price) -> Option<Level> {
        let ladder = &self.ladders[side as usize];
        ladder.find(price.0).map(|slot| {
            let level = ladder.level(slot);
            Level { price, quantity: Quantity(level.quantity), orders: level.count }
        })
    }

    /// Total quantity at `price` and better prices: what an order of the other side with this limit price
    /// could execute against.
    pub fn volume_to(&self, side: BookSide, price: Price) -> Quantity {
        Quantity(self.ladders[side as usize].volume_to(price.0))
    }

    /// Number of single orders in the book.
    pub fn order_count(&self) -> usize {
        self.index.count()
    }

    /// The order with this venue id.
    #[inline]
    pub fn order(&self, id: u64) -> Option<BookOrder> {
        self.index.get(id).map(|slot| self.order_in(slot))
    }

    #[inline]
    pub(super) fn order_in(&self, slot: u32) -> BookOrder {
        let order = &self.orders[slot as usize];
        let price = self.ladders[order.side as usize].level(order.level).price;
        BookOrder { id: order.id, side: order.side, price: Price(price), quantity: Quantity(order.quantity) }
    }

    /// The orders that have priority over an order at its price. Takes time proportional to their number.
    pub fn queue_position(&self, id: u64) -> Option<QueuePosition> {
        let mut ahead = QueuePosition::default();
        let mut at = self.orders[self.index.get(id)? as usize].previous;
        while at != NONE {
            let order = &self.orders[at as usize];
            ahead.orders += 1;
            ahead.quantity.0 = ahead.quantity.0.saturating_add(order.quantity);
            at = order.previous;
        }
        Some(ahead)
    }
}
