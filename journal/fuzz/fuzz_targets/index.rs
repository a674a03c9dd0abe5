//! An arbitrary index beside a segment that it is used for.

#![no_main]

use stele_journal_fuzz::bodies::{exercise_index, index_of, seal_index};
use stele_journal_fuzz::{Input, folder, overlaid};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let (kind, data, folder) = (input.byte(), input.data(), folder());
    let index = match index_of(folder.path(), &data) {
        Some(valid) if kind & 1 == 0 => {
            let mut index = overlaid(valid, input.rest());
            seal_index(&mut index);
            index
        }
        _ => input.rest().to_vec(),
    };
    exercise_index(folder.path(), &data, &index);
});
