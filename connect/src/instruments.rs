//! Which number an instrument of a source has on the log.

use std::collections::BTreeMap;

/// The highest number that an instrument may have.
pub const INSTRUMENT_MAX: u32 = u32::MAX - 1;

/// Numbers of instruments on the log, from 1 up, by the venue's number and symbol.
///
/// A symbol keeps its number when the venue renumbers it, as NASDAQ does each morning; a venue's number that
/// gets another symbol is another instrument. An instrument whose symbol was not known yet keeps its number
/// when the symbol becomes known. Seeded with the pairs of an existing trail, the table goes on numbering
/// where the trail ended, so that a continued trail keeps its numbers.
#[derive(Clone, Debug)]
pub struct InstrumentIds {
    by_venue_id: BTreeMap<u64, u32>,
    by_symbol: BTreeMap<String, u32>,
    symbols: BTreeMap<u32, String>,
    next: u32,
}

impl Default for InstrumentIds {
    fn default() -> Self {
        Self::starting_at(1)
    }
}

/// The number that an instrument got when it was named, and whether it is new.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdAssignment {
    /// The instrument is new on the log.
    New(u32),
    /// The log has the instrument under another venue number or symbol.
    Renamed(u32),
    /// The log has the instrument as named.
    Known(u32),
}

impl IdAssignment {
    /// The instrument's number on the log.
    pub fn id(self) -> u32 {
        match self {
            Self::New(id) | Self::Renamed(id) | Self::Known(id) => id,
        }
    }
}

impl InstrumentIds {
    /// Creates a table whose first number is `first`, for a second feed beside another.
    ///
    /// # Panics
    /// If `first` is 0, which means the whole market.
    pub fn starting_at(first: u32) -> Self {
        assert!(first > 0, "instrument 0 is the whole market");
        Self {
            by_venue_id: BTreeMap::new(),
            by_symbol: BTreeMap::new(),
            symbols: BTreeMap::new(),
            next: first,
        }
    }

    /// Adds an instrument that the trail already defines.
    pub fn seed(&mut self, venue_id: u64, symbol: &str, id: u32) {
        self.set(venue_id, symbol, id);
        self.next = self.next.max(id.saturating_add(1));
    }

    /// Returns the number of the venue's instrument, if it has one.
    #[inline]
    pub fn get(&self, venue_id: u64) -> Option<u32> {
        self.by_venue_id.get(&venue_id).copied()
    }

    /// Names an instrument; an empty `symbol` means that it is not known.
    ///
    /// # Panics
    /// If [`INSTRUMENT_MAX`] numbers are used.
    pub fn name(&mut self, venue_id: u64, symbol: &str) -> IdAssignment {
        let current = self.get(venue_id);
        if let Some(id) = current {
            let known = self.symbols.get(&id).map_or("", String::as_str);
            if symbol.is_empty() || symbol == known {
                return IdAssignment::Known(id);
            }
            if known.is_empty() && !self.by_symbol.contains_key(symbol) {
                self.set(venue_id, symbol, id);
                return IdAssignment::Renamed(id);
            }
        }
        if let Some(id) = self.by_symbol.get(symbol).copied() {
            self.by_venue_id.insert(venue_id, id);
            return IdAssignment::Renamed(id);
        }
        let id = self.new_id();
        self.set(venue_id, symbol, id);
        IdAssignment::New(id)
    }

    /// Names an instrument of a venue that has no numbers; `symbol` must not be empty.
    ///
    /// # Panics
    /// If [`INSTRUMENT_MAX`] numbers are used.
    pub fn name_by_symbol(&mut self, symbol: &str) -> IdAssignment {
        if let Some(id) = self.by_symbol.get(symbol) {
            return IdAssignment::Known(*id);
        }
        let id = self.new_id();
        self.by_symbol.insert(symbol.to_owned(), id);
        self.symbols.insert(id, symbol.to_owned());
        IdAssignment::New(id)
    }

