//! Submits trades to a bus from another process, and waits until all of them are durable.
//!
//! ```text
//! this ──> /dev/shm/stele-NAME/shard-0/publisher-ID ──> sequencer of a `stele run` with a [[publisher]] of that id
//! ```
//! `cargo run -p stele-bus --example publish NAME ID [COUNT]`

use stele_bus::{FoundBus, NOT_RECEIVED, RemotePublisher};
use stele_wire::messages::Trade;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let bus = FoundBus::find(arguments.next().as_deref())?;
    let id = arguments.next().ok_or("which publisher?")?.parse()?;
    let count: u64 = arguments.next().map_or(Ok(10), |count| count.parse())?;
    let shard = bus.shards()?.into_iter().next().ok_or("the bus has no shard yet")?;
    let mut publisher = RemotePublisher::attach(&shard, id)?;
    let last = publisher.next_sequence() - 1 + count;
    while publisher.next_sequence() <= last {
        let trade = Trade { instrument: 1.into(), ..Trade::NULL };
        match publisher.offer_message(&trade, NOT_RECEIVED) {
            Err(refusal) if refusal.is_transient() => std::thread::yield_now(),
            offered => offered?,
        }
    }
    loop {
        let acknowledged = publisher.acknowledged();
        if acknowledged.sequence >= last && acknowledged.position <= publisher.ring().watermarks().durable() {
            println!("{} submissions up to {last} are durable", count);
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
