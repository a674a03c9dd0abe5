use super::records::{OHLCV_OLD, least_length};
use super::*;
use crate::testing::{Played, play};
use dbn::v3;
use std::collections::BTreeMap;
use std::path::Path;
use stele_feed::{Feed, FeedError};
use stele_testkit::shared;
use stele_wire::messages::*;

fn feed(bytes: &[u8]) -> Result<DbnFeed, FeedError> {
    let options = DbnOptions { source: 1, ..DbnOptions::default() };
    DbnFeed::from_reader("test", Box::new(io::Cursor::new(bytes.to_vec())), options)
}

fn whole(path: &str) -> Option<(FeedReport, Vec<Played>)> {
    let mut feed =
        DbnFeed::open(&shared::data(path)?, DbnOptions { source: 1, ..DbnOptions::default() }).unwrap();
    let (played, error) = play(&mut feed);
    assert!(error.is_none(), "{path}: {error:?}");
    assert!(feed.content_hash().is_some());
    let report = feed.report();
    assert_eq!((report.event_count(), report.not_carried_count()), (played.len() as u64, 0), "{path}");
    Some((report, played))
}

fn all<'a, M: stele_wire::codec::Message>(
    played: &'a [Played],
) -> impl Iterator<Item = stele_wire::codec::View<'a, M>> {
    played.iter().filter_map(Played::message::<M>)
}

/// The bytes of a file, decompressed.
fn decompressed(path: &str) -> Option<Vec<u8>> {
    let bytes = std::fs::read(shared::data(path)?).unwrap();
    Some(zstd::decode_all(&bytes[..]).unwrap())
}

const MBO: &str = "dbn/orderbooks_mbo_2024-05-08T00-00-00_2024-05-08T00-00-02.dbn.zst";
const TRADES: &str = "dbn/futures_trades_2024-07-01T23-58_2024-07-02T00-02.dbn.zst";
const TOPS: &str = "dbn/futures_mbp-1_2024-07-01T23-58_2024-07-02T00-02.dbn.zst";
const BARS: &str = "dbn/futures_ohlcv-1m_2024-07-01T23-40_2024-07-02T00-10.dbn.zst";

#[test]
fn every_file_has_the_records_that_the_independent_decoder_counted() {
    let Some(path) = shared::data("dbn/EXPECTED.json") else { return };
    let expected: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for file in expected["files"].as_array().unwrap() {
        let name = file["file"].as_str().unwrap();
        let (report, played) = whole(&format!("dbn/{name}")).unwrap();
        assert_eq!(report.record_count(), file["records"].as_u64().unwrap(), "{name}");
        assert_eq!(report.records.len(), 1, "{name}: {:?}", report.records);
        assert_eq!(report.records[0].0, file["schema"].as_str().unwrap(), "{name}");
        let definitions: std::collections::BTreeSet<u32> =
            all::<InstrumentDefinition>(&played).map(|definition| definition.instrument.get()).collect();
        assert_eq!(definitions.len() as u64, file["n_instrument_ids"].as_u64().unwrap(), "{name}");
        let times = |event: &Played| u64::from_le_bytes(event.body[..8].try_into().unwrap());
        let market = played.iter().filter(|event| event.template_id < 200).map(times);
        if let (Some(first), Some(last)) = (market.clone().min(), market.max()) {
            assert_eq!(first, file["min_ts_event"].as_u64().unwrap(), "{name}");
            assert_eq!(last, file["max_ts_event"].as_u64().unwrap(), "{name}");
        }
    }
    let book = &expected["books"][0];
    let (report, played) = whole(MBO).unwrap();
    assert_eq!(report.record_count(), book["records"].as_u64().unwrap());
    let last = played.iter().filter(|event| event.template_id < 200 && event.body[22] & 0x80 != 0).count();
    assert_eq!(last as u64, book["f_last_events"].as_u64().unwrap());
    let volume: u64 = all::<Trade>(&played).map(|trade| trade.quantity.get()).sum();
    assert_eq!(volume, book["trade_volume_T"].as_u64().unwrap());
}

