use super::*;
use crate::testing::{Played, play};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Cursor;
use stele_feed::{Feed, FeedError};
use stele_testkit::shared;
use stele_wire::messages::*;

const HEADER: &str = "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,price,size,channel_id,order_id,\
                      flags,ts_in_delta,sequence,symbol\n";
const ADD: &str = "2025-07-17T08:05:03.360842448Z,2025-07-17T08:05:03.360677248Z,160,2,1108,A,B,5.510000000,100,0,\
                   817593,130,165200,851012,ARL\n";

fn open(text: &[u8]) -> Result<CsvFeed, FeedError> {
    let options = DbnOptions { source: 1, ..Default::default() };
    CsvFeed::from_reader("test", Box::new(Cursor::new(text.to_vec())), options)
}

fn read(text: &str) -> (Vec<Played>, Option<FeedError>) {
    play(&mut open(text.as_bytes()).unwrap())
}

#[test]
fn every_record_of_the_vendors_file_is_counted_and_its_volume_is_the_vendors() {
    let Some(path) = shared::data("mbo-mbp/EXPECTED.json") else { return };
    let expected: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let expected = &expected["mbo-mbp-oracle"];
    let mut feed = CsvFeed::open(&path.with_file_name("mbo.csv"), Default::default()).unwrap();
    let (played, error) = play(&mut feed);
    assert!(error.is_none(), "{error:?}");
    let report = feed.report();
    assert_eq!(report.records, [("mbo".to_owned(), expected["mbo_rows"].as_u64().unwrap())]);
    assert_eq!((report.not_carried_count(), report.notices.len()), (0, 0));
    let events: BTreeMap<&str, u64> = report.events.iter().copied().collect();
    let actions = &expected["mbo_actions"];
    for (name, action) in
        [("BookAdd", "A"), ("BookCancel", "C"), ("Trade", "T"), ("BookExecute", "F"), ("BookClear", "R")]
    {
        assert_eq!(events[name], actions[action].as_u64().unwrap(), "{name}");
    }
    let sum = |read: &dyn Fn(&Played) -> Option<u64>| played.iter().filter_map(read).sum::<u64>();
    let traded = sum(&|event| event.message::<Trade>().map(|trade| trade.quantity.get()));
    let filled = sum(&|event| event.message::<BookExecute>().map(|execute| execute.quantity.get()));
    assert_eq!(traded, expected["trade_volume_T"].as_u64().unwrap());
    assert_eq!(filled, expected["fill_volume_F"].as_u64().unwrap());
    let definition = played.iter().find_map(|event| event.message::<InstrumentDefinition>()).unwrap();
    assert_eq!((&definition.venue_symbol[..4], definition.venue_instrument_id.get()), (&b"ARL\0"[..], 1108));
    let source = played.iter().find_map(|event| event.message::<SourceDefinition>()).unwrap();
    assert_eq!((&source.mic, source.vendor_publisher.get()), (b"XNAS", 2));
}

#[test]
fn pretty_and_plain_columns_in_any_order_give_the_same_event() {
    let pretty = read(&format!("{HEADER}{ADD}")).0;
    let plain = "sequence,flags,order_id,channel_id,size,price,side,action,instrument_id,publisher_id,ts_event,ts_recv,symbol\n\
                 851012,130,817593,0,100,5510000000,B,A,1108,2,1752739503360677248,1752739503360842448,ARL\n";
    assert_eq!(pretty, read(plain).0);
    let add = pretty[2].message::<BookAdd>().unwrap();
    assert_eq!((add.price.get(), add.quantity.get(), add.order_id.get()), (5_510_000_000, 100, 817_593));
    assert_eq!((add.venue_time.get(), pretty[2].due), (1_752_739_503_360_677_248, 1_752_739_503_360_842_448));
    assert_eq!((add.flags.bits(), add.venue_sequence.get(), add.side), (130, 851_012, Side::BUY));
}

#[test]
fn a_file_of_several_symbols_defines_each_and_a_new_symbol_of_a_number_again() {
    let line =
        |number: u32, symbol: &str| ADD.replace(",1108,", &format!(",{number},")).replace("ARL", symbol);
    let text = format!("{HEADER}{}{}{}{}", line(7, "A"), line(8, "B"), line(7, "A"), line(7, "C"));
    let (played, error) = read(&text);
    assert!(error.is_none());
    let defined: Vec<_> = played
        .iter()
        .filter_map(|event| event.message::<InstrumentDefinition>())
        .map(|definition| (definition.instrument.get(), definition.venue_symbol[0]))
        .collect();
    assert_eq!(defined, [(1, b'A'), (2, b'B'), (3, b'C')]);
    let of: Vec<_> = played
        .iter()
        .filter_map(|event| event.message::<BookAdd>())
        .map(|add| add.instrument.get())
        .collect();
    assert_eq!(of, [1, 2, 1, 3]);
}

