//! The state of operators: reset, snapshot, restore, and counts of dropped events.

use crate::book::{BookSide, Level};
use crate::market::TradePrint;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use std::ops::AddAssign;
use stele_wire::{Nanos, Price, Quantity, Sequence};

/// State that follows from the events alone and survives a restart through a snapshot.
///
/// A restored state that is fed the events after its snapshot equals, byte for byte, a state that was fed all
/// events.
pub trait State {
    /// Resets to the state before the first event; the drop counts stay. Allocates nothing.
    fn reset(&mut self);

    /// Appends the state.
    fn snapshot(&self, out: &mut Vec<u8>);

    /// Restores the state that [`State::snapshot`] wrote, into a new instance made with the same arguments.
    ///
    /// # Errors
    /// When the bytes were not written by [`State::snapshot`]; the instance must then be dropped.
    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError>;

    /// The events that were dropped so far.
    fn drops(&self) -> DropCounts {
        DropCounts::default()
    }
}

/// Counts of events that did not contribute to a result, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DropCounts {
    /// Events that arrived when all their windows were closed: emitted as [`super::Late`].
    pub late: u64,
    /// Events that arrived when some of their windows were closed; they contributed to the others.
    pub late_in_part: u64,
    /// Events with a key for which the table had no room.
    pub keys_refused: u64,
    /// Keys that were removed, with their state, to make room for another.
    pub keys_evicted: u64,
    /// Events that were removed early from a full buffer.
    pub crowded_out: u64,
    /// Events whose value is undefined, such as the logarithm of a price that is not positive.
    pub undefined: u64,
}

impl DropCounts {
    /// Whether no event was dropped.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn as_array(self) -> [u64; 6] {
        let Self { late, late_in_part, keys_refused, keys_evicted, crowded_out, undefined } = self;
        [late, late_in_part, keys_refused, keys_evicted, crowded_out, undefined]
    }
}

impl AddAssign for DropCounts {
    fn add_assign(&mut self, other: Self) {
        self.late += other.late;
        self.late_in_part += other.late_in_part;
        self.keys_refused += other.keys_refused;
        self.keys_evicted += other.keys_evicted;
        self.crowded_out += other.crowded_out;
        self.undefined += other.undefined;
    }
}

impl std::ops::Add for DropCounts {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

/// A plain value that operators copy into buffers and write into snapshots.
pub trait StateValue: Copy {
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads the value that [`StateValue::put`] wrote.
    ///
    /// # Errors
    /// When the bytes were not written by [`StateValue::put`].
    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError>;
}

macro_rules! unsigned_values {
    ($($number:ty),*) => {$(
        impl StateValue for $number {
            fn put(&self, out: &mut Vec<u8>) {
                out.put_u64((*self).into());
            }

            fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
                reader.at_most("number", <$number>::MAX.into()).map(|value| value as $number)
            }
        }
    )*};
}
unsigned_values!(u8, u16, u32, u64);

macro_rules! wrapped_values {
    ($($unit:ident),*) => {$(
        impl StateValue for $unit {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
                StateValue::take(reader).map(Self)
            }
        }
    )*};
}
wrapped_values!(Price, Quantity, Nanos, Sequence);

macro_rules! tuple_values {
    ($($part:ident),*) => {
        impl<$($part: StateValue),*> StateValue for ($($part,)*) {
            #[allow(non_snake_case)]
            fn put(&self, out: &mut Vec<u8>) {
                let ($($part,)*) = self;
                $($part.put(out);)*
            }

            fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
                Ok(($($part::take(reader)?,)*))
            }
        }
    };
}
tuple_values!(A, B);
tuple_values!(A, B, C);
tuple_values!(A, B, C, D);

impl StateValue for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        out.put_i64(*self);
    }

    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        reader.i64()
    }
}

