//! Runs the scenario `bus` in its quick form and checks the report.

use stele_journal::FlushMethod;
use stele_perf::bus::{BusSetup, BusWorkload, run};
use stele_perf::journal;

const LATENCIES: [&str; 10] = [
    "hop",
    "rtrb_hop",
    "hop_as_run",
    "rtrb_hop_as_run",
    "tick_to_sequenced",
    "tick_to_sequenced_beside_journal",
    "tick_to_released_published",
    "tick_to_released_written",
    "tick_to_released",
    "risk_check",
];

#[test]
fn the_scenario_reports_every_figure_with_its_baseline_and_its_route() {
    let folder = tempfile::tempdir().unwrap();
    let mut cpus = stele_bus::allowed_cpus();
    cpus.truncate(2);
    let journal = journal::JournalSetup {
        directory: folder.path().into(),
        journal_cpu: cpus.get(1).copied(),
        sequencer_cpu: cpus.first().copied(),
        flush: FlushMethod::LinkedSync,
        yields: true,
        segment_length: 4 << 20,
    };
    let mut stages = Vec::new();
    let setup = BusSetup { journal, cpus, worker: None };
    let report = run(&setup, &BusWorkload::quick(), &[], |stage| stages.push(stage.to_owned())).unwrap();
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
        assert!(figure["hops"].is_u64() && figure["cores"].as_str().unwrap().contains("CPU"), "{figure}");
        assert!(figure["from"].is_string() && figure["to"].is_string(), "{figure}");
        assert!(figure["publisher_and_consumer_share_a_core"].is_boolean(), "{figure}");
    }
    assert_eq!(find("hop")["count"], find("rtrb_hop")["count"], "the same arrivals on both sides");
    for (name, baseline, ratio) in [
        ("hop", "rtrb_hop", "ratio_p99"),
        ("hop_as_run", "rtrb_hop_as_run", "ratio_p50"),
        ("fan_out_1", "disruptor_fan_out_1", "ratio"),
        ("fan_out_2", "disruptor_fan_out_2", "ratio"),
        ("fan_out_3", "disruptor_fan_out_3", "ratio"),
        ("fan_out_3_in_cache", "disruptor_fan_out_3_in_cache", "ratio"),
        ("disruptor_sealed_fan_out_1", "fan_out_1", "ratio"),
        ("sequencer_throughput", "rtrb_throughput", "ratio"),
    ] {
        assert_eq!(find(name)["baseline"], baseline);
        assert!(find(name)[ratio].as_f64().unwrap() > 0.0, "{name}: {:?}", find(name));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "everything written was removed");
}
