//! The schemas of other streams, read from the trail itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use stele_journal::TrailReader;
use stele_wire::Frame;
use stele_wire::layout::Schema;
use stele_wire::messages::{SCHEMA_ID, SchemaText};

/// The schemas whose text is on a trail, parsed when the first event of each is read. The text of a schema is
/// on the trail before its events, so a schema that was not found once is not searched for again.
pub(crate) struct ForeignSchemas {
    trail: PathBuf,
    known: BTreeMap<u16, Option<Schema>>,
}

impl ForeignSchemas {
    pub(crate) fn of(trail: &Path) -> Self {
        Self { trail: trail.into(), known: BTreeMap::new() }
    }

    /// Returns the schema of an event's message, where that is not Stele's and the trail has its text.
    pub(crate) fn find(&mut self, frame: &Frame<'_>) -> Option<&Schema> {
        if frame.is_stele() {
            return None;
        }
        let id = frame.header().schema_id.get();
        let Self { trail, known } = self;
        known.entry(id).or_insert_with(|| read_schema(trail, id, frame.sequence().0)).as_ref()
    }
}

/// Reads the newest complete text of schema `id` before `sequence` and parses it; none where there is none,
/// or where it is not a valid schema.
fn read_schema(trail: &Path, id: u16, sequence: u64) -> Option<Schema> {
    let mut reader = TrailReader::open(trail).ok()?;
    let (mut text, mut next, mut found) = (Vec::new(), 0, None);
    while let Ok(Some(entry)) = reader.read_next()
        && entry.frame.sequence().0 < sequence
    {
        let Some(part) = entry.frame.message::<SchemaText>() else { continue };
        if part.schema_id.get() != id || id == SCHEMA_ID {
            continue;
        }
        if part.part.get() == 0 {
            text.clear();
            next = 0;
        }
        if part.part.get() != next {
            continue;
        }
        text.extend_from_slice(part.text());
        next += 1;
        if next == part.parts.get() {
            let parsed =
                str::from_utf8(&text).ok().and_then(|text| stele_codegen::parse(text, |_| None).ok());
            found = parsed.filter(|schema| schema.id == id).or(found);
        }
    }
    found
}
