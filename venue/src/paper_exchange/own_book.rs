//! Reports from the exchange's own book, where orders trade with one another.

use super::fees::FeeSchedule;
use super::report::{Fill, Reporter, wire_side};
use crate::matching::{CancelReason, MatchedTrade, MatchingListener, MatchingOrder};
use stele_strategies::account::ContractScale;
use stele_wire::messages::{Liquidity, Side};

/// Turns the events of one book into reports, and its trades into market data.
pub(super) struct BookReporter<'a> {
    pub(super) reporter: &'a mut Reporter,
    pub(super) fees: FeeSchedule,
    pub(super) scale: ContractScale,
    pub(super) currency: [u8; 3],
}

impl MatchingListener for BookReporter<'_> {
    fn traded(
        &mut self,
        maker: &MatchingOrder,
        taker: &MatchingOrder,
        MatchedTrade { price, quantity, is_auction }: MatchedTrade,
    ) {
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

    fn cancelled(&mut self, order: &MatchingOrder, quantity: u64, why: CancelReason) {
        self.reporter.cancelled(order.into(), quantity, why.into());
    }

    fn triggered(&mut self, order: &MatchingOrder) {
        self.reporter.triggered(order);
    }

    fn refreshed(&mut self, order: &MatchingOrder) {
        self.reporter.refreshed(order);
    }

    fn expired(&mut self, order: &MatchingOrder, quantity: u64) {
        self.reporter.expired(order, quantity);
    }
}
