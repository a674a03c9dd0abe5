//! The price of an auction.
//!
//! The rules are those of Xetra's market model (Deutsche Börse, *Market Model Xetra*, chapter "Auction
//! price determination"), which other venues share except for details:
//!
//! 1. the price at which the most can be executed;
//! 2. of several, the price with the smallest surplus;
//! 3. of several, the highest if all have a surplus on the buy side, the lowest if all have a surplus on
//!    the sell side;
//! 4. otherwise the price nearest to the last trade's; without a last trade, the midpoint rounded down to
//!    the tick.
//!
//! Candidates are the limits of the orders. When only orders without a limit meet, they trade at the last
//! price; without a last price they do not trade.

/// The orders of one side at one price: the price (none for orders without a limit) and their open
/// quantity.
pub type Interest = (Option<i64>, u64);

/// The result of an auction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clearing {
    /// The auction price, in units of 1e-9.
    pub price: i64,
    /// The quantity that is executed.
    pub volume: u64,
}

/// The candidate prices that are still equally good.
#[derive(Clone, Copy)]
struct Candidates {
    low: i64,
    high: i64,
    volume: u128,
    /// Demand less supply, at the lowest and at the highest candidate.
    surplus: [i128; 2],
}

/// Returns the price and volume of an auction of `bids` and `asks`, each in any order; none when nothing
/// can be executed. `last` is the price of the last trade, `tick` is at least 1, and `scratch` is
/// overwritten.
pub fn clearing(
    bids: &[Interest],
    asks: &[Interest],
    last: Option<i64>,
    tick: i64,
    scratch: &mut Vec<i64>,
) -> Option<Clearing> {
    scratch.clear();
    scratch.extend(bids.iter().chain(asks).filter_map(|(price, _)| *price));
    scratch.sort_unstable();
    scratch.dedup();
    let sum = |side: &[Interest], wanted: &dyn Fn(i64) -> bool| -> u128 {
        side.iter().filter(|(price, _)| price.is_none_or(wanted)).map(|(_, left)| u128::from(*left)).sum()
    };
    let mut best: Option<Candidates> = None;
    for &price in scratch.iter() {
        let demand = sum(bids, &|limit| limit >= price);
        let supply = sum(asks, &|limit| limit <= price);
        let (volume, surplus) = (demand.min(supply), demand as i128 - supply as i128);
        match &mut best {
            Some(so_far) if (so_far.volume, so_far.left()) == (volume, surplus.unsigned_abs()) => {
                (so_far.high, so_far.surplus[1]) = (price, surplus);
            }
            Some(so_far) if (so_far.volume, !so_far.left()) > (volume, !surplus.unsigned_abs()) => {}
            _ => best = Some(Candidates { low: price, high: price, volume, surplus: [surplus; 2] }),
        }
    }
    match best {
        Some(best) if best.volume > 0 => {
            Some(Clearing { price: best.price(last, tick), volume: clamped(best.volume) })
        }
        Some(_) => None,
        None => {
            let volume = sum(bids, &|_| true).min(sum(asks, &|_| true));
            last.filter(|_| volume > 0).map(|price| Clearing { price, volume: clamped(volume) })
        }
    }
}

fn clamped(volume: u128) -> u64 {
    u64::try_from(volume).unwrap_or(u64::MAX)
}

impl Candidates {
    fn left(&self) -> u128 {
        self.surplus[0].unsigned_abs()
    }

