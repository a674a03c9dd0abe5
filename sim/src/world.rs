//! A world: one trail on one disk through several lives, all determined by one seed.

use crate::behaviour::{BrokenPromise, DiskBehaviour, MediumStatistics};
use crate::bounds::{
    CRASHES_BETWEEN_ROT, LIVES_MAX, LIVES_MIN, RECOVERIES_MAX, SEGMENT_LENGTH, SHARD, STEPS_BETWEEN_CRASHES,
    STEPS_MAX, STEPS_MIN,
};
use crate::checkers::ReferenceLog;
use crate::disk::{Disk, SimFile, SimSite};
use crate::life::{Life, LifeSettings, LifeStatistics};
use crate::medium::Medium;
use crate::random::SeededRandom;
use crate::restart::Restart;
use crate::violation::{Checked, Violation, violated};
use std::panic::{AssertUnwindSafe, catch_unwind};
use stele_bus::{Clock, ManualClock, Watermark};
use stele_journal::scan::ScanOptions;
use stele_journal::verify::verify;
use stele_journal::{JournalOptions, OpenError, OpenedJournal};
use stele_wire::{Nanos, Position, Sequence, TrailId};

/// A deliberate fault that the checkers must notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sabotage {
    /// The disk breaks a promise.
    Disk(BrokenPromise),
    /// Orders are released when they are published.
    EarlyRelease,
}

/// The result of a world.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct WorldOutcome {
    /// Lives, each ended by a stop, a kill or a power failure and followed by a recovery.
    pub lives: u64,
    /// Crashes of a copy of the disk during a life, each followed by a recovery.
    pub crashes: u64,
    /// Those crashes that also flipped a bit.
    pub rotten: u64,
    /// Flipped bits that removed acknowledged data or changed the trail, and were reported.
    pub rot_reported: u64,
    /// How many lives ended by a stop, by a kill and by a power failure.
    pub ends: [u64; 3],
    /// How often each row of recovery's table applied, A to F.
    pub rows: [u64; 6],
    /// Recoveries that another power failure cut short.
    pub interrupted: u64,
    /// Events that survived to the end.
    pub events: u64,
    /// Events that were published, not acknowledged, and lost.
    pub rolled_back: u64,
    /// Statistics of the lives.
    pub life: LifeStatistics,
    /// Statistics of the disk.
    pub disk: MediumStatistics,
}

impl WorldOutcome {
    /// Returns the number of recoveries: after crashes, kills and stops.
    pub fn rounds(&self) -> u64 {
        self.lives + self.crashes
    }

    /// Adds the result of another world.
    pub fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        self.crashes += other.crashes;
        self.rotten += other.rotten;
        self.rot_reported += other.rot_reported;
        let ends = self.ends.iter_mut().zip(other.ends);
        ends.chain(self.rows.iter_mut().zip(other.rows)).for_each(|(to, count)| *to += count);
        self.interrupted += other.interrupted;
        self.events += other.events;
        self.rolled_back += other.rolled_back;
        self.life.add(&other.life);
        self.disk.add(&other.disk);
    }
}

/// A violated rule, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("seed {seed}, life {life}, step {step}: {violation}")]
pub struct WorldFailure {
    /// Seed of the world.
    pub seed: u64,
    /// Which life, counted from 1.
    pub life: u64,
    /// The step of the life, counted from 1; 0 between lives.
    pub step: u64,
    /// The violation.
    pub violation: Violation,
}

/// How a life ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Stop,
    Kill,
    PowerFailure,
}

/// A trail through its lives.
struct World {
    seed: u64,
    random: SeededRandom,
    site: SimSite,
    clock: ManualClock,
    sabotage: Option<Sabotage>,
    reference: ReferenceLog,
    life: u64,
    step: u64,
    outcome: WorldOutcome,
}

/// Runs the world of `seed` to its end. `sabotage` serves to prove that the checkers can fail.
///
/// # Errors
/// [`WorldFailure`]: the first violated rule. A panic of the code under test counts as one.
pub fn run(seed: u64, sabotage: Option<Sabotage>) -> Result<WorldOutcome, WorldFailure> {
    let mut world = World::new(seed, sabotage);
    let done = catch_unwind(AssertUnwindSafe(|| world.run()));
    let violation = match done {
        Ok(Ok(())) => return Ok(world.outcome),
        Ok(Err(violation)) => violation,
        Err(panic) => violated("nothing panics", message_of(panic.as_ref())),
    };
    Err(WorldFailure { seed, life: world.life, step: world.step, violation })
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message").to_owned()
}

