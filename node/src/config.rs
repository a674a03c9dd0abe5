//! The configuration of a run, from a TOML file and from flags. `stele config` prints the configuration in
//! force.

mod at_rest;
mod metrics;
mod page;
mod people;
mod publisher;
mod retention;
mod risk;
mod seal;
mod shards;
mod venue;

pub(crate) use at_rest::AtRestConfig;
pub(crate) use metrics::MetricsConfig;
pub(crate) use people::PersonConfig;
pub(crate) use publisher::PublisherConfig;
pub(crate) use retention::RetentionConfig;
pub(crate) use risk::{Credit, RiskConfig};
pub(crate) use seal::SealConfig;
pub(crate) use shards::{CoreConfig, ForwardConfig, Instruments, ShardConfig, ShardPlan, Shards};
pub(crate) use venue::VenueConfig;

use crate::cli::RunArgs;
use crate::failure::{Failure, nearest};
use page::Page;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use stele_connect::spec::FEEDS;

/// The configuration of a whole run: feed, strategies, trail, and the use of the machine.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) feed: FeedConfig,
    pub(crate) trail: TrailConfig,
    pub(crate) journal: JournalConfig,
    pub(crate) snapshots: SnapshotsConfig,
    pub(crate) bus: BusConfig,
    pub(crate) cores: CoresConfig,
    pub(crate) venue: VenueConfig,
    pub(crate) risk: RiskConfig,
    pub(crate) retention: RetentionConfig,
    pub(crate) seal: SealConfig,
    pub(crate) at_rest: AtRestConfig,
    pub(crate) metrics: MetricsConfig,
    pub(crate) core: Vec<CoreConfig>,
    pub(crate) shard: Vec<ShardConfig>,
    pub(crate) publisher: Vec<PublisherConfig>,
    pub(crate) person: Vec<PersonConfig>,
    pub(crate) strategy: Vec<StrategyConfig>,
    /// The only shard that this process runs. It is a flag, so that every process of a run has the same file.
    #[serde(skip)]
    pub(crate) only_shard: Option<u32>,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FeedConfig {
    pub(crate) spec: String,
    pub(crate) pace: String,
    pub(crate) events_per_second: u64,
    pub(crate) date: Option<String>,
    pub(crate) seconds: Option<f64>,
}

impl FeedConfig {
    /// The duration after which a run stops, if there is one.
    ///
    /// # Errors
    /// [`Failure`]: usage if it is not above 0, or is more than a clock can count.
    pub(crate) fn duration(&self) -> Result<Option<Duration>, Failure> {
        let checked = |seconds: f64| {
            let duration = Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero());
            duration.ok_or_else(|| {
                Failure::usage(format!("invalid duration: {seconds} seconds")).help("give a number above 0")
            })
        };
        self.seconds.map(checked).transpose()
    }
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TrailConfig {
    pub(crate) dir: PathBuf,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct JournalConfig {
    pub(crate) engine: String,
    pub(crate) segment_mib: u64,
    pub(crate) spare_segments: usize,
    pub(crate) flush: String,
    pub(crate) free_space_warning_mib: Option<u64>,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SnapshotsConfig {
    pub(crate) every: String,
    pub(crate) keep: usize,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BusConfig {
    pub(crate) name: Option<String>,
    pub(crate) socket: Option<PathBuf>,
    pub(crate) ring_mib: usize,
    pub(crate) idle: String,
    pub(crate) stuck_seconds: f64,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CoresConfig {
    pub(crate) sequencer: Option<usize>,
    pub(crate) journal: Option<usize>,
}

/// One strategy of the run: `[[strategy]]`.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StrategyConfig {
    pub(crate) name: String,
    pub(crate) seed: u64,
    /// The shard that it reads, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shard: Option<u32>,
    pub(crate) parameters: toml::Table,
}

impl StrategyConfig {
    fn render(&self, page: &mut Page<'_>) {
        page.list("strategy");
        page.key("name", &self.name, "`stele run --strategy help` lists the strategies");
        page.key("seed", self.seed, "the seed of the strategy's random numbers");
        if let Some(shard) = self.shard {
            page.key("shard", u64::from(shard), "the shard that it reads");
        }
        let _ = writeln!(page.out, "[strategy.parameters]");
        page.out.push_str(&self.parameters.to_string());
    }
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self {
            spec: "generator:1".into(),
            pace: "fast".into(),
            events_per_second: 100_000,
            date: None,
            seconds: None,
        }
    }
}

impl Default for TrailConfig {
    fn default() -> Self {
        Self { dir: "trail".into() }
    }
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            engine: "auto".into(),
            segment_mib: 64,
            spare_segments: 3,
            flush: "measured".into(),
            free_space_warning_mib: None,
        }
    }
}

impl Default for SnapshotsConfig {
    fn default() -> Self {
        Self { every: "roll".into(), keep: 2 }
    }
}

impl Default for BusConfig {
    fn default() -> Self {
        Self { name: None, socket: None, ring_mib: 64, idle: "auto".into(), stuck_seconds: 30.0 }
    }
}

