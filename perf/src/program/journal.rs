//! `stele perf journal`: compares the journal, set up as in a run, with the raw device.

use super::bench::Bench;
use super::cli::Arguments;
use super::page::{page, print_json, print_page};
use serde::Serialize;
use stele_node::measuring::{Failure, FlushReport};
use stele_perf::PerfReport;
use stele_perf::journal::{JournalWorkload, run};

/// The report, and how the flush method of the journal was chosen.
#[derive(Serialize)]
struct JournalReport {
    #[serde(flatten)]
    report: PerfReport,
    flush_methods: FlushReport,
}

/// Runs the scenario and prints its report.
pub(crate) fn journal(arguments: &Arguments) -> Result<(), Failure> {
    let report = Bench::measure(arguments, |bench| {
        let workload = if arguments.quick {
            JournalWorkload::quick()
        } else {
            JournalWorkload {
                latency: bench.latency,
                ..JournalWorkload::full(arguments.repeats, arguments.recovery_gib)
            }
        };
        let report = run(&bench.setup, &workload, &bench.mixes, |stage| eprintln!("{stage}"));
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
