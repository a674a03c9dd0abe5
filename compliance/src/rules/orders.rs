//! The orders, replacements, cancels and quotes on the log, and which of them left the host.

use super::Site;
use stele_bus::{MessageClass, template};
use stele_wire::{Position, Sequence};

/// What a release proves about an order of this epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Left {
    /// Nothing yet, or the gateway that released it is uncertain.
    Unknown,
    /// It left after the durable watermark or a later one had passed it.
    Durable,
    /// It left after an earlier watermark had passed it.
    Earlier,
    /// It never leaves.
    Dropped,
}

/// An order of this epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) end: Position,
    pub(super) left: Left,
    /// A cancel, and not an order, a replacement or a quote.
    pub(super) is_cancel: bool,
    /// A cancel that left before orders that precede it.
    pub(super) is_early: bool,
}

/// Orders in log order: the sequences of all, and more about those of this epoch.
#[derive(Debug, Default)]
pub(super) struct Orders {
    sequences: Vec<u64>,
    /// The orders of this epoch: the last ones of `sequences`.
    of_epoch: Vec<Order>,
}

impl Orders {
    pub(super) fn on_epoch(&mut self) {
        self.of_epoch.clear();
    }

    pub(super) fn on_request(&mut self, site: &Site<'_>) {
        self.sequences.push(site.sequence().0);
        let class = template(site.frame.template_id()).map(|template| template.class);
        self.of_epoch.push(Order {
            end: site.end(),
            left: Left::Unknown,
            is_cancel: class == Some(MessageClass::OrderCancel),
            is_early: false,
        });
    }

    /// Whether this event is an order.
    pub(super) fn contains(&self, sequence: Sequence) -> bool {
        self.sequences.binary_search(&sequence.0).is_ok()
    }

    /// The order, if it is one of this epoch.
    pub(super) fn of_epoch(&self, sequence: Sequence) -> Option<&Order> {
        let start = self.sequences.len() - self.of_epoch.len();
        let at = self.sequences[start..].binary_search(&sequence.0).ok()?;
        Some(&self.of_epoch[at])
    }

    /// As [`Orders::of_epoch`], to change it.
    pub(super) fn of_epoch_mut(&mut self, sequence: Sequence) -> Option<&mut Order> {
        let start = self.sequences.len() - self.of_epoch.len();
        let at = self.sequences[start..].binary_search(&sequence.0).ok()?;
        Some(&mut self.of_epoch[at])
    }

    /// This epoch's orders after `after`, up to and including `through`.
    pub(super) fn between(&mut self, after: Sequence, through: Sequence) -> &mut [Order] {
        let start = self.sequences.len() - self.of_epoch.len();
        let sequences = &self.sequences[start..];
        let from = sequences.partition_point(|sequence| *sequence <= after.0);
        let to = sequences.partition_point(|sequence| *sequence <= through.0);
        &mut self.of_epoch[from..to.max(from)]
    }
}
