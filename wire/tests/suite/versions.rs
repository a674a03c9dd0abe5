//! The promises of the readers for messages of older and newer versions, damaged messages, and frames, on
//! small messages.

use stele_wire::codec::{Message, Tail, View, WriteError, Writer, text, text_field};
use stele_wire::frame::{FrameHeader, frame_length};
use stele_wire::messages::{BookAdd, BookSnapshot, BookSnapshotBids, MarketFlags, News, Side, Trade};
use stele_wire::{Frame, describe, layout};
use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

const SCHEMA_ID: u16 = 1;
const SCHEMA_VERSION: u16 = 2;

mod grown {
    //! A message as the generator prints it. Its first version had `a` and two spare bytes; its second has
    //! `b` in their place, then `c` and a group.

    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
    pub(super) struct Grown {
        pub(super) a: U16,
        pub(super) b: U16,
        pub(super) c: U32,
    }

    stele_wire::message! {
        Grown = 1, "Grown", 8 {
            a: U16::new(u16::MAX),
            b: U16::new(u16::MAX),
            c: U32::new(u32::MAX),
        }
        const NEWEST: u16 = 2;
        fn forget_newer(&mut self, version: u16) {
            if version < 2 { self.b = Self::NULL.b; }
            if version < 2 { self.c = Self::NULL.c; }
        }
        fn skip_tail(tail: &mut Tail<'_>) {
            tail.skip_group::<BookSnapshotBids>(2);
            tail.data::<U16>(0);
        }
    }
}
use grown::Grown;

#[test]
fn a_block_of_an_older_version_is_null_where_it_ends() {
    let view = View::<Grown>::read(4, 1, &[7, 0, 9, 9]).unwrap();
    assert_eq!((view.a.get(), view.b, view.c), (7, Grown::NULL.b, Grown::NULL.c));
}

/// With its spare bytes the older block is as long as the newer one: only the version differs.
#[test]
fn spare_bytes_of_an_older_version_are_read_as_null() {
    let view = View::<Grown>::read(8, 1, &[7, 0, 9, 9, 9, 9, 9, 9]).unwrap();
    assert_eq!((view.a.get(), view.b, view.c), (7, Grown::NULL.b, Grown::NULL.c));
    let view = View::<Grown>::read(8, 2, &[7, 0, 9, 0, 5, 0, 0, 0]).unwrap();
    assert_eq!((view.a.get(), view.b.get(), view.c.get()), (7, 9, 5));
}

#[test]
fn a_group_of_a_later_version_is_empty_in_an_older_message() {
    let mut bytes = vec![7, 0, 9, 9];
    bytes.extend([3, 0, b'x', b'y', b'z']);
    let view = View::<Grown>::read(4, 1, &bytes).unwrap();
    let mut tail = view.tail();
    assert_eq!(tail.group::<BookSnapshotBids>(2).len(), 0);
    assert_eq!(tail.data::<U16>(0), b"xyz");
    assert!(view.is_whole());
}

#[test]
fn a_block_of_a_newer_version_is_read_as_far_as_it_is_known() {
    let mut bytes = BookAdd { order_id: U64::new(5), ..BookAdd::NULL }.as_bytes().to_vec();
    bytes.extend([1, 2, 3, 4, 5, 6, 7, 8]);
    let view = View::<BookAdd>::read(56, 9, &bytes).unwrap();
    assert_eq!(view.order_id.get(), 5);
    assert!(view.is_whole());
}

#[test]
fn entries_of_a_newer_version_have_the_length_that_their_group_gives() {
    let mut bytes = BookSnapshot::NULL.as_bytes().to_vec();
    bytes.extend([32, 0, 2, 0]);
    for price in [11i64, 12] {
        bytes.extend(BookSnapshotBids { price: I64::new(price), ..BookSnapshotBids::NULL }.as_bytes());
        bytes.extend([0xee; 8]);
    }
    bytes.extend([24, 0, 0, 0]);
    let view = View::<BookSnapshot>::read(BookSnapshot::BLOCK_LENGTH, 9, &bytes).unwrap();
    assert_eq!(view.bids().map(|level| level.price.get()).collect::<Vec<_>>(), [11, 12]);
    assert!(view.asks().is_empty() && view.is_whole());
}

