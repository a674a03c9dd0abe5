//! The check of who makes a change and who approves it.

use crate::failure::Failure;
use stele_journal::{TrailError, TrailReader};
use stele_wire::messages::SessionStart;

/// Checks that a change is made by one party and approved by another.
///
/// # Errors
/// [`Failure`]: a party's code is 0, or both are the same.
pub(crate) fn different_people(by: u32, approved_by: Option<u32>) -> Result<(), Failure> {
    if by == 0 || approved_by == Some(0) {
        return Err(Failure::usage("party 0 does not exist"));
    }
    if approved_by == Some(by) {
        return Err(Failure::usage(format!("party {by} cannot approve its own change")));
    }
    Ok(())
}

/// The most events before the `SessionStart` of an epoch: what the sequencer records about its publisher.
const BEFORE_SESSION_MAX: usize = 8;

/// Whether the configuration of the trail's newest run has people. Acts on the stopped trail, which are
/// epochs of their own, have no configuration of a run and are passed over.
///
/// # Errors
/// [`Failure`]: the trail cannot be read.
pub(crate) fn runs_with_people(reader: &mut TrailReader) -> Result<bool, Failure> {
    let mut beginnings = Vec::new();
    for segment in reader.segments() {
        let epoch = segment.header.identity.epoch;
        if beginnings.last().is_none_or(|(last, _)| *last != epoch) {
            beginnings.push((epoch, segment.header.base_sequence));
        }
    }
    for (_, sequence) in beginnings.into_iter().rev() {
        match reader.seek(sequence) {
            // An epoch without an event.
            Err(TrailError::NotFound { .. }) => continue,
            found => found.map_err(Failure::environment)?,
        }
        for _ in 0..BEFORE_SESSION_MAX {
            let Some(entry) = reader.read_next().map_err(Failure::environment)? else { break };
            let Some(session) = entry.frame.message::<SessionStart>() else { continue };
            let configuration = String::from_utf8_lossy(session.configuration()).parse::<toml::Table>();
            let Ok(configuration) = configuration else { break };
            if configuration.contains_key("command") {
                break;
            }
            let people = configuration.get("person").and_then(toml::Value::as_array);
            return Ok(people.is_some_and(|people| !people.is_empty()));
        }
    }
    Ok(false)
}
