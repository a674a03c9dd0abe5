//! Archives with arbitrary seek tables, zstd frames and contents.

#![no_main]

use stele_journal_fuzz::bodies::{exercise_archive, segment_bytes};
use stele_journal_fuzz::{Input, folder, packed, patched};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let (kind, frame_length, data) = (input.byte(), 1 + 16 * usize::from(input.byte()), input.data());
    let (files, index) = if kind & 1 == 0 { (vec![], 1) } else { (vec![segment_bytes(1, &data)], 2) };
    let archive = match kind & 2 {
        0 => patched(packed(&segment_bytes(index, &data), frame_length), input.rest()),
        _ => input.rest().to_vec(),
    };
    exercise_archive(folder().path(), &files, &archive);
});
