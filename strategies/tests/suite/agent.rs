//! The strategy agent on a bus: sequencer, feed and agent driven by hand.

use stele_bus::bounds::RING_LENGTH_MIN;
use stele_bus::{
    Agent, Grants, Invoker, LogRing, ManualClock, NOT_RECEIVED, Publisher, RingOptions, RingParts, Sequencer,
    SequencerStart,
};
use stele_risk::{Risk, RiskLimits};
use stele_strategies::{AgentOptions, Host, Registry, StrategyAgent};
use stele_wire::codec::text_field;
use stele_wire::messages::*;
use stele_wire::{Frame, Identity, Nanos, Position, Sequence};
use zerocopy::little_endian::{I64, U16, U32, U64};

const START: Nanos = Nanos(1_700_000_000_000_000_000);
const STRATEGIES: u16 = 2;

/// Runs two strategies over `rounds` quotes, with a ring of `words` words for their orders. Returns the log
/// and the stopped agent.
fn run(rounds: i64, words: usize) -> (Vec<Vec<u8>>, StrategyAgent<ManualClock>) {
    let options = RingOptions { capacity: RING_LENGTH_MIN, huge_pages: false };
    let RingParts { ring, writer, mut journal, .. } = LogRing::create(&options, Position(0)).unwrap();
    let start = SequencerStart {
        identity: Identity::default(),
        next_sequence: Sequence(1),
        position: Position(0),
        last_timestamp: Nanos(0),
        segment_length: 1 << 20,
        block_length: 4096,
    };
    let clock = ManualClock::at(START);
    let risk = Risk::new(RiskLimits::default());
    let mut sequencer = Sequencer::new(&start, writer, clock.clone(), risk).unwrap();
    let mut feed = sequencer.publisher(1, "feed", 4096, Grants::all());
    let orders = sequencer.publisher(STRATEGIES, "strategies", words, Grants::all());
    let mut watcher = sequencer.gating_consumer("reader");
    let options = AgentOptions { sample_every: 1, ..AgentOptions::default() };
    let host = Host::for_publisher(Registry::built_in(), STRATEGIES);
    let agent = StrategyAgent::new(options, host, sequencer.gating_consumer("reader"), orders, clock.clone());
    let mut agent = Invoker::start(agent).unwrap();

    define(&mut feed);
    let mut log = Vec::new();
    for round in 0..rounds {
        for instrument in 1..=3 {
            quote(&mut feed, instrument, (round * 37 + i64::from(instrument)) % 101, clock_now(&clock));
        }
        // The agent runs more often than the sequencer, so a short ring is full at times.
        for turn in 0..6 {
            clock.advance(Nanos(700));
            if turn % 3 == 0 {
                sequencer.do_work().unwrap();
            }
            agent.invoke().unwrap();
            watcher.poll(1000, |event| log.push(event.frame().bytes().to_vec()));
            let to = journal.contiguous_end(ring.watermarks().written(), ring.watermarks().batched());
            journal.advance_written(to);
            journal.advance_durable(to);
        }
        clock.advance(Nanos(1_000_000));
    }
    for _ in 0..100 {
        clock.advance(Nanos(200_000));
        sequencer.do_work().unwrap();
        agent.invoke().unwrap();
        watcher.poll(1000, |event| log.push(event.frame().bytes().to_vec()));
    }
    (log, agent.stop().unwrap())
}

fn clock_now(clock: &ManualClock) -> Nanos {
    stele_bus::Clock::now(&mut clock.clone())
}

fn define(feed: &mut Publisher) {
    let account = AccountDefinition { account: U32::new(10), ..AccountDefinition::NULL };
    feed.offer_message(&account, NOT_RECEIVED).unwrap();
    for instrument in 1..=3 {
        let definition =
            InstrumentDefinition { instrument: U32::new(instrument), ..InstrumentDefinition::NULL };
        let mut body = [0; 512];
        let body = definition.encode(&mut body, []).unwrap();
        feed.offer(InstrumentDefinition::TEMPLATE_ID, body, NOT_RECEIVED).unwrap();
    }
    for (id, name, publisher) in
        [(1, "ma-cross", STRATEGIES), (2, "dip-buyer", STRATEGIES), (3, "ma-cross", 9)]
    {
        let definition = StrategyDefinition {
            strategy: U16::new(id),
            order_publisher: U16::new(publisher),
            account: U32::new(10),
            algorithm: U32::new(20),
            is_resumed: Boolean::FALSE,
            name: text_field(name).unwrap(),
            ..StrategyDefinition::NULL
        };
        let mut body = [0; 128];
        let body = definition.encode(&mut body, b"orders-per-second = 100000\nprice = \"mid\"").unwrap();
        feed.offer(StrategyDefinition::TEMPLATE_ID, body, NOT_RECEIVED).unwrap();
    }
}

fn quote(feed: &mut Publisher, instrument: u32, price: i64, received: Nanos) {
    let quote = TopOfBook {
        instrument: U32::new(instrument),
        source: U16::new(1),
        flags: MarketFlags::LAST,
        bid_price: I64::new(10_000 + price),
        bid_quantity: U64::new(5),
        ask_price: I64::new(10_002 + price),
        ask_quantity: U64::new(5),
        ..TopOfBook::NULL
    };
    feed.offer_message(&quote, received).unwrap();
}

/// The orders on a log: template id, cause and whole body.
fn orders(log: &[Vec<u8>]) -> Vec<(u16, Vec<u8>)> {
    let frames = log.iter().map(|bytes| Frame::read(bytes).unwrap());
    let orders = frames.filter(|frame| (301..=306).contains(&frame.template_id()));
    orders.map(|frame| (frame.template_id(), frame.body().to_vec())).collect()
}

#[test]
fn a_host_fed_the_recorded_log_gives_the_recorded_orders() {
    let (log, agent) = run(400, 4096);
    let recorded = orders(&log);
    assert!(recorded.len() > 2, "{} orders", recorded.len());
    let (mut host, mut again) = (Host::new(Registry::built_in()), Vec::new());
    for bytes in &log {
        host.handle(&Frame::read(bytes).unwrap(), &mut |template_id: u16, body: &[u8]| {
            let strategy = u16::from_le_bytes([body[10], body[11]]);
            if strategy != 3 {
                again.push((template_id, body.to_vec()));
            }
        });
    }
    assert_eq!(again, recorded);
    assert_eq!(agent.host().summaries(), host.summaries()[..2]);
}

#[test]
fn orders_wait_for_room_and_none_is_lost() {
    let (wide, _) = run(300, 4096);
    let (narrow, agent) = run(300, 48);
    assert!(orders(&wide).len() > 2);
    let by_strategy = |log: &[Vec<u8>]| orders(log).len();
    assert_eq!(by_strategy(&narrow), by_strategy(&wide));
    let results = agent.results();
    assert_eq!(results.get().unwrap().unsent, 0);
}

#[test]
fn a_stopped_agent_leaves_its_latencies_and_positions() {
    let (_, agent) = run(50, 4096);
    let slot = agent.results();
    let results = slot.get().unwrap();
    assert_eq!(results.tick_to_strategy.len(), 150);
    assert!(results.tick_to_strategy.max() >= 700);
    assert_eq!(
        results.strategies.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
        ["ma-cross", "dip-buyer"]
    );
    assert!(results.failures.is_empty());
}
