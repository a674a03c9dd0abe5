//! A bus in one process: publishes, reads in place on another thread, waits until all of it is durable, stops
//! in order.
//!
//! ```text
//! main thread ──> publisher ──> SEQUENCER ──> ring ──┬──> gating consumer ──> the reader's thread
//!                                                    └──> JOURNAL ──> TRAIL
//! ```
//! `cargo run -p stele --example embed -- TRAIL [TRADES]`, then `stele verify TRAIL`

use stele::embed::cut_text;
use stele::wire::messages::{InstrumentDefinition, InstrumentDefinitionLegs, SourceDefinition, Trade};
use stele::{Bus, BusOptions};

const SOURCE: u16 = 1;
const INSTRUMENT: u32 = 1;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let trail = arguments.next().ok_or("which trail? name a folder")?;
    let trades: u64 = arguments.next().map_or(Ok(1_000), |count| count.parse())?;

    // Opens the trail, which no other process may write meanwhile, and begins a session on it.
    let mut bus = Bus::open(&trail, BusOptions::default())?;
    let mut feed = bus.publisher("feed")?;
    let mut reader = bus.gating_consumer("reader")?;
    // What events refer to is defined before them: `stele verify` asks for it.
    let source = SourceDefinition {
        source: SOURCE.into(),
        publisher: feed.id().into(),
        name: cut_text("an example"),
        ..SourceDefinition::NULL
    };
    bus.control().publish_text(&source, b"trades that nobody made")?;
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
            let read = reader.poll(64, |event| {
                if let Some(trade) = event.message::<Trade>() {
                    (count, quantity) = (count + 1, quantity + trade.quantity.get());
                }
            });
            if read == 0 {
                std::thread::yield_now();
            }
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
    println!("{trades} trades are durable");
    bus.stop()?;
    let (count, quantity) = reading.join().expect("the reader does not panic");
    println!("{count} trades of {quantity} together were read");
    Ok(())
}
