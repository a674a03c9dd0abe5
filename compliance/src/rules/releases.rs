//! Releases: orders left after their watermark had passed, and no answer came earlier.
//!
//! | module | rule |
//! |---|---|
//! | this one | `release-order`, `release-watermark`, `report-after-release`, `durable-recorded` |
//! | `early` | `cancel-left`: cancels that left before earlier orders |
//! | `dropped` | `dropped-stays`: orders and cancels that never leave |

mod dropped;
mod early;

use super::orders::{Left, Orders};
use super::plan::Plan;
use super::{CheckCounts, Rule, Site, Verdict, breach, field};
use std::collections::{BTreeMap, BTreeSet};
use stele_wire::messages::{OrderReleased, Originator, ReleaseWatermark};
use stele_wire::{Position, Sequence};

/// The progress of one gateway in this epoch.
#[derive(Clone, Copy, Debug)]
struct Gateway {
    through: Sequence,
    watermark: Position,
}

/// An answer to an order that was not recorded as durable when the answer came.
#[derive(Clone, Copy, Debug)]
struct Answer {
    order: Sequence,
    end: Position,
    report: Sequence,
    /// The watermark in the padding after the answer; `None` when there was no padding yet.
    recorded: Option<Position>,
}

#[derive(Debug, Default)]
pub(super) struct Releases {
    gateways: BTreeMap<u16, Gateway>,
    /// The last event of the previous epoch.
    previous: Sequence,
    /// The last order that a release of this epoch covers.
    through: Sequence,
    /// The orders of this epoch that were answered and that no release covers yet.
    unreleased: BTreeSet<Sequence>,
    /// The highest watermark of a release of kind durable or later.
    claimed: Position,
    recorded: Option<Position>,
    answers: Vec<Answer>,
    before_the_trail: u64,
    /// The epoch may have begun before the trail, with orders in it.
    may_be_begun: bool,
}

impl Releases {
    pub(super) fn on_epoch(&mut self, last: Sequence, may_be_begun: bool) {
        self.may_be_begun = may_be_begun;
        self.gateways.clear();
        self.answers.clear();
        self.unreleased.clear();
        (self.previous, self.through, self.claimed) = (last, last, Position(0));
    }

    pub(super) fn durable(&self) -> Option<Position> {
        self.recorded
    }

    pub(super) fn before_the_trail(&self) -> u64 {
        self.before_the_trail
    }

    pub(super) fn on_padding(&mut self, position: Position, durable: Position, orders: &Orders) -> Verdict {
        let floor = self.recorded.unwrap_or(Position(0)).max(self.claimed);
        if durable < floor || durable > position {
            let expected = format!("a durable watermark from {floor} to {position}");
            return breach(Rule::DurableRecorded, expected, durable.to_string());
        }
        self.recorded = Some(durable);
        self.answers.retain_mut(|answer| {
            let recorded = *answer.recorded.get_or_insert(durable);
            // A release before the padding has claimed more than the padding could record.
            answer.end > recorded
                && orders.of_epoch(answer.order).is_some_and(|order| order.left == Left::Unknown)
        });
        Ok(())
    }

    pub(super) fn on_released(
        &mut self,
        site: &Site<'_>,
        orders: &mut Orders,
        counts: &mut CheckCounts,
    ) -> Verdict {
        counts.add(Rule::ReleaseOrder);
        let Some(released) = site.frame.message::<OrderReleased>() else {
            return breach(Rule::ReleaseOrder, "an OrderReleased that decodes", "one that does not decode");
        };
        let (number, through) = (released.gateway.get(), Sequence(released.through_sequence.get()));
        let known = self.gateways.get(&number).copied();
        let before = known.unwrap_or(Gateway { through: self.previous, watermark: Position(0) });
        // The orders it covers may be before the trail, some of them or all.
        let is_partial = self.may_be_begun && known.is_none();
        if is_partial && through <= self.previous {
            self.before_the_trail += 1;
            return Ok(());
        }
        let Some(end) = orders.of_epoch(through).map(|order| order.end) else {
            let expected = format!("an order after {} and before {}", before.through, site.sequence());
            return breach(Rule::ReleaseOrder, expected, format!("throughSequence {through}"));
        };
        if through <= before.through {
            let expected = format!("an order after {}, the last one of gateway {number}", before.through);
            return breach(Rule::ReleaseOrder, expected, format!("throughSequence {through}"));
        }
        let covered = orders.between(before.through, through);
        let left = covered.iter().filter(|order| order.left != Left::Dropped).count();
        let early = covered.iter().filter(|order| order.is_early).count();
        let count = released.count.get() as usize;
        self.before_the_trail += u64::from(is_partial && count > left);
        // Cancels that left early are covered again; the gateway may count them or not.
        let least = usize::from(left > early);
        if count < least || (count > left && !is_partial) {
            let expected = format!("{least} to {left} orders, as many as there are since {}", before.through);
            return breach(Rule::ReleaseOrder, expected, format!("count {count}"));
        }
        counts.add(Rule::ReleaseWatermark);
        let watermark = Position(released.watermark.get());
        let least = end.max(before.watermark);
        if watermark < least || watermark > site.position {
            let expected = format!("a watermark from {least} to {}", site.position);
            return breach(Rule::ReleaseWatermark, expected, watermark.to_string());
        }
        let is_durable = is_durable(released.kind);
        if (count == left || count + early == left) && !is_partial {
            let state = if is_durable { Left::Durable } else { Left::Earlier };
            let waiting = covered.iter_mut().filter(|order| order.left == Left::Unknown);
            waiting.for_each(|order| order.left = state);
        }
        self.gateways.insert(number, Gateway { through, watermark });
        self.through = self.through.max(through);
        self.unreleased = self.unreleased.split_off(&self.through.next());
        if is_durable {
            self.claimed = self.claimed.max(watermark);
        }
        self.settle(orders, counts)
    }

