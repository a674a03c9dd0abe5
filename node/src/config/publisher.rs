//! Publishers in other processes: `[[publisher]]`.

use super::page::Page;
use crate::failure::{Failure, nearest};
use serde::{Deserialize, Serialize};
use stele_bus::Grants;
use stele_bus::bounds::{GRANT_SCOPES_MAX, NUMBER_STEP_MAX_DEFAULT};
use stele_wire::messages::GrantGroups;

/// A publisher in another process, and what it may submit.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublisherConfig {
    pub(crate) id: u16,
    pub(crate) name: String,
    /// The shard that it submits to, where there are several; none: it can submit to each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shard: Option<u32>,
    #[serde(default = "market")]
    groups: Vec<String>,
    /// Empty: every strategy; the same for accounts and venues.
    #[serde(default)]
    strategies: Vec<u16>,
    #[serde(default)]
    accounts: Vec<u32>,
    #[serde(default)]
    venues: Vec<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number_step_max: Option<u64>,
}

/// The groups by their names in the configuration.
const GROUPS: [(&str, GrantGroups); 8] = [
    ("market", GrantGroups::MARKET),
    ("definitions", GrantGroups::DEFINITIONS),
    ("orders", GrantGroups::ORDERS),
    ("strategy-own", GrantGroups::STRATEGY_OWN),
    ("reports", GrantGroups::REPORTS),
    ("release", GrantGroups::RELEASE),
    ("operator", GrantGroups::OPERATOR),
    ("session", GrantGroups::SESSION),
];

/// What a publisher may submit if the configuration does not say.
fn market() -> Vec<String> {
    ["market", "definitions"].map(str::to_owned).into()
}

impl PublisherConfig {
    /// Returns what it may submit.
    ///
    /// # Errors
    /// [`Failure`]: usage if a group does not exist or there are too many scopes.
    pub(crate) fn grants(&self) -> Result<Grants, Failure> {
        let Self { name, strategies, accounts, venues, .. } = self;
        let mut groups = GrantGroups::EMPTY;
        for wanted in &self.groups {
            let found = GROUPS.iter().find(|(group, _)| group == wanted);
            let (_, group) = found.ok_or_else(|| {
                Failure::usage(format!("[[publisher]] `{name}` has the group `{wanted}`"))
                    .help(nearest(wanted, GROUPS.iter().map(|(group, _)| *group)))
            })?;
            groups |= *group;
        }
        if strategies.len() + accounts.len() + venues.len() > GRANT_SCOPES_MAX {
            let what = format!(
                "[[publisher]] `{name}` has more than {GRANT_SCOPES_MAX} strategies, accounts and venues"
            );
            return Err(Failure::usage(what).help("give fewer, or split it into several publishers"));
        }
        let step = self.number_step_max.unwrap_or(NUMBER_STEP_MAX_DEFAULT);
        let grants = Grants::from(groups).with_number_step_max(Some(step));
        let grants = grants.for_strategies(strategies.iter().copied());
        Ok(grants.for_accounts(accounts.iter().copied()).for_venues(venues.iter().copied()))
    }

    pub(super) fn render(&self, page: &mut Page<'_>) {
        page.list("publisher");
        page.key("id", u64::from(self.id), "the publisher's number in its events; 100 to 999");
        page.key("name", &self.name, "at most 32 bytes");
        page.optional("shard", &self.shard.map(u64::from), 1, "the shard it submits to; default: any shard");
        let names = GROUPS.map(|(name, _)| name).join(", ");
        page.key("groups", list(&self.groups), &format!("what it may submit: {names}"));
        let all = "the only ones that it may name; default: all";
        page.key("strategies", numbers(&self.strategies), all);
        page.key("accounts", numbers(&self.accounts), all);
        page.key("venues", numbers(&self.venues), "sources of reports and market data, in the same way");
        page.optional(
            "number_step_max",
            &self.number_step_max,
            NUMBER_STEP_MAX_DEFAULT,
            "how far ahead of its last number a submission may be",
        );
    }
}

fn list(names: &[String]) -> toml::Value {
    toml::Value::Array(names.iter().map(|name| name.as_str().into()).collect())
}

fn numbers<N: Copy + Into<i64>>(ids: &[N]) -> toml::Value {
    toml::Value::Array(ids.iter().map(|id| toml::Value::Integer((*id).into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> PublisherConfig {
        toml::from_str(&format!("id = 100\nname = \"desk\"\n{text}")).unwrap()
    }

    #[test]
    fn without_groups_a_publisher_may_submit_market_data_and_its_definitions() {
        assert_eq!(parse("").grants().unwrap(), Grants::market());
    }

    #[test]
    fn groups_scopes_and_the_step_become_grants() {
        let text = "groups = [\"orders\", \"strategy-own\"]\nstrategies = [3]\naccounts = [1, 2]\nnumber_step_max = 9";
        let wanted = Grants::from(GrantGroups::ORDERS | GrantGroups::STRATEGY_OWN)
            .for_strategies([3])
            .for_accounts([1, 2])
            .with_number_step_max(Some(9));
        assert_eq!(parse(text).grants().unwrap(), wanted);
    }

    #[test]
    fn an_unknown_group_and_too_many_scopes_are_usage_errors_that_help() {
        let unknown = parse("groups = [\"order\"]").grants().unwrap_err().to_string();
        assert!(unknown.contains("`order`"), "{unknown}");
        let many: Vec<String> = (0..=GRANT_SCOPES_MAX).map(|account| account.to_string()).collect();
        assert!(parse(&format!("accounts = [{}]", many.join(", "))).grants().is_err());
    }

    #[test]
    fn the_rendered_page_reads_back_as_the_same_publisher() {
        let config = parse("groups = [\"orders\"]\naccounts = [7]\nnumber_step_max = 5");
        let mut out = String::new();
        config.render(&mut Page { out: &mut out });
        let table: toml::Table = toml::from_str(&out).unwrap();
        let again: PublisherConfig = table["publisher"][0].clone().try_into().unwrap();
        assert_eq!(again, config);
    }
}
