//! What a submission meets between its intake and the ring: room, its number, risk, and then the log or a
//! refusal.

use crate::clock::{Clock, ClockWatch};
use crate::counters::sequencer::SequencerCounters;
use crate::head::{Draft, LogHead, OWN_SCHEMA};
use crate::refusals::UnreportedRefusals;
use crate::sequencer::statistics::SequencerStatistics;
use crate::session::SessionCloser;
use crate::submission::Submission;
use crate::templates::{MessageClass, Template, template};
use crate::timers::{TimerStop, Timers};
use stele_risk::{Breach, OrderTerms, PendingCancels, Risk, is_checked_change};
use stele_wire::codec::MessageHeader;
use stele_wire::frame::frame_length;
use stele_wire::messages::{
    CancelOrder, Check, ClockStatus, OrderRejected, PublisherProgress, QuoteCancel, RefusedOrder,
    RiskDecision, SessionEnd, SubmissionRefused, TimerFired,
};
use stele_wire::{Nanos, Sequence};
use zerocopy::IntoBytes;

/// Longest frame that the sequencer writes on its own account, but for a refused order.
pub(super) const OWN_FRAME_LENGTH_MAX: usize = frame_length(size_of::<OrderRejected>() + 2);

macro_rules! fits {
    ($($message:ident),*) => {
        $(const _: () = assert!(frame_length(size_of::<$message>()) <= OWN_FRAME_LENGTH_MAX);)*
    };
}
fits!(PublisherProgress, SubmissionRefused, RiskDecision, CancelOrder, QuoteCancel, TimerFired, ClockStatus);

/// Bytes of a refused order in front of its body.
pub(super) const REFUSED_HEAD: usize = size_of::<RefusedOrder>() + size_of::<u16>();

/// Bytes of the frames that answer a submission of so many bytes by its refusal, with the note on its
/// numbering.
#[inline]
pub(super) const fn refusal_length(body_length: usize) -> usize {
    frame_length(REFUSED_HEAD + body_length) + 2 * OWN_FRAME_LENGTH_MAX
}

/// Everything that a submission meets between its intake and the ring.
#[derive(Debug)]
pub(super) struct Desk<C> {
    pub(super) head: LogHead<C>,
    pub(super) risk: Risk,
    pub(super) statistics: SequencerStatistics,
    /// Bytes of the ring that each class leaves free.
    pub(super) headrooms: [usize; 5],
    pub(super) is_behind: bool,
    pub(super) counters: Option<SequencerCounters>,
    /// One body in one piece.
    pub(super) scratch: Box<[u64]>,
    /// A refused order with what stands in front of it.
    pub(super) refused: Box<[u64]>,
    pub(super) timers: Timers,
    pub(super) timer_stop: TimerStop,
    pub(super) cancels: PendingCancels,
    pub(super) closer: SessionCloser,
    pub(super) clock_watch: ClockWatch,
    /// When the clock is looked at again, by the age of the log's head.
    pub(super) clock_looked_at: Nanos,
    pub(super) first_sequence: Sequence,
    /// The session's last event is on the log.
    pub(super) is_over: bool,
    /// The log is to be told of refusals.
    pub(super) has_unreported: bool,
}

/// What became of a submission.
#[derive(PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is on the log, or its refusal is.
    Taken,
    /// It stays where it is.
    NoRoom,
}

/// Where a submission comes from, and which number it should have.
pub(super) struct Origin<'a> {
    pub(super) id: u16,
    pub(super) name: &'a [u8; 32],
    /// The publisher outlives the process: a restart must know its last number.
    pub(super) is_outside: bool,
    pub(super) expected: &'a mut Option<u64>,
    /// The last number that was taken.
    pub(super) last: &'a mut u64,
    pub(super) unreported: &'a mut UnreportedRefusals,
}

impl<C: Clock> Desk<C> {
    #[inline]
    fn headroom(&self, class: MessageClass) -> usize {
        self.headrooms[class as usize]
    }

    /// Puts a submission on the log, or a refusal in its place, or leaves it for want of room.
    #[inline]
    pub(super) fn admit(&mut self, submission: &Submission<'_>, origin: &mut Origin<'_>) -> Verdict {
        if submission.sequence <= *origin.last {
            return self.refuse_duplicate(submission, origin);
        }
        let known = template(submission.template_id)
            .filter(|template| submission.body_length >= template.block_length as usize);
        let Some(template) = known else { return self.admit_foreign(submission, origin) };
        if !self.head.has_room(submitted_length(submission), self.headroom(template.class)) {
            return self.on_no_room(submission, &template, origin);
        }
        self.is_behind = self.is_behind && !self.in_time_again(&template);
        self.note_origin(submission, origin);
        if template.class >= MessageClass::NewOrder && self.is_held_back(submission, &template) {
            return Verdict::Taken;
        }
        let sequence = self.head.append(&Draft {
            template_id: submission.template_id,
            template,
            schema: OWN_SCHEMA,
            body_length: submission.body_length,
            body: submission.body,
            received: submission.received,
        });
        self.statistics.events += 1;
        self.follow(submission, template.block_length, sequence);
        Verdict::Taken
    }

