//! The golden bytes of every message, which are kept in `golden/messages.txt` and never change: a name, the
//! schema version, the block length and the bytes, and on the next line the message as JSON. A change of the
//! layout of a message that may be on a trail fails here, so the messages of every version stay readable.
//!
//! `STELE_GOLDEN=write cargo test -p stele-wire --test suite golden` adds the lines of a message or version
//! that is not in the file yet. It never changes a line.

use crate::filled;
use std::collections::BTreeMap;
use std::fmt::Write;
use stele_wire::codec::View;
use stele_wire::describe;
use stele_wire::layout::MessageLayout;
use stele_wire::messages::{
    BookAdd, Capacity, ClientKind, DeciderKind, MarketFlags, NewOrder, OrderAttributes, OrderFilled, SCHEMA,
    Side,
};
use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, IntoBytes};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/golden/messages.txt");

struct Golden {
    block_length: u16,
    bytes: String,
    json: String,
}

/// The golden bytes by message and version.
fn goldens() -> BTreeMap<(String, u16), Golden> {
    let text = std::fs::read_to_string(FILE).unwrap_or_default();
    let mut goldens = BTreeMap::new();
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.chunks(2) {
        let [head, json] = pair else { panic!("{FILE}: golden bytes have two lines") };
        let [name, version, block_length, bytes] = head.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{FILE}: {head}")
        };
        let golden = Golden {
            block_length: block_length.parse().unwrap(),
            bytes: bytes.to_owned(),
            json: json.trim_start().to_owned(),
        };
        let before = goldens.insert((name.to_owned(), version.parse().unwrap()), golden);
        assert!(before.is_none(), "{FILE}: {name} version {version} is there twice");
    }
    goldens
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn json(message: &MessageLayout, block_length: u16, version: u16, body: &[u8]) -> String {
    let mut json = String::new();
    let reading = SCHEMA.read(message.id, block_length, version, body).unwrap();
    describe::json(&reading, &mut json).unwrap();
    json
}

#[test]
fn every_message_has_its_golden_bytes() {
    let mut goldens = goldens();
    let is_writing = std::env::var("STELE_GOLDEN").as_deref() == Ok("write");
    let mut added = String::new();
    for message in SCHEMA.messages.iter() {
        let body = filled::body(message);
        let (length, version) = (message.block.length, SCHEMA.version);
        let says = json(message, length, version, &body);
        match goldens.remove(&(message.name.to_string(), version)) {
            Some(golden) => {
                assert_eq!(golden.block_length, length, "{} changed its length", message.name);
                assert_eq!(golden.bytes, hex(&body), "{} changed its layout", message.name);
                assert_eq!(golden.json, says, "{} is read differently", message.name);
            }
            None if is_writing => {
                writeln!(added, "{} {version} {length} {}\n    {says}", message.name, hex(&body)).unwrap();
            }
            None => {
                panic!("{} has no golden bytes of version {version}: see the top of this file", message.name)
            }
        }
    }
    if !added.is_empty() {
        let before = std::fs::read_to_string(FILE).unwrap_or_default();
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/golden")).unwrap();
        std::fs::write(FILE, before + &added).unwrap();
    }
}

/// A message that an older version wrote is always read in the same way; the fields of later versions are
/// null in it.
#[test]
fn the_golden_bytes_of_every_version_are_read_as_before() {
    for ((name, version), golden) in goldens() {
        let message = SCHEMA.message_named(&name).unwrap_or_else(|| panic!("{name} is gone from the schema"));
        let mut now = json(message, golden.block_length, version, &bytes(&golden.bytes));
        let of_groups = message.block.groups.iter().flat_map(|group| group.block.fields.iter());
        for newer in message.block.fields.iter().chain(of_groups).filter(|field| field.since > version) {
            now = now.replace(&format!(",\"{}\":null", newer.name), "");
        }
        assert_eq!(now, golden.json, "{name} version {version}");
    }
}

#[test]
fn the_compiled_readers_find_the_values_that_the_layout_finds() {
    macro_rules! each {
        ($($message:ident,)*) => {$({
            use stele_wire::messages::$message;
            let message = SCHEMA.message($message::TEMPLATE_ID).unwrap();
            let body = filled::body(message);
            let view = View::<$message>::read($message::BLOCK_LENGTH, SCHEMA.version, &body).unwrap();
            assert_eq!(view.as_bytes(), &body[..size_of::<$message>()]);
            assert_eq!(*view, $message::read_from_prefix(&body).unwrap().0);
            assert!(view.is_whole());
        })*};
    }
    stele_wire::for_each_stele_message!(each);
}

/// `parts` at their offsets in a body of `length` zeros; no two overlap.
fn by_hand(length: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let (mut body, mut end) = (vec![0; length], 0);
    for (offset, bytes) in parts {
        assert!(*offset >= end, "offset {offset} twice");
        end = offset + bytes.len();
        body[*offset..end].copy_from_slice(bytes);
    }
    body
}

