//! Helpers for tests of a running process: waiting for a condition, ending the process with the test, random
//! moments.

use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The time limit of a wait: many times what is needed on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(180);
/// The time between two attempts.
const NAP: Duration = Duration::from_millis(10);

/// Calls `attempt` until it returns a value.
///
/// # Panics
/// After [`PATIENCE`]; `what` says what was waited for.
pub(crate) fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "waited until {what}");
        sleep(NAP);
    }
}

/// Waits until `is_so` returns true.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    eventually(what, || is_so().then_some(()));
}

/// A process that is killed when the test ends.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A random number generator with a seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
