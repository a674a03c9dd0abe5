use super::layout::*;
use super::*;
use crate::testing::{Played, play};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use stele_feed::{Feed, FeedError};
use stele_testkit::shared;
use stele_wire::messages::*;
use zerocopy::{FromBytes, IntoBytes};

fn feed(bytes: Vec<u8>) -> Result<ItchFeed, FeedError> {
    let date = day::parse_date("20200130");
    ItchFeed::from_reader(
        "test",
        Box::new(io::Cursor::new(bytes)),
        ItchOptions { source: 1, date, ..ItchOptions::default() },
    )
}

fn framed(messages: &[&[u8]]) -> Vec<u8> {
    messages
        .iter()
        .flat_map(|message| [&(message.len() as u16).to_be_bytes()[..], message].concat())
        .collect()
}

fn head(letter: u8, locate: u16) -> Head {
    Head { letter, locate: locate.into(), tracking: 0.into(), time: Timestamp::new(34_200_000_000_123) }
}

/// A message of each type, its bytes after the head all the digit zero.
fn one_of_each() -> Vec<Vec<u8>> {
    LETTERS
        .iter()
        .map(|letter| {
            let mut message = vec![b'0'; length_of(*letter).unwrap()];
            message[..11].copy_from_slice(head(*letter, 7).as_bytes());
            if *letter == DeclineLevels::LETTER {
                message[11..].fill(0);
            }
            message
        })
        .collect()
}

#[test]
fn every_file_has_the_messages_that_the_independent_decoder_counted() {
    let Some(path) = shared::data("itch/EXPECTED.json") else { return };
    let expected: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for file in expected.as_array().unwrap() {
        let name = file["file"].as_str().unwrap();
        let mut feed = ItchFeed::open(&path.with_file_name(name), ItchOptions::default()).unwrap();
        let (played, error) = play(&mut feed);
        assert!(error.is_none(), "{name}: {error:?}");
        let report = feed.report();
        let counted: BTreeMap<String, u64> = report.records.iter().cloned().collect();
        let by_type: BTreeMap<String, u64> = serde_json::from_value(file["by_type"].clone()).unwrap();
        assert_eq!(counted, by_type, "{name}");
        assert_eq!(report.record_count(), file["messages"].as_u64().unwrap());
        assert_eq!((report.not_carried_count(), report.event_count()), (0, played.len() as u64));
        assert!(feed.content_hash().is_some());
    }
}

#[test]
fn executed_and_hidden_volume_of_apple_are_those_of_the_independent_decoder() {
    let Some(path) = shared::data("itch/aapl-20200130-10000.itch50") else { return };
    let (played, _) = play(&mut ItchFeed::open(&path, ItchOptions::default()).unwrap());
    let sum = |quantities: &dyn Fn(&Played) -> Option<u64>| played.iter().filter_map(quantities).sum::<u64>();
    assert_eq!(sum(&|event| event.message::<BookExecute>().map(|execute| execute.quantity.get())), 56_086);
    assert_eq!(sum(&|event| event.message::<Trade>().map(|trade| trade.quantity.get())), 25_470);
    let definition = played[0].message::<InstrumentDefinition>().unwrap();
    assert_eq!((&definition.venue_symbol[..5], definition.venue_instrument_id.get()), (&b"AAPL\0"[..], 13));
    // 2020-01-30 00:00 in New York and the first timestamp of EXPECTED.json.
    assert_eq!(definition.venue_time.get(), 1_580_360_400_000_000_000 + 11_234_909_934_345);
}

#[test]
fn every_type_becomes_an_event() {
    for message in one_of_each() {
        let mut feed = feed(framed(&[&message])).unwrap();
        let (played, error) = play(&mut feed);
        assert!(error.is_none(), "{}: {error:?}", message[0] as char);
        let report = feed.report();
        assert_eq!((report.record_count(), report.not_carried_count()), (1, 0));
        let own =
            played.iter().filter(|event| event.template_id != InstrumentDefinition::TEMPLATE_ID).count();
        assert!(own > 0 || message[0] == b'R', "{}", message[0] as char);
    }
}

#[test]
fn prices_times_and_numbers_are_exact() {
    let add = AddOrder {
        head: head(b'A', 13),
        order: 77.into(),
        side: b'S',
        shares: 300.into(),
        stock: *b"AAPL    ",
        price: u32::MAX.into(),
    };
    let execute = ExecutedAtPrice {
        head: head(b'C', 13),
        order: 77.into(),
        shares: 100.into(),
        match_number: 9.into(),
        printable: b'N',
        price: 3_216_700.into(),
    };
    let delete = OrderDelete { head: head(b'D', 13), order: 77.into() };
    let bytes = framed(&[add.as_bytes(), execute.as_bytes(), delete.as_bytes()]);
    let (played, _) = play(&mut feed(bytes).unwrap());
    assert_eq!(played.len(), 4, "the instrument is defined before the first event that names it");
    let added = played[1].message::<BookAdd>().unwrap();
    assert_eq!((added.side, added.price.get()), (Side::SELL, i64::from(u32::MAX) * 100_000));
    assert_eq!((added.instrument.get(), added.order_id.get(), added.quantity.get()), (1, 77, 300));
    assert_eq!(added.venue_time.get(), 1_580_360_400_000_000_000 + 34_200_000_000_123);
    assert_eq!((added.venue_sequence.get(), added.flags), (1, MarketFlags::LAST));
    let executed = played[2].message::<BookExecute>().unwrap();
    assert_eq!((executed.price.get(), executed.trade_id.get()), (321_670_000_000, 9));
    assert_eq!(executed.attributes, ExecuteAttributes::NON_PRINTABLE | ExecuteAttributes::AT_PRICE);
    assert_eq!(executed.book_effect, Boolean::TRUE);
    let cancelled = played[3].message::<BookCancel>().unwrap();
    assert_eq!((cancelled.quantity.get(), cancelled.price.get()), (u64::MAX, i64::MAX));
}

