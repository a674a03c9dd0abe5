//! The firm's credit allotted to shards never exceeds what there is.

use super::{CheckCounts, Rule, Verdict, breach};
use std::collections::BTreeMap;
use stele_wire::Frame;
use stele_wire::messages::CreditAllotment;

#[derive(Debug, Default)]
pub(super) struct Credit {
    /// By account (0 for the firm) and shard. An allotment holds until it is replaced, also across epochs.
    parts: BTreeMap<(u32, u32), i64>,
}

impl Credit {
    pub(super) fn on_allotment(&mut self, frame: &Frame<'_>, counts: &mut CheckCounts) -> Verdict {
        let Some(allotment) = frame.message::<CreditAllotment>() else { return Ok(()) };
        counts.add(Rule::CreditAllotted);
        let (account, amount) = (allotment.account.get(), allotment.amount.get());
        self.parts.insert((account, allotment.shard.get()), amount);
        let parts = self.parts.range((account, 0)..=(account, u32::MAX));
        let sum: i128 = parts.map(|(_, part)| i128::from(*part)).sum();
        let limit = allotment.firm_limit.get();
        if amount < 0 || sum > limit.into() {
            let expected = format!("parts of at least 0, together at most {limit}");
            return breach(Rule::CreditAllotted, expected, format!("a part of {amount}, together {sum}"));
        }
        Ok(())
    }
}
