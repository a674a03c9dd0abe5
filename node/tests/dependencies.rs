//! Dependencies between the crates point down only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every crate with the layer that it is in and the crates of its own layer that it may use.
const LAYERS: &[(&str, u32, &[&str])] = &[
    ("stele-layout", 0, &[]),
    ("stele-codegen", 1, &[]),
    ("stele-wire", 1, &["stele-codegen"]),
    ("stele-bus", 2, &[]),
    ("stele-journal", 3, &[]),
    ("stele-strategies", 4, &[]),
    ("stele-compliance", 4, &[]),
    ("stele-connect", 4, &[]),
    ("stele-embed", 4, &["stele-compliance"]),
    ("stele-replay", 4, &["stele-strategies", "stele-embed"]),
    ("stele-perf", 5, &[]),
    ("stele-sim", 5, &[]),
    ("stele-node", 6, &[]),
    ("stele", 7, &[]),
];

#[test]
fn dependencies_between_the_crates_point_down_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the workspace");
    let workspace = manifest(&root.join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().expect("members are a list");
    let layer: BTreeMap<_, _> = LAYERS.iter().map(|(name, layer, _)| (*name, *layer)).collect();
    let mut seen = 0;
    for member in members {
        let folder: PathBuf = root.join(member.as_str().expect("a member is a folder"));
        let manifest = manifest(&folder.join("Cargo.toml"));
        let name = manifest["package"]["name"].as_str().expect("a crate has a name");
        let (_, own, beside) =
            LAYERS.iter().find(|row| row.0 == name).unwrap_or_else(|| panic!("{name} is in no layer"));
        for used in used(&manifest) {
            let below = layer.get(used.as_str()).unwrap_or_else(|| panic!("{used} is in no layer"));
            assert!(
                below < own || beside.contains(&used.as_str()),
                "{name} (layer {own}) may not depend on {used} (layer {below})"
            );
        }
        seen += 1;
    }
    assert_eq!(seen, LAYERS.len(), "every crate of the table is a member");
}

/// The project's own crates that a manifest names, for building and for testing.
fn used(manifest: &toml::Table) -> Vec<String> {
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let own = |table: &str| {
        let table = manifest.get(table)?.as_table()?;
        Some(table.keys().filter(|key| key.starts_with("stele-")).cloned().collect::<Vec<_>>())
    };
    tables.into_iter().filter_map(own).flatten().collect()
}

fn manifest(path: &Path) -> toml::Table {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
