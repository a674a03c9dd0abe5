//! An order that works on the paper exchange.

use stele_strategies::book::BookSide;

/// Whether an order of `side` with `limit` may trade at `price`. Without a limit it may trade at any.
pub fn reaches(side: BookSide, limit: Option<i64>, price: i64) -> bool {
    match (side, limit) {
        (_, None) => true,
        (BookSide::Bid, Some(limit)) => price <= limit,
        (BookSide::Ask, Some(limit)) => price >= limit,
    }
}

/// Whose an order is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Owner {
    /// The strategy, 0 where the order comes from no strategy.
    pub strategy: u16,
    /// The account.
    pub account: u32,
}

/// What becomes of what is not filled at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remainder {
    /// It rests in the book.
    Rests,
    /// It is cancelled.
    Cancelled,
    /// Nothing is filled unless everything is.
    AllOrNothing,
}

/// What happens when an order would meet one of the same account. The mode of the order that comes in counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SelfTrade {
    /// They trade.
    #[default]
    Allowed,
    /// The order that comes in is cancelled.
    CancelNewest,
    /// The order that rests is cancelled.
    CancelOldest,
    /// Both are cancelled.
    CancelBoth,
    /// Both lose the smaller of their quantities; what has nothing left is gone.
    Decrement,
}

/// An order, working or about to.
///
/// At all times `quantity` = `cumulative` + what is left, and what is shown is part of what is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// Whose it is.
    pub owner: Owner,
    /// What it is in.
    pub instrument: u32,
    /// Its side.
    pub side: BookSide,
    /// As its owner calls it.
    pub client_order_id: u64,
    /// As the exchange calls it.
    pub venue_order_id: u64,
    /// The event on the log that gave the order its present terms.
    pub sequence: u64,
    /// In units of 1e-9; none takes any price, and rests in an auction alone.
    pub limit: Option<i64>,
    /// The price that the market must reach before the order is worked, in units of 1e-9; none once it has.
    pub stop: Option<i64>,
    /// Over the order's life, cancelled parts taken off.
    pub quantity: u64,
    /// Executed so far.
    pub cumulative: u64,
    /// What others see of what is left.
    pub shown: u64,
    /// What others ever see at once; `u64::MAX` shows everything.
    pub tranche: u64,
    /// What becomes of what is not filled at once.
    pub remainder: Remainder,
    /// Whether its life ends with the trading day.
    pub is_day: bool,
    /// What happens when it would meet one of its own account.
    pub self_trade: SelfTrade,
    /// When it got its place in the queue, in nanoseconds since the epoch.
    pub priority_time: u64,
}

impl Order {
    /// Quantity still working.
    pub fn leaves(&self) -> u64 {
        self.quantity - self.cumulative
    }

    /// Whether it stands in the book, no stop holding it back.
    pub fn is_working(&self) -> bool {
        self.stop.is_none()
    }

    /// `quantity` of it was executed.
    pub(crate) fn fill(&mut self, quantity: u64) {
        debug_assert!(quantity <= self.leaves());
        self.cumulative += quantity;
        self.shown = self.shown.saturating_sub(quantity).min(self.leaves());
    }

    /// `quantity` of it was cancelled; of an iceberg the hidden part goes first.
    pub(crate) fn take_off(&mut self, quantity: u64) {
        debug_assert!(quantity <= self.leaves());
        self.quantity -= quantity;
        self.shown = self.shown.min(self.leaves());
    }

    /// Shows as much as it ever shows at once.
    pub(crate) fn show(&mut self) {
        self.shown = self.tranche.min(self.leaves());
    }

    /// Whether the last trade's price lets it be worked: a stop to buy waits for a price at or above it, one to sell
    /// for a price at or below it.
    pub fn is_triggered_by(&self, last: i64) -> bool {
        self.stop.is_some_and(|stop| match self.side {
            BookSide::Bid => last >= stop,
            BookSide::Ask => last <= stop,
        })
    }
}
