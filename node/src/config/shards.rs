//! The instruments of each sequencer, `[[shard]]`, and the CPU of each agent, `[[core]]`.

use super::page::Page;
use super::{Config, CoresConfig, StrategyConfig};
use crate::failure::{Failure, nearest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use stele_feed::bounds::SHARDS_MAX;
use stele_wire::ShardId;

/// One shard: a sequencer with its own ring, journal and trail.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShardConfig {
    pub(crate) id: u32,
    pub(crate) instruments: Instruments,
    #[serde(default)]
    pub(crate) sequencer: Option<usize>,
    #[serde(default)]
    pub(crate) journal: Option<usize>,
    /// Its part of the firm's credit, in whole units of currency; none: an equal part of the rest.
    #[serde(default)]
    pub(crate) credit: Option<u64>,
    #[serde(default)]
    pub(crate) forward: Vec<ForwardConfig>,
}

/// The instruments of a shard, by the venue's symbols.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(untagged, expecting = "expected a list of symbols, or \"rest\"")]
pub(crate) enum Instruments {
    Named(Vec<String>),
    Others(Rest),
}

/// All instruments that no other shard has.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Debug)]
pub(crate) enum Rest {
    #[serde(rename = "rest")]
    Rest,
}

/// Which events another shard forwards to this one.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForwardConfig {
    pub(crate) from: u32,
    /// Symbols; empty: every instrument of that shard.
    #[serde(default)]
    pub(crate) instruments: Vec<String>,
    /// Types of event; empty: all market data.
    #[serde(default)]
    pub(crate) kinds: Vec<String>,
}

/// One hot thread of a configured layout.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct CoreConfig {
    #[serde(default)]
    pub(crate) cpu: Option<usize>,
    #[serde(default)]
    pub(crate) idle: Option<String>,
    pub(crate) agents: Vec<String>,
}

/// A shard as this process is to run it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ShardPlan {
    pub(crate) id: ShardId,
    pub(crate) directory: PathBuf,
    pub(crate) instruments: Instruments,
    /// The strategies and their numbers on the log, which do not depend on the assignment of shards to
    /// processes.
    pub(crate) strategies: Vec<(u16, StrategyConfig)>,
    pub(crate) forward: Vec<ForwardConfig>,
    pub(crate) cores: CoresConfig,
}

/// The shards of a run.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Shards {
    /// Those that this process runs, at least one.
    pub(crate) own: Vec<ShardPlan>,
    /// Those that another process runs.
    pub(crate) elsewhere: Vec<ShardPlan>,
}

impl ShardPlan {
    /// Whether it is the only shard of the run, which has no name.
    pub(crate) fn is_only(&self) -> bool {
        self.id == ShardId(0)
    }
}

impl ShardConfig {
    pub(super) fn render(&self, page: &mut Page<'_>) {
        page.list("shard");
        page.key("id", u64::from(self.id), "its trail is DIR/shard-ID");
        page.key("instruments", self.instruments.value(), "symbols, or \"rest\"");
        page.optional("sequencer", &self.sequencer, 0, "CPU of the sequencer and the strategies");
        page.optional("journal", &self.journal, 1, "CPU of the journal");
        page.optional(
            "credit",
            &self.credit,
            500_000,
            "its part of [risk] firm_credit; default: an equal part",
        );
        let forward = "events that other shards forward to it";
        if self.forward.is_empty() {
            page.example("forward", "[{ from = 1, instruments = [\"ESM4\"] }]", forward);
        } else {
            let links = self.forward.iter().map(ForwardConfig::value).collect();
            page.key("forward", toml::Value::Array(links), forward);
        }
    }
}

impl Instruments {
    fn value(&self) -> toml::Value {
        match self {
            Self::Named(symbols) => strings(symbols),
            Self::Others(Rest::Rest) => "rest".into(),
        }
    }
}

