//! Messages on standard error.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Prints a line on standard error. A reader that has closed the pipe does not end the command, so an error
/// is ignored: there is nowhere left to report it.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
