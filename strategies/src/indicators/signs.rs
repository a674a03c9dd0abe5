//! Who started a trade, and how long buyers and sellers keep coming.

use super::decimal::FixedDecimal;
use crate::book::BookSide;
use crate::market::TradePrint;
use crate::operators::bounds::BUFFERED_MAX;
use crate::operators::{DropCounts, Number, Operator, State, StateValue, floor_divide};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use std::collections::VecDeque;
use stele_wire::{Nanos, Price};

/// The side that started a trade: what the source says, else by the tick test: at a higher price than the trade before
/// it was a buyer, at a lower one a seller, at the same one whoever it was before (Lee and Ready, Inferring Trade
/// Direction from Intraday Data, Journal of Finance 46, 1991). Nothing is given while that cannot be told.
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

/// Autocorrelation of the signs of trades (a buyer is 1, a seller is −1) at a lag, over the last `n` signs: `r = c(lag) /
/// c(0)` with `c(k) = Σ (zᵢ − z̄)(zᵢ₊ₖ − z̄) / n` (Box and Jenkins, Time Series Analysis, section 2.1; that it stays
/// positive over long lags is found by Lillo and Farmer, The Long Memory of the Efficient Market, Studies in
/// Nonlinear Dynamics and Econometrics 8, 2004). From the `n`-th sign on, rounded down. Signs that are all alike have
/// none, which is counted as [`DropCounts::undefined`].
#[derive(Debug)]
pub struct SignAutocorrelation {
    lag: usize,
    count: usize,
    signs: VecDeque<i8>,
    sum: i64,
    /// Of the products of signs a lag apart.
    products: i64,
    /// Of the oldest and of the newest signs, a lag of each.
    oldest: i64,
    newest: i64,
    drops: DropCounts,
}

impl SignAutocorrelation {
    /// At `lag`, over the last `count` signs.
    ///
    /// # Panics
    /// Unless `lag` is above 0 and below `count`, and `count` at most [`BUFFERED_MAX`].
    pub fn new(lag: usize, count: usize) -> Self {
        assert!((1..count).contains(&lag) && count <= BUFFERED_MAX, "a lag of {lag} in {count} signs");
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

    /// Multiplied by `n²` both covariances are whole numbers. None of signs that are all alike.
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
            return Err(RestoreError::StateValue { what: "number of signs", found: signs.len() as u64 });
        }
        self.reset();
        for byte in signs {
            match i8::from_le_bytes([*byte]) {
                sign @ (1 | -1) => self.push(sign),
                _ => return Err(RestoreError::StateValue { what: "sign", found: (*byte).into() }),
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
