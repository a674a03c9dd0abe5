//! Payment card fraud: a stream with its own schema, three rules, and alerts on the log.
//!
//! ```text
//! payments (cards/, of schema.xml) ──> sequencer ──> ring ──> strategy: rules.rs ──> Alert ──> sequencer
//!                                                      └────> journal ──> trail
//! ```
//! `cargo run -p stele-replay --example card_fraud [FOLDER]` simulates a day of payments with frauds among
//! them, writes it to a new trail in FOLDER, prints the alerts on it, and runs the rules over the trail
//! again.

#[allow(dead_code, unreachable_pub, unused_imports, reason = "generated as a library's module is")]
mod cards;
pub(crate) mod day;
mod rules;
#[path = "../session/mod.rs"]
mod session;

use cards::CardPayment;
use day::Fraud;
use session::{Error, Rules, Session};
use std::collections::BTreeMap;
use std::path::Path;
use stele_bus::session::SchemaDocument;
use stele_journal::TrailReader;
use stele_replay::divergence;
use stele_strategies::Registry;
use stele_wire::messages::Alert;

/// An alert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Caught {
    pub(crate) fraud: Fraud,
    /// The id of the payment that revealed the fraud.
    pub(crate) payment: u64,
    pub(crate) explanation: String,
}

pub(crate) fn registry() -> Registry {
    let mut registry = Registry::built_in();
    registry.register(rules::KIND).expect("the name is valid and free");
    registry
}

/// Writes a day of payments to a new trail in `directory`.
pub(crate) fn play(directory: &Path, payments: &[CardPayment]) -> Result<(), Error> {
    let schema = SchemaDocument::new(cards::SCHEMA_ID, cards::SCHEMA_VERSION, include_str!("schema.xml"));
    let rules = Rules { name: rules::KIND.name, registry: registry(), patterns: &rules::PATTERNS };
    let mut session = Session::begin(directory, schema, rules)?;
    for payment in payments {
        session.publish(payment)?;
    }
    session.end()
}

/// Returns the alerts on the trail in `directory`.
pub(crate) fn caught(directory: &Path) -> Result<Vec<Caught>, Error> {
    let mut reader = TrailReader::open(directory)?;
    let (mut payments, mut caught) = (BTreeMap::new(), Vec::new());
    while let Some(entry) = reader.read_next()? {
        if let Some(payment) = entry.frame.message::<CardPayment>() {
            payments.insert(entry.frame.sequence().0, payment.payment.get());
        } else if let Some(alert) = entry.frame.message::<Alert>() {
            caught.push(Caught {
                fraud: Fraud::of_pattern(alert.pattern.get()).ok_or("the alert has an undefined pattern")?,
                payment: payments[&alert.last_sequence.get()],
                explanation: String::from_utf8_lossy(alert.explanation()).into_owned(),
            });
        }
    }
    Ok(caught)
}

fn main() -> Result<(), Error> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "card-fraud".into());
    let (directory, day) = (Path::new(&directory), day::with_frauds(1));
    if directory.exists() {
        return Err(format!("{} exists already; choose a new folder", directory.display()).into());
    }
    play(directory, &day.payments)?;
    let caught = caught(directory)?;
    for Caught { fraud, payment, explanation } in &caught {
        println!("payment {payment:>6}  {fraud:?}: {explanation}");
    }
    println!(
        "{} alerts over {} payments, which contain {} frauds",
        caught.len(),
        day.payments.len(),
        day.frauds.len()
    );
    let checked = divergence::check(directory, registry(), |_| ())?;
    let same = if checked.is_equal() { "the same alerts" } else { "other alerts" };
    println!(
        "run again over the trail, the rules raise {same}; `stele verify {}` checks the trail",
        directory.display()
    );
    Ok(())
}
