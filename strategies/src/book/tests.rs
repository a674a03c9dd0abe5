use super::*;
use crate::snapshot::SnapshotReader;
use proptest::prelude::*;
use std::collections::BTreeMap;

const BID: BookSide = BookSide::Bid;
const ASK: BookSide = BookSide::Ask;

fn orders() -> Book {
    let mut book = Book::default();
    assert!(book.admit(1, BookKind::Orders));
    book
}

fn add(book: &mut Book, id: u64, side: BookSide, price: i64, quantity: u64) {
    book.add(id, side, Price(price), Quantity(quantity));
}

fn side(book: &Book, side: BookSide) -> Vec<(i64, u64, u32)> {
    book.levels(side).map(|level| (level.price.0, level.quantity.0, level.orders)).collect()
}

/// Number and quantity of the orders with priority over an order.
fn ahead(book: &Book, id: u64) -> Option<(u32, u64)> {
    book.queue_position(id).map(|position| (position.orders, position.quantity.0))
}

#[test]
fn levels_are_ordered_best_first_on_both_sides() {
    let mut book = orders();
    for (id, price) in [(1, 10), (2, 12), (3, 11), (4, 12)] {
        add(&mut book, id, BID, price, 5);
        add(&mut book, 10 + id, ASK, 40 - price, 5);
    }
    assert_eq!(side(&book, BID), [(12, 10, 2), (11, 5, 1), (10, 5, 1)]);
    assert_eq!(side(&book, ASK), [(28, 10, 2), (29, 5, 1), (30, 5, 1)]);
    assert_eq!((book.mid(), book.spread()), (Some(Price(20)), Some(16)));
    assert_eq!(book.volume_to(BID, Price(11)), Quantity(15));
    assert_eq!(book.volume_to(ASK, Price(28)), Quantity(10));
    assert_eq!(book.level(ASK, Price(29)).unwrap().orders, 1);
    assert_eq!(book.level(ASK, Price(31)), None);
}

#[test]
fn an_order_keeps_its_place_only_when_it_shrinks() {
    let mut book = orders();
    (1..=3).for_each(|id| add(&mut book, id, BID, 10, 5));
    book.modify(1, Some(BID), Price(10), Quantity(4));
    assert_eq!((ahead(&book, 1), ahead(&book, 3)), (Some((0, 0)), Some((2, 9))));
    book.modify(1, None, Price(10), Quantity(6));
    assert_eq!((ahead(&book, 1), ahead(&book, 2)), (Some((2, 10)), Some((0, 0))));
    book.modify(2, Some(BID), Price(9), Quantity(5));
    book.modify(2, Some(BID), Price(10), Quantity(5));
    assert_eq!((ahead(&book, 2), ahead(&book, 99)), (Some((2, 11)), None));
    assert_eq!(side(&book, BID), [(10, 16, 3)]);
}

#[test]
fn every_rule_for_odd_records_is_applied_and_counted() {
    let mut book = orders();
    add(&mut book, 1, BID, 10, 5);
    add(&mut book, 1, ASK, 12, 7);
    assert_eq!((side(&book, BID), side(&book, ASK)), (vec![], vec![(12, 7, 1)]));
    book.modify(2, Some(BID), Price(9), Quantity(1));
    assert_eq!(side(&book, BID), [(9, 1, 1)]);
    book.modify(3, None, Price(9), Quantity(1));
    book.replace(4, 3, Some(BID), Price(8), Quantity(2));
    book.replace(5, 3, None, Price(8), Quantity(2));
    book.replace(6, 2, None, Price(8), Quantity(2));
    assert_eq!(side(&book, BID), [(8, 4, 2)]);
    assert_eq!(book.reduce(99, None), None);
    assert_eq!(book.reduce(6, Some(Quantity(3))).unwrap().quantity, Quantity(2));
    add(&mut book, 0, BID, 10, 5);
    add(&mut book, 7, BID, 10, 0);
    add(&mut book, 7, BID, i64::MAX, 1);
    add(&mut book, 8, BID, 12, 1);
    assert!(book.is_crossed());
    book.end_event();
    assert!(!book.admit(2, BookKind::Orders));
    assert!(!book.admit(1, BookKind::Levels));
    let counts = *book.counts();
    let expected = BookCounts {
        updates: 1,
        repeated: 1,
        unknown: 5,
        excess: 1,
        malformed: 5,
        foreign: 1,
        poorer: 1,
        crossed: 1,
        clears: 0,
        snapshots: 0,
    };
    assert_eq!(counts, expected);
}