#[test]
fn another_schema_or_no_header_is_refused_when_the_file_is_opened() {
    let said = |text: &str| open(text.as_bytes()).err().unwrap().to_string();
    let ohlcv = said("ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume\n");
    assert!(
        ohlcv.contains("no column ts_recv, action, side, price, size, order_id, flags, sequence"),
        "{ohlcv}"
    );
    assert!(said(ADD).contains("no column"), "a header is needed");
    assert!(said("").contains("is empty"));
    let (_, error) = read(&format!("{HEADER}{}", ADD.replace(",160,", ",10,")));
    let error = error.unwrap().to_string();
    assert!(error.contains("line 2: a record of type 10, not 160 (mbo)"), "{error}");
    let error = said(&HEADER.replace("sequence,", "sequence,bid_px_00,"));
    assert!(error.contains("its column bid_px_00 belongs to a book"), "{error}");
}

#[test]
fn the_vendors_file_of_books_is_refused_when_it_is_opened() {
    let Some(path) = shared::data("mbo-mbp/mbp.csv") else { return };
    let error = CsvFeed::open(&path, Default::default()).err().unwrap().to_string();
    assert!(error.contains("its column bid_px_00 belongs to a book"), "{error}");
}

#[test]
fn a_file_compressed_or_not_has_the_same_events_and_a_hash_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{HEADER}{ADD}{}", ADD.replace(",A,B,", ",C,B,"));
    let files = [
        ("mbo.csv", text.clone().into_bytes()),
        ("mbo.csv.zst", zstd::encode_all(text.as_bytes(), 1).unwrap()),
    ];
    let [plain, compressed] = files.map(|(name, bytes)| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let mut feed = CsvFeed::open(&path, Default::default()).unwrap();
        let (played, error) = play(&mut feed);
        assert!(error.is_none(), "{name}: {error:?}");
        let report = feed.report();
        assert_eq!((report.record_count(), report.event_count()), (2, played.len() as u64), "{name}");
        (played, feed.content_hash().unwrap())
    });
    assert!(plain.0 == compressed.0 && plain.1 != compressed.1);
}

#[test]
fn a_wrong_field_is_refused_with_its_line_its_name_and_what_is_expected() {
    for (from, to, expected) in [
        (",A,B,", ",Z,B,", "action `Z` is not one of A, M, C"),
        (",A,B,", ",A,X,", "side `X` is not one of A, B and N"),
        ("5.510000000", "5.5100000001", "price `5.5100000001` has more than 9 decimals"),
        (",100,", ",-1,", "size `-1` is not a decimal number"),
        (",130,", ",256,", "flags `256` is too large"),
        ("2025-07-17T08:05:03.360842448Z", "yesterday", "ts_recv `yesterday` is not a time such as"),
        (",ARL", "", "line 3 has 14 fields, not 15"),
    ] {
        let (played, error) = read(&format!("{HEADER}{ADD}{}{ADD}", ADD.replace(from, to)));
        let error = error.unwrap();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!((played.len(), error.good_records), (3, 1));
        assert_eq!(error.offset as usize, HEADER.len() + ADD.len());
    }
}

#[test]
fn columns_that_the_schema_does_not_have_are_reported() {
    let text = format!("{}{}", HEADER.replace("symbol", "symbol,mood"), ADD.replace("ARL", "ARL,calm"));
    let mut feed = open(text.as_bytes()).unwrap();
    play(&mut feed);
    assert!(feed.report().notices[0].contains("`mood`"), "{:?}", feed.report().notices);
    let many = (0..100).map(|number| format!(",c{number}")).collect::<String>() + "\n";
    let feed = open(HEADER.replace('\n', &many).as_bytes()).unwrap();
    assert!(feed.report().notices[0].ends_with("`c4` and 95 more"), "{:?}", feed.report().notices);
}

proptest! {
    #[test]
    fn any_bytes_after_the_header_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = [HEADER.as_bytes(), &bytes].concat();
        play(&mut open(&text).unwrap());
    }

    #[test]
    fn a_line_with_any_field_replaced_is_read_or_refused(at in 0usize..15, field in "[-0-9A-Za-z.:+]{0,24}") {
        let mut fields: Vec<&str> = ADD.trim_end().split(',').collect();
        fields[at] = &field;
        let mut feed = open(format!("{HEADER}{}\n", fields.join(",")).as_bytes()).unwrap();
        let (_, error) = play(&mut feed);
        prop_assert_eq!(feed.records(), u64::from(error.is_none()));
    }
}
