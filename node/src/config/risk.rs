//! The checks before an order is sequenced, and the firm's credit and its allotment to the shards: `[risk]`.

use super::Config;
use super::page::Page;
use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use stele_risk::{Allotment, RiskCapacity, RiskLimits};
use stele_wire::{Price, Quantity};

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RiskConfig {
    pub(crate) order_quantity_max: u64,
    pub(crate) order_notional_max: u64,
    pub(crate) four_eyes: bool,
    /// The firm's credit in whole units of currency; none: credit is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) firm_credit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) credit_changed_by: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) credit_approved_by: Option<u32>,
    pub(crate) instruments: usize,
    pub(crate) accounts: usize,
    pub(crate) strategies: usize,
    pub(crate) holdings: usize,
    pub(crate) open_orders: usize,
    /// None: half of `open_orders`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strategy_open_orders: Option<usize>,
    /// None: `open_orders`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account_open_orders: Option<usize>,
    /// None: three quarters of `holdings`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strategy_holdings: Option<usize>,
}

impl Default for RiskConfig {
    fn default() -> Self {
        let capacity = RiskCapacity::default();
        Self {
            order_quantity_max: 1_000_000,
            order_notional_max: 1_000_000_000,
            four_eyes: false,
            firm_credit: None,
            credit_changed_by: None,
            credit_approved_by: None,
            instruments: capacity.instruments,
            accounts: capacity.accounts,
            strategies: capacity.strategies,
            holdings: capacity.holdings,
            open_orders: capacity.open_orders,
            strategy_open_orders: None,
            account_open_orders: None,
            strategy_holdings: None,
        }
    }
}

/// The account that stands for the firm in an allotment.
const FIRM: u32 = 0;
/// The most whole units of currency that an amount in 1e-9 of the currency can hold.
const CREDIT_MAX: u64 = (i64::MAX / Price::SCALE) as u64;

/// The firm's credit and its allotments, as configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Credit {
    /// The firm's credit, in 1e-9 of the currency.
    pub(crate) firm: i64,
    /// An allotment for each shard of the run, including those of other processes.
    pub(crate) allotments: Vec<Allotment>,
    /// The codes of the parties that change and approve the allotments; 0 where none is given.
    pub(crate) people: [u32; 2],
}

impl RiskConfig {
    /// Returns the largest value of an order, in 1e-9 of the currency.
    pub(crate) fn notional_limit(&self) -> i64 {
        i64::try_from(self.order_notional_max).unwrap_or(i64::MAX).saturating_mul(Price::SCALE)
    }

    /// Returns the sizes of the tables of the checks.
    ///
    /// # Errors
    /// [`Failure`]: a size is not possible.
    fn capacity(&self) -> Result<RiskCapacity, Failure> {
        let (orders, holdings) = (self.open_orders, self.holdings);
        let capacity = RiskCapacity {
            instruments: self.instruments,
            accounts: self.accounts,
            strategies: self.strategies,
            holdings,
            open_orders: orders,
            strategy_open_orders: self.strategy_open_orders.unwrap_or(orders.div_ceil(2)),
            account_open_orders: self.account_open_orders.unwrap_or(orders),
            strategy_holdings: self.strategy_holdings.unwrap_or(holdings - holdings / 4),
        };
        let checked = capacity.validate().map(|()| capacity);
        checked
            .map_err(|error| Failure::usage(format!("[risk] {error}")).help("`stele config` lists the keys"))
    }

    /// Returns the limits that apply until an event on the log changes them, and the sizes of the tables.
    ///
    /// # Errors
    /// [`Failure`]: a size is not possible.
    pub(crate) fn limits(&self) -> Result<RiskLimits, Failure> {
        Ok(RiskLimits {
            order_quantity_max: Some(Quantity(self.order_quantity_max)),
            order_notional_max: Some(self.notional_limit()),
            has_sealer: false,
            four_eyes: self.four_eyes,
            capacity: self.capacity()?,
        })
    }

    pub(super) fn render(&self, page: &mut Page<'_>) {
        page.section("risk", "Checks before an order is sequenced");
        page.key("order_quantity_max", self.order_quantity_max, "largest quantity of an order");
        page.key(
            "order_notional_max",
            self.order_notional_max,
            "largest value of an order, in whole units of currency",
        );
        page.key("four_eyes", self.four_eyes, "a change of a limit needs a second person's approval");
        let meaning =
            "the firm's credit in whole units of currency, divided between the shards; default: unlimited";
        page.optional("firm_credit", &self.firm_credit, 1_000_000, meaning);
        let code = |code: Option<u32>| code.map(u64::from);
        let meaning = "code of the party that divides the credit so; needed with four_eyes";
        page.optional("credit_changed_by", &code(self.credit_changed_by), 7, meaning);
        page.optional(
            "credit_approved_by",
            &code(self.credit_approved_by),
            8,
            "code of the party that approves it",
        );
        self.render_capacity(page);
    }

