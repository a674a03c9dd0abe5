use super::*;
use std::collections::BTreeMap;

/// The simplest correct book: orders by number, levels by price.
#[derive(Default)]
struct NaiveBook {
    orders: BTreeMap<u64, (bool, i64, u64)>,
    levels: [BTreeMap<i64, u64>; 2],
}

impl NaiveBook {
    fn change(&mut self, is_bid: bool, price: i64, by: i64) {
        let level = self.levels[usize::from(is_bid)].entry(price).or_default();
        *level = level.checked_add_signed(by).expect("a level's quantity");
        if *level == 0 {
            self.levels[usize::from(is_bid)].remove(&price);
        }
    }

    fn apply(&mut self, record: &FlowRecord) {
        let FlowRecord { is_bid, order_id, price, quantity, .. } = *record;
        match record.kind {
            FlowKind::Add => {
                assert!(self.orders.insert(order_id, (is_bid, price, quantity)).is_none(), "a new number");
                self.change(is_bid, price, quantity as i64);
            }
            FlowKind::Modify => {
                let order = self.orders.get_mut(&order_id).expect("an order that rests");
                let before = std::mem::replace(order, (is_bid, price, quantity));
                assert!(before.0 == is_bid && quantity <= before.2);
                self.change(is_bid, before.1, -(before.2 as i64));
                self.change(is_bid, price, quantity as i64);
            }
            FlowKind::Cancel { left } | FlowKind::Execute { left } => {
                let order = self.orders.get_mut(&order_id).expect("an order that rests");
                assert_eq!(
                    (order.0, order.1, order.2 - quantity),
                    (is_bid, price, u64::from(left) * tuning::LOT)
                );
                order.2 -= quantity;
                if order.2 == 0 {
                    self.orders.remove(&order_id);
                }
                self.change(is_bid, price, -(quantity as i64));
            }
            FlowKind::Trade => assert!(self.orders.contains_key(&order_id)),
        }
    }

    fn best(&self) -> (i64, i64) {
        (
            *self.levels[1].last_key_value().expect("bids").0,
            *self.levels[0].first_key_value().expect("asks").0,
        )
    }
}

fn config(events: u64) -> GeneratorConfig {
    GeneratorConfig { events: Some(events), ..GeneratorConfig::default() }
}

#[test]
fn books_are_never_crossed_and_always_ten_levels_deep() {
    let mut flow = Flow::new(&config(400_000));
    let mut books: Vec<NaiveBook> = (0..8).map(|_| NaiveBook::default()).collect();
    let (mut sequence, mut time) = (0, 0);
    loop {
        let records = flow.next_action().to_vec();
        let Some(last) = records.last().copied() else { break };
        for record in &records {
            sequence += 1;
            assert_eq!((record.sequence, record.is_last), (sequence, record.sequence == last.sequence));
            assert!(record.time >= time && record.quantity > 0);
            time = record.time;
            books[usize::from(record.instrument)].apply(record);
        }
        let book = &books[usize::from(last.instrument)];
        if last.is_snapshot {
            continue;
        }
        let (bid, ask) = book.best();
        assert!(bid < ask, "crossed at {sequence}");
        assert!(book.levels.iter().all(|levels| levels.len() >= 10), "shallow at {sequence}");
        let expected = [(bid, book.levels[1][&bid]), (ask, book.levels[0][&ask])];
        assert_eq!(flow.best(last.instrument), expected);
    }
    assert_eq!(sequence, 400_000);
}

/// The measured values of the table in the module's documentation.
#[derive(Default)]
struct Statistics {
    kinds: [f64; 5],
    spread: f64,
    touch: f64,
    spreads: f64,
    moves_with_imbalance: f64,
    moves: f64,
    same_side: f64,
    market_orders: f64,
    squares: f64,
    windows: f64,
    seconds: f64,
}

fn statistics(events: u64) -> Statistics {
    let config = config(events);
    let mut flow = Flow::new(&config);
    let mut found = Statistics::default();
    let mut before = [[(0i64, 0u64); 2]; 8];
    let (mut sides, mut counted, mut marks) = ([None; 8], [0u64; 8], [0.0f64; 8]);
    let tick = tuning::TICK as f64;
    loop {
        let records = flow.next_action();
        let Some(last) = records.last().copied() else { break };
        let index = usize::from(last.instrument);
        found.seconds = (last.time - config.start.0) as f64 / 1e9;
        if last.is_snapshot {
            continue;
        }
        for record in records {
            let kind = match record.kind {
                FlowKind::Add => 0,
                FlowKind::Modify => 1,
                FlowKind::Cancel { .. } => 2,
                FlowKind::Execute { .. } => 3,
                FlowKind::Trade => 4,
            };
            found.kinds[kind] += 1.0;
        }
        if let FlowKind::Trade = records[0].kind {
            found.market_orders += 1.0;
            found.same_side += f64::from(sides[index] == Some(records[0].is_bid));
            sides[index] = Some(records[0].is_bid);
        }
        counted[index] += records.len() as u64;
        let [bid, ask] = flow.best(last.instrument);
        found.spread += (ask.0 - bid.0) as f64 / tick;
        found.touch += (bid.1 + ask.1) as f64 / 200.0;
        found.spreads += 1.0;
        let middle = (bid.0 + ask.0) as f64 / 2.0 / tick;
        let [(bid_before, bought), (ask_before, sold)] = before[index];
        let moved = (bid.0 + ask.0) - (bid_before + ask_before);
        if bid_before > 0 && moved != 0 && bought != sold {
            found.moves += 1.0;
            found.moves_with_imbalance += f64::from((moved > 0) == (bought > sold));
        }
        before[index] = [bid, ask];
        if counted[index] >= 1_000 {
            counted[index] -= 1_000;
            if marks[index] > 0.0 {
                found.squares += (middle - marks[index]).powi(2);
                found.windows += 1.0;
            }
            marks[index] = middle;
        }
    }
    found
}

