//! Worlds on a disk that fails and keeps its promises, and worlds with a deliberate fault.

use stele_sim::{BrokenPromise, Sabotage, WorldOutcome, run};

/// Runs worlds, with seeds from `seed` on, until there were this many rounds.
fn run_rounds(seed: u64, rounds: u64) -> WorldOutcome {
    let mut total = WorldOutcome::default();
    for seed in seed.. {
        if total.rounds() >= rounds {
            break;
        }
        match run(seed, None) {
            Ok(outcome) => total.add(&outcome),
            Err(failure) => {
                panic!(
                    "{failure}\n  run it again: cargo run --release -p stele-sim -- --seed {seed} --rounds 1"
                )
            }
        }
    }
    total
}

/// Returns the rules that are violated within `worlds` worlds.
fn rules_broken_by(sabotage: Sabotage, worlds: u64) -> Vec<&'static str> {
    let failures = (1..=worlds).filter_map(|seed| run(seed, Some(sabotage)).err());
    let mut rules: Vec<_> = failures.map(|failure| failure.violation.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// A hundred thousand rounds in two tests, which the test runner may run on two threads.
#[test]
fn nothing_acknowledged_is_lost_and_nothing_invented_in_fifty_thousand_crashes() {
    assert_exercised(&run_rounds(1, 50_000));
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_invented_in_fifty_thousand_more() {
    assert_exercised(&run_rounds(1_000_000, 50_000));
}

/// A simulation that does not reach a state proves nothing about it.
fn assert_exercised(total: &WorldOutcome) {
    let [a, b, c, d, e, f] = total.rows;
    assert!(a > 50 && c > 50 && d > 50 && e > 50 && b + f == 0, "{total:?}");
    assert!(total.ends.iter().all(|&count| count > 50) && total.interrupted > 50, "{total:?}");
    let (life, disk) = (&total.life, &total.disk);
    assert!(total.rolled_back > 1_000 && total.events > 10_000, "{total:?}");
    assert!(life.orders_left > 1_000 && life.orders_refused > 1_000 && life.refused > 1_000, "{total:?}");
    assert!(life.rolls > 50 && life.poisonings > 10 && life.live_reads > 1_000, "{total:?}");
    assert!(disk.out_of_order > 500 && disk.sectors_lost > 500 && disk.sectors_kept > 500, "{total:?}");
}

#[test]
fn the_same_seed_gives_the_same_world() {
    for seed in 500..505 {
        assert_eq!(run(seed, None), run(seed, None));
    }
}

#[test]
fn a_disk_that_acknowledges_a_flush_and_loses_it_is_caught() {
    let rules = rules_broken_by(Sabotage::Disk(BrokenPromise::LosesFlushes), 20);
    assert!(rules.contains(&"what was acknowledged survives"), "{rules:?}");
}

#[test]
fn an_acknowledgement_before_the_write_is_caught() {
    let rules = rules_broken_by(Sabotage::Disk(BrokenPromise::AcknowledgesEarly), 20);
    assert!(rules.contains(&"what was acknowledged survives"), "{rules:?}");
}

#[test]
fn bits_that_rot_are_caught() {
    assert!(!rules_broken_by(Sabotage::Disk(BrokenPromise::RotsBits), 20).is_empty());
}

#[test]
fn a_write_that_spoils_another_sector_is_caught() {
    assert!(!rules_broken_by(Sabotage::Disk(BrokenPromise::WritesElsewhere), 20).is_empty());
}

#[test]
fn an_order_that_leaves_before_it_is_durable_is_caught() {
    let rules = rules_broken_by(Sabotage::EarlyRelease, 5);
    assert_eq!(rules, ["orders leave when they are durable"]);
}
