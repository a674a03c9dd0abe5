//! How fast a feed fills batches on one core, with no consumer:
//!
//! ```text
//! cargo bench -p stele-perf --bench feeds -- generator [EVENTS]
//! cargo bench -p stele-perf --bench feeds -- itch:FILE    # or any other kind of file
//! ```
//! Seven runs each; the first warms up and is not shown. The time of the processor beside that of the wall
//! tells how much of a core the run got.

use rustix::time::{ClockId, clock_gettime};
use std::error::Error;
use std::time::{Duration, Instant};
use stele_connect::FeedSpec;
use stele_connect::spec::FeedOptions;
use stele_feed::{Batch, FeedStep};

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds an argument of its own.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let spec = FeedSpec::parse(&arguments.next().unwrap_or("generator".into()))?;
    let events = arguments.next().map_or(Ok(20_000_000), |events| events.parse())?;
    for run in 0..7 {
        let mut feed = spec.open(FeedOptions { events: Some(events), ..FeedOptions::default() })?;
        let (mut batch, mut made, began) = (Batch::new(), 0usize, (Instant::now(), processor_time()));
        loop {
            let step = feed.fill(&mut batch)?;
            made += batch.len();
            batch.clear();
            if step == FeedStep::End {
                break;
            }
        }
        let (wall, processor) = (began.0.elapsed(), processor_time() - began.1);
        let rate = |time: Duration| made as f64 / time.as_secs_f64() / 1e6;
        if run > 0 {
            println!("{made} events: {:.2} M/s, {:.2} M/s of processor time", rate(wall), rate(processor));
        }
    }
    Ok(())
}

/// What this thread has used of a processor.
fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