#[test]
fn the_flow_has_the_statistics_that_its_documentation_says() {
    let found = statistics(2_000_000);
    let all: f64 = found.kinds[..4].iter().sum();
    let [adds, modifies, cancels, executions] = [0, 1, 2, 3].map(|kind| found.kinds[kind] / all);
    let (spread, touch) = (found.spread / found.spreads, found.touch / found.spreads);
    let follows = found.moves_with_imbalance / found.moves;
    let persistence = found.same_side / found.market_orders;
    let deviation = (found.squares / found.windows).sqrt();
    let rate = found.kinds.iter().sum::<f64>() / found.seconds;
    let found = format!(
        "adds {adds:.3}, modifies {modifies:.3}, cancels {cancels:.3}, executions {executions:.3}, spread {spread:.2}, \
         lots at the touch {touch:.1}, follows {follows:.2}, persistence {persistence:.2}, deviation {deviation:.2}, \
         rate {rate:.0}"
    );
    println!("{found}");
    assert!((0.44..0.50).contains(&adds), "{found}");
    assert!((0.40..0.46).contains(&cancels), "{found}");
    assert!((0.05..0.09).contains(&executions), "{found}");
    assert!((1.1..1.5).contains(&spread), "{found}");
    assert!((0.55..0.9).contains(&follows), "{found}");
    assert!((0.55..0.8).contains(&persistence), "{found}");
    assert!((1.5..3.0).contains(&deviation), "{found}");
    assert!((95_000.0..105_000.0).contains(&rate), "{found}");
}

#[test]
fn a_seed_gives_the_same_flow_and_another_seed_another() {
    let drawn = |seed| {
        let mut flow = Flow::new(&GeneratorConfig { seed, ..config(50_000) });
        std::iter::from_fn(move || {
            let records = flow.next_action().to_vec();
            (!records.is_empty()).then_some(records)
        })
        .flatten()
        .collect::<Vec<_>>()
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn the_flow_ends_after_the_duration_asked_for() {
    let config = GeneratorConfig { duration: Some(Nanos(500_000_000)), ..GeneratorConfig::default() };
    let mut generator = Generator::new(config).unwrap();
    let (mut batch, mut last) = (Batch::new(), Nanos(0));
    while generator.fill(&mut batch).unwrap() == FeedStep::More {
        last = batch.iter().last().map_or(last, |pending| pending.due);
        batch.clear();
    }
    let elapsed = last.0 - config.start.0;
    assert!((400_000_000..500_000_000).contains(&elapsed), "{elapsed}");
}

#[test]
fn an_instrument_is_defined_before_it_is_named_and_everything_is_counted() {
    let mut generator = Generator::new(config(100_000)).unwrap();
    let (mut batch, mut defined, mut events) = (Batch::new(), [false; 9], 0);
    loop {
        let step = generator.fill(&mut batch).unwrap();
        for pending in batch.iter() {
            events += 1;
            let instrument = u32::from_le_bytes(pending.body[8..12].try_into().unwrap()) as usize;
            if pending.template_id == InstrumentDefinition::TEMPLATE_ID {
                defined[instrument] = true;
            }
            assert!(defined[instrument], "{instrument}");
        }
        batch.clear();
        if step == FeedStep::End {
            break;
        }
    }
    let report = generator.report();
    assert_eq!((report.record_count(), report.event_count(), events), (100_000, 100_008, 100_008));
    assert_eq!(report.not_carried_count(), 0);
}

#[test]
fn a_configuration_that_makes_no_flow_is_refused() {
    let refused = |config: GeneratorConfig| Generator::new(config).unwrap_err().to_string();
    assert_eq!(
        refused(GeneratorConfig { instruments: 0, ..GeneratorConfig::default() }),
        "0 instruments: give 1 to 1000"
    );
    assert!(
        refused(GeneratorConfig { events_per_second: f64::NAN, ..GeneratorConfig::default() })
            .contains("above 0")
    );
}
