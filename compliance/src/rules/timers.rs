//! Timers fire when they are due, in order, and only those that were set.

use super::{CheckCounts, Rule, Setting, Site, Verdict, breach};
use stele_bus::Timers;
use stele_bus::timers::affects_timers;
use stele_wire::messages::TimerFired;

/// The pending timers, as the sequencer's own state has them.
#[derive(Debug, Default)]
pub(super) struct TimerOrder {
    pending: Timers,
}

impl TimerOrder {
    pub(super) fn on_event(
        &mut self,
        site: &Site<'_>,
        setting: &Setting,
        counts: &mut CheckCounts,
    ) -> Verdict {
        let frame = &site.frame;
        if frame.template_id() == TimerFired::TEMPLATE_ID
            && let Some(fired) = frame.message::<TimerFired>()
        {
            counts.add(Rule::TimerInOrder);
            self.judge(&fired, site, setting)?;
        }
        self.pending.on_event(frame);
        Ok(())
    }

    fn judge(&self, fired: &TimerFired, site: &Site<'_>, setting: &Setting) -> Verdict {
        let now = site.frame.timestamp();
        if fired.due.get() > now.0 {
            let expected = format!("a timer that is due by {now}");
            return breach(Rule::TimerInOrder, expected, format!("one that is due at {}", fired.due));
        }
        if !setting.has_beginning() {
            // Which strategies run, and which timers they set, began before the trail.
            return Ok(());
        }
        let name = |timer: &TimerFired| {
            let TimerFired { strategy, timer_id, set_sequence, due, .. } = timer;
            format!("timer {timer_id} of strategy {strategy}, set by event {set_sequence}, due at {due}")
        };
        match self.pending.due(now) {
            Some(first) if name(&first) == name(fired) => Ok(()),
            Some(first) => breach(Rule::TimerInOrder, name(&first), name(fired)),
            None => breach(Rule::TimerInOrder, "no timer, because none that was set is due", name(fired)),
        }
    }
}

/// Whether the rule follows messages of this template.
pub(super) fn is_followed(template_id: u16) -> bool {
    affects_timers(template_id)
}