#[test]
fn the_volume_of_trades_quotes_and_bars_is_the_same() {
    let (Some((_, trades)), Some((_, tops)), Some((_, bars))) = (whole(TRADES), whole(TOPS), whole(BARS))
    else {
        return;
    };
    let volume = |played: &[Played]| all::<Trade>(played).map(|trade| trade.quantity.get()).sum::<u64>();
    assert_eq!((volume(&trades), volume(&tops)), (253, 253));
    assert_eq!(all::<TopOfBook>(&tops).count(), 2_288);
    assert_eq!(all::<Bar>(&bars).map(|bar| bar.volume.get()).sum::<u64>(), 2_742);
    // A bar is due when it is over: it is not known before.
    for (bar, event) in bars.iter().filter_map(|event| event.message::<Bar>().map(|bar| (bar, event))) {
        assert_eq!(event.due, bar.venue_time.get() + bar.interval.get());
    }
    // Bars of the minutes for which every trade is there are the bars of the trades.
    let mut made: BTreeMap<u64, (i64, i64, u64)> = BTreeMap::new();
    for trade in all::<Trade>(&trades) {
        let minute = trade.venue_time.get() / 60_000_000_000 * 60_000_000_000;
        let bar = made.entry(minute).or_insert((i64::MIN, i64::MAX, 0));
        let price = trade.price.get();
        *bar = (bar.0.max(price), bar.1.min(price), bar.2 + trade.quantity.get());
    }
    let symbol = |id: u32| {
        let definition =
            all::<InstrumentDefinition>(&bars).find(|definition| definition.instrument.get() == id);
        stele_wire::codec::text(&definition.unwrap().venue_symbol).to_owned()
    };
    let compared = all::<Bar>(&bars).filter(|bar| symbol(bar.instrument.get()) == "ESU4").filter(|bar| {
        made.get(&bar.venue_time.get())
            .is_some_and(|made| *made == (bar.high.get(), bar.low.get(), bar.volume.get()))
    });
    assert_eq!(compared.count(), 4);
}

#[test]
fn the_versions_decode_to_the_same_values_where_the_schema_did_not_change() {
    for schema in
        ["mbo", "trades", "mbp-1", "mbp-10", "tbbo", "ohlcv-1m", "statistics", "definition", "status"]
    {
        let versions: Vec<_> = (1..=3)
            .filter_map(|version| {
                let path = format!("dbn/vectors/test_data.{schema}.v{version}.dbn.zst");
                shared::data("dbn/vectors").filter(|folder| folder.join(&path[12..]).exists())?;
                whole(&path)
            })
            .collect();
        let Some((first, rest)) = versions.split_first() else { continue };
        assert!(first.0.record_count() >= 2, "{schema}");
        for (report, played) in rest {
            assert_eq!(report.records, first.0.records, "{schema}");
            for (ours, theirs) in played.iter().zip(&first.1) {
                if schema == "definition" {
                    // Version 3 changed what a definition says; who it is about did not change.
                    let named = |event: &Played| {
                        event.message::<InstrumentDefinition>().map(|definition| {
                            (
                                definition.venue_symbol,
                                definition.tick,
                                definition.venue_instrument_id,
                                definition.asset,
                            )
                        })
                    };
                    assert_eq!(named(ours), named(theirs));
                } else {
                    assert_eq!(ours, theirs, "{schema}");
                }
            }
        }
    }
}

/// Writes `text` at the beginning of a field of characters.
fn put(field: &mut [std::ffi::c_char], text: &str) {
    field.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from as _);
}

