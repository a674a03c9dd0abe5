use super::*;
use crate::testing::{Played, play};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use stele_feed::Feed;
use stele_testkit::shared;
use stele_wire::codec::View;
use stele_wire::messages::*;

/// Midnight of 2012-06-21 in New York.
const MIDNIGHT: u64 = 1_340_251_200_000_000_000;

fn feed(text: &[u8]) -> LobsterFeed {
    let options = LobsterOptions {
        source: 1,
        symbol: Some("AMZN".into()),
        date: day::parse_date("20120621"),
        ..LobsterOptions::default()
    };
    LobsterFeed::from_reader("test", Box::new(Cursor::new(text.to_vec())), options).unwrap()
}

fn played(text: &str) -> Vec<Played> {
    let (played, error) = play(&mut feed(text.as_bytes()));
    assert!(error.is_none(), "{error:?}");
    played
}

#[test]
fn every_type_of_the_amazon_day_is_counted_as_the_independent_reader_counted_it() {
    let Some(path) = shared::data("lobster/EXPECTED.json") else { return };
    let expected: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let expected = &expected["AMZN level1 full day"];
    let file = path.with_file_name("AMZN_2012-06-21_34200000_57600000_message_1.csv");
    let mut feed = LobsterFeed::open(&file, LobsterOptions::default()).unwrap();
    let (played, error) = play(&mut feed);
    assert!(error.is_none(), "{error:?}");
    let report = feed.report();
    let counted: BTreeMap<String, u64> =
        report.records.iter().map(|(kind, count)| (kind[..1].to_owned(), *count)).collect();
    let by_type: BTreeMap<String, u64> = serde_json::from_value(expected["types"].clone()).unwrap();
    assert_eq!(counted, by_type);
    assert_eq!((report.record_count(), report.not_carried_count()), (57_515, 0));
    let unseen = |event: &&Played| {
        event.message::<BookCancel>().is_some_and(|cancel| cancel.flags == MarketFlags::MAYBE_BAD_BOOK)
    };
    let unseen = played.iter().filter(unseen).count() as u64;
    assert_eq!(report.event_count(), 57_516 + unseen, "a definition and one event a line, but for those");
    assert_eq!(unseen, 9_066, "orders that left behind the best price, counted by a script of its own");
    let sum = |read: &dyn Fn(&Played) -> Option<u64>| played.iter().filter_map(read).sum::<u64>();
    let executed = sum(&|event| event.message::<BookExecute>().map(|execute| execute.quantity.get()));
    let hidden = sum(&|event| event.message::<Trade>().map(|trade| trade.quantity.get()));
    assert_eq!(executed, expected["visible_exec_shares"].as_u64().unwrap());
    assert_eq!(hidden, expected["hidden_exec_shares"].as_u64().unwrap());
    let definition = played[0].message::<InstrumentDefinition>().unwrap();
    assert_eq!((&definition.venue_symbol[..5], definition.instrument.get()), (&b"AMZN\0"[..], 1));
    assert_eq!(played[1].due, MIDNIGHT + 34_200_017_459_617);
    assert_eq!(played.last().unwrap().due, MIDNIGHT + 57_599_959_359_650);
    assert!(feed.content_hash().is_some());
    assert!(report.notices[0].contains("within the best price only"), "{:?}", report.notices);
}

