//! The schemas of other streams, as the trail itself tells them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use stele_journal::TrailReader;
use stele_wire::Frame;
use stele_wire::layout::Schema;
use stele_wire::messages::{SCHEMA_ID, SchemaText};

/// The schemas whose text is on a trail, parsed when an event asks for one. A schema's text stands in front of its events:
/// where none was found, none is looked for again.
pub(crate) struct ForeignSchemas {
    trail: PathBuf,
    known: BTreeMap<u16, Option<Schema>>,
}

impl ForeignSchemas {
    pub(crate) fn of(trail: &Path) -> Self {
        Self { trail: trail.into(), known: BTreeMap::new() }
    }

    /// The schema of an event's message, where it is another than Stele's and the trail tells its text.
    pub(crate) fn find(&mut self, frame: &Frame<'_>) -> Option<&Schema> {
        if frame.is_stele() {
            return None;
        }
        let id = frame.header().schema_id.get();
        let Self { trail, known } = self;
        known.entry(id).or_insert_with(|| read_schema(trail, id, frame.sequence().0)).as_ref()
    }
}

/// The newest whole text of schema `id` in front of `sequence`, parsed; none where there is none or it is no schema.
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
