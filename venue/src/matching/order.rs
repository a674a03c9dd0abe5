//! An order on the paper exchange.

use stele_strategies::book::BookSide;

/// Whether an order of `side` with `limit` may trade at `price`. An order without a limit may trade at any
/// price.
pub fn reaches(side: BookSide, limit: Option<i64>, price: i64) -> bool {
    match (side, limit) {
        (_, None) => true,
        (BookSide::Bid, Some(limit)) => price <= limit,
        (BookSide::Ask, Some(limit)) => price >= limit,
    }
}

/// The owner of an order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OrderOwner {
    /// The strategy; 0 when the order comes from no strategy.
    pub strategy: u16,
    /// The account.
    pub account: u32,
}

/// What happens to the quantity that is not filled at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remainder {
    /// It rests in the book.
    Rests,
    /// It is cancelled.
    Cancelled,
    /// Nothing is filled unless everything is.
    AllOrNothing,
}

/// What happens when an order would meet one of the same account. The mode of the incoming order decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SelfTrade {
    /// They trade.
    #[default]
    Allowed,
    /// The incoming order is cancelled.
    CancelNewest,
    /// The resting order is cancelled.
    CancelOldest,
    /// Both are cancelled.
    CancelBoth,
    /// Both are reduced by the smaller of their quantities; an order with nothing left is done.
    Decrement,
}

/// An order that works on the exchange, or is about to.
///
/// At all times `quantity` equals `cumulative` plus the open quantity, and `shown` is part of the open
/// quantity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MatchingOrder {
    /// The strategy and account.
    pub owner: OrderOwner,
    /// The instrument.
    pub instrument: u32,
    /// Buy or sell.
    pub side: BookSide,
    /// The owner's identification of the order.
    pub client_order_id: u64,
    /// The exchange's identification of the order.
    pub venue_order_id: u64,
    /// The sequence of the event that gave the order its present terms.
    pub sequence: u64,
    /// The limit in units of 1e-9. An order with none takes any price, and rests only during an auction.
    pub limit: Option<i64>,
    /// The stop price in units of 1e-9; none once it was reached, and for orders that are not stops.
    pub stop: Option<i64>,
    /// The quantity over the order's life, without cancelled parts.
    pub quantity: u64,
    /// The quantity executed so far.
    pub cumulative: u64,
    /// The part of the open quantity that others see.
    pub shown: u64,
    /// The most that others see at once; `u64::MAX` displays everything.
    pub tranche: u64,
    /// What happens to the quantity that is not filled at once.
    pub remainder: Remainder,
    /// Whether it expires at the end of the trading day.
    pub is_day: bool,
    /// What happens when it would meet an order of its own account.
    pub self_trade: SelfTrade,
    /// When it got its place in the queue, in nanoseconds since the epoch.
    pub priority_time: u64,
}

impl MatchingOrder {
    /// Returns the open quantity.
    pub fn leaves(&self) -> u64 {
        self.quantity - self.cumulative
    }

    /// Whether it is in the book, not waiting for a stop price.
    pub fn is_working(&self) -> bool {
        self.stop.is_none()
    }

    /// Executes `quantity` of the order.
    pub(crate) fn fill(&mut self, quantity: u64) {
        debug_assert!(quantity <= self.leaves());
        self.cumulative += quantity;
        self.shown = self.shown.saturating_sub(quantity).min(self.leaves());
    }

    /// Cancels `quantity` of the order. An iceberg order loses its hidden part first.
    pub(crate) fn take_off(&mut self, quantity: u64) {
        debug_assert!(quantity <= self.leaves());
        self.quantity -= quantity;
        self.shown = self.shown.min(self.leaves());
    }

    /// Displays a full tranche, or what is left.
    pub(crate) fn show(&mut self) {
        self.shown = self.tranche.min(self.leaves());
    }

    /// Whether the price of the last trade triggers the stop: a buy stop waits for a price at or above its
    /// stop price, a sell stop for one at or below it.
    pub fn is_triggered_by(&self, last: i64) -> bool {
        self.stop.is_some_and(|stop| match self.side {
            BookSide::Bid => last >= stop,
            BookSide::Ask => last <= stop,
        })
    }
}
