//! The thread layout: which agents run on which thread and CPU, chosen automatically and explained, or as
//! configured.
//!
//! Two hot threads can spin only where two CPUs are free for them, and a flushed write finishes in a kernel
//! worker on the CPU that takes the disk's interrupt. So the journal's core, which yields while a flush is
//! outstanding, is on that CPU, and the sequencer's core, which spins, is on another. Each shard gets its own
//! cores for sequencer and journal while there are CPUs; after that, shards share cores, whose agents run in
//! turn.

use crate::config::{Config, CoreConfig, CoresConfig, ShardPlan};
use crate::failure::{Failure, nearest};
use std::collections::BTreeSet;
use std::fs;
use std::os::linux::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use stele_bus::{AgentError, IdleStrategy};
use stele_wire::ShardId;

/// The agents of a running system. The number is the index of the shard among the shards of this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Job {
    Sequencer(usize),
    Strategies(usize),
    /// The order gateway, with the paper exchange that it sends orders to.
    Gateway(usize),
    Journal(usize),
    /// The forwarder, which publishes the events of other shards to the shard.
    Forwarder(usize),
    /// The one feed of all shards.
    Feed,
}

/// What the layout needs to know about a shard.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct ShardAgents {
    pub(crate) id: ShardId,
    pub(crate) wish: CoresConfig,
    /// Whether other shards forward events to it.
    pub(crate) forwards: bool,
}

/// One pinned thread and the jobs that it does in turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Core {
    pub(crate) name: String,
    pub(crate) cpu: Option<usize>,
    /// What it does when there is no work, where the configuration says so.
    pub(crate) idle: Option<IdleStrategy>,
    pub(crate) jobs: Vec<Job>,
}

/// The CPUs of the background threads, such as those that prepare segments, index them and take snapshots.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Background {
    /// The CPUs that no hot thread is pinned to. If there are none, the CPUs of the journals, which yield
    /// while they wait for the disk. Empty if no thread is pinned: then any CPU.
    pub(crate) cpus: Vec<usize>,
    /// Whether hot threads run on these CPUs.
    pub(crate) is_shared: bool,
}

impl Background {
    /// Moves the calling thread to these CPUs and sets its priority below that of the hot threads; `nice` is
    /// the kernel's nice value.
    ///
    /// # Errors
    /// [`AgentError`]: the kernel refuses one of them.
    pub(crate) fn enter(&self, nice: i32) -> Result<(), AgentError> {
        let refused = |error| AgentError::caused_by("cannot lower the thread's priority", error);
        // A process that was started with a lower priority keeps it: raising it may not be permitted.
        if rustix::process::getpriority_process(None).map_err(refused)? < nice {
            rustix::process::setpriority_process(None, nice).map_err(refused)?;
        }
        stele_bus::set_affinity(&self.cpus)
            .map_err(|error| AgentError::caused_by("cannot leave the hot threads' CPUs", error))
    }
}

/// All hot threads, the CPUs of the background threads, and the reason of the choice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    pub(crate) cores: Vec<Core>,
    pub(crate) background: Background,
    pub(crate) reason: String,
    pub(crate) warnings: Vec<String>,
    shards: Vec<ShardId>,
}

impl ShardAgents {
    fn of(plan: &ShardPlan) -> Self {
        Self { id: plan.id, wish: plan.cores.clone(), forwards: !plan.forward.is_empty() }
    }

    fn jobs(&self, index: usize) -> Vec<Job> {
        let all = [Job::Sequencer(index), Job::Strategies(index), Job::Gateway(index), Job::Journal(index)];
        all.into_iter().chain(self.forwards.then_some(Job::Forwarder(index))).collect()
    }
}

impl Job {
    /// Returns its name in the configuration: `journal`, or `2.journal` where there are several shards.
    fn name(self, shards: &[ShardId]) -> String {
        let (shard, name) = match self {
            Self::Sequencer(shard) => (shard, "sequencer"),
            Self::Strategies(shard) => (shard, "strategies"),
            Self::Gateway(shard) => (shard, "gateway"),
            Self::Journal(shard) => (shard, "journal"),
            Self::Forwarder(shard) => (shard, "forwarder"),
            Self::Feed => return "feed".into(),
        };
        match shards[shard] {
            ShardId(0) => name.into(),
            id => format!("{id}.{name}"),
        }
    }
}

