//! Signals: SIGINT and SIGTERM request a clean stop; a second signal ends the process at once.

use crate::failure::Failure;
use signal_hook::consts::TERM_SIGNALS;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a signal has requested a stop.
#[derive(Clone)]
pub(crate) struct StopRequest {
    asked: Arc<AtomicBool>,
}

impl StopRequest {
    /// Installs the signal handlers.
    ///
    /// # Errors
    /// [`Failure`]: the kernel refuses a handler.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in TERM_SIGNALS {
            // The order matters: the first signal finds the flag clear and sets it; the second ends the
            // process.
            signal_hook::flag::register_conditional_shutdown(*signal, 130, asked.clone())
                .and_then(|_| signal_hook::flag::register(*signal, asked.clone()))
                .map_err(|error| Failure::environment(format!("cannot listen for signals: {error}")))?;
        }
        Ok(Self { asked })
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}
