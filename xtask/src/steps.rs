//! The steps of the gate.

use crate::campaigns;
use crate::process::{Failed, Job};
use crate::tools;
use std::path::Path;

/// The result of a step that did not fail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The step ran, and the check passed.
    Done,
    /// The step could not run on this machine, for the given reason.
    Skipped(String),
}

/// The function of a step.
pub(crate) type Step = fn(&Job) -> Result<Outcome, Failed>;

fn done(result: Result<(), Failed>) -> Result<Outcome, Failed> {
    result.map(|()| Outcome::Done)
}

fn skipped(why: &str) -> Result<Outcome, Failed> {
    Ok(Outcome::Skipped(why.to_owned()))
}

pub(crate) fn format(job: &Job) -> Result<Outcome, Failed> {
    done(job.cargo(["fmt", "--all", "--check"], &[]))
}

pub(crate) fn install_tools(job: &Job) -> Result<Outcome, Failed> {
    done(tools::install(job))
}

pub(crate) fn words(job: &Job) -> Result<Outcome, Failed> {
    if !job.root().join("tools/words").exists() {
        return skipped("tools/words is missing");
    }
    job.run("tools/words", ["--self-test"])?;
    done(job.run("tools/words", [""; 0]))
}

/// Checks licences, duplicates and sources of the dependencies, and known defects where the database can be
/// fetched.
pub(crate) fn dependencies(job: &Job) -> Result<Outcome, Failed> {
    if !job.succeeds("cargo-deny", ["--version"]) {
        return skipped("cargo-deny is missing and cannot be installed");
    }
    job.run("cargo-deny", ["--locked", "check", "licenses", "bans", "sources"])?;
    if !job.succeeds("timeout", ["60", "cargo-deny", "fetch", "db"]) {
        return skipped("only known defects: the database of advisories cannot be fetched");
    }
    done(job.run("cargo-deny", ["--locked", "check", "advisories"]))
}

/// Checks the Dockerfile and the unit of systemd.
pub(crate) fn deployment(job: &Job) -> Result<Outcome, Failed> {
    if !job.succeeds("hadolint", ["--version"]) {
        return skipped("hadolint is missing and cannot be installed");
    }
    job.run("hadolint", ["deploy/Dockerfile"])?;
    if !job.succeeds("systemd-analyze", ["--version"]) {
        return skipped("only the unit: systemd-analyze is missing");
    }
    verify_unit(job)
}

/// Checks a copy of the unit that names an existing program, because systemd checks that the program exists.
fn verify_unit(job: &Job) -> Result<Outcome, Failed> {
    let check = |what: std::io::Error| Failed::Check(format!("deploy/stele.service: {what}"));
    let unit = std::fs::read_to_string(job.root().join("deploy/stele.service")).map_err(check)?;
    let folder = job.root().join("target/gate");
    std::fs::create_dir_all(&folder).map_err(check)?;
    let copy = folder.join("stele.service");
    std::fs::write(&copy, unit.replace("/usr/bin/stele", "/bin/true")).map_err(check)?;
    done(job.run("systemd-analyze", ["verify", "--man=no", &copy.to_string_lossy()]))
}

