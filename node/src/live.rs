//! The live line: how a run is going, on one line of a terminal.

use crate::readable::grouped;
use crate::session::Glance;
use std::io::{IsTerminal, Write as _, stderr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use stele_journal::SpaceWatch;

/// Shows how a run goes on, on standard error: one line that is redrawn on a terminal, a line a second in a log.
pub(crate) struct LiveLine {
    is_terminal: bool,
    before: Glance,
    /// When the next line of a log is due.
    next: Duration,
}

/// Between two lines of a log.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

impl LiveLine {
    pub(crate) fn new() -> Self {
        Self { is_terminal: stderr().is_terminal(), before: Glance::default(), next: Duration::ZERO }
    }

    pub(crate) fn show(&mut self, glance: &Glance) {
        if !self.is_terminal && glance.elapsed < self.next {
            return;
        }
        let line = describe(&self.before, glance);
        // Whoever does not listen any more does not stop the run.
        let _ = if self.is_terminal {
            write!(stderr(), "\r\x1b[2K{line}").and_then(|()| stderr().flush())
        } else {
            writeln!(stderr(), "{line}")
        };
        self.before = *glance;
        self.next = glance.elapsed + LOG_INTERVAL;
    }
}

/// Says when free space gets scarce, once a level and trail.
pub(crate) struct SpaceWarner {
    trails: Vec<WatchedTrail>,
}

struct WatchedTrail {
    directory: PathBuf,
    space: Option<Arc<SpaceWatch>>,
    told: u64,
}

impl SpaceWarner {
    /// For trails and how much room there is for each, where that is known.
    pub(crate) fn new(trails: Vec<(PathBuf, Option<Arc<SpaceWatch>>)>) -> Self {
        let watched = trails.into_iter().map(|(directory, space)| WatchedTrail { directory, space, told: 0 });
        Self { trails: watched.collect() }
    }

    /// Looks, and says what is new on a line of its own.
    pub(crate) fn warn(&mut self, line: Option<&LiveLine>) {
        let clear = if line.is_some_and(|line| line.is_terminal) { "\r\x1b[2K" } else { "" };
        for trail in &mut self.trails {
            let Some(space) = &trail.space else { continue };
            let warnings = space.warnings();
            if warnings != trail.told {
                trail.told = warnings;
                // Whoever does not listen any more does not stop the run.
                let _ = writeln!(stderr(), "{clear}warning: {}: {space}", trail.directory.display());
            }
        }
    }
}

impl Drop for LiveLine {
    fn drop(&mut self) {
        if self.is_terminal {
            let _ = write!(stderr(), "\r\x1b[2K");
        }
    }
}

fn describe(before: &Glance, now: &Glance) -> String {
    let span = now.elapsed.saturating_sub(before.elapsed).max(Duration::from_millis(1));
    let rate = (now.events - before.events) as f64 / span.as_secs_f64();
    let lag = |position: u64| grouped(now.published.saturating_sub(position));
    format!(
        "{:5.1} s  {:>9} events/s  {:>11} events  {:>6} orders  {:>6} fills  published {}  written −{}  durable −{}",
        now.elapsed.as_secs_f64(),
        grouped(rate as u64),
        grouped(now.events),
        grouped(now.orders),
        grouped(now.fills),
        grouped(now.published),
        lag(now.written),
        lag(now.durable),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_the_rate_since_the_line_before_and_how_far_the_disk_is_behind() {
        let before = Glance { elapsed: Duration::from_secs(1), events: 1_000, ..Glance::default() };
        let now = Glance {
            elapsed: Duration::from_secs(3),
            events: 5_000,
            published: 10_000,
            written: 9_000,
            durable: 8_000,
            ..Glance::default()
        };
        let line = describe(&before, &now);
        assert!(line.contains("2,000 events/s"), "{line}");
        assert!(line.contains("written −1,000  durable −2,000"), "{line}");
    }
}
