//! Position, average price, profit and fees of a strategy, in integer arithmetic.
//!
//! A position is kept at average cost: a fill that increases it adds price × quantity to the cost, and a fill
//! that reduces it removes the same share of the cost. Cash (proceeds of sales minus the cost of purchases)
//! is exact, and so is the sum of realised and unrealised profit. Rounding, less than one unit of 1e-9 × one
//! lot per fill, only moves profit between the two, and is gone when the position is closed.

use crate::by_instrument::ByInstrument;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use std::collections::VecDeque;
use std::fmt;
use stele_wire::{Price, Quantity, Sequence};

/// An amount of money, in units of 1e-9 of the currency.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Money(pub i128);

impl fmt::Display for Money {
    /// Prints two decimals, such as `-12.50`, rounding halves away from zero. A precision prints as many
    /// decimals, up to 9.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = f.precision().unwrap_or(2).min(9);
        let unit = 10u128.pow(9 - places as u32);
        let rounded = (self.0.unsigned_abs() + unit / 2) / unit;
        let (whole, fraction) = (rounded / 10u128.pow(places as u32), rounded % 10u128.pow(places as u32));
        let sign = if self.0 < 0 && rounded != 0 { "-" } else { "" };
        let text =
            if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction:0places$}") };
        write!(f, "{text:>width$}", width = f.width().unwrap_or(0))
    }
}

impl std::ops::Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self(0), |sum, amount| sum + amount)
    }
}

/// The contract terms that convert price × quantity into money, from the instrument's definition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContractScale {
    /// Value of one unit at a price of 1, in units of 1e-9.
    pub multiplier: i64,
    /// Decimal exponent of the quantity's mantissa.
    pub quantity_exponent: i8,
}

impl Default for ContractScale {
    /// A share: multiplier 1, exponent 0.
    fn default() -> Self {
        Self { multiplier: Price::SCALE, quantity_exponent: 0 }
    }
}

impl ContractScale {
    /// The price × quantity mantissa that is worth `amount` of money (in 1e-9), rounded to the nearest.
    pub fn notional(self, amount: i64) -> i128 {
        let power = 10i128.saturating_pow(self.quantity_exponent.unsigned_abs().into());
        let units = i128::from(amount).saturating_mul(Price::SCALE.into());
        let (numerator, denominator) = match self.quantity_exponent {
            0.. => (units, power),
            _ => (units.saturating_mul(power), 1),
        };
        divide_rounded(numerator, denominator.saturating_mul(i128::from(self.multiplier).max(1)))
    }

    /// The money value of a sum of price × quantity mantissas, rounded to the nearest unit, halves away from
    /// zero.
    pub fn money(self, notional: i128) -> Money {
        let mut amount = divide_rounded(notional.saturating_mul(self.multiplier.into()), Price::SCALE.into());
        let power = 10i128.saturating_pow(self.quantity_exponent.unsigned_abs().into());
        amount = match self.quantity_exponent {
            0 => amount,
            1.. => amount.saturating_mul(power),
            _ => divide_rounded(amount, power),
        };
        Money(amount)
    }
}

fn divide_rounded(value: i128, by: i128) -> i128 {
    let (quotient, rest) = (value / by, value % by);
    if rest.abs() >= by - rest.abs() { quotient + value.signum() } else { quotient }
}

/// The position of a strategy in one instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Holding {
    quantity: i64,
    cost: i128,
    cash: i128,
    fees: i128,
    bought: u64,
    sold: u64,
    fills: u64,
}

impl Holding {
    /// The position as a signed mantissa: positive is long.
    #[inline]
    pub fn quantity(&self) -> i64 {
        self.quantity
    }

    /// Average price of the position, rounded to the nearest; `None` when it is flat.
    pub fn average_price(&self) -> Option<Price> {
        (self.quantity != 0).then(|| {
            let magnitude = i128::from(self.quantity.unsigned_abs());
            Price(divide_rounded(self.cost * i128::from(self.quantity.signum()), magnitude) as i64)
        })
    }

    /// Profit of closed quantity before fees, as a price × quantity mantissa.
    pub fn realised(&self) -> i128 {
        self.cash + self.cost
    }

    /// Profit of the open position at price `mark`, as a price × quantity mantissa.
    pub fn unrealised(&self, mark: Price) -> i128 {
        i128::from(self.quantity) * i128::from(mark.0) - self.cost
    }

    /// Fees paid, in 1e-9 of the currency; negative when more was received than paid.
    pub fn fees(&self) -> Money {
        Money(self.fees)
    }

