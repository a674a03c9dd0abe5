//! The gate: every check that a change has to pass, the same on a developer's machine and in CI.
//!
//! ```text
//! format ──> builds:  lints, documents, release, test build    ──> alone: demo, tests, own-strategy
//!       └──> beside:  tools, words, dependencies, loom, miri, fuzz ──┘
//! ```
//!
//! Builds share one `target` folder, which Cargo locks, so they run one after the other. Steps with their own
//! folder run at the same time and use the processor while the builds wait. Tests and measurements run alone.

use crate::neighbours::{self, NEIGHBOURS};
use crate::process::{Failed, Job, Output};
use crate::steps::{self, Outcome, Step};
use crate::table::{Row, Verdict, print};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// When a step runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Before all other steps.
    First,
    /// Builds, in the `target` folder of the workspace.
    Builds,
    /// At the same time as the builds.
    Beside,
    /// After the builds, with the machine alone.
    Alone,
    /// Alone, and only with `--full`.
    Full,
}

/// A step of the gate.
struct GateStep {
    name: &'static str,
    about: &'static str,
    phase: Phase,
    run: Step,
}

const fn step(name: &'static str, phase: Phase, about: &'static str, run: Step) -> GateStep {
    GateStep { name, about, phase, run }
}

/// The steps. Those of one phase run in this order.
const STEPS: &[GateStep] = &[
    step("format", Phase::First, "cargo fmt --check", steps::format),
    step("lints", Phase::Builds, "clippy over every target, warnings as errors", steps::lints),
    step("documents", Phase::Builds, "cargo doc, warnings as errors", steps::documents),
    step("release", Phase::Builds, "the program of the README's first command", steps::build_release),
    step("test-build", Phase::Builds, "every test of the workspace, built", steps::build_tests),
    step("tools", Phase::Beside, "installs missing tools", steps::install_tools),
    step("words", Phase::Beside, "the words, and the width of lines", steps::words),
    step("dependencies", Phase::Beside, "licences, duplicates, sources, known defects", steps::dependencies),
    step("deployment", Phase::Beside, "Dockerfile and systemd unit", steps::deployment),
    step("loom", Phase::Beside, "every interleaving of the protocols of the rings", steps::loom),
    step("miri", Phase::Beside, "the memory of the rings, under Miri", steps::miri),
    step("fuzz", Phase::Beside, "arbitrary bytes as a trail, ten seconds a target", steps::fuzz),
    step("demo", Phase::Alone, "the README's first command, and the checks of its trail", steps::demo),
    step("tests", Phase::Alone, "cargo test --workspace", steps::tests),
    step(
        "own-strategy",
        Phase::Alone,
        "the crate outside the workspace, built and tested",
        steps::own_strategy,
    ),
    step("tamper", Phase::Full, "a thousand edits of a sealed trail", steps::tamper),
    step("kills", Phase::Full, "two hundred kills", steps::kills),
    step("deb", Phase::Full, "the Debian package", steps::deb),
    step("image", Phase::Full, "the container image, where Docker is available", steps::container),
];

/// The steps that the command line selects.
struct Selection {
    full: bool,
    neighbours: bool,
    names: Vec<String>,
}

impl Selection {
    fn parse(arguments: &[String]) -> Result<Self, Failed> {
        let mut selection = Self { full: false, neighbours: false, names: Vec::new() };
        for argument in arguments {
            match argument.as_str() {
                "--full" => selection.full = true,
                "--neighbours" => selection.neighbours = true,
                name if STEPS.iter().any(|step| step.name == name) => selection.names.push(name.to_owned()),
                other => return Err(Failed::Usage(format!("`{other}` is not a step of the gate"))),
            }
        }
        Ok(selection)
    }

    /// Whether `step` runs: whether it is named or, without names, whether it is in the gate or `--full` is
    /// given.
    fn has(&self, step: &GateStep) -> bool {
        if self.names.is_empty() {
            step.phase != Phase::Full || self.full
        } else {
            self.names.iter().any(|name| name == step.name)
        }
    }
}

/// Runs `cargo xtask gate`.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<(), Failed> {
    if arguments.iter().any(|argument| argument == "--list") {
        if let Some(other) = arguments.iter().find(|argument| *argument != "--list") {
            return Err(Failed::Usage(format!("`gate --list` does not take `{other}`")));
        }
        STEPS
            .iter()
            .for_each(|step| println!("{:<13} {:<7} {}", step.name, format!("{:?}", step.phase), step.about));
        return Ok(());
    }
    let selection = Selection::parse(arguments)?;
    let logs = root.join("target/gate");
    let logged = |error: std::io::Error| Failed::Check(format!("{}: {error}", logs.display()));
    std::fs::create_dir_all(&logs).map_err(logged)?;
    let gate = Gate { root, logs, selection };
    let began = Instant::now();
    let mut rows = gate.run_phase(Phase::First, false);
    if all_passed(&rows) {
        let (builds, beside) = std::thread::scope(|scope| {
            let beside = scope.spawn(|| gate.run_phase(Phase::Beside, true));
            let builds = gate.run_phase(Phase::Builds, true);
            (builds, beside.join().expect("a step returns its failure and does not panic"))
        });
        rows.extend(builds.into_iter().chain(beside));
    }
    for phase in [Phase::Alone, Phase::Full] {
        if all_passed(&rows) {
            rows.extend(gate.run_phase(phase, false));
        }
    }
    if all_passed(&rows) {
        rows.extend(gate.neighbours());
    }
    print(&rows, began.elapsed());
    if all_passed(&rows) { Ok(()) } else { Err(Failed::Check("the gate failed".to_owned())) }
}

