//! The host's record of a strategy: orders, positions, parameters, timers, and the numbers that it assigns.

use super::timers::Timers;
use crate::account::{Account, Holding, Money};
use crate::market::{Instrument, Market};
use crate::order::OrderTable;
use crate::parameters::Parameters;
use crate::random::Random;

/// The source of a strategy's client order ids, timer ids and alert ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderIds {
    /// Id of the strategy.
    pub strategy: u16,
    /// The low 16 bits of the log's epoch.
    pub epoch: u16,
    /// The number of ids assigned in this epoch.
    pub given: u32,
}

impl OrderIds {
    /// The next id: `strategy << 48 | epoch << 32 | counter`, where the counter starts at 1 in each epoch. No
    /// id repeats in a trail before its 65,536th epoch.
    pub(super) fn next(&mut self) -> u64 {
        self.given += 1;
        u64::from(self.strategy) << 48 | u64::from(self.epoch) << 32 | u64::from(self.given)
    }
}

/// The host's record of a strategy, apart from the strategy's own state: account, open orders, timers,
/// parameters.
#[derive(Clone, Debug)]
pub struct StrategyRecord {
    pub(crate) ids: OrderIds,
    pub(crate) publisher: u16,
    pub(crate) account_id: u32,
    pub(crate) algorithm: u32,
    pub(crate) parameters: Parameters,
    pub(crate) random: Random,
    pub(crate) account: Account,
    pub(crate) orders: OrderTable,
    /// The number of submissions still allowed for this event.
    pub(crate) budget: usize,
    /// Requests that were not sent.
    pub(crate) withheld: u64,
    /// Orders and replacements that were not sent because the strategy was paused.
    pub(crate) suppressed: u64,
    pub(crate) timers: Timers,
}

impl StrategyRecord {
    /// Positions and their costs.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The open orders.
    pub fn orders(&self) -> &OrderTable {
        &self.orders
    }

    /// The parameters that the strategy runs with.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The number of requests that were not sent, because they were malformed or exceeded
    /// [`SUBMISSIONS_PER_EVENT_MAX`] or [`crate::OPEN_ORDERS_MAX`].
    ///
    /// [`SUBMISSIONS_PER_EVENT_MAX`]: crate::strategy::SUBMISSIONS_PER_EVENT_MAX
    pub fn withheld(&self) -> u64 {
        self.withheld
    }

    /// The number of orders and replacements that were not sent because an operator had paused the strategy.
    pub fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// Profit so far at the market's current marks. An instrument without a mark has no unrealised profit.
    pub fn profit(&self, market: &Market) -> Profit {
        let each = self.account.holdings().map(|(id, holding)| Profit::of(holding, market.instrument(id)));
        each.fold(Profit::default(), |sum, one| Profit {
            realised: sum.realised + one.realised,
            unrealised: sum.unrealised + one.unrealised,
            fees: sum.fees + one.fees,
        })
    }
}

/// Profit of a strategy. Amounts of several currencies are added without conversion.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Profit {
    /// Profit of closed positions.
    pub realised: Money,
    /// Profit of open positions, at the mid of the book, or the last trade's price where the book has no mid.
    pub unrealised: Money,
    /// Fees paid for executions.
    pub fees: Money,
}

impl Profit {
    /// Profit of one holding; without a mark the unrealised part is 0.
    pub(crate) fn of(holding: &Holding, instrument: Option<&Instrument>) -> Self {
        let scale = instrument.map(Instrument::scale).unwrap_or_default();
        let mark = instrument.and_then(Instrument::mark);
        Self {
            realised: scale.money(holding.realised()),
            unrealised: mark.map_or(Money(0), |mark| scale.money(holding.unrealised(mark))),
            fees: holding.fees(),
        }
    }

    /// Realised plus unrealised profit, minus fees.
    pub fn net(&self) -> Money {
        self.realised + self.unrealised - self.fees
    }
}

/// The number of submissions of each publisher so far, in all sessions. The host assigns the publishers'
/// numbers itself, so that they follow from the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) given: Vec<(u16, u64)>,
}

impl Numbers {
    /// The number of the publisher's next submission, starting at 1.
    pub(crate) fn next(&mut self, publisher: u16) -> u64 {
        match self.given.iter_mut().find(|(id, _)| *id == publisher) {
            Some((_, given)) => {
                *given += 1;
                *given
            }
            None => {
                self.given.push((publisher, 1));
                1
            }
        }
    }
}