/// A file of one definition, of the future that the vendor's file has, in a version of the format.
fn contract(version: u8) -> Vec<u8> {
    macro_rules! define {
        ($message:ty, $action:expr) => {{
            let mut definition: $message = of_kind(dbn::rtype::INSTRUMENT_DEF, |m: &mut $message| &mut m.hd);
            definition.min_price_increment = 250_000_000;
            definition.unit_of_measure_qty = 50_000_000_000;
            definition.instrument_class = b'F' as _;
            definition.security_update_action = $action;
            put(&mut definition.raw_symbol, "ESU4");
            put(&mut definition.currency, "USD");
            put(&mut definition.asset, "ES");
            put(&mut definition.exchange, "XCME");
            encoded_as(version, &[dbn::RecordRef::from(&definition)])
        }};
    }
    match version {
        1 => define!(dbn::v1::InstrumentDefMsg, dbn::SecurityUpdateAction::Add),
        2 => define!(dbn::v2::InstrumentDefMsg, b'A' as _),
        _ => define!(dbn::v3::InstrumentDefMsg, b'A' as _),
    }
}

#[test]
fn a_definition_of_every_version_says_what_the_contract_is() {
    for version in 1..=3 {
        let (played, error) = play(&mut feed(&contract(version)).unwrap());
        assert!(error.is_none(), "version {version}: {error:?}");
        let definitions: Vec<_> = all::<InstrumentDefinition>(&played).collect();
        let [es] = &definitions[..] else { panic!("version {version}: {} definitions", definitions.len()) };
        assert!(es.venue_symbol.starts_with(b"ESU4\0"), "version {version}");
        assert_eq!((es.tick.get(), es.multiplier.get()), (250_000_000, 50_000_000_000), "version {version}");
        assert_eq!((&es.currency, &es.asset[..3]), (b"USD", &b"ES\0"[..]), "version {version}");
        let kind = (es.instrument_class, es.action, &es.segment_mic);
        assert_eq!(kind, (InstrumentClass::FUTURE, UpdateAction::ADD, b"XCME"), "version {version}");
    }
}

#[test]
fn a_bar_is_due_when_it_is_over() {
    let bar = dbn::RecordEnum::Ohlcv(dbn::OhlcvMsg {
        hd: dbn::RecordHeader::new::<dbn::OhlcvMsg>(dbn::rtype::OHLCV_1M, 1, 7, 5),
        open: 1,
        high: 4,
        low: 1,
        close: 3,
        volume: 12,
    });
    let (played, _) = play(&mut feed(&encoded(&[bar])).unwrap());
    let event = played.last().unwrap();
    let bar = event.message::<Bar>().unwrap();
    assert_eq!((bar.volume.get(), bar.venue_time.get(), bar.interval.get()), (12, 5, 60_000_000_000));
    assert_eq!(event.due, 60_000_000_005);
}

#[test]
fn a_vendors_definition_says_what_the_contract_is() {
    let Some((_, played)) = whole("dbn/futures_definition.dbn.zst") else { return };
    let definitions: Vec<_> = all::<InstrumentDefinition>(&played).collect();
    let es = definitions.iter().find(|definition| definition.venue_symbol.starts_with(b"ESU4\0")).unwrap();
    assert_eq!((es.tick.get(), es.multiplier.get()), (250_000_000, 50_000_000_000));
    assert_eq!(
        (&es.currency, &es.asset[..3], es.instrument_class),
        (b"USD", &b"ES\0"[..], InstrumentClass::FUTURE)
    );
    assert_eq!((&es.segment_mic, es.action), (b"XCME", UpdateAction::ADD));
}

/// A file of so many trades.
fn trades(count: u32) -> Vec<u8> {
    let trade = |number: u32| {
        dbn::RecordEnum::Trade(dbn::TradeMsg {
            price: 5_000_000_000 + i64::from(number),
            size: 1 + number % 7,
            action: b'T' as _,
            side: b'A' as _,
            sequence: number,
            ..of_kind(dbn::rtype::MBP_0, |m: &mut dbn::TradeMsg| &mut m.hd)
        })
    };
    encoded(&(1..=count).map(trade).collect::<Vec<_>>())
}

