//! Checks the name of a new crate, which is also the name of its program and of its strategy.

use super::templates::{EXAMPLE_NAMES, TEMPLATES};
use crate::failure::Failure;
use stele_strategies::Registry;

/// The keywords of Rust, which cannot name a crate (The Rust Reference, section Keywords).
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];
/// The crates of the Rust distribution, and folders that cargo creates in its target directory.
const TAKEN_BY_CARGO: &[&str] =
    &["alloc", "build", "core", "deps", "examples", "incremental", "proc-macro", "std", "test"];

/// Checks whether a crate may have this name.
///
/// # Errors
/// [`Failure`]: usage, with the reason.
pub(super) fn check(name: &str, strategies: &Registry) -> Result<(), Failure> {
    let refused = |why: String| Failure::usage(format!("invalid name `{name}` for a crate: {why}"));
    strategies.check_name(name).map_err(|error| Failure::usage(error).help("choose another name"))?;
    if KEYWORDS.contains(&name) || TAKEN_BY_CARGO.contains(&name) {
        return Err(refused("it is reserved by Rust or cargo".into()).help("choose another name"));
    }
    let locks = TEMPLATES.iter().any(|file| file.path == "Cargo.lock" && locks(file.text, name));
    if locks && !EXAMPLE_NAMES.contains(&name) {
        return Err(
            refused("it would depend on a crate with the same name".into()).help("choose another name")
        );
    }
    Ok(())
}

/// Returns whether a lock file contains a package with this name.
fn locks(lock: &str, name: &str) -> bool {
    lock.lines().any(|line| line.strip_prefix("name = ").is_some_and(|of| of.trim_matches('"') == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(name: &str) -> Option<String> {
        check(name, &Registry::built_in()).err().map(|failure| failure.to_string())
    }

    #[test]
    fn valid_names_pass_and_others_are_rejected_with_the_reason() {
        for good in ["alpha", "own-strategy", "imbalance-2", "mean-reversion", "a1", "b-2-c", &"x".repeat(32)]
        {
            assert_eq!(why(good), None, "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "1a", "Alpha", "a_b", "a b", "ä", "../x", &"x".repeat(33)] {
            assert!(
                why(bad).is_some_and(|why| why.contains("use 1 to 32 lower-case letters")),
                "{bad}: {:?}",
                why(bad)
            );
        }
        for (taken, word) in [
            ("fn", "Rust"),
            ("test", "cargo"),
            ("ma-cross", "strategy"),
            ("help", "reserved"),
            ("stele", "depend"),
            ("toml", "depend"),
        ] {
            assert!(why(taken).is_some_and(|why| why.contains(word)), "{taken}: {:?}", why(taken));
        }
    }
}
