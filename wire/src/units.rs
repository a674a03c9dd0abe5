//! The units that numbers on the log are in. One newtype a unit, so that a sequence is never added to a position.

use std::fmt;

/// The number of an event in its shard: 1, 2, 3 … with no gap. 0 means "none yet" and is what padding carries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Sequence(pub u64);

/// A byte offset in a shard's log, physical: ring index and file offset derive from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position(pub u64);

/// Nanoseconds: since the Unix epoch in UTC where it is a time, a plain length otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Nanos(pub u64);

/// A price in units of 1e-9 of the quotation currency, as in Databento's DBN. Negative prices are prices.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Price(pub i64);

/// A quantity's mantissa; its power of ten stands in the instrument's definition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Quantity(pub u64);

/// The start of a shard's writer that an event belongs to: 1 for the first, one more for each start after it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Epoch(pub u32);

/// One sequencer with its log, within a trail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ShardId(pub u32);

/// What tells one trail from every other: 16 random bytes drawn when the trail is created.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TrailId(pub [u8; 16]);

impl Sequence {
    /// The sequence after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Position {
    /// The position `bytes` further on.
    pub const fn plus(self, bytes: u64) -> Self {
        Self(self.0 + bytes)
    }
}

impl Price {
    /// "There is no price": DBN's undefined price and the schema's null value.
    pub const UNDEFINED: Self = Self(i64::MAX);
    /// Units in one whole.
    pub const SCALE: i64 = 1_000_000_000;

    /// Whether this is a price at all.
    pub const fn is_defined(self) -> bool {
        self.0 != i64::MAX
    }
}

impl fmt::Display for Price {
    /// Decimal without trailing zeros, e.g. `5214.25`; `-` when undefined.
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
    /// Lower-case hexadecimal, 32 digits.
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
    fn a_price_prints_as_the_decimal_it_is() {
        assert_eq!(Price(5_214_250_000_000).to_string(), "5214.25");
        assert_eq!(Price(-37_630_000_000).to_string(), "-37.63");
        assert_eq!(Price(1).to_string(), "0.000000001");
        assert_eq!(Price(-1).to_string(), "-0.000000001");
        assert_eq!(Price(i64::MIN).to_string(), "-9223372036.854775808");
        assert_eq!(Price::UNDEFINED.to_string(), "-");
        assert_eq!(Price(0).to_string(), "0");
    }
}
