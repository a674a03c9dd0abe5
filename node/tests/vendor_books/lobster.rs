//! LOBSTER's book after each message of a day, compared with ours from the messages alone.
//!
//! A file of one level has the events at the best price of a side. It does not have the next price, which
//! becomes visible when the best one is exhausted, nor the orders that existed before the file begins. Only
//! for those, the test inserts what the vendor's row shows into the book, as an order with an id that no
//! message has. What messages remove from orders that are not in the file is removed from that order.

use crate::{Books, Played, play};
use stele_connect::lobster::{LobsterFeed, LobsterOptions};
use stele_strategies::book::BookSide;
use stele_testkit::shared;
use stele_wire::messages::{BookAdd, BookCancel, BookExecute, MarketFlags, Side, Trade};

const DAY: &str = "AMZN_2012-06-21_34200000_57600000";

/// Price and quantity of a side.
type Touch = (i64, u64);

/// One row: ask and bid.
fn row(line: &str) -> [Touch; 2] {
    let numbers: Vec<i64> = line.split(',').map(|number| number.parse().unwrap()).collect();
    let [ask, ask_quantity, bid, bid_quantity] = numbers[..] else { panic!("{line} has four numbers") };
    [(bid * 100_000, bid_quantity as u64), (ask * 100_000, ask_quantity as u64)]
}

/// What a message takes off a visible order: order, side, price, quantity.
fn taken(event: &Played) -> Option<(u64, Side, i64, u64)> {
    let cancel = event
        .message::<BookCancel>()
        .filter(|cancel| !is_unseen(cancel.flags))
        .map(|cancel| (cancel.order_id.get(), cancel.side, cancel.price.get(), cancel.quantity.get()));
    cancel.or_else(|| {
        event.message::<BookExecute>().map(|execute| {
            (execute.order_id.get(), execute.side, execute.price.get(), execute.quantity.get())
        })
    })
}

/// Whether the event was derived from a later message and is not in a message itself.
fn is_unseen(flags: MarketFlags) -> bool {
    flags.contains(MarketFlags::MAYBE_BAD_BOOK)
}

/// Returns the id of the order that stands for the orders of a side that are not in the file.
fn unlisted(side: Side) -> u64 {
    u64::MAX - u64::from(side == Side::SELL)
}

fn insert(books: &mut Books, side: Side, (price, quantity): Touch) {
    books.insert(&BookAdd {
        instrument: 1.into(),
        source: 1.into(),
        flags: MarketFlags::LAST | MarketFlags::TOP_OF_BOOK,
        side,
        order_id: unlisted(side).into(),
        price: price.into(),
        quantity: quantity.into(),
        ..BookAdd::NULL
    });
}

/// Whether an order at this price has this quantity left.
fn has(books: &Books, id: u64, price: i64, quantity: u64) -> bool {
    let enough = |left: u64| quantity == u64::MAX || left >= quantity;
    books.book().order(id).is_some_and(|order| order.price.0 == price && enough(order.quantity.0))
}

const SIDES: [(Side, BookSide); 2] = [(Side::BUY, BookSide::Bid), (Side::SELL, BookSide::Ask)];

#[test]
fn every_row_of_the_amazon_day_is_the_book_after_its_message() {
    let Some(folder) = shared::data("lobster") else { return };
    let events = play(
        LobsterFeed::open(
            &folder.join(format!("{DAY}_message_1.csv")),
            LobsterOptions { source: 1, ..LobsterOptions::default() },
        )
        .unwrap(),
    );
    let text = std::fs::read_to_string(folder.join(format!("{DAY}_orderbook_1.csv"))).unwrap();
    let rows: Vec<[Touch; 2]> = text.lines().skip(1).map(row).collect();
    let mut books = Books::default();
    let (mut at, mut newly_visible, mut taken_for_others, mut hidden) = (0, 0, 0, 0);
    for event in &events {
        let taken = taken(event);
        if let Some((id, side, price, quantity)) = taken
            && !has(&books, id, price, quantity)
        {
            if books.book().order(id).is_some() || !has(&books, unlisted(side), price, quantity) {
                // Orders that left without a message had the same quantity together: the best price is right
                // already.
                let (index, book_side) =
                    if side == Side::BUY { (0, BookSide::Bid) } else { (1, BookSide::Ask) };
                let before = rows[at - 1][index];
                assert_eq!((before.0, books.best(book_side)), (price, Some(before)), "before row {at}");
                insert(&mut books, side, before);
                taken_for_others += 1;
            }
            books.insert(&BookCancel {
                instrument: 1.into(),
                source: 1.into(),
                side,
                order_id: unlisted(side).into(),
                quantity: quantity.into(),
                ..BookCancel::NULL
            });
        }
        books.apply(event);
        hidden += u64::from(event.message::<Trade>().is_some());
        if !ends_a_message(event) {
            continue;
        }
        if at == 0 {
            SIDES.into_iter().zip(rows[0]).for_each(|((side, _), touch)| insert(&mut books, side, touch));
        }
        for ((side, book_side), vendors) in SIDES.into_iter().zip(rows[at]) {
            if books.best(book_side) == Some(vendors) {
                continue;
            }
            // The next price may be new only where this message removed the last quantity of the best one.
            let (_, taken_side, price, quantity) = taken.unwrap_or_else(|| panic!("row {at}: {vendors:?}"));
            let before = rows[at - 1][if side == Side::BUY { 0 } else { 1 }];
            assert_eq!((taken_side, (price, quantity)), (side, before), "row {at}");
            let is_worse = if side == Side::BUY { vendors.0 < price } else { vendors.0 > price };
            assert!(is_worse, "row {at}: {vendors:?} after {price}");
            insert(&mut books, side, vendors);
            assert_eq!(books.best(book_side), Some(vendors));
            newly_visible += 1;
        }
        at += 1;
    }
    assert_eq!((at, rows.len(), hidden), (57_515, 57_515, 2_445));
    println!(
        "{at} rows, {newly_visible} prices that became visible after an exhausted one, {taken_for_others} other orders"
    );
    assert_eq!((newly_visible, taken_for_others), (8_617, 29), "all other rows are from the messages alone");
    assert_eq!(rows[at - 1], [(220_510_000_000, 249), (220_640_000_000, 100)]);
}

/// Whether a line of the file ends with this event.
fn ends_a_message(event: &Played) -> bool {
    event.template_id < 200 && !event.message::<BookCancel>().is_some_and(|cancel| is_unseen(cancel.flags))
}
