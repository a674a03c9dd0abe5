//! Follows the log of a running bus from another process. It reads copies, so it cannot delay the writer.
//!
//! ```text
//! a bus ── its socket ──> the ring in shared memory, mapped read-only ──> this process
//! ```
//! ```sh
//! cargo run --release -- demo                                 # in another terminal: any program with a bus
//! cargo run -p stele --example subscribe -- [NAME] [EVENTS]
//! ```
//! By default it follows the only running bus until the bus stops.

use stele::bus::{LossyConsumer, Observed, WriterState};
use stele::door::DoorClient;
use stele::wire::messages::message_name;

fn main() {
    run().unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1)
    });
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let door = DoorClient::find(arguments.next().as_deref())?;
    let wanted = arguments.next().map_or(Ok(usize::MAX), |count| count.parse())?;
    let shard = door.shards().first().ok_or("the bus has no shard")?;
    let ring = door.ring(shard.shard)?;
    let mut consumer = LossyConsumer::join(&ring);
    let mut seen = 0;
    while seen < wanted {
        let count = consumer.poll(wanted - seen, |observed| match observed {
            Observed::Event(event) => {
                println!("{} {}", event.sequence(), message_name(event.template_id()).unwrap_or("unknown"));
            }
            Observed::Lost { first, last } => println!("lost {first} to {last}"),
        });
        seen += count;
        if count == 0 {
            if ring.writer_state() != WriterState::Running {
                println!("the writer has ended: {:?}", ring.writer_state());
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
    Ok(())
}
