//! The order flow: when each instrument acts, and what its action does to its book.

use super::book::{Half, Order, Side};
use super::hawkes::Hawkes;
use super::random::Random;
use super::tables::Table;
use super::{GeneratorConfig, tuning};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The greatest number of messages of one action: the executions of a market order, each with its trade.
pub const ACTION_MESSAGES_MAX: usize = 2 * tuning::FILLS_MAX;

/// The kind of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlowKind {
    /// An order entered the book.
    Add,
    /// An order got a smaller quantity and kept its place, or got another price.
    Modify,
    /// Its owner cancelled `quantity` of an order; `left` remains.
    Cancel {
        /// What remains of the order.
        left: u32,
    },
    /// A market order executed `quantity` of an order; `left` remains.
    Execute {
        /// What remains of the order.
        left: u32,
    },
    /// The trade of the execution that follows; its side is that of the market order.
    Trade,
}

/// One message of the flow, independent of any format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowRecord {
    /// The kind of the message.
    pub kind: FlowKind,
    /// Whether it is on the bid side; in a [`FlowKind::Trade`], whether the aggressor buys.
    pub is_bid: bool,
    /// Whether it belongs to the opening books.
    pub is_snapshot: bool,
    /// Whether it is the last message of its action.
    pub is_last: bool,
    /// Index of the instrument, from 0.
    pub instrument: u16,
    /// Number of the message, from 1.
    pub sequence: u64,
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// The order; in a trade, the one that was in the book.
    pub order_id: u64,
    /// The trade; 0 if the message has none.
    pub trade_id: u64,
    /// Price in units of 1e-9.
    pub price: i64,
    /// Quantity in units of the instrument; in a modify, the new quantity.
    pub quantity: u64,
}

const BLANK: FlowRecord = FlowRecord {
    kind: FlowKind::Add,
    is_bid: false,
    is_snapshot: false,
    is_last: false,
    instrument: 0,
    sequence: 0,
    time: 0,
    order_id: 0,
    trade_id: 0,
    price: 0,
    quantity: 0,
};

/// The flow of all instruments, one action after the other. Its statistics are in [`crate::generator`].
#[derive(Debug)]
pub struct Flow {
    random: Random,
    distances: Table,
    sizes: Table,
    markets: Vec<Market>,
    /// The time of each instrument's next action.
    next: BinaryHeap<Reverse<(u64, u16)>>,
    opening: Opening,
    made: Made,
    start: u64,
    ends_at: u64,
    events_left: u64,
}

#[derive(Debug)]
struct Market {
    hawkes: Hawkes,
    bids: Side,
    asks: Side,
    tick: i64,
    lot: u64,
    /// The price to which the middle is pulled back slightly.
    anchor: i32,
    /// The side of the last market order.
    last_aggressor: Half,
}

/// The order of the opening books that comes next.
#[derive(Debug)]
struct Opening {
    instrument: u16,
    order: u32,
}

/// The messages of the current action, and the numbers given out.
#[derive(Debug)]
struct Made {
    records: [FlowRecord; ACTION_MESSAGES_MAX],
    count: usize,
    sequence: u64,
    order_id: u64,
    trade_id: u64,
}

impl Flow {
    /// Creates a flow.
    ///
    /// # Panics
    /// If `config` is not [valid](GeneratorConfig::check).
    pub fn new(config: &GeneratorConfig) -> Self {
        config.check().expect("a valid configuration");
        let actions_rate = config.events_per_second / tuning::MESSAGES_PER_ACTION;
        let weights: Vec<f64> = (0..config.instruments).map(tuning::activity).collect();
        let total: f64 = weights.iter().sum();
        let market = |index: u16| Market::new(index, actions_rate * weights[usize::from(index)] / total);
        Self {
            random: Random::seeded(config.seed),
            distances: Table::distances(
                tuning::DISTANCE_OFFSET,
                tuning::DISTANCE_EXPONENT,
                tuning::DISTANCE_MAX,
            ),
            sizes: Table::sizes(tuning::SIZE_EXPONENT, tuning::SIZE_MAX),
            markets: (0..config.instruments).map(market).collect(),
            next: BinaryHeap::with_capacity(config.instruments.into()),
            opening: Opening { instrument: 0, order: 0 },
            made: Made {
                records: [BLANK; ACTION_MESSAGES_MAX],
                count: 0,
                sequence: 0,
                order_id: 0,
                trade_id: 0,
            },
            start: config.start.0,
            ends_at: config.duration.map_or(u64::MAX, |duration| config.start.0.saturating_add(duration.0)),
            events_left: config.events.unwrap_or(u64::MAX),
        }
    }

