//! Steps that need a server of another program, a neighbour, such as a broker or a database. They run when
//! the files that they check have changed, and with `--neighbours`.

use crate::process::{Failed, Job};

/// A step that needs a neighbour.
pub(crate) struct Neighbour {
    /// The name of the step.
    pub(crate) name: &'static str,
    /// What it checks.
    pub(crate) about: &'static str,
    /// The folders whose files it checks, relative to the repository, with a slash at the end.
    pub(crate) folders: &'static [&'static str],
    /// Starts the neighbour, runs the check and stops the neighbour.
    pub(crate) run: fn(&Job) -> Result<(), Failed>,
}

/// Every step that needs a neighbour. There are none yet.
pub(crate) const NEIGHBOURS: &[Neighbour] = &[];

/// Returns the steps that check one of the `changed` files.
pub(crate) fn touched<'a>(neighbours: &'a [Neighbour], changed: &[String]) -> Vec<&'a Neighbour> {
    let is_under =
        |folders: &[&str]| changed.iter().any(|file| folders.iter().any(|folder| file.starts_with(folder)));
    neighbours.iter().filter(|neighbour| is_under(neighbour.folders)).collect()
}

/// Returns the files that differ from the origin's main branch or, on that branch, those that the commits of
/// the last day changed; and the files that are not committed.
pub(crate) fn changed_files(job: &Job) -> Vec<String> {
    let base = job.read("git", ["merge-base", "HEAD", "origin/main"]).unwrap_or_default();
    let head = job.read("git", ["rev-parse", "HEAD"]).unwrap_or_default();
    let committed = if base.is_empty() || base == head {
        job.read("git", ["log", "--since=1.day", "--name-only", "--format="])
    } else {
        job.read("git", ["diff", "--name-only", base.trim(), "HEAD"])
    };
    let uncommitted = job.read("git", ["status", "--porcelain", "--no-renames", "-uall"]).unwrap_or_default();
    let uncommitted = uncommitted.lines().filter_map(|line| line.get(3..)).map(str::to_owned);
    let committed = committed.unwrap_or_default();
    committed.lines().filter(|line| !line.is_empty()).map(str::to_owned).chain(uncommitted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_runs_when_a_file_in_its_folders_has_changed() {
        let neighbour = |name, folders| Neighbour { name, about: "", folders, run: |_| Ok(()) };
        let neighbours = [
            neighbour("broker", &["connect/broker/"]),
            neighbour("database", &["connect/sql/", "node/sql/"]),
        ];
        let names = |changed: &[&str]| {
            let changed: Vec<String> = changed.iter().map(|file| (*file).to_owned()).collect();
            touched(&neighbours, &changed).iter().map(|neighbour| neighbour.name).collect::<Vec<_>>()
        };
        assert!(names(&["connect/src/lib.rs", "README.md", "connect/brokers.rs"]).is_empty());
        assert_eq!(names(&["node/sql/mod.rs", "connect/broker/wire.rs"]), ["broker", "database"]);
    }
}
