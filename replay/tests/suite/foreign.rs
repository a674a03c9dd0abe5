//! What the tests of the examples with their own schema share.

use std::path::Path;
use stele_codegen::{CodegenOptions, generate, parse};

/// Asserts that the committed code of `example`, in its folder `package`, is what the generator prints from
/// its schema.
pub(crate) fn assert_fresh(example: &str, package: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    let text = std::fs::read_to_string(folder.join("schema.xml")).unwrap();
    let schema = parse(&text, |_| None).unwrap().without_descriptions();
    let sources = generate(&schema, CodegenOptions::FOREIGN).unwrap();
    assert!(sources.len() >= 6);
    for (name, source) in sources {
        let committed = std::fs::read_to_string(folder.join(package).join(&name)).unwrap_or_default();
        assert!(
            committed == source,
            "{name} is stale: cargo run -p stele-codegen -- --foreign replay/examples/{example}/schema.xml \
             replay/examples/{example}/{package}"
        );
    }
}
