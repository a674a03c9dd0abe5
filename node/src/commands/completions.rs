//! `stele completions`: prints a shell completion script.

use crate::cli::{CompletionsArgs, command};
use crate::failure::Failure;
use crate::own_name::{name_command, program_name};

/// Prints the script.
///
/// # Errors
/// [`Failure`]: usage if a shell cannot complete a program of this name; environment if writing to standard
/// output failed.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let name = program_name();
    if !is_word(&name) {
        let what = format!("a shell cannot complete the commands of a program named {name:?}");
        return Err(Failure::usage(what)
            .help("rename the program: use only letters, digits, hyphens, underscores and dots"));
    }
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut name_command(command()), name, &mut script);
    super::print(&String::from_utf8_lossy(&script))
}

/// Returns whether a shell reads the name as one plain word.
fn is_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::is_word;

    #[test]
    fn a_name_that_a_shell_would_split_or_expand_is_refused() {
        assert!(["stele", "my-alpha_2.1"].into_iter().all(is_word));
        assert!(!["", "my alpha", "a$b", "a'b", "\u{e4}"].into_iter().any(is_word));
    }
}
