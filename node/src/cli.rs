//! The command line: every command, flag and default that a person sees in `stele --help`.

mod access;
mod controls;
mod key;
mod new_strategy;

pub(crate) use access::AccessArgs;
pub(crate) use controls::{ChangeArgs, KillSwitchArgs, LimitArgs, LimitCommand, LimitSetArgs, ScopeArgs};
pub(crate) use key::{ExportTilesArgs, KeyAction, KeyArgs, KeyRotateArgs, SealArgs};
pub(crate) use new_strategy::NewStrategyArgs;

use crate::place::Place;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use stele_connect::generate::FileFormat;
use stele_connect::spec::FEEDS;

/// A trading event bus whose log is an audit trail that can be proved.
#[derive(Parser, Debug)]
#[command(name = "stele", version, max_term_width = 110, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 good, 1 the thing checked is not so, 2 usage, 3 environment or I/O.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Watch a market being sequenced, traded and journaled, with no configuration at all
    Demo(DemoArgs),
    /// Run strategies on a feed and journal everything
    Run(RunArgs),
    /// Run a strategy over a recorded market, in the market's own time, once or through a sweep of its parameters
    Backtest(BacktestArgs),
    /// Write a crate with a strategy of your own, its tests and its program
    NewStrategy(NewStrategyArgs),
    /// Print the effective configuration, with comments, as a file that `run -c` takes
    Config(RunArgs),
    /// Watch a running bus: watermarks, rates, queues, latencies, refusals, consumers, cores
    Top(TopArgs),
    /// Say how a run would be laid out on this machine, why, and what stands in its way
    Doctor(DoctorArgs),
    /// Write the generator's order flow as a market-data file
    Generate(GenerateArgs),
    /// Check every frame of a trail: CRC, sequence, time, chain of segments
    Verify(VerifyArgs),
    /// Feed the recorded events to the recorded strategies: their orders must equal the recorded ones
    CheckStrategy(ReadArgs),
    /// Play a recorded market again, to the terminal or into another run
    Replay(ReplayArgs),
    /// Print the events of a trail
    Dump(DumpArgs),
    /// Count what happened on a trail: events, orders, fills, latencies, profit and loss
    Summary(ReadArgs),
    /// Stop trading in a scope at once and cancel what works in it, or let it go on
    KillSwitch(KillSwitchArgs),
    /// Change a limit on orders
    Limit(LimitArgs),
    /// Pack the closed segments of a trail; everything that reads a trail reads both kinds
    Archive(ArchiveArgs),
    /// Place, release or list legal holds, which keep records from expiring
    Hold(HoldArgs),
    /// Say what of a trail may go by the policy, enter the act, and remove it
    Expire(ExpireArgs),
    /// Say what is damaged on a trail; with --restore or --cut, repair it. Nothing is ever destroyed
    Repair(RepairArgs),
    /// Take the snapshot after the last closed segment of a trail that nobody writes: a start goes on from it, and
    /// what is in front of it may expire
    Snapshot(TrailArgs),
    /// Make the key that checkpoints are signed with, or show its public part
    Key(KeyArgs),
    /// Sign the root over a trail's events, up to its durable end
    Seal(SealArgs),
    /// Prove that an event is on a sealed trail, to somebody who has nothing but the key
    Prove(ProveArgs),
    /// Check such a proof and print the event that it proves
    CheckProof(CheckProofArgs),
    /// Cosign other people's checkpoints over HTTP, after a proof that each extends the one before
    Witness(WitnessArgs),
    /// Write a trail's whole sealed tree, events and all, as other people's tools read it: C2SP tlog-tiles
    ExportTiles(ExportTilesArgs),
    /// Print the live log of a bus that runs in another process
    Attach(AttachArgs),
    /// Measure this machine and this program on it
    Perf(PerfArgs),
}

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// Directory of the trail
    pub(crate) trail: PathBuf,
    /// Check the seals too: public key that they must be signed with, name+id+base64
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: Option<String>,
    /// Public key of a witness: say which checkpoints it cosigned; may be given several times
    #[arg(long = "witness", value_name = "VKEY", requires = "key")]
    pub(crate) witnesses: Vec<String>,
    /// How many of them must have cosigned a checkpoint; all, unless it is given
    #[arg(long, value_name = "COUNT", requires = "witnesses")]
    pub(crate) quorum: Option<usize>,
    /// A checkpoint that was kept elsewhere: the trail must extend it
    #[arg(long, value_name = "CHECKPOINT", requires = "key")]
    pub(crate) against: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ProveArgs {
    /// Directory of the trail
    pub(crate) trail: PathBuf,
    /// Which event
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sequence: u64,
    /// Public key that the trail is sealed with, name+id+base64
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: String,
    /// File to write, by custom ending in .tlog-proof; without it, the terminal
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CheckProofArgs {
    /// File of the proof
    pub(crate) proof: PathBuf,
    /// Public key that it must be signed with, name+id+base64
    #[arg(long, value_name = "VKEY")]
    pub(crate) key: String,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct WitnessArgs {
    /// File of the witness's private key, of `stele key new --witness`
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Address and port to listen at
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: String,
    /// Directory that keeps what was cosigned
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Public key of a log, name+id+base64; may be given several times
    #[arg(long = "log", value_name = "VKEY", required = true)]
    pub(crate) logs: Vec<String>,
    /// What the origin of a log must begin with; may be given several times
    #[arg(long = "origin", value_name = "PREFIX", default_value = "stele.internal/")]
    pub(crate) origins: Vec<String>,
    /// Print each answer as a line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

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
    /// Where the trail goes; without it, a new directory each time
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Print the summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug, Clone, Default)]
pub(crate) struct RunArgs {
    /// Configuration file; flags win over it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[arg(long, value_name = "SPEC", help = format!("Market data: {FEEDS}"))]
    pub(crate) feed: Option<String>,
    /// Strategy to run; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) strategy: Vec<String>,
    /// Parameter of the strategies, `key=value` or `strategy.key=value`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) param: Vec<String>,
    /// Directory of the trail; one that exists is continued in a new epoch
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Run this one of the configuration's shards; other processes run the others
    #[arg(long, value_name = "ID")]
    pub(crate) shard: Option<u32>,
    /// fast, real-time, or a multiple such as 10x
    #[arg(long)]
    pub(crate) pace: Option<String>,
    /// Stop after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<f64>,
    /// Trading day of a file that does not carry one, as YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    pub(crate) date: Option<String>,
    /// Journal engine: auto, io-uring or plain
    #[arg(long)]
    pub(crate) engine: Option<String>,
    /// Print the summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct BacktestArgs {
    /// Configuration file: its sections venue and risk, and its strategy; flags win over it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Market data, as `stele run --feed` takes it
    #[arg(long, value_name = "SPEC")]
    pub(crate) feed: Option<String>,
    /// Strategy to run
    #[arg(long, value_name = "NAME")]
    pub(crate) strategy: Option<String>,
    /// Parameter of the strategy
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) param: Vec<String>,
    /// Run once for each value: key=5..20, key=0.1..0.5:0.1 or key=a,b,c; several are combined
    #[arg(long, value_name = "KEY=VALUES")]
    pub(crate) sweep: Vec<String>,
    /// Stop after this much of the market's time
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<f64>,
    /// Trading day of a file that does not carry one, as YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    pub(crate) date: Option<String>,
    /// Write a page with figures and plots: one HTML file that needs nothing beside itself
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct TopArgs {
    /// Name of the bus; without it, the only one that runs
    pub(crate) name: Option<String>,
    /// Print one look as text and end
    #[arg(long, conflicts_with = "json")]
    pub(crate) once: bool,
    /// Print one look as JSON and end
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// Configuration file of the run
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Directory of the trail
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Print what was found as JSON
    #[arg(long)]
    pub(crate) json: bool,
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
pub(crate) struct TrailArgs {
    /// Directory of the trail
    pub(crate) trail: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ReadArgs {
    /// Directory of the trail
    pub(crate) trail: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ArchiveArgs {
    /// Directory of the trail, which nobody may be writing
    pub(crate) trail: PathBuf,
    /// Closed segments that stay as they are, the newest ones
    #[arg(long, default_value_t = 0, value_name = "SEGMENTS")]
    pub(crate) keep_raw: usize,
    /// How hard to pack, 1 to 22: higher is smaller and slower
    #[arg(long, default_value_t = stele_journal::archive::ARCHIVE_LEVEL_DEFAULT,
          value_parser = clap::value_parser!(i32).range(1..=22))]
    pub(crate) level: i32,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct HoldArgs {
    #[command(subcommand)]
    pub(crate) command: HoldCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum HoldCommand {
    /// Keep records of a time until the hold is released
    Place(HoldPlaceArgs),
    /// Let the records of a case go again
    Release(HoldReleaseArgs),
    /// List the holds that are in force
    List(HoldListArgs),
}

#[derive(Args, Debug)]
pub(crate) struct HoldPlaceArgs {
    /// Directory of the trail, which nobody may be writing
    pub(crate) trail: PathBuf,
    /// Number of the case
    #[arg(long, value_name = "ID")]
    pub(crate) case: u64,
    /// Records from this time on: 2026-11-21 or 2026-11-21T09:30:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Records up to this time
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Instrument that the case names; every segment of the time is kept all the same
    #[arg(long, value_name = "ID")]
    pub(crate) instrument: Option<u32>,
    /// Account that the case names; every segment of the time is kept all the same
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<u32>,
    /// Why; it goes on the trail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Who, by the number of the party
    #[arg(long, value_name = "ID")]
    pub(crate) by: u32,
    /// Who approved it, somebody else
    #[arg(long, value_name = "ID")]
    pub(crate) approved_by: Option<u32>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct HoldReleaseArgs {
    /// Directory of the trail, which nobody may be writing
    pub(crate) trail: PathBuf,
    /// Number of the case; all its holds are released
    #[arg(long, value_name = "ID")]
    pub(crate) case: u64,
    /// Why; it goes on the trail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Who, by the number of the party
    #[arg(long, value_name = "ID")]
    pub(crate) by: u32,
    /// Who approved it, somebody else
    #[arg(long, value_name = "ID")]
    pub(crate) approved_by: Option<u32>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct HoldListArgs {
    /// Directory of the trail
    pub(crate) trail: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ExpireArgs {
    /// Directory of the trail, which nobody may be writing
    pub(crate) trail: PathBuf,
    /// Configuration file, for its `[retention]`
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Say what would go, and why each of the others stays; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Judge as if it were this time: 2033-11-21 or 2033-11-21T09:30:00Z
    #[arg(long, value_name = "TIME", requires = "dry_run")]
    pub(crate) now: Option<String>,
    /// Who, by the number of the party
    #[arg(long, value_name = "ID")]
    pub(crate) person: Option<u32>,
    /// Why; it goes on the trail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RepairArgs {
    /// Directory of the trail, which nobody may be writing
    pub(crate) trail: PathBuf,
    /// Replace damaged segments by intact copies, from a segment file or a directory of them
    #[arg(long, value_name = "COPY", conflicts_with = "cut")]
    pub(crate) restore: Option<PathBuf>,
    /// Set aside everything from the first damage on, and go on in front of it
    #[arg(long, requires = "reason", requires = "by")]
    pub(crate) cut: bool,
    /// Why; it goes on the trail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Who, by the number of the party; it goes on the trail
    #[arg(long, value_name = "ID")]
    pub(crate) by: Option<u32>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// Directory of the trail
    pub(crate) trail: PathBuf,
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
    /// Print events, or the new run's summary, as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

#[derive(Args, Debug)]
pub(crate) struct DumpArgs {
    /// Directory of the trail
    pub(crate) trail: PathBuf,
    /// First event: its sequence, or a time such as 2026-11-21 or 2026-11-21T09:30:00Z
    #[arg(long, value_name = "SEQUENCE|TIME")]
    pub(crate) from: Option<Place>,
    /// Last event: its sequence, or a time
    #[arg(long, value_name = "SEQUENCE|TIME")]
    pub(crate) to: Option<Place>,
    /// Go on printing what is written, also by another process, until interrupted
    #[arg(long)]
    pub(crate) follow: bool,
    /// Only events of this type, e.g. NewOrder; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    /// One JSON object a line
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,
    /// Comma-separated values, with a header line for each type of event
    #[arg(long)]
    pub(crate) csv: bool,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

#[derive(Args, Debug)]
pub(crate) struct AttachArgs {
    /// Name of the bus, `[bus]` name of its configuration or its trail's; without it, the only one that runs
    pub(crate) name: Option<String>,
    /// Shard, where there are several
    #[arg(long, value_name = "ID")]
    pub(crate) shard: Option<u32>,
    /// First event, by its sequence; without it, what comes from now on
    #[arg(long, value_name = "SEQUENCE", conflicts_with = "lossy", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from: Option<u64>,
    /// Read the ring alone, and say which events were lost when it overran this; without it the trail is read then, and
    /// nothing is missing
    #[arg(long)]
    pub(crate) lossy: bool,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

#[derive(Clone, Copy, ValueEnum, Debug)]
pub(crate) enum Scenario {
    /// Feed to trail, everything running: latency at the demo's pace, throughput without one
    Pipeline,
    /// The journal beside the raw device: latency, throughput, rolls, verified scan, recovery
    Journal,
    /// The bus beside rtrb and the disruptor: hops, fan-out, tick to order, order to release, risk checks
    Bus,
    /// Books beside a BTreeMap, windows beside a loop by hand, backtests beside their feeds
    Strategies,
    /// Sealing beside SHA-256 alone, verifying, proving, and what sealing costs a running bus
    Seal,
}

#[derive(Args, Debug)]
pub(crate) struct PerfArgs {
    /// What to measure
    pub(crate) scenario: Scenario,
    /// Repetitions; the median and the spread are printed
    #[arg(long, default_value_t = 5)]
    pub(crate) repeats: u32,
    /// Seconds of each repetition; of the journal's, of each of its latency runs
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// A few seconds in all: whether it runs, not how fast
    #[arg(long)]
    pub(crate) quick: bool,
    /// Journal, bus, seal: where to write, on the file system to be measured; without it, where temporary things go
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Journal: size of the trail that is recovered
    #[arg(long, default_value_t = 1, value_name = "GIB")]
    pub(crate) recovery_gib: u64,
    /// Seal: events of the trail that is sealed, verified and proved from
    #[arg(long, default_value_t = 2_000_000, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) trail_events: u64,
    /// Journal: how it flushes: measured, flushed-writes, linked-sync or sync-thread
    #[arg(long, default_value = "measured", value_name = "METHOD")]
    pub(crate) flush: String,
    /// Bus: pass events to so many consumers on one thread, print nothing; the program asks this of itself to count
    #[arg(long, hide = true, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=3))]
    pub(crate) consumers: Option<u8>,
    /// One JSON object and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}
