//! Compares the engine step by step with a naive one that searches a plain list.

mod naive;

use super::*;
use naive::Naive;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What a listener received, in short form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    Traded { maker: u64, taker: u64, price: i64, quantity: u64, is_auction: bool },
    Lapsed { order: u64, quantity: u64, leaves: u64, why: CancelReason },
    Triggered(u64),
    Refreshed { order: u64, shown: u64 },
    Expired { order: u64, quantity: u64 },
}

/// A listener that records everything.
#[derive(Default)]
struct Listener(Vec<Said>);

impl MatchingListener for Listener {
    fn traded(
        &mut self,
        maker: &MatchingOrder,
        taker: &MatchingOrder,
        MatchedTrade { price, quantity, is_auction }: MatchedTrade,
    ) {
        assert!(quantity > 0 && maker.side == taker.side.opposite());
        for order in [maker, taker] {
            assert!(reaches(order.side, order.limit, price), "{price} is worse than the limit of {order:?}");
        }
        let (maker, taker) = (maker.client_order_id, taker.client_order_id);
        self.0.push(Said::Traded { maker, taker, price, quantity, is_auction });
    }

    fn cancelled(&mut self, order: &MatchingOrder, quantity: u64, why: CancelReason) {
        let leaves = order.leaves();
        self.0.push(Said::Lapsed { order: order.client_order_id, quantity, leaves, why });
    }

    fn triggered(&mut self, order: &MatchingOrder) {
        self.0.push(Said::Triggered(order.client_order_id));
    }

    fn refreshed(&mut self, order: &MatchingOrder) {
        assert!(order.shown <= order.leaves() && order.shown <= order.tranche);
        self.0.push(Said::Refreshed { order: order.client_order_id, shown: order.shown });
    }

    fn expired(&mut self, order: &MatchingOrder, quantity: u64) {
        self.0.push(Said::Expired { order: order.client_order_id, quantity });
    }
}

pub(super) fn order(id: u64, side: BookSide, limit: Option<i64>, quantity: u64) -> MatchingOrder {
    MatchingOrder {
        owner: OrderOwner { strategy: 1, account: 1 },
        instrument: 1,
        side,
        client_order_id: id,
        venue_order_id: id,
        sequence: id,
        limit,
        stop: None,
        quantity,
        cumulative: 0,
        shown: quantity,
        tranche: u64::MAX,
        remainder: Remainder::Rests,
        is_day: true,
        self_trade: SelfTrade::Allowed,
        priority_time: 0,
    }
}

fn buy(id: u64, limit: i64, quantity: u64) -> MatchingOrder {
    order(id, BookSide::Bid, Some(limit), quantity)
}

fn sell(id: u64, limit: i64, quantity: u64) -> MatchingOrder {
    order(id, BookSide::Ask, Some(limit), quantity)
}

#[derive(Default)]
struct Bench {
    engine: Matching,
    tape: Listener,
}

impl Bench {
    fn submit(&mut self, mut order: MatchingOrder) -> Vec<Said> {
        order.show();
        self.engine.submit(order, &mut self.tape);
        std::mem::take(&mut self.tape.0)
    }

    fn phase(&mut self, phase: Phase) -> Vec<Said> {
        self.engine.set_phase(phase, &mut self.tape);
        std::mem::take(&mut self.tape.0)
    }

    fn queue(&self, side: BookSide) -> Vec<(u64, u64)> {
        self.engine.queue(side).map(|order| (order.client_order_id, order.leaves())).collect()
    }
}

fn traded(maker: u64, taker: u64, price: i64, quantity: u64) -> Said {
    Said::Traded { maker, taker, price, quantity, is_auction: false }
}

fn cancelled(order: u64, quantity: u64, leaves: u64, why: CancelReason) -> Said {
    Said::Lapsed { order, quantity, leaves, why }
}

