//! `stele-sim`: runs worlds, one seed after the other, until enough rounds are done or a promise is broken.
#![forbid(unsafe_code)]

use clap::{Parser, ValueEnum};
use serde::Serialize;
use std::process::ExitCode;
use std::time::Instant;
use stele_sim::{Allowances, Failure, Outcome};

/// The whole write path in one thread, on a manual clock and a faulty disk in memory, from one seed.
#[derive(Parser)]
#[command(name = "stele-sim", version)]
struct Arguments {
    /// Seed of the first world; the next ones follow it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Lives, each ended by a stop, a kill or a failure of the power, and recovered from. Worlds are run whole, so
    /// that `--rounds 1` is the one world of the seed.
    #[arg(long, default_value_t = 10_000)]
    rounds: u64,
    /// Do not spare the write path this, although it is known not to live through it. May be given several times.
    #[arg(long, value_enum)]
    unspared: Vec<Unspared>,
    /// Go on behind a failure and tell them all.
    #[arg(long)]
    keep_going: bool,
    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
}

/// A failure of the disk that worlds are spared unless asked for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Unspared {
    /// A sync covers its own file only.
    Sync,
    /// Headers of two segments are on their way at once.
    Headers,
    /// The first header of a trail is torn.
    FirstHeader,
    /// A reader looks while a roll is on its way.
    Reader,
    /// All of these.
    All,
}

impl Arguments {
    fn allowances(&self) -> Allowances {
        let spared = |what| !self.unspared.contains(&what) && !self.unspared.contains(&Unspared::All);
        let today = Allowances::TODAY;
        Allowances {
            sync_covers_all_files: today.sync_covers_all_files && spared(Unspared::Sync),
            one_header_at_a_time: today.one_header_at_a_time && spared(Unspared::Headers),
            first_header_is_whole: today.first_header_is_whole && spared(Unspared::FirstHeader),
            no_reader_during_rolls: today.no_reader_during_rolls && spared(Unspared::Reader),
        }
    }

    /// What to run to see the failure of `seed` again.
    fn again(&self, seed: u64) -> String {
        let mut command = format!("cargo run --release -p stele-sim -- --seed {seed} --rounds 1");
        for unspared in &self.unspared {
            let value = unspared.to_possible_value().expect("no value is hidden");
            command += &format!(" --unspared {}", value.get_name());
        }
        command
    }
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Report {
    scenario: &'static str,
    seed: u64,
    worlds: u64,
    rounds_per_second: f64,
    outcome: Outcome,
    failures: Vec<Told>,
}

#[derive(Serialize)]
struct Told {
    seed: u64,
    life: u64,
    step: u64,
    rule: &'static str,
    what: String,
    again: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A panic of the code under test is told as a failure, with its seed.
    std::panic::set_hook(Box::new(|_| ()));
    let allowances = arguments.allowances();
    let (mut total, mut failures, mut worlds) = (Outcome::default(), Vec::new(), 0);
    let began = Instant::now();
    while total.lives < arguments.rounds && (failures.is_empty() || arguments.keep_going) {
        match stele_sim::run(arguments.seed.wrapping_add(worlds), allowances, None) {
            Ok(outcome) => total.add(&outcome),
            Err(failure) => {
                // The lives that went well count, so that the rounds come to an end.
                total.lives += failure.life.max(1);
                if !arguments.json {
                    eprintln!(
                        "{failure}
  run it again: {}",
                        arguments.again(failure.seed)
                    );
                }
                failures.push(failure);
            }
        }
        worlds += 1;
    }
    let seconds = began.elapsed().as_secs_f64().max(1e-9);
    let rounds_per_second = total.lives as f64 / seconds;
    let code = if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if arguments.json {
        let failures = failures.into_iter().map(|failure| told(failure, &arguments)).collect();
        let seed = arguments.seed;
        let report =
            Report { scenario: "simulation", seed, worlds, rounds_per_second, outcome: total, failures };
        println!("{}", serde_json::to_string(&report).expect("numbers and text"));
    } else {
        print(&total, worlds, rounds_per_second, failures.len());
    }
    code
}

fn told(failure: Failure, arguments: &Arguments) -> Told {
    let Failure { seed, life, step, violation } = failure;
    Told { seed, life, step, rule: violation.rule, what: violation.what, again: arguments.again(seed) }
}

fn print(total: &Outcome, worlds: u64, rounds_per_second: f64, failures: usize) {
    let [stopped, killed, powerless] = total.ends;
    let [a, b, c, d, e, f] = total.rows;
    let (life, disk) = (&total.life, &total.disk);
    println!(
        "{} rounds in {worlds} worlds, {rounds_per_second:.0} a second: {failures} failures",
        total.lives
    );
    println!("  ended   {stopped} by a stop, {killed} by a kill, {powerless} by a failure of the power");
    println!("  rows    A {a}, B {b}, C {c}, D {d}, E {e}, F {f}; {} cut short", total.interrupted);
    println!(
        "  events  {} kept, {} rolled back; {} submitted, {} refused",
        total.events, total.rolled_back, life.submitted, life.refused
    );
    println!("  orders  {} left, {} refused", life.orders_left, life.orders_refused);
    println!(
        "  journal {} rolls, {} failures; {} looks of a live reader",
        life.rolls, life.poisonings, life.live_reads
    );
    println!(
        "  disk    {} writes, {} out of order, {} failed; sectors lost {}, kept unpromised {}",
        disk.writes, disk.out_of_order, disk.failures, disk.sectors_lost, disk.sectors_kept
    );
}
