//! Cores: threads that run agents in turns, each pinned to one CPU.

use crate::agent::{Agent, AgentError};
use crate::bounds::{DUTY_CYCLES_TIMED, STACK_TOUCHED};
use crate::idle::{IdleStrategy, Idler};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::any::Any;
use std::hint::black_box;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use stele_wire::Nanos;

/// The name, CPU and idle strategy of a core.
#[derive(Clone, Debug)]
pub struct CoreOptions {
    /// The thread's name, of which the kernel shows at most 15 bytes.
    pub name: String,
    /// The CPU that it is pinned to; none leaves the choice to the kernel.
    pub cpu: Option<usize>,
    /// What the thread does when there is nothing to do.
    pub idle: IdleStrategy,
}

/// Why a core ended by itself or could not start.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The thread could not be started.
    #[error("core {core}: cannot start a thread: {source}")]
    Spawn {
        /// The core's name.
        core: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The process may not use the CPU.
    #[error("core {core}: cannot pin to CPU {cpu}; this process may use {allowed:?}")]
    Pin {
        /// The core's name.
        core: String,
        /// The CPU requested.
        cpu: usize,
        /// The CPUs that the process may use.
        allowed: Vec<usize>,
    },
    /// An agent could not continue.
    #[error("core {core}, agent {agent}: {source}")]
    Agent {
        /// The core's name.
        core: String,
        /// The agent's name.
        agent: String,
        /// The agent's error.
        source: AgentError,
    },
    /// An agent panicked.
    #[error("core {core}: agent {agent} panicked: {message}")]
    Panic {
        /// The core's name.
        core: String,
        /// The agent's name.
        agent: String,
        /// The panic's message.
        message: String,
    },
    /// The thread panicked outside the calls of its agents, such as when an agent was dropped.
    #[error("core {core}: the thread panicked outside the calls of its agents: {message}")]
    ThreadPanic {
        /// The core's name.
        core: String,
        /// The panic's message.
        message: String,
    },
}

/// The number of duty cycles that a core has completed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DutyCycles {
    /// Duty cycles in which an agent had something to do.
    pub working: u64,
    /// Duty cycles in which no agent had.
    pub idle: u64,
}

/// How long a core's duty cycles take. The clock is read once in [`DUTY_CYCLES_TIMED`] of them, because a
/// reading costs more than a duty cycle without work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DutyCycleTimes {
    /// The time in working duty cycles: from each interval between two readings, the share of its cycles that
    /// worked.
    pub busy: Nanos,
    /// The longest interval between two readings. It contains the longest stall, of the machine or an agent.
    pub stall_max: Nanos,
}

/// What the core's thread shares with its handle. Only the thread writes the counts.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shared {
    working: AtomicU64,
    idle: AtomicU64,
    busy: AtomicU64,
    stall_max: AtomicU64,
    stop: AtomicBool,
}

/// A handle to a running core. Dropping it asks the core to stop and does not wait.
#[derive(Debug)]
pub struct Core {
    name: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<(), CoreError>>>,
}

impl Core {
    /// Starts a thread that pins itself, starts the agents in order, and runs them in turns until it is asked
    /// to stop or one fails. Then it stops those that started, in reverse order.
    ///
    /// # Errors
    /// [`CoreError::Spawn`]. Every other error is returned by [`Core::join`].
    pub fn spawn(options: CoreOptions, agents: Vec<Box<dyn Agent>>) -> Result<Self, CoreError> {
        let shared = Arc::new(Shared::default());
        let (name, own) = (options.name.clone(), shared.clone());
        let thread = Builder::new()
            .name(options.name.clone())
            .spawn(move || run(&options, agents, &own))
            .map_err(|source| CoreError::Spawn { core: name.clone(), source })?;
        Ok(Self { name, shared, thread: Some(thread) })
    }

    /// The core's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks the core to stop after the current duty cycle.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// The duty cycles that it has completed, with everything that its agents did in them.
    pub fn duty_cycles(&self) -> DutyCycles {
        // Acquire, partner of the Release stores in `run_cycles`: a caller that sees a duty cycle counted
        // also sees what the agents did in it.
        let idle = self.shared.idle.load(Ordering::Acquire);
        DutyCycles { working: self.shared.working.load(Ordering::Acquire), idle }
    }

