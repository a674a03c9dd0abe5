//! Segments with arbitrary headers, with and without a correct CRC.

#![no_main]

use stele_journal_fuzz::bodies::{exercise_segments, seal_header, segment_bytes};
use stele_journal_fuzz::{Input, folder, overlaid};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let count = 1 + u64::from(input.byte() % 3);
    let files: Vec<Vec<u8>> = (1..=count)
        .map(|index| {
            let (kind, change, data) = (input.byte(), input.piece(), input.data());
            let mut file = match kind & 3 {
                0 => return change.to_vec(),
                _ => overlaid(segment_bytes(index, &data), change),
            };
            if kind & 3 != 1 {
                seal_header(&mut file);
            }
            file
        })
        .collect();
    exercise_segments(folder().path(), &files);
});
