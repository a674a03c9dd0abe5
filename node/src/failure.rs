//! Why a command failed: the message, what the user can do about it, and the exit code.

use std::fmt;
use std::process::ExitCode;

/// The exit codes of failures; 0 is success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// A check failed: a trail does not verify, or a strategy decides differently than on the trail.
    NotSo = 1,
    /// The command line or the configuration asks for something that does not exist.
    Usage = 2,
    /// A file or the environment is missing, unreadable, full or in use.
    Environment = 3,
}

/// A failed command: a message, what the user can do about it, and the exit code.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    what: String,
    help: Option<String>,
}

impl Failure {
    /// Returns the failure of a check: exit code 1.
    pub fn not_so(what: impl fmt::Display) -> Self {
        Self { exit: Exit::NotSo, what: what.to_string(), help: None }
    }

    /// Returns the failure for a wrong command line or configuration: exit code 2.
    pub fn usage(what: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, what: what.to_string(), help: None }
    }

    /// Returns the failure for a file or the environment: exit code 3.
    pub fn environment(what: impl fmt::Display) -> Self {
        Self { exit: Exit::Environment, what: what.to_string(), help: None }
    }

    /// Adds what the user can do about it, which is printed on a line of its own.
    #[must_use]
    pub fn help(mut self, help: impl fmt::Display) -> Self {
        self.help = Some(help.to_string());
        self
    }

    /// Puts the thing that the message is about before it: `whose: message`.
    pub(crate) fn of(mut self, whose: &str) -> Self {
        self.what = format!("{whose}: {}", self.what);
        self
    }

    /// The process's exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        match &self.help {
            Some(help) => write!(f, "\n help: {help}"),
            None => Ok(()),
        }
    }
}

/// Returns a sentence with the name in `known` that `given` most likely meant, or with all of them where none
/// is similar.
pub(crate) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let best = known
        .clone()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .min()
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3));
    match best {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("one of {}", known.collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_misspelt_name_suggests_the_nearest_and_an_unrelated_one_lists_all() {
        let known = ["ma-cross", "dip-buyer"];
        assert_eq!(nearest("ma-cros", known.into_iter()), "did you mean `ma-cross`?");
        assert_eq!(nearest("zzzzzzzzz", known.into_iter()), "one of ma-cross, dip-buyer");
    }
}