impl World {
    fn new(seed: u64, sabotage: Option<Sabotage>) -> Self {
        let mut random = SeededRandom::new(seed, 1);
        let mut trail = [0; 16];
        random.fill(&mut trail);
        let disk = Disk::new(Medium::new(SeededRandom::new(seed, 2)));
        let clock = ManualClock::at(Nanos(1_700_000_000_000_000_000 + random.between(0, 1 << 40)));
        let block_length = random.pick(&[512, 512, 1024, 4096]);
        let options =
            JournalOptions { shard: SHARD, segment_length: SEGMENT_LENGTH, ..JournalOptions::default() };
        Self {
            seed,
            site: SimSite { disk, trail: TrailId(trail), block_length, options },
            clock,
            random,
            sabotage,
            reference: ReferenceLog::default(),
            life: 0,
            step: 0,
            outcome: WorldOutcome::default(),
        }
    }

    fn run(&mut self) -> Checked {
        let lives = self.random.between(LIVES_MIN, LIVES_MAX);
        let mut opened = self.open()?;
        for _ in 0..lives {
            self.life += 1;
            self.live(opened)?;
            self.step = 0;
            opened = self.open()?;
            self.outcome.lives += 1;
        }
        self.verify()
    }

    /// Runs one life, from an open trail to its end.
    fn live(&mut self, opened: OpenedJournal<SimFile>) -> Checked {
        let behaviour = self.behaviour_of_life();
        self.site.disk.with(|medium| medium.set_behaviour(behaviour));
        let mut settings = LifeSettings::draw(&mut self.random);
        if self.sabotage == Some(Sabotage::EarlyRelease) {
            settings.release = Watermark::Published;
        }
        let end = [End::Stop, End::Kill, End::PowerFailure][self.random.weighted(&[2, 3, 6])];
        let steps = self.random.between(STEPS_MIN, STEPS_MAX);
        let mut life = Life::begin(&self.site.disk, opened, settings, self.clock.clone(), self.seed);
        for step in 1..=steps {
            self.step = step;
            life.step(&mut self.reference)?;
            if self.random.one_in(STEPS_BETWEEN_CRASHES) {
                self.crash_a_copy(&mut life)?;
            }
        }
        if end == End::Stop {
            life.stop(&mut self.reference)?;
        }
        let statistics = life.end(&mut self.reference)?;
        self.outcome.life.add(&statistics);
        self.outcome.ends[end as usize] += 1;
        match end {
            // A poisoned writer cannot close its trail; the next start recovers what it left.
            End::Stop | End::Kill => self.site.disk.with(Medium::kill_process),
            End::PowerFailure => self.site.disk.with(Medium::fail_power),
        }
        Ok(())
    }

    /// Checks what would remain of the trail if the process, or the power, failed at this moment.
    fn crash_a_copy(&mut self, life: &mut Life) -> Checked {
        life.record_all(&mut self.reference)?;
        self.outcome.crashes += 1;
        let moment = self.life << 20 | self.step;
        let mut random = SeededRandom::new(self.seed, 1 << 40 | moment);
        let disk = self.site.disk.fork(SeededRandom::new(self.seed, 1 << 41 | moment));
        let site = SimSite { disk, ..self.site.clone() };
        let is_rotten = random.one_in(CRASHES_BETWEEN_ROT);
        let is_killed = random.one_in(3);
        site.disk.with(|medium| {
            if is_killed {
                medium.kill_process()
            } else {
                medium.fail_power()
            }
            if is_rotten {
                medium.rot_a_bit();
            }
        });
        let now = stele_bus::Clock::now(&mut self.clock.clone());
        let restarted = if is_rotten {
            Restart::attempt(&site, 1, now)
        } else {
            restart(&site, &mut random, now, &mut self.outcome.interrupted)
        };
        let acknowledged = self.reference.acknowledged().max(life.durable());
        let first = life.first_segment();
        if is_rotten {
            self.outcome.rotten += 1;
            let is_reported = self.is_reported_or_sound(&site, restarted, acknowledged, first)?;
            self.outcome.rot_reported += u64::from(is_reported);
            return Ok(());
        }
        let restarted = restarted.map_err(|error| violated("recovery succeeds", error.to_string()))?;
        self.outcome.rows[restarted.report.row as usize] += 1;
        restarted.check(&site, &self.reference, acknowledged, first)
    }

