//! Where the real data is.

use std::path::PathBuf;

/// The folder of foreign SBE schemas and messages; none, said so, where it is not there.
pub(crate) fn sbe() -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let folder = PathBuf::from(std::env::var("STELE_SHARED").unwrap_or_else(|_| default.to_owned()));
    let folder = folder.join("data/sbe");
    if folder.is_dir() {
        return Some(folder);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "needs STELE_SHARED");
    println!("skipped: needs STELE_SHARED");
    None
}