#[test]
fn a_count_beyond_the_end_is_read_as_empty_and_the_message_as_not_whole() {
    let mut bytes = BookSnapshot::NULL.as_bytes().to_vec();
    bytes.extend([24, 0, 0xff, 0xff, 0, 0, 0, 0]);
    let view = View::<BookSnapshot>::read(BookSnapshot::BLOCK_LENGTH, 1, &bytes).unwrap();
    assert_eq!((view.bids().count(), view.asks().count(), view.is_whole()), (0, 0, false));
    assert!(View::<BookSnapshot>::read(BookSnapshot::BLOCK_LENGTH, 1, &bytes[..39]).is_none());
}

/// Returns the frame of `body` as the sequencer writes it, without its CRC.
fn frame(template_id: u16, schema_id: u16, block_length: u16, body: &[u8]) -> Vec<u8> {
    let length = frame_length(body.len());
    let mut header = FrameHeader::new_zeroed();
    header.length = U16::new(length as u16);
    header.version = stele_wire::bounds::FRAME_VERSION;
    header.template_id = U16::new(template_id);
    header.schema_id = U16::new(schema_id);
    header.schema_version = U16::new(1);
    header.block_length = U16::new(block_length);
    let mut bytes = [header.as_bytes(), body].concat();
    bytes.resize(length, 0);
    bytes
}

#[test]
fn a_frame_returns_its_message_only_as_the_right_type() {
    let news = News { instrument: U32::new(3), ..News::NULL };
    let mut buffer = [0; 256];
    let body = news.encode(&mut buffer, b"Dividend raised", b"X1").unwrap();
    let bytes = frame(News::TEMPLATE_ID, News::SCHEMA_ID, News::BLOCK_LENGTH, body);
    let frame_of_news = Frame::read(&bytes).unwrap();
    let view = frame_of_news.message::<News>().unwrap();
    assert_eq!(
        (view.instrument.get(), view.headline(), view.reference()),
        (3, &b"Dividend raised"[..], &b"X1"[..])
    );
    assert!(frame_of_news.message::<Trade>().is_none());
    let other_schema = frame(News::TEMPLATE_ID, 77, News::BLOCK_LENGTH, body);
    assert!(Frame::read(&other_schema).unwrap().message::<News>().is_none());
    let too_long = frame(News::TEMPLATE_ID, News::SCHEMA_ID, 9_000, body);
    assert!(Frame::read(&too_long).unwrap().message::<News>().is_none());
}

#[test]
fn writing_into_a_short_buffer_fails_with_the_length_needed() {
    let mut buffer = [0; 20];
    let error = News::NULL.encode(&mut buffer, b"", b"").unwrap_err();
    assert_eq!(error, WriteError::BufferTooSmall { needed: usize::from(News::BLOCK_LENGTH), found: 20 });
    let mut writer = Writer::new(&mut buffer);
    assert_eq!(writer.data::<u8>(&[0; 300]), Err(WriteError::DataTooLong { found: 300 }));
    let mut buffer = vec![0; 24 * 70_000];
    let bids = std::iter::repeat_n(BookSnapshotBids::NULL, 65_536);
    assert_eq!(Writer::new(&mut buffer).group(bids), Err(WriteError::TooManyEntries));
}

#[test]
fn values_that_the_schema_does_not_know_keep_their_numbers() {
    assert_eq!((Side(9).name(), Side(9).to_string()), (None, "9".to_owned()));
    assert_eq!(format!("{:?} {}", Side::BUY, Side::SELL), "Side(Buy) Sell");
    assert_eq!(Side::from_name("Sell"), Some(Side::SELL));
    assert_eq!(Side::from_name("sell"), None);
    let flags = MarketFlags::LAST | MarketFlags::from_bits(1);
    assert_eq!(flags.to_string(), "last|1");
    assert!(flags.contains(MarketFlags::LAST) && !flags.contains(MarketFlags::SNAPSHOT));
    assert_eq!(flags.without(MarketFlags::LAST).bits(), 1);
}

