//! `docs/commands.md`: the help of every command, generated from the definitions.

use super::examples::{EXAMPLES, Example};
use super::groups::{GROUPS, Group};
use clap::{Arg, ArgAction, Command};
use std::fmt::Write as _;

/// Width of the page in columns.
const WIDTH: usize = 110;

const OPENING: &str = "\
# Commands

This page lists every command of `stele` with its options and examples. It is generated from the program's
help, by `STELE_GOLDEN=write cargo test -p stele-node commands_page`.

`cargo build --release` builds the program as `target/release/stele`. A **trail** is a directory written by
`stele run` or `stele demo`. Exit codes: 0 success, 1 a check failed, 2 usage error, 3 environment or I/O
error.

A time is a day (`2026-11-21`, from midnight UTC), a moment (`2026-11-21T09:30:00Z`) or a span such as `90s`,
`30m`, `1h 30m`, `2d`, `3mo` or `7y`. A span counts back from the trail's last event, with or without a minus
sign: `1h` and `-1h` mean the same. Only `stele expire --now` counts from the present: `1h` is an hour ago,
`+7y` is in seven years.

";

/// Returns the page.
pub(super) fn page() -> String {
    let mut program = super::command();
    program.build();
    let mut page = String::from(OPENING);
    contents(&program, &mut page);
    for Group { title, commands } in GROUPS {
        let _ = write!(page, "\n## {title}\n");
        for name in *commands {
            let command = program.find_subcommand_mut(name).expect("a group lists commands");
            section(command, name, 3, &mut page);
        }
    }
    page
}

/// Appends the table of all commands.
fn contents(program: &Command, page: &mut String) {
    page.push_str("| command | what it does |\n|---|---|\n");
    for Group { title, commands } in GROUPS {
        let _ = writeln!(page, "| **{title}** | |");
        for name in *commands {
            let about = program.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(page, "| [`{name}`](#stele-{name}) | {about} |");
        }
    }
}

fn section(command: &mut Command, path: &str, level: usize, page: &mut String) {
    let _ = write!(page, "\n{} stele {path}\n\n", "#".repeat(level));
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string);
    for (index, paragraph) in about.unwrap_or_default().split("\n\n").enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        // The first paragraph is the line of the list, which has no full stop.
        let stop = if paragraph.ends_with(['.', '?']) { "" } else { "." };
        let _ = write!(page, "{gap}{}", wrapped(&format!("{paragraph}{stop}"), ""));
    }
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .filter(|name| name != "help")
        .collect();
    if names.is_empty() {
        let usage = command.render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").trim();
        let _ = write!(page, "\n```text\n{usage}\n```\n");
        arguments(command, page);
        examples(path, page);
    }
    for name in names {
        let sub = command.find_subcommand_mut(&name).expect("it was listed");
        section(sub, &format!("{path} {name}"), level + 1, page);
    }
}

/// Appends a list item for each argument and option.
fn arguments(command: &Command, page: &mut String) {
    let shown = |arg: &&Arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str());
    let (positional, options): (Vec<&Arg>, Vec<&Arg>) =
        command.get_arguments().filter(shown).partition(|arg| arg.is_positional());
    // Options with their own heading come last.
    let (headed, plain): (Vec<&Arg>, Vec<&Arg>) =
        options.into_iter().partition(|arg| arg.get_help_heading().is_some());
    let lines: String = positional.into_iter().chain(plain).map(item).collect();
    if !lines.is_empty() {
        let _ = write!(page, "\n{lines}");
    }
    if let Some(heading) = headed.first().and_then(|arg| arg.get_help_heading()) {
        let lines: String = headed.into_iter().map(item).collect();
        let _ = write!(page, "\n{heading}:\n\n{lines}");
    }
}

fn item(arg: &Arg) -> String {
    let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let takes_value = arg.get_action().takes_values();
    let name = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        _ => String::new(),
    };
    let value = value.filter(|_| takes_value).unwrap_or_default();
    let name = match name.as_str() {
        "" => format!("<{value}>"),
        name if value.is_empty() => name.to_owned(),
        name => format!("{name} <{value}>"),
    };
    let help = arg.get_long_help().or(arg.get_help()).map(|help| help.to_string().replace('\n', " "));
    let mut text = format!("- `{name}`: {}", help.unwrap_or_default());
    let mut notes = Vec::new();
    if arg.is_required_set() && !arg.is_positional() {
        notes.push("required".to_owned());
    }
    let choices = arg.get_possible_values();
    if takes_value && !choices.is_empty() {
        let names: Vec<String> = choices.iter().map(|choice| format!("`{}`", choice.get_name())).collect();
        notes.push(format!("one of {}", names.join(", ")));
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes_value && defaults.iter().any(|value| !value.is_empty()) {
        notes.push(format!("default `{}`", defaults.join(" ")));
    }
    if let Some(variable) = arg.get_env() {
        notes.push(format!("environment variable `{}`", variable.to_string_lossy()));
    }
    if matches!(arg.get_action(), ArgAction::Append) && !text.contains("several") {
        notes.push("may be given several times".to_owned());
    }
    if !notes.is_empty() {
        let _ = write!(text, " ({})", notes.join("; "));
    }
    wrapped(&text, "  ")
}

fn examples(path: &str, page: &mut String) {
    let Some((_, examples)) = EXAMPLES.iter().find(|(name, _)| *name == path) else { return };
    page.push('\n');
    for (index, Example { line, does }) in examples.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let _ = write!(page, "{gap}{}\n```sh\n{line}\n```\n", wrapped(does, ""));
    }
}

/// Wraps `text` to the width of the page, with `indent` before every line but the first.
fn wrapped(text: &str, indent: &str) -> String {
    let (mut out, mut length) = (String::new(), 0);
    for word in text.split_whitespace() {
        if length > 0 && length + 1 + word.len() > WIDTH {
            let _ = write!(out, "\n{indent}");
            length = indent.len();
        } else if length > 0 {
            out.push(' ');
            length += 1;
        }
        out.push_str(word);
        length += word.len();
    }
    out + "\n"
}

#[test]
fn the_commands_page_shows_the_help_of_every_command() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/commands.md");
    if std::env::var("STELE_GOLDEN").is_ok_and(|mode| mode == "write") {
        std::fs::write(path, page()).unwrap();
        return;
    }
    let shown = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        shown == page(),
        "docs/commands.md is out of date; to regenerate it, run \
         STELE_GOLDEN=write cargo test -p stele-node commands_page"
    );
}
