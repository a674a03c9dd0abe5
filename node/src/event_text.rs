//! An event as a line for people, as JSON, or as a row of CSV, whatever state its message is in.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use stele_journal::Entry;
use stele_wire::Frame;
use stele_wire::describe;
use stele_wire::layout::{ReadError, Reading, Utc};
use stele_wire::messages::{SCHEMA, SCHEMA_ID};

/// The message of an event as the schema describes it; none when it is of another schema or cannot be read.
fn reading<'a>(frame: &Frame<'a>) -> Option<Reading<'a>> {
    let header = frame.header();
    let (block_length, version) = (header.block_length.get(), header.schema_version.get());
    let reading = SCHEMA.read(header.template_id.get(), block_length, version, frame.body()).ok();
    reading.filter(|_| header.schema_id.get() == SCHEMA_ID)
}

/// Says that a message ends in damage; what could be read stands in front.
fn or_say(described: Result<(), ReadError>, out: &mut String) {
    if let Err(error) = described {
        let _ = write!(out, " [the rest is damaged: {error}]");
    }
}

/// Appends sequence, time, and the message with every field that is not null.
pub(crate) fn push_line(frame: &Frame<'_>, out: &mut String) {
    let _ = write!(out, "{:>9} {} ", frame.sequence(), Utc(frame.timestamp().0));
    match reading(frame) {
        Some(reading) => or_say(describe::line(&reading, out), out),
        None => {
            let header = frame.header();
            let _ = write!(out, "template {} of schema {}", header.template_id, header.schema_id);
        }
    }
}

/// Appends one JSON object: where the event stands, and its message.
pub(crate) fn push_json(entry: &Entry<'_>, out: &mut String) {
    let Entry { position, epoch, frame, .. } = entry;
    let (sequence, time) = (frame.sequence(), frame.timestamp());
    let _ = write!(
        out,
        "{{\"sequence\":{sequence},\"timestamp\":{time},\"epoch\":{epoch},\"position\":{position},"
    );
    push_json_message(frame, out);
}

/// Appends one JSON object: the event's number and time, and its message.
pub(crate) fn push_json_frame(frame: &Frame<'_>, out: &mut String) {
    let _ = write!(out, "{{\"sequence\":{},\"timestamp\":{},", frame.sequence(), frame.timestamp());
    push_json_message(frame, out);
}

fn push_json_message(frame: &Frame<'_>, out: &mut String) {
    match reading(frame) {
        Some(reading) => {
            let _ = write!(out, "\"type\":\"{}\",\"message\":", reading.message().name);
            or_say(describe::json(&reading, out), out);
            out.push('}');
        }
        None => {
            let header = frame.header();
            let _ = write!(out, "\"templateId\":{},\"schemaId\":{}}}", header.template_id, header.schema_id);
        }
    }
}

/// Appends a row of CSV, behind a line of its columns' names where `headed` has not seen its type yet.
pub(crate) fn push_csv(frame: &Frame<'_>, headed: &mut BTreeSet<u16>, out: &mut String) {
    let (sequence, time) = (frame.sequence(), frame.timestamp());
    let Some(reading) = reading(frame) else {
        let _ = write!(out, "{sequence},{time},template {}", frame.template_id());
        return;
    };
    if headed.insert(reading.message().id) {
        out.push_str("sequence,timestamp,type,");
        let _ = describe::csv_columns(reading.message(), out);
        out.push('\n');
    }
    let _ = write!(out, "{sequence},{time},{},", reading.message().name);
    or_say(describe::csv_row(&reading, out), out);
}
