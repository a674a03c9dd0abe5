use super::*;
use crate::testing::{Played, play};
use proptest::prelude::*;
use std::io::Cursor;
use stele_feed::{Feed, FeedError};
use stele_testkit::shared;
use stele_wire::messages::*;

fn feed(text: &[u8]) -> BinanceFeed {
    let options = BinanceOptions { source: 1, ..BinanceOptions::default() };
    BinanceFeed::from_reader("test", Box::new(Cursor::new(text.to_vec())), options).unwrap()
}

fn read(text: &str) -> (Vec<Played>, Option<FeedError>, FeedReport) {
    let mut feed = feed(text.as_bytes());
    let (played, error) = play(&mut feed);
    (played, error, feed.report())
}

fn depth(first: u64, last: u64, bids: &str, asks: &str) -> String {
    format!(
        r#"{{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":{first},"u":{last},"b":[{bids}],"a":[{asks}]}}"#
    ) + "\n"
}

fn snapshot(last: u64, bids: &str) -> String {
    format!(r#"{{"lastUpdateId":{last},"bids":[{bids}],"asks":[]}}"#) + "\n"
}

const TRADE: &str = r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}"#;
const TICKER: &str = r#"{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"0.00000000","A":"0.00000000"}"#;

#[test]
fn every_message_of_the_recording_is_carried_or_counted_with_a_reason() {
    let Some(path) = shared::data("crypto/binance-spot-btcusdt-20240808.gz") else { return };
    let mut feed = BinanceFeed::open(&path, BinanceOptions::default()).unwrap();
    let (played, error) = play(&mut feed);
    assert!(error.is_none(), "{error:?}");
    let report = feed.report();
    let records: Vec<_> = report.records.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    let expected = [("bookTicker", 28_040), ("depthUpdate", 3_451), ("snapshot", 1), ("trade", 9_757)];
    assert_eq!(records, expected, "as `zcat | jq` counts them");
    assert_eq!(report.not_carried.len(), 1, "{:?}", report.not_carried);
    assert_eq!((report.not_carried[0].kind.as_str(), report.not_carried[0].count), ("depthUpdate", 2));
    assert!(report.notices.is_empty(), "{:?}", report.notices);
    assert_eq!(report.event_count(), played.len() as u64);
    let snapshot = played
        .iter()
        .filter_map(|event| event.message::<BookLevel>())
        .filter(|level| level.flags.contains(MarketFlags::SNAPSHOT))
        .count();
    assert_eq!(snapshot, 2_000);
    assert!(feed.content_hash().is_some());
}

#[test]
fn prices_quantities_times_and_sides_are_exact() {
    let text = format!("1723161254087891268 {TICKER}\n1723161254087896568 {TRADE}\n");
    let (played, error, _) = read(&text);
    assert!(error.is_none(), "{error:?}");
    let definition = played[0].message::<InstrumentDefinition>().unwrap();
    assert_eq!((&definition.venue_symbol[..8], definition.quantity_exponent), (&b"BTCUSDT\0"[..], -8));
    assert_eq!(definition.instrument_class, InstrumentClass::CRYPTO_SPOT);
    let top = played[1].message::<TopOfBook>().unwrap();
    assert_eq!((top.bid_price.get(), top.bid_quantity.get()), (61_837_630_000_000, 378_826_000));
    assert_eq!((top.ask_price.get(), top.ask_quantity.get()), (i64::MAX, 0), "no ask is there");
    assert_eq!((top.update_id.get(), top.venue_time.get()), (50_093_239_212, u64::MAX));
    assert_eq!(played[1].due, 1_723_161_254_087_891_268);
    let trade = played[2].message::<Trade>().unwrap();
    assert_eq!((trade.price.get(), trade.quantity.get()), (61_837_630_000_000, 2_000_000));
    assert_eq!((trade.side, trade.trade_id.get()), (Side::SELL, 3_735_683_259), "the buyer was there first");
    assert_eq!(trade.venue_time.get(), 1_723_161_255_342_000_000);
}

