//! The result for a trail that does not verify: the first error, and what is intact before it.

use crate::rules::RuleViolation;
use serde::Serialize;
use std::fmt;
use stele_journal::format::SegmentHeader;
use stele_journal::{ContinuityFault, TrailError};

/// A trail that does not verify.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BrokenTrail {
    /// The first error in the order of the log.
    pub first: Finding,
    /// The first error of the other check: of the storage if `first` breaks a rule about meaning, and the
    /// other way round.
    pub also: Option<Finding>,
    /// What is intact before `first`.
    pub intact: IntactPrefix,
}

/// One error.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// Name of the broken rule: one of [`crate::rules::Rule`], or of the storage: `frame`, `no-gap`, `time`,
    /// `link`, `header`.
    pub rule: &'static str,
    /// File of the segment.
    pub file: String,
    /// Offset in the file, where one is known.
    pub offset: Option<u64>,
    /// Sequence of the event that shows the error, or of the missing event where the bytes are not an event.
    pub sequence: Option<u64>,
    /// Name of the message, if a message breaks the rule.
    pub message: Option<&'static str>,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

/// What is intact before the first error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct IntactPrefix {
    /// Number of complete segments.
    pub segments: u64,
    /// Number of events, including those before the error in the damaged segment.
    pub events: u64,
    /// Sequence of the last intact event; 0 when there is none.
    pub last_sequence: u64,
    /// Whether the rules about meaning hold for all these events as well; false when they could not be
    /// applied.
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

    /// The journal's error; `None` when the trail could not be read, which is not an error of the trail.
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
                    ContinuityFault::Sequence { expected, found } => {
                        ("no-gap", format!("sequence {expected}"), format!("sequence {found}"))
                    }
                    ContinuityFault::Time { previous, found } => {
                        ("time", format!("a time from {previous} on"), found.to_string())
                    }
                    ContinuityFault::Frame(fault) => {
                        ("frame", format!("the frame of event {}", after.next()), fault.to_string())
                    }
                    ContinuityFault::Cut => {
                        ("frame", "frames up to the segment's end".to_owned(), fault.to_string())
                    }
                };
                let (offset, sequence) = (Some(*offset), Some(after.next().0));
                Self { offset, sequence, ..finding(rule, file, expected, found) }
            }
            TrailError::Link { file, expected, found } => {
                let expected = format!("link {expected}, computed from the previous segment");
                finding(
                    "link",
                    file,
                    expected,
                    format!("link {found}: one of the two segments was changed after it was written"),
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
                "a header, because later segments exist".to_owned(),
                "zeros".to_owned(),
            ),
            TrailError::Missing { file } => finding(
                "header",
                file,
                "the file, because later segments exist".to_owned(),
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
            "  before     {events} events, through sequence {last_sequence}, and {segments} whole segments: intact"
        )?;
        f.write_str(if has_meaning { ", every rule holds" } else { ", rules about meaning not applied" })?;
        match &self.also {
            Some(also) => write!(f, "\nalso {also}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BrokenTrail {}
