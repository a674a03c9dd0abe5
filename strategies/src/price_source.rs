//! The price that a strategy watches: a parameter of several built-in strategies.

use crate::market::TradePrint;
use crate::strategy::Context;
use stele_wire::Price;

/// The price that a strategy watches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PriceSource {
    /// The mid of the book, weighted by the quantities at the best bid and offer.
    Weighted,
    /// The mid of the book.
    Mid,
    /// The price of the last trade.
    Trade,
}

impl PriceSource {
    /// The words for a choice parameter; the first is the default.
    pub const WORDS: &'static [&'static str] = &["weighted", "mid", "trade"];

    /// The source that a word names.
    ///
    /// # Panics
    /// When `word` is not one of [`PriceSource::WORDS`], which a choice parameter excludes.
    pub fn of(word: &str) -> Self {
        match word {
            "weighted" => Self::Weighted,
            "mid" => Self::Mid,
            "trade" => Self::Trade,
            _ => unreachable!("`{word}` is outside the parameter's domain"),
        }
    }

    /// The current price of a book; `None` when trades are watched.
    pub fn of_book(self, instrument: u32, context: &Context<'_>) -> Option<Price> {
        let book = context.book(instrument)?;
        match self {
            Self::Weighted => book.weighted_mid(),
            Self::Mid => book.mid(),
            Self::Trade => None,
        }
    }

    /// The price of a trade; `None` when books are watched.
    pub fn of_trade(self, trade: &TradePrint) -> Option<Price> {
        (self == Self::Trade).then_some(trade.price)
    }
}