/// The generator's flow as a file.
fn flow() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow.dbn");
    let config = crate::generator::GeneratorConfig { events: Some(200), ..Default::default() };
    crate::generate::generate(&config, crate::generate::FileFormat::Dbn, &path).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn a_cut_file_says_how_many_records_were_good() {
    let bytes = trades(120);
    let length = size_of::<v3::TradeMsg>();
    let records = 120;
    let first = bytes.len() - records * length;
    for cut in (0..bytes.len()).step_by(13) {
        match feed(&bytes[..cut]) {
            Err(error) => {
                assert!(cut < first && error.good_records == 0, "{error}");
                assert!(error.to_string().contains("metadata") || cut < 3, "{error}");
            }
            Ok(mut feed) => {
                let (played, error) = play(&mut feed);
                let (good, rest) = ((cut - first) / length, (cut - first) % length);
                assert_eq!(all::<Trade>(&played).count(), good);
                assert_eq!(error.is_some(), rest != 0);
                if let Some(error) = error {
                    assert_eq!(
                        (error.good_records, error.offset),
                        (good as u64, (first + good * length) as u64)
                    );
                }
            }
        }
    }
}

#[test]
fn a_cut_compressed_file_is_an_error_and_never_more_than_was_there() {
    let bytes = zstd::encode_all(&trades(120)[..], 1).unwrap();
    for cut in (5..bytes.len()).step_by(17) {
        if let Ok(mut feed) = feed(&bytes[..cut]) {
            let (played, error) = play(&mut feed);
            let error = error.expect("the frame is not whole");
            assert_eq!(all::<Trade>(&played).count() as u64, error.good_records);
            assert!(error.to_string().contains("whole copy"), "{error}");
        }
    }
}

/// Plays `bytes` with each of the first 1,500 changed in four ways.
fn damage(bytes: &[u8]) {
    for at in 0..bytes.len().min(1_500) {
        for value in [0, 0xFF, bytes[at] ^ 0x10, bytes[at].wrapping_add(1)] {
            let mut damaged = bytes.to_vec();
            damaged[at] = value;
            if let Ok(mut feed) = feed(&damaged) {
                play(&mut feed);
            }
        }
    }
}

#[test]
fn no_damaged_byte_makes_it_panic() {
    damage(&trades(10));
    damage(&flow());
    for version in 1..=3 {
        damage(&contract(version));
    }
}

#[test]
fn no_damaged_byte_of_a_vendors_file_makes_it_panic() {
    for path in
        ["dbn/vectors/test_data.definition.v1.dbn.zst", "dbn/vectors/test_data.mbo.v3.dbn.zst", TRADES]
    {
        let Some(bytes) = decompressed(path) else { return };
        damage(&bytes);
    }
}

#[test]
fn a_file_that_is_not_dbn_is_refused_with_advice() {
    let said = |bytes: &[u8]| feed(bytes).err().unwrap().to_string();
    assert!(said(b"PAR1 and more").contains("give a .dbn or .dbn.zst file"));
    assert!(said(b"DBN\x04\x00\x00\x00\x00").contains("version 4"));
    assert!(said(b"DBN\x03\xFF\xFF\xFF\xFF").contains("metadata are 4294967295 bytes long"));
    assert!(said(b"").contains("ends inside the metadata"));
    let missing = DbnFeed::open(Path::new("/nowhere.dbn"), DbnOptions::default()).err().unwrap().to_string();
    assert!(missing.contains("/nowhere.dbn") && missing.contains("check the path"), "{missing}");
}

#[test]
fn a_record_of_an_unknown_kind_is_counted_as_not_carried() {
    let mut bytes = trades(120);
    let last = bytes.len() - size_of::<v3::TradeMsg>();
    bytes[last + 1] = 0x77;
    let mut feed = feed(&bytes).unwrap();
    let (played, error) = play(&mut feed);
    assert!(error.is_none(), "{error:?}");
    let report = feed.report();
    assert_eq!(
        (report.record_count(), report.not_carried_count(), all::<Trade>(&played).count()),
        (120, 1, 119)
    );
    assert_eq!(report.not_carried[0].kind, "0x77");
}

