//! No bytes make a reader panic, and the two readers of a message, the compiled one and that of the layout,
//! agree on all bytes.

use crate::filled;
use proptest::prelude::*;
use stele_wire::codec::View;
use stele_wire::describe;
use stele_wire::layout::MessageLayout;
use stele_wire::messages::{self, SCHEMA};

/// Whether the compiled reader finds the whole message `id` in `bytes`; `None` when they are shorter than its
/// block.
fn is_whole(id: u16, block_length: u16, version: u16, bytes: &[u8]) -> Option<bool> {
    macro_rules! each {
        ($($message:ident,)*) => {
            match id {
                $(messages::$message::TEMPLATE_ID => {
                    let view = View::<messages::$message>::read(block_length, version, bytes)?;
                    assert!(!format!("{:?}", *view).is_empty());
                    Some(view.is_whole())
                })*
                _ => panic!("no message of template {id}"),
            }
        };
    }
    stele_wire::for_each_stele_message!(each)
}

fn assert_readers_agree(message: &MessageLayout, block_length: u16, version: u16, bytes: &[u8]) {
    let compiled = is_whole(message.id, block_length, version, bytes);
    let reading = SCHEMA.read(message.id, block_length, version, bytes);
    assert_eq!(compiled.is_some(), reading.is_ok(), "{}", message.name);
    let Ok(reading) = reading else { return };
    for print in [describe::json, describe::line, describe::csv_row] {
        let printed = print(&reading, &mut String::new());
        assert_eq!(compiled, Some(printed.is_ok()), "{}", message.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_read_as_any_message_without_panic(
        bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255), any::<u8>()], 0..600),
        block_length in prop_oneof![0u16..600, any::<u16>()],
        version in prop_oneof![0u16..3, any::<u16>()],
    ) {
        for message in SCHEMA.messages.iter() {
            assert_readers_agree(message, block_length, version, &bytes);
            assert_readers_agree(message, message.block.length, version, &bytes);
        }
    }

    #[test]
    fn a_message_with_bytes_changed_reads_without_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        for message in SCHEMA.messages.iter() {
            let mut bytes = filled::body(message);
            for (index, byte) in &changes {
                let length = bytes.len();
                bytes[index.index(length)] = *byte;
            }
            assert_readers_agree(message, message.block.length, SCHEMA.version, &bytes);
            bytes.truncate(cut.index(bytes.len()));
            assert_readers_agree(message, message.block.length, SCHEMA.version, &bytes);
        }
    }
}

#[test]
fn zeros_that_close_a_frame_do_not_matter() {
    for message in SCHEMA.messages.iter() {
        let bytes = filled::body(message);
        let print = |bytes: &[u8]| {
            let mut json = String::new();
            let reading = SCHEMA.read(message.id, message.block.length, SCHEMA.version, bytes).unwrap();
            describe::json(&reading, &mut json).unwrap();
            json
        };
        let mut closed = bytes.clone();
        closed.resize(bytes.len().next_multiple_of(8), 0);
        assert_eq!(print(&bytes), print(&closed));
        assert_eq!(is_whole(message.id, message.block.length, SCHEMA.version, &closed), Some(true));
    }
}
