//! Kill switches: which are engaged, and which orders they cover.

use crate::bounds::KILL_SWITCHES_MAX;
use crate::terms::OrderOwner;
use stele_wire::messages::{CancelScope, KillSwitch, SwitchState};

/// The switches that are engaged.
#[derive(Clone, Debug)]
pub(crate) struct Switches {
    engaged: Vec<(CancelScope, u32)>,
    /// Whether more switches were engaged than there is room for: then nothing trades until the switch over
    /// everything is released.
    overflowed: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self { engaged: Vec::with_capacity(KILL_SWITCHES_MAX), overflowed: false }
    }
}

impl Switches {
    #[inline]
    pub(crate) fn is_none_engaged(&self) -> bool {
        self.engaged.is_empty() && !self.overflowed
    }

    /// The id of the switch that covers the owner; 0 when everything is stopped; none when no switch does.
    pub(crate) fn covers(&self, owner: &OrderOwner) -> Option<u32> {
        if self.overflowed {
            return Some(0);
        }
        self.engaged.iter().find(|(scope, id)| owner.is_in(*scope, *id)).map(|(_, id)| *id)
    }

    pub(crate) fn is_engaged(&self, scope: CancelScope, id: u32) -> bool {
        self.engaged.contains(&(scope, id))
    }

    pub(crate) fn on_event(&mut self, switch: &KillSwitch) {
        let key = (switch.scope, switch.scope_id.get());
        if switch.state == SwitchState::RELEASED {
            self.engaged.retain(|engaged| *engaged != key);
            self.overflowed &= switch.scope != CancelScope::ALL;
        } else if !self.engaged.contains(&key) {
            if self.engaged.len() < KILL_SWITCHES_MAX {
                self.engaged.push(key);
            } else {
                self.overflowed = true;
            }
        }
    }

    pub(crate) fn parts(&self) -> (&[(CancelScope, u32)], bool) {
        (&self.engaged, self.overflowed)
    }

    /// Restores the switches from a snapshot.
    pub(crate) fn restore(&mut self, engaged: impl Iterator<Item = (CancelScope, u32)>, overflowed: bool) {
        self.engaged.clear();
        self.engaged.extend(engaged.take(KILL_SWITCHES_MAX));
        self.overflowed = overflowed;
    }
}
