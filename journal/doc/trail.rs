/// Writes a trail of so many trades, for the examples in the documentation.
fn write_trades(trail: &std::path::Path, count: u64) {
    use stele_bus::{Agent, Grants, LogRing, NOT_RECEIVED, RingOptions, Sequencer, UtcClock};
    use stele_journal::{Journal, JournalOptions};
    use stele_wire::messages::Trade;

    let options = JournalOptions { segment_length: 1 << 20, spare_segments: 1, ..JournalOptions::default() };
    let now = stele_bus::Clock::now(&mut UtcClock::new());
    let opened = Journal::open(trail, &options, now).unwrap();
    let ring = RingOptions { capacity: 1 << 20, ..RingOptions::default() };
    let parts = LogRing::create(&ring, opened.start.position).unwrap();
    let risk = stele_risk::Risk::new(stele_risk::RiskLimits::default());
    let mut sequencer = Sequencer::new(&opened.start, parts.writer, UtcClock::new(), risk).unwrap();
    let mut publisher = sequencer.publisher(1, "feed", 1 << 16, Grants::market());
    let (mut journal, _) = opened.attach(parts.journal).unwrap();
    for number in 1..=count {
        let trade = Trade { trade_id: number.into(), quantity: 10.into(), ..Trade::NULL };
        publisher.offer_message(&trade, NOT_RECEIVED).unwrap();
        sequencer.do_work().unwrap();
    }
    publisher.finish();
    parts.ring.request_stop();
    while !parts.ring.is_stopped() {
        sequencer.do_work().unwrap();
        journal.do_work().unwrap();
    }
    journal.stop().unwrap();
}
