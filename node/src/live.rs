//! The live line: the progress of a run, on one line of a terminal.

use crate::readable::grouped;
use crate::session::RunStatus;
use std::io::{IsTerminal, Write as _, stderr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use stele_journal::SpaceWatch;

/// Prints the progress of a run on standard error: on a terminal one line that is redrawn, otherwise a line
/// each second.
pub(crate) struct LiveLine {
    is_terminal: bool,
    before: RunStatus,
    /// When the next line is due where standard error is not a terminal.
    next: Duration,
}

/// The time between two lines where standard error is not a terminal.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

impl LiveLine {
    pub(crate) fn new() -> Self {
        Self { is_terminal: stderr().is_terminal(), before: RunStatus::default(), next: Duration::ZERO }
    }

    /// Prints the line, where one is due.
    pub(crate) fn show(&mut self, status: &RunStatus) {
        if !self.is_terminal && status.elapsed < self.next {
            return;
        }
        let line = describe(&self.before, status);
        // A closed standard error does not stop the run.
        let _ = if self.is_terminal {
            write!(stderr(), "\r\x1b[2K{line}").and_then(|()| stderr().flush())
        } else {
            writeln!(stderr(), "{line}")
        };
        self.before = *status;
        self.next = status.elapsed + LOG_INTERVAL;
    }
}

/// Warns when free space becomes scarce, once for each level and trail.
pub(crate) struct SpaceWarner {
    trails: Vec<WatchedTrail>,
}

struct WatchedTrail {
    directory: PathBuf,
    space: Option<Arc<SpaceWatch>>,
    reported: u64,
}

impl SpaceWarner {
    /// Watches these trails and the free space of each, where that is known.
    pub(crate) fn new(trails: Vec<(PathBuf, Option<Arc<SpaceWatch>>)>) -> Self {
        let watched =
            trails.into_iter().map(|(directory, space)| WatchedTrail { directory, space, reported: 0 });
        Self { trails: watched.collect() }
    }

    /// Prints each new warning on a line of its own.
    pub(crate) fn warn(&mut self, line: Option<&LiveLine>) {
        let clear = if line.is_some_and(|line| line.is_terminal) { "\r\x1b[2K" } else { "" };
        for trail in &mut self.trails {
            let Some(space) = &trail.space else { continue };
            let warnings = space.warnings();
            if warnings != trail.reported {
                trail.reported = warnings;
                // A closed standard error does not stop the run.
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

fn describe(before: &RunStatus, now: &RunStatus) -> String {
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
    fn the_line_shows_the_rate_since_the_previous_line_and_how_far_the_disk_is_behind() {
        let before = RunStatus { elapsed: Duration::from_secs(1), events: 1_000, ..RunStatus::default() };
        let now = RunStatus {
            elapsed: Duration::from_secs(3),
            events: 5_000,
            published: 10_000,
            written: 9_000,
            durable: 8_000,
            ..RunStatus::default()
        };
        let line = describe(&before, &now);
        assert!(line.contains("2,000 events/s"), "{line}");
        assert!(line.contains("written −1,000  durable −2,000"), "{line}");
    }
}
