//! Random flows against the replayed market, and what must hold for all of them.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// An action of a random test.
#[derive(Clone, Debug)]
enum Act {
    Add(u64, bool, i64, u64),
    Cancel(u64, u64),
    Execute(u64, u64),
    Level(bool, i64, u64),
    Trade(bool, i64, u64),
    Clear,
    MatchingOrder {
        strategy: u16,
        is_buy: bool,
        price: i64,
        quantity: u64,
        time_in_force: u8,
        is_market: bool,
        extra: u8,
    },
    Replace(u64, i64, u64),
    Withdraw(u64, u64),
}

fn act(by_order: bool) -> impl Strategy<Value = Act> {
    let (price, quantity) = (90..110i64, 1..20u64);
    let market = if by_order {
        prop_oneof![
            6 => (1..60u64, any::<bool>(), price.clone(), quantity.clone()).prop_map(|(id, bid, price, quantity)| {
                // Bids are below 100 and offers above it, and sometimes crossed.
                let price = if bid { price.min(101) } else { price.max(99) };
                Act::Add(id, bid, price, quantity)
            }),
            3 => (1..60u64, quantity.clone()).prop_map(|(id, quantity)| Act::Cancel(id, quantity)),
            3 => (1..60u64, quantity.clone()).prop_map(|(id, quantity)| Act::Execute(id, quantity)),
            1 => Just(Act::Clear),
        ]
        .boxed()
    } else {
        prop_oneof![
            6 => (any::<bool>(), price.clone(), 0..20u64).prop_map(|(bid, price, quantity)| Act::Level(bid, price, quantity)),
            4 => (any::<bool>(), price.clone(), quantity.clone()).prop_map(|(buy, price, quantity)| Act::Trade(buy, price, quantity)),
            1 => Just(Act::Clear),
        ]
        .boxed()
    };
    prop_oneof![
        12 => market,
        6 => (1..3u16, any::<bool>(), price.clone(), quantity.clone(), 0..4u8, any::<u8>(), any::<u8>()).prop_map(
            |(strategy, is_buy, price, quantity, time_in_force, market, extra)| Act::MatchingOrder {
                strategy, is_buy, price, quantity, time_in_force, is_market: market < 25, extra,
            }
        ),
        2 => (1..40u64, price, quantity.clone()).prop_map(|(id, price, quantity)| Act::Replace(id, price, quantity)),
        2 => (1..40u64, quantity).prop_map(|(id, quantity)| Act::Withdraw(id, quantity)),
    ]
}

/// What the tests know about an order, independent of the exchange's own state.
#[derive(Clone, Copy, Debug)]
struct Known {
    is_buy: bool,
    limit: Option<i64>,
    quantity: u64,
    filled: u64,
    cancelled: u64,
    is_answered: bool,
}

struct Checker {
    bench: Bench,
    known: BTreeMap<(u16, u64), Known>,
    next_id: u64,
}

impl Checker {
    fn run(acts: &[Act]) -> Vec<PaperReport> {
        let mut checker = Self { bench: Bench::new(FeeSchedule::FREE), known: BTreeMap::new(), next_id: 1 };
        let mut all = Vec::new();
        for act in acts {
            let taken = checker.act(act);
            checker.check(&taken);
            all.extend(taken);
        }
        checker.check_conserved();
        all
    }

