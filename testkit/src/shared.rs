//! The shared data: recorded markets, vendors' files, published test vectors. They are larger than a
//! repository should be and lie outside of it, in the folder that the environment variable `STELE_SHARED`
//! names, or in `shared` beside the repository.

use crate::skip::skip_outside_ci;
use std::path::{Path, PathBuf};

/// The file or folder `path` of the shared data, such as `schemas/cat`; none where it is missing, which
/// counts the test as skipped.
///
/// # Panics
///
/// Where it is missing in CI, that is, with `CI=true` in the environment.
pub fn path(path: &str) -> Option<PathBuf> {
    let found = root().join(path);
    if found.exists() {
        return Some(found);
    }
    skip_outside_ci("the shared data (STELE_SHARED)");
    None
}

/// [`path`] below the folder `data`, such as `itch/EXPECTED.json`.
///
/// # Panics
///
/// As [`path`].
pub fn data(name: &str) -> Option<PathBuf> {
    path(&format!("data/{name}"))
}

/// The folder that holds the data.
fn root() -> PathBuf {
    std::env::var_os("STELE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_lies_beside_the_repository_unless_the_environment_names_it() {
        let expected = std::env::var_os("STELE_SHARED").map(PathBuf::from);
        assert_eq!(
            root(),
            expected.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"))
        );
    }
}
