//! Tests that the strategy of docs/writing-a-strategy.md is that of examples/own-strategy, which is also
//! compiled and tested here.

#[path = "../../examples/own-strategy/src/strategy.rs"]
#[expect(unreachable_pub, reason = "it is public in its own crate")]
mod strategy;

use stele::strategies::{Registry, StrategyTester};

const GUIDE: &str = include_str!("../../docs/writing-a-strategy.md");
const STRATEGY: &str = include_str!("../../examples/own-strategy/src/strategy.rs");
const MAIN: &str = include_str!("../../examples/own-strategy/src/main.rs");
const MANIFEST: &str = include_str!("../../examples/own-strategy/Cargo.toml");

/// The code blocks of the page in `language`.
fn blocks(language: &str) -> Vec<&'static str> {
    let parts = GUIDE.split("```").skip(1).step_by(2);
    parts.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

#[test]
fn the_code_of_the_guide_is_that_of_the_example() {
    let code = blocks("rust");
    assert_eq!(code.len(), 3);
    assert_eq!(code[1..].join("\n"), STRATEGY);
    assert_eq!(code[0], MAIN);
    let lines = code[1].lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 50, "the strategy has {lines} lines, more than 50");
    for line in blocks("toml")[0].lines() {
        assert!(MANIFEST.lines().any(|known| known == line), "{line} is not in the example's Cargo.toml");
    }
}

#[test]
fn one_line_registers_it_and_the_error_of_a_parameter_out_of_range_names_the_range() {
    let mut registry = Registry::built_in();
    registry.register(strategy::KIND).unwrap();
    assert!(StrategyTester::start_of(registry.clone(), "imbalance", "").is_ok());
    let error = StrategyTester::start_of(registry, "imbalance", "ratio = 1").err().unwrap();
    assert_eq!(error, "imbalance: parameter `ratio` is 1, but must be a whole number from 2 to 1000");
}
