//! The side that initiated a trade, and the autocorrelation of these sides.

use super::decimal::FixedDecimal;
use crate::book::BookSide;
use crate::market::TradePrint;
use crate::operators::bounds::BUFFERED_MAX;
use crate::operators::{DropCounts, Number, Operator, State, StateValue, floor_divide};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use std::collections::VecDeque;
use stele_wire::{Nanos, Price};

/// The side that initiated a trade: according to the source, or else by the tick test. A trade at a higher
/// price than the previous one was initiated by the buyer, at a lower price by the seller, and at the same
/// price by the same side as before (Lee and Ready, Inferring Trade Direction from Intraday Data, Journal of
/// Finance 46, 1991). Emits nothing while the side is unknown.
#[derive(Clone, Copy, Debug, Default)]
pub struct TradeSign {
    last: Option<(Price, Option<BookSide>)>,
}

impl State for TradeSign {
    fn reset(&mut self) {
        self.last = None;
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.last.put(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.last = StateValue::take(reader)?;
        Ok(())
    }
}

impl Operator<TradePrint> for TradeSign {
    type Out = BookSide;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: TradePrint, emit: &mut impl FnMut(Nanos, BookSide)) {
        let by_tick = self.last.and_then(|(price, side)| match input.price.cmp(&price) {
            std::cmp::Ordering::Greater => Some(BookSide::Bid),
            std::cmp::Ordering::Less => Some(BookSide::Ask),
            std::cmp::Ordering::Equal => side,
        });
        let side = input.resting.map(BookSide::opposite).or(by_tick);
        self.last = Some((input.price, side));
        if let Some(side) = side {
            emit(at, side);
        }
    }
}

/// Autocorrelation of the signs of trades (1 for a buyer, −1 for a seller) at a lag, over the last `n` signs:
/// `r = c(lag) / c(0)` with `c(k) = Σ (zᵢ − z̄)(zᵢ₊ₖ − z̄) / n` (Box and Jenkins, Time Series Analysis,
/// section 2.1). Lillo and Farmer (The Long Memory of the Efficient Market, Studies in Nonlinear Dynamics and
/// Econometrics 8, 2004) find that it stays positive over long lags. Emitted from sign number `n` on, rounded
/// down. It is undefined when all signs are equal, which is counted as [`DropCounts::undefined`].
#[derive(Debug)]
pub struct SignAutocorrelation {
    lag: usize,
    count: usize,
    signs: VecDeque<i8>,
    sum: i64,
    /// Sum of the products of signs a lag apart.
    products: i64,
    /// Sums of the oldest and of the newest signs, one lag's worth each.
    oldest: i64,
    newest: i64,
    drops: DropCounts,
}

impl SignAutocorrelation {
    /// The autocorrelation at `lag` over the last `count` signs.
    ///
    /// # Panics
    /// When `lag` is 0 or not below `count`, or when `count` is above [`BUFFERED_MAX`].
    pub fn new(lag: usize, count: usize) -> Self {
        assert!(
            (1..count).contains(&lag) && count <= BUFFERED_MAX,
            "the lag {lag} must be 1 to less than {count} signs"
        );
        let (signs, drops) = (VecDeque::with_capacity(count), DropCounts::default());
        Self { lag, count, signs, sum: 0, products: 0, oldest: 0, newest: 0, drops }
    }

    #[inline]
    fn pop(&mut self) {
        let sign = i64::from(self.signs[0]);
        let partner = i64::from(self.signs[self.lag]);
        self.sum -= sign;
        self.products -= sign * partner;
        self.oldest += partner - sign;
        self.signs.pop_front();
    }

    #[inline]
    fn push(&mut self, sign: i8) {
        let wide = i64::from(sign);
        self.sum += wide;
        self.newest += wide;
        match self.signs.len().checked_sub(self.lag) {
            Some(at) => {
                let partner = i64::from(self.signs[at]);
                self.products += wide * partner;
                self.newest -= partner;
            }
            None => self.oldest += wide,
        }
        self.signs.push_back(sign);
    }

    /// Both covariances are multiplied by `n²`, which makes them integers. Returns `None` when all signs are
    /// equal.
    fn value(&self) -> Option<FixedDecimal> {
        let (n, lag, sum) = (self.count as i128, self.lag as i128, i128::from(self.sum));
        let ends = 2 * sum - i128::from(self.oldest) - i128::from(self.newest);
        let lagged = n * n * i128::from(self.products) - n * sum * ends + (n - lag) * sum * sum;
        let own = n * n * n - n * sum * sum;
        (own > 0)
            .then(|| FixedDecimal::from_units(floor_divide(lagged * i128::from(FixedDecimal::ONE.0), own)))
    }
}

impl Clone for SignAutocorrelation {
    fn clone(&self) -> Self {
        let mut signs = VecDeque::with_capacity(self.count);
        signs.extend(&self.signs);
        Self { signs, ..*self }
    }
}

impl State for SignAutocorrelation {
    fn reset(&mut self) {
        self.signs.clear();
        (self.sum, self.products, self.oldest, self.newest) = (0, 0, 0, 0);
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.drops.put(out);
        out.put_u64(self.signs.len() as u64);
        self.signs.iter().for_each(|sign| out.push(sign.to_le_bytes()[0]));
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.drops = StateValue::take(reader)?;
        let signs = reader.bytes()?;
        if signs.len() > self.count {
            return Err(RestoreError::Value { what: "number of signs", found: signs.len() as u64 });
        }
        self.reset();
        for byte in signs {
            match i8::from_le_bytes([*byte]) {
                sign @ (1 | -1) => self.push(sign),
                _ => return Err(RestoreError::Value { what: "sign", found: (*byte).into() }),
            }
        }
        Ok(())
    }

    fn drops(&self) -> DropCounts {
        self.drops
    }
}

impl Operator<BookSide> for SignAutocorrelation {
    type Out = FixedDecimal;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: BookSide, emit: &mut impl FnMut(Nanos, FixedDecimal)) {
        if self.signs.len() == self.count {
            self.pop();
        }
        self.push(if input == BookSide::Bid { 1 } else { -1 });
        if self.signs.len() == self.count {
            match self.value() {
                Some(value) => emit(at, value),
                None => self.drops.undefined += 1,
            }
        }
    }
}
