//! `stele perf journal`: the journal where and how a run would have it, beside the raw device.

use super::bench::Bench;
use super::cli::Arguments;
use super::page::{page, print_json, print_page};
use serde::Serialize;
use stele_node::measuring::{Failure, FlushReport};
use stele_perf::Report;
use stele_perf::journal::{Extent, run};

/// A report, and how the journal's flush method was found.
#[derive(Serialize)]
struct JournalReport {
    #[serde(flatten)]
    report: Report,
    flush_methods: FlushReport,
}

/// Measures and prints.
pub(crate) fn journal(arguments: &Arguments) -> Result<(), Failure> {
    let report = Bench::measure(arguments, |bench| {
        let extent = if arguments.quick {
            Extent::quick()
        } else {
            Extent { latency: bench.latency, ..Extent::full(arguments.repeats, arguments.recovery_gib) }
        };
        let report = run(&bench.place, &extent, &bench.mixes, |stage| eprintln!("{stage}"));
        let report = report.map_err(Failure::environment)?;
        Ok(JournalReport { report, flush_methods: bench.plan.flush.clone() })
    })?;
    if arguments.json {
        print_json(&report)
    } else {
        let JournalReport { report, flush_methods } = &report;
        print_page(&(page(report) + &flush_methods.page()))
    }
}
