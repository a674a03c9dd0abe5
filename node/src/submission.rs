//! One event for the log of a running bus, handed over from this process through a ring in shared memory.

use crate::failure::Failure;
use std::thread::sleep;
use std::time::{Duration, Instant};
use stele_bus::{Event, LossyConsumer, NOT_RECEIVED, Observed, RemotePublisher};

/// How long a bus may take to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks when there is nothing new.
pub(crate) const NAP: Duration = Duration::from_micros(200);
/// Events of the log that are looked at between two naps.
const EVENTS_PER_LOOK: usize = 4096;

/// Submits the event to `shard` and waits until whatever became of it is durable. `look` sees the log meanwhile, except
/// for what it loses where the log goes by too fast.
///
/// # Errors
/// [`Failure`]: the bus does not take it, or does not answer in time.
pub(crate) fn submit(
    mut publisher: RemotePublisher,
    shard: u32,
    template_id: u16,
    body: &[u8],
    mut look: impl FnMut(&Event<'_>),
) -> Result<(), Failure> {
    let mut log = LossyConsumer::join(publisher.ring());
    publisher.offer(template_id, body, NOT_RECEIVED).map_err(Failure::environment)?;
    let (number, since) = (publisher.next_sequence() - 1, Instant::now());
    loop {
        let seen = log.poll(EVENTS_PER_LOOK, |observed| {
            if let Observed::Event(event) = observed {
                look(&event);
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
                .help("it was submitted and may still be taken: `stele dump` shows whether it was"));
        }
        if seen == 0 {
            sleep(NAP);
        }
    }
}