fn all_passed(rows: &[Row]) -> bool {
    rows.iter().all(|row| !matches!(row.verdict, Verdict::Failed))
}

/// A run of the gate.
struct Gate<'a> {
    root: &'a Path,
    logs: PathBuf,
    selection: Selection,
}

impl Gate<'_> {
    /// Runs the steps of one phase in order, up to the first that fails. Where others print at the same time,
    /// `is_logged` is true: each step prints to a file, which is shown when the step ends.
    fn run_phase(&self, phase: Phase, is_logged: bool) -> Vec<Row> {
        let mut rows = Vec::new();
        for step in STEPS.iter().filter(|step| step.phase == phase && self.selection.has(step)) {
            let row = self.step(step.name, step.about, is_logged, step.run);
            let has_failed = matches!(row.verdict, Verdict::Failed);
            rows.push(row);
            if has_failed {
                break;
            }
        }
        rows
    }

    fn step(
        &self,
        name: &'static str,
        about: &str,
        is_logged: bool,
        run: impl Fn(&Job) -> Result<Outcome, Failed>,
    ) -> Row {
        println!("\n== {name}: {about}");
        let log = self.logs.join(format!("{name}.log"));
        let output = if is_logged { Output::File(log.clone()) } else { Output::Terminal };
        // Removes the log of an earlier run.
        let _ = std::fs::remove_file(&log);
        let job = Job::new(self.root, output);
        let began = Instant::now();
        let result = run(&job);
        let wall = began.elapsed();
        if is_logged {
            let printed = std::fs::read(&log).unwrap_or_default();
            let printed = String::from_utf8_lossy(&printed);
            println!("\n-- {name} took {:.0} s and printed\n{}", wall.as_secs_f64(), printed.trim_end());
        }
        let verdict = match result {
            Ok(Outcome::Done) => Verdict::Passed,
            Ok(Outcome::Skipped(why)) => Verdict::Skipped(why),
            Err(failed) => {
                println!("\n{name} failed: {failed}");
                Verdict::Failed
            }
        };
        Row { name, wall, cpu: job.cpu(), verdict, budget_s: crate::campaigns::budget_s(name) }
    }

    /// Runs the steps that need neighbours: all with `--neighbours`, otherwise those whose files have
    /// changed.
    fn neighbours(&self) -> Vec<Row> {
        if NEIGHBOURS.is_empty() || !self.selection.names.is_empty() {
            return Vec::new();
        }
        let job = Job::new(self.root, Output::Terminal);
        let chosen = if self.selection.neighbours {
            NEIGHBOURS.iter().collect()
        } else {
            neighbours::touched(NEIGHBOURS, &neighbours::changed_files(&job))
        };
        let run = |neighbour: &neighbours::Neighbour| {
            self.step(neighbour.name, neighbour.about, false, |job| {
                (neighbour.run)(job).map(|()| Outcome::Done)
            })
        };
        chosen.into_iter().map(run).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(arguments: &[&str]) -> Vec<&'static str> {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let selection = Selection::parse(&arguments).unwrap();
        STEPS.iter().filter(|step| selection.has(step)).map(|step| step.name).collect()
    }

    #[test]
    fn without_arguments_every_step_runs_except_those_of_the_full_gate() {
        let all = selection(&[]);
        assert!(all.contains(&"tests") && !all.contains(&"kills"));
        let mut full = selection(&["--full"]);
        assert_eq!(full.len(), STEPS.len());
        full.sort_unstable();
        full.dedup();
        assert_eq!(full.len(), STEPS.len(), "the names of steps are unique");
    }

    #[test]
    fn a_named_step_runs_alone_and_a_wrong_name_is_refused() {
        assert_eq!(selection(&["kills", "lints"]), ["lints", "kills"]);
        assert!(Selection::parse(&["no-such".to_owned()]).is_err());
    }

    #[test]
    fn every_campaign_with_a_budget_is_a_step() {
        for campaign in crate::campaigns::CAMPAIGNS.iter().filter(|campaign| campaign.budget_s.is_some()) {
            assert!(STEPS.iter().any(|step| step.name == campaign.name), "{}", campaign.name);
        }
    }
}
