//! A violated rule, as a checker reports it.

/// A violated rule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{rule}: {what}")]
pub struct Violation {
    /// The rule, in a few words.
    pub rule: &'static str,
    /// What was observed instead.
    pub what: String,
}

/// Creates a violation of `rule`.
pub fn violated(rule: &'static str, what: impl Into<String>) -> Violation {
    Violation { rule, what: what.into() }
}

/// The result of a check.
pub type Checked = Result<(), Violation>;
