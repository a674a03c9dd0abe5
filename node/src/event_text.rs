//! An event as a line for people, as JSON, or as a row of CSV, whatever state its message is in.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use stele_journal::TrailEntry;
use stele_wire::Frame;
use stele_wire::describe;
use stele_wire::layout::{MessageReader, ReadError, Schema, Utc};
use stele_wire::messages::SCHEMA;

/// The message of an event as its schema describes it, which is `foreign` where it is not Stele's; none when the schema is
/// not known or the message cannot be read.
fn reading<'a>(frame: &Frame<'a>, foreign: Option<&'a Schema>) -> Option<MessageReader<'a>> {
    let schema = if frame.is_stele() { Some(&SCHEMA) } else { foreign };
    let header = frame.header();
    let (block_length, version) = (header.block_length.get(), header.schema_version.get());
    schema?.read(header.template_id.get(), block_length, version, frame.body()).ok()
}

/// The bytes of a message that nobody can read, its block and what follows.
fn push_bytes(frame: &Frame<'_>, out: &mut String) {
    frame.body().iter().for_each(|byte| {
        let _ = write!(out, "{byte:02x}");
    });
}

/// Says that a message ends in damage; what could be read stands in front.
fn or_say(described: Result<(), ReadError>, out: &mut String) {
    if let Err(error) = described {
        let _ = write!(out, " [the rest is damaged: {error}]");
    }
}

/// Appends sequence, time, and the message with every field that is not null.
pub(crate) fn push_line(frame: &Frame<'_>, foreign: Option<&Schema>, out: &mut String) {
    let _ = write!(out, "{:>9} {} ", frame.sequence(), Utc(frame.timestamp().0));
    match reading(frame, foreign) {
        Some(reading) => or_say(describe::line(&reading, out), out),
        None => {
            let header = frame.header();
            let _ = write!(out, "template {} of schema {} ", header.template_id, header.schema_id);
            push_bytes(frame, out);
        }
    }
}

/// Appends one JSON object: where the event stands, and its message.
pub(crate) fn push_json(entry: &TrailEntry<'_>, foreign: Option<&Schema>, out: &mut String) {
    let TrailEntry { position, epoch, frame, .. } = entry;
    let (sequence, time) = (frame.sequence(), frame.timestamp());
    let _ = write!(
        out,
        "{{\"sequence\":{sequence},\"timestamp\":{time},\"epoch\":{epoch},\"position\":{position},"
    );
    push_json_message(frame, foreign, out);
}

/// Appends one JSON object: the event's number and time, and its message.
pub(crate) fn push_json_frame(frame: &Frame<'_>, out: &mut String) {
    let _ = write!(out, "{{\"sequence\":{},\"timestamp\":{},", frame.sequence(), frame.timestamp());
    push_json_message(frame, None, out);
}

fn push_json_message(frame: &Frame<'_>, foreign: Option<&Schema>, out: &mut String) {
    match reading(frame, foreign) {
        Some(reading) => {
            if !frame.is_stele() {
                let _ = write!(out, "\"schemaId\":{},", frame.header().schema_id);
            }
            let _ = write!(out, "\"type\":\"{}\",\"message\":", reading.message().name);
            or_say(describe::json(&reading, out), out);
            out.push('}');
        }
        None => {
            let header = frame.header();
            let (template_id, schema_id) = (header.template_id, header.schema_id);
            let _ = write!(out, "\"templateId\":{template_id},\"schemaId\":{schema_id},\"body\":\"");
            push_bytes(frame, out);
            out.push_str("\"}");
        }
    }
}

/// Appends a row of CSV, behind a line of its columns' names where `headed` has not seen its type yet.
pub(crate) fn push_csv(
    frame: &Frame<'_>,
    foreign: Option<&Schema>,
    headed: &mut BTreeSet<(u16, u16)>,
    out: &mut String,
) {
    let (sequence, time) = (frame.sequence(), frame.timestamp());
    let schema_id = frame.header().schema_id.get();
    let Some(reading) = reading(frame, foreign) else {
        let of = if frame.is_stele() { String::new() } else { format!(" of schema {schema_id}") };
        let _ = write!(out, "{sequence},{time},template {}{of}", frame.template_id());
        return;
    };
    if headed.insert((schema_id, reading.message().id)) {
        out.push_str("sequence,timestamp,type,");
        let _ = describe::csv_columns(reading.message(), out);
        out.push('\n');
    }
    let _ = write!(out, "{sequence},{time},{},", reading.message().name);
    or_say(describe::csv_row(&reading, out), out);
}