    /// Returns the messages of the next action, the last one marked; empty when the flow has ended.
    #[inline]
    pub fn next_action(&mut self) -> &[FlowRecord] {
        self.made.count = 0;
        if self.events_left == 0 {
            return &[];
        }
        if usize::from(self.opening.instrument) < self.markets.len() {
            self.open();
        } else if !self.act() {
            self.events_left = 0;
            return &[];
        }
        let count = self.made.count;
        debug_assert!(count > 0);
        self.events_left -= count as u64;
        self.made.records[count - 1].is_last = true;
        &self.made.records[..count]
    }

    /// Returns the best bid and the best ask of an instrument, each as price in units of 1e-9 and quantity.
    pub fn best(&self, instrument: u16) -> [(i64, u64); 2] {
        let market = &self.markets[usize::from(instrument)];
        [&market.bids, &market.asks]
            .map(|side| (i64::from(side.best()) * market.tick, u64::from(side.best_quantity()) * market.lot))
    }

    /// Puts one order into the opening books.
    fn open(&mut self) {
        let Opening { instrument, order } = self.opening;
        let market = &mut self.markets[usize::from(instrument)];
        let half = if order.is_multiple_of(2) { Half::Bid } else { Half::Ask };
        let away = (order / 2 / tuning::OPENING_ORDERS) as i32;
        let tick = market.anchor - half.better() * away - i32::from(half == Half::Bid);
        let quantity = self.sizes.draw(&mut self.random);
        let mut stage = Stage { made: &mut self.made, time: self.start, instrument, is_snapshot: true };
        stage.add(market, half, tick, quantity);
        if order + 1 < 2 * tuning::OPENING_LEVELS * tuning::OPENING_ORDERS {
            self.opening.order += 1;
            return;
        }
        let wait = market.hawkes.next(&mut self.random);
        self.next.push(Reverse((self.start + nanos(wait), instrument)));
        self.opening = Opening { instrument: instrument + 1, order: 0 };
    }

    /// Makes the next action of the instrument whose turn it is. Returns false when that would be after the
    /// end.
    fn act(&mut self) -> bool {
        let Some(mut first) = self.next.peek_mut() else { return false };
        let Reverse((time, instrument)) = *first;
        if time >= self.ends_at {
            return false;
        }
        let market = &mut self.markets[usize::from(instrument)];
        let wait = market.hawkes.next(&mut self.random);
        *first = Reverse((time + nanos(wait), instrument));
        drop(first);
        let stage = Stage { made: &mut self.made, time, instrument, is_snapshot: false };
        let mut action = Action { market, random: &mut self.random, stage };
        action.take(&self.distances, &self.sizes, self.events_left);
        true
    }
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

impl Market {
    fn new(index: u16, rate: f64) -> Self {
        Self {
            hawkes: Hawkes::new(rate, tuning::BRANCHING_RATIO, tuning::MEMORY),
            bids: Side::new(Half::Bid),
            asks: Side::new(Half::Ask),
            tick: tuning::TICK,
            lot: tuning::LOT,
            anchor: tuning::anchor(index),
            last_aggressor: if index.is_multiple_of(2) { Half::Bid } else { Half::Ask },
        }
    }

    #[inline]
    fn side(&mut self, half: Half) -> &mut Side {
        match half {
            Half::Bid => &mut self.bids,
            Half::Ask => &mut self.asks,
        }
    }

    #[inline]
    fn spread(&self) -> i32 {
        self.asks.best() - self.bids.best()
    }

    /// The probability that a market order buys, in parts of 65,536: half; more where the bid is larger than
    /// the ask, less far above the anchor.
    #[inline]
    fn buying_pressure(&self) -> u32 {
        let (bid, ask) = (i64::from(self.bids.best_quantity()), i64::from(self.asks.best_quantity()));
        let imbalance = (bid - ask) * tuning::IMBALANCE_WEIGHT / (bid + ask);
        let strayed =
            i64::from(self.bids.best() - self.anchor) * tuning::ANCHOR_WEIGHT / i64::from(self.anchor);
        (32_768 + imbalance - strayed).clamp(2_048, 63_488) as u32
    }
}

/// Collects the messages of one action.
struct Stage<'a> {
    made: &'a mut Made,
    time: u64,
    instrument: u16,
    is_snapshot: bool,
}

