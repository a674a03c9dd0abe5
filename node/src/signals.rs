//! SIGINT and SIGTERM ask for an orderly stop; a second one of either kind ends the process at once.

use crate::failure::Failure;
use signal_hook::consts::TERM_SIGNALS;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody asked for the end.
#[derive(Clone)]
pub(crate) struct StopRequest {
    asked: Arc<AtomicBool>,
}

impl StopRequest {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in TERM_SIGNALS {
            // The order matters: the first signal finds the flag unset and sets it, the second ends the process.
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
