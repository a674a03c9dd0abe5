//! What an operator keeps: forgotten, written into a snapshot, read back, and what was lost of it.

use crate::book::{BookSide, Level};
use crate::market::TradePrint;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use std::ops::AddAssign;
use stele_wire::{Nanos, Price, Quantity, Sequence};

/// State that follows from the events alone and can be kept across a restart.
///
/// A restored state and the events behind its snapshot give, to the byte, the state of all events.
pub trait State {
    /// Forgets every event; what was lost stays counted. Allocates nothing.
    fn reset(&mut self);

    /// Appends the state.
    fn snapshot(&self, out: &mut Vec<u8>);

    /// Takes the state that [`State::snapshot`] appended, into a fresh instance made in the same way.
    ///
    /// # Errors
    /// When the bytes are not of such a snapshot; the instance must be dropped then.
    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError>;

    /// What did not enter a result so far.
    fn drops(&self) -> DropCounts {
        DropCounts::default()
    }
}

/// Events that did not enter a result, by the rule that kept them out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DropCounts {
    /// Came when everything they belong to was closed: handed on as [`super::Late`].
    pub late: u64,
    /// Came when some of the windows they belong to were closed, and entered the others.
    pub late_in_part: u64,
    /// Had a key for which the table had no room.
    pub keys_refused: u64,
    /// Keys that were forgotten, with all they had, to make room for another.
    pub keys_evicted: u64,
    /// Left a full buffer before their time.
    pub crowded_out: u64,
    /// Have no value of the kind that is computed, such as the logarithm of a price that is not positive.
    pub undefined: u64,
}

impl DropCounts {
    /// Whether every event entered a result.
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

/// Plain data that operators keep: it is copied into buffers and written into snapshots.
pub trait StateValue: Copy {
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads what [`StateValue::put`] appended.
    ///
    /// # Errors
    /// When the bytes are not of such a value.
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
        Self::try_from(found).map_err(|_| RestoreError::StateValue { what: "number", found: found as u64 })
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

/// The bits of the number.
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

/// A number of the wire's fixed point, which 64 bits hold: what sums, means and extremes are taken of. Sums are exact
/// in 128 bits for 2^63 numbers, so nothing is rounded but a mean, and that downwards.
pub trait Number: StateValue + Ord {
    /// The number in its own units.
    fn units(self) -> i128;
    /// The number of so many units, the nearest there is.
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

/// `of / by`, rounded down. Narrow numbers, which are the rule, are spared the wide division.
///
/// # Panics
/// When `by` is not positive.
#[inline]
pub fn floor_divide(of: i128, by: i128) -> i128 {
    debug_assert!(by > 0, "divides by {by}");
    match (i64::try_from(of), i64::try_from(by)) {
        (Ok(of), Ok(by)) => of.div_euclid(by).into(),
        _ => of.div_euclid(by),
    }
}