#[test]
fn a_richer_kind_of_records_takes_over_the_book() {
    let mut book = Book::default();
    assert!(book.admit(3, BookKind::Top));
    book.set_level(BID, Price(10), Quantity(1), 1);
    assert!(book.admit(3, BookKind::Orders));
    assert!(book.is_empty());
    assert_eq!((book.kind(), book.source()), (BookKind::Orders, 3));
    book.clear();
    assert!(book.admit(4, BookKind::Levels));
}

#[test]
fn a_clear_and_a_snapshot_empty_what_they_name_and_are_counted() {
    let mut book = orders();
    add(&mut book, 1, BID, 10, 5);
    add(&mut book, 2, ASK, 12, 5);
    book.clear_levels(Some(BID));
    assert_eq!((side(&book, BID), side(&book, ASK)), (vec![], vec![(12, 5, 1)]));
    assert_eq!((book.order(1), book.order_count(), book.kind()), (None, 1, BookKind::Orders));
    add(&mut book, 1, BID, 9, 5);
    book.begin_levels();
    assert_eq!((book.is_empty(), book.order_count(), book.kind()), (true, 0, BookKind::Orders));
    add(&mut book, 1, BID, 9, 5);
    book.begin_snapshot();
    assert_eq!((book.is_empty(), book.kind()), (true, BookKind::Empty));
    assert!(book.admit(7, BookKind::Levels), "any source may give the snapshot");
    book.set_level(BID, Price(5), Quantity(1), 0);
    book.clear();
    assert_eq!((book.is_empty(), book.kind()), (true, BookKind::Empty));
    assert_eq!((book.counts().clears, book.counts().snapshots, book.counts().repeated), (2, 2, 0));
}

#[test]
fn a_one_sided_book_has_no_mid_and_a_crossed_one_a_negative_spread() {
    let mut book = orders();
    assert!(book.is_empty() && !book.is_crossed());
    assert_eq!((book.bid(), book.mid(), book.spread(), book.weighted_mid()), (None, None, None, None));
    assert_eq!((book.volume_to(BID, Price(0)), book.levels(ASK).len()), (Quantity(0), 0));
    add(&mut book, 1, BID, 12, 5);
    assert_eq!((book.mid(), book.is_crossed(), book.is_empty()), (None, false, false));
    add(&mut book, 2, ASK, 12, 5);
    assert_eq!((book.spread(), book.is_crossed()), (Some(0), true));
    add(&mut book, 3, ASK, 10, 5);
    assert_eq!((book.spread(), book.mid(), book.is_crossed()), (Some(-2), Some(Price(11)), true));
    book.reduce(3, None);
    book.reduce(2, None);
    assert!(!book.is_crossed());
}

#[test]
fn levels_are_set_and_removed_by_price() {
    let mut book = Book::default();
    book.admit(1, BookKind::Levels);
    (1..=20).for_each(|price| book.set_level(ASK, Price(price), Quantity(price as u64), 2));
    book.set_level(ASK, Price(3), Quantity(0), 0);
    book.set_level(ASK, Price(4), Quantity(9), 1);
    book.clear_worse_than(ASK, Price(5));
    assert_eq!(side(&book, ASK), [(1, 1, 2), (2, 2, 2), (4, 9, 1), (5, 5, 2)]);
    book.clear_side(ASK);
    assert!(book.is_empty());
}

/// A simple model of a book: for each side a map from price to a queue of (id, quantity).
#[derive(Default)]
struct Naive([BTreeMap<i64, Vec<(u64, u64)>>; 2]);

impl Naive {
    fn take_out(&mut self, id: u64) -> Option<(BookSide, i64, usize, u64)> {
        for side in [BID, ASK] {
            for (price, queue) in &mut self.0[side as usize] {
                if let Some(at) = queue.iter().position(|order| order.0 == id) {
                    let (price, quantity) = (*price, queue.remove(at).1);
                    self.0[side as usize].retain(|_, queue| !queue.is_empty());
                    return Some((side, price, at, quantity));
                }
            }
        }
        None
    }

    fn push(&mut self, id: u64, side: BookSide, price: i64, quantity: u64) {
        self.take_out(id);
        self.0[side as usize].entry(price).or_default().push((id, quantity));
    }

