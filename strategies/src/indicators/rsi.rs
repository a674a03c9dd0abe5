//! The relative strength index.

use super::decimal::FixedDecimal;
use crate::operators::bounds::SPAN_MAX;
use crate::operators::{Number, Operator, State, StateValue};
use crate::snapshot::{RestoreError, SnapshotReader};
use stele_wire::Nanos;

/// Averages are multiplied by `span` and kept in units of 1/256, so that their rounding never affects the
/// result.
const FINER: i128 = 256;

/// Relative strength index, 0 to 100: `100 · G / (G + L)`, where `G` and `L` are Wilder's averages of the
/// rises and falls between values: initially the mean of `n` of them, then `G ← (G · (n − 1) + rise) / n`
/// (Wilder, New Concepts in Technical Trading Systems, 1978, section VI, where `n` is 14). Emitted from value
/// number `n + 1` on, rounded down. It is 50 as long as no value has changed.
#[derive(Clone, Copy, Debug)]
pub struct Rsi<N> {
    span: i128,
    last: Option<N>,
    changes: u64,
    rises: i128,
    falls: i128,
}

impl<N: Number> Rsi<N> {
    /// An index with averages over `span` changes.
    ///
    /// # Panics
    /// When `span` is 0 or above [`SPAN_MAX`].
    pub fn new(span: usize) -> Self {
        assert!((1..=SPAN_MAX).contains(&span), "the span is {span}, but must be 1 to {SPAN_MAX}");
        Self { span: span as i128, last: None, changes: 0, rises: 0, falls: 0 }
    }

    #[inline]
    fn smooth(&self, sum: i128, change: i128) -> i128 {
        let kept = if self.changes <= self.span as u64 { sum } else { sum - divide(sum, self.span) };
        kept + change
    }
}

/// `of / by` for non-negative numbers; avoids the wide division when both are small.
#[inline]
fn divide(of: i128, by: i128) -> i128 {
    match (u64::try_from(of), u64::try_from(by)) {
        (Ok(of), Ok(by)) => (of / by).into(),
        _ => of / by,
    }
}

impl<N: Number> State for Rsi<N> {
    fn reset(&mut self) {
        (self.last, self.changes, self.rises, self.falls) = (None, 0, 0, 0);
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        (self.last, self.changes, self.rises, self.falls).put(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        (self.last, self.changes, self.rises, self.falls) = StateValue::take(reader)?;
        Ok(())
    }
}

impl<N: Number> Operator<N> for Rsi<N> {
    type Out = FixedDecimal;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: N, emit: &mut impl FnMut(Nanos, FixedDecimal)) {
        let Some(last) = self.last.replace(input) else { return };
        let change = (input.units() - last.units()) * FINER;
        self.changes += 1;
        (self.rises, self.falls) =
            (self.smooth(self.rises, change.max(0)), self.smooth(self.falls, (-change).max(0)));
        if self.changes >= self.span as u64 {
            emit(at, share(self.rises, self.rises + self.falls));
        }
    }
}

/// `100 · part / whole`; 50 when `whole` is 0. A part is below 2^(65 + 8 + 20), so the product takes up to
/// 130 bits; both are then halved until it fits.
#[inline]
fn share(mut part: i128, mut whole: i128) -> FixedDecimal {
    if whole == 0 {
        return FixedDecimal::whole(50);
    }
    while part > i128::MAX / i128::from(FixedDecimal::HUNDRED.0) {
        (part, whole) = (part / 2, whole / 2);
    }
    FixedDecimal::from_units(divide(part * i128::from(FixedDecimal::HUNDRED.0), whole))
}
