//! Credit allotments: how the firm's credit is divided between shards.

use crate::bounds::RISK_ALLOTMENTS_MAX;
use stele_wire::messages::CreditAllotment;

/// A shard's part of an account's credit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allotment {
    /// The account; 0 is the firm.
    pub account: u32,
    /// The shard that may use the credit.
    pub shard: u32,
    /// The amount, in units of 1e-9 of the currency.
    pub amount: i64,
}

/// Every allotment in force, over all shards.
#[derive(Clone, Debug)]
pub(crate) struct Allotments {
    rows: Vec<Allotment>,
}

impl Default for Allotments {
    fn default() -> Self {
        Self { rows: Vec::with_capacity(RISK_ALLOTMENTS_MAX) }
    }
}

impl Allotments {
    fn find(&self, account: u32, shard: u32) -> Option<usize> {
        self.rows.iter().position(|row| (row.account, row.shard) == (account, shard))
    }

    /// The part of an account's credit that a shard may use, if any was allotted.
    pub(crate) fn amount(&self, account: u32, shard: u32) -> Option<i64> {
        self.find(account, shard).map(|at| self.rows[at].amount)
    }

    /// The account's credit that all shards together could use once the allotment is in force.
    pub(crate) fn sum_with(&self, allotment: &CreditAllotment) -> i128 {
        let (account, shard) = (allotment.account.get(), allotment.shard.get());
        let others = self.rows.iter().filter(|row| row.account == account && row.shard != shard);
        others.map(|row| i128::from(row.amount)).sum::<i128>() + i128::from(allotment.amount.get())
    }

    pub(crate) fn has_room(&self, account: u32, shard: u32) -> bool {
        self.rows.len() < RISK_ALLOTMENTS_MAX || self.find(account, shard).is_some()
    }

    /// Sets an allotment, which replaces the previous one of its account and shard, if there is room.
    pub(crate) fn set(&mut self, allotment: Allotment) {
        match self.find(allotment.account, allotment.shard) {
            Some(at) => self.rows[at] = allotment,
            None if self.rows.len() < RISK_ALLOTMENTS_MAX => self.rows.push(allotment),
            None => {}
        }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Allotment> {
        self.rows.iter()
    }
}
