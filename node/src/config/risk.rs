//! `[risk]`: the checks before an order is sequenced, and how the firm's credit is shared out between shards.

use super::Config;
use super::page::Page;
use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use stele_risk::{Allotment, RiskLimits};
use stele_wire::{Price, Quantity};

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RiskConfig {
    pub(crate) order_quantity_max: u64,
    pub(crate) order_notional_max: u64,
    pub(crate) four_eyes: bool,
    /// In whole units of currency; without it credit is not bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) firm_credit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) credit_changed_by: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) credit_approved_by: Option<u32>,
}

impl Default for RiskConfig {
    fn default() -> Self {
        Self {
            order_quantity_max: 1_000_000,
            order_notional_max: 1_000_000_000,
            four_eyes: false,
            firm_credit: None,
            credit_changed_by: None,
            credit_approved_by: None,
        }
    }
}

/// The account that stands for the firm in an allotment.
const FIRM: u32 = 0;
/// Whole units of currency that an amount of 1e-9 takes.
const CREDIT_MAX: u64 = (i64::MAX / Price::SCALE) as u64;

/// The firm's credit as the configuration shares it out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Credit {
    /// 1e-9 of the currency.
    pub(crate) firm: i64,
    /// A part for each shard of the run, also those of other processes.
    pub(crate) allotments: Vec<Allotment>,
    /// Party codes of who changes it and who approves; 0 for nobody.
    pub(crate) people: [u32; 2],
}

impl RiskConfig {
    /// The largest value of an order in the unit of the check, 1e-9 of the currency.
    pub(crate) fn notional_limit(&self) -> i64 {
        i64::try_from(self.order_notional_max).unwrap_or(i64::MAX).saturating_mul(Price::SCALE)
    }

    /// What orders are held against before anything on the log says otherwise.
    pub(crate) fn limits(&self) -> RiskLimits {
        RiskLimits {
            order_quantity_max: Some(Quantity(self.order_quantity_max)),
            order_notional_max: Some(self.notional_limit()),
            has_sealer: false,
            four_eyes: self.four_eyes,
        }
    }

    pub(super) fn render(&self, page: &mut Page<'_>) {
        page.section("risk", "Checks before an order is sequenced");
        page.key("order_quantity_max", self.order_quantity_max, "units");
        page.key("order_notional_max", self.order_notional_max, "whole units of currency");
        page.key("four_eyes", self.four_eyes, "a limit is changed by two different people");
        let meaning =
            "whole units of currency, shared out between the shards; without it credit has no bound";
        page.optional("firm_credit", &self.firm_credit, 1_000_000, meaning);
        let code = |code: Option<u32>| code.map(u64::from);
        let meaning = "party code of who shares it out so; needed where four eyes are asked for";
        page.optional("credit_changed_by", &code(self.credit_changed_by), 7, meaning);
        page.optional("credit_approved_by", &code(self.credit_approved_by), 8, "party code of who approves");
    }
}

impl Config {
    /// How the firm's credit is shared out: a shard has what its `credit` says; those that say nothing have equal parts
    /// of the rest. None where it is not bounded.
    ///
    /// # Errors
    /// [`Failure`]: the shards' parts are more than the firm has, or a person is missing.
    pub(crate) fn credit(&self) -> Result<Option<Credit>, Failure> {
        let risk = &self.risk;
        let Some(firm) = risk.firm_credit else {
            return match self.shard.iter().find(|shard| shard.credit.is_some()) {
                None => Ok(None),
                Some(shard) => Err(Failure::usage(format!(
                    "[[shard]] {} has a credit and [risk] has no firm_credit",
                    shard.id
                ))
                .help("firm_credit says what all shards together may use")),
            };
        };
        if firm > CREDIT_MAX {
            return Err(Failure::usage(format!("[risk] firm_credit is {firm}"))
                .help(format!("at most {CREDIT_MAX}: amounts are kept in 1e-9 of the currency")));
        }
        let people = [risk.credit_changed_by, risk.credit_approved_by].map(Option::unwrap_or_default);
        if risk.four_eyes && (people.contains(&0) || people[0] == people[1]) {
            return Err(Failure::usage(
                "[risk] four_eyes is asked for, and two people do not stand behind firm_credit",
            )
            .help("credit_changed_by and credit_approved_by take the codes of two different people"));
        }
        let named: u64 = self.shard.iter().filter_map(|shard| shard.credit).fold(0, u64::saturating_add);
        let Some(rest) = firm.checked_sub(named) else {
            return Err(Failure::usage(format!(
                "the shards have a credit of {named} together, the firm {firm}"
            ))
            .help("lower the credit of a [[shard]], or raise [risk] firm_credit"));
        };
        let unnamed = self.shard.iter().filter(|shard| shard.credit.is_none()).count().max(1);
        let part = rest / unnamed as u64;
        let allotment =
            |shard, units: u64| Allotment { account: FIRM, shard, amount: units as i64 * Price::SCALE };
        let allotments = match self.shard.as_slice() {
            [] => vec![allotment(0, firm)],
            shards => shards.iter().map(|shard| allotment(shard.id, shard.credit.unwrap_or(part))).collect(),
        };
        Ok(Some(Credit { firm: firm as i64 * Price::SCALE, allotments, people }))
    }
}