    /// The quantities bought and sold, as mantissas.
    pub fn turnover(&self) -> (Quantity, Quantity) {
        (Quantity(self.bought), Quantity(self.sold))
    }

    /// The number of fills, without corrections and busts.
    pub fn fills(&self) -> u64 {
        self.fills
    }

    /// Applies a trade of signed quantity.
    fn trade(&mut self, price: Price, quantity: i64, fee: i128) {
        let (price, held) = (i128::from(price.0), i128::from(self.quantity));
        let traded = i128::from(quantity);
        self.cash -= price * traded;
        self.fees += fee;
        if held.signum() * traded.signum() >= 0 {
            self.cost += price * traded;
        } else if traded.abs() < held.abs() {
            self.cost -= divide_rounded(self.cost * traded.abs(), held.abs());
        } else {
            self.cost = price * (held + traded);
        }
        self.quantity = self.quantity.saturating_add(quantity);
    }
}

/// An execution of a strategy's order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fill {
    /// Sequence of the event that reported it.
    pub sequence: Sequence,
    /// The venue's id of the execution.
    pub execution_id: u64,
    /// Id of the instrument.
    pub instrument: u32,
    /// Whether the strategy bought.
    pub is_buy: bool,
    /// Price of the execution.
    pub price: Price,
    /// Quantity of the execution.
    pub quantity: Quantity,
    /// Fee, in 1e-9 of the currency.
    pub fee: i64,
}

impl Fill {
    fn signed(&self) -> i64 {
        let magnitude = i64::try_from(self.quantity.0).unwrap_or(i64::MAX);
        if self.is_buy { magnitude } else { -magnitude }
    }
}

/// All positions of a strategy and their profit.
#[derive(Clone, Debug)]
pub struct Account {
    holdings: ByInstrument<Holding>,
    recent: VecDeque<Fill>,
    unmatched: u64,
}

/// The number of latest fills that can still be busted or corrected.
pub const FILLS_REMEMBERED: usize = 1024;

impl Default for Account {
    fn default() -> Self {
        Self {
            holdings: ByInstrument::default(),
            recent: VecDeque::with_capacity(FILLS_REMEMBERED),
            unmatched: 0,
        }
    }
}

impl Account {
    /// The position in an instrument, as a signed mantissa; 0 when it was never traded.
    #[inline]
    pub fn position(&self, instrument: u32) -> i64 {
        self.holdings.get(instrument).map_or(0, Holding::quantity)
    }

    /// The position in an instrument with its cost.
    pub fn holding(&self, instrument: u32) -> Option<&Holding> {
        self.holdings.get(instrument)
    }

    /// Every instrument ever traded, in the order of the first trade.
    pub fn holdings(&self) -> impl Iterator<Item = (u32, &Holding)> {
        self.holdings.iter()
    }

    /// The number of busts and corrections of unknown fills. They changed nothing.
    pub fn unmatched(&self) -> u64 {
        self.unmatched
    }

    /// Applies a fill.
    pub fn fill(&mut self, fill: Fill) {
        let holding = self.holdings.entry(fill.instrument);
        holding.trade(fill.price, fill.signed(), fill.fee.into());
        holding.fills += 1;
        let side = if fill.is_buy { &mut holding.bought } else { &mut holding.sold };
        *side = side.saturating_add(fill.quantity.0);
        if self.recent.len() == FILLS_REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(fill);
    }

    /// Reverses a fill and refunds its fee. The fill is identified by the event that reported it or, when
    /// `sequence` is 0, by the venue's id. Returns whether the fill is among the latest [`FILLS_REMEMBERED`].
    pub fn bust(&mut self, sequence: Sequence, execution_id: u64) -> bool {
        let Some(at) = self.find(sequence, execution_id) else {
            self.unmatched += 1;
            return false;
        };
        let fill = self.recent.remove(at).expect("`find` gives an index within");
        self.holdings.entry(fill.instrument).undo(&fill);
        true
    }

    /// Replaces the terms of a fill: reverses it and applies it again. Without a `fee` the fee stays. Returns
    /// whether the fill is among the latest [`FILLS_REMEMBERED`].
    pub fn correct(
        &mut self,
        sequence: Sequence,
        execution_id: u64,
        price: Price,
        quantity: Quantity,
        fee: Option<i64>,
    ) -> bool {
        let Some(at) = self.find(sequence, execution_id) else {
            self.unmatched += 1;
            return false;
        };
        let old = self.recent[at];
        let new = Fill { price, quantity, fee: fee.unwrap_or(old.fee), ..old };
        let holding = self.holdings.entry(old.instrument);
        holding.undo(&old);
        holding.trade(new.price, new.signed(), new.fee.into());
        let side = if new.is_buy { &mut holding.bought } else { &mut holding.sold };
        *side = side.saturating_add(new.quantity.0);
        self.recent[at] = new;
        true
    }

