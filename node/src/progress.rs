//! Progress bars for operations that may take more than two seconds. Nothing is shown without a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// A progress bar where the total is known, otherwise a spinner with a count. It is cleared when dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Shows that `what` is going on, counted in `unit`, of `total` where that is known.
    pub(crate) fn new(what: &'static str, unit: &'static str, total: Option<u64>) -> Self {
        let bar = match total {
            Some(total) => ProgressBar::new(total).with_style(style(&format!(
                "{what} {{bar:40}} {{human_pos}} of {{human_len}} {unit}, {{eta}} left"
            ))),
            None => ProgressBar::new_spinner()
                .with_style(style(&format!("{what} {{spinner}} {{human_pos}} {unit}, {{elapsed}}"))),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// Sets the position.
    pub(crate) fn set(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// Sets the position and the total.
    pub(crate) fn set_of(&self, position: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(position);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is written above")
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