#[test]
fn the_book_begins_with_the_snapshot_and_takes_the_updates_that_continue_it() {
    let bid = |price: u32, quantity: u32| format!(r#"["{price}","{quantity}"]"#);
    let text = [
        depth(1, 4, &bid(10, 1), ""),
        depth(5, 9, &bid(11, 2), &bid(20, 3)),
        snapshot(6, &bid(9, 5)),
        depth(10, 10, "", ""),
        depth(11, 12, &bid(9, 0), ""),
    ]
    .concat();
    let (played, error, report) = read(&text);
    assert!(error.is_none(), "{error:?}");
    assert!(played[1].message::<BookClear>().unwrap().flags.contains(MarketFlags::SNAPSHOT));
    let levels: Vec<_> = played
        .iter()
        .filter_map(|event| event.message::<BookLevel>())
        .map(|level| {
            (level.update_id.get(), level.price.get() / 1_000_000_000, level.action, level.flags.bits())
        })
        .collect();
    let expected = [
        (6, 9, BookAction::ADD, 0b1010_0000),
        (9, 11, BookAction::MODIFY, 0),
        (9, 20, BookAction::MODIFY, 0b1000_0000),
        (12, 9, BookAction::DELETE, 0b1000_0000),
    ];
    assert_eq!(levels, expected);
    let reasons: Vec<_> = report.not_carried.iter().map(|one| (one.reason, one.count)).collect();
    assert_eq!(reasons, [("no level changed", 1), ("the snapshot has it already", 1)]);
}

#[test]
fn a_gap_clears_the_book_and_updates_that_wait_in_vain_are_counted() {
    let level = r#"["10","1"]"#;
    let text = [snapshot(5, level), depth(6, 7, level, ""), depth(9, 10, level, "")].concat();
    let options = BinanceOptions { source: 1, symbol: Some("BTCUSDT".into()), ..BinanceOptions::default() };
    let mut feed =
        BinanceFeed::from_reader("test", Box::new(Cursor::new(text.into_bytes())), options).unwrap();
    let (played, error) = play(&mut feed);
    assert!(error.is_none(), "{error:?}");
    let clear = played.last().unwrap().message::<BookClear>().unwrap();
    assert_eq!(clear.flags, MarketFlags::LAST | MarketFlags::MAYBE_BAD_BOOK);
    let report = feed.report();
    assert_eq!(
        (report.not_carried_count(), report.not_carried[0].reason),
        (1, "no snapshot that it continues")
    );
    assert!(report.notices[0].contains("BTCUSDT: 1 gaps"), "{:?}", report.notices);
}

#[test]
fn a_message_longer_than_a_batch_comes_whole_and_in_its_order() {
    let levels: Vec<String> = (1..=5_000).map(|price| format!(r#"["{price}","1"]"#)).collect();
    let text = format!("{TRADE}\n{}", snapshot(5, &levels.join(",")));
    let (played, error, _) = read(&text);
    assert!(error.is_none(), "{error:?}");
    let prices: Vec<i64> = played
        .iter()
        .filter_map(|event| event.message::<BookLevel>())
        .map(|level| level.price.get() / 1_000_000_000)
        .collect();
    assert_eq!(prices, (1..=5_000).collect::<Vec<_>>());
}

#[test]
fn other_streams_and_answers_are_counted_with_their_reason() {
    let text = format!(
        "{}\n{}\n{TRADE}\n",
        r#"{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1,"s":"BTCUSDT","k":{}}}"#,
        r#"{"result":null,"id":1}"#
    );
    let (_, error, report) = read(&text);
    assert!(error.is_none(), "{error:?}");
    let kinds: Vec<_> = report.not_carried.iter().map(|one| (one.kind.as_str(), one.count)).collect();
    assert_eq!(kinds, [("other stream", 1), ("response", 1)]);
    assert_eq!(report.record_count(), 3);
}

#[test]
fn a_wrong_line_is_refused_with_its_number_and_what_is_wrong() {
    for (bad, expected) in [
        ("{".to_owned(), "line 2: EOF while parsing"),
        ("17 {}".to_owned(), "line 2: `17` before the message is not a time of receipt"),
        (TRADE.replace(r#""p":"61837.63000000","#, ""), "line 2: missing field `p`"),
        (TRADE.replace("0.02000000", "0.020000001"), "quantity `0.020000001` has more than 8 decimals"),
        (TRADE.replace("61837.63000000", "1e9"), "price `1e9` is not a decimal number"),
        (depth(7, 6, "", ""), "an update from 7 to 6"),
        (depth(6, 7, r#"["1"]"#, ""), "invalid length 1, expected [price, quantity]"),
        (depth(6, 7, "", "").replace(r#""U""#, r#""pu":5,"U""#), "of the futures market"),
        (TRADE.replace("BTCUSDT", ""), "`` is not a symbol"),
    ] {
        let (played, error, report) = read(&format!("{TRADE}\n{bad}\n{TRADE}\n"));
        let error = error.unwrap_or_else(|| panic!("{bad} was taken"));
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!((played.len(), error.good_records, report.record_count()), (2, 1, 1));
        assert_eq!(error.offset as usize, TRADE.len() + 1);
    }
}

#[test]
fn a_snapshot_of_an_unknown_symbol_is_refused_with_the_remedy() {
    let (_, error, _) = read(&snapshot(5, ""));
    assert!(error.unwrap().to_string().contains("symbol=BTCUSDT"));
    let two = format!("{TRADE}\n{}\n{}", TRADE.replace("BTCUSDT", "ETHUSDT"), snapshot(5, ""));
    assert!(read(&two).1.unwrap().to_string().contains("without a symbol, in a file of several"));
    let wrapped = format!(r#"{{"stream":"ethusdt@depth20","data":{}}}"#, snapshot(5, "").trim()) + "\n";
    let (played, error, _) = read(&wrapped);
    assert!(error.is_none() && played.len() == 2, "{error:?}");
}

#[test]
fn a_recording_cut_anywhere_keeps_the_whole_messages() {
    let text = format!("{TRADE}\n{}{TICKER}\n", depth(1, 2, r#"["10","1"]"#, ""));
    for cut in 0..text.len() {
        let mut feed = feed(&text.as_bytes()[..cut]);
        let (_, error) = play(&mut feed);
        assert_eq!(feed.records(), text[..cut].matches('\n').count() as u64);
        assert_eq!(error.is_none(), cut == 0 || text[..cut].ends_with('\n'), "cut at {cut}");
    }
}

#[test]
fn a_compressed_recording_has_the_events_of_its_lines_and_a_hash_of_its_own() {
    use std::io::Write as _;
    let text =
        format!("{}{TRADE}\n{}{TICKER}\n", snapshot(1, r#"["10","1"]"#), depth(2, 3, r#"["11","2"]"#, ""));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("btcusdt.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    std::fs::write(&path, encoder.finish().unwrap()).unwrap();
    let mut feed = BinanceFeed::open(
        &path,
        BinanceOptions { source: 1, symbol: Some("BTCUSDT".into()), ..BinanceOptions::default() },
    )
    .unwrap();
    let (played, error) = play(&mut feed);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(feed.report().record_count(), 4);
    assert_eq!(feed.report().event_count(), played.len() as u64);
    assert!(feed.content_hash().is_some());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        play(&mut feed(&bytes));
    }

    #[test]
    fn each_record_becomes_an_event_or_is_counted(
        steps in prop::collection::vec((0u8..4, 1u64..40, 0u64..4, 0usize..3), 0..40),
    ) {
        let text: String = steps.iter().map(|(kind, at, length, levels)| {
            let levels = vec![r#"["10","1"]"#; *levels].join(",");
            match kind {
                0 => snapshot(*at, &levels),
                1 => format!("{TRADE}\n"),
                _ => depth(*at, at + length, &levels, ""),
            }
        }).collect();
        let mut feed = feed(format!("{TRADE}\n{text}").as_bytes());
        let (played, error) = play(&mut feed);
        prop_assert!(error.is_none());
        let report = feed.report();
        prop_assert_eq!(report.record_count(), steps.len() as u64 + 1);
        prop_assert_eq!(report.event_count(), played.len() as u64);
        let carried = report.record_count() - report.not_carried_count();
        let ends = played.iter().filter(|event| {
            let last = |flags: MarketFlags| flags.contains(MarketFlags::LAST);
            event.message::<Trade>().is_some()
                || event.message::<BookLevel>().is_some_and(|level| last(level.flags))
                || event.message::<BookClear>().is_some_and(|clear| clear.flags == MarketFlags::LAST | MarketFlags::SNAPSHOT)
        });
        prop_assert_eq!(ends.count() as u64, carried, "each carried record ends one venue event");
    }
}