    fn act(&mut self, act: &Act) -> Vec<PaperReport> {
        let side = |is_buy| if is_buy { Side::BUY } else { Side::SELL };
        let is_order = matches!(act, Act::MatchingOrder { .. } | Act::Replace(..) | Act::Withdraw(..));
        let log = &mut self.bench.log;
        match *act {
            Act::Add(id, bid, price, quantity) => log.push(&add(1, id, side(bid), price, quantity)),
            Act::Cancel(id, quantity) => log.push(&cancel(1, id, quantity)),
            Act::Execute(id, quantity) => log.push(&execute(1, id, quantity)),
            Act::Level(bid, price, quantity) => log.push(&level(1, side(bid), price, quantity)),
            Act::Trade(buy, price, quantity) => log.push(&trade(1, side(buy), price, quantity)),
            Act::Clear => log.push(&clear(1)),
            Act::MatchingOrder { strategy, is_buy, price, quantity, time_in_force, is_market, extra } => {
                let mut order = limit_order(1, self.next_id, side(is_buy), price, quantity);
                order.strategy = U16::new(strategy);
                order.time_in_force = [
                    TimeInForce::DAY,
                    TimeInForce::GOOD_TILL_CANCEL,
                    TimeInForce::IMMEDIATE_OR_CANCEL,
                    TimeInForce::FILL_OR_KILL,
                ][usize::from(time_in_force)];
                let limit = if is_market { None } else { Some(price) };
                if is_market {
                    order.order_type = OrderType::MARKET;
                }
                if extra >= 200 {
                    order.order_type = if is_market { OrderType::STOP } else { OrderType::STOP_LIMIT };
                    order.stop_price = I64::new(price + i64::from(extra % 7) - 3);
                } else if extra < 60 && !is_market && time_in_force < 2 {
                    order.displayed_quantity = U64::new(1 + u64::from(extra % 4));
                }
                order.self_trade_prevention = SelfTradePrevention(extra % 5);
                let known = Known { is_buy, limit, quantity, filled: 0, cancelled: 0, is_answered: false };
                self.known.insert((strategy, self.next_id), known);
                self.next_id += 1;
                log.push_body(NewOrder::TEMPLATE_ID, NewOrder::BLOCK_LENGTH, &order_body(&order))
            }
            Act::Replace(id, price, quantity) => {
                let Some(old) = self.known.get(&(1, id)).copied() else { return Vec::new() };
                let mut order = limit_order(1, self.next_id, side(old.is_buy), price, quantity);
                order.replaced_order_id = U64::new(id);
                let known = Known {
                    limit: Some(price),
                    quantity,
                    filled: 0,
                    cancelled: 0,
                    is_answered: false,
                    ..old
                };
                self.known.insert((1, self.next_id), known);
                self.next_id += 1;
                log.push_body(ReplaceOrder::TEMPLATE_ID, ReplaceOrder::BLOCK_LENGTH, &order_body(&order))
            }
            Act::Withdraw(id, quantity) => log.push(&CancelOrder {
                strategy: U16::new(1),
                account: U32::new(7),
                instrument: U32::new(1),
                cancelled_order_id: U64::new(id),
                quantity: U64::new(quantity),
                ..CancelOrder::NULL
            }),
        };
        let exchange = &mut self.bench.exchange;
        if is_order {
            exchange.on_order(&self.bench.log.last());
        } else {
            exchange.on_market(&self.bench.log.last());
        }
        let reports: Vec<PaperReport> = std::iter::from_fn(|| exchange.pop_report()).collect();
        // An order does not change the market, and a stop is worked after the event that triggered it.
        let displayed = displayed_in_all(exchange);
        for owner in [1, 2] {
            let taken: u64 = reports
                .iter()
                .filter_map(|report| match report {
                    PaperReport::Filled(fill)
                        if fill.liquidity == Liquidity::TAKER && fill.strategy.get() == owner =>
                    {
                        Some(fill.last_quantity.get())
                    }
                    _ => None,
                })
                .sum();
            assert!(taken <= displayed, "{taken} taken of {displayed} displayed");
        }
        reports
    }