impl ForwardConfig {
    fn value(&self) -> toml::Value {
        let mut table = toml::Table::new();
        table.insert("from".into(), i64::from(self.from).into());
        for (key, values) in [("instruments", &self.instruments), ("kinds", &self.kinds)] {
            if !values.is_empty() {
                table.insert(key.into(), strings(values));
            }
        }
        table.into()
    }
}

impl CoreConfig {
    pub(super) fn render(&self, page: &mut Page<'_>) {
        page.list("core");
        page.optional("cpu", &self.cpu, 0, "the CPU it is pinned to; default: not pinned");
        page.optional("idle", &self.idle, "spin", "as in [bus]");
        page.key("agents", strings(&self.agents), "the agents it runs, in this order");
    }
}

fn strings(values: &[String]) -> toml::Value {
    values.iter().cloned().map(toml::Value::String).collect::<Vec<_>>().into()
}

impl Config {
    /// Writes examples of `[[shard]]` and `[[core]]`, where the configuration has none.
    pub(super) fn shard_examples(&self, page: &mut Page<'_>) {
        if self.shard.is_empty() {
            let text = "\n# Shards: several sequencers, each with its own ring and trail; default: one for all instruments\n\
                    # [[shard]]\n# id = 1  # its trail is DIR/shard-ID\n\
                    # instruments = [\"ESM4\"]  # symbols, or \"rest\"\n";
            let _ = write!(page.out, "{text}");
        }
        if self.core.is_empty() {
            let text = "\n# The hot threads, in place of [cores]: each agent must be on one of them\n\
                    # [[core]]\n# cpu = 0\n# idle = \"spin\"\n# agents = [\"sequencer\", \"strategies\"]\n";
            let _ = write!(page.out, "{text}");
        }
        if self.person.is_empty() {
            let text = "\n# People: with them, the user that calls decides who makes a change and who may make it\n\
                        # [[person]]\n# number = 12  # the party in events\n# code = \"p12\"\n\
                        # user = 1001  # of the operating system\n# roles = [\"risk\"]\n";
            let _ = write!(page.out, "{text}");
        }
    }

    /// Returns the shards of the run, each with its strategies.
    ///
    /// # Errors
    /// [`Failure`]: a shard or an instrument is listed twice, or one that is named does not exist.
    pub(crate) fn shards(&self) -> Result<Shards, Failure> {
        if self.shard.is_empty() {
            return self.one_shard();
        }
        self.check_shards()?;
        let mut shards = Shards { own: Vec::new(), elsewhere: Vec::new() };
        for shard in &self.shard {
            let plan = ShardPlan {
                id: ShardId(shard.id),
                directory: self.trail.dir.join(format!("shard-{}", shard.id)),
                instruments: shard.instruments.clone(),
                strategies: self.strategies_of(shard.id)?,
                forward: shard.forward.clone(),
                cores: CoresConfig { sequencer: shard.sequencer, journal: shard.journal },
            };
            let is_own = self.only_shard.is_none_or(|only| only == shard.id);
            if is_own { shards.own.push(plan) } else { shards.elsewhere.push(plan) }
        }
        match (shards.own.is_empty(), self.only_shard) {
            (true, Some(only)) => Err(self.no_shard("--shard", only)),
            _ => Ok(shards),
        }
    }

    fn one_shard(&self) -> Result<Shards, Failure> {
        let placed = self.strategy.iter().find(|strategy| strategy.shard.is_some());
        let what = match (placed, self.only_shard) {
            (Some(strategy), _) => format!("strategy `{}` names a shard", strategy.name),
            (None, Some(only)) => format!("--shard {only} is given"),
            (None, None) => {
                let numbered = self.strategy.iter().cloned().enumerate();
                return Ok(Shards {
                    own: vec![ShardPlan {
                        id: ShardId(0),
                        directory: self.trail.dir.clone(),
                        instruments: Instruments::Others(Rest::Rest),
                        strategies: numbered.map(|(index, one)| (index as u16 + 1, one)).collect(),
                        forward: Vec::new(),
                        cores: self.cores.clone(),
                    }],
                    elsewhere: Vec::new(),
                });
            }
        };
        Err(Failure::usage(format!("{what}, but there is no [[shard]]"))
            .help("`stele config` shows an example of [[shard]]"))
    }