#[test]
fn better_prices_trade_first_and_equal_prices_in_order_of_arrival() {
    let mut bench = Bench::default();
    for order in [sell(1, 102, 5), sell(2, 101, 5), sell(3, 101, 5)] {
        assert_eq!(bench.submit(order), []);
    }
    assert_eq!(
        bench.submit(buy(4, 102, 12)),
        [traded(2, 4, 101, 5), traded(3, 4, 101, 5), traded(1, 4, 102, 2)]
    );
    assert_eq!(bench.queue(BookSide::Ask), [(1, 3)]);
}

#[test]
fn an_iceberg_shows_its_tranches_one_by_one_and_each_joins_the_back_of_the_queue() {
    let mut bench = Bench::default();
    bench.submit(MatchingOrder { tranche: 3, ..sell(1, 101, 8) });
    bench.submit(sell(2, 101, 4));
    assert_eq!(
        bench.submit(buy(3, 101, 8)),
        [
            traded(1, 3, 101, 3),
            Said::Refreshed { order: 1, shown: 3 },
            traded(2, 3, 101, 4),
            traded(1, 3, 101, 1),
        ]
    );
    assert_eq!(bench.submit(buy(4, 101, 9)).last(), Some(&traded(1, 4, 101, 2)));
    assert_eq!(bench.queue(BookSide::Bid), [(4, 5)]);
}

#[test]
fn a_stop_waits_for_its_price_and_may_trigger_the_next() {
    let mut bench = Bench::default();
    for order in [sell(1, 100, 1), sell(2, 102, 1), sell(3, 105, 5)] {
        bench.submit(order);
    }
    bench.submit(MatchingOrder { stop: Some(102), limit: None, ..buy(11, 0, 2) });
    bench.submit(MatchingOrder { stop: Some(100), limit: Some(103), ..buy(12, 0, 1) });
    assert_eq!(
        bench.submit(buy(4, 100, 1)),
        [
            traded(1, 4, 100, 1),
            Said::Triggered(12),
            traded(2, 12, 102, 1),
            Said::Triggered(11),
            traded(3, 11, 105, 2),
        ]
    );
}

#[test]
fn each_mode_of_self_trade_prevention_cancels_the_right_orders() {
    let table = [
        (SelfTrade::Allowed, vec![traded(1, 2, 100, 4), traded(9, 2, 101, 2)]),
        (SelfTrade::CancelNewest, vec![cancelled(2, 6, 0, CancelReason::SelfTrade)]),
        (SelfTrade::CancelOldest, vec![cancelled(1, 4, 0, CancelReason::SelfTrade), traded(9, 2, 101, 6)]),
        (
            SelfTrade::CancelBoth,
            vec![cancelled(1, 4, 0, CancelReason::SelfTrade), cancelled(2, 6, 0, CancelReason::SelfTrade)],
        ),
        (
            SelfTrade::Decrement,
            vec![
                cancelled(1, 4, 0, CancelReason::SelfTrade),
                cancelled(2, 4, 2, CancelReason::SelfTrade),
                traded(9, 2, 101, 2),
            ],
        ),
    ];
    for (self_trade, expected) in table {
        let mut bench = Bench::default();
        bench.submit(sell(1, 100, 4));
        bench.submit(MatchingOrder { owner: OrderOwner { strategy: 2, account: 2 }, ..sell(9, 101, 9) });
        assert_eq!(bench.submit(MatchingOrder { self_trade, ..buy(2, 101, 6) }), expected, "{self_trade:?}");
    }
}

#[test]
fn an_auction_trades_at_one_price_and_then_cancels_orders_without_a_limit() {
    let mut bench = Bench::default();
    bench.phase(Phase::Auction);
    assert_eq!(bench.submit(order(1, BookSide::Bid, None, 5)), []);
    bench.submit(buy(2, 102, 5));
    bench.submit(sell(3, 100, 8));
    assert_eq!(bench.engine.indicative(), Some(Clearing { price: 102, volume: 8 }));
    let auction =
        |maker, taker, quantity| Said::Traded { maker, taker, price: 102, quantity, is_auction: true };
    assert_eq!(bench.phase(Phase::Continuous), [auction(1, 3, 5), auction(2, 3, 3)]);
    assert_eq!(bench.queue(BookSide::Bid), [(2, 2)]);
    bench.phase(Phase::Auction);
    bench.submit(order(4, BookSide::Ask, None, 9));
    assert_eq!(
        bench.phase(Phase::Continuous),
        [auction(2, 4, 2), cancelled(4, 7, 0, CancelReason::Unfilled)],
        "at the last price"
    );
}

