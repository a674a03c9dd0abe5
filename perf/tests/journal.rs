//! Runs the scenario `journal` in its quick form and checks the report.

use stele_journal::FlushMethod;
use stele_perf::MessageMix;
use stele_perf::journal::{JournalSetup, JournalWorkload, run};
use stele_testkit::skip::skip;

const LATENCIES: [&str; 8] = [
    "publish_to_written",
    "publish_to_durable",
    "publish_to_written_under_load",
    "publish_to_durable_under_load",
    "raw_write",
    "raw_flushed_write",
    "roll",
    "publish_without_rolls",
];
const VALUES: [&str; 9] = [
    "journal_throughput",
    "durable_throughput",
    "journal_throughput_while_zeroing",
    "journal_drain",
    "journal_throughput_mix",
    "verified_scan",
    "recovery",
    "rolls",
    "raw_sequential_read",
];

#[test]
fn the_scenario_reports_every_figure_with_its_baseline_and_cleans_up() {
    let folder = tempfile::tempdir().unwrap();
    if std::fs::metadata("/proc/sys/kernel/io_uring_disabled").is_err() {
        return skip("io_uring");
    }
    let cpus = stele_bus::allowed_cpus();
    let setup = JournalSetup {
        directory: folder.path().into(),
        journal_cpu: cpus.first().copied(),
        sequencer_cpu: cpus.last().copied(),
        flush: FlushMethod::LinkedSync,
        yields: true,
        segment_length: 4 << 20,
    };
    let mut feed = TwoTrades::default();
    let mix = MessageMix::read("mix", &mut feed, 1_000).unwrap();
    let mut stages = Vec::new();
    let report =
        run(&setup, &JournalWorkload::quick(), &[mix], |stage| stages.push(stage.to_owned())).unwrap();
    assert!(stages.len() >= 5 && stages[0].contains("repetition 1 of 1"), "{stages:?}");
    let report: serde_json::Value = serde_json::to_value(&report).unwrap();
    let figures = report["figures"].as_array().unwrap();
    let find = |name: &str| {
        let found = figures.iter().find(|figure| figure["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is missing of {figures:#?}"))
    };
    for name in LATENCIES {
        let figure = find(name);
        assert!(
            figure["count"].as_u64() > Some(0) && figure["max"].as_u64() >= figure["p50"].as_u64(),
            "{figure}"
        );
        let has_tail = figure["count"].as_u64() >= Some(100_000);
        assert_eq!(!figure["p9999"].is_null(), has_tail, "ten samples above a percentile, or none is given");
        assert_eq!((figure["unit"].as_str(), figure["repeats"].as_u64()), (Some("ns"), Some(1)), "{name}");
    }
    for name in VALUES {
        assert!(find(name)["value"].as_f64().unwrap() > 0.0, "{name}");
    }
    for (name, baseline, ratio) in [
        ("publish_to_written", "raw_write", "ratio_p50"),
        ("publish_to_durable", "raw_flushed_write", "ratio_p50"),
        ("journal_throughput", "raw_sequential_write", "ratio"),
        ("durable_throughput", "raw_flushed_sequential_write", "ratio"),
        ("verified_scan", "raw_sequential_read", "ratio"),
        ("roll", "publish_without_rolls", "ratio_p50"),
    ] {
        assert_eq!(find(name)["baseline"], baseline);
        assert!(find(name)[ratio].as_f64().unwrap() > 0.0, "{name}: {:?}", find(name));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "everything written was removed");
}

/// A feed of two trades, then nothing.
#[derive(Default)]
struct TwoTrades {
    is_read: bool,
}

impl stele_feed::Feed for TwoTrades {
    fn describe(&self) -> stele_feed::SourceDescription {
        unreachable!("a mix only reads events")
    }

    fn fill(&mut self, batch: &mut stele_feed::Batch) -> Result<stele_feed::FeedStep, stele_feed::FeedError> {
        use stele_wire::messages::Trade;
        if !std::mem::replace(&mut self.is_read, true) {
            batch.push(stele_wire::Nanos(1), &Trade::NULL);
            batch.push(stele_wire::Nanos(2), &Trade::NULL);
        }
        Ok(stele_feed::FeedStep::End)
    }

    fn records(&self) -> u64 {
        2
    }

    fn report(&self) -> stele_feed::FeedReport {
        unreachable!("a mix only reads events")
    }
}