    fn new_id(&mut self) -> u32 {
        let id = self.next;
        assert!(id <= INSTRUMENT_MAX, "more than {INSTRUMENT_MAX} instruments");
        self.next += 1;
        id
    }

    fn set(&mut self, venue_id: u64, symbol: &str, id: u32) {
        self.by_venue_id.insert(venue_id, id);
        if !symbol.is_empty() {
            self.by_symbol.insert(symbol.to_owned(), id);
            self.symbols.insert(id, symbol.to_owned());
        }
    }
}

/// A symbol as a field of the log, cut to 72 bytes at the end of a character.
pub(crate) fn symbol_field(symbol: &str) -> [u8; 72] {
    fixed(symbol.as_bytes())
}

/// A text as a field of `N` bytes: up to the first zero, without the blanks at its end, filled up with zeros.
pub(crate) fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let bytes = bytes[..end].trim_ascii_end();
    let mut length = bytes.len().min(N);
    while length < bytes.len() && length > 0 && bytes[length] & 0xC0 == 0x80 {
        length -= 1;
    }
    let mut field = [0; N];
    field[..length].copy_from_slice(&bytes[..length]);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instruments_are_numbered_from_one_as_they_come() {
        let mut ids = InstrumentIds::default();
        assert_eq!(ids.name(17_077, "ESM4"), IdAssignment::New(1));
        assert_eq!(ids.name(42, "NQM4"), IdAssignment::New(2));
        assert_eq!(ids.name(17_077, "ESM4"), IdAssignment::Known(1));
        assert_eq!(ids.get(42), Some(2));
    }

    #[test]
    fn a_continued_trail_keeps_its_numbers() {
        let mut ids = InstrumentIds::default();
        ids.seed(13, "AAPL", 5);
        assert_eq!(ids.name(13, "AAPL"), IdAssignment::Known(5));
        assert_eq!(ids.name(14, "AMZN"), IdAssignment::New(6));
    }

    #[test]
    fn a_symbol_that_the_venue_renumbers_stays_the_same_instrument() {
        let mut ids = InstrumentIds::default();
        ids.seed(13, "AAPL", 1);
        assert_eq!(ids.name(15, "AAPL"), IdAssignment::Renamed(1));
        assert_eq!(ids.get(15), Some(1));
    }

    #[test]
    fn a_venue_number_with_another_symbol_is_another_instrument() {
        let mut ids = InstrumentIds::default();
        assert_eq!(ids.name(7, "CLK4"), IdAssignment::New(1));
        assert_eq!(ids.name(7, "CLM4"), IdAssignment::New(2));
        assert_eq!(ids.get(7), Some(2));
    }

    #[test]
    fn a_symbol_learnt_later_belongs_to_the_instrument_seen_before() {
        let mut ids = InstrumentIds::default();
        assert_eq!(ids.name(13, ""), IdAssignment::New(1));
        assert_eq!(ids.name(13, "AAPL"), IdAssignment::Renamed(1));
        assert_eq!(ids.name(13, "AAPL"), IdAssignment::Known(1));
    }

    #[test]
    fn an_instrument_without_a_number_is_known_by_its_symbol() {
        let mut ids = InstrumentIds::default();
        ids.seed(0, "BTCUSDT", 3);
        assert_eq!(ids.name_by_symbol("ETHUSDT"), IdAssignment::New(4));
        assert_eq!(ids.name_by_symbol("BTCUSDT"), IdAssignment::Known(3));
        assert_eq!(ids.name_by_symbol("ETHUSDT"), IdAssignment::Known(4));
    }

    #[test]
    fn a_long_symbol_is_cut_at_a_characters_end() {
        assert_eq!(&fixed::<4>("abcé".as_bytes()), b"abc\0");
        assert_eq!(&fixed::<4>(b"AB  "), b"AB\0\0");
        assert_eq!(&fixed::<4>(b"AB\0CD"), b"AB\0\0");
    }
}