    /// How long its duty cycles take.
    pub fn duty_cycle_times(&self) -> DutyCycleTimes {
        let load = |time: &AtomicU64| Nanos(time.load(Ordering::Relaxed));
        DutyCycleTimes { busy: load(&self.shared.busy), stall_max: load(&self.shared.stall_max) }
    }

    /// Whether the thread has ended, by request or by failure.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the thread to end, without asking it to.
    ///
    /// # Errors
    /// Why it ended without being asked to, or could not stop in order.
    pub fn join(mut self) -> Result<(), CoreError> {
        let thread = self.thread.take().expect("`join` takes the core, so it comes once");
        thread.join().unwrap_or_else(|panic| {
            Err(CoreError::ThreadPanic { core: self.name.clone(), message: panic_message(&*panic) })
        })
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns the CPUs that the calling thread may use, in ascending order.
pub fn allowed_cpus() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// Restricts the calling thread to these CPUs, such as a background thread to CPUs without hot threads. An
/// empty list changes nothing.
///
/// # Errors
/// When the kernel refuses, as when the process may use none of them.
pub fn set_affinity(cpus: &[usize]) -> io::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    cpus.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU).for_each(|cpu| set.set(*cpu));
    Ok(sched_setaffinity(None, &set)?)
}

/// Pins the calling thread. It checks the allowed CPUs first, because `core_affinity` aborts on numbers that
/// its set cannot hold and returns no reason.
fn pin(core: &str, cpu: usize) -> Result<(), CoreError> {
    let allowed = allowed_cpus();
    if allowed.contains(&cpu) && core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
        return Ok(());
    }
    Err(CoreError::Pin { core: core.into(), cpu, allowed })
}

/// Touches the part of the stack that agents may use, so that its first use causes no page fault.
#[inline(never)]
fn touch_stack() {
    let mut stack = [0_u8; STACK_TOUCHED];
    black_box(&mut stack);
}

fn run(options: &CoreOptions, mut agents: Vec<Box<dyn Agent>>, shared: &Shared) -> Result<(), CoreError> {
    if let Some(cpu) = options.cpu {
        pin(&options.name, cpu)?;
    }
    touch_stack();
    let mut started = 0;
    let mut result = Ok(());
    for agent in &mut agents {
        started += 1;
        result = guarded(options, agent, |agent| agent.on_start());
        if result.is_err() {
            break;
        }
    }
    if result.is_ok() {
        result = run_cycles(options, &mut agents, shared);
    }
    for agent in agents[..started].iter_mut().rev() {
        let stopped = guarded(options, agent, |agent| agent.on_stop());
        result = result.and(stopped);
    }
    result
}

fn run_cycles(
    options: &CoreOptions,
    agents: &mut [Box<dyn Agent>],
    shared: &Shared,
) -> Result<(), CoreError> {
    let mut idler = Idler::new(options.idle);
    let mut stopwatch = Stopwatch::new(shared);
    let (mut current, mut cycles) = (0, DutyCycles::default());
    let result = catch_unwind(AssertUnwindSafe(|| {
        while !shared.stop.load(Ordering::Relaxed) {
            let mut work = 0;
            for (index, agent) in agents.iter_mut().enumerate() {
                current = index;
                work += agent.do_work()?;
            }
            let (counter, count) = match work {
                0 => (&shared.idle, &mut cycles.idle),
                _ => (&shared.working, &mut cycles.working),
            };
            *count += 1;
            counter.store(*count, Ordering::Release);
            stopwatch.on_cycle(work > 0);
            if idler.idle(work) {
                stopwatch.restart();
            }
        }
        Ok(())
    }));
    let agent = || agents.get(current).map_or(String::new(), |agent| agent.name().into());
    result
        .map_err(|panic| CoreError::Panic {
            core: options.name.clone(),
            agent: agent(),
            message: panic_message(&*panic),
        })?
        .map_err(|source| CoreError::Agent { core: options.name.clone(), agent: agent(), source })
}