    /// Checks the answers whose orders a release now covers.
    fn settle(&mut self, orders: &Orders, counts: &mut CheckCounts) -> Verdict {
        let mut verdict = Ok(());
        self.answers.retain(|answer| {
            let Some(recorded) = answer.recorded else { return true };
            match orders.of_epoch(answer.order).map(|order| order.left) {
                Some(Left::Unknown) => true,
                Some(Left::Durable) if verdict.is_ok() => {
                    counts.add(Rule::ReportAfterRelease);
                    verdict = answer.is_early(recorded);
                    false
                }
                _ => false,
            }
        });
        verdict
    }

    pub(super) fn on_report(
        &mut self,
        plan: &Plan,
        block: &[u8],
        site: &Site<'_>,
        first: Sequence,
        orders: &Orders,
        counts: &mut CheckCounts,
    ) -> Verdict {
        let originator =
            plan.originator.and_then(|offset| field::<1>(block, offset)).map_or(0, |[byte]| byte);
        let is_ours = plan.is_refusal && Originator(originator) == Originator::MEMBER;
        if dropped::is_end_of_dropped(plan, block, site, orders)? {
            return Ok(());
        }
        for &offset in &plan.answers {
            let order = Sequence(field(block, offset).map_or(0, u64::from_le_bytes));
            if order == Sequence(0) {
                continue;
            }
            if order < first {
                self.before_the_trail += 1;
                continue;
            }
            counts.add(Rule::AnswersOrder);
            if !orders.contains(order) {
                let found = format!("event {order}, which is another message");
                return breach(
                    Rule::AnswersOrder,
                    "the sequence of an order, replacement, cancel or quote",
                    found,
                );
            }
            if is_ours {
                continue;
            }
            let Some(state) = orders.of_epoch(order) else { continue };
            let end = state.end;
            counts.add(Rule::ReportAfterRelease);
            if order > self.through && !state.is_early {
                self.unreleased.insert(order);
            }
            if self.recorded.is_none_or(|recorded| end > recorded) {
                self.answers.push(Answer { order, end, report: site.sequence(), recorded: None });
            }
        }
        Ok(())
    }

    /// The epoch ended in order: every order that left has been released on the log.
    pub(super) fn on_session_end(&mut self, counts: &mut CheckCounts) -> Verdict {
        counts.add(Rule::ReportAfterRelease);
        if let Some(answered) = self.unreleased.last() {
            let expected = format!("a release of order {answered}, which was answered");
            let found = match self.through > self.previous {
                true => format!("the session's end, and releases through {} only", self.through),
                false => "the session's end, and no release".to_owned(),
            };
            return breach(Rule::ReportAfterRelease, expected, found);
        }
        Ok(())
    }
}

/// Whether what left waited for the durable watermark or a later one.
fn is_durable(kind: ReleaseWatermark) -> bool {
    matches!(kind, ReleaseWatermark::DURABLE | ReleaseWatermark::REPLICATED | ReleaseWatermark::SEALED)
}

impl Answer {
    fn is_early(&self, recorded: Position) -> Verdict {
        let Self { order, end, report, .. } = self;
        let expected =
            format!("order {order}, which ends at {end}, durable before event {report} answered it");
        breach(
            Rule::ReportAfterRelease,
            expected,
            format!("durable up to {recorded} in the padding after the answer"),
        )
    }
}
