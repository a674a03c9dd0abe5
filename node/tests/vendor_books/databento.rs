//! Databento's own books: rows of ten levels next to the orders that they come from, and checkpoints of
//! another decoder.

use crate::{Books, Played, expected, play, price};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::Path;
use stele_connect::dbn::csv::CsvFeed;
use stele_connect::dbn::{DbnFeed, DbnOptions};
use stele_strategies::book::BookSide;
use stele_testkit::shared;
use stele_wire::messages::{BookAdd, BookCancel, BookClear, BookExecute, BookModify, MarketFlags, Trade};

fn options() -> DbnOptions {
    DbnOptions { source: 1, ..DbnOptions::default() }
}

/// The common fields of the records about single orders: sequence, action, order, venue time, flags.
struct Said {
    sequence: u32,
    action: &'static str,
    order: u64,
    time: u64,
    flags: MarketFlags,
}

fn said(event: &Played) -> Option<Said> {
    macro_rules! said {
        ($($message:ident $action:literal $order:expr;)*) => {
            $(if let Some(message) = event.message::<$message>() {
                let order: fn(&$message) -> u64 = $order;
                return Some(Said {
                    sequence: message.venue_sequence.get(),
                    action: $action,
                    order: order(&message),
                    time: message.venue_time.get(),
                    flags: message.flags,
                });
            })*
        };
    }
    said! {
        BookAdd "A" |add| add.order_id.get();
        BookModify "M" |modify| modify.order_id.get();
        BookCancel "C" |cancel| cancel.order_id.get();
        BookClear "R" |_| 0;
        Trade "T" |trade| trade.order_id.get();
        BookExecute "F" |execute| execute.order_id.get();
    }
    None
}

#[test]
fn every_row_of_the_vendors_ten_levels_is_reproduced_from_its_orders() {
    let Some(folder) = shared::data("mbo-mbp") else { return };
    let events = play(CsvFeed::open(&folder.join("mbo.csv"), options()).unwrap());
    let mut events = events.iter().peekable();
    let text = std::fs::read_to_string(folder.join("mbp.csv")).unwrap();
    let mut rows = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = rows.next().unwrap();
    let column = |name: &str| header.iter().position(|column| *column == name).unwrap();
    let [sequence, action, order, first] = ["sequence", "action", "order_id", "bid_px_00"].map(column);
    let (mut books, mut matched) = (Books::default(), 0);
    for row in rows {
        loop {
            let event = events.next().expect("each row of the book follows an order");
            books.apply(event);
            if let Some(said) = said(event)
                && (said.sequence.to_string(), said.action, said.order.to_string())
                    == (row[sequence].to_owned(), row[action], row[order].to_owned())
            {
                break;
            }
        }
        // The row of a trade shows the book without what was traded.
        while row[action] == "T"
            && let Some(of_trade) = events
                .next_if(|event| said(event).is_some_and(|said| said.sequence.to_string() == row[sequence]))
        {
            books.apply(of_trade);
        }
        for (side, offset) in [(BookSide::Bid, 0), (BookSide::Ask, 3)] {
            let mut found = books.levels(side).into_iter();
            for depth in 0..10 {
                let at = first + depth * 6 + offset;
                let ours = found
                    .next()
                    .map_or((None, 0, 0), |(price, quantity, orders)| (Some(price), quantity, orders));
                let vendors = Some(row[at]).filter(|text| !text.is_empty()).map(|text| price(text).0);
                let vendors = (vendors, row[at + 1].parse().unwrap(), row[at + 2].parse().unwrap());
                assert_eq!(ours, vendors, "{side:?} level {depth} after {row:?}");
            }
        }
        matched += 1;
    }
    assert_eq!(matched, 3928);
    books.assert_nothing_odd();
}

/// `[[price, quantity, orders], …]`, best first.
fn levels(list: &Value) -> Vec<(i64, u64, u32)> {
    let number = |level: &Value, at: usize| level[at].as_i64().expect("a whole number");
    let level = |level: &Value| (number(level, 0), number(level, 1) as u64, number(level, 2) as u32);
    list.as_array().expect("a list of levels").iter().map(level).collect()
}

/// Asserts that our levels begin with the expected ones.
fn assert_levels(books: &Books, expected: &Value, when: &str) {
    for (side, name) in [(BookSide::Bid, "bids"), (BookSide::Ask, "asks")] {
        let expected = levels(&expected[name]);
        let ours: Vec<_> = books.levels(side).into_iter().take(expected.len()).collect();
        assert_eq!(ours, expected, "{name} {when}");
        assert!(!expected.is_empty());
    }
}

#[test]
fn the_book_of_the_future_is_that_of_another_decoder_at_every_checkpoint() {
    let Some(folder) = shared::data("dbn") else { return };
    let expected = expected(&folder.join("EXPECTED.json"));
    let expected = &expected["books"][0];
    let (mut books, mut records, mut reached) = (Books::default(), 0, 0);
    let checkpoints = expected["checkpoints"].as_array().unwrap();
    let mut log = BestPrices::default();
    for event in play(open(&folder, &expected["files"][0])) {
        books.apply(&event);
        let Some(said) = said(&event) else { continue };
        records += 1;
        if said.flags.contains(MarketFlags::LAST) {
            log.note(&books, &said);
        }
        for checkpoint in checkpoints.iter().filter(|one| one["after_records"] == records) {
            assert_eq!(checkpoint["sequence"], said.sequence);
            assert_eq!(checkpoint["ts_event"], said.time);
            assert_eq!(books.book().order_count() as u64, checkpoint["open_orders"].as_u64().unwrap());
            assert_levels(&books, checkpoint, &format!("after {records} records"));
            reached += 1;
        }
    }
    assert_eq!((records, reached), (13_796, checkpoints.len()));
    assert_eq!(books.book().order_count(), 13_598);
    assert_eq!((books.levels(BookSide::Bid).len(), books.levels(BookSide::Ask).len()), (976, 571));
    assert_levels(&books, &expected["final_top10"], "at the end");
    assert_eq!(levels(&expected["final_top10"]["bids"]).len(), 10);
    assert_eq!(log.changes, expected["bbo_changes_at_F_LAST"].as_u64().unwrap());
    assert_eq!(log.hash(), expected["bbo_change_log_sha256"].as_str().unwrap());
    books.assert_nothing_odd();
}

fn open(folder: &Path, file: &Value) -> DbnFeed {
    DbnFeed::open(&folder.join(file.as_str().expect("the name of a file")), options()).unwrap()
}

/// The changes of the best prices at the ends of the venue's events, as text.
#[derive(Default)]
struct BestPrices {
    text: String,
    last: Option<[Option<(i64, u64)>; 2]>,
    changes: u64,
}

impl BestPrices {
    fn note(&mut self, books: &Books, said: &Said) {
        let best = [books.best(BookSide::Bid), books.best(BookSide::Ask)];
        if self.last.replace(best) == Some(best) {
            return;
        }
        self.changes += 1;
        let _ = write!(self.text, "{},{}", said.time, said.sequence);
        for side in best {
            let _ = match side {
                Some((price, quantity)) => write!(self.text, ",{price},{quantity}"),
                None => write!(self.text, ",None,None"),
            };
        }
        self.text.push('\n');
    }

    fn hash(&self) -> String {
        Sha256::digest(&self.text).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