    /// Sets the opening position.
    pub fn open(&mut self, instrument: u32, quantity: i64, average_price: Price, realised: i128) {
        let cost =
            if average_price.is_defined() { i128::from(average_price.0) * i128::from(quantity) } else { 0 };
        let holding = self.holdings.entry(instrument);
        *holding = Holding { quantity, cost, cash: realised - cost, ..Holding::default() };
    }

    fn find(&self, sequence: Sequence, execution_id: u64) -> Option<usize> {
        if sequence.0 != 0 {
            return self.recent.binary_search_by_key(&sequence, |fill| fill.sequence).ok();
        }
        self.recent.iter().rposition(|fill| fill.execution_id == execution_id)
    }

    /// Appends the whole state.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.holdings.iter().count() as u64);
        for (instrument, holding) in self.holdings.iter() {
            out.put_u64(instrument.into());
            out.put_i64(holding.quantity);
            [holding.cost, holding.cash, holding.fees].into_iter().for_each(|value| out.put_i128(value));
            [holding.bought, holding.sold, holding.fills].into_iter().for_each(|value| out.put_u64(value));
        }
        out.put_u64(self.recent.len() as u64);
        for fill in &self.recent {
            [fill.sequence.0, fill.execution_id, fill.instrument.into(), fill.is_buy.into()]
                .into_iter()
                .for_each(|value| out.put_u64(value));
            out.put_i64(fill.price.0);
            out.put_u64(fill.quantity.0);
            out.put_i64(fill.fee);
        }
        out.put_u64(self.unmatched);
    }

    /// Reads the account that [`Account::snapshot`] wrote.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes were not written by [`Account::snapshot`].
    pub fn restore(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut account = Self::default();
        for _ in 0..reader.count("holdings")? {
            let instrument = reader.id("instrument")?;
            *account.holdings.entry(instrument) = Holding {
                quantity: reader.i64()?,
                cost: reader.i128()?,
                cash: reader.i128()?,
                fees: reader.i128()?,
                bought: reader.u64()?,
                sold: reader.u64()?,
                fills: reader.u64()?,
            };
        }
        for _ in 0..reader.at_most("fills", FILLS_REMEMBERED as u64)? {
            account.recent.push_back(Fill {
                sequence: Sequence(reader.u64()?),
                execution_id: reader.u64()?,
                instrument: reader.id("instrument")?,
                is_buy: reader.at_most("side", 1)? == 1,
                price: Price(reader.i64()?),
                quantity: Quantity(reader.u64()?),
                fee: reader.i64()?,
            });
        }
        account.unmatched = reader.u64()?;
        Ok(account)
    }
}

