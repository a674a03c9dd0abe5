//! The symbols of the vendor's numbers over time, from a file's metadata.

use dbn::{Metadata, SType};
use std::collections::BTreeMap;

/// The Julian day of 1970-01-01.
const EPOCH_DAY: i64 = 2_440_588;
const DAY_NANOS: u64 = 86_400_000_000_000;

/// Symbols by the vendor's number, each with the time from which, and the time until which, it is valid.
#[derive(Debug, Default)]
pub(super) struct Symbols(BTreeMap<u32, Vec<(u64, u64, String)>>);

impl Symbols {
    pub(super) fn new(metadata: &Metadata) -> Self {
        let mut symbols = Self::default();
        let numbers_first = metadata.stype_in == Some(SType::InstrumentId);
        for mapping in &metadata.mappings {
            for interval in &mapping.intervals {
                let (symbol, number) = if numbers_first {
                    (&interval.symbol, &mapping.raw_symbol)
                } else {
                    (&mapping.raw_symbol, &interval.symbol)
                };
                let Ok(number) = number.parse() else { continue };
                let (from, until) = (
                    start_of(interval.start_date.to_julian_day()),
                    start_of(interval.end_date.to_julian_day()),
                );
                symbols.0.entry(number).or_default().push((from, until, symbol.clone()));
            }
        }
        symbols
    }

    /// Sets one symbol for `number` at all times. Returns whether that is new.
    pub(super) fn set(&mut self, number: u32, symbol: &str) -> bool {
        let intervals = self.0.entry(number).or_default();
        if matches!(&intervals[..], [(0, u64::MAX, known)] if known == symbol) {
            return false;
        }
        *intervals = vec![(0, u64::MAX, symbol.to_owned())];
        true
    }

    /// The symbol of `number` at `time`, and until when it is valid; empty if the metadata do not have the
    /// number.
    pub(super) fn at(&self, number: u32, time: u64) -> (&str, u64) {
        let intervals = self.0.get(&number).map_or(&[][..], Vec::as_slice);
        // A record may be older than its day, as the orders of a snapshot are: the nearest interval counts.
        let holds = intervals.iter().find(|(from, until, _)| (*from..*until).contains(&time));
        match holds.or_else(|| intervals.iter().min_by_key(|(from, _, _)| from.abs_diff(time))) {
            Some((_, until, symbol)) if *until > time => (symbol, *until),
            Some((_, _, symbol)) => (symbol, u64::MAX),
            None => ("", u64::MAX),
        }
    }
}

/// The first nanosecond of a Julian day, UTC.
fn start_of(day: i32) -> u64 {
    u64::try_from(i64::from(day) - EPOCH_DAY).map_or(0, |days| days.saturating_mul(DAY_NANOS))
}