    fn render_capacity(&self, page: &mut Page<'_>) {
        page.key("instruments", self.instruments, "the most instruments that are defined or have limits");
        page.key("accounts", self.accounts, "the most accounts");
        page.key("strategies", self.strategies, "the most strategies that send orders");
        page.key("holdings", self.holdings, "the most pairs of an account and an instrument it trades");
        page.key("open_orders", self.open_orders, "the most orders and legs of quotes that are open at once");
        let (half, quarters) = (self.open_orders.div_ceil(2), self.holdings - self.holdings / 4);
        let meaning = "the part of open_orders that one strategy may use; default: half of them";
        page.optional("strategy_open_orders", &self.strategy_open_orders, half, meaning);
        let meaning = "the part of open_orders that one account may use; default: all of them";
        page.optional("account_open_orders", &self.account_open_orders, self.open_orders, meaning);
        let meaning = "the part of holdings that one strategy may create; default: three quarters of them";
        page.optional("strategy_holdings", &self.strategy_holdings, quarters, meaning);
    }
}

impl Config {
    /// Returns the firm's credit and its allotments: a shard has its `credit`; shards without one have equal
    /// parts of the rest. None where credit is unlimited.
    ///
    /// # Errors
    /// [`Failure`]: the shards' parts are together more than the firm has, or a party's code is missing.
    pub(crate) fn credit(&self) -> Result<Option<Credit>, Failure> {
        let risk = &self.risk;
        let Some(firm) = risk.firm_credit else {
            return match self.shard.iter().find(|shard| shard.credit.is_some()) {
                None => Ok(None),
                Some(shard) => Err(Failure::usage(format!(
                    "[[shard]] {} has a credit, but [risk] has no firm_credit",
                    shard.id
                ))
                .help("set firm_credit to the credit of all shards together")),
            };
        };
        if firm > CREDIT_MAX {
            return Err(Failure::usage(format!("[risk] firm_credit is {firm}"))
                .help(format!("at most {CREDIT_MAX}: amounts are kept in 1e-9 of the currency")));
        }
        let people = [risk.credit_changed_by, risk.credit_approved_by].map(Option::unwrap_or_default);
        if risk.four_eyes && (people.contains(&0) || people[0] == people[1]) {
            return Err(Failure::usage(
                "[risk] four_eyes is true, but firm_credit does not have the codes of two different people",
            )
            .help("set credit_changed_by and credit_approved_by to the codes of two different people"));
        }
        let named: u64 = self.shard.iter().filter_map(|shard| shard.credit).fold(0, u64::saturating_add);
        let Some(rest) = firm.checked_sub(named) else {
            return Err(Failure::usage(format!(
                "the shards have a credit of {named} together, but firm_credit is {firm}"
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
    /// Returns the allotments that must be recorded so that these replace `known`. Reductions come first, so
    /// that the sum never exceeds the firm's credit; a shard that is no longer configured gets 0.
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
    fn one_shard_has_all_credit_and_several_have_their_own_or_an_equal_part_of_the_rest() {
        assert_eq!(credit("").unwrap(), None);
        assert_eq!(parts("[risk]\nfirm_credit = 100\n"), [(0, 100)]);
        assert_eq!(parts(&format!("[risk]\nfirm_credit = 100\n{SHARDS}")), [(1, 60), (2, 20), (3, 20)]);
        assert_eq!(parts(&format!("[risk]\nfirm_credit = 61\n{SHARDS}")), [(1, 60), (2, 0), (3, 0)]);
    }

    #[test]
    fn more_credit_than_the_firm_has_is_refused_with_both_numbers() {
        let failure = credit(&format!("[risk]\nfirm_credit = 59\n{SHARDS}")).unwrap_err();
        assert!(failure.contains("60 together, but firm_credit is 59"), "{failure}");
        assert!(credit(SHARDS).unwrap_err().contains("no firm_credit"));
        assert!(
            credit("[risk]\nfirm_credit = 9300000000\n").unwrap_err().contains("firm_credit is 9300000000")
        );
    }

    #[test]
    fn four_eyes_need_the_codes_of_two_different_people() {
        let page = |people: &str| format!("[risk]\nfour_eyes = true\nfirm_credit = 5\n{people}");
        for people in ["", "credit_changed_by = 7\n", "credit_changed_by = 7\ncredit_approved_by = 7\n"] {
            assert!(credit(&page(people)).unwrap_err().contains("two different people"), "{people}");
        }
        let credit = credit(&page("credit_changed_by = 7\ncredit_approved_by = 8\n")).unwrap().unwrap();
        assert_eq!(credit.people, [7, 8]);
    }

    #[test]
    fn the_sizes_of_the_tables_are_checked_and_the_parts_follow_them() {
        let capacity = |page: &str| {
            let config = toml::from_str::<Config>(page).unwrap();
            config.risk.limits().map(|limits| limits.capacity).map_err(|failure| failure.to_string())
        };
        assert_eq!(capacity("").unwrap(), RiskCapacity::default());
        let large = capacity("[risk]\nopen_orders = 100_001\nholdings = 10\n").unwrap();
        let parts = (large.strategy_open_orders, large.account_open_orders, large.strategy_holdings);
        assert_eq!(parts, (50_001, 100_001, 8));
        let wrong = capacity("[risk]\nopen_orders = 10\nstrategy_open_orders = 11\n").unwrap_err();
        assert!(wrong.contains("[risk] strategy_open_orders is 11"), "{wrong}");
        assert!(capacity("[risk]\ninstruments = 0\n").unwrap_err().contains("instruments is 0"));
    }

    #[test]
    fn reductions_come_first_and_unchanged_parts_are_not_recorded_again() {
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