#[test]
fn text_is_trimmed_and_what_does_not_fit_is_refused() {
    assert_eq!((text(b"ES\0\0"), text(b"ES  "), text(b"\0xx"), text(&[0xff])), ("ES", "ES", "", ""));
    assert_eq!(text_field::<4>("ES"), Some(*b"ES\0\0"));
    assert_eq!(text_field::<4>("EURUSD"), None);
}

fn print(
    message: u16,
    body: &[u8],
    print: fn(&layout::MessageReader<'_>, &mut String) -> Result<(), layout::ReadError>,
) -> String {
    let layout = stele_wire::messages::SCHEMA.message(message).unwrap();
    let reading = stele_wire::messages::SCHEMA.read(message, layout.block.length, 1, body).unwrap();
    let mut out = String::new();
    print(&reading, &mut out).unwrap();
    out
}

#[test]
fn a_message_prints_as_json_as_a_line_and_as_csv() {
    let add = BookAdd {
        venue_time: U64::new(1_502_401_500_001_346_819),
        instrument: U32::new(7),
        venue_sequence: U32::new(1),
        flags: MarketFlags::LAST | MarketFlags::SNAPSHOT,
        side: Side(9),
        order_id: U64::new(u64::MAX),
        price: I64::new(-37_630_000_000),
        ..BookAdd::NULL
    };
    assert_eq!(
        print(BookAdd::TEMPLATE_ID, add.as_bytes(), describe::json),
        r#"{"venueTime":1502401500001346819,"instrument":7,"venueSequence":1,"receivedDelta":null,"source":null,"flags":["snapshot","last"],"side":9,"orderId":18446744073709551615,"price":"-37.63","quantity":null}"#
    );
    assert_eq!(
        print(BookAdd::TEMPLATE_ID, add.as_bytes(), describe::line),
        "BookAdd venueTime=2017-08-10T21:45:00.001346819Z instrument=7 venueSequence=1 flags=snapshot|last \
         side=9 orderId=18446744073709551615 price=-37.63"
    );
    assert_eq!(
        print(BookAdd::TEMPLATE_ID, add.as_bytes(), describe::csv_row),
        "1502401500001346819,7,1,,,snapshot|last,9,18446744073709551615,-37.63,"
    );
    let mut columns = String::new();
    let layout = stele_wire::messages::SCHEMA.message(BookAdd::TEMPLATE_ID).unwrap();
    describe::csv_columns(layout, &mut columns).unwrap();
    assert_eq!(
        columns,
        "venueTime,instrument,venueSequence,receivedDelta,source,flags,side,orderId,price,quantity"
    );
}

#[test]
fn text_that_would_break_json_or_csv_is_escaped() {
    let mut buffer = [0; 256];
    let body = News::NULL.encode(&mut buffer, b"say \"hi\",\n\x01 \xff\xc3\xa9\\", b"").unwrap();
    let json = print(News::TEMPLATE_ID, body, describe::json);
    assert!(
        json.ends_with("\"headline\":\"say \\\"hi\\\",\\n\\u0001 \u{fffd}\u{e9}\\\\\",\"reference\":\"\"}"),
        "{json}"
    );
    let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(parsed["headline"], "say \"hi\",\n\u{1} \u{fffd}\u{e9}\\");
    let csv = print(News::TEMPLATE_ID, body, describe::csv_row);
    assert!(csv.ends_with(",\"say \"\"hi\"\",\n\u{1} \u{fffd}\u{e9}\\\","), "{csv}");
}

/// Every row has as many cells as there are columns, whatever is in it.
#[test]
fn rows_and_columns_of_csv_agree_for_every_message() {
    for message in stele_wire::messages::SCHEMA.messages.iter() {
        let mut columns = String::new();
        describe::csv_columns(message, &mut columns).unwrap();
        let row = print(message.id, &vec![0; 2_000], describe::csv_row);
        let (mut cells, mut is_quoted) = (1, false);
        for char in row.chars() {
            is_quoted ^= char == '"';
            cells += usize::from(char == ',' && !is_quoted);
        }
        assert_eq!(cells, columns.split(',').count(), "{}", message.name);
    }
}
