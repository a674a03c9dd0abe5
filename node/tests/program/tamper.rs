//! One recorded order is altered and its CRC corrected: a replay does not send it, and `check-strategy` names
//! it.

use crate::{stele_fails, stele_json, stele_ok, text};
use std::fs;
use std::path::{Path, PathBuf};
use stele_journal::TrailReader;
use stele_wire::bounds::HEADER_LENGTH;
use stele_wire::frame::{self, Frame};
use stele_wire::messages::NewOrder;

/// Finds the first order of the trail: segment file, offset of its frame in the file, length of the frame,
/// sequence.
fn first_order(trail: &Path) -> (PathBuf, usize, usize, u64) {
    let mut reader = TrailReader::open(trail).unwrap();
    loop {
        let (segment, position, length, sequence) = {
            let entry = reader.read_next().unwrap().expect("the trail has an order");
            if entry.frame.template_id() != NewOrder::TEMPLATE_ID {
                continue;
            }
            (entry.segment, entry.position, entry.frame.len(), entry.frame.sequence().0)
        };
        let header = reader.segments().iter().find(|known| known.header.index == segment).unwrap();
        let file = trail.join(header.name());
        return (file, header.header.file_offset(position) as usize, length, sequence);
    }
}

#[test]
fn an_altered_order_with_a_corrected_crc_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let trail = scratch.path().join("trail");
    stele_ok(&["demo", "--seconds", "1", "--rate", "50000", "--dir", text(&trail)]);
    stele_ok(&["check-strategy", text(&trail)]);
    let (file, offset, length, sequence) = first_order(&trail);
    let seed = TrailReader::open(&trail).unwrap().segments()[0].header.identity.seed();

    let mut bytes = fs::read(&file).unwrap();
    let order = &mut bytes[offset..offset + length];
    let quantity = HEADER_LENGTH + std::mem::offset_of!(NewOrder, quantity);
    order[quantity] ^= 1;
    frame::seal(order, seed);
    Frame::read(order).unwrap().verify(seed).unwrap();
    let mut permissions = fs::metadata(&file).unwrap().permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "the file is the test's own")]
    permissions.set_readonly(false);
    fs::set_permissions(&file, permissions).unwrap();
    fs::write(&file, &bytes).unwrap();

    let said = stele_fails(&["check-strategy", text(&trail)], 1);
    assert!(said.contains(&format!("event {sequence}, NewOrder")), "{said}");
    assert!(said.contains("quantity is"), "{said}");
    assert!(stele_json(&["summary", text(&trail)])["events"].as_u64().unwrap() > sequence);
}
