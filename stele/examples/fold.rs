//! Your own state over the log: the traded quantity of each instrument. The next run continues from a
//! snapshot.
//!
//! ```text
//! SNAPSHOT ──> state ──┐
//! TRAIL ── the events after it ──> on_event ──> state ──> SNAPSHOT
//! ```
//! ```sh
//! cargo run -p stele --example fold -- [TRAIL] [SNAPSHOT]     # by default `trail` and `volumes.snapshot`
//! ```

use std::collections::BTreeMap;
use stele::bus::Event;
use stele::journal::{Projection, TrailProjection};
use stele::wire::messages::Trade;

/// The traded quantity by instrument.
#[derive(Default)]
struct Volumes(BTreeMap<u32, u64>);

impl Projection for Volumes {
    const NAME: &'static str = "volumes";
    const VERSION: u32 = 1;

    fn on_event(&mut self, event: &Event<'_>) {
        if let Some(trade) = event.message::<Trade>() {
            *self.0.entry(trade.instrument.get()).or_default() += trade.quantity.get();
        }
    }

    fn save(&self, state: &mut Vec<u8>) {
        for (instrument, volume) in &self.0 {
            state.extend_from_slice(&instrument.to_le_bytes());
            state.extend_from_slice(&volume.to_le_bytes());
        }
    }

    fn restore(&self, state: &[u8]) -> Option<Self> {
        let (rows, rest) = state.as_chunks::<12>();
        let row = |row: &[u8; 12]| {
            let (instrument, volume) = row.split_at(4);
            Some((
                u32::from_le_bytes(instrument.try_into().ok()?),
                u64::from_le_bytes(volume.try_into().ok()?),
            ))
        };
        let volumes = rows.iter().map(row).collect::<Option<_>>()?;
        rest.is_empty().then_some(Self(volumes))
    }
}

fn main() {
    run().unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1)
    });
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let trail = arguments.next().unwrap_or_else(|| "trail".to_owned());
    let snapshot = arguments.next().unwrap_or_else(|| "volumes.snapshot".to_owned());
    let mut volumes = TrailProjection::open(trail.as_ref(), snapshot.as_ref(), Volumes::default())?;
    if let Some(why) = volumes.refused() {
        println!("reading from the beginning, because the snapshot does not fit: {why}");
    }
    let from = volumes.last_sequence();
    let count = volumes.catch_up()?;
    println!("{count} events read after event {from}");
    for (instrument, volume) in &volumes.state().0 {
        println!("instrument {instrument}: {volume} traded");
    }
    volumes.save()?;
    Ok(())
}
