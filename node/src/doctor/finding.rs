//! The findings of the checks.

use serde::Serialize;
use std::collections::BTreeSet;

/// The state of what a check examined.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It is as it should be.
    Good,
    /// It costs latency or security; the remedy says what to do.
    Warning,
    /// The machine does not provide the information.
    Unknown,
}

/// The finding of one check.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) state: State,
    pub(crate) found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

/// The result of a check; the table of checks has its name.
pub(super) struct Verdict {
    pub(super) state: State,
    pub(super) found: String,
    pub(super) remedy: Option<String>,
}

pub(super) fn good(found: impl Into<String>) -> Verdict {
    Verdict { state: State::Good, found: found.into(), remedy: None }
}

pub(super) fn unknown(found: impl Into<String>) -> Verdict {
    Verdict { state: State::Unknown, found: found.into(), remedy: None }
}

pub(super) fn warning(found: impl Into<String>, remedy: impl Into<String>) -> Verdict {
    Verdict { state: State::Warning, found: found.into(), remedy: Some(remedy.into()) }
}

/// Formats CPUs as a list: `2, 3`.
pub(super) fn listed(cpus: &BTreeSet<usize>) -> String {
    cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}
