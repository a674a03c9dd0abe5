//! Read access to the strategies of a host, and their results.

use super::seat::StrategyState;
use super::standing::Standing;
use crate::account::Holding;
use crate::market::Market;
use crate::strategy::{Profit, StrategyRecord};
use stele_wire::Price;

/// Read access to a strategy of a host.
#[derive(Clone, Copy)]
pub struct HostedStrategy<'a> {
    /// Id of the strategy on the log.
    pub id: u16,
    /// Its name, its parameters as text, and whether it is paused.
    pub standing: &'a Standing,
    /// Current state.
    pub state: StrategyState,
    /// Positions, orders, timers and parameters.
    pub record: &'a StrategyRecord,
}

/// The result of a strategy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StrategyResult {
    /// Id of the strategy on the log.
    pub id: u16,
    /// Name of the kind of strategy.
    pub name: String,
    /// Current state.
    pub state: StrategyState,
    /// Profit over all instruments.
    pub profit: Profit,
    /// The instruments it has traded, in the order of their first trade.
    pub holdings: Vec<HoldingSummary>,
    /// The number of open orders.
    pub open_orders: usize,
    /// The number of requests that were not sent: see [`crate::StrategyRecord::withheld`].
    pub withheld: u64,
    /// Whether an operator has paused it.
    pub is_paused: bool,
    /// The number of orders that were not sent because it was paused: see
    /// [`crate::StrategyRecord::suppressed`].
    pub suppressed: u64,
}

/// The position of a strategy in one instrument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldingSummary {
    /// Id of the instrument.
    pub instrument: u32,
    /// The venue's symbol; empty when the instrument was not defined.
    pub symbol: String,
    /// Position, average price and fills.
    pub holding: Holding,
    /// The current mark, if there is one: mid of the book, or price of the last trade.
    pub mark: Option<Price>,
    /// Profit in this instrument.
    pub profit: Profit,
}

impl HostedStrategy<'_> {
    pub(super) fn summary(&self, market: &Market) -> StrategyResult {
        let holdings = self.record.account().holdings().map(|(id, holding)| {
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
            name: self.standing.name.clone(),
            state: self.state,
            profit: self.record.profit(market),
            holdings: holdings.collect(),
            open_orders: self.record.orders().iter().len(),
            withheld: self.record.withheld(),
            is_paused: self.standing.paused_at.is_some(),
            suppressed: self.record.suppressed(),
        }
    }
}