/// 5,214.25 in units of 1e-9.
const PRICE: [u8; 8] = [0x80, 0xde, 0x84, 0x09, 0xbe, 0x04, 0x00, 0x00];

#[test]
fn an_order_added_to_a_book_is_these_48_bytes() {
    let add = BookAdd {
        venue_time: U64::new(0x1122_3344_5566_7788),
        instrument: U32::new(0x0102_0304),
        venue_sequence: U32::new(9),
        received_delta: U32::new(1_500),
        source: U16::new(2),
        flags: MarketFlags::LAST | MarketFlags::SNAPSHOT,
        side: Side::SELL,
        order_id: U64::new(0xa1),
        price: I64::new(5_214_250_000_000),
        quantity: U64::new(300),
    };
    let expected = by_hand(
        48,
        &[
            (0, &[0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]),
            (8, &[4, 3, 2, 1]),
            (12, &[9, 0, 0, 0]),
            (16, &[0xdc, 5, 0, 0]),
            (20, &[2, 0]),
            (22, &[0b1010_0000]),
            (23, &[2]),
            (24, &[0xa1, 0, 0, 0, 0, 0, 0, 0]),
            (32, &PRICE),
            (40, &[0x2c, 1, 0, 0, 0, 0, 0, 0]),
        ],
    );
    assert_eq!(add.as_bytes(), expected);
}

#[test]
fn a_new_order_with_nothing_but_its_terms_is_these_bytes() {
    let order = NewOrder {
        publisher_sequence: U64::new(7),
        publisher: U16::new(3),
        strategy: U16::new(5),
        instrument: U32::new(0x0102_0304),
        cause: U64::new(41),
        client_order_id: U64::new(0xc0),
        client_kind: ClientKind(0),
        investment_decision: U32::new(8),
        investment_decision_kind: DeciderKind(2),
        executor: U32::new(8),
        executor_kind: DeciderKind(2),
        capacity: Capacity(1),
        attributes: OrderAttributes::PASSIVE_ONLY | OrderAttributes::ALGORITHMIC,
        side: Side::BUY,
        limit_price: I64::new(5_214_250_000_000),
        quantity: U64::new(300),
        ..NewOrder::NULL
    };
    let (unsigned, price) = (u64::MAX.to_le_bytes(), i64::MAX.to_le_bytes());
    let expected = by_hand(
        272 + 4 + 2 + 2 + 3,
        &[
            (0, &[7]),
            (8, &[3, 0, 5, 0, 4, 3, 2, 1]),
            (16, &[41]),
            (24, &[0xc0]),
            (64, &unsigned),
            (72, &unsigned),
            (96, &[8, 0, 0, 0, 8, 0, 0, 0]),
            (112, &[0, 2, 2, 1]),
            (116, &[0b0000_1000, 0, 1, 0]),
            (120, &[1]),
            (121, &[255, 255, 255]),
            (125, &[255, 255, 255]),
            (140, &[255, 255]),
            (144, &unsigned),
            (152, &PRICE),
            (160, &price),
            (168, &price),
            (176, &price),
            (184, &price),
            (192, &price),
            (200, &[0x2c, 1]),
            (208, &unsigned),
            (216, &unsigned),
            (224, &unsigned),
            (232, &unsigned),
            (272, &[32, 0, 0, 0]),
            (276, &[0, 0]),
            (278, &[3, 0, b'X', b'-', b'9']),
        ],
    );
    let mut buffer = [0xee; 512];
    assert_eq!(order.encode(&mut buffer, [], b"", b"X-9").unwrap(), expected);
}

#[test]
fn a_fill_is_these_256_bytes() {
    let fill = OrderFilled {
        instrument: U32::new(7),
        side: Side::BUY,
        client_order_id: U64::new(0xc0),
        order_sequence: U64::new(42),
        execution_id: U64::new(0xe1),
        last_price: I64::new(5_214_250_000_000),
        last_quantity: U64::new(100),
        leaves_quantity: U64::new(200),
        cumulative_quantity: U64::new(100),
        fee_currency: *b"USD",
        ..OrderFilled::NULL
    };
    let unsigned = u64::MAX.to_le_bytes();
    let expected = by_hand(
        256,
        &[
            (0, &unsigned),
            (8, &[7]),
            (12, &[255; 8]),
            (23, &[1]),
            (24, &[0xc0]),
            (40, &[42]),
            (54, &[255, 255]),
            (56, &[200]),
            (64, &[100]),
            (72, &unsigned),
            (80, &unsigned),
            (88, &[255, 255]),
            (96, &[0xe1]),
            (112, &PRICE),
            (120, &[100]),
            (128, &i64::MAX.to_le_bytes()),
            (144, b"USD"),
            (147, &[255, 255, 255]),
        ],
    );
    assert_eq!(fill.as_bytes(), expected);
}
