//! Sets `STELE_REVISION` to the commit that the program is built from, so that figures can be compared.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

fn main() {
    let package = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let root = Path::new(&package).parent().expect("the package is in the workspace");
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    println!("cargo::rustc-env=STELE_REVISION={}", revision(root).unwrap_or(version));
}

/// Returns the commit that is checked out in `root`, with `-dirty` if a tracked file differs from it; none if
/// `root` is not the root of a repository, or git is missing.
fn revision(root: &Path) -> Option<String> {
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if fs::canonicalize(top).ok()? != fs::canonicalize(root).ok()? {
        return None;
    }
    let commit = git(root, &["rev-parse", "HEAD"])?;
    let is_dirty = !git(root, &["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    for name in ["HEAD", "logs/HEAD", "index"] {
        let path = root.join(git(root, &["rev-parse", "--git-path", name])?);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    let sources = git(root, &["ls-files", "*.rs", "*.toml", "*.lock", "*.xml"])?;
    sources.lines().for_each(|file| println!("cargo::rerun-if-changed={}", root.join(file).display()));
    Some(if is_dirty { commit + "-dirty" } else { commit })
}

/// Runs git in `root` and returns its output; none if it fails.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    // Do not take git's optional locks: a commit may be in progress.
    let output =
        Command::new("git").env("GIT_OPTIONAL_LOCKS", "0").current_dir(root).args(arguments).output();
    let output = output.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
