//! The schema's text on the trail: it makes the trail self-describing.

use super::{CheckCounts, Rule, Verdict, breach};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use stele_wire::Frame;
use stele_wire::messages::SchemaText;

type Hash = [u8; 32];

#[derive(Debug, Default)]
pub(super) struct SchemaTexts {
    whole: BTreeSet<Hash>,
    partial: Option<Partial>,
    is_settled: bool,
}

/// A text whose first parts have been read.
#[derive(Debug)]
struct Partial {
    hash: Hash,
    parts: u16,
    next: u16,
    text: Sha256,
}

impl SchemaTexts {
    pub(super) fn on_epoch(&mut self) {
        // The rest of an interrupted text does not follow; the next epoch writes it again.
        (self.partial, self.is_settled) = (None, false);
    }

    /// Whether the epoch's schema was checked.
    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Checks at the epoch's first event that is not control: from here on a reader needs the text. A trail
    /// without its beginning may lack it.
    pub(super) fn settle(&mut self, schema: &Hash, has_beginning: bool, counts: &mut CheckCounts) -> Verdict {
        self.is_settled = true;
        if !has_beginning {
            return Ok(());
        }
        counts.add(Rule::SchemaOnTrail);
        if !self.whole.contains(schema) {
            let expected = format!(
                "the text of schema {}, which the segment's header names, before this event",
                hex(schema)
            );
            return breach(Rule::SchemaOnTrail, expected, describe(&self.whole));
        }
        Ok(())
    }

    pub(super) fn on_text(&mut self, frame: &Frame<'_>) -> Verdict {
        let Some(part) = frame.message::<SchemaText>() else {
            return breach(Rule::SchemaOnTrail, "a SchemaText that decodes", "one that does not decode");
        };
        let (number, parts, hash) = (part.part.get(), part.parts.get(), part.schema_hash);
        if number == 0 {
            self.partial = Some(Partial { hash, parts, next: 0, text: Sha256::new() });
        }
        let expected =
            self.partial.as_ref().map_or((0, hash, parts), |text| (text.next, text.hash, text.parts));
        if (number, hash, parts) != expected || number >= parts {
            let show = |(number, hash, parts): (u16, Hash, u16)| {
                format!("part {number} of {parts} of {}", hex(&hash))
            };
            return breach(Rule::SchemaOnTrail, show(expected), show((number, hash, parts)));
        }
        let text = self.partial.as_mut().expect("part 0 made it");
        text.text.update(part.text());
        text.next += 1;
        if text.next < parts {
            return Ok(());
        }
        let found: Hash = self.partial.take().expect("seen above").text.finalize().into();
        if found != hash {
            return breach(Rule::SchemaOnTrail, format!("a text of SHA-256 {}", hex(&hash)), hex(&found));
        }
        self.whole.insert(hash);
        Ok(())
    }
}

/// Checks that two places name the same schema.
pub(super) fn same_schema(expected: &Hash, found: &Hash) -> Verdict {
    if expected == found {
        return Ok(());
    }
    breach(Rule::SchemaOnTrail, format!("schema {}", hex(expected)), format!("schema {}", hex(found)))
}

fn describe(whole: &BTreeSet<Hash>) -> String {
    if whole.is_empty() {
        return "no text of a schema".to_owned();
    }
    let hashes: Vec<_> = whole.iter().map(hex).collect();
    format!("only that of {}", hashes.join(", "))
}

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