/// Times duty cycles in intervals of [`DUTY_CYCLES_TIMED`].
struct Stopwatch<'a> {
    shared: &'a Shared,
    clock: quanta::Clock,
    since: u64,
    cycles: u32,
    working: u32,
    times: DutyCycleTimes,
}

impl<'a> Stopwatch<'a> {
    fn new(shared: &'a Shared) -> Self {
        let clock = quanta::Clock::new();
        let since = clock.raw();
        Self { shared, clock, since, cycles: 0, working: 0, times: DutyCycleTimes::default() }
    }

    #[inline]
    fn on_cycle(&mut self, is_working: bool) {
        self.cycles += 1;
        self.working += u32::from(is_working);
        if self.cycles == DUTY_CYCLES_TIMED {
            self.read();
        }
    }

    fn read(&mut self) {
        let now = self.clock.raw();
        let elapsed = self.clock.delta_as_nanos(self.since, now);
        self.since = now;
        if self.working > 0 {
            self.times.busy.0 += elapsed * u64::from(self.working) / u64::from(DUTY_CYCLES_TIMED);
            self.shared.busy.store(self.times.busy.0, Ordering::Relaxed);
        }
        if elapsed > self.times.stall_max.0 {
            self.times.stall_max.0 = elapsed;
            self.shared.stall_max.store(elapsed, Ordering::Relaxed);
        }
        (self.cycles, self.working) = (0, 0);
    }

    /// Restarts the interval after the core slept: sleep is not a stall.
    #[cold]
    fn restart(&mut self) {
        self.since = self.clock.raw();
        (self.cycles, self.working) = (0, 0);
    }
}