impl Core {
    /// Whether it runs a journal.
    pub(crate) fn has_journal(&self) -> bool {
        self.jobs.iter().any(|job| matches!(job, Job::Journal(_)))
    }

    fn has_sequencer(&self) -> bool {
        self.jobs.iter().any(|job| matches!(job, Job::Sequencer(_)))
    }
}

impl Layout {
    /// Returns the configured layout of these shards, or else chooses one for `cpus` (those that the process
    /// may use), of which `disk_cpus` take the interrupts of the journal's disk.
    ///
    /// # Errors
    /// As [`Layout::configured`].
    pub(crate) fn of(
        config: &Config,
        shards: &[ShardPlan],
        cpus: &BTreeSet<usize>,
        disk_cpus: &BTreeSet<usize>,
    ) -> Result<Self, Failure> {
        let agents: Vec<ShardAgents> = shards.iter().map(ShardAgents::of).collect();
        match config.core.as_slice() {
            [] => Ok(Self::choose(cpus, disk_cpus, &agents)),
            cores => Self::configured(cores, cpus, disk_cpus, &agents),
        }
    }

    /// Chooses a layout for `cpus` (those that the process may use), of which `disk_cpus` take the interrupts
    /// of the journal's disk.
    pub(crate) fn choose(
        cpus: &BTreeSet<usize>,
        disk_cpus: &BTreeSet<usize>,
        shards: &[ShardAgents],
    ) -> Self {
        let ids: Vec<ShardId> = shards.iter().map(|shard| shard.id).collect();
        if cpus.len() < 2 {
            let jobs = (0..shards.len()).flat_map(|index| shards[index].jobs(index)).chain([Job::Feed]);
            let core = Core { name: "core".into(), cpu: None, idle: None, jobs: jobs.collect() };
            return Self {
                cores: vec![core],
                background: Background { cpus: Vec::new(), is_shared: true },
                reason: "one CPU: all agents run in turn on one thread".into(),
                warnings: vec!["one CPU: each agent waits for the slowest one; use two CPUs or more".into()],
                shards: ids,
            };
        }
        let (places, journal_reason) = Places::choose(cpus, disk_cpus, shards);
        let mut cores = Vec::new();
        for index in 0..shards.len() {
            let cpu = places.sequencers[index];
            place(&mut cores, "sequencer", cpu, &[Job::Sequencer(index), Job::Strategies(index)]);
        }
        let feeding = shards.iter().enumerate().flat_map(|(index, shard)| {
            [Some(Job::Gateway(index)), shard.forwards.then_some(Job::Forwarder(index))]
        });
        let feeding: Vec<Job> = feeding.flatten().chain([Job::Feed]).collect();
        if let Some(feed) = places.feed {
            place(&mut cores, "feed", feed, &feeding);
        }
        for (index, cpu) in places.journals.iter().enumerate() {
            place(&mut cores, "journal", *cpu, &[Job::Journal(index)]);
        }
        if places.feed.is_none() {
            place(&mut cores, "journal", places.journals[0], &feeding);
        }
        let reason = format!("{} CPUs: {} threads; {journal_reason}", cpus.len(), cores.len());
        Self::explained(cores, cpus, disk_cpus, ids, reason)
    }

