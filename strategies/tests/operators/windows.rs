//! Tumbling, hopping, sliding and session windows compared with models that keep every event.

use super::{disordered, end, run};
use proptest::prelude::*;
use std::collections::BTreeMap;
use stele_strategies::operators::*;
use stele_strategies::{RestoreError, SnapshotReader};
use stele_wire::Nanos;

type Summary = (u64, i128, i64, i64, i64, i64);
type Given = Vec<(u64, Result<Window<Summary>, Late<i64>>)>;

fn summary() -> (Count, Sum, Min<i64>, Max<i64>, First<i64>, Last<i64>) {
    Default::default()
}

/// The same computed from all events, in the order of arrival.
fn naive(events: &[(u64, i64)]) -> Summary {
    let mut by_time = events.to_vec();
    by_time.sort_by_key(|(at, _)| *at);
    let values = || by_time.iter().map(|(_, value)| *value);
    let sum = values().map(i128::from).sum();
    let (least, greatest) = (values().min().unwrap(), values().max().unwrap());
    (events.len() as u64, sum, least, greatest, values().next().unwrap(), values().next_back().unwrap())
}

fn window(start: u64, end: u64, events: &[(u64, i64)]) -> Window<Summary> {
    Window { start: Nanos(start), end: Nanos(end), value: naive(events) }
}

/// Windows as a map, with every documented rule.
fn hopping(events: &[(u64, i64)], length: u64, hop: u64, grace: u64) -> (Given, DropCounts) {
    let (mut open, mut out, mut drops) =
        (BTreeMap::<u64, Vec<_>>::new(), Given::new(), DropCounts::default());
    let (mut time, end_of_time) = (0, (u64::MAX, 0));
    for (at, value) in events.iter().copied().chain([end_of_time]) {
        time = time.max(at);
        let is_closed = |start: u64| start + length + grace <= time;
        while let Some(entry) = open.first_entry().filter(|entry| is_closed(*entry.key())) {
            let (start, events) = entry.remove_entry();
            out.push((start + length - 1, Ok(window(start, start + length, &events))));
        }
        if at == u64::MAX {
            break;
        }
        let starts = (0..=at / hop).map(|index| index * hop).filter(|start| at < start + length);
        let (closed, belongs): (Vec<_>, Vec<_>) = starts.partition(|start| is_closed(*start));
        match (closed.is_empty(), belongs.is_empty()) {
            (_, true) => {
                drops.late += 1;
                out.push((at, Err(Late(value))));
            }
            (false, false) => drops.late_in_part += 1,
            (true, false) => {}
        }
        belongs.into_iter().for_each(|start| open.entry(start).or_default().push((at, value)));
    }
    (out, drops)
}

/// Sessions as lists of events, with every documented rule.
fn sessions(events: &[(u64, i64)], gap: u64, grace: u64) -> (Given, DropCounts) {
    let (mut open, mut out, mut drops) = (Vec::<Vec<(u64, i64)>>::new(), Given::new(), DropCounts::default());
    let bounds = |events: &[(u64, i64)]| {
        let times = || events.iter().map(|(at, _)| *at);
        (times().min().unwrap(), times().max().unwrap())
    };
    let mut time = 0;
    for (at, value) in events.iter().copied().chain([(u64::MAX, 0)]) {
        time = time.max(at);
        open.sort_by_key(|events| bounds(events));
        let (closed, rest): (Vec<_>, Vec<_>) =
            open.drain(..).partition(|events| bounds(events).1 + gap + grace < time);
        open = rest;
        for events in closed {
            let (start, last) = bounds(&events);
            out.push((last, Ok(window(start, last + 1, &events))));
        }
        if at == u64::MAX {
            break;
        }
        let (near, rest): (Vec<_>, Vec<_>) = open.drain(..).partition(|events| {
            let (first, last) = bounds(events);
            first <= at + gap && at <= last + gap
        });
        open = rest;
        if near.is_empty() && at + gap + grace < time {
            drops.late += 1;
            out.push((at, Err(Late(value))));
            continue;
        }
        let mut merged = near.concat();
        merged.push((at, value));
        open.push(merged);
    }
    (out, drops)
}

/// Follows a window and checks that no result is earlier than the time that was passed on.
#[derive(Clone)]
struct Probe(u64);

impl State for Probe {
    fn reset(&mut self) {
        self.0 = 0;
    }

    fn snapshot(&self, _: &mut Vec<u8>) {}

    fn restore(&mut self, _: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        Ok(())
    }
}

impl<T> Operator<T> for Probe {
    type Out = T;

    fn on_event(&mut self, at: Nanos, input: T, emit: &mut impl FnMut(Nanos, T)) {
        assert!(at.0 >= self.0, "{at} is before {}", self.0);
        emit(at, input);
    }

