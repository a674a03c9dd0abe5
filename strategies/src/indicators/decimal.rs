//! A fixed-point number for results without a unit: a percentage, a correlation, a factor.

use crate::operators::{Number, StateValue};
use crate::snapshot::{RestoreError, SnapshotReader};
use std::fmt;
use stele_wire::Price;

/// A number in units of 1e-9, like prices and decimal parameters ([`crate::Parameter::decimal`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct FixedDecimal(pub i64);

impl FixedDecimal {
    /// 1.
    pub const ONE: Self = Self(1_000_000_000);
    /// 100, that is, all of something as a percentage.
    pub const HUNDRED: Self = Self(100_000_000_000);

    /// An integer.
    pub const fn whole(number: i32) -> Self {
        Self(number as i64 * Self::ONE.0)
    }
}

impl fmt::Display for FixedDecimal {
    /// Prints without trailing zeros, for example `70.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Price(self.0.min(i64::MAX - 1)).fmt(f)
    }
}

impl StateValue for FixedDecimal {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        reader.i64().map(Self)
    }
}

impl Number for FixedDecimal {
    #[inline]
    fn units(self) -> i128 {
        self.0.into()
    }

    #[inline]
    fn from_units(units: i128) -> Self {
        Self(Number::from_units(units))
    }
}
