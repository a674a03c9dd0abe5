//! `schema/COVERAGE.md` names a place for every field that RTS 24 and FINRA CAT require, and every place
//! exists.

use std::collections::BTreeMap;
use stele_testkit::shared;
use stele_wire::layout::{BlockLayout, Kind};
use stele_wire::messages::SCHEMA;

const PAGE: &str = include_str!("../../schema/COVERAGE.md");

/// The number of fields of each event with the inclusion key R or C in the specification.
const CAT: [(&str, usize); 7] =
    [("MENO", 38), ("MEOR", 34), ("MEOM", 40), ("MEOC", 16), ("MEOA", 32), ("MEOT", 24), ("MECO", 23)];

struct Row {
    number: &'static str,
    field: &'static str,
    place: &'static str,
    note: &'static str,
}

/// The rows of the table after the heading that begins with `heading`.
fn rows(heading: &str) -> Vec<Row> {
    let (_, below) = PAGE.split_once(&format!("\n{heading}")).unwrap_or_else(|| panic!("no {heading}"));
    let table = below.lines().skip_while(|line| !line.starts_with('|'));
    let cells = table.take_while(|line| line.starts_with('|')).skip(2).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, field, place, note] = cells[..] else { panic!("four cells: {line}") };
        Row { number, field, place, note }
    });
    cells.collect()
}

fn names(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether `path` is a field, group or data of `block`, or a bit, a member or an entry's field in one.
fn exists(block: &BlockLayout, path: &[&str]) -> bool {
    match *path {
        [name] => block.field(name).is_some() || block.group(name).is_some() || block.data(name).is_some(),
        [name, inner] => {
            let below = block.field(name).is_some_and(|field| match &field.kind {
                Kind::Set(set) => set.choices.iter().any(|choice| choice.name == inner),
                Kind::Composite(composite) => composite.members.iter().any(|member| member.name == inner),
                _ => false,
            });
            below || block.group(name).is_some_and(|group| exists(&group.block, &[inner]))
        }
        _ => false,
    }
}

fn assert_place_exists(name: &str) {
    if matches!(name, "frame.sequence" | "frame.timestamp") || name.starts_with("config:") {
        return;
    }
    let path: Vec<&str> = name.split('.').collect();
    let message = SCHEMA.message_named(path[0]).unwrap_or_else(|| panic!("{name}: no such message"));
    assert!(exists(&message.block, &path[1..]), "{name}: no such field");
}

fn assert_row_names_a_place(row: &Row) {
    names(row.place).chain(names(row.note)).for_each(assert_place_exists);
    if matches!(row.place, "exporter" | "venue only") {
        assert!(!row.note.is_empty(), "{} {}: the reason is missing", row.number, row.field);
    } else {
        assert!(names(row.place).next().is_some(), "{} {}: no place", row.number, row.field);
    }
}

#[test]
fn each_of_the_51_fields_of_rts_24_has_its_place() {
    let rows = rows("## RTS 24");
    let numbers: Vec<usize> = rows.iter().map(|row| row.number.parse().unwrap()).collect();
    assert_eq!(numbers, (1..=51).collect::<Vec<_>>());
    rows.iter().for_each(assert_row_names_a_place);
}

#[test]
fn each_required_or_conditional_field_of_cat_has_its_place() {
    for (event, count) in CAT {
        let rows = rows(&format!("### {event}"));
        assert_eq!(rows.len(), count, "{event}");
        rows.iter().for_each(assert_row_names_a_place);
    }
}

#[test]
fn the_fields_of_cat_are_those_of_its_specification() {
    let fields = "schemas/cat/cat_im_v4.1.0r15_fields_extracted.json";
    let Some(path) = shared::path(fields) else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let specification: serde_json::Value = serde_json::from_str(&text).unwrap();
    let events = specification["events"].as_array().unwrap();
    for (event, _) in CAT {
        let fields =
            events.iter().find(|other| other["code"] == event).unwrap()["fields"].as_array().unwrap();
        let asked = fields.iter().filter(|field| field["key"] == "R" || field["key"] == "C");
        let asked: Vec<_> =
            asked.map(|field| (field["pos"].as_str().unwrap(), field["name"].as_str().unwrap())).collect();
        let rows = rows(&format!("### {event}"));
        let mapped: Vec<_> = rows.iter().map(|row| (row.number, row.field)).collect();
        assert_eq!(mapped, asked, "{event}");
    }
}

#[test]
fn a_name_that_does_not_exist_is_found() {
    let order = &SCHEMA.message_named("NewOrder").unwrap().block;
    assert!(exists(order, &["attributes", "manual"]) && exists(order, &["aggregatedOrders", "imid"]));
    for path in
        [&["limitPrize"][..], &["attributes", "manuel"], &["side", "Buy"], &["aggregatedOrders", "side"]]
    {
        assert!(!exists(order, path), "{path:?}");
    }
    let mut seen = BTreeMap::new();
    for (event, _) in CAT {
        rows(&format!("### {event}")).iter().for_each(|row| *seen.entry(row.field).or_insert(0) += 1);
    }
    assert_eq!(seen["actionType"], 7, "the tables are read to their ends");
}