#[test]
fn each_type_becomes_its_event_exactly() {
    let events = played(
        "34200.189607670,1,11885113,21,2238100,1\n\
         34200.2,2,11885113,6,2238100,1\n\
         34200.3,3,7,100,2239500,-1\n\
         34200.4,4,8,26,2237500,1\n\
         34200.5,5,0,1,2238250,-1\n\
         34200.6,6,-1,500,2238000,-1\n\
         34200.7,7,0,0,-1,-1\n\
         34200.8,7,0,0,0,-1\n\
         34200.9,7,0,0,1,-1\n",
    );
    let add = events[1].message::<BookAdd>().unwrap();
    assert_eq!((add.order_id.get(), add.quantity.get(), add.price.get()), (11_885_113, 21, 223_810_000_000));
    assert_eq!((add.side, add.flags, add.venue_sequence.get()), (Side::BUY, MarketFlags::LAST, 1));
    assert_eq!(add.venue_time.get(), MIDNIGHT + 34_200_189_607_670);
    let part = events[2].message::<BookCancel>().unwrap();
    assert_eq!((part.order_id.get(), part.quantity.get()), (11_885_113, 6));
    let all = events[3].message::<BookCancel>().unwrap();
    assert_eq!((all.order_id.get(), all.quantity.get(), all.side), (7, 100, Side::SELL));
    let execute = events[4].message::<BookExecute>().unwrap();
    assert_eq!((execute.book_effect, execute.price.get()), (Boolean::TRUE, 223_750_000_000));
    let hidden = events[5].message::<Trade>().unwrap();
    assert_eq!((hidden.attributes, hidden.side), (TradeAttributes::HIDDEN, Side::BUY));
    let cross = events[6].message::<Trade>().unwrap();
    assert_eq!((cross.attributes, cross.quantity.get()), (TradeAttributes::CROSS, 500));
    let states: Vec<_> =
        events[7..].iter().map(|event| event.message::<TradingStatus>().unwrap().state).collect();
    assert_eq!(states, [TradingState::HALTED, TradingState::QUOTATION_ONLY, TradingState::TRADING]);
}

#[test]
fn a_deletion_takes_all_that_is_left_where_the_file_showed_more() {
    let events = played("34200.1,1,7,21,2238100,1\n34200.2,3,7,20,2238100,1\n");
    assert_eq!(events[2].message::<BookCancel>().unwrap().quantity.get(), u64::MAX);
}

#[test]
fn orders_that_a_message_shows_to_be_gone_leave_before_it_in_the_same_event() {
    let lines: String = (1..=100).map(|id| format!("34200.1,1,{id},5,2240000,-1\n")).collect();
    let events = played(&format!("{lines}34200.2,1,500,5,2240000,1\n"));
    let cancels: Vec<_> =
        events[101..201].iter().map(|event| event.message::<BookCancel>().unwrap()).collect();
    assert!(cancels.iter().all(|cancel| cancel.flags == MarketFlags::MAYBE_BAD_BOOK));
    let ids: std::collections::BTreeSet<u64> = cancels.iter().map(|cancel| cancel.order_id.get()).collect();
    assert_eq!(ids, (1..=100).collect());
    assert_eq!(events[201].message::<BookAdd>().unwrap().flags, MarketFlags::LAST);
    let halted = played(&format!("{lines}34200.2,7,0,0,-1,-1\n34200.2,1,500,5,2240000,1\n"));
    assert_eq!(halted.len(), 103, "orders may cross while the market is halted");
}

#[test]
fn a_wrong_line_is_refused_with_its_number_and_what_is_wrong() {
    let good = "34200.1,1,7,21,2238100,1\n";
    for (bad, expected) in [
        ("34200.1,1,7,21,2238100", "line 2 has 5 fields, not 6"),
        ("ASK_1_PRICE,ASK_1_QTY,BID_1_PRICE,BID_1_QTY", "line 2 has 4 fields, not 6"),
        ("34200.1,8,7,21,2238100,1", "type `8` is not one of 1 to 7"),
        ("34200.1,1,7,21,2238100,2", "direction `2` is not 1 or -1"),
        ("34200.1,1,0,21,2238100,1", "order id `0` is not above 0"),
        ("34200.1,1,7,0,2238100,1", "size `0` is not above 0"),
        ("34200.1,1,7,21,x,1", "price `x` is not a decimal number"),
        ("34200.1,1,7,21,92233720368548,1", "price `92233720368548` is too large"),
        ("34200.1234567891,1,7,21,2238100,1", "time `34200.1234567891` has more than 9 decimals"),
        ("90000,1,7,21,2238100,1", "time `90000` is too large"),
        ("34200.1,7,0,0,5,-1", "price of a halt `5` is not -1, 0 or 1"),
        ("34200.1,1,7,21,2238100,\"1", "line 2 is not CSV"),
    ] {
        let (played, error) = play(&mut feed(format!("{good}{bad}\n{good}").as_bytes()));
        let error = error.unwrap();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!((played.len(), error.good_records, error.offset), (2, 1, good.len() as u64), "{bad}");
    }
}

