//! The book against the vendor's own: each of the ten-level rows of `mbp.csv` from the orders of `mbo.csv`
//! (Databento, XNAS.ITCH, symbol ARL, 2025-07-17).

use std::path::PathBuf;
use stele_strategies::book::{Book, BookKind, BookSide};
use stele_wire::{Price, Quantity};

#[test]
fn every_row_of_the_vendors_book_is_reproduced_from_its_orders() {
    let Some(folder) = shared("data/mbo-mbp") else { return };
    let orders = std::fs::read_to_string(folder.join("mbo.csv")).unwrap();
    let levels = std::fs::read_to_string(folder.join("mbp.csv")).unwrap();
    let (order_columns, orders) = rows(&orders);
    let mut orders = orders.peekable();
    let (level_columns, levels) = rows(&levels);
    let mut book = Book::default();
    assert!(book.admit(2, BookKind::Orders));
    let (mut matched, first_level) = (0, column(&level_columns, "bid_px_00"));
    let keys = ["sequence", "action", "order_id"];
    let of_order = keys.map(|key| column(&order_columns, key));
    let of_level = keys.map(|key| column(&level_columns, key));
    for expected in levels {
        loop {
            let order = orders.next().expect("each row of the book follows an order");
            apply(&mut book, &order_columns, &order);
            if of_order.map(|at| order[at]) == of_level.map(|at| expected[at]) {
                break;
            }
        }
        let sequence = of_order[0];
        // The row of a trade shows the book without what was traded.
        while expected[of_level[1]] == "T"
            && let Some(of_trade) = orders.next_if(|order| order[sequence] == expected[of_level[0]])
        {
            apply(&mut book, &order_columns, &of_trade);
        }
        for side in [BookSide::Bid, BookSide::Ask] {
            let mut found = book.levels(side);
            for depth in 0..10 {
                let at = first_level + depth * 6 + if side == BookSide::Bid { 0 } else { 3 };
                let level = found.next();
                let row = level.map_or((None, 0, 0), |l| (Some(l.price), l.quantity.0, l.orders));
                let price = Some(expected[at]).filter(|price| !price.is_empty()).map(price);
                let vendor = (price, expected[at + 1].parse().unwrap(), expected[at + 2].parse().unwrap());
                assert_eq!(row, vendor, "{side:?} level {depth} after {expected:?}");
            }
        }
        matched += 1;
    }
    assert_eq!(matched, 3928);
    let counts = book.counts();
    let odd = counts.repeated + counts.unknown + counts.excess + counts.malformed;
    assert_eq!(odd, 0, "{counts:?}");
}

/// Databento: trades and fills leave the book alone, a cancel or modify follows them.
fn apply(book: &mut Book, columns: &[&str], row: &[&str]) {
    let field = |name| row[column(columns, name)];
    let id = field("order_id").parse().unwrap();
    let quantity = Quantity(field("size").parse().unwrap());
    let side = match field("side") {
        "B" => Some(BookSide::Bid),
        "A" => Some(BookSide::Ask),
        _ => None,
    };
    match field("action") {
        "A" => book.add(id, side.unwrap(), price(field("price")), quantity),
        "M" => book.modify(id, side, price(field("price")), quantity),
        "C" => {
            book.reduce(id, Some(quantity)).unwrap();
        }
        "R" => {
            book.clear();
            assert!(book.admit(2, BookKind::Orders));
        }
        "T" | "F" => {}
        other => panic!("action {other}"),
    }
}

fn rows(text: &str) -> (Vec<&str>, impl Iterator<Item = Vec<&str>>) {
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    (lines.next().unwrap(), lines)
}

fn column(columns: &[&str], name: &str) -> usize {
    columns.iter().position(|column| *column == name).unwrap_or_else(|| panic!("no column {name}"))
}

fn price(text: &str) -> Price {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    Price(format!("{whole}{fraction:0<9}").parse().unwrap())
}

fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var("STELE_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared").into());
    let folder = PathBuf::from(root).join(path);
    if folder.exists() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", folder.display());
    println!("skipped: needs STELE_SHARED");
    None
}