impl Holding {
    fn undo(&mut self, fill: &Fill) {
        self.trade(fill.price, -fill.signed(), -i128::from(fill.fee));
        let side = if fill.is_buy { &mut self.bought } else { &mut self.sold };
        *side = side.saturating_sub(fill.quantity.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill(sequence: u64, is_buy: bool, price: i64, quantity: u64) -> Fill {
        let sequence = Sequence(sequence);
        let (price, quantity) = (Price(price), Quantity(quantity));
        Fill { sequence, execution_id: sequence.0 + 1000, instrument: 7, is_buy, price, quantity, fee: 5 }
    }

    /// The textbook's average cost method, in floating point.
    #[derive(Default)]
    struct Naive {
        quantity: f64,
        average: f64,
        realised: f64,
    }

    impl Naive {
        fn trade(&mut self, price: f64, quantity: f64) {
            if self.quantity * quantity >= 0.0 {
                let total = self.quantity + quantity;
                self.average = (self.average * self.quantity + price * quantity) / total;
                self.quantity = total;
                return;
            }
            let closed = quantity.abs().min(self.quantity.abs());
            self.realised += closed * (price - self.average) * self.quantity.signum();
            let before = self.quantity;
            self.quantity += quantity;
            if before * self.quantity < 0.0 {
                self.average = price;
            }
            if self.quantity == 0.0 {
                self.average = 0.0;
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
        #[test]
        fn average_cost_agrees_with_the_textbook_and_loses_no_unit(
            trades in prop::collection::vec((any::<bool>(), 1_000_000i64..2_000_000, 1u64..50), 1..200),
            mark in 1_000_000i64..2_000_000,
        ) {
            let (mut account, mut naive, mut cash, mut held) = (Account::default(), Naive::default(), 0i128, 0i64);
            for (sequence, (is_buy, price, quantity)) in trades.into_iter().enumerate() {
                account.fill(fill(sequence as u64 + 1, is_buy, price, quantity));
                let signed = if is_buy { quantity as i64 } else { -(quantity as i64) };
                naive.trade(price as f64, signed as f64);
                cash -= i128::from(price) * i128::from(signed);
                held += signed;
                let holding = account.holding(7).unwrap();
                prop_assert_eq!(holding.quantity(), held);
                prop_assert_eq!(holding.realised() + holding.unrealised(Price(mark)), cash + i128::from(held) * i128::from(mark));
                prop_assert!((holding.realised() as f64 - naive.realised).abs() < 200.0);
                match holding.average_price() {
                    Some(average) => prop_assert!((average.0 as f64 - naive.average).abs() < 100.0),
                    None => prop_assert_eq!(held, 0),
                }
            }
        }

        #[test]
        fn a_busted_fill_leaves_the_sum_as_if_it_had_never_been(
            trades in prop::collection::vec((any::<bool>(), 1_000_000i64..2_000_000, 1u64..50), 1..50),
            busted in any::<prop::sample::Index>(),
        ) {
            let busted = busted.index(trades.len());
            let (mut account, mut without) = (Account::default(), Account::default());
            for (at, (is_buy, price, quantity)) in trades.into_iter().enumerate() {
                let fill = fill(at as u64 + 1, is_buy, price, quantity);
                account.fill(fill);
                if at != busted {
                    without.fill(fill);
                }
            }
            prop_assert!(account.bust(Sequence(busted as u64 + 1), 0));
            prop_assert!(!account.bust(Sequence(busted as u64 + 1), 0));
            let nothing = Holding::default();
            let (a, b) = (account.holding(7).unwrap(), without.holding(7).unwrap_or(&nothing));
            let mark = Price(1_500_000);
            prop_assert_eq!(a.realised() + a.unrealised(mark), b.realised() + b.unrealised(mark));
            prop_assert_eq!((a.quantity(), a.fees(), a.turnover()), (b.quantity(), b.fees(), b.turnover()));
        }
    }

    #[test]
    fn a_round_trip_in_futures_is_worth_its_ticks() {
        let mut account = Account::default();
        account.fill(fill(1, true, 5_214_000_000_000, 2));
        account.fill(fill(2, false, 5_214_250_000_000, 2));
        let scale = ContractScale { multiplier: 50_000_000_000, quantity_exponent: 0 };
        assert_eq!(scale.money(account.holding(7).unwrap().realised()).to_string(), "25.00");
        assert_eq!(account.holding(7).unwrap().fees(), Money(10));
    }

    #[test]
    fn a_correction_replaces_the_terms_and_an_unknown_one_is_counted() {
        let mut account = Account::default();
        account.fill(fill(3, true, 100, 10));
        assert!(account.correct(Sequence(0), 1003, Price(90), Quantity(4), None));
        let holding = account.holding(7).unwrap();
        assert_eq!(
            (holding.quantity(), holding.average_price(), holding.fees()),
            (4, Some(Price(90)), Money(5))
        );
        assert!(!account.correct(Sequence(9), 0, Price(90), Quantity(4), None));
        assert_eq!(account.unmatched(), 1);
    }

    #[test]
    fn a_snapshot_restores_the_account() {
        let mut account = Account::default();
        account.fill(fill(1, true, 100, 10));
        account.fill(fill(2, false, 107, 3));
        let mut bytes = Vec::new();
        account.snapshot(&mut bytes);
        let mut reader = SnapshotReader::new(&bytes);
        let mut restored = Account::restore(&mut reader).unwrap();
        reader.finish().unwrap();
        assert_eq!(restored.holding(7), account.holding(7));
        assert!(restored.bust(Sequence(2), 0));
        assert!(Account::restore(&mut SnapshotReader::new(&bytes[..bytes.len() - 1])).is_err());
    }

    #[test]
    fn money_prints_with_as_many_places_as_asked_for() {
        assert_eq!(Money(-12_505_000_000).to_string(), "-12.51");
        assert_eq!(format!("{:.0}", Money(1_500_000_000)), "2");
        assert_eq!(format!("{:.9}", Money(-1)), "-0.000000001");
        assert_eq!(Money(-1).to_string(), "0.00");
    }
}