#[test]
fn a_halt_collects_orders_and_the_close_expires_only_day_orders() {
    let mut bench = Bench::default();
    bench.phase(Phase::Halted);
    assert_eq!(bench.submit(buy(1, 101, 5)), []);
    assert_eq!(bench.submit(MatchingOrder { is_day: false, ..sell(2, 100, 5) }), []);
    let immediate = MatchingOrder { remainder: Remainder::Cancelled, ..buy(3, 101, 5) };
    assert_eq!(bench.submit(immediate), [cancelled(3, 5, 0, CancelReason::Unfilled)]);
    assert_eq!(
        bench.phase(Phase::Closed),
        [Said::Expired { order: 1, quantity: 5 }],
        "a halt ends without an auction"
    );
    assert_eq!(bench.queue(BookSide::Ask), [(2, 5)]);
}

/// An action of a random test. The id of a cancel or a replacement may belong to no order.
#[derive(Clone, Debug)]
enum Act {
    Submit(MatchingOrder),
    Cancel(u32, u64, u64),
    Replace { account: u32, id: u64, limit: i64, quantity: u64 },
    Phase(Phase),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let submitted = (
        (1u32..4, any::<bool>(), prop::option::weighted(0.9, 94i64..106), 1u64..20),
        (prop::option::weighted(0.15, 94i64..106), prop::option::weighted(0.3, 1u64..6), 0usize..8),
        (0usize..5, any::<bool>()),
    );
    let submitted = submitted.prop_map(
        |((account, buys, limit, quantity), (stop, tranche, remainder), (mode, is_day))| {
            let side = if buys { BookSide::Bid } else { BookSide::Ask };
            let modes = [
                SelfTrade::Allowed,
                SelfTrade::CancelNewest,
                SelfTrade::CancelOldest,
                SelfTrade::CancelBoth,
                SelfTrade::Decrement,
            ];
            Act::Submit(MatchingOrder {
                owner: OrderOwner { strategy: account as u16, account },
                stop,
                tranche: tranche.unwrap_or(u64::MAX),
                remainder: match remainder {
                    6 => Remainder::Cancelled,
                    7 => Remainder::AllOrNothing,
                    _ => Remainder::Rests,
                },
                is_day,
                self_trade: modes[mode],
                ..order(0, side, limit, quantity)
            })
        },
    );
    let act = prop_oneof![
        12 => submitted,
        3 => (1u32..4, 1u64..120, 1u64..25).prop_map(|(account, id, quantity)| Act::Cancel(account, id, quantity)),
        3 => (1u32..4, 1u64..120, 94i64..106, 1u64..20)
            .prop_map(|(account, id, limit, quantity)| Act::Replace { account, id, limit, quantity }),
        1 => prop_oneof![
            3 => Just(Phase::Continuous),
            2 => Just(Phase::Auction),
            1 => Just(Phase::Halted),
            1 => Just(Phase::Closed),
        ]
        .prop_map(Act::Phase),
    ];
    prop::collection::vec(act, 1..120)
}

/// The orders as they follow from the requests and the events alone.
#[derive(Default)]
struct Ledger {
    /// The open quantity of each order.
    left: BTreeMap<u64, u64>,
    bought: u64,
    sold: u64,
}

impl Ledger {
    fn take(&mut self, order: u64, quantity: u64) {
        let left = self.left.get_mut(&order).expect("an order that there is");
        *left = left.checked_sub(quantity).expect("no more than is left of it");
    }

