//! The page for compliance officers lists the rules as the code has them.

use crate::rules::{Reach, Rule};
use crate::verify::STORAGE_RULES;
use std::fmt::Write as _;
use std::path::Path;

const BEGIN: &str = "<!-- rules: begin -->\n";
const END: &str = "<!-- rules: end -->";

fn table() -> String {
    let mut table = String::from(
        "\n| rule | what it requires | since version | without the beginning |\n|---|---|---|---|\n",
    );
    for (name, sentence) in STORAGE_RULES {
        writeln!(table, "| `{name}` | {sentence} | 1 | judged |").unwrap();
    }
    for rule in Rule::ALL {
        let reach = match rule.reach() {
            Reach::Everything => "judged",
            Reach::WhatIsKnown => "what is on the trail",
            Reach::Nothing => "not judged",
        };
        writeln!(table, "| `{rule}` | {} | {} | {reach} |", rule.sentence(), rule.since()).unwrap();
    }
    table.push('\n');
    table
}

/// With `STELE_GOLDEN=write` in the environment it writes the table instead.
#[test]
fn the_page_for_compliance_officers_lists_every_rule_as_the_code_has_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compliance.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page marks the beginning of the table");
    let (found, after) = rest.split_once(END).expect("the page marks the end of the table");
    let table = table();
    if std::env::var_os("STELE_GOLDEN").is_some_and(|wish| wish == "write") {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(found, table, "run this test with STELE_GOLDEN=write and look at the difference");
}

#[test]
fn no_two_rules_have_one_name() {
    let mut names: Vec<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    names.extend(STORAGE_RULES.iter().map(|(name, _)| *name));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