#[test]
fn a_file_cut_anywhere_keeps_the_whole_lines_and_says_where_it_ends() {
    let text = "34200.1,1,7,21,2238100,1\n34200.2,3,7,21,2238100,1\n34200.3,5,0,1,2238100,-1\n";
    for cut in 0..text.len() {
        let mut feed = feed(&text.as_bytes()[..cut]);
        let (_, error) = play(&mut feed);
        let whole = text[..cut].matches('\n').count() as u64;
        assert_eq!(feed.records(), whole);
        let is_at_an_end = cut == 0 || text[..cut].ends_with('\n');
        assert_eq!(error.is_none(), is_at_an_end, "cut at {cut}");
        if let Some(error) = error {
            assert!(error.to_string().contains(&format!("inside line {}", whole + 1)), "{error}");
            assert_eq!(error.good_records, whole);
        }
    }
}

#[test]
fn symbol_and_day_come_from_the_name_or_from_the_person() {
    let parts = NameParts::of(Path::new("x/BRK.B_2012-06-21_34200000_57600000_message_10.csv.gz"));
    assert_eq!(
        (parts.symbol.as_deref(), parts.date, parts.levels),
        (Some("BRK.B"), day::parse_date("20120621"), Some(10))
    );
    assert_eq!(NameParts::of(Path::new("messages.csv")), NameParts::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("messages.csv");
    std::fs::write(&path, "34200.1,1,7,21,2238100,1\n").unwrap();
    let said = LobsterFeed::open(&path, LobsterOptions::default()).err().unwrap().to_string();
    assert!(said.contains("symbol=AMZN"), "{said}");
    let options = LobsterOptions { symbol: Some("X".into()), ..LobsterOptions::default() };
    let feed = LobsterFeed::open(&path, options).unwrap();
    assert!(feed.report().notices[0].contains("give it as date=YYYYMMDD"));
    let book = folder.path().join("AMZN_2012-06-21_34200000_57600000_orderbook_1.csv");
    let said = LobsterFeed::open(&book, LobsterOptions::default()).err().unwrap().to_string();
    assert!(said.contains("give the message file"), "{said}");
}

#[test]
fn a_file_with_the_vendors_name_is_counted_by_type_with_the_times_of_its_day() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("AMZN_2012-06-21_34200000_57600000_message_1.csv");
    let lines = [
        "34200.017459617,5,0,1,2238200,-1",
        "34200.18960767,1,11885113,21,2238100,1",
        "34200.18960768,2,11885113,1,2238100,1",
        "34200.18960769,4,11885113,5,2238100,1",
        "34201,3,11885113,15,2238100,1",
        "57599.9593596,7,0,0,-1,-1",
    ];
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    let mut feed = LobsterFeed::open(&path, LobsterOptions::default()).unwrap();
    let (played, error) = play(&mut feed);
    assert!(error.is_none(), "{error:?}");
    let report = feed.report();
    let counted: String =
        report.records.iter().map(|(kind, count)| format!("{}{count} ", &kind[..1])).collect();
    assert_eq!((counted.trim(), report.not_carried_count()), ("11 21 31 41 51 71", 0));
    let definition = played[0].message::<InstrumentDefinition>().unwrap();
    assert_eq!((&definition.venue_symbol[..5], definition.instrument.get()), (&b"AMZN\0"[..], 1));
    assert_eq!(played[1].due, MIDNIGHT + 34_200_017_459_617);
    assert_eq!(played.last().unwrap().due, MIDNIGHT + 57_599_959_359_600);
    assert!(feed.content_hash().is_some());
    assert!(report.notices[0].contains("within the best price only"), "{:?}", report.notices);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        play(&mut feed(&bytes));
    }

    #[test]
    fn any_fields_are_read_or_refused(
        rows in prop::collection::vec(prop::collection::vec("-?[0-9]{0,20}(\\.[0-9]{0,12})?", 5..8), 0..8),
    ) {
        let text: String = rows.iter().map(|row| row.join(",") + "\n").collect();
        let mut feed = feed(text.as_bytes());
        let (played, _) = play(&mut feed);
        let own = |event: &&Played| {
            let is_unseen = |cancel: View<'_, BookCancel>| cancel.flags == MarketFlags::MAYBE_BAD_BOOK;
            event.template_id != InstrumentDefinition::TEMPLATE_ID
                && !event.message::<BookCancel>().is_some_and(is_unseen)
        };
        prop_assert_eq!(played.iter().filter(own).count() as u64, feed.records());
    }
}
