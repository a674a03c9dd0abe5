//! Help, completions and manual pages.

use crate::{stele, stele_fails, stele_ok, text};
use std::fs;
use std::process::{Command, Stdio};

#[test]
fn help_lists_commands_by_their_users_and_ends_with_examples() {
    let help = stele_ok(&["--help"]);
    let places = [
        "For strategy developers:\n  demo ",
        "For compliance officers:\n  verify ",
        "Options:\n",
        "Exit codes",
    ];
    let at: Vec<usize> = places
        .iter()
        .map(|place| help.find(place).unwrap_or_else(|| panic!("`{place}` is not in\n{help}")))
        .collect();
    assert!(at.is_sorted(), "{help}");
    assert_eq!(help.matches("\n  dump ").count(), 1, "{help}");
    for words in [&["run", "--help"][..], &["help", "run"], &["run", "-h"]] {
        assert!(stele_ok(words).contains("Examples:\n  stele run --strategy help\n"), "{words:?}");
    }
    let none = stele(&[]);
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("For operators:"), "the help is the answer");
    let slip = stele_fails(&["verfy", "trail"], 2);
    assert!(slip.contains("verify"), "{slip}");
}

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stele_ok(&["completions", shell]);
        assert!(script.contains("check-strategy") && script.contains("access-trail"), "{shell}");
    }
    let script = stele_ok(&["completions", "bash"]);
    let mut bash = Command::new("bash").args(["-n", "/dev/stdin"]).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut bash.stdin.take().unwrap(), script.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success(), "bash reads it");
}

#[test]
fn manual_pages_are_written_for_each_command_and_replace_existing_ones() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    for _ in 0..2 {
        stele_ok(&["man", text(&pages)]);
    }
    let page = fs::read_to_string(pages.join("stele-hold-place.1")).unwrap();
    assert!(page.contains(".TH") && page.contains("inquiry of 3 March"), "{page}");
    assert!(pages.join("stele.1").exists() && !pages.join("stele-help.1").exists());
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let refusal = stele_fails(&["man", text(&file)], 3);
    assert!(refusal.contains("cannot write"), "{refusal}");
}
