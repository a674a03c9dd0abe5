//! The strategy of docs/writing-a-strategy.md, compiled and tested as a reader of the guide would do it.

// The file of the strategy refers to this crate as `crate`, like a file in `strategies/src`.
pub use stele_strategies::*;

pub mod imbalance;

const GUIDE: &str = include_str!("../../../docs/writing-a-strategy.md");
const FILE: &str = include_str!("imbalance.rs");

#[test]
fn the_code_in_the_guide_is_the_file_compiled_here() {
    let blocks = GUIDE.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let code: Vec<&str> = blocks.take(2).collect();
    assert_eq!(code.join("\n"), FILE);
    let strategy = code[0].lines().filter(|line| !line.trim().is_empty()).count();
    assert!(strategy <= 50, "{strategy} lines are more than about 40");
}

#[test]
fn one_line_registers_it_and_a_parameter_out_of_range_is_refused_with_the_range() {
    let mut registry = Registry::built_in();
    registry.register(imbalance::KIND);
    assert!(StrategyTester::start_of(registry.clone(), "imbalance", "").is_ok());
    let error = StrategyTester::start_of(registry, "imbalance", "ratio = 1").err().unwrap();
    assert_eq!(error, "imbalance: parameter `ratio` is 1, but must be a whole number from 2 to 1000");
}
