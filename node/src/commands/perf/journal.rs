//! `stele perf journal`: the journal where and how a run would have it, beside the raw device.

use super::bench::Bench;
use crate::cli::PerfArgs;
use crate::commands::{perf, print_json, print_page};
use crate::failure::Failure;
use crate::measuring::FlushReport;
use serde::Serialize;
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
pub(super) fn journal(args: &PerfArgs) -> Result<(), Failure> {
    let report = Bench::measure(args, |bench| {
        let extent = if args.quick {
            Extent::quick()
        } else {
            Extent { latency: bench.latency, ..Extent::full(args.repeats, args.recovery_gib) }
        };
        let report = run(&bench.place, &extent, &bench.mixes, |stage| eprintln!("{stage}"));
        let report = report.map_err(Failure::environment)?;
        Ok(JournalReport { report, flush_methods: bench.plan.flush.clone() })
    })?;
    if args.json {
        print_json(&report)
    } else {
        let JournalReport { report, flush_methods } = &report;
        print_page(&(perf::page(report) + &flush_methods.page()))
    }
}
