//! Submits messages to a bus from another process, and waits until all of them are durable.
//!
//! ```text
//! this ──> /dev/shm/stele-NAME/shard-0/publisher-ID ──> sequencer of a bus with a place for publisher ID
//! ```
//! `cargo run -p stele --example publish -- NAME ID [COUNT]`, beside a `stele run` with a `[[publisher]]` of
//! that id

use stele::bus::{FoundBus, NOT_RECEIVED, RemotePublisher};
use stele::wire::messages::Trade;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let bus = FoundBus::find(arguments.next().as_deref())?;
    let id = arguments.next().ok_or("which publisher?")?.parse()?;
    let count: u64 = arguments.next().map_or(Ok(10), |count| count.parse())?;
    let shard = bus.shards()?.into_iter().next().ok_or("the bus has no shard yet")?;
    let mut publisher = RemotePublisher::attach(&shard, id)?;
    let last = publisher.next_sequence() - 1 + count;
    while publisher.next_sequence() <= last {
        // It refers to nothing that would have to be defined first.
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
