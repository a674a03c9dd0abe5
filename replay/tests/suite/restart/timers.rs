//! Timers of strategies through a whole session, a kill, and the next session.

use super::shard::{Shard, Venue, registry};
use std::path::Path;
use stele_journal::TrailReader;
use stele_replay::divergence::check;
use stele_replay::recall::resume;
use stele_wire::codec::Message;
use stele_wire::messages::{NewOrder, TimerFired, TimerSet};
use stele_wire::units::Nanos;

fn found<M: Message>(trail: &Path) -> Vec<(u64, Nanos, M)> {
    let mut reader = TrailReader::open(trail).unwrap();
    let mut all = Vec::new();
    while let Some(entry) = reader.read_next().unwrap() {
        let frame = entry.frame;
        all.extend(frame.message::<M>().map(|message| (frame.sequence().0, frame.timestamp(), *message)));
    }
    all
}

#[test]
fn a_strategy_driven_by_timers_continues_after_a_kill_and_replays_equally() {
    let folder = tempfile::tempdir().unwrap();
    let trail = folder.path().join("trail");
    let mut shard = Shard::open(&trail, 1, None, Venue::open(folder.path()));
    shard.begin_with("waker", false);
    shard.run_for(Nanos(5_500_000));
    drop(shard);
    let (set, fired) = (found::<TimerSet>(&trail), found::<TimerFired>(&trail));
    assert_eq!((set.len(), fired.len()), (6, 5), "one for each millisecond, and the one that is pending");
    let pending = set.last().unwrap().0;

    let resumed = resume(&trail, registry(), |_| ()).unwrap();
    assert_eq!(resumed.timers.pending(), 1);
    let mut shard = Shard::open(&trail, 2, Some(resumed), Venue::open(folder.path()));
    shard.begin_with("waker", true);
    shard.run_for(Nanos(2_500_000));
    shard.end();

    let fired = found::<TimerFired>(&trail);
    assert!(fired.iter().all(|(_, time, it)| time.0 >= it.due.get()), "none fires early");
    assert_eq!(fired[5].2.set_sequence.get(), pending, "the one of the session before fires in this one");
    assert!(fired.len() >= 7, "and the strategy continues: {}", fired.len());
    assert_eq!(found::<NewOrder>(&trail).len(), fired.len(), "one order each time it is woken");
    let checked = check(&trail, registry(), |_| ()).unwrap();
    assert_eq!(checked.difference, None);
    let tally = checked.strategies.iter().map(|(_, _, tally)| tally.timers).sum::<u64>();
    assert_eq!(tally, found::<TimerSet>(&trail).len() as u64);
}