    /// Checks that after a flipped bit either everything still holds or the damage is reported: by the
    /// refusal of the trail, the report of what was cut, or the verification. Returns whether it was
    /// reported.
    fn is_reported_or_sound(
        &self,
        site: &SimSite,
        restarted: Result<Restart, OpenError>,
        acknowledged: Position,
        first: u64,
    ) -> Result<bool, Violation> {
        let restarted = match restarted {
            Ok(restarted) => restarted,
            Err(OpenError::Recovery(_)) => return Ok(true),
            Err(other) => return Err(violated("rot is refused as damage", other.to_string())),
        };
        let Err(violation) = restarted.check(site, &self.reference, acknowledged, first) else {
            return Ok(false);
        };
        if restarted.report.cuts.is_empty() && verify(&site.disk, &scan_options()).is_ok() {
            return Err(violated("rot is reported", format!("{violation}; {:?}", restarted.report)));
        }
        Ok(true)
    }

    fn behaviour_of_life(&self) -> DiskBehaviour {
        let mut random = SeededRandom::new(self.seed, 0x1_0000 + self.life);
        let rarely = |random: &mut SeededRandom| if random.one_in(6) { random.pick(&[10, 60]) } else { 0 };
        DiskBehaviour {
            delay_max: random.pick(&[2, 40, 400]),
            write_failure: rarely(&mut random),
            sync_failure: rarely(&mut random),
            submit_failure: rarely(&mut random),
            spare_failure: rarely(&mut random),
            stale: random.one_in(3),
            broken_promise: match self.sabotage {
                Some(Sabotage::Disk(broken_promise)) => Some(broken_promise),
                _ => None,
            },
        }
    }

    /// Opens the trail again and checks the result.
    fn open(&mut self) -> Result<OpenedJournal<SimFile>, Violation> {
        // The clock of a restarted machine may be a little off in either direction.
        let now = Nanos(self.clock.now().0 + self.random.between(0, 2_000_000_000) - 1_000_000_000);
        self.clock.set(now);
        let restarted = restart(&self.site, &mut self.random, now, &mut self.outcome.interrupted);
        let restarted = restarted.map_err(|error| violated("recovery succeeds", error.to_string()))?;
        let report = &restarted.report;
        self.outcome.rows[report.row as usize] += 1;
        restarted.check(&self.site, &self.reference, self.reference.acknowledged(), 1)?;
        let before = self.reference.len();
        self.reference.begin_epoch(report, restarted.continuation.epoch);
        self.outcome.rolled_back += (before - self.reference.len()) as u64;
        Ok(restarted.opened)
    }

    /// Verifies the whole trail from its first frame.
    fn verify(&mut self) -> Checked {
        self.reference.read(&self.site.disk, Sequence(1), self.reference.last_sequence())?;
        let report = verify(&self.site.disk, &scan_options());
        let report = report.map_err(|error| violated("the whole trail verifies", error.to_string()))?;
        self.outcome.events = report.events;
        self.outcome.disk = self.site.disk.with(|medium| medium.statistics());
        if report.events != self.reference.len() as u64
            || report.last_sequence != self.reference.last_sequence()
        {
            let what = format!("{} events to {}", report.events, report.last_sequence);
            return Err(violated("the whole trail verifies", what));
        }
        Ok(())
    }
}

/// Restarts; sometimes a few attempts are cut short by another power failure first, which `interrupted`
/// counts.
fn restart(
    site: &SimSite,
    random: &mut SeededRandom,
    now: Nanos,
    interrupted: &mut u64,
) -> Result<Restart, OpenError> {
    let spare_segments = random.between(1, 2) as usize;
    let interruptions = if random.one_in(3) { random.between(1, RECOVERIES_MAX - 1) } else { 0 };
    for _ in 0..interruptions {
        let operations = random.between(1, 10);
        site.disk.with(|medium| medium.fail_power_after(Some(operations)));
        let attempt = Restart::attempt(site, spare_segments, now);
        if !site.disk.with(|medium| medium.is_power_off()) {
            site.disk.with(|medium| medium.fail_power_after(None));
            return attempt;
        }
        *interrupted += 1;
        site.disk.with(Medium::fail_power);
    }
    Restart::attempt(site, spare_segments, now)
}

fn scan_options() -> ScanOptions<'static> {
    ScanOptions { threads: 1, plain: true, ..ScanOptions::default() }
}
