//! After warm-up no feed allocates or gives memory back: the player shares a core with the journal.

use std::fmt::Write as _;
use std::io::Cursor;
use stele_connect::generate::{FileFormat, generate};
use stele_connect::generator::{Config, Generator};
use stele_connect::{binance, dbn, itch, lobster};
use stele_feed::{Batch, Feed, Step};
use stele_testkit::{CountingAllocator, allocator_calls};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const EVENTS: u64 = 300_000;

/// Calls of the allocator while the feed makes its events, the first 10,000 and the end left out.
fn calls(feed: &mut dyn Feed) -> (u64, usize) {
    let (mut batch, mut made, mut calls) = (Batch::new(), 0, 0);
    loop {
        let before = allocator_calls();
        let step = feed.fill(&mut batch).unwrap();
        if step == Step::End {
            return (calls, made);
        }
        if made > 10_000 {
            calls += allocator_calls() - before;
        }
        made += batch.len();
        batch.clear();
    }
}

fn config() -> Config {
    Config { events: Some(EVENTS), ..Config::default() }
}

fn file(format: FileFormat, name: &str) -> Cursor<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    generate(&config(), format, &path).unwrap();
    Cursor::new(std::fs::read(path).unwrap())
}

#[test]
fn the_generator_does_not_allocate() {
    let (calls, made) = calls(&mut Generator::new(config()).unwrap());
    assert_eq!((calls, made > EVENTS as usize / 2), (0, true));
}

#[test]
fn an_itch_feed_does_not_allocate() {
    let source = Box::new(file(FileFormat::Itch, "flow.itch50"));
    let mut feed = itch::ItchFeed::from_reader("flow", source, itch::Options::default()).unwrap();
    let (calls, made) = calls(&mut feed);
    assert_eq!((calls, made > EVENTS as usize / 2), (0, true));
}

#[test]
fn a_dbn_feed_does_not_allocate_compressed_or_not() {
    for name in ["flow.dbn", "flow.dbn.zst"] {
        let source = Box::new(file(FileFormat::Dbn, name));
        let mut feed = dbn::DbnFeed::from_reader(name, source, dbn::Options::default()).unwrap();
        let (calls, made) = calls(&mut feed);
        assert_eq!((calls, made > EVENTS as usize / 2), (0, true), "{name}");
    }
}

/// Lines enough for the test, each made by `line`.
fn lines(header: &str, line: impl Fn(u64, &mut String)) -> Box<Cursor<Vec<u8>>> {
    let mut text = header.to_owned();
    (1..=EVENTS / 2).for_each(|number| line(number, &mut text));
    Box::new(Cursor::new(text.into_bytes()))
}

#[test]
fn a_lobster_feed_does_not_allocate() {
    let source = lines("", |number, text| {
        let (id, price) = (number.div_ceil(2), 2_000_000 + number.div_ceil(2) % 500);
        let kind = if number % 2 == 1 { 1 } else { 3 };
        let _ = writeln!(text, "34200.{number:09},{kind},{id},5,{price},1");
    });
    let options = lobster::Options { symbol: Some("AMZN".into()), ..lobster::Options::default() };
    let (calls, made) = calls(&mut lobster::LobsterFeed::from_reader("flow", source, options).unwrap());
    assert_eq!((calls, made as u64 > EVENTS / 4), (0, true));
}

#[test]
fn a_feed_of_databentos_csv_does_not_allocate() {
    let header =
        "ts_recv,ts_event,publisher_id,instrument_id,action,side,price,size,order_id,flags,sequence,symbol\n";
    let source = lines(header, |number, text| {
        let time = format_args!("2025-07-17T08:05:03.{number:09}Z");
        let _ = writeln!(text, "{time},{time},2,1108,A,B,5.51,100,{number},130,{number},ARL");
    });
    let mut feed = dbn::csv::CsvFeed::from_reader("flow", source, dbn::Options::default()).unwrap();
    let (calls, made) = calls(&mut feed);
    assert_eq!((calls, made as u64 > EVENTS / 4), (0, true));
}

#[test]
fn a_binance_feed_does_not_allocate() {
    let snapshot = r#"{"stream":"btcusdt@depth","data":{"lastUpdateId":0,"bids":[],"asks":[]}}"#;
    let source = lines(&format!("{snapshot}\n").replace("btcusdt", "BTCUSDT"), |number, text| {
        let _ = writeln!(
            text,
            r#"{{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":{number},"u":{number},"b":[["61737.{number}","1.5"]],"a":[["61800.5","0"]]}}"#
        );
    });
    let mut feed = binance::BinanceFeed::from_reader("flow", source, binance::Options::default()).unwrap();
    let (calls, made) = calls(&mut feed);
    assert_eq!((calls, made as u64 > EVENTS / 4), (0, true));
}
