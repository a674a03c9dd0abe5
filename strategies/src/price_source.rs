//! Which price a built-in strategy watches.

use crate::market::TradePrint;
use crate::strategy::Context;
use stele_wire::Price;

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
    pub fn of_trade(self, trade: &TradePrint) -> Option<Price> {
        (self == Self::Trade).then_some(trade.price)
    }
}
