//! A sealer beside the writer, on a disk that crashes at any moment, also while a checkpoint is written: what
//! was signed stays true of every log that recovery leaves.

use std::collections::BTreeMap;
use std::sync::Arc;
use stele_bus::{Clock, ManualClock, Watermark};
use stele_compliance::seal::check;
use stele_compliance::seal::live::LiveSealer;
use stele_compliance::seal::note::KeyKind;
use stele_compliance::seal::sealing::sealed_events;
use stele_compliance::seal::{SealCheckError, SealPolicy, Signer};
use stele_journal::scan::ScanOptions;
use stele_journal::{JournalOptions, Storage};
use stele_sim::behaviour::DiskBehaviour;
use stele_sim::bounds::{SEGMENT_LENGTH, SHARD};
use stele_sim::checkers::ReferenceLog;
use stele_sim::disk::{Disk, SimSite};
use stele_sim::life::{Life, LifeSettings};
use stele_sim::medium::Medium;
use stele_sim::random::SeededRandom;
use stele_sim::restart::Restart;
use stele_wire::{Nanos, Sequence, TrailId};

/// Lives of a world.
const LIVES: u64 = 8;

/// Statistics of worlds.
#[derive(Clone, Copy, Default, Debug)]
struct Counts {
    checkpoints: u64,
    /// Crashes between two files of a checkpoint.
    cut_short: u64,
    /// Events that were published and lost, none of them sealed.
    rolled_back: u64,
    sealed: u64,
}

/// A trail, its seals, and every checkpoint that was ever signed.
struct World {
    site: SimSite,
    clock: ManualClock,
    random: SeededRandom,
    reference: ReferenceLog,
    signer: Signer,
    /// The bytes of every checkpoint by its name.
    signed: BTreeMap<String, Vec<u8>>,
    follows: Watermark,
    counts: Counts,
}

