//! The project's rules for its own schema, beyond those of SBE.

use stele_wire::bounds::HEADER_LENGTH;
use stele_wire::frame::frame_length;
use stele_wire::layout::{Kind, MessageLayout, Primitive};
use stele_wire::messages::{BookAdd, SCHEMA};
use stele_wire::{SCHEMA_TEXT, bounds};

fn market_data() -> impl Iterator<Item = &'static MessageLayout> {
    SCHEMA.messages.iter().filter(|message| message.id < 200)
}

/// Name, offset and length in bytes. The sequencer writes `receivedDelta` at this offset into every message.
const PREFIX: [(&str, u16, u16); 7] = [
    ("venueTime", 0, 8),
    ("instrument", 8, 4),
    ("venueSequence", 12, 4),
    ("receivedDelta", 16, 4),
    ("source", 20, 2),
    ("flags", 22, 1),
    ("side", 23, 1),
];

#[test]
fn every_market_data_message_begins_with_the_same_24_bytes() {
    assert!(market_data().count() > 10);
    for message in market_data() {
        let prefix: Vec<_> = message.block.fields[..7]
            .iter()
            .map(|field| (&*field.name, field.offset, field.kind.size()))
            .collect();
        assert_eq!(prefix, PREFIX, "{}", message.name);
    }
}

#[test]
fn a_market_by_order_add_takes_80_bytes_of_frame() {
    assert_eq!(frame_length(size_of::<BookAdd>()), 80);
}

#[test]
fn every_offset_and_length_is_written_out() {
    let elements: Vec<&str> = SCHEMA_TEXT.split('<').collect();
    let says = |element: &&str, attribute: &str| element.contains(&format!(" {attribute}=\""));
    let fields: Vec<_> = elements.iter().filter(|element| element.starts_with("field ")).collect();
    assert!(fields.len() > 500);
    for field in fields {
        assert!(says(field, "offset"), "<{field}");
    }
    let is_block = |element: &&&str| element.starts_with("sbe:message ") || element.starts_with("group ");
    for block in elements.iter().filter(is_block) {
        assert!(says(block, "blockLength"), "<{block}");
    }
}

#[test]
fn no_block_has_a_gap_so_that_no_byte_is_without_a_name() {
    for message in SCHEMA.messages.iter() {
        let groups = message.block.groups.iter().map(|group| (&group.name, &group.block));
        for (name, block) in groups.chain([(&message.name, &message.block)]) {
            let mut end = 0;
            for field in block.fields.iter() {
                assert_eq!(field.offset, end, "{name}.{}", field.name);
                end = field.end();
            }
            assert_eq!(block.length, end, "{name}");
        }
    }
}

#[test]
fn every_number_of_eight_bytes_is_aligned_in_its_frame() {
    assert!(HEADER_LENGTH.is_multiple_of(bounds::FRAME_ALIGNMENT));
    for message in SCHEMA.messages.iter() {
        for field in message.block.fields.iter() {
            let Kind::Number { primitive, .. } = &field.kind else { continue };
            assert!(field.offset.is_multiple_of(primitive.size()), "{}.{}", message.name, field.name);
        }
    }
}

#[test]
fn there_is_no_floating_point() {
    assert!(!SCHEMA_TEXT.contains("\"float\"") && !SCHEMA_TEXT.contains("\"double\""));
    for message in SCHEMA.messages.iter() {
        for field in message.block.fields.iter() {
            if let Kind::Number { primitive, .. } | Kind::Array { primitive, .. } = &field.kind {
                assert!(!matches!(primitive, Primitive::Float | Primitive::Double), "{}", field.name);
            }
        }
    }
}