#[test]
fn a_continued_trail_keeps_the_numbers_of_its_instruments() {
    let bytes = flow();
    let mut first = feed(&bytes).unwrap();
    play(&mut first);
    let mut ids = first.ids().clone();
    ids.seed(999_999_999, "OTHER", 77);
    let reader = Box::new(io::Cursor::new(bytes));
    let mut second = DbnFeed::from_reader("test", reader, DbnOptions { source: 1, ids }).unwrap();
    let (played, _) = play(&mut second);
    let definition = all::<InstrumentDefinition>(&played).next().unwrap();
    assert_eq!((definition.instrument.get(), definition.action), (1, UpdateAction::MODIFY));
}

/// A file of these records, of many schemas.
fn encoded(records: &[dbn::RecordEnum]) -> Vec<u8> {
    let records: Vec<_> = records.iter().map(dbn::RecordRef::from).collect();
    encoded_as(dbn::DBN_VERSION, &records)
}

/// A file of these records in a version of the format.
fn encoded_as(version: u8, records: &[dbn::RecordRef<'_>]) -> Vec<u8> {
    use dbn::encode::EncodeRecordRef;
    let metadata = Metadata::builder()
        .version(version)
        .dataset("TEST".to_owned())
        .schema(None)
        .start(0)
        .stype_in(None)
        .stype_out(dbn::SType::InstrumentId)
        .build();
    let mut bytes = Vec::new();
    let mut encoder = dbn::encode::dbn::Encoder::new(&mut bytes, &metadata).unwrap();
    for record in records {
        encoder.encode_record_ref(*record).unwrap();
    }
    bytes
}

fn of_kind<T: Default>(kind: u8, set: impl FnOnce(&mut T) -> &mut dbn::RecordHeader) -> T {
    let mut record = T::default();
    let header = set(&mut record);
    (header.rtype, header.instrument_id, header.ts_event, header.publisher_id) = (kind, 7, 5, 1);
    record
}

#[test]
fn every_kind_of_record_becomes_an_event() {
    use dbn::rtype;
    let kinds: [(u8, &str); 22] = [
        (rtype::MBP_0, "Trade"),
        (rtype::MBP_1, "TopOfBook"),
        (rtype::MBP_10, "BookDepth"),
        (rtype::BBO_1S, "TopOfBook"),
        (rtype::BBO_1M, "TopOfBook"),
        (rtype::CMBP_1, "TopOfBook"),
        (rtype::TCBBO, "TopOfBook"),
        (rtype::CBBO_1S, "TopOfBook"),
        (rtype::CBBO_1M, "TopOfBook"),
        (rtype::OHLCV_1S, "Bar"),
        (rtype::OHLCV_1M, "Bar"),
        (rtype::OHLCV_1H, "Bar"),
        (rtype::OHLCV_1D, "Bar"),
        (rtype::OHLCV_EOD, "Bar"),
        (OHLCV_OLD, "Bar"),
        (rtype::STATUS, "TradingStatus"),
        (rtype::INSTRUMENT_DEF, "InstrumentDefinition"),
        (rtype::IMBALANCE, "AuctionImbalance"),
        (rtype::STATISTICS, "Statistic"),
        (rtype::SYMBOL_MAPPING, "InstrumentDefinition"),
        (rtype::ERROR, "VenueNotice"),
        (rtype::SYSTEM, "VenueNotice"),
    ];
    for (kind, expected) in kinds {
        let mut record = vec![0; least_length(3, kind)];
        (record[0], record[1], record[4]) = ((record.len() / 4) as u8, kind, 7);
        let mut feed = feed(&[encoded(&[]), record].concat()).unwrap();
        let (played, error) = play(&mut feed);
        assert!(error.is_none(), "{expected}: {error:?}");
        let last = played.last().map(|event| message_name(event.template_id).unwrap());
        assert_eq!(last, Some(expected), "{kind:x}");
        assert_eq!((feed.report().record_count(), feed.report().not_carried_count()), (1, 0), "{expected}");
    }
}

#[test]
fn fills_and_trades_leave_the_book_to_the_cancel_that_follows() {
    let mbo = |action: u8, size: u32| {
        dbn::RecordEnum::Mbo(dbn::MboMsg {
            action: action as _,
            side: b'A' as _,
            size,
            order_id: 3,
            price: 7,
            flags: dbn::FlagSet::empty(),
            ..of_kind(dbn::rtype::MBO, |m: &mut dbn::MboMsg| &mut m.hd)
        })
    };
    let bytes = encoded(&[
        mbo(b'T', 2),
        mbo(b'F', 2),
        mbo(b'C', 2),
        mbo(b'R', u32::MAX),
        mbo(b'N', 0),
        mbo(b'A', u32::MAX),
    ]);
    let (played, _) = play(&mut feed(&bytes).unwrap());
    let played = &played[played.len() - 6..];
    let trade = played[0].message::<Trade>().unwrap();
    assert_eq!((trade.side, trade.quantity.get(), trade.order_id.get()), (Side::SELL, 2, 3));
    let fill = played[1].message::<BookExecute>().unwrap();
    assert_eq!((fill.book_effect, fill.attributes), (Boolean::FALSE, ExecuteAttributes::NON_PRINTABLE));
    let cancel = played[2].message::<BookCancel>().unwrap();
    assert_eq!((cancel.quantity.get(), cancel.price.get()), (2, 7));
    assert_eq!(played[3].message::<BookClear>().unwrap().scope, BookScope::INSTRUMENT);
    let none = played[4].message::<VenueNotice>().unwrap();
    assert_eq!((none.kind, none.payload().len()), (*b"N\0\0\0", size_of::<dbn::MboMsg>()));
    assert_eq!(played[5].message::<BookAdd>().unwrap().quantity.get(), u64::MAX);
}

#[test]
fn a_spread_is_defined_with_its_legs_as_they_come() {
    let leg = |index: u16, number: u32| {
        dbn::RecordEnum::InstrumentDef(dbn::InstrumentDefMsg {
            leg_count: 2,
            leg_index: index,
            leg_instrument_id: number,
            leg_side: b'B' as _,
            ..of_kind(dbn::rtype::INSTRUMENT_DEF, |m: &mut dbn::InstrumentDefMsg| &mut m.hd)
        })
    };
    let (played, _) = play(&mut feed(&encoded(&[leg(0, 11), leg(1, 12)])).unwrap());
    let last = played.last().unwrap().message::<InstrumentDefinition>().unwrap();
    let legs: Vec<u64> = last.legs().map(|leg| leg.venue_instrument_id.get()).collect();
    assert_eq!((legs, last.action), (vec![11, 12], UpdateAction::MODIFY));
}

#[test]
fn each_publisher_and_channel_is_a_source_defined_before_its_first_event() {
    let mbo = |publisher: u16, channel: u8| {
        let mut record: dbn::MboMsg = of_kind(dbn::rtype::MBO, |m: &mut dbn::MboMsg| &mut m.hd);
        (record.hd.publisher_id, record.channel_id, record.action) = (publisher, channel, b'A' as _);
        dbn::RecordEnum::Mbo(record)
    };
    let bytes = encoded(&[mbo(1, 0), mbo(2, 0), mbo(1, 9), mbo(1, 0)]);
    let (played, _) = play(&mut feed(&bytes).unwrap());
    let sources: Vec<u16> = all::<BookAdd>(&played).map(|add| add.source.get()).collect();
    assert_eq!(sources, [1, 2, 3, 1]);
    let defined: Vec<(u16, u16, u16)> = all::<SourceDefinition>(&played)
        .map(|source| (source.source.get(), source.vendor_publisher.get(), source.channel.get()))
        .collect();
    assert_eq!(defined, [(1, 1, 0), (2, 2, 0), (3, 1, 9)]);
}
