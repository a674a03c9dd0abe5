//! Which thread runs what on which CPU, chosen by itself and explained.
//!
//! Two hot threads can spin only where two CPUs are free for them, and a flushed write finishes in a kernel
//! worker on the CPU that takes the disk's interrupt. So the journal's core, which yields while a flush is
//! outstanding, goes on that CPU, and the sequencer's core, which spins, on another.

use crate::config::CoresConfig;
use std::collections::BTreeSet;
use std::fs;
use std::os::linux::fs::MetadataExt;
use std::path::Path;

/// The jobs of a running system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Job {
    Sequencer,
    Strategies,
    Feed,
    Gateway,
    Journal,
}

/// One pinned thread and the jobs that it does in turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Core {
    pub(crate) name: &'static str,
    pub(crate) cpu: Option<usize>,
    pub(crate) jobs: Vec<Job>,
}

/// Where background threads belong: those that prepare segments, index them and take snapshots.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Background {
    /// The CPUs that no hot thread is pinned to. Where there are none, the journal's, which yields while it waits for
    /// the disk; any where nothing is pinned.
    pub(crate) cpus: Vec<usize>,
    /// Whether hot threads run there.
    pub(crate) is_shared: bool,
}

/// All threads, and why they are so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    pub(crate) cores: Vec<Core>,
    pub(crate) background: Background,
    pub(crate) reason: String,
    pub(crate) warnings: Vec<String>,
}

impl Layout {
    /// A layout for `cpus` (the allowed ones), where `disk_cpus` take the interrupts of the journal's disk.
    pub(crate) fn choose(cpus: &BTreeSet<usize>, disk_cpus: &BTreeSet<usize>, wish: &CoresConfig) -> Self {
        use Job::{Feed, Gateway, Journal, Sequencer, Strategies};
        let count = cpus.len();
        if count < 2 {
            let core =
                Core { name: "core", cpu: None, jobs: vec![Sequencer, Strategies, Gateway, Journal, Feed] };
            return Self {
                cores: vec![core],
                background: Background { cpus: Vec::new(), is_shared: true },
                reason: "one CPU: every job in turn on one thread".into(),
                warnings: vec!["one CPU: latencies will be those of the slowest job; use two or more".into()],
            };
        }
        let (journal, journal_reason) = choose_journal(cpus, disk_cpus, wish);
        let others = || cpus.iter().copied().filter(|cpu| *cpu != journal);
        let calm = others().rev().find(|cpu| !disk_cpus.contains(cpu));
        let sequencer = wish.sequencer.or(calm).or_else(|| others().next_back()).unwrap_or(journal);
        let mut cores =
            vec![Core { name: "sequencer", cpu: Some(sequencer), jobs: vec![Sequencer, Strategies] }];
        match others().rev().find(|cpu| *cpu != sequencer) {
            Some(feed) => {
                cores.push(Core { name: "feed", cpu: Some(feed), jobs: vec![Gateway, Feed] });
                cores.push(Core { name: "journal", cpu: Some(journal), jobs: vec![Journal] });
            }
            None => {
                cores.push(Core { name: "journal", cpu: Some(journal), jobs: vec![Journal, Gateway, Feed] })
            }
        }
        let mut warnings = Vec::new();
        if sequencer == journal {
            warnings.push(format!(
                "sequencer and journal share CPU {journal}: a spinning thread delays every flush by whole ticks; \
                 give them two CPUs in [cores]"
            ));
        } else if disk_cpus.contains(&sequencer) && !disk_cpus.contains(&journal) {
            warnings.push(format!(
                "CPU {sequencer} spins and takes the disk's interrupts: flushes may wait for a tick; \
                 set [cores] sequencer to another CPU, or move the interrupt in /proc/irq"
            ));
        }
        let reason = format!("{count} CPUs: {} threads; {journal_reason}", cores.len());
        let is_spare = |cpu: &usize| cores.iter().all(|core| core.cpu != Some(*cpu));
        let spare: Vec<usize> = cpus.iter().copied().filter(is_spare).collect();
        let is_shared = spare.is_empty();
        let background = Background { cpus: if is_shared { vec![journal] } else { spare }, is_shared };
        Self { cores, background, reason, warnings }
    }

    /// The CPU of the core that does `job`, where it is pinned.
    pub(crate) fn cpu_of(&self, job: Job) -> Option<usize> {
        self.cores.iter().find(|core| core.jobs.contains(&job))?.cpu
    }

    /// A sentence a core: its jobs and its CPU.
    pub(crate) fn describe(&self) -> Vec<String> {
        let name = |job: &Job| format!("{job:?}").to_lowercase();
        let describe = |core: &Core| {
            let jobs = core.jobs.iter().map(name).collect::<Vec<_>>().join(" + ");
            match core.cpu {
                Some(cpu) => format!("CPU {cpu}: {jobs}"),
                None => format!("any CPU: {jobs}"),
            }
        };
        self.cores.iter().map(describe).collect()
    }
}

fn choose_journal(
    cpus: &BTreeSet<usize>,
    disk_cpus: &BTreeSet<usize>,
    wish: &CoresConfig,
) -> (usize, String) {
    let free = |cpu: &usize| Some(*cpu) != wish.sequencer;
    if let Some(cpu) = wish.journal {
        return (cpu, "as configured".into());
    }
    if disk_cpus.len() < cpus.len()
        && let Some(cpu) = cpus.intersection(disk_cpus).copied().find(free)
    {
        return (cpu, format!("the journal on CPU {cpu}, which takes the disk's interrupts"));
    }
    let cpu = cpus.iter().copied().find(free).unwrap_or(0);
    (cpu, format!("the journal on CPU {cpu}, as no CPU is known to take the disk's interrupts alone"))
}

