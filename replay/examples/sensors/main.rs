//! Sensors of a plant: a stream with its own schema, three rules, and alerts on the log.
//!
//! ```text
//! readings (plant/, of schema.xml) ──> sequencer ──> ring ──> strategy: rules.rs ──> Alert ──> sequencer
//!                                                      └────> journal ──> trail
//! ```
//! `cargo run -p stele-replay --example sensors [FOLDER]` simulates an hour of readings with faults among
//! them, writes it to a new trail in FOLDER, prints the alerts on it, and runs the rules over the trail
//! again.

pub(crate) mod hour;
#[allow(dead_code, unreachable_pub, unused_imports, reason = "generated as a library's module is")]
mod plant;
mod rules;
#[path = "../session/mod.rs"]
mod session;

use hour::Fault;
use plant::Reading;
use session::{Error, Rules, Session};
use std::path::Path;
use stele_bus::session::SchemaDocument;
use stele_journal::TrailReader;
use stele_replay::divergence;
use stele_strategies::Registry;
use stele_wire::messages::Alert;

/// An alert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Raised {
    pub(crate) fault: Fault,
    pub(crate) sensor: u32,
    /// The time of the reading, in seconds from the first.
    pub(crate) second: u64,
    pub(crate) explanation: String,
}

pub(crate) fn registry() -> Registry {
    let mut registry = Registry::built_in();
    registry.register(rules::KIND).expect("the name is valid and free");
    registry
}

/// Writes readings to a new trail in `directory`.
pub(crate) fn play(directory: &Path, readings: &[Reading]) -> Result<(), Error> {
    let schema = SchemaDocument::new(plant::SCHEMA_ID, plant::SCHEMA_VERSION, include_str!("schema.xml"));
    let rules = Rules { name: rules::KIND.name, registry: registry(), patterns: &rules::PATTERNS };
    let mut session = Session::begin(directory, schema, rules)?;
    for reading in readings {
        session.publish(reading)?;
    }
    session.end()
}

/// Returns the alerts on the trail in `directory`.
pub(crate) fn raised(directory: &Path) -> Result<Vec<Raised>, Error> {
    let mut reader = TrailReader::open(directory)?;
    let (mut sensors, mut raised) = (std::collections::BTreeMap::new(), Vec::new());
    while let Some(entry) = reader.read_next()? {
        if let Some(reading) = entry.frame.message::<Reading>() {
            sensors.insert(entry.frame.sequence().0, reading.sensor.get());
        } else if let Some(alert) = entry.frame.message::<Alert>() {
            raised.push(Raised {
                fault: Fault::of_pattern(alert.pattern.get()).ok_or("the alert has an undefined pattern")?,
                sensor: sensors[&alert.last_sequence.get()],
                second: hour::second_of(alert.event_time.get()),
                explanation: String::from_utf8_lossy(alert.explanation()).into_owned(),
            });
        }
    }
    Ok(raised)
}

fn main() -> Result<(), Error> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "sensors".into());
    let (directory, hour) = (Path::new(&directory), hour::with_faults(1));
    if directory.exists() {
        return Err(format!("{} exists already; choose a new folder", directory.display()).into());
    }
    play(directory, &hour.readings)?;
    let raised = raised(directory)?;
    for Raised { fault, second, explanation, .. } in &raised {
        println!("second {second:>5}  {fault:?}: {explanation}");
    }
    println!(
        "{} alerts over {} readings, which contain {} faults",
        raised.len(),
        hour.readings.len(),
        hour.faults.len()
    );
    let checked = divergence::check(directory, registry(), |_| ())?;
    let same = if checked.is_equal() { "the same alerts" } else { "other alerts" };
    println!(
        "run again over the trail, the rules raise {same}; `stele verify {}` checks the trail",
        directory.display()
    );
    Ok(())
}
