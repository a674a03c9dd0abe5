//! Checks that nothing on the path from the feed to the reports allocates once it is warm.

use stele_bus::bounds::PUBLISHER_WORDS_DEFAULT;
use stele_bus::{
    Agent, ControlPublisher, Grants, JournalReader, LogRing, ManualClock, RingOptions, RingParts, Sequencer,
    SequencerStart, SessionBeginning, Watermark,
};
use stele_connect::generator::{Generator, GeneratorConfig};
use stele_feed::{Pace, Player};
use stele_risk::{Risk, RiskLimits};
use stele_strategies::agent::AgentOptions;
use stele_strategies::{Host, Registry, StrategyAgent};
use stele_testkit::allocations;
use stele_venue::paper_exchange::{PaperExchange, PaperOptions};
use stele_venue::{OrderGateway, PaperVenue};
use stele_wire::codec::text_field;
use stele_wire::messages::{AccountDefinition, Boolean, StrategyDefinition};
use stele_wire::{Epoch, Identity, Nanos, Position, Sequence};

const START: Nanos = Nanos(1_767_623_400_000_000_000);

/// Advances the journal's watermarks as a disk without delays would.
fn flush(journal: &mut JournalReader) {
    let batched = journal.ring().watermarks().batched();
    journal.advance_written(batched);
    journal.advance_durable(batched);
}

#[test]
fn from_the_feed_to_the_reports_nothing_allocates_once_it_is_warm() {
    let start = SequencerStart {
        identity: Identity::default(),
        next_sequence: Sequence(1),
        position: Position(0),
        last_timestamp: START,
        segment_length: 64 << 20,
        block_length: 512,
    };
    let RingParts { writer, mut journal, .. } =
        LogRing::create(&RingOptions::default(), start.position).unwrap();
    let clock = ManualClock::at(START);
    let mut sequencer =
        Sequencer::new(&start, writer, clock.clone(), Risk::new(RiskLimits::default())).unwrap();
    let [control, feed, orders, releases, reports] = [1, 2, 3, 4, 5]
        .map(|id| sequencer.publisher(id, "publisher", PUBLISHER_WORDS_DEFAULT, Grants::all()));
    let [decided, released, traded] =
        ["strategies", "order gateway", "paper exchange"].map(|name| sequencer.gating_consumer(name));

    let host = Host::new(Registry::built_in());
    let mut strategies = StrategyAgent::new(AgentOptions::default(), host, decided, orders, clock.clone());
    let venue = PaperVenue::new(PaperExchange::new(PaperOptions::default()), traded, reports);
    let mut gateway =
        OrderGateway::new("gateway", released, releases, Watermark::Durable, venue, clock.clone());
    let flow =
        Generator::new(GeneratorConfig { events: Some(400_000), ..GeneratorConfig::default() }).unwrap();
    let mut player = Player::new(Box::new(flow), feed, clock.clone(), Pace::Fast);

    let mut control = ControlPublisher::new(control);
    let accounts = vec![AccountDefinition { account: 1.into(), ..AccountDefinition::NULL }];
    control.begin(&SessionBeginning { accounts, ..SessionBeginning::of_epoch(Epoch(1)) }).unwrap();
    for (id, name) in [(1, "ma-cross"), (2, "dip-buyer")] {
        let definition = StrategyDefinition {
            strategy: id.into(),
            order_publisher: 3.into(),
            account: 1.into(),
            is_resumed: Boolean::FALSE,
            seed: 1.into(),
            name: text_field(name).unwrap(),
            ..StrategyDefinition::NULL
        };
        control.publish_text(&definition, b"orders-per-second = 100000").unwrap();
    }

    let mut cycle = |cycles: usize| -> u64 {
        let before = allocations();
        for _ in 0..cycles {
            clock.advance(Nanos(100_000));
            player.do_work().unwrap();
            sequencer.do_work().unwrap();
            strategies.do_work().unwrap();
            gateway.do_work().unwrap();
            flush(&mut journal);
        }
        allocations() - before
    };
    let warming = cycle(3_000);
    let warm = cycle(3_000);
    assert!(warming > 0, "the allocator counts");
    assert_eq!(warm, 0, "allocations on the path once it is warm");
    let reports = gateway.venue().reports();
    assert!(reports > 1_000, "only {reports} reports: the strategies did not trade");
}
