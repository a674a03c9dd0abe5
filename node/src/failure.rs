//! How a command ends when it does not end well: what, where, what to do next, and the exit code.

use std::fmt;
use std::process::ExitCode;

/// The documented exit codes; 0 is good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// The thing checked is not so: a trail that does not verify, a strategy that differs.
    NotSo = 1,
    /// The command line or the configuration asks for something that does not exist.
    Usage = 2,
    /// The environment or a file: missing, unreadable, full, in use.
    Environment = 3,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    what: String,
    help: Option<String>,
}

impl Failure {
    /// The thing checked is not so.
    pub fn not_so(what: impl fmt::Display) -> Self {
        Self { exit: Exit::NotSo, what: what.to_string(), help: None }
    }

    /// The command line or the configuration is wrong.
    pub fn usage(what: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, what: what.to_string(), help: None }
    }

    /// The environment is in the way.
    pub fn environment(what: impl fmt::Display) -> Self {
        Self { exit: Exit::Environment, what: what.to_string(), help: None }
    }

    /// Adds what the person can do about it.
    #[must_use]
    pub fn help(mut self, help: impl fmt::Display) -> Self {
        self.help = Some(help.to_string());
        self
    }

    /// Says of what it is true.
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

/// The name in `known` that `given` most likely meant, as a sentence; the whole list when none is near.
pub(crate) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let best = known
        .clone()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .min()
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3));
    match best {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("known are: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_finger_names_the_nearest_and_nonsense_names_them_all() {
        let known = ["ma-cross", "dip-buyer"];
        assert_eq!(nearest("ma-cros", known.into_iter()), "did you mean `ma-cross`?");
        assert_eq!(nearest("zzzzzzzzz", known.into_iter()), "known are: ma-cross, dip-buyer");
    }
}
