//! Publishes messages to a running bus from another process, and waits until they are durable.
//!
//! ```text
//! this process ── the bus's socket ──> a lane in shared memory ──> the bus's sequencer
//! ```
//! ```sh
//! cargo run --release -- run --config examples/publisher.toml     # in another terminal
//! cargo run -p stele --example publish -- [NAME] [ID] [COUNT]
//! ```
//! The configuration of the bus must have a `[[publisher]]` with the id. By default it sends 10 messages to
//! the only running bus, as publisher 100.

use stele::bus::NOT_RECEIVED;
use stele::door::DoorClient;
use stele::wire::messages::Trade;

fn main() {
    run().unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1)
    });
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let door = DoorClient::find(arguments.next().as_deref())?;
    let id: u16 = arguments.next().map_or(Ok(100), |id| id.parse())?;
    let count: u64 = arguments.next().map_or(Ok(10), |count| count.parse())?;
    let shard = door.shards().first().ok_or("the bus has no shard")?;
    let mut publisher = door.publisher(shard.shard, id)?;
    let last = publisher.next_sequence() - 1 + count;
    while publisher.next_sequence() <= last {
        // A trade without an instrument does not need definitions before it.
        match publisher.offer_message(&Trade::NULL, NOT_RECEIVED) {
            Err(refusal) if refusal.is_transient() => std::thread::yield_now(),
            offered => offered?,
        }
    }
    loop {
        let acknowledged = publisher.acknowledged();
        if acknowledged.sequence >= last && acknowledged.position <= publisher.ring().watermarks().durable() {
            println!("{count} submissions up to {last} are durable");
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
