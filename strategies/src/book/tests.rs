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

#[test]
fn levels_stand_best_first_on_both_sides() {
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
    assert_eq!((book.queue_ahead(1), book.queue_ahead(3)), (Some(Quantity(0)), Some(Quantity(9))));
    book.modify(1, None, Price(10), Quantity(6));
    assert_eq!((book.queue_ahead(1), book.queue_ahead(2)), (Some(Quantity(10)), Some(Quantity(0))));
    book.modify(2, Some(BID), Price(9), Quantity(5));
    book.modify(2, Some(BID), Price(10), Quantity(5));
    assert_eq!(book.queue_ahead(2), Some(Quantity(11)));
    assert_eq!(side(&book, BID), [(10, 16, 3)]);
}

#[test]
fn every_rule_for_odd_records_is_kept_and_counted() {
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
    };
    assert_eq!(counts, expected);
}

#[test]
fn a_richer_source_of_records_takes_the_book_over() {
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
fn levels_are_set_and_taken_away_by_price() {
    let mut book = Book::default();
    book.admit(1, BookKind::Levels);
    (1..=20).for_each(|price| book.set_level(ASK, Price(price), Quantity(price as u64), 2));
    book.set_level(ASK, Price(3), Quantity(0), 0);
    book.set_level(ASK, Price(4), Quantity(9), 1);
    book.clear_behind(ASK, Price(5));
    assert_eq!(side(&book, ASK), [(1, 1, 2), (2, 2, 2), (4, 9, 1), (5, 5, 2)]);
    book.clear_side(ASK);
    assert!(book.is_empty());
}

/// What a book is, without any thought of speed: per side, price → queue of (id, quantity).
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
    fn it_holds_what_a_naive_book_holds(
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
                let mut ahead = 0;
                for (id, quantity) in queue {
                    let expected = BookOrder { id: *id, side, price: Price(*price), quantity: Quantity(*quantity) };
                    prop_assert_eq!(book.order(*id), Some(expected));
                    prop_assert_eq!(book.queue_ahead(*id), Some(Quantity(ahead)));
                    ahead += quantity;
                }
            }
        }
        let mut bytes = Vec::new();
        book.snapshot(&mut bytes);
        let mut reader = SnapshotReader::new(&bytes);
        let restored = Book::restore(&mut reader).unwrap();
        reader.finish().unwrap();
        let mut again = Vec::new();
        restored.snapshot(&mut again);
        prop_assert_eq!(bytes, again);
        prop_assert_eq!(restored.order_count(), book.order_count());
    }
}
