//! A promise that was broken: what a checker says when one is.

/// A promise that was broken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{rule}: {what}")]
pub struct Violation {
    /// The rule, in a few words.
    pub rule: &'static str,
    /// What was seen instead.
    pub what: String,
}

/// A violation of `rule`.
pub fn violated(rule: &'static str, what: impl Into<String>) -> Violation {
    Violation { rule, what: what.into() }
}

/// What a check says.
pub type Checked = Result<(), Violation>;