    /// Returns the layout that `[[core]]` configures, with every agent on one core.
    ///
    /// # Errors
    /// [`Failure`]: an agent does not exist, or is on no core or on two.
    pub(crate) fn configured(
        configured: &[CoreConfig],
        cpus: &BTreeSet<usize>,
        disk_cpus: &BTreeSet<usize>,
        shards: &[ShardAgents],
    ) -> Result<Self, Failure> {
        let ids: Vec<ShardId> = shards.iter().map(|shard| shard.id).collect();
        let all = (0..shards.len()).flat_map(|index| shards[index].jobs(index)).chain([Job::Feed]);
        let mut left: Vec<(String, Job)> = all.map(|job| (job.name(&ids), job)).collect();
        let names: Vec<String> = left.iter().map(|(name, _)| name.clone()).collect();
        let mut cores: Vec<Core> = Vec::new();
        for core in configured {
            let mut jobs = Vec::new();
            for agent in &core.agents {
                let Some(at) = left.iter().position(|(name, _)| name == agent) else {
                    let what = match names.contains(agent) {
                        true => format!("[[core]] agent `{agent}` is placed twice"),
                        false => format!("[[core]]: there is no agent `{agent}`"),
                    };
                    let known = names.iter().map(String::as_str);
                    let help = if names.contains(agent) { list(known) } else { nearest(agent, known) };
                    return Err(Failure::usage(what).help(help));
                };
                jobs.push(left.remove(at).1);
            }
            let Some(first) = jobs.first() else {
                return Err(
                    Failure::usage("a [[core]] has no agents").help(list(names.iter().map(String::as_str)))
                );
            };
            if core.cpu.is_some_and(|cpu| cores.iter().any(|other| other.cpu == Some(cpu))) {
                let what = format!("two [[core]]s have the CPU {}", core.cpu.unwrap_or_default());
                return Err(Failure::usage(what).help("put the agents of both into one [[core]]"));
            }
            let idle = core.idle.as_deref().map(idle).transpose()?;
            cores.push(Core { name: first.name(&ids), cpu: core.cpu, idle, jobs });
        }
        if !left.is_empty() {
            let missing: Vec<&str> = left.iter().map(|(name, _)| name.as_str()).collect();
            let what = format!("no [[core]] has these agents: {}", missing.join(", "));
            return Err(Failure::usage(what).help("every agent belongs to one [[core]]"));
        }
        let reason = format!("{} threads, as configured", cores.len());
        Ok(Self::explained(cores, cpus, disk_cpus, ids, reason))
    }

    fn explained(
        cores: Vec<Core>,
        cpus: &BTreeSet<usize>,
        disk_cpus: &BTreeSet<usize>,
        shards: Vec<ShardId>,
        reason: String,
    ) -> Self {
        let is_spare = |cpu: &usize| cores.iter().all(|core| core.cpu != Some(*cpu));
        let spare: Vec<usize> = cpus.iter().copied().filter(is_spare).collect();
        let is_shared = spare.is_empty();
        let journals = cores.iter().filter(|core| core.has_journal());
        let of_journals = || journals.clone().filter_map(|core| core.cpu);
        let background =
            Background { cpus: if is_shared { of_journals().collect() } else { spare }, is_shared };
        let mut warnings = Vec::new();
        for core in cores.iter().filter(|core| core.has_sequencer()) {
            let Some(cpu) = core.cpu else { continue };
            if of_journals().any(|journal| journal == cpu) {
                warnings.push(format!(
                    "sequencer and journal share CPU {cpu}: a spinning thread delays every flush by timer ticks; \
                     give them different CPUs in [cores]"
                ));
            } else if disk_cpus.contains(&cpu) && !of_journals().any(|journal| disk_cpus.contains(&journal)) {
                warnings.push(format!(
                    "the sequencer spins on CPU {cpu}, which takes the disk's interrupts: flushes may wait for a \
                     timer tick; set [cores] sequencer to another CPU, or move the interrupt in /proc/irq"
                ));
            }
        }
        Self { cores, background, reason, warnings, shards }
    }

    /// Returns the CPU of the core that runs `job`, where it is pinned.
    pub(crate) fn cpu_of(&self, job: Job) -> Option<usize> {
        self.cores.iter().find(|core| core.jobs.contains(&job))?.cpu
    }

