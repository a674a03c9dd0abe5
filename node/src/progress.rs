//! Progress on a terminal, for whatever may take more than two seconds. Nothing where there is no terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// A bar when the total is known, a spinner with a count otherwise. Gone when dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Shows `what` is going on, in `unit`s, of `total` where that is known.
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

    /// How far it is.
    pub(crate) fn set(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// How far it is, and of how much.
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