fn guarded(
    options: &CoreOptions,
    agent: &mut Box<dyn Agent>,
    call: impl FnOnce(&mut Box<dyn Agent>) -> Result<(), AgentError>,
) -> Result<(), CoreError> {
    let core = || options.name.clone();
    match catch_unwind(AssertUnwindSafe(|| call(agent))) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(source)) => Err(CoreError::Agent { core: core(), agent: agent.name().into(), source }),
        Err(panic) => {
            let message = panic_message(&*panic);
            Err(CoreError::Panic { core: core(), agent: agent.name().into(), message })
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Probe {
        name: &'static str,
        fail_at: Option<usize>,
        panic_at: Option<usize>,
        cycles: Arc<AtomicUsize>,
        said: Arc<Mutex<Vec<String>>>,
    }

    impl Probe {
        fn say(&self, what: &str) {
            self.said.lock().unwrap().push(format!("{} {what}", self.name));
        }
    }

    impl Agent for Probe {
        fn name(&self) -> &str {
            self.name
        }
        fn on_start(&mut self) -> Result<(), AgentError> {
            self.say("start");
            Ok(())
        }
        fn do_work(&mut self) -> Result<usize, AgentError> {
            let cycle = self.cycles.fetch_add(1, Ordering::Relaxed);
            assert!(self.panic_at != Some(cycle), "cycle {cycle} broke");
            if self.fail_at == Some(cycle) { Err(AgentError::new("no more")) } else { Ok(0) }
        }
        fn on_stop(&mut self) -> Result<(), AgentError> {
            self.say("stop");
            Ok(())
        }
    }

    fn options(cpu: Option<usize>) -> CoreOptions {
        CoreOptions { name: "probe".into(), cpu, idle: IdleStrategy::SpinYield { spins: 10 } }
    }

    /// Has something to do in its first five duty cycles.
    struct Five(usize);

    impl Agent for Five {
        fn name(&self) -> &str {
            "five"
        }
        fn do_work(&mut self) -> Result<usize, AgentError> {
            self.0 += 1;
            Ok(usize::from(self.0 <= 5))
        }
    }

    #[test]
    fn duty_cycles_with_and_without_work_are_counted_separately() {
        let core = Core::spawn(options(None), vec![Box::new(Five(0))]).unwrap();
        while core.duty_cycles().idle < 3 {
            std::thread::yield_now();
        }
        assert_eq!(core.duty_cycles().working, 5);
        core.stop();
        core.join().unwrap();
    }

    /// Works in every duty cycle and stalls in the hundredth.
    struct Stalling(usize);

    impl Agent for Stalling {
        fn name(&self) -> &str {
            "stalling"
        }
        fn do_work(&mut self) -> Result<usize, AgentError> {
            self.0 += 1;
            if self.0 == 100 {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            Ok(1)
        }
    }

    #[test]
    fn a_stall_is_measured_whole_and_working_duty_cycles_are_busy_time() {
        let core = Core::spawn(options(None), vec![Box::new(Stalling(0))]).unwrap();
        while core.duty_cycles().working < 1_000 {
            std::thread::yield_now();
        }
        let DutyCycleTimes { busy, stall_max } = core.duty_cycle_times();
        assert!(stall_max.0 >= 5_000_000 && busy >= stall_max, "{busy:?} {stall_max:?}");
        core.stop();
        core.join().unwrap();
    }

    #[test]
    fn sleeping_without_work_is_neither_a_stall_nor_busy_time() {
        let long = std::time::Duration::from_millis(20);
        let options = CoreOptions { idle: IdleStrategy::Park(long), ..options(None) };
        let core = Core::spawn(options, vec![Box::new(Five(5))]).unwrap();
        while core.duty_cycles().idle < 20 {
            std::thread::yield_now();
        }
        // Sixteen duty cycles slept 320 ms in total.
        let DutyCycleTimes { busy, stall_max } = core.duty_cycle_times();
        assert!(busy.0 == 0 && stall_max.0 < 300_000_000, "{busy:?} {stall_max:?}");
        core.stop();
        core.join().unwrap();
    }

    #[test]
    fn a_thread_runs_only_on_the_cpus_that_it_is_given() {
        std::thread::spawn(|| {
            let before = allowed_cpus();
            set_affinity(&[]).unwrap();
            assert_eq!(allowed_cpus(), before);
            set_affinity(&before[..1]).unwrap();
            assert_eq!(allowed_cpus(), before[..1]);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn agents_of_a_core_start_in_order_work_in_turns_and_stop_in_reverse() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let cycles = Arc::new(AtomicUsize::new(0));
        let agents = ["a", "b"].map(|name| {
            Box::new(Probe { name, said: said.clone(), cycles: cycles.clone(), ..Probe::default() })
                as Box<dyn Agent>
        });
        let core = Core::spawn(options(allowed_cpus().first().copied()), agents.into()).unwrap();
        while cycles.load(Ordering::Relaxed) < 100 {
            std::thread::yield_now();
        }
        core.stop();
        core.join().unwrap();
        assert_eq!(*said.lock().unwrap(), ["a start", "b start", "b stop", "a stop"]);
    }

    #[test]
    fn an_agents_error_ends_the_core_and_is_returned_by_join() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let good = Probe { name: "good", said: said.clone(), ..Probe::default() };
        let bad = Probe { name: "bad", fail_at: Some(3), said: said.clone(), ..Probe::default() };
        let core = Core::spawn(options(None), vec![Box::new(good), Box::new(bad)]).unwrap();
        let error = core.join().unwrap_err();
        assert_eq!(error.to_string(), "core probe, agent bad: no more");
        assert_eq!(said.lock().unwrap().len(), 4, "both were stopped");
    }

    #[test]
    fn a_panic_names_its_agent_and_is_not_lost() {
        let bad = Probe { name: "bad", panic_at: Some(2), ..Probe::default() };
        let error = Core::spawn(options(None), vec![Box::new(bad)]).unwrap().join().unwrap_err();
        assert_eq!(error.to_string(), "core probe: agent bad panicked: cycle 2 broke");
    }

    #[test]
    fn a_cpu_that_may_not_be_used_is_refused_with_a_list_of_those_that_may() {
        let error = Core::spawn(options(Some(1023)), vec![]).unwrap().join().unwrap_err();
        let CoreError::Pin { cpu: 1023, allowed, .. } = error else { panic!("{error}") };
        assert_eq!(allowed, allowed_cpus());
    }
}
