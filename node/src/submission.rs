//! Submits one event to a bus that runs in another process, through a ring in shared memory.

use crate::failure::Failure;
use std::thread::sleep;
use std::time::{Duration, Instant};
use stele_bus::{Event, LossyConsumer, NOT_RECEIVED, Observed, RemotePublisher};

/// How long a bus may take to acknowledge the event.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// How long the caller sleeps when there is nothing new on the log.
pub(crate) const NAP: Duration = Duration::from_micros(200);
/// The most events of the log in one poll.
const EVENTS_PER_POLL: usize = 4096;

/// Submits the event to `shard` and waits until the event, or the record of its refusal, is durable.
/// `on_event` receives the events of the log meanwhile, except those that the ring overwrites before they are
/// read.
///
/// # Errors
/// [`Failure`]: the bus does not accept the event, or does not acknowledge it in time.
pub(crate) fn submit(
    mut publisher: RemotePublisher,
    shard: u32,
    template_id: u16,
    body: &[u8],
    mut on_event: impl FnMut(&Event<'_>),
) -> Result<(), Failure> {
    let mut log = LossyConsumer::join(publisher.ring());
    publisher.offer(template_id, body, NOT_RECEIVED).map_err(Failure::environment)?;
    let (number, since) = (publisher.next_sequence() - 1, Instant::now());
    loop {
        let seen = log.poll(EVENTS_PER_POLL, |observed| {
            if let Observed::Event(event) = observed {
                on_event(&event);
            }
        });
        let acknowledged = publisher.acknowledged();
        let marks = publisher.ring().watermarks();
        let is_durable = acknowledged.sequence >= number && marks.durable() >= acknowledged.position;
        if is_durable && seen == 0 {
            publisher.finish();
            return Ok(());
        }
        if since.elapsed() > PATIENCE {
            return Err(Failure::environment(format!("shard {shard} did not answer within {PATIENCE:?}"))
                .help(
                    "the event was submitted and may still be sequenced: `stele dump` shows whether it was",
                ));
        }
        if seen == 0 {
            sleep(NAP);
        }
    }
}