#[test]
fn the_circuit_breaker_levels_become_three_statistics_or_an_error() {
    let levels =
        |first: u64| DeclineLevels { head: head(b'V', 0), levels: [first.into(), 2.into(), 3.into()] };
    let (played, _) = play(&mut feed(framed(&[levels(123_456_789).as_bytes()])).unwrap());
    let statistics: Vec<_> = played.iter().map(|event| event.message::<Statistic>().unwrap()).collect();
    assert_eq!((statistics.len(), statistics[0].price.get()), (3, 1_234_567_890));
    assert_eq!((statistics[2].statistic_type.get(), statistics[2].flags), (23, MarketFlags::LAST));
    let (played, error) = play(&mut feed(framed(&[levels(u64::MAX).as_bytes()])).unwrap());
    assert!(played.is_empty());
    assert!(error.unwrap().to_string().contains("does not fit"));
}

#[test]
fn a_file_cut_anywhere_says_how_many_messages_were_good() {
    let messages = one_of_each();
    let whole = framed(&messages.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let ends: Vec<usize> = messages
        .iter()
        .scan(0, |end, message| {
            *end += message.len() + 2;
            Some(*end)
        })
        .collect();
    for cut in 0..whole.len() {
        let mut feed = feed(whole[..cut].to_vec()).unwrap();
        let (_, error) = play(&mut feed);
        let good = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(feed.report().record_count(), good as u64);
        let last_end = if good == 0 { 0 } else { ends[good - 1] };
        match error {
            None => assert_eq!(cut, last_end),
            Some(error) => assert_eq!((error.good_records, error.offset), (good as u64, last_end as u64)),
        }
    }
}

#[test]
fn a_file_that_is_not_itch_is_refused_with_the_place_and_advice() {
    let said = |bytes: Vec<u8>| match feed(bytes) {
        Err(error) => error.to_string(),
        Ok(mut feed) => play(&mut feed).1.unwrap().to_string(),
    };
    let delete = OrderDelete { head: head(b'D', 13), order: 77.into() };
    let unknown = said(framed(&[delete.as_bytes(), b"Zoo"]));
    assert!(
        unknown.contains("message 2 is of type Z") && unknown.contains("after 1 good records"),
        "{unknown}"
    );
    assert!(said(framed(&[&delete.as_bytes()[..18]])).contains("has 18 bytes, not 19"));
    assert!(said(vec![0x1F, 0x8B, 8, 0]).contains("decompress it first"));
    let missing =
        ItchFeed::open(Path::new("/nowhere/file"), ItchOptions::default()).err().unwrap().to_string();
    assert!(missing.contains("/nowhere/file") && missing.contains("check that the file exists"), "{missing}");
}

#[test]
fn a_session_ends_with_a_message_of_length_zero_and_nothing_after_it() {
    let delete = OrderDelete { head: head(b'D', 13), order: 77.into() };
    let mut bytes = framed(&[delete.as_bytes(), b""]);
    assert!(play(&mut feed(bytes.clone()).unwrap()).1.is_none());
    bytes.push(1);
    assert!(play(&mut feed(bytes).unwrap()).1.unwrap().to_string().contains("end of the session"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        if let Ok(mut feed) = feed(bytes) {
            play(&mut feed);
        }
    }

    #[test]
    fn no_contents_of_a_well_framed_message_make_it_panic(
        picks in prop::collection::vec((0..LETTERS.len(), prop::collection::vec(any::<u8>(), 50)), 1..30)
    ) {
        let messages: Vec<Vec<u8>> = picks
            .into_iter()
            .map(|(pick, mut bytes)| {
                bytes[0] = LETTERS[pick];
                bytes.truncate(length_of(LETTERS[pick]).unwrap());
                bytes
            })
            .collect();
        let whole = framed(&messages.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let mut feed = feed(whole).unwrap();
        let (_, error) = play(&mut feed);
        let good = feed.report().record_count();
        prop_assert!(good as usize == messages.len() || error.is_some());
    }

    #[test]
    fn a_message_is_read_as_it_was_written(order: u64, shares: u32, price: u32, time in 0u64..1 << 48) {
        let add = AddOrder {
            head: Head { time: Timestamp::new(time), ..head(b'A', 1) },
            order: order.into(), side: b'B', shares: shares.into(), stock: *b"A       ", price: price.into(),
        };
        let back = AddOrder::read_from_bytes(add.as_bytes()).unwrap();
        prop_assert_eq!(back, add);
        prop_assert_eq!(back.head.time.get(), time);
    }
}