impl StateValue for i32 {
    fn put(&self, out: &mut Vec<u8>) {
        out.put_i64((*self).into());
    }

    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let found = reader.i64()?;
        Self::try_from(found).map_err(|_| RestoreError::Value { what: "number", found: found as u64 })
    }
}

impl StateValue for i128 {
    fn put(&self, out: &mut Vec<u8>) {
        out.put_i128(*self);
    }

    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        reader.i128()
    }
}

impl StateValue for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.put_u64((*self).into());
    }

    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        Ok(reader.at_most("truth value", 1)? == 1)
    }
}

/// Stored as the bits of the number.
impl StateValue for f64 {
    fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.to_bits());
    }

    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        reader.u64().map(Self::from_bits)
    }
}

impl<T: StateValue> StateValue for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        if bool::take(reader)? { T::take(reader).map(Some) } else { Ok(None) }
    }
}

impl StateValue for BookSide {
    fn put(&self, out: &mut Vec<u8>) {
        (*self == Self::Ask).put(out);
    }

    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        Ok(if bool::take(reader)? { Self::Ask } else { Self::Bid })
    }
}

impl StateValue for Level {
    fn put(&self, out: &mut Vec<u8>) {
        (self.price, self.quantity, self.orders).put(out);
    }

    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let (price, quantity, orders) = StateValue::take(reader)?;
        Ok(Self { price, quantity, orders })
    }
}

impl StateValue for TradePrint {
    fn put(&self, out: &mut Vec<u8>) {
        (self.instrument, self.price, self.quantity).put(out);
        (self.resting, self.trade_id, self.venue_time).put(out);
    }

    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let (instrument, price, quantity) = StateValue::take(reader)?;
        let (resting, trade_id, venue_time) = StateValue::take(reader)?;
        Ok(Self { instrument, price, quantity, resting, trade_id, venue_time })
    }
}

impl StateValue for DropCounts {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_array().iter().for_each(|count| count.put(out));
    }

    fn take(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            late: reader.u64()?,
            late_in_part: reader.u64()?,
            keys_refused: reader.u64()?,
            keys_evicted: reader.u64()?,
            crowded_out: reader.u64()?,
            undefined: reader.u64()?,
        })
    }
}

/// A fixed-point number of the wire format that fits into 64 bits: the input of sums, means and extremes.
/// Sums are exact in 128 bits for up to 2^63 numbers, so only means are rounded, downwards.
pub trait Number: StateValue + Ord {
    /// The number in its own units.
    fn units(self) -> i128;
    /// The number with that many units, saturating at the limits of the type.
    fn from_units(units: i128) -> Self;
}

macro_rules! numbers {
    ($($number:ident),*) => {$(
        impl Number for $number {
            #[inline]
            fn units(self) -> i128 {
                self.into()
            }

            #[inline]
            fn from_units(units: i128) -> Self {
                match Self::try_from(units) {
                    Ok(number) => number,
                    Err(_) if units < 0 => Self::MIN,
                    Err(_) => Self::MAX,
                }
            }
        }
    )*};
}
numbers!(i64, u64, i32, u32);

macro_rules! wrapped_numbers {
    ($($unit:ident),*) => {$(
        impl Number for $unit {
            #[inline]
            fn units(self) -> i128 {
                self.0.units()
            }

            #[inline]
            fn from_units(units: i128) -> Self {
                Self(Number::from_units(units))
            }
        }
    )*};
}
wrapped_numbers!(Price, Quantity, Nanos);

/// `of / by`, rounded down. Small numbers, the usual case, avoid the wide division.
///
/// # Panics
/// When `by` is not positive.
#[inline]
pub fn floor_divide(of: i128, by: i128) -> i128 {
    debug_assert!(by > 0, "the divisor must be positive, not {by}");
    match (i64::try_from(of), i64::try_from(by)) {
        (Ok(of), Ok(by)) => of.div_euclid(by).into(),
        _ => of.div_euclid(by),
    }
}
