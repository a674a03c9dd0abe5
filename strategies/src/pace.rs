//! What the built-in strategies share: which price they watch, how often they may order, how they reach a position.

use crate::market::Print;
use crate::order::Order;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::Context;
use stele_wire::messages::Side;
use stele_wire::{Nanos, Price, Quantity};

/// Which price a strategy watches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PriceSource {
    /// The mid of the book, weighted by the quantities at the touch.
    Weighted,
    /// The mid of the book.
    Mid,
    /// The last trade.
    Trade,
}

impl PriceSource {
    /// The words for a parameter, the default first.
    pub const WORDS: &'static [&'static str] = &["weighted", "mid", "trade"];

    /// The source of that word.
    ///
    /// # Panics
    /// When it is none of [`PriceSource::WORDS`], which a parameter cannot be.
    pub fn of(word: &str) -> Self {
        match word {
            "weighted" => Self::Weighted,
            "mid" => Self::Mid,
            "trade" => Self::Trade,
            _ => unreachable!("`{word}` is outside the parameter's domain"),
        }
    }

    /// The price that a book gives; none if trades are watched.
    pub fn of_book(self, instrument: u32, context: &Context<'_>) -> Option<Price> {
        let book = context.book(instrument)?;
        match self {
            Self::Weighted => book.weighted_mid(),
            Self::Mid => book.mid(),
            Self::Trade => None,
        }
    }

    /// The price that a trade gives; none if books are watched.
    pub fn of_trade(self, trade: &Print) -> Option<Price> {
        (self == Self::Trade).then_some(trade.price)
    }
}

/// Lets through so many orders a second of the log's time, as many as that at once after a quiet second. In whole
/// nanoseconds, so that it follows from the events alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    interval: u64,
    /// When the orders let through so far would all have been let through one by one.
    used_until: Nanos,
}

const SECOND: u64 = 1_000_000_000;

impl Pace {
    /// A pace of `per_second` orders.
    ///
    /// # Panics
    /// When `per_second` is 0.
    pub fn new(per_second: u64) -> Self {
        Self { interval: SECOND / per_second, used_until: Nanos(0) }
    }

    /// Whether an order may be sent now; if so it is counted.
    pub fn admits(&mut self, now: Nanos) -> bool {
        let used_until = self.used_until.0.max(now.0.saturating_sub(SECOND)) + self.interval;
        let admits = used_until <= now.0;
        if admits {
            self.used_until = Nanos(used_until);
        }
        admits
    }

    /// Takes what the touch has until the position is `target`, waiting for the answer to each order. Orders carry
    /// `link` (RTS 24, field 46); 0 is none.
    pub fn approach(&mut self, instrument: u32, target: i64, link: u64, context: &mut Context<'_>) {
        let missing = i128::from(target) - i128::from(context.position(instrument));
        let side = if missing > 0 { Side::BUY } else { Side::SELL };
        let quantity = Quantity(missing.unsigned_abs().min(u64::MAX.into()) as u64);
        if let Some(price) = context.touch(instrument, side)
            && quantity.0 > 0
            && !context.is_working(instrument)
            && self.admits(context.now())
        {
            let order = Order::limit(instrument, side, quantity, price).immediate_or_cancel();
            context.send(order.linked(link));
        }
    }

    /// Appends the state.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.used_until.0);
    }

    /// Takes the state that [`Pace::snapshot`] told.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`].
    pub fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.used_until = Nanos(reader.u64()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_quiet_second_a_seconds_worth_goes_at_once_and_then_one_by_one() {
        let (mut pace, start) = (Pace::new(50), 1_700_000_000 * SECOND);
        let admitted = |pace: &mut Pace, now: u64| (0..100).filter(|_| pace.admits(Nanos(now))).count();
        assert_eq!(admitted(&mut pace, start), 50);
        assert_eq!(admitted(&mut pace, start + 19_999_999), 0);
        assert_eq!(admitted(&mut pace, start + 20_000_000), 1);
        assert_eq!(admitted(&mut pace, start + 9 * SECOND), 50);
    }
}
