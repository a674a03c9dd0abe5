//! Runs every command line of every page: those of the README, of the documents, and the examples of the
//! program's help, which are in `docs/commands.md`.
//!
//! The lines under one heading run in their order in one folder. [`sandbox`] describes what replaces the
//! names in them and what is shortened. A line that cannot be run here is in [`NOT_RUN`], with the reason.

mod pages;
mod sandbox;
mod words;

use pages::{Section, sections};
use sandbox::{Prepared, Sandbox};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The beginnings of lines that are not run here, and why.
const NOT_RUN: &[(&str, &str)] = &[
    (
        "stele perf",
        "it measures for minutes; the tests of `stele-perf` run its scenarios in their short form",
    ),
    ("stele limit approve", "it needs two users of the operating system"),
    ("stele order cancel", "the orders of the bus in the test do not rest; the test `operator` runs it"),
    ("stele publisher reset", "no other process publishes to the bus in the test; the test `attach` runs it"),
    ("cargo run -p stele-codegen", "it writes sources; a test of `wire` compares them with what it writes"),
];

/// Sections that run at the same time: most of them wait for a disk or a clock.
const AT_ONCE: usize = 3;

/// The outcome of a line.
enum Outcome {
    Good,
    NotRun(&'static str),
    Failed(String),
}

#[test]
fn every_command_line_of_every_page_runs() {
    let sections = sections();
    let lines = |page: &str| {
        let of_page = sections.iter().filter(|section| section.page == page);
        of_page.map(|section| section.lines.len()).sum::<usize>()
    };
    assert!(lines("README.md") > 0 && lines("docs/commands.md") > 40, "the pages have lines");
    let prepared = Prepared::make();
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(section) = sections.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let ran = run(section, &prepared);
                    outcomes.lock().unwrap().extend(ran);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap();
    let failed: Vec<&str> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Failed(what) => Some(what.as_str()),
            _ => None,
        })
        .collect();
    assert!(failed.is_empty(), "{} command lines:\n\n{}", failed.len(), failed.join("\n\n"));
    let not_run: BTreeSet<&str> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::NotRun(prefix) => Some(*prefix),
            _ => None,
        })
        .collect();
    assert_eq!(not_run, NOT_RUN.iter().map(|row| row.0).collect(), "each row is of some line");
}

/// Runs the lines of a section in their order, up to one that fails: the others may need what it makes.
fn run(section: &Section, prepared: &Prepared) -> Vec<Outcome> {
    let mut sandbox = Sandbox::new(section, prepared);
    let mut outcomes = Vec::new();
    for line in &section.lines {
        if let Some((prefix, _)) = NOT_RUN.iter().find(|(prefix, _)| line.starts_with(prefix)) {
            outcomes.push(Outcome::NotRun(prefix));
            continue;
        }
        if let Some(example) = sandbox::missing_example(line) {
            assert!(std::env::var_os("CI").is_none(), "CI builds every example: {example}");
            println!("skipped: {line}: `cargo test --workspace` builds {example}");
            break;
        }
        match sandbox.run(line) {
            Ok(()) => outcomes.push(Outcome::Good),
            Err(what) => {
                outcomes.push(Outcome::Failed(format!("{}: {line}\n{what}", section.page)));
                break;
            }
        }
    }
    outcomes
}