impl Credit {
    /// What the log is to be told so that it has these parts in place of `known`: what takes away first, so that the
    /// sum never exceeds the firm's. A shard that is no more has nothing.
    #[must_use]
    pub(crate) fn changes<'a>(mut self, known: impl Iterator<Item = &'a Allotment>) -> Self {
        let known: Vec<Allotment> = known.filter(|known| known.account == FIRM).copied().collect();
        let before = |shard| known.iter().find(|known| known.shard == shard).map(|known| known.amount);
        let gone = known.iter().filter(|known| !self.allotments.iter().any(|new| new.shard == known.shard));
        let gone = gone.map(|known| Allotment { amount: 0, ..*known });
        let mut changes: Vec<Allotment> = self.allotments.iter().copied().chain(gone).collect();
        changes.retain(|new| before(new.shard) != Some(new.amount));
        changes.sort_by_key(|new| new.amount > before(new.shard).unwrap_or(0));
        self.allotments = changes;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credit(page: &str) -> Result<Option<Credit>, String> {
        toml::from_str::<Config>(page).unwrap().credit().map_err(|failure| failure.to_string())
    }

    fn parts(page: &str) -> Vec<(u32, i64)> {
        let credit = credit(page).unwrap().unwrap();
        credit.allotments.iter().map(|part| (part.shard, part.amount / Price::SCALE)).collect()
    }

    const SHARDS: &str = "[[shard]]\nid = 1\ninstruments = ['A']\ncredit = 60\n\
                          [[shard]]\nid = 2\ninstruments = ['B']\n[[shard]]\nid = 3\ninstruments = 'rest'\n";

    #[test]
    fn the_only_shard_has_all_of_it_and_of_several_each_what_it_says_or_an_equal_part_of_the_rest() {
        assert_eq!(credit("").unwrap(), None);
        assert_eq!(parts("[risk]\nfirm_credit = 100\n"), [(0, 100)]);
        assert_eq!(parts(&format!("[risk]\nfirm_credit = 100\n{SHARDS}")), [(1, 60), (2, 20), (3, 20)]);
        assert_eq!(parts(&format!("[risk]\nfirm_credit = 61\n{SHARDS}")), [(1, 60), (2, 0), (3, 0)]);
    }

    #[test]
    fn parts_beyond_the_firms_are_refused_with_both_numbers() {
        let failure = credit(&format!("[risk]\nfirm_credit = 59\n{SHARDS}")).unwrap_err();
        assert!(failure.contains("60 together, the firm 59"), "{failure}");
        assert!(credit(SHARDS).unwrap_err().contains("no firm_credit"));
        assert!(
            credit("[risk]\nfirm_credit = 9300000000\n").unwrap_err().contains("firm_credit is 9300000000")
        );
    }

    #[test]
    fn four_eyes_are_those_of_two_people() {
        let page = |people: &str| format!("[risk]\nfour_eyes = true\nfirm_credit = 5\n{people}");
        for people in ["", "credit_changed_by = 7\n", "credit_changed_by = 7\ncredit_approved_by = 7\n"] {
            assert!(credit(&page(people)).unwrap_err().contains("two people"), "{people}");
        }
        let credit = credit(&page("credit_changed_by = 7\ncredit_approved_by = 8\n")).unwrap().unwrap();
        assert_eq!(credit.people, [7, 8]);
    }

    #[test]
    fn what_takes_away_comes_first_and_what_stays_is_not_told_again() {
        let part = |shard, amount| Allotment { account: FIRM, shard, amount };
        let new =
            Credit { firm: 100, allotments: vec![part(1, 70), part(2, 10), part(3, 20)], people: [0, 0] };
        let known =
            [part(1, 40), part(2, 30), part(3, 20), part(4, 10), Allotment { account: 5, ..part(9, 1) }];
        let recorded = new.clone().changes(known.iter());
        assert_eq!(recorded.allotments, [part(2, 10), part(4, 0), part(1, 70)]);
        assert_eq!(new.clone().changes(new.allotments.iter()).allotments, []);
    }
}
