//! Errors of parameters.

/// An invalid parameter.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParameterError {
    /// No parameter has this name.
    #[error("unknown parameter `{name}`{}; known parameters: {known}", nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// The name that was given.
        name: String,
        /// The most similar name, if one is similar enough.
        nearest: Option<&'static str>,
        /// All names, separated by commas.
        known: String,
    },
    /// The value is of the wrong type.
    #[error("parameter `{name}` is {found}, but must be {expected}")]
    Kind {
        /// Name of the parameter.
        name: &'static str,
        /// The value that was given.
        found: String,
        /// The expected type and range.
        expected: String,
    },
    /// The value is out of range.
    #[error("parameter `{name}` is {found}, but must be {expected}")]
    Range {
        /// Name of the parameter.
        name: &'static str,
        /// The value that was given.
        found: String,
        /// The expected range.
        expected: String,
    },
    /// Two or more parameters contradict each other.
    #[error("{0}")]
    Together(String),
    /// The strategy cannot change this parameter while it runs.
    #[error(
        "parameter `{name}` is `{running}` and cannot change while the strategy runs: set it in the configuration"
    )]
    Fixed {
        /// Name of the parameter.
        name: &'static str,
        /// The value that the strategy runs with.
        running: String,
    },
    /// The strategy takes no other parameters while it runs.
    #[error("the strategy takes no other parameters while it runs: set them in the configuration")]
    NotWhileRunning,
    /// The text is not TOML.
    #[error("the parameters are not TOML: {0}")]
    Toml(String),
    /// The text is not `key=value`.
    #[error("`{0}` is not a parameter: write key=value")]
    Pair(String),
}
