//! What tests need of a run that goes on beside them: waiting for something of it, its end with the test, moments at
//! random.

use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Many times what anything here takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks.
const NAP: Duration = Duration::from_millis(10);

/// What `look` gives, as soon as it gives something.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "waited until {what}");
        sleep(NAP);
    }
}

/// Waits until it is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    eventually(what, || is_so().then_some(()));
}

/// A process that is killed at the latest when the test is over.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The same moments for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
