//! The units of the numbers on the log. Each unit is a type of its own, so that a sequence is never added to
//! a position.

use std::fmt;

/// The number of an event in its shard: 1, 2, 3 … without gaps. 0 means "none yet"; padding has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Sequence(pub u64);

/// A byte offset in a shard's log, padding included. The index in the ring and the offset in a file follow
/// from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position(pub u64);

/// Nanoseconds: a time since the Unix epoch in UTC, or a duration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Nanos(pub u64);

/// A price in units of 1e-9 of the quotation currency, as in Databento's DBN. It may be negative.
///
/// It prints as a decimal without trailing zeros:
///
/// ```
/// use stele_wire::Price;
///
/// assert_eq!(Price(5_214_250_000_000).to_string(), "5214.25");
/// assert_eq!(Price(-37_630_000_000).to_string(), "-37.63");
/// assert_eq!(Price(Price::SCALE).to_string(), "1");
/// assert_eq!(Price::UNDEFINED.to_string(), "-");
/// assert_eq!(format!("{:>8}", Price(500_000_000)), "     0.5");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Price(pub i64);

/// The mantissa of a quantity; its power of ten is in the instrument's definition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Quantity(pub u64);

/// The number of a start of a shard's writer: 1 for the first, and one more for each later start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Epoch(pub u32);

/// The number of a shard of a trail: one sequencer with its log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ShardId(pub u32);

/// The identification of a trail: 16 random bytes that are drawn when the trail is created.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TrailId(pub [u8; 16]);

impl Sequence {
    /// Returns the next sequence.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Position {
    /// Returns the position `bytes` further on.
    pub const fn plus(self, bytes: u64) -> Self {
        Self(self.0 + bytes)
    }
}

impl Price {
    /// No price: DBN's undefined price and the schema's null value.
    pub const UNDEFINED: Self = Self(i64::MAX);
    /// The number of units in 1.0.
    pub const SCALE: i64 = 1_000_000_000;

    /// Whether there is a price: whether it is not [`Price::UNDEFINED`].
    pub const fn is_defined(self) -> bool {
        self.0 != i64::MAX
    }
}

impl fmt::Display for Price {
    /// Writes a decimal without trailing zeros, such as `5214.25`, or `-` when undefined.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_defined() {
            return f.pad("-");
        }
        let (whole, fraction) =
            (self.0.unsigned_abs() / 1_000_000_000, self.0.unsigned_abs() % 1_000_000_000);
        let sign = if self.0 < 0 { "-" } else { "" };
        if fraction == 0 {
            return f.pad(&format!("{sign}{whole}"));
        }
        let digits = format!("{fraction:09}");
        f.pad(&format!("{sign}{whole}.{}", digits.trim_end_matches('0')))
    }
}

impl fmt::Display for TrailId {
    /// Writes 32 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TrailId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrailId({self})")
    }
}

macro_rules! display_as_number {
    ($($unit:ident),*) => {$(
        impl fmt::Display for $unit {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}
display_as_number!(Sequence, Position, Nanos, Quantity, Epoch, ShardId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_prints_as_a_decimal_without_trailing_zeros() {
        assert_eq!(Price(5_214_250_000_000).to_string(), "5214.25");
        assert_eq!(Price(-37_630_000_000).to_string(), "-37.63");
        assert_eq!(Price(1).to_string(), "0.000000001");
        assert_eq!(Price(-1).to_string(), "-0.000000001");
        assert_eq!(Price(i64::MIN).to_string(), "-9223372036.854775808");
        assert_eq!(Price::UNDEFINED.to_string(), "-");
        assert_eq!(Price(0).to_string(), "0");
    }
}
