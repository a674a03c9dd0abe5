//! A world: one trail on one disk through several lives, all of it from one seed.

use crate::behaviour::{Allowances, Behaviour, Lie, MediumStatistics};
use crate::bounds::{LIVES_MAX, LIVES_MIN, RECOVERIES_MAX, STEPS_MAX, STEPS_MIN};
use crate::checkers::{Checked, Truth, Violation, check_again, check_bytes, violated};
use crate::dice::Dice;
use crate::disk::Disk;
use crate::life::{Life, LifeStatistics, Temper};
use crate::medium::Medium;
use crate::opening::{Opened, Options, is_honest, open};
use std::panic::{AssertUnwindSafe, catch_unwind};
use stele_bus::{Clock, ManualClock, Watermark};
use stele_journal::Storage;
use stele_journal::scan::ScanOptions;
use stele_journal::verify::verify;
use stele_wire::{Nanos, Sequence, TrailId};

/// Something broken on purpose: what the checkers must notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sabotage {
    /// The disk breaks a promise.
    Disk(Lie),
    /// Orders leave when they are published.
    EarlyRelease,
}

/// What a world came to.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Outcome {
    /// Lives, each ended by a stop, a kill or a failure of the power, and each recovered from.
    pub lives: u64,
    /// How lives ended: stopped, killed, powerless.
    pub ends: [u64; 3],
    /// How often each row of the recovery's table applied, A to F.
    pub rows: [u64; 6],
    /// Recoveries that another failure of the power cut short.
    pub interrupted: u64,
    /// Events that survived to the end.
    pub events: u64,
    /// Events that were published and, unacknowledged, lost.
    pub rolled_back: u64,
    /// What happened within the lives.
    pub life: LifeStatistics,
    /// What the disk did.
    pub disk: MediumStatistics,
}

impl Outcome {
    /// Adds another world's.
    pub fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        let ends = self.ends.iter_mut().zip(other.ends);
        ends.chain(self.rows.iter_mut().zip(other.rows)).for_each(|(to, count)| *to += count);
        self.interrupted += other.interrupted;
        self.events += other.events;
        self.rolled_back += other.rolled_back;
        self.life.add(&other.life);
        self.disk.add(&other.disk);
    }
}

/// A promise broken, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("seed {seed}, life {life}, step {step}: {violation}")]
pub struct Failure {
    /// Seed of the world.
    pub seed: u64,
    /// Which life, counted from 1.
    pub life: u64,
    /// Which step of it, counted from 1; 0 between lives.
    pub step: u64,
    /// What was broken.
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
    dice: Dice,
    disk: Disk,
    clock: ManualClock,
    trail: TrailId,
    block_length: u32,
    allowances: Allowances,
    sabotage: Option<Sabotage>,
    truth: Truth,
    life: u64,
    step: u64,
    outcome: Outcome,
}

