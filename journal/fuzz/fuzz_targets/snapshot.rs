//! An arbitrary snapshot, with and without correct hashes, beside its segment.

#![no_main]

use stele_journal_fuzz::bodies::{exercise_snapshot, seal_snapshot, snapshot_of};
use stele_journal_fuzz::{Input, folder, overlaid};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let (kind, data, folder) = (input.byte(), input.data(), folder());
    let index = match kind >> 4 {
        0..10 => 1,
        10..12 => input.word(),
        12..14 => 2,
        _ => u64::MAX,
    };
    let states = [input.piece(), input.piece()];
    let bytes = match snapshot_of(folder.path(), &data, states) {
        Some(valid) if kind & 1 == 0 => {
            let mut bytes = overlaid(valid, input.rest());
            if kind & 2 == 0 {
                seal_snapshot(&mut bytes);
            }
            bytes
        }
        _ => input.rest().to_vec(),
    };
    exercise_snapshot(folder.path(), &data, index, &bytes);
});