    fn check_shards(&self) -> Result<(), Failure> {
        let usage = |what: String, help: &str| Err(Failure::usage(what).help(help));
        if self.shard.len() > SHARDS_MAX {
            let what = format!("the configuration has {} shards", self.shard.len());
            return usage(what, &format!("at most {SHARDS_MAX} are possible"));
        }
        if self.cores != CoresConfig::default() {
            let help = "set `sequencer` and `journal` in each [[shard]], or place all agents with [[core]]";
            return usage("[cores] is for a run of one shard".into(), help);
        }
        let (mut ids, mut owners, mut rest) = (BTreeSet::new(), BTreeMap::new(), None);
        for shard in &self.shard {
            if shard.id == 0 || !ids.insert(shard.id) {
                return usage(
                    format!("[[shard]] id {} is used twice, or is 0", shard.id),
                    "ids are 1, 2, 3 …",
                );
            }
            match &shard.instruments {
                Instruments::Others(Rest::Rest) => {
                    if let Some(other) = rest.replace(shard.id) {
                        let what = format!("shards {other} and {} both have the rest", shard.id);
                        return usage(what, "list the instruments of one of them");
                    }
                }
                Instruments::Named(symbols) => {
                    for symbol in symbols {
                        if let Some(other) = owners.insert(symbol.as_str(), shard.id) {
                            let what =
                                format!("`{symbol}` is in shard {other} and again in shard {}", shard.id);
                            return usage(what, "an instrument belongs to one shard");
                        }
                    }
                }
            }
        }
        self.shard.iter().try_for_each(|shard| self.check_forward(shard, &owners, rest))
    }

    fn check_forward(
        &self,
        shard: &ShardConfig,
        owners: &BTreeMap<&str, u32>,
        rest: Option<u32>,
    ) -> Result<(), Failure> {
        let mut origins = BTreeSet::new();
        for forward in &shard.forward {
            let what = format!("[[shard]] {}: forward from {}", shard.id, forward.from);
            if !self.shard.iter().any(|other| other.id == forward.from) {
                return Err(self.no_shard(&what, forward.from));
            }
            if forward.from == shard.id || !origins.insert(forward.from) {
                return Err(Failure::usage(what)
                    .help("write one entry for each other shard, with everything that it forwards"));
            }
            let elsewhere =
                |symbol: &&String| owners.get(symbol.as_str()).copied().or(rest) != Some(forward.from);
            if let Some(symbol) = forward.instruments.iter().find(elsewhere) {
                let home = owners.get(symbol.as_str()).copied().or(rest);
                let help = home.map_or("it is in no shard".into(), |home| format!("it is in shard {home}"));
                return Err(Failure::usage(format!("{what}: `{symbol}` is not there")).help(help));
            }
        }
        Ok(())
    }

    fn strategies_of(&self, shard: u32) -> Result<Vec<(u16, StrategyConfig)>, Failure> {
        let mut strategies = Vec::new();
        for (index, strategy) in self.strategy.iter().enumerate() {
            let home = match strategy.shard {
                Some(home) => home,
                None if self.shard.len() == 1 => shard,
                None => {
                    return Err(Failure::usage(format!("strategy `{}` is in no shard", strategy.name))
                        .help("set its `shard`: a strategy reads one shard"));
                }
            };
            if !self.shard.iter().any(|one| one.id == home) {
                return Err(self.no_shard(&format!("strategy `{}`", strategy.name), home));
            }
            if home == shard {
                strategies.push((index as u16 + 1, strategy.clone()));
            }
        }
        Ok(strategies)
    }

