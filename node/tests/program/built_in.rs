//! Every built-in strategy, live and replayed: in every layout of the cores and in both markets, it sends the
//! same orders when its trail is replayed. New strategies in the registry are covered automatically.

use crate::{stele_json, stele_ok, text};
use std::fs;
use std::path::Path;
use stele_strategies::Registry;

/// The layouts: as chosen for this machine, all agents in turn on one thread, and a thread for each agent.
const LAYOUTS: [&str; 3] = [
    "",
    "[[core]]\nagents = [\"sequencer\", \"strategies\", \"gateway\", \"journal\", \"feed\"]\n",
    "[[core]]\nagents = [\"sequencer\"]\nidle = \"park\"\n[[core]]\nagents = [\"strategies\"]\nidle = \"park\"\n\
     [[core]]\nagents = [\"gateway\"]\nidle = \"park\"\n[[core]]\nagents = [\"journal\"]\nidle = \"park\"\n\
     [[core]]\nagents = [\"feed\"]\nidle = \"park\"\n",
];

/// Runs every strategy for some seconds, with parameters that let it trade, and checks that a replay of the
/// trail sends the same orders. Returns the number of orders of each.
fn run(folder: &Path, name: &str, feed: &str, counterparty: &str, layout: &str) -> Vec<(String, u64)> {
    let (config, trail) = (folder.join(format!("{name}.toml")), folder.join(name));
    let strategies: String = Registry::built_in()
        .kinds()
        .iter()
        .map(|kind| {
            let parameters = match kind.name {
                "dip-buyer" => "fall-percent = 0.02\nprofit-percent = 0.02\nloss-percent = 0.02\n",
                "lead-lag" => "move-percent = 0.01\n",
                _ => "",
            };
            format!("[[strategy]]\nname = \"{}\"\n[strategy.parameters]\n{parameters}", kind.name)
        })
        .collect();
    let content = format!(
        "[feed]\nspec = \"{feed}\"\npace = \"real-time\"\nevents_per_second = 20000\nseconds = 2.5\n\
         [trail]\ndir = \"{}\"\n[journal]\nsegment_mib = 1\nengine = \"plain\"\n\
         [venue]\ncounterparty = \"{counterparty}\"\n{strategies}{layout}",
        text(&trail)
    );
    fs::write(&config, content).unwrap();
    stele_ok(&["run", "-c", text(&config)]);
    let verified = stele_json(&["verify", text(&trail)]);
    assert_eq!(verified["violations"].as_array().map_or(0, Vec::len), 0, "{verified}");
    let checked = stele_json(&["check-strategy", text(&trail)]);
    assert_eq!((&checked["equal"], &checked["ended_in_order"]), (&true.into(), &true.into()), "{checked}");
    let tallies = checked["strategies"].as_array().unwrap();
    let sent =
        |tally: &serde_json::Value| tally["orders"].as_u64().unwrap() + tally["refused"].as_u64().unwrap();
    tallies.iter().map(|tally| (tally["name"].as_str().unwrap().to_owned(), sent(tally))).collect()
}

#[test]
fn every_built_in_strategy_sends_the_same_orders_live_and_replayed_on_every_layout_in_both_markets() {
    let folder = tempfile::tempdir().unwrap();
    let first = text(&folder.path().join("market-0")).to_owned();
    for counterparty in ["market", "own-book"] {
        for (at, layout) in LAYOUTS.iter().enumerate() {
            let feed = match (counterparty, at) {
                ("market", 0) => "generator:3".to_owned(),
                _ => format!("trail:{first}"),
            };
            let sent = run(folder.path(), &format!("{counterparty}-{at}"), &feed, counterparty, layout);
            let names: Vec<_> = Registry::built_in().kinds().iter().map(|kind| kind.name).collect();
            assert_eq!(sent.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
            for (name, orders) in sent {
                assert!(orders > 0, "{name} sent nothing on layout {at} in {counterparty}");
            }
        }
    }
}