/// Runs the world of `seed` to its end, spared `allowances`; `sabotage` is for proving that the checkers can fail.
///
/// # Errors
/// [`Failure`]: the first promise broken. A panic of the code under test counts as one.
pub fn run(seed: u64, allowances: Allowances, sabotage: Option<Sabotage>) -> Result<Outcome, Failure> {
    let mut world = World::new(seed, allowances, sabotage);
    let done = catch_unwind(AssertUnwindSafe(|| world.run()));
    let violation = match done {
        Ok(Ok(())) => return Ok(world.outcome),
        Ok(Err(violation)) => violation,
        Err(panic) => violated("nothing panics", message_of(panic.as_ref())),
    };
    Err(Failure { seed, life: world.life, step: world.step, violation })
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

impl World {
    fn new(seed: u64, allowances: Allowances, sabotage: Option<Sabotage>) -> Self {
        let mut dice = Dice::new(seed, 1);
        let mut trail = [0; 16];
        dice.fill(&mut trail);
        let mut medium = Medium::new(Dice::new(seed, 2));
        medium.set_behaviour(Behaviour { allowances, ..Behaviour::default() });
        Self {
            seed,
            allowances,
            disk: Disk::new(medium),
            clock: ManualClock::at(Nanos(1_700_000_000_000_000_000 + dice.between(0, 1 << 40))),
            trail: TrailId(trail),
            block_length: dice.pick(&[512, 512, 1024, 4096]),
            dice,
            sabotage,
            truth: Truth::default(),
            life: 0,
            step: 0,
            outcome: Outcome::default(),
        }
    }

    fn run(&mut self) -> Checked {
        let lives = self.dice.between(LIVES_MIN, LIVES_MAX);
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

    /// One life, from an open trail to its end.
    fn live(&mut self, opened: Opened) -> Checked {
        let behaviour = self.behaviour_of_life();
        self.disk.with(|medium| medium.set_behaviour(behaviour));
        let mut temper = Temper::draw(&mut self.dice);
        if self.sabotage == Some(Sabotage::EarlyRelease) {
            temper.release = Watermark::Published;
        }
        let end = [End::Stop, End::Kill, End::PowerFailure][self.dice.weighted(&[2, 3, 6])];
        let steps = self.dice.between(STEPS_MIN, STEPS_MAX);
        let mut life = Life::begin(&self.disk, opened, temper, self.clock.clone(), self.seed);
        for step in 1..=steps {
            self.step = step;
            life.step(&mut self.truth)?;
        }
        if end == End::Stop {
            life.stop(&mut self.truth)?;
        }
        let statistics = life.end(&mut self.truth)?;
        self.outcome.life.add(&statistics);
        self.outcome.ends[end as usize] += 1;
        match end {
            // A poisoned writer cannot close its trail; whatever it left is the next one's to recover.
            End::Stop | End::Kill => self.disk.with(Medium::kill_process),
            End::PowerFailure => self.disk.with(Medium::fail_power),
        }
        Ok(())
    }

    fn behaviour_of_life(&self) -> Behaviour {
        let mut dice = Dice::new(self.seed, 0x1_0000 + self.life);
        let rarely = |dice: &mut Dice| if dice.one_in(6) { dice.pick(&[10, 60]) } else { 0 };
        Behaviour {
            delay_max: dice.pick(&[2, 40, 400]),
            write_failure: rarely(&mut dice),
            sync_failure: rarely(&mut dice),
            submit_failure: rarely(&mut dice),
            spare_failure: rarely(&mut dice),
            stale: dice.one_in(3),
            allowances: self.allowances,
            lie: match self.sabotage {
                Some(Sabotage::Disk(lie)) => Some(lie),
                _ => None,
            },
        }
    }

    /// Recovers, a few times cut short by another failure of the power, and checks what it came to.
    fn open(&mut self) -> Result<Opened, Violation> {
        let interruptions = if self.dice.one_in(3) { self.dice.between(1, RECOVERIES_MAX - 1) } else { 0 };
        for _ in 0..interruptions {
            let operations = self.dice.between(1, 8);
            self.disk.with(|medium| medium.set_fuse(Some(operations)));
            let options = self.options();
            let attempt = open(&self.disk, &options);
            if !self.disk.with(|medium| medium.is_dark()) {
                // It came through before the power failed.
                self.disk.with(|medium| medium.set_fuse(None));
                return self
                    .accept(attempt.map_err(|error| violated("recovery succeeds", error.to_string()))?);
            }
            drop(attempt);
            self.outcome.interrupted += 1;
            self.disk.with(Medium::fail_power);
        }
        let options = self.options();
        let opened = open(&self.disk, &options);
        self.accept(opened.map_err(|error| violated("recovery succeeds", error.to_string()))?)
    }

    fn options(&mut self) -> Options {
        // The clock of a machine that starts again may be anywhere near.
        let now = Nanos(self.clock.now().0 + self.dice.between(0, 2_000_000_000) - 1_000_000_000);
        self.clock.set(now);
        let spare_segments = self.dice.between(1, 2) as usize;
        Options { trail: self.trail, block_length: self.block_length, spare_segments, now }
    }

    fn accept(&mut self, opened: Opened) -> Result<Opened, Violation> {
        let (report, continuation) = (&opened.report, &opened.continuation);
        self.outcome.rows[report.row as usize] += 1;
        if !is_honest(report.row) {
            return Err(violated("recovery succeeds", format!("row {:?}", report.row)));
        }
        self.truth.on_recovered(report, continuation)?;
        check_again((report, continuation), (&opened.again.0, &opened.again.1))?;
        check_bytes(&self.disk, report)?;
        for cut in &report.cuts {
            if self.disk.open(&cut.kept).is_err() {
                return Err(violated("what is cut is kept", format!("{cut:?}")));
            }
        }
        let before = self.truth.len();
        let from = self.truth.epoch_first();
        self.truth.begin_epoch(report, continuation.epoch);
        self.outcome.rolled_back += (before - self.truth.len()) as u64;
        let from = from.min(Sequence(self.truth.last_sequence().0 + 1));
        self.truth.read(&self.disk, from)?;
        Ok(opened)
    }

    /// The whole trail, from its first frame.
    fn verify(&mut self) -> Checked {
        self.truth.read(&self.disk, Sequence(1))?;
        let options = ScanOptions { threads: 1, plain: true, ..ScanOptions::default() };
        let report = verify(&self.disk, &options);
        let report = report.map_err(|error| violated("the whole trail verifies", error.to_string()))?;
        self.outcome.events = report.events;
        self.outcome.disk = self.disk.with(|medium| medium.statistics());
        if report.events != self.truth.len() as u64 || report.last_sequence != self.truth.last_sequence() {
            let what = format!("{} events to {}", report.events, report.last_sequence);
            return Err(violated("the whole trail verifies", what));
        }
        Ok(())
    }
}
