//! Foreign schemas: what is valid is read, what is not is refused by name.

use std::path::PathBuf;
use stele_codegen::parse;
use stele_layout::Schema;

fn foreign(name: &str) -> Option<Result<Schema, stele_codegen::SchemaError>> {
    let folder = shared()?.join("data/sbe");
    let path = folder.join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    Some(parse(&text, |href| std::fs::read_to_string(path.parent()?.join(href)).ok()))
}

fn shared() -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let folder = PathBuf::from(std::env::var("STELE_SHARED").unwrap_or_else(|_| default.to_owned()));
    if folder.join("data/sbe").is_dir() {
        return Some(folder);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "needs STELE_SHARED");
    println!("skipped: needs STELE_SHARED");
    None
}

#[test]
fn every_valid_foreign_schema_is_read() {
    for name in [
        "binance/spot_3_1.xml",
        "binance/stream_1_0.xml",
        "car/example-extension-schema.xml",
        "car/example-schema.xml",
        "cme/templates_FixBinary.xml",
        "edge-cases/basic-variable-length-schema.xml",
        "edge-cases/block-length-schema.xml",
        "edge-cases/composite-offsets-schema.xml",
        "edge-cases/example-bigendian-test-schema.xml",
        "edge-cases/field-order-check-schema.xml",
        "edge-cases/group-with-data-schema.xml",
        "edge-cases/ilinkbinary.xml",
        "edge-cases/issue567-valid.xml",
        "edge-cases/nested-group-schema.xml",
        "edge-cases/npe-small-header.xml",
        "edge-cases/since-deprecated-test-schema.xml",
        "edge-cases/versioned-message-v1.xml",
        "edge-cases/versioned-message-v2.xml",
        "fix-sbe-conformance/schema1.xml",
        "fix-sbe-conformance/schema2.xml",
        "fix-sbe-conformance/schema3.xml",
    ] {
        let Some(result) = foreign(name) else { return };
        let schema = result.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!schema.messages.is_empty(), "{name}");
    }
}
