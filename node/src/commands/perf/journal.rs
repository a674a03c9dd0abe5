//! `stele perf journal`: the journal where and how a run would have it, beside the raw device.

use crate::cli::PerfArgs;
use crate::commands::{perf, print_json, print_page};
use crate::config::{Config, JournalConfig};
use crate::failure::Failure;
use crate::feeds;
use crate::flush::{FlushPlan, FlushReport};
use crate::layout::{Job, Layout, allowed_cpus, disk_cpus};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use stele_connect::spec::FeedSpec;
use stele_perf::Report;
use stele_perf::journal::{Extent, Mix, Place, run};

/// Events of a recorded market that are journaled over and over.
const MIX_EVENTS: usize = 200_000;
/// Recorded markets: the name in figures, the format, the file.
const RECORDED: [(&str, &str, &str); 2] = [
    ("itch", "itch", "itch/aapl-20200130-10000.itch50"),
    ("dbn", "dbn", "dbn/orderbooks_mbo_2024-05-08T00-00-00_2024-05-08T00-00-02.dbn.zst"),
];
/// Data bytes of a segment where it is to be quick.
const QUICK_SEGMENT: u64 = 4 << 20;

/// A report, and how the journal's flush method was found.
#[derive(Serialize)]
struct JournalReport {
    #[serde(flatten)]
    report: Report,
    flush_methods: FlushReport,
}

/// Measures and prints.
pub(super) fn journal(args: &PerfArgs) -> Result<(), Failure> {
    let base = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let directory = base.join(format!("stele-perf-{}", std::process::id()));
    fs::create_dir_all(&directory)
        .map_err(|error| Failure::environment(format!("cannot create {}: {error}", directory.display())))?;
    let measured = measure(args, &directory);
    let removed = fs::remove_dir_all(&directory);
    let report = measured?;
    removed.map_err(|error| Failure::environment(format!("{}: {error}", directory.display())))?;
    if args.json {
        print_json(&report)
    } else {
        let JournalReport { report, flush_methods } = &report;
        print_page(&(perf::page(report) + &flush_methods.page()))
    }
}

fn measure(args: &PerfArgs, directory: &Path) -> Result<JournalReport, Failure> {
    let layout = Layout::choose(&allowed_cpus(), &disk_cpus(directory), &Config::default().cores);
    let config = JournalConfig { flush: args.flush.clone(), ..JournalConfig::default() };
    let plan = FlushPlan::make(&config, directory, &layout)?;
    eprintln!("{}", layout.reason);
    eprintln!("{}", plan.describe());
    let place = Place {
        directory: directory.into(),
        journal_cpu: layout.cpu_of(Job::Journal),
        sequencer_cpu: layout.cpu_of(Job::Sequencer),
        flush: plan.method,
        yields: plan.yields,
        segment_length: if args.quick { QUICK_SEGMENT } else { config.segment_mib << 20 },
    };
    let latency = Duration::try_from_secs_f64(args.seconds)
        .map_err(|error| Failure::usage(format!("{} seconds: {error}", args.seconds)))?;
    let extent = if args.quick {
        Extent::quick()
    } else {
        Extent { latency, ..Extent::full(args.repeats, args.recovery_gib) }
    };
    let mixes = if args.quick { Vec::new() } else { recorded_mixes()? };
    let report = run(&place, &extent, &mixes, |stage| eprintln!("{stage}")).map_err(Failure::environment)?;
    Ok(JournalReport { report, flush_methods: plan.report() })
}

/// The markets that were recorded, where the shared data is.
fn recorded_mixes() -> Result<Vec<Mix>, Failure> {
    let Some(shared) = std::env::var_os("STELE_SHARED").map(PathBuf::from) else {
        eprintln!("recorded markets are left out: STELE_SHARED does not say where they are");
        return Ok(Vec::new());
    };
    let read = |(name, kind, file): (&'static str, &str, &str)| {
        let spec = FeedSpec::parse(&format!("{kind}:{}", shared.join("data").join(file).display()))
            .map_err(Failure::usage)?;
        let mut feed = feeds::open(&spec, &Config::default(), None)?;
        Mix::read(name, feed.as_mut(), MIX_EVENTS).map_err(Failure::environment)
    };
    RECORDED.into_iter().map(read).collect()
}
