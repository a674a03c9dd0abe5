//! Dependencies between the crates point down only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every crate with the layer that it is in and the crates of its own layer that it may use.
const LAYERS: &[(&str, u32, &[&str])] = &[
    ("stele-testkit", 0, &[]),
    ("stele-layout", 0, &[]),
    ("stele-codegen", 1, &[]),
    ("stele-wire", 1, &["stele-codegen"]),
    ("stele-risk", 2, &[]),
    ("stele-bus", 3, &[]),
    ("stele-feed", 4, &[]),
    ("stele-journal", 4, &[]),
    ("stele-glommio", 5, &[]),
    ("stele-door", 5, &[]),
    ("stele-strategies", 5, &[]),
    ("stele-connect", 5, &[]),
    ("stele-venue", 6, &[]),
    ("stele-compliance", 7, &[]),
    ("stele-embed", 7, &["stele-compliance"]),
    ("stele-replay", 7, &["stele-embed"]),
    ("stele-sim", 8, &[]),
    ("stele-node", 9, &[]),
    ("stele-perf", 10, &[]),
    ("stele", 10, &[]),
    ("xtask", 11, &[]),
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

/// A crate outside the workspace has its own lock file. With the versions of the workspace, it uses what was
/// built for the workspace, and the crates that `stele new-strategy` writes use the versions that were
/// tested.
#[test]
fn the_example_outside_the_workspace_is_locked_to_the_versions_of_the_workspace() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the workspace");
    let [workspace, example] = ["Cargo.lock", "examples/own-strategy/Cargo.lock"].map(|lock| {
        let lock = manifest(&root.join(lock));
        let packages = lock["package"].as_array().expect("packages are a list").iter();
        let named = |package: &toml::Value| {
            ["name", "version"].map(|key| package[key].as_str().expect("a text").to_owned())
        };
        packages.map(named).collect::<BTreeSet<_>>()
    });
    let strange: Vec<_> = example.difference(&workspace).filter(|[name, _]| name != "own-strategy").collect();
    assert!(
        strange.is_empty(),
        "{strange:?}: copy Cargo.lock to examples/own-strategy and run `cargo metadata` there"
    );
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
