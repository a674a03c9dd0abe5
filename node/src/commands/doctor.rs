//! `stele doctor`: prints the layout of a run on this machine, the reason for it, and causes of unsteady
//! latency. Warnings are advice: the command succeeds whenever it could examine the machine.

use crate::cli::{DoctorArgs, RunArgs};
use crate::config::Config;
use crate::doctor::{AtRest, Finding, HotThread, Machine, Setup, examine, page};
use crate::failure::Failure;
use crate::layout::{Layout, allowed_cpus, disk_cpus};
use crate::trails::shard_trails;
use rustix::fs::{Mode, OFlags, major, minor, open, stat};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The result of the examination.
#[derive(Serialize)]
struct Report {
    /// One sentence per core.
    layout: Vec<String>,
    reason: String,
    /// Warnings about the layout itself.
    warnings: Vec<String>,
    findings: Vec<Finding>,
}

/// Examines this machine for a run with this configuration, and prints the result.
pub(crate) fn doctor(args: &DoctorArgs) -> Result<(), Failure> {
    let run = RunArgs { config: args.config.clone(), dir: args.dir.clone(), ..RunArgs::default() };
    let config = Config::effective(&run)?;
    let (allowed, disk_cpus) = (allowed_cpus(), disk_cpus(&config.trail.dir));
    let shards = config.shards()?;
    let layout = Layout::of(&config, &shards.own, &allowed, &disk_cpus)?;
    let threads = layout.cores.iter().map(|core| HotThread {
        name: core.name.clone(),
        cpu: core.cpu,
        spins: !core.has_journal(),
    });
    let folder = existing(&config.trail.dir);
    let setup = Setup {
        threads: threads.collect(),
        allowed,
        disk_cpus,
        ring_length: (shards.own.len() as u64 * config.bus.ring_mib as u64) << 20,
        device: stat(&folder).ok().map(|stat| format!("{}:{}", major(stat.st_dev), minor(stat.st_dev))),
        io_uring_refused: stele_journal::uring_refusal().map(|error| error.to_string()),
        direct_refused: direct_refusal(&folder),
        at_rest: AtRest::of(&trails_of(&config.trail.dir)),
        socket: crate::door::usable(&config),
        clock: stele_bus::clock_sync::kernel_clock(),
    };
    let findings = examine(&Machine::this(), &setup);
    let Layout { reason, warnings, .. } = &layout;
    let report =
        Report { layout: layout.describe(), reason: reason.clone(), warnings: warnings.clone(), findings };
    if args.output.json { super::print_json(&report) } else { super::print_page(&report.page()) }
}

impl Report {
    fn page(&self) -> String {
        let mut text = format!("layout: {}\n", self.reason);
        self.layout.iter().for_each(|line| text += &format!("  {line}\n"));
        self.warnings.iter().for_each(|warning| text += &format!("  warning: {warning}\n"));
        text + "\n" + &page(&self.findings)
    }
}

/// Returns the trails of the run in `directory`: one, or one per shard.
fn trails_of(directory: &Path) -> Vec<PathBuf> {
    let shards = shard_trails(directory);
    let own = shards.is_empty().then(|| directory.to_owned());
    own.into_iter().chain(shards.into_iter().map(|shard| shard.path)).collect()
}

/// Returns the directory, or its nearest ancestor that exists.
fn existing(directory: &Path) -> PathBuf {
    let found = directory.ancestors().find(|folder| folder.is_dir());
    found.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).into()
}

/// Returns why direct I/O is refused in `folder`, tried on an unnamed temporary file; none if it works.
fn direct_refusal(folder: &Path) -> Option<String> {
    let how = |direct| OFlags::TMPFILE | OFlags::RDWR | direct;
    let mode = Mode::RUSR | Mode::WUSR;
    // A file system without unnamed files cannot be tested.
    open(folder, how(OFlags::empty()), mode).ok()?;
    open(folder, how(OFlags::DIRECT), mode).err().map(|error| error.to_string())
}