pub(crate) fn lints(job: &Job) -> Result<Outcome, Failed> {
    done(job.cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"], &[]))
}

pub(crate) fn documents(job: &Job) -> Result<Outcome, Failed> {
    let mut command = job.command("cargo", ["doc", "--workspace", "--no-deps", "--locked"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    done(job.finish(command))
}

/// Builds the program of the README's first command.
pub(crate) fn build_release(job: &Job) -> Result<Outcome, Failed> {
    done(job.cargo(["build", "--release", "--locked"], &[]))
}

pub(crate) fn build_tests(job: &Job) -> Result<Outcome, Failed> {
    done(job.cargo(["test", "--workspace", "--locked", "--no-run"], &[]))
}

pub(crate) fn loom(job: &Job) -> Result<Outcome, Failed> {
    done(campaigns::loom(job, &[]))
}

/// Runs the parts of the bus under Miri that are small enough.
pub(crate) fn miri(job: &Job) -> Result<Outcome, Failed> {
    if !tools::has_miri(job) {
        return skipped("a nightly toolchain with Miri is missing and cannot be installed");
    }
    done(campaigns::miri(job, &["gates::".to_owned(), "conflate::".to_owned()]))
}

pub(crate) fn fuzz(job: &Job) -> Result<Outcome, Failed> {
    if !job.succeeds("c++", ["--version"]) {
        return skipped("a C++ compiler, with which libFuzzer is built, is missing and cannot be installed");
    }
    done(job.run("journal/fuzz/run", ["10"]))
}

/// Runs the README's first command for two seconds, and checks its trail.
pub(crate) fn demo(job: &Job) -> Result<Outcome, Failed> {
    let trail = std::env::temp_dir().join(format!("stele-gate-{}", std::process::id()));
    let folder = trail.to_string_lossy();
    build_release(job)?;
    let result = job
        .run("target/release/stele", ["demo", "--seconds", "2", "--dir", &folder])
        .and_then(|()| job.run("target/release/stele", ["verify", &folder]))
        .and_then(|()| job.run("target/release/stele", ["check-strategy", &folder]));
    remove(&trail);
    done(result)
}

pub(crate) fn tests(job: &Job) -> Result<Outcome, Failed> {
    done(job.cargo(["test", "--workspace", "--locked"], &[]))
}

/// Tests the example crate outside the workspace. It shares the `target` folder, which has its dependencies
/// already.
pub(crate) fn own_strategy(job: &Job) -> Result<Outcome, Failed> {
    let manifest = "examples/own-strategy/Cargo.toml";
    if !job.root().join(manifest).exists() {
        return skipped("examples/own-strategy is missing");
    }
    job.run("cargo", ["fmt", "--check", "--manifest-path", manifest])?;
    let mut command = job.command("cargo", ["test", "--locked", "--manifest-path", manifest]);
    command.env("CARGO_TARGET_DIR", job.root().join("target"));
    done(job.finish(command))
}

pub(crate) fn tamper(job: &Job) -> Result<Outcome, Failed> {
    done(campaigns::run(job, &["tamper".to_owned()]))
}

pub(crate) fn kills(job: &Job) -> Result<Outcome, Failed> {
    done(campaigns::run(job, &["kills".to_owned()]))
}

pub(crate) fn deb(job: &Job) -> Result<Outcome, Failed> {
    if !job.succeeds("cargo-deb", ["--version"]) {
        return skipped("cargo-deb is missing: cargo install cargo-deb");
    }
    done(package(job))
}

pub(crate) fn container(job: &Job) -> Result<Outcome, Failed> {
    if !job.succeeds("docker", ["info"]) {
        return skipped("Docker is missing: the Dockerfile is only linted");
    }
    done(image(job))
}

/// Builds the Debian package from the program as it is shipped, with the completions and manual pages that
/// the program writes.
pub(crate) fn package(job: &Job) -> Result<(), Failed> {
    job.cargo(["build", "--profile", "dist", "--locked"], &[])?;
    let extras = job.root().join("target/package");
    remove(&extras);
    std::fs::create_dir_all(extras.join("man"))
        .map_err(|error| Failed::Check(format!("{}: {error}", extras.display())))?;
    for shell in ["bash", "zsh", "fish"] {
        let text = job
            .read("target/dist/stele", ["completions", shell])
            .ok_or_else(|| Failed::Check(format!("`stele completions {shell}` failed")))?;
        std::fs::write(extras.join(format!("stele.{shell}")), text)
            .map_err(|error| Failed::Check(format!("{}: {error}", extras.display())))?;
    }
    job.run("target/dist/stele", ["man", &extras.join("man").to_string_lossy()])?;
    job.run("cargo", ["deb", "--locked", "--no-build", "--profile", "dist", "--package", "stele-node"])
}

/// Builds the container image with the tag `stele`.
pub(crate) fn image(job: &Job) -> Result<(), Failed> {
    job.run("docker", ["build", "--file", "deploy/Dockerfile", "--tag", "stele", "."])
}

fn remove(folder: &Path) {
    // There is no folder before the first run. Where it cannot be removed, writing to it fails.
    let _ = std::fs::remove_dir_all(folder);
}