    fn no_shard(&self, what: &str, id: u32) -> Failure {
        let known: Vec<String> = self.shard.iter().map(|shard| shard.id.to_string()).collect();
        let help = nearest(&id.to_string(), known.iter().map(String::as_str));
        Failure::usage(format!("{what}: there is no shard {id}")).help(help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "[[shard]]\nid = 1\ninstruments = ['A', 'B']\n[[shard]]\nid = 2\ninstruments = 'rest'\n\
                       forward = [{ from = 1, instruments = ['A'], kinds = ['Trade'] }]\n\
                       [[core]]\ncpu = 0\nagents = ['1.sequencer']\n";

    fn refused(text: &str) -> String {
        Config::parse(text).unwrap().shards().unwrap_err().to_string()
    }

    #[test]
    fn each_shard_has_a_directory_and_a_printed_configuration_is_read_back() {
        let config = Config::parse(&format!("{TWO}[[strategy]]\nname = 'x'\nshard = 2\n")).unwrap();
        assert_eq!(Config::parse(&config.render()).unwrap(), config);
        let shards = config.shards().unwrap();
        let folders: Vec<_> = shards.own.iter().map(|plan| plan.directory.display().to_string()).collect();
        assert_eq!(folders, ["trail/shard-1", "trail/shard-2"]);
        assert_eq!(shards.own.iter().map(|plan| plan.strategies.len()).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn without_shards_there_is_one_and_the_trail_is_the_directory_itself() {
        let shards = Config::default().shards().unwrap();
        assert_eq!(shards.own.len(), 1);
        assert!(shards.own[0].is_only() && shards.own[0].directory.as_path() == "trail");
    }

    #[test]
    fn one_shard_of_several_leaves_the_others_to_another_process() {
        let config = Config { only_shard: Some(2), ..Config::parse(TWO).unwrap() };
        let shards = config.shards().unwrap();
        assert_eq!((shards.own[0].id, shards.elsewhere[0].id), (ShardId(2), ShardId(1)));
        let none = Config { only_shard: Some(7), ..config }.shards().unwrap_err().to_string();
        assert!(none.contains("there is no shard 7"), "{none}");
    }

    #[test]
    fn duplicates_and_names_that_do_not_exist_are_refused() {
        let shard = |id: u32, rest: &str| format!("[[shard]]\nid = {id}\n{rest}\n");
        let (a, b) = (shard(1, "instruments = ['A']"), shard(2, "instruments = ['A']"));
        assert!(refused(&format!("{a}{b}")).contains("`A` is in shard 1 and again in shard 2"));
        assert!(refused(&format!("{a}{a}")).contains("id 1 is used twice"));
        assert!(
            refused(&shard(1, "instruments = 'rest'\nforward = [{ from = 3 }]"))
                .contains("there is no shard 3")
        );
        let (rest, again) = (shard(1, "instruments = 'rest'"), shard(2, "instruments = 'rest'"));
        assert!(refused(&format!("{rest}{again}")).contains("both have the rest"));
        let foreign = shard(2, "instruments = ['B']\nforward = [{ from = 1, instruments = ['B'] }]");
        assert!(refused(&format!("{a}{foreign}")).contains("it is in shard 2"));
        assert!(refused(&format!("{TWO}[[strategy]]\nname = 'x'\n")).contains("is in no shard"));
        assert!(refused("[[strategy]]\nname = 'x'\nshard = 1\n").contains("there is no [[shard]]"));
        assert!(
            refused(&format!("{TWO}[cores]\njournal = 1\n")).contains("[cores] is for a run of one shard")
        );
    }

    #[test]
    fn instruments_are_a_list_or_the_word_rest() {
        let (what, _) = Config::parse("[[shard]]\nid = 1\ninstruments = 'all'\n").unwrap_err();
        assert!(what.contains("or \"rest\""), "{what}");
    }
}
