//! At every roll, a snapshot and the events after it equal the whole replay, byte for byte, on trails of
//! sessions that ended in order and of sessions that were killed.

use crate::rig::{Rig, frames};
use crate::session::PARAMETERS;
use std::fs;
use std::path::Path;
use stele_journal::format::segment_name;
use stele_journal::snapshot::{self, SnapshotSection, snapshot_name};
use stele_journal::{Directory, TrailReader};
use stele_replay::divergence::check;
use stele_replay::follower::{FollowProgress, Follower, take_newest};
use stele_replay::recall::{recall, resume};
use stele_replay::{ResumeError, ResumedSession, TrailState};
use stele_strategies::registry::Registry;
use stele_venue::paper_exchange::{PaperExchange, PaperOptions};
use stele_wire::units::{Position, Sequence};

const SEGMENT: u64 = 256 << 10;
const EVERYTHING: Position = Position(u64::MAX);

fn registry() -> Registry {
    Registry::built_in()
}

/// Opens a session over the trail: begins it, trades for `steps`, and leaves an order resting.
fn session(path: &Path, epoch: u32, steps: u64) -> Rig {
    let resumed = (epoch > 1).then(|| resume(path, registry(), |_| ()).unwrap());
    let (state, unsent) = match resumed {
        Some(ResumedSession { host, unsent, open_orders, numbers, .. }) => {
            let exchange = PaperExchange::resume(PaperOptions::default(), &open_orders, numbers);
            (Some((host, exchange)), unsent)
        }
        None => (None, Vec::new()),
    };
    let mut rig = Rig::open_with(path, epoch, state, SEGMENT);
    rig.begin("ma-cross", PARAMETERS, epoch > 1);
    rig.submit(&unsent);
    for part in 0..4 {
        rig.market(u64::from(epoch) * 4 + part, steps / 4);
        rig.fill();
    }
    rig.rest_an_order(70 + u64::from(epoch));
    rig
}

/// Writes three sessions over several segments each: ended, killed, ended.
fn trail(path: &Path) {
    session(path, 1, 100).end();
    session(path, 2, 77).kill();
    session(path, 3, 100).end();
}

/// Follows the whole trail, keeping every snapshot, and returns the state at each roll and at the end.
fn follow(path: &Path) -> (Vec<(u64, Vec<SnapshotSection>)>, Vec<SnapshotSection>) {
    let mut follower = Follower::new(path, TrailState::new(registry()), 1000).unwrap();
    let mut rolls = Vec::new();
    loop {
        let taken = match follower.follow(EVERYTHING, 1000).unwrap() {
            FollowProgress::Followed(1000) => None,
            FollowProgress::Snapshot(taken) => Some(taken),
            FollowProgress::Followed(_) => break,
        };
        rolls.extend(taken.map(|taken| (taken.standing.segment, follower.resume().snapshot())));
    }
    let end = follower.resume().snapshot();
    let taken = follower.finish().unwrap().expect("the trail ended in order");
    rolls.push((taken.standing.segment, end.clone()));
    (rolls, end)
}

fn remove_snapshots(path: &Path) {
    let directory = Directory::new(path);
    for index in snapshot::list(&directory).unwrap() {
        fs::remove_file(path.join(snapshot_name(index))).unwrap();
    }
}

/// Returns everything that a new session reads from the trail, as text.
fn digest(resumed: ResumedSession) -> String {
    let ResumedSession { host, unsent, open_orders, numbers, known, events, .. } = resumed;
    let ResumedSession { last_sequence, last_timestamp, epoch, has_ended, .. } = resumed;
    let mut state = Vec::new();
    host.snapshot(&mut state);
    format!(
        "{state:?} {unsent:?} {open_orders:?} {numbers:?} {known:?} {events} {last_sequence} {last_timestamp} \
         {epoch} {has_ended}"
    )
}

#[test]
fn a_snapshot_at_any_roll_and_the_events_after_it_equal_the_whole_replay() {
    let folder = tempfile::tempdir().unwrap();
    trail(folder.path());
    let whole = digest(resume(folder.path(), registry(), |_| ()).unwrap());
    let (rolls, end) = follow(folder.path());
    assert!(rolls.len() > 5, "{} segments", rolls.len());
    let directory = Directory::new(folder.path());
    let segments = stele_journal::read_segments(&directory).unwrap();
    for (segment, state) in rolls {
        let read = snapshot::read(&directory, &segments, segment).unwrap();
        let mut again = TrailState::restore(registry(), |name| read.section(name)).unwrap();
        assert_eq!(again.snapshot(), state, "after segment {segment}");
        let mut reader = TrailReader::open(folder.path()).unwrap();
        reader.seek(Sequence(again.last_sequence() + 1)).unwrap();
        while let Some(entry) = reader.read_next().unwrap() {
            again.on_event(&entry.frame).unwrap();
        }
        assert!(again.snapshot() == end, "after segment {segment} and the events after it");
        assert!(digest(again.finish()) == whole, "after segment {segment} and the events after it");
    }
}

