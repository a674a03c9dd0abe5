//! What strategies have come to, for a person.

use super::{HostedStrategy, StrategyState};
use crate::account::Holding;
use crate::market::Market;
use crate::strategy::Profit;
use stele_wire::Price;

/// What a strategy has come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StrategyResult {
    /// Its id on the log.
    pub id: u16,
    /// The kind of strategy.
    pub name: String,
    /// What it is at the moment.
    pub state: StrategyState,
    /// What it has earned.
    pub profit: Profit,
    /// Instruments it has traded, in the order of the first trade.
    pub holdings: Vec<HoldingSummary>,
    /// Orders that are still open.
    pub open_orders: usize,
    /// Requests that it made and that were not sent: see [`crate::TradingState::withheld`].
    pub withheld: u64,
}

/// What a strategy holds of one instrument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldingSummary {
    /// The instrument.
    pub instrument: u32,
    /// The venue's symbol; empty when there was no definition.
    pub symbol: String,
    /// Position, average price, fills.
    pub holding: Holding,
    /// What a unit is worth now.
    pub mark: Option<Price>,
    /// What it has brought.
    pub profit: Profit,
}

impl HostedStrategy<'_> {
    pub(super) fn summary(&self, market: &Market) -> StrategyResult {
        let holdings = self.trading.account().holdings().map(|(id, holding)| {
            let instrument = market.instrument(id);
            HoldingSummary {
                instrument: id,
                symbol: instrument.map(|known| known.symbol().to_owned()).unwrap_or_default(),
                holding: *holding,
                mark: instrument.and_then(|known| known.mark()),
                profit: Profit::of(holding, instrument),
            }
        });
        StrategyResult {
            id: self.id,
            name: self.name.to_owned(),
            state: self.state,
            profit: self.trading.profit(market),
            holdings: holdings.collect(),
            open_orders: self.trading.orders().iter().len(),
            withheld: self.trading.withheld(),
        }
    }
}