    fn levels(&self, side: BookSide) -> Vec<(i64, u64, u32)> {
        let level = |(price, queue): (&i64, &Vec<(u64, u64)>)| {
            (*price, queue.iter().map(|order| order.1).sum(), queue.len() as u32)
        };
        let levels = self.0[side as usize].iter().map(level);
        if side == BID { levels.rev().collect() } else { levels.collect() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn it_agrees_with_a_simple_model(
        steps in prop::collection::vec((0u8..5, 1u64..40, any::<bool>(), 1i64..30, 1u64..20, 1u64..40), 0..400),
    ) {
        let (mut book, mut naive) = (orders(), Naive::default());
        for (step, id, is_bid, price, quantity, other) in steps {
            let side = if is_bid { BID } else { ASK };
            match step {
                0 | 1 => {
                    add(&mut book, id, side, price, quantity);
                    naive.push(id, side, price, quantity);
                }
                2 => {
                    book.modify(id, Some(side), Price(price), Quantity(quantity));
                    match naive.take_out(id) {
                        Some((old_side, old_price, at, old)) if (old_side, old_price) == (side, price) && quantity <= old =>
                            naive.0[side as usize].entry(price).or_default().insert(at, (id, quantity)),
                        _ => naive.push(id, side, price, quantity),
                    }
                }
                3 => {
                    book.reduce(id, Some(Quantity(quantity)));
                    if let Some((side, price, at, old)) = naive.take_out(id)
                        && old > quantity
                    {
                        naive.0[side as usize].entry(price).or_default().insert(at, (id, old - quantity));
                    }
                }
                _ => {
                    book.replace(other, id, Some(side), Price(price), Quantity(quantity));
                    let side = naive.take_out(id).map_or(side, |order| order.0);
                    naive.push(other, side, price, quantity);
                }
            }
            for side in [BID, ASK] {
                prop_assert_eq!(super::tests::side(&book, side), naive.levels(side));
            }
        }
        for side in [BID, ASK] {
            for (price, queue) in &naive.0[side as usize] {
                let mut before = (0, 0);
                for (id, quantity) in queue {
                    let expected = BookOrder { id: *id, side, price: Price(*price), quantity: Quantity(*quantity) };
                    prop_assert_eq!(book.order(*id), Some(expected));
                    prop_assert_eq!(ahead(&book, *id), Some(before));
                    before = (before.0 + 1, before.1 + quantity);
                }
            }
        }
        let mut bytes = Vec::new();
        book.snapshot(&mut bytes);
        let mut reader = SnapshotReader::new(&bytes);
        let restored = Book::small().restore(&mut reader).unwrap();
        reader.finish().unwrap();
        let mut again = Vec::new();
        restored.snapshot(&mut again);
        prop_assert_eq!(bytes, again);
        prop_assert_eq!(restored.order_count(), book.order_count());
    }

    #[test]
    fn a_book_of_levels_agrees_with_a_map(
        steps in prop::collection::vec((0u8..20, any::<bool>(), 1i64..40, 0u64..4, 0u32..5), 0..400),
        limit in 0i64..42,
    ) {
        let mut book = Book::default();
        book.admit(1, BookKind::Levels);
        let mut naive: [BTreeMap<i64, (u64, u32)>; 2] = Default::default();
        let mut unknown = 0;
        for (step, is_bid, price, quantity, count) in steps {
            let of = if is_bid { BID } else { ASK };
            let map = &mut naive[of as usize];
            match step {
                0 => {
                    book.clear_levels(Some(of));
                    map.clear();
                }
                1 => {
                    book.begin_levels();
                    naive = Default::default();
                }
                2 => {
                    book.clear_worse_than(of, Price(price));
                    map.retain(|at, _| if is_bid { *at >= price } else { *at <= price });
                }
                _ => {
                    book.set_level(of, Price(price), Quantity(quantity), count);
                    if quantity > 0 {
                        map.insert(price, (quantity, count));
                    } else {
                        unknown += u64::from(map.remove(&price).is_none());
                    }
                }
            }
            for of in [BID, ASK] {
                let levels = naive[of as usize].iter().map(|(price, level)| (*price, level.0, level.1));
                let expected: Vec<_> = if of == BID { levels.rev().collect() } else { levels.collect() };
                prop_assert_eq!(side(&book, of), expected);
            }
        }
        let bids: u64 = naive[0].range(limit..).map(|(_, level)| level.0).sum();
        let asks: u64 = naive[1].range(..=limit).map(|(_, level)| level.0).sum();
        prop_assert_eq!(book.volume_to(BID, Price(limit)), Quantity(bids));
        prop_assert_eq!(book.volume_to(ASK, Price(limit)), Quantity(asks));
        let best = [naive[0].last_key_value(), naive[1].first_key_value()].map(|level| level.map(|(price, _)| *price));
        prop_assert_eq!([book.bid(), book.ask()].map(|level| level.map(|level| level.price.0)), best);
        let crossed = best[0].zip(best[1]).is_some_and(|(bid, ask)| bid >= ask);
        prop_assert_eq!(book.is_crossed(), crossed);
        prop_assert_eq!(book.counts().unknown, unknown);
    }
}
