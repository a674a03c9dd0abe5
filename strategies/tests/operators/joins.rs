//! Joins compared with all pairs of events.

use super::{disordered, run};
use proptest::prelude::*;
use stele_strategies::operators::*;
use stele_wire::Nanos;

/// Events of both sides with their numbers.
fn sided(events: Vec<(u64, bool)>) -> Vec<(u64, Either<u64, u64>)> {
    let side = |(number, (at, is_left)): (usize, &(u64, bool))| {
        let number = number as u64;
        (*at, if *is_left { Either::Left(number) } else { Either::Right(number) })
    };
    events.iter().enumerate().map(side).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_join_emits_every_pair_within_the_window_once_and_the_rest_as_late(
        events in disordered(any::<bool>()), window in 0..60u64, grace in 0..40u64,
    ) {
        let events = sided(events);
        let mut join = stream::<Either<u64, u64>>().then(Join::new(Nanos(window), Nanos(grace), 128));
        let given = run(&mut join, &events);
        let (mut time, mut come, mut expected) = (0, Vec::new(), Vec::new());
        for &(at, event) in &events {
            time = time.max(at);
            if at + grace < time {
                expected.push((at, Err(Late(event))));
                continue;
            }
            let mut partners: Vec<_> =
                come.iter().copied().filter(|(other, _): &(u64, Either<u64, u64>)| other.abs_diff(at) <= window).collect();
            partners.sort_by_key(|(other, _)| *other);
            for (other, partner) in partners {
                match (event, partner) {
                    (Either::Left(left), Either::Right(right)) | (Either::Right(right), Either::Left(left)) => {
                        expected.push((at.max(other), Ok((left, right))));
                    }
                    _ => {}
                }
            }
            come.push((at, event));
        }
        prop_assert_eq!(given, expected);
    }
}

#[test]
fn a_full_side_drops_its_oldest_event_and_counts_it() {
    let mut join = stream::<Either<u64, u64>>().join(Nanos(100), Nanos(100), 2);
    let lefts = [(10, 1), (20, 2), (30, 3), (5, 4)].map(|(at, left)| (at, Either::Left(left)));
    assert!(run(&mut join, &lefts).is_empty());
    let given = run(&mut join, &[(30, Either::Right(9))]);
    assert_eq!(given, [(30, Ok((2, 9))), (30, Ok((3, 9)))]);
    assert_eq!(join.drops(), DropCounts { crowded_out: 2, ..DropCounts::default() });
}

#[test]
fn a_table_keeps_the_latest_value_and_none_removes_it() {
    let mut joined = stream::<Either<char, Option<u64>>>().join_table();
    let events = [
        (1, Either::Left('a')),
        (2, Either::Right(Some(7))),
        (3, Either::Left('b')),
        (1, Either::Right(Some(6))),
        (4, Either::Left('c')),
        (5, Either::Right(None)),
        (6, Either::Left('d')),
    ];
    let given: Vec<_> = run(&mut joined, &events).into_iter().map(|(_, out)| out).collect();
    assert_eq!(given, [('a', None), ('b', Some(7)), ('c', Some(7)), ('d', None)]);
    assert_eq!(joined.drops(), DropCounts { late: 1, ..DropCounts::default() });
}
