//! Checks `FORMAT.md` against the code.

use std::collections::BTreeMap;
use stele_journal::bounds::HEADER_BLOCK_LENGTH;
use stele_journal::format::{FORMAT_VERSION, HeaderBlock, MAGIC};
use stele_journal::snapshot::{SNAPSHOT_MAGIC, SNAPSHOT_VERSION, SectionRow, SnapshotHead};
use stele_wire::bounds::{FRAME_LENGTH_MAX, PADDING_LENGTH_MIN};
use stele_wire::frame::{FrameHeader, PaddingBody};

const FORMAT: &str = include_str!("../../FORMAT.md");

/// Returns offset and length by field, from the table under `heading`.
fn table(heading: &str) -> BTreeMap<String, (usize, usize)> {
    let section = FORMAT.split(&format!("### {heading}\n")).nth(1).expect("the section is there");
    let section = section.split("\n#").next().expect("a section ends");
    let mut fields = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let (Ok(offset), Ok(length)) = (cells[1].parse(), cells[2].parse()) {
            fields.insert(cells[3].to_owned(), (offset, length));
        }
    }
    fields
}

macro_rules! layout {
    ($type:ty, $base:expr, $($field:ident),*) => {{
        let length = |pick: fn(&$type) -> usize| {
            let zero: $type = zerocopy::FromZeros::new_zeroed();
            pick(&zero)
        };
        BTreeMap::from([$((
            stringify!($field).to_owned(),
            ($base + std::mem::offset_of!($type, $field), length(|value| size_of_val(&value.$field))),
        )),*])
    }};
}

#[test]
fn the_header_table_is_the_codes_layout() {
    let code = layout!(
        HeaderBlock,
        0,
        magic,
        version,
        block_length,
        trail,
        shard,
        epoch,
        index,
        base_position,
        base_sequence,
        segment_length,
        created,
        link,
        schema,
        reserved,
        crc
    );
    assert_eq!(table("Header block"), code);
    let end = code.values().map(|(offset, length)| offset + length).max();
    assert_eq!(end, Some(HEADER_BLOCK_LENGTH));
    assert_eq!(code.values().map(|(_, length)| length).sum::<usize>(), HEADER_BLOCK_LENGTH);
    assert!(FORMAT.contains(&format!("| {FORMAT_VERSION} | 0.1.0 |")));
    assert!(FORMAT.contains(std::str::from_utf8(&MAGIC).unwrap()));
}

#[test]
fn the_padding_table_is_the_codes_layout() {
    let code = layout!(PaddingBody, size_of::<FrameHeader>(), durable, last_sequence, reserved);
    assert_eq!(table("Padding"), code);
    assert!(FORMAT.contains(&format!("at least {PADDING_LENGTH_MIN} bytes, the shortest padding")));
    assert!(FORMAT.contains(&format!("at most {FRAME_LENGTH_MAX}")));
}

#[test]
fn the_snapshot_tables_are_the_codes_layout() {
    let head = layout!(
        SnapshotHead,
        0,
        magic,
        version,
        sections,
        trail,
        shard,
        epoch,
        segment,
        end,
        last_sequence,
        last_timestamp,
        link,
        length,
        program
    );
    assert_eq!(table("Snapshot head"), head);
    assert_eq!(head.values().map(|(_, length)| length).sum::<usize>(), size_of::<SnapshotHead>());
    let row = layout!(SectionRow, 0, name, version, reserved, offset, length, hash);
    assert_eq!(table("Snapshot section"), row);
    assert_eq!(row.values().map(|(_, length)| length).sum::<usize>(), size_of::<SectionRow>());
    let (head, row) = (size_of::<SnapshotHead>(), size_of::<SectionRow>());
    assert!(
        FORMAT.contains(&format!("head, {head} bytes"))
            && FORMAT.contains(&format!("table, {row} bytes a row"))
    );
    assert!(FORMAT.contains(&format!("of this container: {SNAPSHOT_VERSION}")));
    assert!(FORMAT.contains(std::str::from_utf8(&SNAPSHOT_MAGIC).unwrap()));
}

/// The drawing is the one in `wire/src/frame.rs`, and its ruler shows the offsets of the fields.
#[test]
fn the_frame_is_drawn_as_in_the_wire() {
    let wire = include_str!("../../../wire/src/frame.rs");
    let section = FORMAT.split("### Frame\n").nth(1).unwrap();
    let drawing: Vec<&str> = section.split("```").nth(1).unwrap().trim_matches('\n').lines().collect();
    assert_eq!(drawing.len(), 5);
    for line in &drawing {
        assert!(
            wire.lines().any(|other| other.trim_start_matches("//!").trim_end().trim() == line.trim()),
            "{line}"
        );
    }
    let ruler: Vec<usize> = drawing[0].split_whitespace().map(|number| number.parse().unwrap()).collect();
    let code = layout!(FrameHeader, 0, crc, length, flags, version, sequence, timestamp, block_length);
    let mut offsets: Vec<usize> = code.values().map(|(offset, _)| *offset).collect();
    offsets.sort_unstable();
    assert_eq!(ruler, offsets);
}