    fn on_time(&mut self, at: Nanos, _: &mut impl FnMut(Nanos, T)) -> Nanos {
        self.0 = self.0.max(at.0);
        at
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tumbling_and_hopping_windows_agree_with_a_map(
        events in disordered(-50..50i64), length in 1..80u64, parts in 1..5u64, grace in 0..60u64,
    ) {
        let hop = (length / parts).max(1);
        let operator = Windows::new(Nanos(length), Nanos(hop), Nanos(grace), summary());
        let mut stream = stream::<i64>().then(operator);
        let mut given = run(&mut stream, &events);
        given.extend(end(&mut stream));
        let (expected, drops) = hopping(&events, length, hop, grace);
        prop_assert_eq!(given, expected);
        prop_assert_eq!(stream.drops(), drops);
    }

    #[test]
    fn sessions_agree_with_lists_of_events(events in disordered(-50..50i64), gap in 1..40u64, grace in 0..60u64) {
        let mut stream = stream::<i64>().sessions(Nanos(gap), Nanos(grace), summary());
        let mut given = run(&mut stream, &events);
        given.extend(end(&mut stream));
        let (expected, drops) = sessions(&events, gap, grace);
        prop_assert_eq!(given, expected);
        prop_assert_eq!(stream.drops(), drops);
    }

    #[test]
    fn with_enough_grace_the_order_of_arrival_does_not_matter(events in disordered(-50..50i64)) {
        let build = || stream::<i64>().fork(
            |s| s.tumbling(Nanos(30), Nanos(5_000), (Count::default(), Sum::default(), Quantile::<i64>::new(900, 200))),
            |s| s.sessions(Nanos(20), Nanos(60_000), (Count::default(), Sum::default(), Min::<i64>::default())),
        );
        prop_assume!(events.iter().map(|(at, _)| at).max().unwrap() < &6_000);
        let mut sorted = events.clone();
        sorted.sort();
        let (mut one, mut other) = (build(), build());
        let mut by_arrival = run(&mut one, &events);
        by_arrival.extend(end(&mut one));
        let mut by_time = run(&mut other, &sorted);
        by_time.extend(end(&mut other));
        by_arrival.sort_by_key(|(at, out)| (matches!(out, Either::Left(_)), *at));
        by_time.sort_by_key(|(at, out)| (matches!(out, Either::Left(_)), *at));
        prop_assert_eq!(by_arrival, by_time);
        prop_assert!(one.drops().is_empty());
    }

    #[test]
    fn nothing_is_late_after_a_window_that_holds_time_back(
        events in disordered(0..2u64), grace in 0..60u64, capacity in 1..4usize, ticks in prop::collection::vec(0..90u64, 120),
    ) {
        fn probe<O: Operator<u64>>(operator: Stream<u64, O>, events: &[(u64, u64)], ticks: &[u64]) {
            let mut probed = operator.then(Probe(0));
            for (event, tick) in events.iter().zip(ticks) {
                run(&mut probed, &[*event]);
                super::tick(&mut probed, event.0 + tick);
            }
        }
        let grace = Nanos(grace);
        let hopping = |s: Stream<u64, PassThrough>| s.hopping(Nanos(30), Nanos(10), grace, Count::default()).in_time();
        probe(hopping(stream()), &events, &ticks);
        probe(stream().sessions(Nanos(15), grace, Count::default()).in_time(), &events, &ticks);
        probe(stream().sliding(Nanos(15), 64, Count::default()).in_time(), &events, &ticks);
        probe(stream().key_by(Keys::up_to(capacity), |key| *key, hopping), &events, &ticks);
        probe(stream().key_by(Keys::newest(capacity), |key| *key, hopping), &events, &ticks);
        probe(stream().fork(hopping, hopping), &events, &ticks);
        let sides = stream().map(|side| if side == 0 { Either::Left(side) } else { Either::Right(side) });
        probe(sides.join(Nanos(25), grace, 64).in_time(), &events, &ticks);
    }

    #[test]
    fn a_sliding_window_holds_what_is_within_its_length(events in disordered(-50..50i64), length in 1..90u64) {
        let aggregate = (Count::default(), Sum::default(), MovingMin::<i64>::new(200), MovingMax::<i64>::new(200));
        let aggregate = (aggregate, Mean::<i64>::default(), Last::<i64>::default(), Quantile::new(250, 200));
        let mut stream = stream::<i64>().sliding(Nanos(length), 200, aggregate);
        let given = run(&mut stream, &events);
        let (mut time, mut late, mut come) = (0, 0, Vec::new());
        for ((at, value), (given_at, given)) in events.iter().zip(&given) {
            time = time.max(*at);
            if at + length <= time {
                late += 1;
                prop_assert_eq!((given_at, given), (at, &Err(Late(*value))));
                continue;
            }
            come.push((*at, *value));
            let within: Vec<_> = come.iter().copied().filter(|(at, _)| at + length > time).collect();
            let (count, sum, least, greatest, _, last) = naive(&within);
            let mut ordered: Vec<_> = within.iter().map(|(_, value)| *value).collect();
            ordered.sort();
            let quartile = ordered[ordered.len().div_ceil(4) - 1];
            let mean = sum.div_euclid(i128::from(count)) as i64;
            let value = ((count, sum, least, greatest), mean, last, quartile);
            let (start, end) = (Nanos((time + 1).saturating_sub(length)), Nanos(time + 1));
            prop_assert_eq!(given_at, &time);
            prop_assert_eq!(given, &Ok(Window { start, end, value }));
        }
        prop_assert_eq!(given.len(), events.len());
        prop_assert_eq!(stream.drops(), DropCounts { late, ..DropCounts::default() });
    }

    #[test]
    fn recent_holds_the_last_arrivals(values in prop::collection::vec(-20..20i64, 1..80), count in 1..12usize) {
        let aggregate = (MovingMin::<i64>::new(count), MovingMax::<i64>::new(count), Mean::<i64>::default());
        let given = super::results(&mut Recent::new(count, aggregate.clone()), values.iter().copied());
        let of = |window: &[i64]| {
            let sum: i64 = window.iter().sum();
            let mean = sum.div_euclid(window.len() as i64);
            (*window.iter().min().unwrap(), *window.iter().max().unwrap(), mean)
        };
        prop_assert_eq!(given, values.windows(count).map(of).collect::<Vec<_>>());
        let given = super::results(&mut Recent::from_first(count, aggregate), values.iter().copied());
        let ends = 1..=values.len();
        let expected: Vec<_> = ends.map(|end| of(&values[end.saturating_sub(count)..end])).collect();
        prop_assert_eq!(given, expected);
    }
}

#[test]
fn a_full_sliding_window_drops_its_oldest_event_and_counts_it() {
    let mut stream = stream::<u64>().sliding(seconds(1), 3, Sum::default());
    let given = run(&mut stream, &[(10, 1), (20, 2), (30, 4), (40, 8), (5, 16)]);
    let sums: Vec<_> = given.iter().map(|(_, result)| result.unwrap().value).collect();
    assert_eq!(sums, [1, 3, 7, 14]);
    assert_eq!(stream.drops(), DropCounts { crowded_out: 2, ..DropCounts::default() });
}

#[test]
fn time_alone_closes_a_window_and_makes_what_follows_late() {
    let mut stream = stream::<u64>().tumbling(Nanos(10), Nanos(5), Sum::default());
    assert!(run(&mut stream, &[(3, 1), (9, 2)]).is_empty());
    let mut given = Vec::new();
    stream.on_time(Nanos(14), &mut |at, window| given.push((at, window)));
    assert!(given.is_empty());
    stream.on_time(Nanos(15), &mut |at, window| given.push((at, window)));
    assert_eq!(given, [(Nanos(9), Ok(Window { start: Nanos(0), end: Nanos(10), value: 3 }))]);
    assert_eq!(run(&mut stream, &[(9, 4)]), [(9, Err(Late(4)))]);
}

#[test]
fn a_window_of_windows_adds_each_to_the_one_it_ends_in() {
    let mut hours = stream::<u64>()
        .tumbling(minutes(1), seconds(0), Sum::default())
        .in_time()
        .map(|minute| minute.value as u64)
        .tumbling(minutes(60), seconds(0), (Count::default(), Sum::default()))
        .in_time();
    let events: Vec<_> = (0..7_200).map(|second| (seconds(second).0, 1)).collect();
    let mut given = run(&mut hours, &events);
    given.extend(end(&mut hours));
    assert_eq!(given.iter().map(|(_, hour)| hour.value).collect::<Vec<_>>(), [(60, 3_600), (60, 3_600)]);
}

#[test]
fn times_at_the_limit_of_the_number_range_are_handled() {
    let build = || {
        stream::<u64>().fork(
            |s| s.hopping(Nanos(1 << 62), Nanos(1 << 60), Nanos(u64::MAX), Count::default()),
            |s| s.sessions(Nanos(u64::MAX / 2), Nanos(u64::MAX), Count::default()),
        )
    };
    let mut pipeline = build();
    let given = run(&mut pipeline, &[(u64::MAX, 1), (u64::MAX - 1, 2), (0, 3), (u64::MAX, 4)]);
    assert!(given.len() <= 4);
    let mut narrow = stream::<u64>().tumbling(Nanos(1), Nanos(0), Count::default());
    assert_eq!(run(&mut narrow, &[(u64::MAX - 1, 1), (u64::MAX, 2)]).len(), 1, "the last window has no end");
}

#[test]
#[should_panic(expected = "choose a shorter grace period or a longer hop")]
fn too_many_open_windows_are_refused_when_the_pipeline_is_built() {
    let _ = stream::<u64>().hopping(minutes(60), millis(1), seconds(0), Count::default());
}
