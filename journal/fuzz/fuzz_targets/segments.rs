//! Segments with valid headers and arbitrary data.

#![no_main]

use stele_journal_fuzz::bodies::{SEGMENT_LENGTH, exercise_segments, segment_bytes};
use stele_journal_fuzz::{Input, folder};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let shape = input.byte();
    let count = 1 + u64::from(shape & 1);
    let files: Vec<Vec<u8>> = (1..=count)
        .map(|index| {
            let mut file = segment_bytes(index, &input.data());
            if shape & 2 << (index & 1) != 0 {
                file.resize(4096 + SEGMENT_LENGTH, 0);
            }
            file
        })
        .collect();
    exercise_segments(folder().path(), &files);
});