impl Config {
    /// Returns the configuration in force: the file that `-c` names, or the defaults, overridden by the
    /// flags.
    ///
    /// # Errors
    /// [`Failure`]: the file cannot be read or parsed, or a flag is wrong.
    pub(crate) fn effective(args: &RunArgs) -> Result<Self, Failure> {
        let mut config = match &args.config.config {
            Some(path) => Self::load(path)?,
            None => Self::default(),
        };
        config.apply(args)?;
        config.resolve_people()?;
        Ok(config)
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`Failure`]: the file cannot be read or parsed.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::environment(format!("cannot read the configuration {}: {error}", path.display()))
                .help("`stele config > stele.toml` writes a configuration to start from")
        })?;
        Self::parse(&text).map_err(|(what, help)| {
            let failure = Failure::usage(format!("{}: {what}", path.display()));
            failure.help(help.unwrap_or_else(|| "`stele config` prints every key with its meaning".into()))
        })
    }

    /// Parses TOML. The error is a message and, for an unknown key, the nearest one.
    fn parse(text: &str) -> Result<Self, (String, Option<String>)> {
        toml::from_str(text).map_err(|error| {
            let help = unknown_key(error.message());
            (error.to_string().trim_end().to_owned(), help)
        })
    }

    fn apply(&mut self, args: &RunArgs) -> Result<(), Failure> {
        if let Some(feed) = &args.market.feed {
            self.feed.spec.clone_from(feed);
        }
        if let Some(pace) = &args.pace {
            self.feed.pace.clone_from(pace);
        }
        if let Some(dir) = &args.dir {
            self.trail.dir.clone_from(dir);
        }
        if let Some(engine) = &args.engine {
            self.journal.engine.clone_from(engine);
        }
        self.only_shard = args.shard;
        self.feed.seconds = args.market.seconds.or(self.feed.seconds);
        self.feed.date = args.market.date.clone().or(self.feed.date.take());
        if !args.strategy.is_empty() {
            let named = args.strategy.iter();
            self.strategy =
                named.map(|name| StrategyConfig { name: name.clone(), ..Default::default() }).collect();
        }
        self.apply_parameters(&args.market.param)
    }

    /// Sets the parameters of the strategies that `--param` gives.
    ///
    /// # Errors
    /// [`Failure`]: a parameter has no value, or names a strategy that does not run.
    pub(crate) fn apply_parameters(&mut self, parameters: &[String]) -> Result<(), Failure> {
        parameters.iter().try_for_each(|parameter| self.apply_parameter(parameter))
    }

    /// Sets `key=value` in every strategy, `strategy.key=value` in the one that it names.
    fn apply_parameter(&mut self, param: &str) -> Result<(), Failure> {
        let usage = |what: String| Failure::usage(what).help("write --param key=value");
        let (key, value) =
            param.split_once('=').ok_or_else(|| usage(format!("parameter `{param}` has no value")))?;
        let value = toml::from_str::<toml::Table>(&format!("v = {value}"))
            .ok()
            .and_then(|mut table| table.remove("v"))
            .unwrap_or_else(|| toml::Value::String(value.to_owned()));
        let (only, key) = match key.split_once('.') {
            Some((strategy, key)) => (Some(strategy), key),
            None => (None, key),
        };
        if self.strategy.is_empty() {
            return Err(Failure::usage(format!("parameter `{param}` is given without a strategy"))
                .help("name one with --strategy"));
        }
        let mut hit = false;
        for strategy in &mut self.strategy {
            if only.is_none_or(|only| only == strategy.name) {
                strategy.parameters.insert(key.to_owned(), value.clone());
                hit = true;
            }
        }
        if hit {
            return Ok(());
        }
        let only = only.unwrap_or_default();
        let names = self.strategy.iter().map(|strategy| strategy.name.as_str());
        Err(Failure::usage(format!("parameter `{param}`: this run has no strategy `{only}`"))
            .help(nearest(only, names)))
    }

    /// Returns the configuration as a commented TOML file, which [`Config::load`] reads back to the same
    /// value.
    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        let mut page = Page { out: &mut out };
        page.section("feed", "The source of market data");
        page.key("spec", &self.feed.spec, FEEDS);
        page.key("pace", &self.feed.pace, "fast, real-time, or a multiple of real time such as \"10x\"");
        page.key(
            "events_per_second",
            self.feed.events_per_second,
            "market events per second of the generator, in real time",
        );
        page.optional("date", &self.feed.date, "2020-01-30", "trading day, for files that do not contain it");
        page.optional("seconds", &self.feed.seconds, 10.0, "stop after so many seconds");
        page.section("trail", "The trail: where the events are stored");
        let dir = self.trail.dir.display().to_string();
        page.key("dir", dir, "an existing trail is continued in a new epoch, never overwritten");
        page.section("journal", "The journal, which writes the trail");
        page.key("engine", &self.journal.engine, "auto, io-uring or plain");
        page.key("segment_mib", self.journal.segment_mib, "data bytes of a segment, in MiB");
        page.key("spare_segments", self.journal.spare_segments, "segments prepared ahead of the writer");
        page.key(
            "flush",
            &self.journal.flush,
            "measured: choose at the start; or flushed-writes, linked-sync, sync-thread",
        );
        page.optional(
            "free_space_warning_mib",
            &self.journal.free_space_warning_mib,
            1024,
            "warn when less is free; default: the size of 16 segments, at least 1024",
        );
        page.section("snapshots", "Snapshots of the state, so that a start need not read the whole trail");
        page.key("every", &self.snapshots.every, "roll: at the end of each segment; or never");
        page.key("keep", self.snapshots.keep, "how many of the newest are kept, 1 or more");
        page.section("bus", "The bus: the ring in memory that holds the newest events");
        let example = "demo".to_owned();
        page.optional(
            "name",
            &self.bus.name,
            example,
            "its name for other processes; default: the name of the trail's directory",
        );
        let socket = self.bus.socket.as_ref().map(|path| path.display().to_string());
        page.optional(
            "socket",
            &socket,
            "/run/stele/demo.sock".to_owned(),
            "where other processes reach it; default: NAME.sock in a directory for sockets, see docs/door.md",
        );
        page.key("ring_mib", self.bus.ring_mib, "size of the ring in MiB, a power of two");
        page.key(
            "idle",
            &self.bus.idle,
            "what a hot thread does without work: auto, spin, yield, back-off or park",
        );
        page.key(
            "stuck_seconds",
            self.bus.stuck_seconds,
            "stop the run when a consumer or the journal makes no progress for so long",
        );
        page.section("cores", "CPUs of the two hot threads; default: chosen automatically");
        page.optional("sequencer", &self.cores.sequencer, 0, "sequencer and strategies");
        page.optional("journal", &self.cores.journal, 1, "journal, order gateway and feed");
        self.venue.render(&mut page);
        self.risk.render(&mut page);
        self.retention.render(&mut page);
        self.seal.render(&mut page);
        self.at_rest.render(&mut page);
        self.metrics.render(&mut page);
        self.shard_examples(&mut page);
        self.core.iter().for_each(|core| core.render(&mut page));
        self.shard.iter().for_each(|shard| shard.render(&mut page));
        self.publisher.iter().for_each(|publisher| publisher.render(&mut page));
        self.person.iter().for_each(|person| person.render(&mut page));
        for strategy in &self.strategy {
            strategy.render(&mut page);
        }
        out
    }
}

