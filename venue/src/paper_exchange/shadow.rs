//! The quantity that simulated fills have taken from the displayed market.
//!
//! The replayed market does not contain the simulated orders, so a level stays displayed after they took
//! from it. Each owner therefore has a shadow: the part of a level's displayed quantity that it has already
//! taken. The shadow shrinks only with the level: when the displayed quantity falls below the shadow, the
//! shadow falls with it; when the displayed quantity grows, only the growth is new liquidity; when the
//! level disappears, so does the shadow. This is conservative: quantity that leaves a level is assumed to
//! be quantity that was not taken.

use crate::matching::OrderOwner;
use stele_strategies::book::BookSide;

/// The shadows of all owners in one instrument.
#[derive(Clone, Debug, Default)]
pub(super) struct Shadow {
    levels: Vec<Taken>,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    owner: OrderOwner,
    side: BookSide,
    price: i64,
    quantity: u64,
}

impl Shadow {
    /// Returns how much of `displayed` is left for `owner` at a level of `side`.
    pub(super) fn left(&self, owner: OrderOwner, side: BookSide, price: i64, displayed: u64) -> u64 {
        let taken = self.levels.iter().find(|taken| taken.is_of(owner, side, price));
        displayed.saturating_sub(taken.map_or(0, |taken| taken.quantity))
    }

    /// Records that `owner` took `quantity` from a level of `side`.
    pub(super) fn take(&mut self, owner: OrderOwner, side: BookSide, price: i64, quantity: u64) {
        match self.levels.iter_mut().find(|taken| taken.is_of(owner, side, price)) {
            Some(taken) => taken.quantity = taken.quantity.saturating_add(quantity),
            None => self.levels.push(Taken { owner, side, price, quantity }),
        }
    }

    /// Updates the shadows to the market; `displayed` returns what a level displays now.
    pub(super) fn follow(&mut self, displayed: impl Fn(BookSide, i64) -> u64) {
        self.levels.retain_mut(|taken| {
            taken.quantity = taken.quantity.min(displayed(taken.side, taken.price));
            taken.quantity > 0
        });
    }

    /// Whether no quantity is taken.
    pub(super) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }
}

impl Taken {
    fn is_of(&self, owner: OrderOwner, side: BookSide, price: i64) -> bool {
        self.price == price && self.side == side && self.owner == owner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: OrderOwner = OrderOwner { strategy: 1, account: 7 };
    const OTHER: OrderOwner = OrderOwner { strategy: 2, account: 7 };

    #[test]
    fn quantity_that_one_owner_took_is_still_available_to_another() {
        let mut shadow = Shadow::default();
        shadow.take(OWNER, BookSide::Ask, 100, 30);
        assert_eq!(shadow.left(OWNER, BookSide::Ask, 100, 50), 20);
        assert_eq!(shadow.left(OTHER, BookSide::Ask, 100, 50), 50);
        assert_eq!(shadow.left(OWNER, BookSide::Bid, 100, 50), 50);
    }

    #[test]
    fn only_growth_of_a_level_is_new_liquidity() {
        let mut shadow = Shadow::default();
        shadow.take(OWNER, BookSide::Ask, 100, 50);
        shadow.follow(|_, _| 40);
        assert_eq!(shadow.left(OWNER, BookSide::Ask, 100, 40), 0);
        shadow.follow(|_, _| 65);
        assert_eq!(shadow.left(OWNER, BookSide::Ask, 100, 65), 25);
        shadow.follow(|_, _| 0);
        assert!(shadow.is_empty());
        assert_eq!(shadow.left(OWNER, BookSide::Ask, 100, 65), 65);
    }
}