    fn hear(&mut self, said: &[Said]) {
        for said in said {
            match *said {
                Said::Traded { maker, taker, quantity, .. } => {
                    self.take(maker, quantity);
                    self.take(taker, quantity);
                    self.bought += quantity;
                    self.sold += quantity;
                }
                Said::Lapsed { order, quantity, leaves, .. } => {
                    self.take(order, quantity);
                    assert_eq!(self.left[&order], leaves);
                }
                Said::Expired { order, quantity } => {
                    self.take(order, quantity);
                    assert_eq!(self.left[&order], 0);
                }
                Said::Triggered(_) | Said::Refreshed { .. } => {}
            }
        }
    }

    /// Every order with an open quantity is in the book, and no other is.
    fn check(&self, engine: &Matching) {
        let mut open: BTreeMap<u64, u64> = BTreeMap::new();
        for slot in engine.book.slots() {
            let order = engine.book.order(slot);
            open.insert(order.client_order_id, order.leaves());
            assert!(order.shown > 0 && order.shown <= order.leaves(), "{order:?}");
        }
        let left = self.left.iter().filter(|(_, left)| **left > 0).map(|(id, left)| (*id, *left)).collect();
        assert_eq!(open, left);
        assert_eq!(engine.count(), open.len());
    }
}

fn play(acts: Vec<Act>) {
    let (mut engine, mut naive) = (Matching::default(), Naive::default());
    let (mut tape, mut ledger) = (Listener::default(), Ledger::default());
    let mut next_id = 1;
    for act in acts {
        let expected = match act {
            Act::Submit(mut order) => {
                (order.client_order_id, order.venue_order_id) = (next_id, next_id);
                order.show();
                ledger.left.insert(next_id, order.quantity);
                next_id += 1;
                engine.submit(order, &mut tape);
                naive.submit(order)
            }
            Act::Cancel(account, id, quantity) => {
                let owner = OrderOwner { strategy: account as u16, account };
                let gone = engine.cancel(owner, id, quantity);
                assert_eq!(
                    gone.map(|(order, quantity)| (order.leaves(), quantity)),
                    naive.cancel(owner, id, quantity)
                );
                if let Some((_, quantity)) = gone {
                    ledger.take(id, quantity);
                }
                Vec::new()
            }
            Act::Replace { account, id, limit, quantity } => {
                let owner = OrderOwner { strategy: account as u16, account };
                let Some(old) = engine.find(owner, id).copied() else { continue };
                let mut new = MatchingOrder {
                    client_order_id: next_id,
                    limit: Some(limit),
                    quantity: old.cumulative + quantity,
                    remainder: Remainder::Rests,
                    ..old
                };
                new.show();
                ledger.left.insert(id, 0);
                ledger.left.insert(next_id, quantity);
                next_id += 1;
                assert!(engine.replace(id, new, &mut tape, |_, order| assert_eq!(order.leaves(), quantity)));
                naive.replace(id, new)
            }
            Act::Phase(phase) => {
                engine.set_phase(phase, &mut tape);
                naive.set_phase(phase)
            }
        };
        let said = std::mem::take(&mut tape.0);
        ledger.hear(&said);
        assert_eq!(said, expected);
        ledger.check(&engine);
        for side in [BookSide::Bid, BookSide::Ask] {
            let queue: Vec<u64> = engine.queue(side).map(|order| order.client_order_id).collect();
            assert_eq!(queue, naive.queue(side), "priority on side {side:?}");
        }
        if engine.phase() == Phase::Continuous
            && let (Some(bid), Some(ask)) = (engine.best(BookSide::Bid), engine.best(BookSide::Ask))
        {
            assert!(bid < ask, "what could trade has traded");
        }
    }
    assert_eq!(ledger.bought, ledger.sold);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_order_is_lost_quantities_conserve_and_every_step_is_that_of_the_naive_engine(acts in acts()) {
        play(acts);
    }
}
