//! `stele new-strategy`: what it refuses, what the crate contains, and that the crate builds and passes its
//! tests.

use crate::{stele_fails, stele_json, stele_ok, text};
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn a_crate_is_written_once_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("sub/my crate");
    let written = stele_json(&["new-strategy", "mean-reversion", text(&made)]);
    let files = written["files"].as_array().unwrap();
    assert!(files.iter().all(|file| made.join(file.as_str().unwrap()).is_file()), "{written}");
    let manifest: toml::Table = fs::read_to_string(made.join("Cargo.toml")).unwrap().parse().unwrap();
    assert_eq!(manifest["package"]["name"].as_str(), Some("mean-reversion"));
    let stele = manifest["dependencies"]["stele"]["path"].as_str().unwrap();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    assert_eq!(Path::new(stele), sources.join("stele").canonicalize().unwrap());
    assert!(written.get("notice").is_none(), "{written}");

    let errors = stele_fails(&["new-strategy", "mean-reversion", text(&made)], 2);
    assert!(errors.contains("is not empty"), "{errors}");
    let file = made.join("Cargo.toml");
    assert!(stele_fails(&["new-strategy", "alpha", text(&file)], 2).contains("is not a directory"));

    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let page = stele_ok(&["new-strategy", "alpha", text(&empty), "--stele", text(sources)]);
    assert!(page.contains("cargo test") && page.contains("--strategy alpha"), "{page}");
}

#[test]
fn an_invalid_crate_name_and_sources_without_stele_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    for name in ["My_Crate", "fn", "ma-cross", "../x"] {
        let errors = stele_fails(&["new-strategy", name, text(&made)], 2);
        assert!(errors.contains(name) && errors.contains("help: "), "{errors}");
    }
    let errors = stele_fails(&["new-strategy", "alpha", text(&made), "--stele", text(folder.path())], 2);
    assert!(errors.contains("is not a checkout of Stele"), "{errors}");
    assert!(!made.exists());
}

/// Builds what the example's own test has built already, where both have one target folder: the gate runs it
/// after that.
#[test]
#[ignore = "builds a crate outside the workspace: some minutes, where examples/own-strategy was not built before"]
fn a_crate_that_was_written_builds_and_its_tests_pass() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    stele_ok(&["new-strategy", "mean-reversion", text(&made)]);
    let program = Path::new(env!("CARGO_BIN_EXE_stele"));
    let target = program.ancestors().nth(2).expect("a program lies in a folder of the target folder");
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["test", "--manifest-path", text(&made.join("Cargo.toml"))])
        .env("CARGO_TARGET_DIR", target)
        .output()
        .expect("cargo runs this test");
    let [said, errors] =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(
        said.contains("the_strategy_trades_on_a_generated_market_and_its_trail_is_checked ... ok"),
        "{said}"
    );
}
