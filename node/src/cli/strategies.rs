//! Arguments of the commands for strategy developers.

use super::flags::{ConfigArgs, OutputArgs, ReadArgs};
use clap::Args;
use std::path::PathBuf;
use stele_connect::generate::FileFormat;
use stele_connect::spec::FEEDS;

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// How long to trade
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    pub(crate) seconds: f64,
    /// Market events per second; without it, a rate that two ordinary CPUs sustain
    #[arg(long, value_name = "EVENTS")]
    pub(crate) rate: Option<u64>,
    /// Run as fast as the machine can
    #[arg(long, conflicts_with = "rate")]
    pub(crate) unpaced: bool,
    /// Seed of the order flow; the same seed gives the same market
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Directory of the trail; without it, a new temporary directory
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct GenerateArgs {
    /// File format: itch or dbn
    #[arg(long)]
    pub(crate) format: FileFormat,
    /// File to create; an existing file is not overwritten
    pub(crate) file: PathBuf,
    /// Number of market events
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) events: u64,
    /// Seed of the order flow
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Args, Debug)]
pub(crate) struct NewStrategyArgs {
    /// Name of the crate, its program and the strategy, such as mean-reversion
    pub(crate) name: String,
    /// Directory to write to; it must be new or empty
    pub(crate) dir: PathBuf,
    /// Checkout of Stele that the crate depends on; without it, the one that this program was built from
    #[arg(long, value_name = "PATH")]
    pub(crate) stele: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// A market for strategies to trade.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct MarketArgs {
    #[arg(long, value_name = "SPEC", help = format!("Market-data feed: {FEEDS}"))]
    pub(crate) feed: Option<String>,
    /// Strategy parameter, as `key=value` or `strategy.key=value`; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) param: Vec<String>,
    /// Stop after this long: a run in real time, a backtest in market time
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<f64>,
    /// Trading day, as YYYY-MM-DD, for a file that does not contain it
    #[arg(long, value_name = "DATE")]
    pub(crate) date: Option<String>,
}

#[derive(Args, Debug, Clone, Default)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) market: MarketArgs,
    /// Strategy to run, or `help` to list them with their parameters; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) strategy: Vec<String>,
    /// Directory of the trail; an existing trail is continued in a new epoch
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Run only this shard of the configuration; other processes run the others
    #[arg(long, value_name = "ID")]
    pub(crate) shard: Option<u32>,
    /// Pace of the feed: fast, real-time, or a multiple such as 10x
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
    /// Run once for each value: key=5..20, key=0.1..0.5:0.1 or key=a,b,c; several sweeps are combined
    #[arg(long, value_name = "KEY=VALUES")]
    pub(crate) sweep: Vec<String>,
    /// Write figures and plots to a self-contained HTML file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Multiple of the recorded speed; 0 means as fast as possible
    #[arg(long, default_value_t = 1.0)]
    pub(crate) speed: f64,
    /// Replay into a new run with this trail directory, instead of printing
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,
    /// Strategy for the new run; may be given several times
    #[arg(long, value_name = "NAME", requires = "into")]
    pub(crate) strategy: Vec<String>,
    /// Strategy parameter for the new run, as `key=value` or `strategy.key=value`
    #[arg(long, value_name = "KEY=VALUE", requires = "into")]
    pub(crate) param: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
