//! Books from small files that the tests write: the generator's flow in each binary format, and lines of text
//! formats.

use crate::{Books, Played, play};
use std::io::Cursor;
use stele_connect::generate::{FileFormat, generate};
use stele_connect::generator::{Generator, GeneratorConfig};
use stele_connect::{binance, dbn, itch, lobster};
use stele_strategies::book::BookSide;

/// Instruments of the flow.
const INSTRUMENTS: u32 = 8;

/// Price, quantity and orders of the levels of one instrument: bids, then asks.
type Levels = [Vec<(i64, u64, u32)>; 2];

fn levels(books: &Books, instrument: u32) -> Levels {
    [BookSide::Bid, BookSide::Ask].map(|side| {
        let book = books.market.book(instrument);
        let levels = book.into_iter().flat_map(|book| book.levels(side));
        levels.map(|level| (level.price.0, level.quantity.0, level.orders)).collect()
    })
}

/// When the venue's event happened, of market data.
fn time(event: &Played) -> Option<u64> {
    (event.template_id < 200).then(|| u64::from_le_bytes(event.body[..8].try_into().expect("eight bytes")))
}

/// Returns the books of all instruments each time the venue's clock passes a multiple of `step`, and at the
/// end.
fn books_over_time(played: &[Played], step: u64) -> Vec<(u64, Vec<Levels>)> {
    let (mut books, mut seen, mut last) = (Books::default(), Vec::new(), None);
    for event in played {
        let now = time(event).map(|time| time / step);
        if let (Some(now), Some(before)) = (now, last)
            && now > before
        {
            seen.push((before, (1..=INSTRUMENTS).map(|instrument| levels(&books, instrument)).collect()));
        }
        last = now.or(last);
        books.apply(event);
    }
    seen.push((last.unwrap_or(0), (1..=INSTRUMENTS).map(|instrument| levels(&books, instrument)).collect()));
    seen
}

#[test]
fn the_books_of_an_itch_file_and_of_a_dbn_file_are_those_of_the_flow_they_were_written_from() {
    let config = GeneratorConfig { events: Some(60_000), source: 1, ..GeneratorConfig::default() };
    let folder = tempfile::tempdir().unwrap();
    let [itch_file, dbn_file] = ["flow-20260105.itch50", "flow.dbn.zst"].map(|name| folder.path().join(name));
    generate(&config, FileFormat::Itch, &itch_file).unwrap();
    generate(&config, FileFormat::Dbn, &dbn_file).unwrap();
    let flow = play(Generator::new(config).unwrap());
    let first = flow.iter().find_map(time).expect("a flow has market data");
    let last = flow.iter().rev().find_map(time).expect("a flow has market data");
    let step = (last - first) / 50;
    let expected = books_over_time(&flow, step);
    assert!(expected.len() > 40, "{}", expected.len());
    assert!(
        expected
            .iter()
            .skip(1)
            .any(|(_, books)| books.iter().all(|[bids, asks]| bids.len() > 3 && asks.len() > 3))
    );
    let itch = play(itch::ItchFeed::open(&itch_file, itch::ItchOptions::default()).unwrap());
    let dbn =
        play(dbn::DbnFeed::open(&dbn_file, dbn::DbnOptions { source: 1, ..Default::default() }).unwrap());
    for (format, played) in [("ITCH", itch), ("DBN", dbn)] {
        let books = books_over_time(&played, step);
        assert_eq!(books.len(), expected.len(), "{format}");
        for (books, expected) in books.iter().zip(&expected) {
            assert!(books == expected, "{format} at {}", expected.0 * step);
        }
    }
}

#[test]
fn the_touch_follows_each_line_of_lobster() {
    // What a line says, and the best bid and the best ask after it, in the file's unit of 1e-4.
    let lines = [
        ("34200.1,1,1,10,1000000,1", Some((1_000_000, 10)), None),
        ("34200.2,1,2,20,1000200,-1", Some((1_000_000, 10)), Some((1_000_200, 20))),
        ("34200.3,1,3,5,1000100,1", Some((1_000_100, 5)), Some((1_000_200, 20))),
        ("34200.4,4,2,8,1000200,-1", Some((1_000_100, 5)), Some((1_000_200, 12))),
        ("34200.5,5,0,3,1000150,1", Some((1_000_100, 5)), Some((1_000_200, 12))),
        ("34200.6,2,3,2,1000100,1", Some((1_000_100, 3)), Some((1_000_200, 12))),
        ("34200.7,3,3,3,1000100,1", Some((1_000_000, 10)), Some((1_000_200, 12))),
    ];
    let mut text = String::new();
    for (count, (line, bid, ask)) in lines.iter().enumerate() {
        text += &format!("{line}\n");
        let options = lobster::LobsterOptions { symbol: Some("AMZN".into()), ..Default::default() };
        let reader = Box::new(Cursor::new(text.clone().into_bytes()));
        let mut books = Books::default();
        for event in play(lobster::LobsterFeed::from_reader("lines", reader, options).unwrap()) {
            books.apply(&event);
        }
        let scaled = |touch: &Option<(i64, u64)>| touch.map(|(price, quantity)| (price * 100_000, quantity));
        assert_eq!(books.best(BookSide::Bid), scaled(bid), "after {} lines", count + 1);
        assert_eq!(books.best(BookSide::Ask), scaled(ask), "after {} lines", count + 1);
        books.assert_nothing_odd();
    }
}

#[test]
fn the_best_prices_of_binance_are_those_of_its_book_ticker() {
    let depth = |first: u64, last: u64, bids: &str, asks: &str| {
        format!(
            r#"{{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":{first},"u":{last},"b":[{bids}],"a":[{asks}]}}"#
        )
    };
    let lines = [
        r#"{"lastUpdateId":10,"bids":[["100.5","2"],["100.4","1"]],"asks":[["100.7","3"],["100.8","1"]]}"#
            .to_owned(),
        depth(11, 12, r#"["100.6","4"]"#, r#"["100.7","0"]"#),
        r#"{"u":12,"s":"BTCUSDT","b":"100.6","B":"4","a":"100.8","A":"1"}"#.to_owned(),
        depth(13, 13, r#"["100.6","0"],["100.5","1.5"]"#, ""),
        r#"{"u":13,"s":"BTCUSDT","b":"100.5","B":"1.5","a":"100.8","A":"1"}"#.to_owned(),
    ];
    let options = binance::BinanceOptions { source: 1, symbol: Some("BTCUSDT".into()), ..Default::default() };
    let reader = Box::new(Cursor::new((lines.join("\n") + "\n").into_bytes()));
    let mut books = Books::default();
    let mut compared = 0;
    for event in play(binance::BinanceFeed::from_reader("lines", reader, options).unwrap()) {
        if let Some(ticker) = event.message::<stele_wire::messages::TopOfBook>() {
            let bid = (ticker.bid_price.get(), ticker.bid_quantity.get());
            let ask = (ticker.ask_price.get(), ticker.ask_quantity.get());
            assert_eq!((books.best(BookSide::Bid), books.best(BookSide::Ask)), (Some(bid), Some(ask)));
            compared += 1;
        } else {
            books.apply(&event);
        }
    }
    assert_eq!(compared, 2);
}