impl Stage<'_> {
    #[inline]
    fn add(&mut self, market: &mut Market, half: Half, tick: i32, quantity: u32) {
        self.made.order_id += 1;
        let id = self.made.order_id;
        market.side(half).insert(id, tick, quantity);
        self.put(market, FlowKind::Add, half, id, tick, quantity);
    }

    #[inline]
    fn put(&mut self, market: &Market, kind: FlowKind, half: Half, order_id: u64, tick: i32, quantity: u32) {
        self.made.sequence += 1;
        self.made.records[self.made.count] = FlowRecord {
            kind,
            is_bid: half == Half::Bid,
            is_snapshot: self.is_snapshot,
            is_last: false,
            instrument: self.instrument,
            sequence: self.made.sequence,
            time: self.time,
            order_id,
            trade_id: if matches!(kind, FlowKind::Trade | FlowKind::Execute { .. }) {
                self.made.trade_id
            } else {
                0
            },
            price: i64::from(tick) * market.tick,
            quantity: u64::from(quantity) * market.lot,
        };
        self.made.count += 1;
    }
}

/// One action of one instrument.
struct Action<'a> {
    market: &'a mut Market,
    random: &'a mut Random,
    stage: Stage<'a>,
}

impl Action<'_> {
    /// Draws the kind of the action and does it; `room` is the number of messages that it may make.
    fn take(&mut self, distances: &Table, sizes: &Table, room: u64) {
        let half = if self.random.bits() >> 63 == 0 { Half::Bid } else { Half::Ask };
        if self.market.side(half).span() > tuning::SPAN_MAX {
            let slot = self.market.side(half).last_at_worst();
            return self.cancel(half, slot, distances, sizes);
        }
        let drawn = (self.random.bits() >> 48) as u32;
        let orders = (self.market.bids.order_count() + self.market.asks.order_count()) as u32;
        let cancels = (orders * tuning::CANCELS_PER_ORDER).clamp(tuning::CANCELS_MIN, tuning::CANCELS_MAX);
        if drawn < tuning::MARKET_ORDERS {
            if room >= ACTION_MESSAGES_MAX as u64 && self.market_order(sizes) {
                return;
            }
            self.add(half, distances, sizes);
        } else if drawn < tuning::MARKET_ORDERS + tuning::MODIFIES {
            self.modify(half, distances, sizes);
        } else if drawn < tuning::MARKET_ORDERS + tuning::MODIFIES + cancels {
            // The side with more orders has more cancels.
            let bids = self.market.bids.order_count() as u32;
            let half = if self.random.below(orders) < bids { Half::Bid } else { Half::Ask };
            let slot = self.drawn_for_cancel(half);
            self.cancel(half, slot, distances, sizes);
        } else {
            self.add(half, distances, sizes);
        }
    }

    fn drawn_for_cancel(&mut self, half: Half) -> u32 {
        let near = self.random.chance(tuning::CANCELS_AT_BEST);
        let side = match half {
            Half::Bid => &self.market.bids,
            Half::Ask => &self.market.asks,
        };
        if near { side.last_at_best() } else { side.any(self.random) }
    }

    /// Adds a limit order: sometimes into the spread, if there is one, else at a distance from its side's
    /// best price.
    fn add(&mut self, half: Half, distances: &Table, sizes: &Table) {
        let quantity = sizes.draw(self.random);
        if self.market.spread() > 1 && self.random.chance(tuning::ADDS_INTO_SPREAD) {
            // The last aggressor's side moves up more often than the other side comes back.
            let follows = self.random.chance(tuning::FOLLOWS);
            let aggressor = self.market.last_aggressor;
            let half = if follows { aggressor } else { aggressor.other() };
            let tick = self.market.side(half).best() + half.better();
            if self.market.side(half).takes(tick) {
                return self.stage.add(self.market, half, tick, quantity);
            }
        }
        let tick = self.tick_for(half, distances);
        if self.market.side(half).takes(tick) {
            self.stage.add(self.market, half, tick, quantity);
        } else {
            let slot = self.market.side(half).last_at_worst();
            self.take_off(half, slot, None);
        }
    }

    fn tick_for(&mut self, half: Half, distances: &Table) -> i32 {
        let away = distances.draw(self.random) as i32;
        let side = self.market.side(half);
        let tick = side.best() - half.better() * away;
        if side.level_count() < tuning::LEVELS_WANTED { side.vacant_from(tick) } else { tick }
    }

    /// Cancels all of an order or, sometimes, a part. If the book would become too shallow, adds a limit
    /// order instead.
    fn cancel(&mut self, half: Half, slot: u32, distances: &Table, sizes: &Table) {
        if self.would_be_too_shallow(half, slot) {
            return self.add(half, distances, sizes);
        }
        let quantity = self.market.side(half).order(slot).quantity;
        let part = quantity > 1 && self.random.chance(tuning::PARTIAL_CANCELS);
        let taken = part.then(|| 1 + self.random.below(quantity - 1));
        self.take_off(half, slot, taken);
    }

    fn take_off(&mut self, half: Half, slot: u32, part: Option<u32>) {
        let side = self.market.side(half);
        let Order { id, tick, quantity, .. } = *side.order(slot);
        let taken = part.unwrap_or(quantity);
        side.reduce(slot, taken);
        self.stage.put(self.market, FlowKind::Cancel { left: quantity - taken }, half, id, tick, taken);
    }

    fn would_be_too_shallow(&mut self, half: Half, slot: u32) -> bool {
        let side = self.market.side(half);
        side.level_count() <= tuning::LEVELS_MIN && side.is_alone(slot)
    }

    /// Reduces the quantity of an order in place, or changes its price.
    fn modify(&mut self, half: Half, distances: &Table, sizes: &Table) {
        let side = match half {
            Half::Bid => &self.market.bids,
            Half::Ask => &self.market.asks,
        };
        let slot = side.any(self.random);
        let Order { id, tick, quantity, .. } = *side.order(slot);
        if quantity > 1 && self.random.bits() >> 63 == 0 {
            let taken = 1 + self.random.below(quantity - 1);
            self.market.side(half).reduce(slot, taken);
            return self.stage.put(self.market, FlowKind::Modify, half, id, tick, quantity - taken);
        }
        let to = self.tick_for(half, distances);
        if to == tick || self.would_be_too_shallow(half, slot) || !self.market.side(half).takes(to) {
            return self.add(half, distances, sizes);
        }
        self.market.side(half).reprice(slot, to);
        self.stage.put(self.market, FlowKind::Modify, half, id, to, quantity);
    }

    /// Executes the oldest orders at the best price, and at a few further levels. Returns false, and does
    /// nothing, if the book is too shallow.
    fn market_order(&mut self, sizes: &Table) -> bool {
        let buys = if self.random.chance(tuning::PERSISTENCE) {
            self.market.last_aggressor == Half::Bid
        } else {
            let pressure = self.market.buying_pressure();
            self.random.chance(pressure)
        };
        let aggressor = if buys { Half::Bid } else { Half::Ask };
        let resting = aggressor.other();
        let mut wanted = sizes.draw(self.random);
        let farthest = self.market.side(resting).best() - resting.better() * (tuning::SWEEP_MAX - 1);
        for _ in 0..tuning::FILLS_MAX {
            let slot = self.market.side(resting).front();
            let Order { id, tick, quantity, .. } = *self.market.side(resting).order(slot);
            let beyond = (farthest - tick) * resting.better() > 0;
            if wanted == 0 || beyond || (wanted >= quantity && self.would_be_too_shallow(resting, slot)) {
                break;
            }
            let taken = wanted.min(quantity);
            wanted -= taken;
            self.market.side(resting).reduce(slot, taken);
            self.stage.made.trade_id += 1;
            self.stage.put(self.market, FlowKind::Trade, aggressor, id, tick, taken);
            let left = quantity - taken;
            self.stage.put(self.market, FlowKind::Execute { left }, resting, id, tick, taken);
        }
        let traded = self.stage.made.count > 0;
        if traded {
            self.market.last_aggressor = aggressor;
        }
        traded
    }
}