impl World {
    fn new(seed: u64, follows: Watermark) -> Self {
        let options =
            JournalOptions { shard: SHARD, segment_length: SEGMENT_LENGTH, ..JournalOptions::default() };
        let disk = Disk::new(Medium::new(SeededRandom::new(seed, 2)));
        Self {
            site: SimSite { disk, trail: TrailId([4; 16]), block_length: 512, options },
            clock: ManualClock::at(Nanos(1 << 60)),
            random: SeededRandom::new(seed, 1),
            reference: ReferenceLog::default(),
            signer: Signer::new("bank.example/stele", KeyKind::Log, &[7; 32]).expect("a name"),
            signed: BTreeMap::new(),
            follows,
            counts: Counts::default(),
        }
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.site.disk.clone())
    }

    fn run(&mut self) -> Result<(), String> {
        for life in 1..=LIVES {
            self.live(life).map_err(|what| format!("life {life}: {what}"))?;
            self.hold()?;
        }
        Ok(())
    }

    /// Opens the trail, runs a life on it with a sealer beside, and ends in a crash or a stop.
    fn live(&mut self, number: u64) -> Result<(), String> {
        let sealed = sealed_events(&self.storage(), self.signer.public()).map_err(|e| e.to_string())?;
        self.site.options.known_durable = Sequence(sealed);
        let restart = Restart::attempt(&self.site, 2, self.clock.now()).map_err(|error| error.to_string())?;
        let before = self.reference.len();
        self.reference.begin_epoch(&restart.report, restart.continuation.epoch);
        self.counts.rolled_back += (before - self.reference.len()) as u64;
        let behaviour =
            DiskBehaviour { delay_max: self.random.pick(&[2, 40, 400]), ..DiskBehaviour::default() };
        self.site.disk.with(|medium| medium.set_behaviour(behaviour));
        let policy = SealPolicy {
            events: self.random.pick(&[3, 40, 1000]),
            interval: Nanos(self.random.pick(&[1, 1_000_000, 1 << 40])),
        };
        let last = Sequence(restart.opened.start.next_sequence.0 - 1);
        let mut sealer = LiveSealer::new(self.storage(), self.signer.clone(), policy, last);
        let settings = LifeSettings::draw(&mut self.random);
        let mut life = Life::begin(&self.site.disk, restart.opened, settings, self.clock.clone(), number);
        for _ in 0..self.random.between(50, 600) {
            life.step(&mut self.reference).map_err(|violation| violation.to_string())?;
            if self.random.one_in(8) {
                self.seal(&mut sealer, &life, false)?;
            }
        }
        let ends_in_order = self.random.one_in(3);
        if ends_in_order {
            life.stop(&mut self.reference).map_err(|violation| violation.to_string())?;
            self.seal(&mut sealer, &life, true)?;
            if !sealer.is_through(life.durable()) {
                return Err("a log that has ended is not sealed to its end".to_owned());
            }
        } else {
            // The power fails after this many files.
            let files = self.random.between(0, 5);
            self.site.disk.with(|medium| medium.fail_power_after(Some(files)));
            let durable = self.mark(&life);
            let _ = sealer.turn(durable, true, usize::MAX, self.clock.now());
            self.counts.cut_short +=
                u64::from(files > 0 && self.site.disk.with(|medium| medium.is_power_off()));
            self.site.disk.with(|medium| medium.fail_power_after(None));
        }
        self.remember();
        life.end(&mut self.reference).map_err(|violation| violation.to_string())?;
        let is_killed = ends_in_order || self.random.one_in(3);
        self.site.disk.with(|medium| if is_killed { medium.kill_process() } else { medium.fail_power() });
        self.counts.checkpoints += sealer.sealed().checkpoints;
        Ok(())
    }

    fn mark(&self, life: &Life) -> stele_wire::Position {
        life.watermarks().get(self.follows)
    }

    fn seal(&mut self, sealer: &mut LiveSealer, life: &Life, is_ended: bool) -> Result<(), String> {
        let frames = self.random.pick(&[1, 20, 100_000]);
        let now = self.clock.now();
        loop {
            let taken = sealer.turn(self.mark(life), is_ended, frames, now);
            match taken.map_err(|error| error.to_string())? {
                0 => return Ok(()),
                _ if is_ended || self.random.one_in(2) => {}
                _ => return Ok(()),
            }
        }
    }

    /// Records every checkpoint on the disk: it may have been copied away by now.
    fn remember(&mut self) {
        self.site.disk.with(|medium| {
            let names =
                medium.names().filter(|name| name.starts_with("seals/checkpoints/") && !name.contains('.'));
            for name in names.map(str::to_owned).collect::<Vec<_>>() {
                let inode = medium.find(&name).expect("it was listed");
                let content = medium.content(inode);
                let mut bytes = vec![0; content.len()];
                content.read(0, &mut bytes);
                self.signed.insert(name, bytes);
            }
        });
    }

    /// Checks after a recovery that every recorded checkpoint is still there and true.
    fn hold(&mut self) -> Result<(), String> {
        let recovered =
            Restart::attempt(&self.site, 1, self.clock.now()).map_err(|error| error.to_string())?;
        let before = self.reference.len();
        self.reference.begin_epoch(&recovered.report, recovered.continuation.epoch);
        self.counts.rolled_back += (before - self.reference.len()) as u64;
        let seen = std::mem::take(&mut self.signed);
        self.remember();
        if let Some((name, _)) = seen.iter().find(|(name, bytes)| self.signed.get(*name) != Some(bytes)) {
            return Err(format!("{name} was seen and is another now, or gone"));
        }
        let options = ScanOptions { threads: 1, plain: true, ..ScanOptions::default() };
        match check(&self.storage(), self.signer.public(), None, &options) {
            Ok(report) if report.checkpoints == self.signed.len() as u64 => {
                self.counts.sealed = report.sealed;
                Ok(())
            }
            Ok(report) => Err(format!("{} checkpoints of {}", report.checkpoints, self.signed.len())),
            Err(SealCheckError::NotSealed(_)) if self.signed.is_empty() => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[test]
fn no_two_checkpoints_contradict_each_other_after_any_crash() {
    let mut total = Counts::default();
    for seed in 1..=60 {
        let mut world = World::new(seed, Watermark::Durable);
        world.run().unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        let Counts { checkpoints, cut_short, rolled_back, sealed } = world.counts;
        total.checkpoints += checkpoints;
        total.cut_short += cut_short;
        total.rolled_back += rolled_back;
        total.sealed += sealed;
    }
    println!("{total:?}");
    assert!(total.checkpoints > 1_000 && total.cut_short > 50 && total.sealed > 5_000, "{total:?}");
    assert!(total.rolled_back > 500, "{total:?}");
}

/// The checks above can fail: a sealer that does not wait for `durable` signs what a crash removes.
#[test]
fn a_sealer_that_does_not_wait_for_the_disk_is_caught() {
    let caught = (1..=60).filter(|seed| World::new(*seed, Watermark::Written).run().is_err()).count();
    assert!(caught > 5, "{caught}");
}
