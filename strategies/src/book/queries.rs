//! What can be asked of a book.

use super::{Book, BookCounts, BookKind, BookOrder, BookSide, Level, NONE, QueuePosition};
use stele_wire::{Price, Quantity};

/// The mid weighted by the quantities at the touch, nearer to the side that has less: `(bid × ask quantity + ask × bid
/// quantity) / (bid quantity + ask quantity)`, rounded down (Gatheral and Oomen, Zero-intelligence realized variance
/// estimation, Finance and Stochastics 14, 2010, section 5). None when neither has any.
#[inline]
pub fn weighted_mid(bid: Level, ask: Level) -> Option<Price> {
    let (bids, asks) = (i128::from(bid.quantity.0), i128::from(ask.quantity.0));
    if bids + asks == 0 {
        return None;
    }
    // The distance is below 2^64 and a quantity too, so that their product fits.
    let above =
        (i128::from(ask.price.0) - i128::from(bid.price.0)).saturating_mul(bids).div_euclid(bids + asks);
    Some(Price((i128::from(bid.price.0) + above) as i64))
}

impl Book {
    /// What the book is kept from.
    pub fn kind(&self) -> BookKind {
        self.kind
    }

    /// The source whose records the book is kept from; 0 when it is empty.
    pub fn source(&self) -> u16 {
        self.source
    }

    /// How often each rule was used. Clearing the book does not clear them.
    pub fn counts(&self) -> &BookCounts {
        &self.counts
    }

    /// The best level of a side.
    #[inline]
    pub fn best(&self, side: BookSide) -> Option<Level> {
        self.ladders[side as usize].best()
    }

    /// The highest bid.
    #[inline]
    pub fn bid(&self) -> Option<Level> {
        self.best(BookSide::Bid)
    }

    /// The lowest offer.
    #[inline]
    pub fn ask(&self) -> Option<Level> {
        self.best(BookSide::Ask)
    }

    /// Halfway between best bid and offer, rounded down; none unless both are there.
    #[inline]
    pub fn mid(&self) -> Option<Price> {
        let (bid, ask) = (self.bid()?.price.0, self.ask()?.price.0);
        Some(Price(((bid as i128 + ask as i128) >> 1) as i64))
    }

    /// The [`weighted_mid`] of the touch. None unless both sides are there.
    #[inline]
    pub fn weighted_mid(&self) -> Option<Price> {
        weighted_mid(self.bid()?, self.ask()?)
    }

    /// Offer less bid, in units of a price; negative when crossed.
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

    /// Whether neither side has a level.
    pub fn is_empty(&self) -> bool {
        self.ladders.iter().all(|ladder| ladder.count() == 0)
    }

    /// The levels of a side, best first; `take(n)` gives the depth.
    pub fn levels(&self, side: BookSide) -> impl ExactSizeIterator<Item = Level> {
        self.ladders[side as usize].iter()
    }

    /// What stands at a price.
    pub fn level(&self, side: BookSide, price: Price) -> Option<Level> {
        let ladder = &self.ladders[side as usize];
        ladder.find(price.0).map(|slot| {
            let level = ladder.level(slot);
            Level { price, quantity: Quantity(level.quantity), orders: level.count }
        })
    }

    /// Quantity at `price` and better ones: what an order of the other side with this limit could meet.
    pub fn volume_to(&self, side: BookSide, price: Price) -> Quantity {
        Quantity(self.ladders[side as usize].volume_to(price.0))
    }

    /// How many single orders are in the book.
    pub fn order_count(&self) -> usize {
        self.index.count()
    }

    /// An order by the venue's identification.
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

    /// What stands before an order at its price. Walks the queue.
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