    /// Returns a line of text for each core: its CPU and its agents.
    pub(crate) fn describe(&self) -> Vec<String> {
        let describe = |core: &Core| {
            let jobs: Vec<String> = core.jobs.iter().map(|job| job.name(&self.shards)).collect();
            match core.cpu {
                Some(cpu) => format!("CPU {cpu}: {}", jobs.join(" + ")),
                None => format!("any CPU: {}", jobs.join(" + ")),
            }
        };
        self.cores.iter().map(describe).collect()
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("the agents are {}", names.collect::<Vec<_>>().join(", "))
}

/// Puts jobs on the core of this CPU, which is created for its first job.
fn place(cores: &mut Vec<Core>, name: &str, cpu: usize, jobs: &[Job]) {
    match cores.iter_mut().find(|core| core.cpu == Some(cpu)) {
        Some(core) => core.jobs.extend(jobs),
        None => {
            let same = cores.iter().filter(|core| core.name.starts_with(name)).count();
            let name = if same == 0 { name.into() } else { format!("{name}-{}", same + 1) };
            cores.push(Core { name, cpu: Some(cpu), idle: None, jobs: jobs.into() });
        }
    }
}

/// CPUs by purpose; each list has an entry for each shard.
struct Places {
    sequencers: Vec<usize>,
    /// The feed's own CPU, where it has one.
    feed: Option<usize>,
    journals: Vec<usize>,
}

impl Places {
    /// Places the first journal on the CPU of the disk's interrupts, then the sequencers, then the feed, then
    /// the other journals, each on its own CPU while there are any. Also returns the reason of the first
    /// journal's CPU.
    fn choose(cpus: &BTreeSet<usize>, disk_cpus: &BTreeSet<usize>, shards: &[ShardAgents]) -> (Self, String) {
        let wished = |cpu: &usize| {
            shards.iter().any(|shard| [shard.wish.sequencer, shard.wish.journal].contains(&Some(*cpu)))
        };
        let (journal, reason) = choose_journal(cpus, disk_cpus, &shards[0].wish);
        let others = cpus.iter().copied().filter(|cpu| *cpu != journal && !wished(cpu)).rev();
        let (stormy, calm): (Vec<usize>, Vec<usize>) = others.partition(|cpu| disk_cpus.contains(cpu));
        let mut free = [calm, stormy].concat().into_iter();
        let unplaced = |wish: fn(&CoresConfig) -> Option<usize>| {
            shards.iter().filter(|shard| wish(&shard.wish).is_none()).count()
        };
        let wanted = unplaced(|wish| wish.sequencer);
        let spared = usize::from(free.len() > 1 || wanted == 0);
        let count = wanted.min(free.len().saturating_sub(spared)).max(usize::from(wanted > 0));
        let mut round: Vec<usize> = free.by_ref().take(count).collect();
        if round.is_empty() {
            round.push(cpus.iter().copied().rev().find(|cpu| *cpu != journal).unwrap_or(journal));
        }
        let mut turns = round.into_iter().cycle();
        let mut next = || turns.next().expect("a cycle of some has no end");
        let sequencers = shards.iter().map(|shard| shard.wish.sequencer.unwrap_or_else(&mut next)).collect();
        let feed = free.next();
        let round: Vec<usize> = [journal].into_iter().chain(free).collect();
        let mut turns = round.into_iter().cycle();
        let mut next = || turns.next().expect("a cycle of some has no end");
        let journals = shards.iter().map(|shard| shard.wish.journal.unwrap_or_else(&mut next)).collect();
        (Self { sequencers, feed, journals }, reason)
    }
}

/// Parses what a core does when there is no work.
pub(crate) fn idle(name: &str) -> Result<IdleStrategy, Failure> {
    match name {
        "auto" | "yield" => Ok(IdleStrategy::SpinYield { spins: 100 }),
        "spin" => Ok(IdleStrategy::Spin),
        "back-off" => Ok(IdleStrategy::BACK_OFF),
        "park" => Ok(IdleStrategy::Park(Duration::from_micros(50))),
        other => {
            Err(Failure::usage(format!("idle is `{other}`")).help("one of auto, spin, yield, back-off, park"))
        }
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
        return (cpu, format!("the journal is on CPU {cpu}, which takes the disk's interrupts"));
    }
    let cpu = cpus.iter().copied().find(free).unwrap_or(0);
    (cpu, format!("the journal is on CPU {cpu}; no CPU is known to take the disk's interrupts alone"))
}

/// Returns the CPUs that this process may run on.
pub(crate) fn allowed_cpus() -> BTreeSet<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// Returns the CPUs that the kernel schedules no other work on (`isolcpus`).
pub(crate) fn isolated_cpus() -> BTreeSet<usize> {
    let list = fs::read_to_string("/sys/devices/system/cpu/isolated").unwrap_or_default();
    parse_cpu_list(&list).into_iter().collect()
}

/// Returns the CPUs that take the interrupts of the disk that holds `path`; empty where that is unknown.
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

/// Returns the driver's name for the disk that holds `path`, as in `/proc/interrupts`: `virtio1`, `nvme0`.
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

/// Whether `name` is an NVMe controller: `nvme0`, but not `nvme` and not the namespace `nvme0n1`.
fn is_nvme_controller(name: &str) -> bool {
    let number = name.strip_prefix("nvme").unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Parses a list of CPUs such as `0-2,5`.
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

    fn one(wish: CoresConfig) -> [ShardAgents; 1] {
        [ShardAgents { wish, ..ShardAgents::default() }]
    }

    fn two() -> [ShardAgents; 2] {
        [1, 2].map(|id| ShardAgents { id: ShardId(id), forwards: id == 2, ..ShardAgents::default() })
    }

    fn core(cpu: usize, agents: &[&str]) -> CoreConfig {
        CoreConfig {
            cpu: Some(cpu),
            idle: None,
            agents: agents.iter().map(|agent| (*agent).into()).collect(),
        }
    }

    #[test]
    fn on_two_cpus_the_journal_is_on_the_cpu_of_the_disk_interrupts_and_the_sequencer_on_the_other() {
        for (disk, sequencer) in [(1, 0), (0, 1)] {
            let layout = Layout::choose(&cpus(&[0, 1]), &cpus(&[disk]), &one(CoresConfig::default()));
            assert_eq!(layout.cores[0].cpu, Some(sequencer));
            assert_eq!(layout.cores[1].cpu, Some(disk));
            assert_eq!(layout.cores[1].jobs, [Job::Journal(0), Job::Gateway(0), Job::Feed]);
            assert_eq!(jobs(&layout), 5, "every job is on one core");
            assert!(layout.warnings.is_empty());
            assert_eq!(layout.cpu_of(Job::Gateway(0)), Some(disk));
            assert_eq!(layout.describe()[1], format!("CPU {disk}: journal + gateway + feed"));
        }
    }

    #[test]
    fn on_four_cpus_the_journal_has_a_core_of_its_own() {
        let layout = Layout::choose(&cpus(&[0, 1, 2, 3]), &cpus(&[2]), &one(CoresConfig::default()));
        let cores: Vec<_> = layout.cores.iter().map(|core| (core.name.as_str(), core.cpu.unwrap())).collect();
        assert_eq!(cores, [("sequencer", 3), ("feed", 1), ("journal", 2)]);
        assert_eq!(jobs(&layout), 5, "every job is on one core");
        assert_eq!(layout.background.cpus, [0]);
    }

    #[test]
    fn on_one_cpu_everything_runs_on_one_thread_with_a_warning() {
        let layout = Layout::choose(&cpus(&[0]), &cpus(&[0]), &one(CoresConfig::default()));
        assert_eq!(layout.cores.len(), 1);
        assert_eq!(layout.cores[0].jobs.len(), 5);
        assert_eq!(layout.warnings.len(), 1);
    }

    #[test]
    fn a_sequencer_configured_on_the_cpu_of_the_disk_interrupts_stays_there_with_a_warning() {
        let wish = CoresConfig { sequencer: Some(1), journal: None };
        let layout = Layout::choose(&cpus(&[0, 1]), &cpus(&[1]), &one(wish));
        assert_eq!((layout.cores[0].cpu, layout.cores[1].cpu), (Some(1), Some(0)));
        assert!(layout.warnings[0].contains("spins on CPU 1, which takes the disk's interrupts"));
    }

    #[test]
    fn two_shards_share_two_cpus_and_spread_over_more() {
        let layout = Layout::choose(&cpus(&[0, 1]), &cpus(&[1]), &two());
        assert_eq!(layout.cores.len(), 2);
        assert_eq!(layout.describe()[0], "CPU 0: 1.sequencer + 1.strategies + 2.sequencer + 2.strategies");
        assert_eq!(
            layout.describe()[1],
            "CPU 1: 1.journal + 2.journal + 1.gateway + 2.gateway + 2.forwarder + feed"
        );
        for (count, threads) in [(3, 3), (4, 4), (5, 5), (8, 5)] {
            let layout = Layout::choose(&(0..count).collect(), &cpus(&[1]), &two());
            let names: Vec<_> = layout.cores.iter().map(|core| (core.name.as_str(), core.cpu)).collect();
            assert_eq!((layout.cores.len(), jobs(&layout)), (threads, 10), "{names:?}");
            assert_eq!(layout.cpu_of(Job::Journal(0)), Some(1), "{names:?}");
            assert!(layout.warnings.is_empty(), "{:?}", layout.warnings);
        }
    }

    #[test]
    fn a_shard_gets_the_cpus_that_it_configures() {
        let mut shards = two();
        shards[1].wish = CoresConfig { sequencer: Some(2), journal: Some(0) };
        let layout = Layout::choose(&(0..6).collect(), &cpus(&[1]), &shards);
        assert_eq!(layout.cpu_of(Job::Sequencer(1)), Some(2));
        assert_eq!(layout.cpu_of(Job::Strategies(1)), Some(2));
        assert_eq!(layout.cpu_of(Job::Journal(1)), Some(0));
        assert_eq!(layout.cpu_of(Job::Sequencer(0)), Some(5));
    }

    #[test]
    fn any_agent_can_be_on_any_core() {
        let shards = one(CoresConfig::default());
        let wanted = [core(1, &["feed", "sequencer"]), core(0, &["gateway", "journal", "strategies"])];
        let layout = Layout::configured(&wanted, &cpus(&[0, 1]), &cpus(&[]), &shards).unwrap();
        assert_eq!(layout.cores[0].jobs, [Job::Feed, Job::Sequencer(0)]);
        assert_eq!(layout.cores[1].jobs, [Job::Gateway(0), Job::Journal(0), Job::Strategies(0)]);
        let idle =
            [CoreConfig { cpu: None, idle: Some("park".into()), ..wanted[0].clone() }, wanted[1].clone()];
        let layout = Layout::configured(&idle, &cpus(&[0, 1]), &cpus(&[]), &shards).unwrap();
        assert_eq!((layout.cores[0].cpu, layout.cores[0].idle), (None, Some(idle_of("park"))));
        assert_eq!(layout.background.cpus, [1]);
    }

    fn idle_of(name: &str) -> IdleStrategy {
        idle(name).unwrap()
    }

    #[test]
    fn an_agent_unknown_or_on_two_cores_or_on_none_is_refused() {
        let refused = |cores: &[CoreConfig]| {
            Layout::configured(cores, &cpus(&[0, 1]), &cpus(&[]), &two()).unwrap_err().to_string()
        };
        assert!(refused(&[core(0, &["1.sequenser"])]).contains("did you mean `1.sequencer`?"));
        let twice = refused(&[core(0, &["1.sequencer"]), core(1, &["1.sequencer"])]);
        assert!(twice.contains("placed twice") && twice.contains("2.forwarder"), "{twice}");
        let missing = refused(&[core(0, &["1.sequencer", "feed"])]);
        assert!(missing.contains("no [[core]] has these agents: 1.strategies"), "{missing}");
        assert!(missing.contains("2.journal") && !missing.contains("feed"), "{missing}");
        assert!(
            refused(&[core(0, &["feed"]), core(0, &["1.journal"])]).contains("two [[core]]s have the CPU 0")
        );
    }

    #[test]
    fn cpu_lists_are_parsed_as_the_kernel_writes_them() {
        assert_eq!(parse_cpu_list("0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(parse_cpu_list("\n"), Vec::<usize>::new());
        assert!(is_nvme_controller("nvme0") && !is_nvme_controller("nvme0n1") && !is_nvme_controller("nvme"));
    }
}
