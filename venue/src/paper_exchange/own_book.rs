//! Orders that trade with one another: the exchange's own book, told as reports.

use super::fees::FeeSchedule;
use super::report::{Fill, Reporter, wire_side};
use crate::matching::{Lapse, Order, Tape, Traded};
use stele_strategies::account::ContractScale;
use stele_wire::messages::{Liquidity, Side};

/// Turns what happens in one book into reports, and into trades that everybody sees.
pub(super) struct OwnTape<'a> {
    pub(super) reporter: &'a mut Reporter,
    pub(super) fees: FeeSchedule,
    pub(super) scale: ContractScale,
    pub(super) currency: [u8; 3],
}

impl Tape for OwnTape<'_> {
    fn traded(&mut self, maker: &Order, taker: &Order, Traded { price, quantity, is_auction }: Traded) {
        let id = self.reporter.next_match_id();
        let aggressor = if is_auction { Side::NONE } else { wire_side(taker.side) };
        self.reporter.traded(maker.instrument, aggressor, price, quantity, id);
        let sides = [(maker, self.fees.maker, Liquidity::MAKER), (taker, self.fees.taker, Liquidity::TAKER)];
        for (order, rate, liquidity) in sides {
            let (rate, liquidity) =
                if is_auction { (self.fees.taker, Liquidity::AUCTION) } else { (rate, liquidity) };
            let fee = rate.fee(price, quantity, self.scale);
            let currency = self.currency;
            self.reporter
                .filled(order, Fill { price, quantity, liquidity, fee, currency, match_id: Some(id) });
        }
    }

    fn lapsed(&mut self, order: &Order, quantity: u64, why: Lapse) {
        self.reporter.cancelled(order.into(), quantity, why.into());
    }

    fn triggered(&mut self, order: &Order) {
        self.reporter.triggered(order);
    }

    fn refreshed(&mut self, order: &Order) {
        self.reporter.refreshed(order);
    }

    fn expired(&mut self, order: &Order, quantity: u64) {
        self.reporter.expired(order, quantity);
    }
}
