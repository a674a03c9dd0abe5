//! When the disk fails while the journal runs, the journal is poisoned, `durable` stays, publishers are
//! refused with the reason, no order leaves that was not durable, the stop is orderly, and everything
//! acknowledged survives.

use std::collections::BTreeSet;
use stele_bus::{Clock, ManualClock};
use stele_journal::format::segment_name;
use stele_journal::{FlushMethod, JournalOptions};
use stele_sim::BrokenPromise;
use stele_sim::behaviour::DiskBehaviour;
use stele_sim::bounds::{SEGMENT_LENGTH, SHARD};
use stele_sim::checkers::ReferenceLog;
use stele_sim::disk::{Disk, SimSite};
use stele_sim::life::{Life, LifeSettings};
use stele_sim::medium::Medium;
use stele_sim::random::SeededRandom;
use stele_sim::restart::Restart;
use stele_wire::{Nanos, TrailId};

/// Steps before the failure.
const SOUND_STEPS: u64 = 400;
/// Steps within which the failure must be noticed.
const FAILING_STEPS: u64 = 20_000;

fn site(seed: u64) -> SimSite {
    let options =
        JournalOptions { shard: SHARD, segment_length: SEGMENT_LENGTH, ..JournalOptions::default() };
    let disk = Disk::new(Medium::new(SeededRandom::new(seed, 2)));
    SimSite { disk, trail: TrailId([4; 16]), block_length: 512, options }
}

fn settings(flush: FlushMethod) -> LifeSettings {
    let mut settings = LifeSettings::draw(&mut SeededRandom::new(1, 1));
    // Much traffic, so that segments roll, and turns for every part.
    settings.steps = [8, 8, 8, 4, 4, 8, 4, 1, 1];
    settings.mix.weights = [10, 4, 2, 1, 2];
    (settings.burst_max, settings.clock_max, settings.flush) = (8, 100_000, flush);
    settings
}

/// Runs one life in which the disk begins to fail as `behaviour` states. [`Life::step`] checks every step,
/// before and after the failure. Returns the journal's message.
fn fail(seed: u64, flush: FlushMethod, behaviour: DiskBehaviour) -> String {
    let (site, mut reference, clock) = (site(seed), ReferenceLog::default(), ManualClock::at(Nanos(1 << 60)));
    let opened = Restart::attempt(&site, 2, clock.clone().now()).unwrap();
    reference.begin_epoch(&opened.report, opened.continuation.epoch);
    let mut life = Life::begin(&site.disk, opened.opened, settings(flush), clock.clone(), seed);
    (0..SOUND_STEPS).for_each(|_| life.step(&mut reference).unwrap());
    assert!(!life.is_poisoned());
    site.disk.with(|medium| medium.set_behaviour(DiskBehaviour { delay_max: 8, ..behaviour }));
    let steps = (0..FAILING_STEPS).take_while(|_| {
        life.step(&mut reference).unwrap();
        !life.is_poisoned()
    });
    assert!((steps.count() as u64) < FAILING_STEPS, "seed {seed}: the failure is not noticed");
    let durable = life.durable();
    (0..500).for_each(|_| life.step(&mut reference).unwrap());
    assert_eq!(life.durable(), durable, "durable stays");
    life.stop(&mut reference).unwrap();
    let said = life.failure().expect("a poisoned journal says why");
    assert!(said.contains(&format!("Everything up to position {durable} is durable")), "{said}");
    assert!(said.contains(".stele (position"), "{said}");
    let first = life.first_segment();
    life.end(&mut reference).unwrap();
    site.disk.with(|medium| {
        medium.set_behaviour(DiskBehaviour::default());
        medium.fail_power();
    });
    let again = Restart::attempt(&site, 2, clock.clone().now()).unwrap();
    again.check(&site, &reference, durable, first).unwrap();
    said
}

/// Returns the journal's messages over some seeds and every flush method.
fn failures(behaviour: DiskBehaviour) -> BTreeSet<String> {
    let seeds = (0..4).flat_map(|seed| FlushMethod::ALL.map(|flush| (seed, flush)));
    let said = seeds.map(|(seed, flush)| fail(seed, flush, behaviour));
    said.collect()
}

fn all_say(said: &BTreeSet<String>, what: &str) {
    assert!(said.iter().all(|said| said.contains(what)), "{what}: {said:?}");
}

fn some_say(said: &BTreeSet<String>, what: &str) {
    assert!(said.iter().any(|said| said.contains(what)), "{what}: {said:?}");
}

#[test]
fn a_failed_a_short_and_an_unaffordable_write_poison_the_journal() {
    let said = failures(DiskBehaviour { write_failure: 1, ..DiskBehaviour::default() });
    all_say(&said, "the journal stopped: a write failed at offset");
    some_say(&said, "Input/output error");
    some_say(&said, "wrote less than it was given");
    some_say(&said, "No space left on device (os error 28): free some space");
}

#[test]
fn a_failed_flush_poisons_the_journal_whichever_way_it_flushes() {
    let said = failures(DiskBehaviour { sync_failure: 1, ..DiskBehaviour::default() });
    all_say(&said, "the journal stopped: a flush failed at offset");
    some_say(&said, "Input/output error");
}

#[test]
fn a_kernel_that_refuses_a_request_poisons_the_journal() {
    let said = failures(DiskBehaviour { submit_failure: 1, ..DiskBehaviour::default() });
    all_say(&said, "the journal stopped: submitting a write failed");
}

#[test]
fn no_space_for_the_next_segment_poisons_the_journal_at_the_roll_and_not_before() {
    let said = failures(DiskBehaviour { spare_failure: 1, ..DiskBehaviour::default() });
    all_say(&said, "the journal stopped: preparing the next segment failed");
    all_say(&said, "free some space or choose another directory; everything acknowledged so far is intact");
}

#[test]
fn a_removed_segment_is_noticed_when_the_trail_is_closed() {
    let (site, mut reference, clock) = (site(1), ReferenceLog::default(), ManualClock::at(Nanos(1 << 60)));
    let opened = Restart::attempt(&site, 2, clock.clone().now()).unwrap();
    reference.begin_epoch(&opened.report, opened.continuation.epoch);
    let mut life = Life::begin(&site.disk, opened.opened, settings(FlushMethod::FlushedWrites), clock, 1);
    (0..SOUND_STEPS).for_each(|_| life.step(&mut reference).unwrap());
    let name = segment_name(life.segment());
    assert!(site.disk.with(|medium| medium.remove(&name)));
    life.stop(&mut reference).unwrap();
    let said = life.failure().expect("the file is gone");
    assert!(said.contains("closing the trail failed") && said.contains(&name), "{said}");
}

/// The disk fails and loses data at once: a checker that the failure stops would miss that.
#[test]
fn a_poisoned_journal_does_not_hide_that_the_disk_lost_what_it_flushed() {
    let lost = (0..20).filter(|&seed| {
        let behaviour = DiskBehaviour {
            write_failure: 40,
            broken_promise: Some(BrokenPromise::LosesFlushes),
            ..DiskBehaviour::default()
        };
        std::panic::catch_unwind(|| fail(seed, FlushMethod::FlushedWrites, behaviour)).is_err()
    });
    assert!(lost.count() > 5);
}
