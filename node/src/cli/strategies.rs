//! Commands for strategy developers.

use super::flags::{ConfigArgs, OutputArgs, ReadArgs};
use clap::Args;
use std::path::PathBuf;
use stele_connect::generate::FileFormat;
use stele_connect::spec::FEEDS;

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// How long the market is open
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    pub(crate) seconds: f64,
    /// Market events a second; without it, a rate this machine sustains
    #[arg(long, value_name = "EVENTS")]
    pub(crate) rate: Option<u64>,
    /// As fast as the machine goes
    #[arg(long, conflicts_with = "rate")]
    pub(crate) unpaced: bool,
    /// Seed of the order flow; the same seed is the same market
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Directory of the trail; without it, a new one each time
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct GenerateArgs {
    /// Format of the file: itch or dbn
    #[arg(long)]
    pub(crate) format: FileFormat,
    /// File to write; one that exists is not overwritten
    pub(crate) file: PathBuf,
    /// Market events to write
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) events: u64,
    /// Seed of the order flow
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Args, Debug)]
pub(crate) struct NewStrategyArgs {
    /// Name of the crate, the program and the strategy, such as mean-reversion
    pub(crate) name: String,
    /// Directory to write; one that exists must be empty
    pub(crate) dir: PathBuf,
    /// Directory of Stele's sources that the crate depends on; without it, those that this program was built
    /// from
    #[arg(long, value_name = "PATH")]
    pub(crate) stele: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// A market that is played to strategies.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct MarketArgs {
    #[arg(long, value_name = "SPEC", help = format!("Market data: {FEEDS}"))]
    pub(crate) feed: Option<String>,
    /// Parameter of the strategies, `key=value` or `strategy.key=value`; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) param: Vec<String>,
    /// Stop after so long: of a run in real time, of a backtest in the market's
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<f64>,
    /// Trading day of a file that does not carry one, as YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    pub(crate) date: Option<String>,
}

#[derive(Args, Debug, Clone, Default)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) market: MarketArgs,
    /// Strategy to run, or `help` for a list with parameters; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) strategy: Vec<String>,
    /// Directory of the trail; one that exists is continued in a new epoch
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Run this one of the configuration's shards; other processes run the others
    #[arg(long, value_name = "ID")]
    pub(crate) shard: Option<u32>,
    /// fast, real-time, or a multiple such as 10x
    #[arg(long)]
    pub(crate) pace: Option<String>,
    /// Journal engine: auto, io-uring or plain
    #[arg(long)]
    pub(crate) engine: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct BacktestArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) market: MarketArgs,
    /// Strategy to run
    #[arg(long, value_name = "NAME")]
    pub(crate) strategy: Option<String>,
    /// Run once for each value: key=5..20, key=0.1..0.5:0.1 or key=a,b,c; several are combined
    #[arg(long, value_name = "KEY=VALUES")]
    pub(crate) sweep: Vec<String>,
    /// Write a page with figures and plots: one HTML file that needs no other
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Multiple of the recorded speed; 0 is as fast as possible
    #[arg(long, default_value_t = 1.0)]
    pub(crate) speed: f64,
    /// Play into a new run with this trail directory, instead of to the terminal
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,
    /// Strategy of the new run; may be given several times
    #[arg(long, value_name = "NAME", requires = "into")]
    pub(crate) strategy: Vec<String>,
    /// Parameter of the strategies of the new run
    #[arg(long, value_name = "KEY=VALUE", requires = "into")]
    pub(crate) param: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
