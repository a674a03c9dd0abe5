//! Reads a trail as an iterator of typed events, and prints its trades and the number of events of each kind.
//!
//! ```text
//! TRAIL ──> TrailReader ── events() ──> Trade, Trade, Trade …
//! ```
//! ```sh
//! cargo run -p stele --example read_trail -- [TRAIL] [FIRST_SEQUENCE]     # by default the folder `trail`
//! ```
//! It can also read a trail that is still being written.

use std::collections::BTreeMap;
use stele::journal::TrailReader;
use stele::wire::messages::{SessionStart, Trade};
use stele::wire::{Price, Sequence};

fn main() {
    run().unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1)
    });
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let trail = arguments.next().unwrap_or_else(|| "trail".to_owned());
    let mut reader = TrailReader::open(trail.as_ref())?;
    if let Some(first) = arguments.next() {
        reader.seek(Sequence(first.parse()?))?;
    }
    let mut kinds = BTreeMap::new();
    for event in reader.events() {
        let event = event?;
        *kinds.entry(event.name().unwrap_or("of another schema")).or_insert(0_u64) += 1;
        if let Some(session) = event.message::<SessionStart>() {
            println!("{} epoch {} begins", event.sequence(), session.epoch);
        } else if let Some(trade) = event.message::<Trade>() {
            let price = Price(trade.price.get());
            println!("{} {} of instrument {} at {price}", event.sequence(), trade.quantity, trade.instrument);
        }
    }
    for (kind, count) in kinds {
        println!("{count:>9} {kind}");
    }
    Ok(())
}