/// Returns a suggestion for serde's message "unknown field `x`, expected one of `a`, `b`".
fn unknown_key(message: &str) -> Option<String> {
    let mut quoted = message.strip_prefix("unknown field")?.split('`').skip(1).step_by(2);
    let given = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    Some(nearest(given, known.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(arguments: &[&str]) -> RunArgs {
        use clap::Parser as _;
        let line = ["stele", "run"].into_iter().chain(arguments.iter().copied());
        match crate::cli::Cli::parse_from(line).command {
            crate::cli::Command::Run(args) => args,
            other => panic!("{other:?} is not `run`"),
        }
    }

    #[test]
    fn a_printed_configuration_is_read_back_unchanged() {
        let args = flags(&[
            "--feed",
            "itch:day.itch50",
            "--strategy",
            "ma-cross",
            "--strategy",
            "dip-buyer",
            "--param",
            "ma-cross.fast=5",
            "--param",
            "quantity=10",
            "--seconds",
            "2.5",
            "--date",
            "2020-01-30",
        ]);
        for config in [Config::default(), Config::effective(&args).unwrap()] {
            assert_eq!(Config::parse(&config.render()).unwrap(), config);
        }
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[feed]\nspec = 'itch:a'\npace = '2x'\n").unwrap();
        let named = crate::cli::ConfigArgs { config: Some(file.path().into()) };
        let args = RunArgs { config: named, ..flags(&["--feed", "itch:b"]) };
        let config = Config::effective(&args).unwrap();
        assert_eq!((config.feed.spec.as_str(), config.feed.pace.as_str()), ("itch:b", "2x"));
    }

    #[test]
    fn an_unknown_key_names_the_line_and_the_nearest_key() {
        let (what, help) = Config::parse("[feed]\npase = 'fast'\n").unwrap_err();
        assert!(what.contains("line 2"), "{what}");
        assert_eq!(help.as_deref(), Some("did you mean `pace`?"));
    }

    #[test]
    fn a_parameter_reaches_every_strategy_or_the_one_it_names() {
        let args = flags(&["--strategy", "a", "--strategy", "b", "--param", "x=1", "--param", "b.y=abc"]);
        let config = Config::effective(&args).unwrap();
        assert_eq!(config.strategy[0].parameters.len(), 1);
        assert_eq!(config.strategy[1].parameters["x"].as_integer(), Some(1));
        assert_eq!(config.strategy[1].parameters["y"].as_str(), Some("abc"));
    }

    #[test]
    fn a_parameter_for_a_strategy_that_does_not_run_is_refused() {
        let args = flags(&["--strategy", "ma-cross", "--param", "ma-cros.x=1"]);
        let failure = Config::effective(&args).unwrap_err().to_string();
        assert!(failure.contains("did you mean `ma-cross`?"), "{failure}");
    }
}
