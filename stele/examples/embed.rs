//! A bus in one process: it publishes trades, reads them in place on another thread, and stops in order.
//!
//! ```text
//! main thread ──> publisher ──> SEQUENCER ──> ring ──┬──> gating consumer ──> the reader's thread
//!                                                    └──> JOURNAL ──> TRAIL
//! ```
//! ```sh
//! cargo run -p stele --example embed -- [TRAIL] [TRADES]     # by default the folder `trail` and 1000 trades
//! cargo run -- verify trail
//! ```

use stele::embed::cut_text;
use stele::wire::messages::{InstrumentDefinition, InstrumentDefinitionLegs, SourceDefinition, Trade};
use stele::{Bus, BusOptions, Grants};

const SOURCE: u16 = 1;
const INSTRUMENT: u32 = 1;

fn main() {
    run().unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1)
    });
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let trail = arguments.next().unwrap_or_else(|| "trail".to_owned());
    let trades: u64 = arguments.next().map_or(Ok(1_000), |count| count.parse())?;
    // Opens the trail, which no other process can write at the same time, and begins a session on it.
    let mut bus = Bus::open(&trail, BusOptions::default())?;
    let mut feed = bus.publisher("feed", Grants::market())?;
    let mut reader = bus.gating_consumer("reader")?;
    // Events may only refer to sources and instruments that were defined before: `stele verify` checks it.
    let source = SourceDefinition {
        source: SOURCE.into(),
        publisher: feed.id().into(),
        name: cut_text("an example"),
        ..SourceDefinition::NULL
    };
    bus.control().publish_text(&source, b"made-up trades")?;
    let instrument = InstrumentDefinition {
        instrument: INSTRUMENT.into(),
        source: SOURCE.into(),
        venue_symbol: cut_text("EXAMPLE"),
        ..InstrumentDefinition::NULL
    };
    bus.control().publish(&instrument, |tail| tail.group::<InstrumentDefinitionLegs>([]))?;
    let bus = bus.start()?;
    let reading = std::thread::spawn(move || {
        let (mut count, mut quantity) = (0, 0);
        while !reader.is_at_end() {
            reader.poll(64, |event| {
                if let Some(trade) = event.message::<Trade>() {
                    (count, quantity) = (count + 1, quantity + trade.quantity.get());
                }
            });
            std::thread::yield_now();
        }
        (count, quantity)
    });
    for number in 1..=trades {
        let trade = Trade {
            instrument: INSTRUMENT.into(),
            source: SOURCE.into(),
            trade_id: number.into(),
            price: (100_000_000_000 + number as i64).into(),
            quantity: 2.into(),
            ..Trade::NULL
        };
        bus.publish(&mut feed, &trade)?;
    }
    bus.wait_durable(&feed)?;
    println!("{trades} trades in {trail} are durable");
    bus.stop()?;
    let (count, quantity) = reading.join().expect("the reader does not panic");
    println!("{count} trades with a total quantity of {quantity} were read");
    Ok(())
}