    /// As [`Desk::admit`], for what is no message of Stele's schema: one of another schema goes on the log as
    /// it is, anything else is refused.
    #[inline(never)]
    fn admit_foreign(&mut self, submission: &Submission<'_>, origin: &mut Origin<'_>) -> Verdict {
        let Some((header, body)) = submission.foreign() else {
            return self.refuse_malformed(submission, origin);
        };
        let template = Template::foreign(header.block_length.get());
        if !self.head.has_room(submitted_length(submission), self.headroom(template.class)) {
            return self.on_no_room(submission, &template, origin);
        }
        self.is_behind = self.is_behind && !self.in_time_again(&template);
        self.note_origin(submission, origin);
        self.head.append_cold(&Draft {
            template_id: header.template_id.get(),
            template,
            schema: (header.schema_id.get(), header.version.get()),
            body_length: submission.body_length - size_of::<MessageHeader>(),
            body,
            received: submission.received,
        });
        self.statistics.events += 1;
        Verdict::Taken
    }

    /// The ring has room for the first classes again: says so, once.
    #[cold]
    fn in_time_again(&mut self, template: &Template) -> bool {
        let is_first_class = template.class <= MessageClass::NewOrder;
        if is_first_class {
            self.head.ring().shared.health.set_backpressure(None);
        }
        is_first_class
    }

    /// Says who is behind. A new order is answered by a refusal, for which there is headroom; everything else
    /// stays in its publisher's ring.
    #[cold]
    fn on_no_room(
        &mut self,
        submission: &Submission<'_>,
        template: &Template,
        origin: &mut Origin<'_>,
    ) -> Verdict {
        let behind = self.head.writer().backpressure();
        self.head.ring().shared.health.set_backpressure(Some(behind));
        self.is_behind = true;
        let report = self.headroom(MessageClass::Report);
        let needed = refusal_length(submission.body_length);
        if template.class != MessageClass::NewOrder || !self.head.has_room(needed, report) {
            return Verdict::NoRoom;
        }
        let breach = Breach {
            check: Check::BUS_BEHIND,
            limit: self.headroom(template.class) as i64,
            value: self.head.room_after(submitted_length(submission)) as i64,
        };
        let Some(terms) = self.terms(submission) else { return self.refuse_malformed(submission, origin) };
        self.note_origin(submission, origin);
        self.reject(submission, &terms, breach);
        Verdict::Taken
    }

    /// What orders, and changes of the controls on them, meet before they get a sequence. Whether the
    /// submission was answered by a refusal.
    fn is_held_back(&mut self, submission: &Submission<'_>, template: &Template) -> bool {
        if template.class == MessageClass::NewOrder {
            let now = self.head.stamp();
            // The body is as long as the block, so the terms are there.
            let terms = self.terms(submission).expect("an order has terms");
            if let Err(breach) = self.risk.check(&terms, now) {
                self.reject(submission, &terms, breach);
                return true;
            }
        } else if is_checked_change(submission.template_id) {
            let now = self.head.stamp();
            let body = gather(&mut self.scratch, submission);
            if let Err(decision) = self.risk.check_control(submission.template_id, body, now) {
                self.append_own(RiskDecision::TEMPLATE_ID, decision.as_bytes());
                return true;
            }
        } else if submission.template_id == SessionEnd::TEMPLATE_ID {
            self.end_session(submission, *template);
            return true;
        }
        false
    }

    fn terms(&mut self, submission: &Submission<'_>) -> Option<OrderTerms> {
        OrderTerms::read(submission.template_id, gather(&mut self.scratch, submission))
    }
}

/// The body in one piece: in place, unless the end of the publisher's ring lies in it.
#[inline]
pub(super) fn gather<'a>(scratch: &'a mut [u64], submission: &Submission<'a>) -> &'a [u8] {
    let (first, second) = submission.body;
    if second.is_empty() {
        return &first.as_bytes()[..submission.body_length];
    }
    scratch[..first.len()].copy_from_slice(first);
    scratch[first.len()..first.len() + second.len()].copy_from_slice(second);
    &scratch.as_bytes()[..submission.body_length]
}

/// Bytes of the event's frame and of the note on its numbering that may go before it.
#[inline]
fn submitted_length(submission: &Submission<'_>) -> usize {
    frame_length(submission.body_length) + OWN_FRAME_LENGTH_MAX
}
