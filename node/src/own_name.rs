//! Puts the running program's name into help and messages.
//!
//! In the code, messages name commands as `` `stele verify` ``. Where they are printed, `stele` is replaced
//! by the name of the running program's file, so that a user's own program suggests its own commands.

use clap::Command;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// The program's name in the messages of the code.
const NAME: &str = "stele";
/// What a program of another name prints as its version, after its own name.
const VERSION: &str = concat!("(stele ", env!("CARGO_PKG_VERSION"), ")");

/// Returns the file name that this program was started as.
pub(crate) fn program_name() -> String {
    let started = std::env::args_os().next().map(PathBuf::from);
    let name = started.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    name.unwrap_or(NAME).to_owned()
}

/// Returns `text` with this program's name in its commands: `` `stele verify` `` becomes `` `NAME verify` ``.
pub(crate) fn in_own_name(text: &str) -> Cow<'_, str> {
    renamed(text, &program_name())
}

fn renamed<'a>(text: &'a str, name: &str) -> Cow<'a, str> {
    let quoted = |name: &str| format!("`{name} ");
    let known = quoted(NAME);
    if name == NAME || !text.contains(&known) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(&known, &quoted(name)))
}

/// Returns the command line with this program's name in its help and its version.
pub(crate) fn name_command(command: Command) -> Command {
    named(command, &program_name())
}

fn named(command: Command, name: &str) -> Command {
    if name == NAME {
        return command;
    }
    with_help(command, name).display_name(name).version(VERSION)
}

fn with_help(mut command: Command, name: &str) -> Command {
    let own = |text: &dyn ToString| renamed(&text.to_string(), name).into_owned();
    if let Some(about) = command.get_about().map(|text| own(text)) {
        command = command.about(about);
    }
    if let Some(about) = command.get_long_about().map(|text| own(text)) {
        command = command.long_about(about);
    }
    if let Some(end) = command.get_after_help().map(|text| own(text)) {
        command = command.after_help(with_own_examples(&end, name));
    }
    let command = command.mut_args(|arg| match arg.get_help().map(|text| own(text)) {
        Some(help) => arg.help(help),
        None => arg,
    });
    command.mut_subcommands(|command| with_help(command, name))
}

/// Returns the end of a help page, with `name` in the command line of each example.
fn with_own_examples(end: &str, name: &str) -> String {
    end.replace(&format!("\n  {NAME} "), &format!("\n  {name} "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command;

    #[test]
    fn only_the_commands_in_a_message_take_the_name_of_the_program() {
        let text = "`stele verify` says more: 0000000002.stele, `stele`, stele.internal/";
        let own = "`alpha verify` says more: 0000000002.stele, `stele`, stele.internal/";
        assert_eq!(renamed(text, "alpha"), own);
        assert_eq!(renamed(text, "stele"), text);
    }

    #[test]
    fn the_help_of_every_command_names_the_program() {
        let page = |command: &mut Command| command.render_long_help().to_string();
        let mut command = named(command(), "alpha");
        let version = command.render_version();
        assert_eq!(version, format!("alpha {VERSION}\n"));
        let pages = command.get_subcommands_mut().map(page).collect::<String>();
        assert!(pages.contains("`alpha key new --witness`"), "{pages}");
        assert!(!pages.contains("`stele ") && !pages.contains("\n  stele "), "{pages}");
        assert!(pages.contains("Examples:\n  alpha run --strategy help\n"), "{pages}");
    }
}
