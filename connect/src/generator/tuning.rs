//! Every number that shapes the flow. The statistics that result are in [`crate::generator`].

use super::book::WINDOW;

/// Arrivals that one arrival causes on average.
pub(super) const BRANCHING_RATIO: f64 = 0.7;
/// How long an arrival raises the rate, in mean times between arrivals.
pub(super) const MEMORY: f64 = 2.0;
/// Messages of an action on average; converts the rate of messages into one of actions.
pub(super) const MESSAGES_PER_ACTION: f64 = 1.082;

/// Of 65,536 actions, market orders.
pub(super) const MARKET_ORDERS: u32 = 3_000;
/// Of 65,536 actions, modifies.
pub(super) const MODIFIES: u32 = 2_600;
/// Of 65,536 actions, cancels for each order in the book: what keeps the number of orders near 240.
pub(super) const CANCELS_PER_ORDER: u32 = 120;
/// The least and the greatest value of that.
pub(super) const CANCELS_MIN: u32 = 4_096;
pub(super) const CANCELS_MAX: u32 = 56_000;
/// Of 65,536 cancels, those of the newest order at the best price; the others are drawn from the whole side.
pub(super) const CANCELS_AT_BEST: u32 = 17_000;
/// Of 65,536 cancels of more than one lot, those of a part.
pub(super) const PARTIAL_CANCELS: u32 = 6_554;

/// Of 65,536 limit orders that find a spread above one tick, those that go into it.
pub(super) const ADDS_INTO_SPREAD: u32 = 40_000;
/// Of 65,536 of these, those on the side of the last market order.
pub(super) const FOLLOWS: u32 = 45_000;
/// Limit orders rest `Δ` ticks from their side's best price with a density ∝ `(offset + Δ)^−(1 + exponent)`.
pub(super) const DISTANCE_OFFSET: f64 = 5.0;
pub(super) const DISTANCE_EXPONENT: f64 = 0.6;
pub(super) const DISTANCE_MAX: u16 = 48;
/// Sizes in lots: at least `s` with probability `s^−exponent`.
pub(super) const SIZE_EXPONENT: f64 = 1.7;
pub(super) const SIZE_MAX: u16 = 200;

/// Of 65,536 market orders, those that take the side of the one before whatever the book.
pub(super) const PERSISTENCE: u32 = 20_000;
/// How far a one-sided touch shifts a market order's side, of 65,536.
pub(super) const IMBALANCE_WEIGHT: i64 = 24_000;
/// How far a price twice the anchor shifts it.
pub(super) const ANCHOR_WEIGHT: i64 = 8_192;
/// Levels that a market order goes through at most.
pub(super) const SWEEP_MAX: i32 = 3;
/// Executions of one market order at most.
pub(super) const FILLS_MAX: usize = 12;

/// Levels that no cancel and no execution goes below.
pub(super) const LEVELS_MIN: u32 = 12;
/// Below so many levels, limit orders open new ones.
pub(super) const LEVELS_WANTED: u32 = 16;
/// A side that spans more ticks loses its farthest orders first.
pub(super) const SPAN_MAX: i32 = 160;

/// The books that the flow begins with: levels of each side, orders of each level.
pub(super) const OPENING_LEVELS: u32 = 24;
pub(super) const OPENING_ORDERS: u32 = 5;

/// One tick in units of 1e-9: a cent.
pub(super) const TICK: i64 = 10_000_000;
/// Units in one lot.
pub(super) const LOT: u64 = 100;

const _: () = assert!(SPAN_MAX + DISTANCE_MAX as i32 + 4 * SWEEP_MAX < WINDOW);
const _: () = assert!(LEVELS_MIN > 10 && LEVELS_WANTED >= LEVELS_MIN && OPENING_LEVELS > LEVELS_WANTED);
const _: () = assert!(MARKET_ORDERS + MODIFIES + CANCELS_MAX < 65_536);
const _: () = assert!(2 * FILLS_MAX < stele_feed::RECORD_EVENTS_MAX);

/// Where the price of the instrument with this index begins, in ticks: 50 to 400 in money.
pub(super) fn anchor(index: u16) -> i32 {
    5_000 + 5_000 * i32::from(index % 8)
}

/// The instrument's rate of actions relative to the others.
pub(super) fn activity(index: u16) -> f64 {
    1.0 / f64::from(index + 1).sqrt()
}
