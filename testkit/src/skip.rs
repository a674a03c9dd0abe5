//! Skipped tests: those that cannot run on this machine. Such a test passes, and its binary prints at its end
//! how many were skipped.
//!
//! libtest hides what a passing test prints, so the line is written to standard error when the process exits:
//!
//! ```text
//! skipped 43 tests: they need the shared data (STELE_SHARED)
//! ```

use crate::at_exit::at_exit;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Mutex, Once, PoisonError};

/// The skipped tests by what they need.
static SKIPPED: Mutex<BTreeMap<String, BTreeSet<String>>> = Mutex::new(BTreeMap::new());

/// Counts the calling test as skipped because it needs `need`. The test must then return. A test that is
/// skipped in several places counts once.
///
/// ```
/// let Some(strace) = strace() else { return skip("strace, and the right to trace") };
/// ```
pub fn skip(need: &str) {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| at_exit(print));
    let mut skipped = SKIPPED.lock().unwrap_or_else(PoisonError::into_inner);
    let tests = skipped.entry(need.to_owned()).or_default();
    let name = match std::thread::current().name() {
        // With `--test-threads=1` every test runs on the main thread.
        None | Some("main") => format!("test {}", tests.len()),
        Some(name) => name.to_owned(),
    };
    tests.insert(name);
}

/// As [`skip`], but fails in CI, where nothing may be missing.
///
/// # Panics
///
/// Panics where the environment has `CI=true`.
pub fn skip_outside_ci(need: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs {need}");
    skip(need);
}

/// Returns a line for each need.
fn lines(skipped: &BTreeMap<String, BTreeSet<String>>) -> String {
    let line = |(need, tests): (&String, &BTreeSet<String>)| match tests.len() {
        1 => format!("skipped 1 test: it needs {need}\n"),
        count => format!("skipped {count} tests: they need {need}\n"),
    };
    skipped.iter().map(line).collect()
}

extern "C" fn print() {
    let skipped = SKIPPED.lock().unwrap_or_else(PoisonError::into_inner);
    // A failed write cannot be reported, because the process exits.
    let _ = std::io::stderr().write_all(lines(&skipped).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_need_has_a_line_with_the_number_of_tests() {
        let tests = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let skipped =
            [("strace".to_owned(), tests(&["a"])), ("the shared data".to_owned(), tests(&["a", "b"]))];
        assert_eq!(
            lines(&skipped.into()),
            "skipped 1 test: it needs strace\nskipped 2 tests: they need the shared data\n"
        );
    }

    /// The test binary runs itself with one test that skips, and reads what `cargo test` would show.
    #[test]
    fn a_test_that_skips_twice_counts_once_and_the_line_is_not_captured() {
        let run = |arguments: &[&str]| {
            let program = std::env::current_exe().unwrap();
            let output =
                std::process::Command::new(program).args(arguments).env("STELE_SKIP", "1").output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stderr).unwrap()
        };
        let name = "skip::tests::skips_when_its_parent_asks";
        assert_eq!(run(&["--exact", name]), "skipped 1 test: it needs a parent\n");
        assert_eq!(run(&["--exact", "skip::tests::each_need_has_a_line_with_the_number_of_tests"]), "");
    }

    #[test]
    fn skips_when_its_parent_asks() {
        if std::env::var_os("STELE_SKIP").is_some() {
            skip("a parent");
            skip("a parent");
        }
    }
}
