//! The commands of `stele --help`, grouped by the person who uses them.
//!
//! clap has no headings for subcommands. The list is therefore built here, from the names and descriptions of
//! the definitions, and becomes part of the help template.

use clap::Command;
use std::fmt::Write as _;

/// The commands for one kind of user.
pub(super) struct Group {
    /// The heading.
    pub(super) title: &'static str,
    /// In the order of the help.
    pub(super) commands: &'static [&'static str],
}

/// All groups; every command is in exactly one.
pub(super) const GROUPS: &[Group] = &[
    Group {
        title: "For strategy developers",
        commands: &[
            "demo",
            "new-strategy",
            "generate",
            "run",
            "backtest",
            "check-strategy",
            "replay",
            "summary",
        ],
    },
    Group {
        title: "For operators",
        commands: &[
            "config",
            "top",
            "attach",
            "kill-switch",
            "limit",
            "publisher",
            "strategy",
            "order",
            "snapshot",
            "archive",
            "repair",
        ],
    },
    Group {
        title: "For compliance officers",
        commands: &[
            "verify",
            "dump",
            "hold",
            "expire",
            "key",
            "seal",
            "prove",
            "check-proof",
            "witness",
            "export-tiles",
        ],
    },
    Group { title: "For latency engineers", commands: &["doctor", "perf"] },
    Group { title: "For your shell", commands: &["completions", "man"] },
];

/// Returns the help template of the program, with the subcommands of `command` in their groups.
pub(super) fn help_template(command: &Command) -> String {
    let styles = command.get_styles();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let width = command.get_subcommands().map(|command| command.get_name().len()).max().unwrap_or(0);
    let mut template = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
    for Group { title, commands } in GROUPS {
        let _ = write!(template, "\n{header}{title}:{header:#}\n");
        for name in *commands {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(template, "  {literal}{name:width$}{literal:#}  {about}");
        }
    }
    let _ = write!(template, "\n{header}Options:{header:#}\n{{options}}{{after-help}}");
    template
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_exactly_one_group_and_every_name_is_a_command() {
        let mut listed: Vec<&str> = GROUPS.iter().flat_map(|group| group.commands).copied().collect();
        listed.sort_unstable();
        let command = crate::cli::command();
        let mut defined: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        defined.sort_unstable();
        assert_eq!(listed, defined);
    }

    #[test]
    fn the_help_lists_each_command_on_one_line_of_at_most_80_columns() {
        let help = crate::cli::command().render_help().to_string();
        for Group { title, commands } in GROUPS {
            assert!(help.contains(&format!("{title}:\n  {}", commands[0])), "{help}");
        }
        for name in GROUPS.iter().flat_map(|group| group.commands) {
            let lines: Vec<&str> = help
                .lines()
                .filter(|line| line.trim_start().split("  ").next() == Some(*name) && line.starts_with("  "))
                .collect();
            let [line] = lines[..] else { panic!("{name}: {lines:?} in {help}") };
            assert!(line.len() <= 80 && line.trim().len() > name.len() + 10, "{line}");
        }
        assert!(help.contains("--version") && help.contains("Exit codes"), "{help}");
    }
}
