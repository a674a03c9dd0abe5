//! The speed at which a feed fills batches on one core, without a consumer.
//!
//! ```text
//! cargo bench -p stele-perf --bench feeds -- generator [EVENTS]
//! cargo bench -p stele-perf --bench feeds -- itch:FILE    # or a file in any other format
//! ```
//!
//! There are seven runs; the first is a warm-up and is not printed. The CPU time next to the wall-clock time
//! shows which share of a core the run got.

use rustix::time::{ClockId, clock_gettime};
use std::error::Error;
use std::time::{Duration, Instant};
use stele_connect::FeedSpec;
use stele_connect::spec::FeedOptions;
use stele_feed::{Batch, FeedStep};

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds the argument `--bench`.
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
            println!("{made} events: {:.2} M/s, {:.2} M/s of CPU time", rate(wall), rate(processor));
        }
    }
    Ok(())
}

/// Returns the CPU time of this thread.
fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
