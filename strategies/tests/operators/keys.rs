//! Pipelines by key compared with a map, and full tables.

use super::{disordered, results, run};
use proptest::prelude::*;
use std::collections::HashMap;
use stele_strategies::operators::*;
use stele_wire::Nanos;

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_key_has_a_pipeline_of_its_own(events in disordered((0..12u64, -9..9i64))) {
        let pipeline = || stream::<(u64, i64)>().map(|(_, value)| value).tumbling(Nanos(40), Nanos(0), Sum::default());
        let mut keyed = stream::<(u64, i64)>().key_by(Keys::up_to(12), |event| event.0, |_| pipeline());
        let mut alone = HashMap::new();
        let mut expected = Vec::new();
        for &(at, event) in &events {
            alone.entry(event.0).or_insert_with(pipeline).on_event(Nanos(at), event, &mut |at, out| {
                expected.push((at.0, (event.0, out)));
            });
        }
        prop_assert_eq!(run(&mut keyed, &events), expected);
    }

    #[test]
    fn a_full_table_evicts_the_least_recently_used_key(
        events in prop::collection::vec((0..40u64).prop_map(|key| key * 0x1_0000_0001), 1..300), capacity in 1..9usize,
    ) {
        let mut keyed = stream::<u64>().key_by(Keys::newest(capacity), |key| *key, |s| s.running(Count::default()));
        let given = results(&mut keyed, events.iter().copied());
        let (mut recent, mut evicted, mut expected) = (Vec::<(u64, u64)>::new(), 0, Vec::new());
        for &key in &events {
            let count = match recent.iter().position(|(known, _)| *known == key) {
                Some(at) => recent.remove(at).1,
                None => {
                    if recent.len() == capacity {
                        recent.remove(0);
                        evicted += 1;
                    }
                    0
                }
            };
            recent.push((key, count + 1));
            expected.push((key, count + 1));
        }
        prop_assert_eq!(given, expected);
        prop_assert_eq!(keyed.drops(), DropCounts { keys_evicted: evicted, ..DropCounts::default() });
    }
}

#[test]
fn a_full_table_refuses_another_key_and_keeps_its_keys() {
    let mut keyed = stream::<u64>().key_by(Keys::up_to(2), |key| *key, |s| s.running(Count::default()));
    assert_eq!(results(&mut keyed, [5, 6, 7, 5, 8]), [(5, 1), (6, 1), (5, 2)]);
    assert_eq!(keyed.drops(), DropCounts { keys_refused: 2, ..DropCounts::default() });
}

#[test]
fn the_drops_of_an_evicted_key_stay_counted() {
    let mut keyed = stream::<(u64, u64)>().key_by(
        Keys::newest(1),
        |event| event.0,
        |s| s.map(|(_, value)| value).tumbling(Nanos(10), Nanos(0), Count::default()),
    );
    let events = [(100, (1, 0)), (5, (1, 0)), (100, (2, 0)), (5, (1, 0))];
    assert_eq!(run(&mut keyed, &events).len(), 1, "the late one; for its key the last is the first event");
    assert_eq!(keyed.drops(), DropCounts { late: 1, keys_evicted: 2, ..DropCounts::default() });
}

#[test]
fn time_reaches_the_keys_in_the_order_of_their_first_event() {
    let mut keyed = stream::<u64>().key_by(
        Keys::up_to(9),
        |key| *key,
        |s| s.tumbling(Nanos(10), Nanos(0), Count::default()),
    );
    assert!(results(&mut keyed, [8, 3, 8, 5]).is_empty());
    let keys: Vec<_> = super::end(&mut keyed).into_iter().map(|(_, (key, _))| key).collect();
    assert_eq!(keys, [8, 3, 5]);
}
