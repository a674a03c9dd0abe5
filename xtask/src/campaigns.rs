//! Long searches for defects. The gate runs a short form of each within a budget of seconds; `cargo xtask
//! campaign NAME` runs the long form.

use crate::process::{Failed, Job};

/// A search for defects.
pub(crate) struct Campaign {
    /// The name on the command line.
    pub(crate) name: &'static str,
    /// What it searches, for the list.
    pub(crate) about: &'static str,
    /// The time limit of the short form in seconds, on two cores and without building; `None` where `cargo
    /// test` runs it.
    pub(crate) budget_s: Option<u64>,
    /// The long form; the arguments of the command line follow its own.
    long: fn(&Job, &[String]) -> Result<(), Failed>,
}

/// Every campaign.
pub(crate) const CAMPAIGNS: &[Campaign] = &[
    Campaign {
        name: "worlds",
        about: "the whole system in one thread, from seeds, on a disk that fails",
        budget_s: None,
        long: |job, more| {
            let rounds = ["--rounds".to_owned(), "2000000".to_owned()];
            let more = if more.is_empty() { &rounds[..] } else { more };
            job.cargo(["run", "--release", "--locked", "--package", "stele-sim", "--"], more)
        },
    },
    Campaign {
        name: "loom",
        about: "every interleaving of the protocols of the rings",
        budget_s: Some(60),
        long: loom,
    },
    Campaign {
        name: "miri",
        about: "the memory of the rings, under Miri",
        budget_s: Some(120),
        long: |job, more| miri(job, more),
    },
    Campaign {
        name: "fuzz",
        about: "arbitrary bytes as a trail; arguments: seconds for each target, then targets",
        budget_s: Some(60),
        long: |job, more| {
            let hour = ["3600".to_owned()];
            job.run("journal/fuzz/run", if more.is_empty() { &hour } else { more })
        },
    },
    Campaign {
        name: "any-bytes",
        about: "properties of trails of arbitrary bytes, a hundred thousand cases for each",
        budget_s: None,
        long: |job, more| {
            let test = ["test", "--release", "--locked", "--package", "stele-journal", "--test", "any_bytes"];
            let mut command = job.command("cargo", test);
            command.args(more).env("PROPTEST_CASES", "100000");
            job.finish(command)
        },
    },
    Campaign {
        name: "tamper",
        about: "a thousand edits of a sealed trail of a million events",
        budget_s: None,
        long: |job, more| {
            let test =
                ["test", "--locked", "--package", "stele-compliance", "--test", "suite", "tamper", "--"];
            let ignored = ["--ignored".to_owned(), "--nocapture".to_owned()];
            job.cargo(test, &[&ignored, more].concat())
        },
    },
    Campaign {
        name: "kills",
        about: "two hundred kills of a running session",
        budget_s: None,
        long: |job, more| {
            let test = [
                "test",
                "--locked",
                "--package",
                "stele-node",
                "--test",
                "program",
                "killed_two_hundred",
                "--",
            ];
            job.cargo(test, &[&["--ignored".to_owned()], more].concat())
        },
    },
];

/// Runs `cargo xtask campaign`: lists the campaigns, or runs the long form of one.
pub(crate) fn run(job: &Job, arguments: &[String]) -> Result<(), Failed> {
    let Some((name, more)) = arguments.split_first() else {
        for Campaign { name, about, budget_s, .. } in CAMPAIGNS {
            let short =
                budget_s.map_or("in `cargo test`".to_owned(), |budget| format!("{budget} s in the gate"));
            println!("{name:<10} {about}; its short form: {short}");
        }
        return Ok(());
    };
    let campaign = CAMPAIGNS.iter().find(|campaign| campaign.name == name);
    let campaign = campaign.ok_or_else(|| Failed::Usage(format!("`{name}` is not a campaign")))?;
    (campaign.long)(job, more)
}

/// The time limit of the short form of `name` in seconds.
pub(crate) fn budget_s(name: &str) -> Option<u64> {
    CAMPAIGNS.iter().find(|campaign| campaign.name == name)?.budget_s
}

/// Runs the model checks of the rings, which are short enough to be exhaustive.
pub(crate) fn loom(job: &Job, more: &[String]) -> Result<(), Failed> {
    let mut command = job.command("cargo", ["test", "--locked", "--package", "stele-bus", "--lib", "loom"]);
    command.args(more).env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", "target/loom");
    job.finish(command)
}

/// Runs the tests of the bus that `tests` names under Miri, or all of them where it is empty.
pub(crate) fn miri(job: &Job, tests: &[String]) -> Result<(), Failed> {
    let test =
        ["+nightly", "miri", "test", "--locked", "--package", "stele-bus", "--lib", "--test", "bus", "--"];
    let mut command = job.command("cargo", test);
    command.args(tests).env("MIRIFLAGS", "-Zmiri-disable-isolation").env("CARGO_TARGET_DIR", "target/miri");
    job.finish(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_campaigns_are_unique() {
        let mut names: Vec<_> = CAMPAIGNS.iter().map(|campaign| campaign.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CAMPAIGNS.len());
        let job = Job::new(std::path::Path::new("/"), crate::process::Output::Terminal);
        let failed = run(&job, &["no-such".to_owned()]).unwrap_err();
        assert_eq!(failed.to_string(), "`no-such` is not a campaign");
    }
}
