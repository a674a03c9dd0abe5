//! Long searches for defects. Each has a short form, which the gate runs within a budget of seconds, and a
//! long one, `cargo xtask campaign NAME`.

use crate::process::{Failed, Job};

/// A search.
pub(crate) struct Campaign {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it searches.
    pub(crate) about: &'static str,
    /// Seconds that the short form may take on two cores, without building; none where `cargo test` runs it.
    pub(crate) budget_s: Option<u64>,
    /// The long form; arguments of the command line come after its own.
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
        about: "the protocols of the rings, every interleaving",
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
        about: "arbitrary bytes as a trail: seconds for each target, then targets",
        budget_s: Some(60),
        long: |job, more| {
            let hour = ["3600".to_owned()];
            job.run("journal/fuzz/run", if more.is_empty() { &hour } else { more })
        },
    },
    Campaign {
        name: "any-bytes",
        about: "properties of trails of any bytes, a hundred thousand cases of each",
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

/// `cargo xtask campaign`: the list, or the long form of one.
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

/// Seconds that the short form of `name` may take.
pub(crate) fn budget_s(name: &str) -> Option<u64> {
    CAMPAIGNS.iter().find(|campaign| campaign.name == name)?.budget_s
}

/// The model checks of the rings, which are short enough to be whole.
pub(crate) fn loom(job: &Job, more: &[String]) -> Result<(), Failed> {
    let mut command = job.command("cargo", ["test", "--locked", "--package", "stele-bus", "--lib", "loom"]);
    command.args(more).env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", "target/loom");
    job.finish(command)
}

/// The tests named in `tests`, all of the bus without a name, under Miri.
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
    fn a_campaign_is_known_by_one_name() {
        let mut names: Vec<_> = CAMPAIGNS.iter().map(|campaign| campaign.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CAMPAIGNS.len());
        let job = Job::new(std::path::Path::new("/"), crate::process::Output::Terminal);
        let failed = run(&job, &["no-such".to_owned()]).unwrap_err();
        assert_eq!(failed.to_string(), "`no-such` is not a campaign");
    }
}
