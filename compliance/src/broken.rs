//! What a trail that does not verify is told to be: the first thing wrong, and what is intact in front of it.

use crate::rules::RuleViolation;
use serde::Serialize;
use std::fmt;
use stele_journal::format::SegmentHeader;
use stele_journal::{Fault, TrailError};

/// A trail that does not verify.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BrokenTrail {
    /// The first thing wrong in the order of the log.
    pub first: Finding,
    /// The first thing wrong that the other check found: the medium's, where `first` is a rule of meaning, and the
    /// other way round.
    pub also: Option<Finding>,
    /// What holds in front of `first`.
    pub intact: IntactPrefix,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// Name of the rule: one of [`crate::rules::Rule`], or of the medium's: `frame`, `no-gap`, `time`, `link`, `header`.
    pub rule: &'static str,
    /// The segment's file.
    pub file: String,
    /// Offset in the file, where one can be named.
    pub offset: Option<u64>,
    /// The event that shows it, or, where bytes are no event, the one that was due.
    pub sequence: Option<u64>,
    /// Name of the message, where it is a message that is wrong.
    pub message: Option<&'static str>,
    /// What had to be.
    pub expected: String,
    /// What is.
    pub found: String,
}

/// What holds in front of the first thing wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct IntactPrefix {
    /// Segments that are whole.
    pub segments: u64,
    /// Events, those in front in the damaged segment included.
    pub events: u64,
    /// The last of them; 0 when there is none.
    pub last_sequence: u64,
    /// Whether the rules of meaning hold for all of them, too; not so when they could not be applied.
    pub has_meaning: bool,
}

impl Finding {
    pub(crate) fn of_violation(violation: &RuleViolation, header: &SegmentHeader, file: String) -> Self {
        Self {
            rule: violation.rule.name(),
            file,
            offset: Some(header.file_offset(violation.position)),
            sequence: Some(violation.sequence.0),
            message: Some(violation.message),
            expected: violation.expected.clone(),
            found: violation.found.clone(),
        }
    }

    /// What the journal found; none when the trail could not be read, which says nothing about the trail.
    pub(crate) fn of_medium(error: &TrailError) -> Option<Self> {
        let finding = |rule, file: &str, expected: String, found: String| Self {
            rule,
            file: file.to_owned(),
            offset: None,
            sequence: None,
            message: None,
            expected,
            found,
        };
        Some(match error {
            TrailError::Frame { file, offset, after, fault, .. } => {
                let (rule, expected, found) = match fault {
                    Fault::Sequence { expected, found } => {
                        ("no-gap", format!("sequence {expected}"), format!("sequence {found}"))
                    }
                    Fault::Time { previous, found } => {
                        ("time", format!("a time from {previous} on"), found.to_string())
                    }
                    Fault::Frame(fault) => {
                        ("frame", format!("the frame of event {}", after.next()), fault.to_string())
                    }
                    Fault::Cut => ("frame", "frames up to the segment's end".to_owned(), fault.to_string()),
                };
                let (offset, sequence) = (Some(*offset), Some(after.next().0));
                Self { offset, sequence, ..finding(rule, file, expected, found) }
            }
            TrailError::Link { file, expected, found } => {
                let expected = format!("link {expected}, from the segment in front as it is");
                finding(
                    "link",
                    file,
                    expected,
                    format!("link {found}: one of the two was changed after it was written"),
                )
            }
            TrailError::Chain { file, field, expected, found } => {
                finding("header", file, format!("{field} {expected}"), format!("{field} {found}"))
            }
            TrailError::Header { file, fault } => {
                finding("header", file, "a header".to_owned(), fault.to_string())
            }
            TrailError::Blank { file } => finding(
                "header",
                file,
                "a header, as later segments were written".to_owned(),
                "zeros".to_owned(),
            ),
            TrailError::Missing { file } => finding(
                "header",
                file,
                "the file, as later segments are there".to_owned(),
                "no such file".to_owned(),
            ),
            TrailError::Io { .. }
            | TrailError::NoTrail(_)
            | TrailError::Newer { .. }
            | TrailError::NotFound { .. } => {
                return None;
            }
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` does not hold", self.rule)?;
        if let Some(sequence) = self.sequence {
            write!(f, " at sequence {sequence}")?;
        }
        if let Some(message) = self.message {
            write!(f, " ({message})")?;
        }
        write!(f, ", {}", self.file)?;
        if let Some(offset) = self.offset {
            write!(f, ", offset {offset}")?;
        }
        write!(f, "\n  expected   {}\n  found      {}", self.expected, self.found)
    }
}

impl fmt::Display for BrokenTrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.first)?;
        let IntactPrefix { segments, events, last_sequence, has_meaning } = self.intact;
        write!(
            f,
            "  in front   {events} events, through sequence {last_sequence}, and {segments} whole segments: intact"
        )?;
        f.write_str(if has_meaning { ", every rule holds" } else { ", rules of meaning not applied" })?;
        match &self.also {
            Some(also) => write!(f, "\nalso {also}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BrokenTrail {}