#[test]
fn a_restart_reads_only_the_events_after_the_newest_whole_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    trail(folder.path());
    let path = folder.path();
    let all = frames(path).len() as u64;
    let whole = recall(path, registry(), |_| ()).unwrap();
    assert_eq!((whole.replayed, whole.snapshot), (all, None));
    let expected = digest(whole.resume.finish());
    let (rolls, _) = follow(path);
    let mut before = all;
    // Each snapshot, from the newest on, is used, then damaged by one bit, and then skipped and named.
    for (damaged, (segment, _)) in rolls.iter().rev().enumerate().take(4) {
        let recalled = recall(path, registry(), |_| ()).unwrap();
        let used = recalled.snapshot.unwrap();
        assert_eq!((used.standing.segment, recalled.refused.len()), (*segment, damaged));
        assert_eq!(recalled.replayed, all - used.standing.last_sequence.0);
        assert!(damaged == 0 || used.standing.last_sequence.0 < before);
        before = used.standing.last_sequence.0;
        assert!(digest(recalled.resume.finish()) == expected, "from segment {segment}");
        let file = path.join(snapshot_name(*segment));
        let mut bytes = fs::read(&file).unwrap();
        let bit = (*segment as usize * 7919) % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::remove_file(&file).unwrap();
        fs::write(&file, bytes).unwrap();
    }
    remove_snapshots(path);
    assert_eq!(recall(path, registry(), |_| ()).unwrap().replayed, all);
}

#[test]
fn a_trail_whose_beginning_has_expired_continues_from_a_snapshot_or_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    trail(folder.path());
    let path = folder.path();
    let expected = digest(resume(path, registry(), |_| ()).unwrap());
    let all = frames(path).len() as u64;
    let (rolls, _) = follow(path);
    for (segment, _) in &rolls[..3] {
        fs::remove_file(path.join(segment_name(*segment))).unwrap();
    }
    for (segment, _) in &rolls[..2] {
        fs::remove_file(path.join(snapshot_name(*segment))).unwrap();
    }
    assert!(digest(resume(path, registry(), |_| ()).unwrap()) == expected);
    let checked = check(path, registry(), |_| ()).unwrap();
    assert_eq!((&checked.difference, checked.events), (&None, all - checked.from_sequence + 1));
    assert!(checked.from_sequence > 1);
    remove_snapshots(path);
    let Err(error) = resume(path, registry(), |_| ()) else { panic!("it has no beginning") };
    assert!(matches!(error, ResumeError::NoBeginning { segment, .. } if segment == rolls[2].0 + 1));
    assert!(error.to_string().contains("restore a snapshot"), "{error}");
    assert!(check(path, registry(), |_| ()).is_err());
}

#[test]
fn the_live_follower_takes_the_same_snapshots_as_a_later_read_of_the_trail() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    session(path, 1, 30).kill();
    let mut rig = session(path, 2, 1);
    // Begins with the state after the first session, as a start over the trail does.
    let mut state = TrailState::new(registry());
    let mut reader = TrailReader::open(path).unwrap();
    while let Some(entry) = reader.read_next().unwrap().filter(|entry| entry.epoch.0 == 1) {
        state.on_event(&entry.frame).unwrap();
    }
    let mut follower = Follower::new(path, state, 1000).unwrap();
    let mut taken = Vec::new();
    for step in 0..10 {
        rig.market(step, 3);
        rig.fill();
        while let FollowProgress::Snapshot(one) = follower.follow(rig.durable(), usize::MAX).unwrap() {
            assert!(one.standing.end <= rig.durable());
            taken.push(one);
        }
    }
    rig.end();
    while let FollowProgress::Snapshot(one) = follower.follow(EVERYTHING, usize::MAX).unwrap() {
        taken.push(one);
    }
    taken.extend(follower.finish().unwrap());
    assert!(taken.len() > 3, "{} rolls", taken.len());
    remove_snapshots(path);
    follow(path);
    let directory = Directory::new(path);
    let segments = stele_journal::read_segments(&directory).unwrap();
    for one in taken {
        let later = snapshot::read(&directory, &segments, one.standing.segment).unwrap();
        assert_eq!((later.origin, later.digest), (one.standing, one.written));
    }
}

#[test]
fn a_snapshot_whose_hash_differs_from_the_logged_one_is_skipped() {
    for (hash_is_right, used) in [(true, true), (false, false)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        session(path, 1, 30).end();
        let newest = take_newest(path, &registry(), 2, |_| ()).unwrap().unwrap();
        assert!(!newest.was_there && newest.replayed > 0);
        let again = take_newest(path, &registry(), 2, |_| ()).unwrap().unwrap();
        assert!(again.was_there && again.taken == newest.taken);
        let mut rig = session(path, 2, 1);
        let mut hash = newest.taken.written.hash;
        hash[0] ^= u8::from(!hash_is_right);
        rig.log_snapshot(newest.taken.standing.last_sequence, hash);
        rig.end();
        let recalled = recall(path, registry(), |_| ()).unwrap();
        assert_eq!(recalled.snapshot.map(|used| used.is_logged), used.then_some(true));
        assert_eq!(recalled.refused.len(), usize::from(!used));
    }
}
