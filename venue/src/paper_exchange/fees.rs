//! Fees of executions.

use stele_strategies::account::ContractScale;
use stele_wire::Price;

/// How a fee is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeeRate {
    /// No fee.
    Free,
    /// A fee for each whole unit (share, contract), in units of 1e-9 of the currency; a negative value is a
    /// rebate.
    PerUnit(i64),
    /// A fee in billionths of the traded value; [`FeeRate::BASIS_POINT`] is one basis point. A negative
    /// value is a rebate.
    OfValue(i64),
}

/// The fees of the two sides of a trade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeeSchedule {
    /// The fee of an order that rested in the book.
    pub maker: FeeRate,
    /// The fee of an order that took from the book.
    pub taker: FeeRate,
}

impl FeeSchedule {
    /// No fees.
    pub const FREE: Self = Self { maker: FeeRate::Free, taker: FeeRate::Free };
}

impl FeeRate {
    /// One basis point of the traded value.
    pub const BASIS_POINT: i64 = 100_000;

    /// Returns the fee of `quantity` at `price`, in units of 1e-9 of the currency, rounded half away from
    /// zero. None when it does not fit an `i64`.
    pub fn fee(self, price: i64, quantity: u64, scale: ContractScale) -> Option<i64> {
        let amount = match self {
            Self::Free => 0,
            Self::PerUnit(rate) => {
                let unit = ContractScale { multiplier: Price::SCALE, ..scale };
                unit.money(i128::from(rate).checked_mul(i128::from(quantity))?).0
            }
            Self::OfValue(rate) => {
                let value = scale.money(i128::from(price).abs().checked_mul(i128::from(quantity))?);
                ContractScale { multiplier: rate, quantity_exponent: 0 }.money(value.0).0
            }
        };
        i64::try_from(amount).ok().filter(|amount| *amount != i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: ContractScale = ContractScale { multiplier: Price::SCALE, quantity_exponent: 0 };

    #[test]
    fn a_fee_per_unit_counts_whole_units() {
        assert_eq!(FeeRate::PerUnit(3_000_000).fee(1, 200, SHARE), Some(600_000_000));
        let hundredths = ContractScale { quantity_exponent: -2, ..SHARE };
        assert_eq!(FeeRate::PerUnit(-2_000_000).fee(1, 150, hundredths), Some(-3_000_000));
    }

    #[test]
    fn a_fee_of_the_value_counts_price_quantity_and_multiplier() {
        let point = FeeRate::OfValue(FeeRate::BASIS_POINT);
        let future = ContractScale { multiplier: 50 * Price::SCALE, quantity_exponent: 0 };
        assert_eq!(
            point.fee(5_214_250_000_000, 2, future),
            Some(52_142_500_000),
            "1/10,000 of 2 × 50 × 5214.25"
        );
        assert_eq!(
            point.fee(-37_000_000_000, 1, SHARE),
            Some(3_700_000),
            "a fee on a negative price is still paid"
        );
    }

    #[test]
    fn a_fee_that_does_not_fit_is_none() {
        assert_eq!(FeeRate::PerUnit(i64::MAX).fee(1, u64::MAX, SHARE), None);
        assert_eq!(FeeRate::OfValue(1_000_000_000).fee(i64::MAX - 1, u64::MAX, SHARE), None);
        assert_eq!(FeeRate::Free.fee(i64::MAX, u64::MAX, SHARE), Some(0));
    }
}
