//! Runs the program as a person does: live on a generated market, checked against its trail, and in a
//! backtest.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_own-strategy")).args(arguments).output().expect("the program was built")
}

/// Runs the program, which must succeed, and returns what it printed.
fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?} failed:\n{errors}");
    String::from_utf8(output.stdout).expect("the program prints UTF-8")
}

#[test]
fn the_strategy_trades_on_a_generated_market_and_its_trail_is_checked() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("own-strategy");
    let _ = fs::remove_dir_all(&folder);
    let trail = folder.to_str().expect("the folder's path is UTF-8");
    let market = ["--feed", "generator", "--pace", "real-time", "--seconds", "2"];
    let live = ["run", "--strategy", "imbalance", "--dir", trail];
    printed(&[&live, &market[..]].concat());
    printed(&["verify", trail]);
    assert!(
        printed(&["dump", trail, "--type", "NewOrder"]).lines().count() > 10,
        "the strategy sent 10 orders or fewer"
    );
    // It fails where the strategy sends anything other than the recorded orders.
    assert!(printed(&["check-strategy", trail]).contains("imbalance"));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_backtest_tries_each_value_of_a_parameter() {
    let market = ["--feed", "generator", "--seconds", "5"];
    let sweep = ["backtest", "--strategy", "imbalance", "--sweep", "ratio=2..4"];
    let table = printed(&[&sweep, &market[..]].concat());
    for ratio in 2..=4 {
        assert!(table.contains(&format!("ratio={ratio}")), "{table}");
    }
}

#[test]
fn a_parameter_out_of_its_range_is_refused_with_the_range() {
    assert!(printed(&["run", "--strategy", "help"]).contains("imbalance: "));
    let market = ["--feed", "generator", "--seconds", "1"];
    let wrong = ["backtest", "--strategy", "imbalance", "--param", "ratio=1"];
    let output = run(&[&wrong, &market[..]].concat());
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("parameter `ratio` is 1, but must be a whole number from 2 to 1000"), "{errors}");
}
