//! `stele perf` runs `stele-perf`, where that is installed.

use super::text;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program in a folder of its own, with nothing beside it and nothing on PATH.
fn alone(folder: &Path) -> PathBuf {
    let program = folder.join("stele");
    let built = env!("CARGO_BIN_EXE_stele");
    fs::hard_link(built, &program).or_else(|_| fs::copy(built, &program).map(|_| ())).unwrap();
    program
}

fn run(program: &Path, path: &Path, arguments: &[&str]) -> Output {
    Command::new(program).env("PATH", path).args(arguments).output().unwrap()
}

fn install(folder: &Path, script: &str) {
    let program = folder.join("stele-perf");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn perf_says_how_to_install_it_and_its_help_works_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let program = alone(folder.path());
    let output = run(&program, folder.path(), &["perf", "pipeline", "--quick"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("stele-perf is not installed")
            && errors.contains("cargo build --release -p stele-perf")
    );
    let output = run(&program, folder.path(), &["perf", "--help"]);
    assert!(output.status.success(), "{output:?}");
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("pipeline") && help.contains("stele-perf"), "{help}");
}

#[test]
fn perf_is_run_with_the_same_arguments_and_its_exit_code_is_passed_on() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = alone(folder.path());
    install(elsewhere.path(), "#!/bin/sh\necho on PATH: \"$@\"\nexit 7\n");
    let arguments = ["perf", "bus", "--quick", "--dir", text(folder.path()), "--help"];
    let expected = |place: &str| format!("{place}: {}\n", arguments[1..].join(" "));
    let output = run(&program, elsewhere.path(), &arguments);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected("on PATH"));
    assert_eq!(output.status.code(), Some(7));
    install(folder.path(), "#!/bin/sh\necho beside: \"$@\"\n");
    let output = run(&program, elsewhere.path(), &arguments);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected("beside"));
    assert!(output.status.success());
}