    fn check(&mut self, reports: &[PaperReport]) {
        for report in reports {
            match report {
                PaperReport::Accepted(r) => self.known(r.strategy, r.client_order_id).is_answered = true,
                PaperReport::Rejected(r, _) => {
                    self.known.remove(&(r.strategy.get(), r.client_order_id.get()));
                }
                PaperReport::Replaced(r) => {
                    let old = *self.known(r.strategy, r.replaced_order_id);
                    let new = self.known(r.strategy, r.client_order_id);
                    assert_eq!(r.leaves_quantity.get(), new.quantity);
                    *new = Known {
                        quantity: new.quantity + old.filled,
                        filled: old.filled,
                        is_answered: true,
                        ..*new
                    };
                    self.known.remove(&(r.strategy.get(), r.replaced_order_id.get()));
                }
                PaperReport::ReplaceRejected(r, _) => {
                    self.known.remove(&(r.strategy.get(), r.request_order_id.get()));
                }
                PaperReport::Filled(r) => {
                    let known = self.known(r.strategy, r.client_order_id);
                    known.filled += r.last_quantity.get();
                    assert!(known.is_answered, "filled before it was taken");
                    assert!(r.last_quantity.get() > 0);
                    let price = r.last_price.get();
                    let is_within = known
                        .limit
                        .is_none_or(|limit| if known.is_buy { price <= limit } else { price >= limit });
                    assert!(is_within, "{price} is worse than {:?}", known.limit);
                    let leaves = known.quantity - known.filled - known.cancelled;
                    assert_eq!(
                        (r.leaves_quantity.get(), r.cumulative_quantity.get()),
                        (leaves, known.filled)
                    );
                }
                PaperReport::Cancelled(r) => {
                    let known = self.known(r.strategy, r.client_order_id);
                    known.cancelled += r.cancelled_quantity.get();
                    let leaves = known.quantity - known.filled - known.cancelled;
                    assert_eq!(
                        (r.leaves_quantity.get(), r.cumulative_quantity.get()),
                        (leaves, known.filled)
                    );
                }
                PaperReport::CancelRejected(..) => {}
                PaperReport::Triggered(r) => {
                    let known = *self.known(r.strategy, r.client_order_id);
                    assert_eq!(r.leaves_quantity.get(), known.quantity - known.filled - known.cancelled);
                }
                PaperReport::Restated(r) => {
                    assert!(r.displayed_quantity.get() > 0 && r.displayed_quantity <= r.leaves_quantity);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn known(&mut self, strategy: U16, id: U64) -> &mut Known {
        self.known.get_mut(&(strategy.get(), id.get())).expect("a report about an order that there is")
    }

    /// Every order that is not done rests with the quantity that the reports leave open; a mass cancel
    /// removes all.
    fn check_conserved(&mut self) {
        let open: u64 =
            self.known.values().map(|known| known.quantity - known.filled - known.cancelled).sum();
        let count =
            self.known.values().filter(|known| known.quantity > known.filled + known.cancelled).count();
        assert_eq!(self.bench.exchange.open_orders(), count);
        assert!(self.known.values().all(|known| known.is_answered));
        self.bench.log.push(&MassCancel { scope: CancelScope::ALL, side: Side::NONE, ..MassCancel::NULL });
        self.bench.exchange.on_order(&self.bench.log.last());
        let gone: u64 = std::iter::from_fn(|| self.bench.exchange.pop_report())
            .map(|report| match report {
                PaperReport::Cancelled(r) => r.cancelled_quantity.get(),
                other => panic!("{other:?}"),
            })
            .sum();
        assert_eq!(gone, open);
        assert_eq!(self.bench.exchange.open_orders(), 0);
    }
}

/// Returns the total quantity that both sides display.
fn displayed_in_all(exchange: &PaperExchange) -> u64 {
    [BookSide::Bid, BookSide::Ask]
        .into_iter()
        .flat_map(|side| market::levels(exchange.market.book(1), side))
        .map(|(_, quantity)| quantity)
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn no_order_is_lost_quantities_conserve_and_no_fill_is_worse_than_the_limit(
        by_order in any::<bool>().prop_flat_map(|by_order| prop::collection::vec(act(by_order), 1..150))
    ) {
        let first = Checker::run(&by_order);
        let second = Checker::run(&by_order);
        prop_assert_eq!(first, second, "the same input gives the same reports");
    }

    #[test]
    fn an_owner_never_takes_more_of_a_level_than_ever_came_to_it(
        quantities in prop::collection::vec((0..30u64, 1..30u64), 1..60)
    ) {
        let mut bench = Bench::new(FeeSchedule::FREE);
        let (mut came, mut taken, mut shown) = (0u64, 0u64, 0u64);
        for (id, (quantity, wanted)) in (1..).zip(quantities) {
            bench.market(&level(1, Side::SELL, 101, quantity));
            came += quantity.saturating_sub(shown);
            shown = quantity;
            let order = limit_order(1, id, Side::BUY, 101, wanted);
            bench.log.push_body(
                NewOrder::TEMPLATE_ID,
                NewOrder::BLOCK_LENGTH,
                &order_body(&NewOrder { time_in_force: TimeInForce::IMMEDIATE_OR_CANCEL, ..order }),
            );
            bench.exchange.on_order(&bench.log.last());
            let mut now = 0;
            while let Some(report) = bench.exchange.pop_report() {
                if let PaperReport::Filled(fill) = report {
                    now += fill.last_quantity.get();
                }
            }
            taken += now;
            prop_assert!(now <= shown && taken <= came, "{now} of {shown}, {taken} of {came}");
        }
    }
}
