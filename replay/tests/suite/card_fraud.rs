//! The example of card payments: it finds exactly the hidden frauds, live and again from the trail.

use crate::card_fraud_example::day::{Fraud, with_frauds};
use crate::card_fraud_example::{Caught, caught, play, registry};
use crate::foreign::assert_fresh;
use stele_journal::TrailReader;
use stele_replay::{DivergenceCheck, divergence};
use stele_wire::Frame;
use stele_wire::bounds::HEADER_LENGTH;
use stele_wire::messages::Alert;

#[test]
fn exactly_the_frauds_are_caught_and_found_again_from_the_trail() {
    let scratch = tempfile::tempdir().unwrap();
    for seed in 1..4 {
        let (directory, day) = (scratch.path().join(seed.to_string()), with_frauds(seed));
        play(&directory, &day.payments).unwrap();
        let caught = caught(&directory).unwrap();
        let found: Vec<(Fraud, u64)> =
            caught.iter().map(|Caught { fraud, payment, .. }| (*fraud, *payment)).collect();
        assert_eq!(found, day.frauds, "seed {seed}");
        assert_eq!((found.len(), day.payments.len() > 10_000), (15, true));
        let checked = divergence::check(&directory, registry(), |_| ()).unwrap();
        assert!(checked.is_equal() && checked.has_ended, "{:?}", checked.difference);
        let [(_, name, tally)] = &checked.strategies[..] else { panic!("{:?}", checked.strategies) };
        assert_eq!((name.as_str(), tally.alerts, tally.orders), ("card-fraud", 15, 0));
    }
}

#[test]
fn an_altered_alert_is_reported_with_its_field() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("trail");
    play(&directory, &with_frauds(1).payments).unwrap();
    let (mut reader, mut check) = (TrailReader::open(&directory).unwrap(), DivergenceCheck::new(registry()));
    let mut alerts = 0;
    while let Some(entry) = reader.read_next().unwrap() {
        let mut bytes = entry.frame.bytes().to_vec();
        if entry.frame.message::<Alert>().is_some() {
            alerts += 1;
            if alerts == 7 {
                bytes[HEADER_LENGTH + std::mem::offset_of!(Alert, severity)] = 9;
            }
        }
        if check.on_event(&Frame::read(&bytes).unwrap()).unwrap() {
            break;
        }
    }
    let difference = check.finish().difference.expect("the seventh alert is another").to_string();
    assert!(
        difference.contains("Alert of strategy 1 (card-fraud): severity is 9, the strategy sends 2"),
        "{difference}"
    );
    assert_eq!(alerts, 7);
}

#[test]
fn the_text_of_each_alert_is_readable() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("trail");
    play(&directory, &with_frauds(1).payments).unwrap();
    let of = |fraud: Fraud| {
        let caught = caught(&directory).unwrap();
        caught.into_iter().find(|caught| caught.fraud == fraud).unwrap().explanation
    };
    assert!(of(Fraud::Amount).contains(" on average"), "{}", of(Fraud::Amount));
    assert!(of(Fraud::Velocity).ends_with("5 payments within a minute"), "{}", of(Fraud::Velocity));
    assert!(of(Fraud::Travel).contains(" km in "), "{}", of(Fraud::Travel));
}

#[test]
fn the_messages_are_what_the_generator_prints_from_the_schema() {
    assert_fresh("card_fraud", "cards");
}
