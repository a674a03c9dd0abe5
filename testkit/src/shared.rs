//! The shared data: recorded markets, files of vendors and published test vectors. They are too large for the
//! repository and are in the folder that the environment variable `STELE_SHARED` names, by default `shared`
//! next to the repository.

use crate::skip::skip_outside_ci;
use std::path::{Path, PathBuf};

/// Returns the path of the file or folder `path` in the shared data, such as `schemas/cat`. Where it is
/// missing, it returns `None` and counts the test as skipped.
///
/// # Panics
///
/// Panics where it is missing in CI, that is, with `CI=true` in the environment.
pub fn path(path: &str) -> Option<PathBuf> {
    let found = root().join(path);
    if found.exists() {
        return Some(found);
    }
    skip_outside_ci("the shared data (STELE_SHARED)");
    None
}

/// As [`path`], in the folder `data`, for example `itch/EXPECTED.json`.
///
/// # Panics
///
/// As [`path`].
pub fn data(name: &str) -> Option<PathBuf> {
    path(&format!("data/{name}"))
}

/// The folder of the shared data.
fn root() -> PathBuf {
    std::env::var_os("STELE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_next_to_the_repository_unless_the_environment_names_it() {
        let expected = std::env::var_os("STELE_SHARED").map(PathBuf::from);
        assert_eq!(
            root(),
            expected.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"))
        );
    }
}