/// The CPUs that this process may run on.
pub(crate) fn allowed_cpus() -> BTreeSet<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// The CPUs that the kernel keeps other work away from (`isolcpus`).
pub(crate) fn isolated_cpus() -> BTreeSet<usize> {
    let list = fs::read_to_string("/sys/devices/system/cpu/isolated").unwrap_or_default();
    parse_cpu_list(&list).into_iter().collect()
}

/// The CPUs that take the interrupts of the disk under `path`; empty when that cannot be told.
pub(crate) fn disk_cpus(path: &Path) -> BTreeSet<usize> {
    let Some(device) = device_name(path) else { return BTreeSet::new() };
    let Ok(interrupts) = fs::read_to_string("/proc/interrupts") else { return BTreeSet::new() };
    let numbers = interrupts.lines().filter_map(|line| {
        let name = line.split_whitespace().last()?;
        let queue = name.strip_prefix(&device)?;
        let is_queue = queue.starts_with("-req") || queue.starts_with('q');
        is_queue.then(|| line.split(':').next().map(str::trim))?
    });
    numbers
        .filter_map(|irq| fs::read_to_string(format!("/proc/irq/{irq}/effective_affinity_list")).ok())
        .flat_map(|list| parse_cpu_list(&list))
        .collect()
}

/// The driver's name of the disk that holds `path` as it appears in /proc/interrupts: `virtio1`, `nvme0`.
fn device_name(path: &Path) -> Option<String> {
    let device = path.ancestors().find_map(|folder| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        fs::metadata(folder).ok()
    })?;
    let (major, minor) = (rustix::fs::major(device.st_dev()), rustix::fs::minor(device.st_dev()));
    let block = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    let mut names = block.ancestors().filter_map(|folder| folder.file_name()?.to_str());
    names.find(|name| name.starts_with("virtio") || is_nvme_controller(name)).map(str::to_owned)
}

/// `nvme0`, not `nvme` and not the namespace `nvme0n1`.
fn is_nvme_controller(name: &str) -> bool {
    let number = name.strip_prefix("nvme").unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// `0-2,5` as numbers.
fn parse_cpu_list(list: &str) -> Vec<usize> {
    let range = |part: &str| -> Option<std::ops::RangeInclusive<usize>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(numbers: &[usize]) -> BTreeSet<usize> {
        numbers.iter().copied().collect()
    }

    fn jobs(layout: &Layout) -> usize {
        layout.cores.iter().map(|core| core.jobs.len()).sum()
    }

    #[test]
    fn on_two_cpus_the_journal_sits_where_the_disk_interrupts_and_the_sequencer_elsewhere() {
        for (disk, sequencer) in [(1, 0), (0, 1)] {
            let layout = Layout::choose(&cpus(&[0, 1]), &cpus(&[disk]), &CoresConfig::default());
            assert_eq!(layout.cores[0].cpu, Some(sequencer));
            assert_eq!(layout.cores[1].cpu, Some(disk));
            assert_eq!(layout.cores[1].jobs, [Job::Journal, Job::Gateway, Job::Feed]);
            assert_eq!(jobs(&layout), 5, "every job is on one core");
            assert!(layout.warnings.is_empty());
            assert_eq!(layout.cpu_of(Job::Gateway), Some(disk));
        }
    }

    #[test]
    fn on_four_cpus_the_journal_has_a_core_of_its_own() {
        let layout = Layout::choose(&cpus(&[0, 1, 2, 3]), &cpus(&[2]), &CoresConfig::default());
        let cores: Vec<_> = layout.cores.iter().map(|core| (core.name, core.cpu.unwrap())).collect();
        assert_eq!(cores, [("sequencer", 3), ("feed", 1), ("journal", 2)]);
        assert_eq!(jobs(&layout), 5, "every job is on one core");
    }

    #[test]
    fn on_one_cpu_everything_runs_on_one_thread_and_it_says_what_that_costs() {
        let layout = Layout::choose(&cpus(&[0]), &cpus(&[0]), &CoresConfig::default());
        assert_eq!(layout.cores.len(), 1);
        assert_eq!(layout.cores[0].jobs.len(), 5);
        assert_eq!(layout.warnings.len(), 1);
    }

    #[test]
    fn a_configured_sequencer_under_the_disk_interrupt_is_obeyed_and_warned_of() {
        let wish = CoresConfig { sequencer: Some(1), journal: None };
        let layout = Layout::choose(&cpus(&[0, 1]), &cpus(&[1]), &wish);
        assert_eq!((layout.cores[0].cpu, layout.cores[1].cpu), (Some(1), Some(0)));
        assert!(layout.warnings[0].contains("spins and takes the disk's interrupts"));
    }

    #[test]
    fn cpu_lists_read_as_the_kernel_writes_them() {
        assert_eq!(parse_cpu_list("0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(parse_cpu_list("\n"), Vec::<usize>::new());
        assert!(is_nvme_controller("nvme0") && !is_nvme_controller("nvme0n1") && !is_nvme_controller("nvme"));
    }
}
