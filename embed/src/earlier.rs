//! What a new session needs from the earlier sessions on the trail.

use std::collections::BTreeMap;
use std::path::Path;
use stele_bus::{RecordedNumbers, RecordedSchemas};
use stele_journal::{TrailError, TrailReader};
use stele_wire::frame::Frame;
use stele_wire::messages::{PublisherGrant, PublisherProgress, SchemaText, SessionStart};

/// The schemas whose text is on the trail, and, where requested, the last number of each publisher.
#[derive(Default)]
pub(crate) struct Earlier {
    pub(crate) schemas: RecordedSchemas,
    pub(crate) numbers: BTreeMap<u16, u64>,
}

impl Earlier {
    /// Reads the beginning of every session on the trail, or all of it where `with_numbers`.
    pub(crate) fn read(trail: &Path, with_numbers: bool) -> Result<Self, TrailError> {
        let mut reader = TrailReader::open(trail)?;
        let mut schemas = RecordedSchemas::default();
        if with_numbers {
            let mut numbers = RecordedNumbers::default();
            while let Some(entry) = reader.read_next()? {
                schemas.on_event(&entry.frame);
                numbers.on_event(&entry.frame);
            }
            return Ok(Self { schemas, numbers: numbers.last });
        }
        let mut epoch = None;
        for segment in reader.segments().to_vec() {
            if epoch.replace(segment.header.identity.epoch) == Some(segment.header.identity.epoch) {
                continue;
            }
            reader.seek_position(segment.header.base_position)?;
            while let Some(entry) = reader.read_next()?
                && is_of_a_beginning(&entry.frame)
            {
                schemas.on_event(&entry.frame);
            }
        }
        Ok(Self { schemas, numbers: BTreeMap::new() })
    }
}

/// Whether the event belongs to the beginning of a session; the schemas' text follows `SessionStart`.
fn is_of_a_beginning(frame: &Frame<'_>) -> bool {
    let of_beginning = [
        PublisherGrant::TEMPLATE_ID,
        PublisherProgress::TEMPLATE_ID,
        SessionStart::TEMPLATE_ID,
        SchemaText::TEMPLATE_ID,
    ];
    frame.is_stele() && of_beginning.contains(&frame.template_id())
}
