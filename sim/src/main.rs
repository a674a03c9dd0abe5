//! `stele-sim`: simulates worlds, one seed after another, until enough rounds are done or a check fails.
#![forbid(unsafe_code)]

use clap::Parser;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Instant;
use stele_sim::{WorldFailure, WorldOutcome};

/// The whole write path in one thread, on a manual clock and a faulty disk in memory, from one seed.
#[derive(Parser)]
#[command(name = "stele-sim", version)]
struct Arguments {
    /// Seed of the first world; the next ones follow it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of stops, kills and power failures to recover from and check. Worlds always run to their end,
    /// so `--rounds 1` runs the one world of the seed.
    #[arg(long, default_value_t = 10_000)]
    rounds: u64,
    /// Continue after a failure and report all failures.
    #[arg(long)]
    keep_going: bool,
    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

/// Returns the command that reproduces the failure of `seed`.
fn again(seed: u64) -> String {
    format!("cargo run --release -p stele-sim -- --seed {seed} --rounds 1")
}

/// The JSON output.
#[derive(Serialize)]
struct RunReport {
    scenario: &'static str,
    seed: u64,
    worlds: u64,
    rounds_per_second: f64,
    outcome: WorldOutcome,
    failures: Vec<FailureReport>,
}

#[derive(Serialize)]
struct FailureReport {
    seed: u64,
    life: u64,
    step: u64,
    rule: &'static str,
    what: String,
    again: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A panic of the code under test is reported as a failure, with its seed.
    std::panic::set_hook(Box::new(|_| ()));
    let (mut total, mut failures, mut worlds) = (WorldOutcome::default(), Vec::new(), 0);
    #[expect(
        clippy::disallowed_methods,
        reason = "the rate that is printed is that of the machine, no world sees it"
    )]
    let began = Instant::now();
    while total.rounds() < arguments.rounds && (failures.is_empty() || arguments.keep_going) {
        match stele_sim::run(arguments.seed.wrapping_add(worlds), None) {
            Ok(outcome) => total.add(&outcome),
            Err(failure) => {
                // The completed lives count, so that the run ends.
                total.lives += failure.life.max(1);
                if !arguments.json {
                    eprintln!(
                        "{failure}
  run it again: {}",
                        again(failure.seed)
                    );
                }
                failures.push(failure);
            }
        }
        worlds += 1;
    }
    let seconds = began.elapsed().as_secs_f64().max(1e-9);
    let rounds_per_second = total.rounds() as f64 / seconds;
    let code = if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if arguments.json {
        let failures = failures.into_iter().map(report_of).collect();
        let seed = arguments.seed;
        let report =
            RunReport { scenario: "simulation", seed, worlds, rounds_per_second, outcome: total, failures };
        println!("{}", serde_json::to_string(&report).expect("numbers and text"));
    } else {
        print(&total, worlds, rounds_per_second, failures.len());
    }
    code
}

fn report_of(failure: WorldFailure) -> FailureReport {
    let WorldFailure { seed, life, step, violation } = failure;
    FailureReport { seed, life, step, rule: violation.rule, what: violation.what, again: again(seed) }
}

fn print(total: &WorldOutcome, worlds: u64, rounds_per_second: f64, failures: usize) {
    let [stopped, killed, powerless] = total.ends;
    let [a, b, c, d, e, f] = total.rows;
    let (life, disk) = (&total.life, &total.disk);
    println!(
        "{} rounds in {worlds} worlds, {rounds_per_second:.0} a second: {failures} failures",
        total.rounds()
    );
    println!(
        "  rounds  {} ends of a life, {} crashes during one, {} of these with rot, {} reported",
        total.lives, total.crashes, total.rotten, total.rot_reported
    );
    println!("  ended   {stopped} by a stop, {killed} by a kill, {powerless} by a failure of the power");
    println!("  rows    A {a}, B {b}, C {c}, D {d}, E {e}, F {f}; {} cut short", total.interrupted);
    println!(
        "  events  {} kept, {} rolled back; {} submitted, {} refused",
        total.events, total.rolled_back, life.submitted, life.refused
    );
    println!("  orders  {} left, {} refused", life.orders_left, life.orders_refused);
    println!(
        "  journal {} rolls, {} failures; {} reads of a live trail",
        life.rolls, life.poisonings, life.live_reads
    );
    println!(
        "  disk    {} writes, {} out of order, {} failed; sectors lost {}, kept although unflushed {}",
        disk.writes, disk.out_of_order, disk.failures, disk.sectors_lost, disk.sectors_kept
    );
}