    /// Applies rules 3 and 4. As the price rises, demand only falls and supply only grows, so the surplus
    /// at the lowest and at the highest candidate decides for all candidates between them.
    fn price(&self, last: Option<i64>, tick: i64) -> i64 {
        if self.surplus.iter().all(|surplus| *surplus > 0) {
            return self.high;
        }
        if self.surplus.iter().all(|surplus| *surplus < 0) {
            return self.low;
        }
        match last {
            Some(last) => last.clamp(self.low, self.high),
            None => {
                let middle = (i128::from(self.low) + i128::from(self.high)) >> 1;
                let rounded = (middle - middle.rem_euclid(i128::from(tick.max(1)))) as i64;
                rounded.clamp(self.low, self.high)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cleared(bids: &[Interest], asks: &[Interest], last: Option<i64>) -> Option<(i64, u64)> {
        clearing(bids, asks, last, 1, &mut Vec::new()).map(|found| (found.price, found.volume))
    }

    fn at(price: i64, quantity: u64) -> Interest {
        (Some(price), quantity)
    }

    /// The examples of the market model, in the same order.
    #[test]
    fn the_examples_of_the_market_model_give_the_documented_prices() {
        let bids = [at(202, 200), at(201, 200), at(200, 300)];
        let asks = [at(200, 100), at(198, 200), at(197, 400)];
        assert_eq!(cleared(&bids, &asks, None), Some((200, 700)), "1: one price at which most is executed");
        let bids = [at(202, 400), at(201, 200)];
        let asks = [at(199, 300), at(198, 200)];
        assert_eq!(cleared(&bids, &asks, None), Some((201, 500)), "2: a surplus to buy: the highest limit");
        let bids = [at(202, 300), at(201, 200)];
        let asks = [at(199, 400), at(198, 200)];
        assert_eq!(cleared(&bids, &asks, None), Some((199, 500)), "3: a surplus to sell: the lowest limit");
        let bids = [at(202, 500), at(201, 100)];
        let asks = [at(199, 400), at(198, 200)];
        assert_eq!(
            cleared(&bids, &asks, Some(200)),
            Some((200, 600)),
            "4: no surplus: nearest to the last price"
        );
        assert_eq!(cleared(&bids, &asks, Some(203)), Some((201, 600)));
        assert_eq!(cleared(&bids, &asks, Some(197)), Some((199, 600)));
        assert_eq!(
            cleared(&[(None, 900)], &[(None, 800)], Some(123)),
            Some((123, 800)),
            "5: no limits at all"
        );
        assert_eq!(cleared(&[(None, 900)], &[(None, 800)], None), None);
        let (bids, asks) = ([at(200, 80)], [at(201, 80)]);
        assert_eq!(cleared(&bids, &asks, Some(200)), None, "6: nothing crosses");
    }

    #[test]
    fn without_a_last_price_the_midpoint_is_rounded_down_to_the_tick() {
        let mut scratch = Vec::new();
        let found = clearing(&[at(-5, 3)], &[at(-20, 3)], None, 5, &mut scratch);
        assert_eq!(found, Some(Clearing { price: -15, volume: 3 }));
    }

    proptest! {
        #[test]
        fn no_other_price_executes_more_or_leaves_a_smaller_surplus(
            bids in prop::collection::vec((prop::option::weighted(0.9, 90i64..110), 1u64..50), 0..12),
            asks in prop::collection::vec((prop::option::weighted(0.9, 90i64..110), 1u64..50), 0..12),
            last in prop::option::of(80i64..120),
        ) {
            let at_price = |price: i64| {
                let demand: u64 = bids.iter().filter(|bid| bid.0.is_none_or(|limit| limit >= price)).map(|bid| bid.1).sum();
                let supply: u64 = asks.iter().filter(|ask| ask.0.is_none_or(|limit| limit <= price)).map(|ask| ask.1).sum();
                (demand.min(supply), u64::MAX - demand.abs_diff(supply))
            };
            match clearing(&bids, &asks, last, 1, &mut Vec::new()) {
                Some(found) => {
                    let (volume, left) = at_price(found.price);
                    prop_assert_eq!(found.volume, volume);
                    prop_assert!(volume > 0);
                    let limits = bids.iter().chain(&asks).filter_map(|interest| interest.0);
                    for price in limits {
                        prop_assert!(at_price(price) <= (volume, left), "{} is better than {}", price, found.price);
                    }
                }
                None => {
                    let has_limits = bids.iter().chain(&asks).any(|interest| interest.0.is_some());
                    if has_limits {
                        prop_assert!((85..115).all(|price| at_price(price).0 == 0));
                    }
                }
            }
        }
    }
}
