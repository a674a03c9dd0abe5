//! The gate: every step that a change has to pass, the same on a developer's machine and in CI.
//!
//! ```text
//! format ──> builds:  lints, documents, release, test build    ──> alone: demo, tests, own-strategy
//!       └──> beside:  tools, words, dependencies, loom, miri, fuzz ──┘
//! ```
//!
//! Builds share one `target` folder, which Cargo locks, so they run one after the other. What has a folder
//! of its own runs beside them and takes the processor when they wait. Tests and measurements have the
//! machine alone.

use crate::neighbours::{self, NEIGHBOURS};
use crate::process::{Failed, Job, Output};
use crate::steps::{self, Outcome, Step};
use crate::table::{Row, Verdict, print};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// When a step runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Before everything else.
    First,
    /// In the folder of the workspace's builds.
    Builds,
    /// Beside the builds.
    Beside,
    /// After them, alone.
    Alone,
    /// Alone, and with `--full` only.
    Full,
}

/// A step of the gate.
struct Entry {
    name: &'static str,
    about: &'static str,
    place: Place,
    run: Step,
}

const fn entry(name: &'static str, place: Place, about: &'static str, run: Step) -> Entry {
    Entry { name, about, place, run }
}

/// The steps; those of one place run in this order.
const STEPS: &[Entry] = &[
    entry("format", Place::First, "cargo fmt --check", steps::format),
    entry("lints", Place::Builds, "clippy over every target, warnings as errors", steps::lints),
    entry("documents", Place::Builds, "cargo doc, warnings as errors", steps::documents),
    entry("release", Place::Builds, "the program, without link-time optimisation", steps::build_release),
    entry("test-build", Place::Builds, "every test of the workspace, built", steps::build_tests),
    entry("tools", Place::Beside, "installs what is missing here", steps::install_tools),
    entry("words", Place::Beside, "plain English, and lines of 110 columns", steps::words),
    entry("dependencies", Place::Beside, "licences, duplicates, sources, known defects", steps::dependencies),
    entry("deployment", Place::Beside, "Dockerfile and systemd unit", steps::deployment),
    entry("loom", Place::Beside, "the protocols of the rings, every interleaving", steps::loom),
    entry("miri", Place::Beside, "the memory of the rings, under Miri", steps::miri),
    entry("fuzz", Place::Beside, "arbitrary bytes as a trail, ten seconds a target", steps::fuzz),
    entry("demo", Place::Alone, "the README's first command, and the checks of its trail", steps::demo),
    entry("tests", Place::Alone, "cargo test --workspace", steps::tests),
    entry("own-strategy", Place::Alone, "the crate of a user, built and tested", steps::own_strategy),
    entry("tamper", Place::Full, "a thousand edits of a sealed trail", steps::tamper),
    entry("kills", Place::Full, "two hundred kills", steps::kills),
    entry("deb", Place::Full, "the Debian package", steps::deb),
    entry("image", Place::Full, "the container image, where there is a builder", steps::container),
];

/// What the command line asks for.
struct Wanted {
    full: bool,
    neighbours: bool,
    names: Vec<String>,
}

impl Wanted {
    fn parse(arguments: &[String]) -> Result<Self, Failed> {
        let mut wanted = Self { full: false, neighbours: false, names: Vec::new() };
        for argument in arguments {
            match argument.as_str() {
                "--full" => wanted.full = true,
                "--neighbours" => wanted.neighbours = true,
                name if STEPS.iter().any(|step| step.name == name) => wanted.names.push(name.to_owned()),
                other => return Err(Failed::Usage(format!("`{other}` is not a step of the gate"))),
            }
        }
        Ok(wanted)
    }

    /// Whether `step` runs: those that are named, or all that are not for `--full`.
    fn has(&self, step: &Entry) -> bool {
        if self.names.is_empty() {
            step.place != Place::Full || self.full
        } else {
            self.names.iter().any(|name| name == step.name)
        }
    }
}

/// `cargo xtask gate`.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<(), Failed> {
    if arguments.iter().any(|argument| argument == "--list") {
        STEPS
            .iter()
            .for_each(|step| println!("{:<13} {:<7} {}", step.name, format!("{:?}", step.place), step.about));
        return Ok(());
    }
    let wanted = Wanted::parse(arguments)?;
    let logs = root.join("target/gate");
    let logged = |error: std::io::Error| Failed::Check(format!("{}: {error}", logs.display()));
    std::fs::create_dir_all(&logs).map_err(logged)?;
    let gate = Gate { root, logs, wanted };
    let began = Instant::now();
    let mut rows = gate.line(Place::First, false);
    if is_well(&rows) {
        let (builds, beside) = std::thread::scope(|scope| {
            let beside = scope.spawn(|| gate.line(Place::Beside, true));
            let builds = gate.line(Place::Builds, true);
            (builds, beside.join().expect("a step reports its failure and does not panic"))
        });
        rows.extend(builds.into_iter().chain(beside));
    }
    for place in [Place::Alone, Place::Full] {
        if is_well(&rows) {
            rows.extend(gate.line(place, false));
        }
    }
    if is_well(&rows) {
        rows.extend(gate.neighbours());
    }
    print(&rows, began.elapsed());
    if is_well(&rows) { Ok(()) } else { Err(Failed::Check("the gate is closed".to_owned())) }
}

fn is_well(rows: &[Row]) -> bool {
    rows.iter().all(|row| !matches!(row.verdict, Verdict::Failed))
}

/// A run of the gate.
struct Gate<'a> {
    root: &'a Path,
    logs: PathBuf,
    wanted: Wanted,
}

impl Gate<'_> {
    /// The steps of one place in their order, up to the first that fails. `is_logged` ones print into a
    /// file, which is shown when they end, because others print at the same time.
    fn line(&self, place: Place, is_logged: bool) -> Vec<Row> {
        let mut rows = Vec::new();
        for step in STEPS.iter().filter(|step| step.place == place && self.wanted.has(step)) {
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
        // The log of an earlier run.
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

    /// Steps that need neighbours: all with `--neighbours`, otherwise those whose files have changed.
    fn neighbours(&self) -> Vec<Row> {
        if NEIGHBOURS.is_empty() || !self.wanted.names.is_empty() {
            return Vec::new();
        }
        let job = Job::new(self.root, Output::Terminal);
        let chosen = if self.wanted.neighbours {
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

    fn wanted(arguments: &[&str]) -> Vec<&'static str> {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let wanted = Wanted::parse(&arguments).unwrap();
        STEPS.iter().filter(|step| wanted.has(step)).map(|step| step.name).collect()
    }

    #[test]
    fn without_arguments_every_step_runs_but_those_of_the_full_gate() {
        let all = wanted(&[]);
        assert!(all.contains(&"tests") && !all.contains(&"kills"));
        let mut full = wanted(&["--full"]);
        assert_eq!(full.len(), STEPS.len());
        full.sort_unstable();
        full.dedup();
        assert_eq!(full.len(), STEPS.len(), "a step is known by one name");
    }

    #[test]
    fn a_named_step_runs_alone_and_a_wrong_name_is_refused() {
        assert_eq!(wanted(&["kills", "lints"]), ["lints", "kills"]);
        assert!(Wanted::parse(&["no-such".to_owned()]).is_err());
    }

    #[test]
    fn every_campaign_with_a_budget_is_a_step() {
        for campaign in crate::campaigns::CAMPAIGNS.iter().filter(|campaign| campaign.budget_s.is_some()) {
            assert!(STEPS.iter().any(|step| step.name == campaign.name), "{}", campaign.name);
        }
    }
}
