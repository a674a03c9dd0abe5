//! Admission: the checks between an intake and the ring. A submission needs a new number, a grant, room and,
//! if it is an order, to pass the risk checks. Then it is on the log, or its refusal is.

use super::numbering::PendingReset;
use crate::clock::{Clock, ClockWatch};
use crate::counters::sequencer::SequencerCounters;
use crate::grants::Grants;
use crate::head::{Draft, LogHead, OWN_SCHEMA};
use crate::refusals::UnreportedRefusals;
use crate::sequencer::statistics::SequencerStatistics;
use crate::session::SessionCloser;
use crate::submission::Submission;
use crate::templates::{MessageClass, Template};
use crate::timers::{TimerStop, Timers};
use stele_risk::{Breach, OrderTerms, PendingCancels, Risk, is_checked_change};
use stele_wire::codec::MessageHeader;
use stele_wire::frame::frame_length;
use stele_wire::messages::{
    CancelOrder, Check, ClockStatus, GrantGroups, OrderRejected, PublisherProgress, PublisherReset,
    QuoteCancel, RefusalReason, RefusedOrder, RiskDecision, SessionEnd, SubmissionRefused, TimerFired,
};
use stele_wire::{Nanos, Sequence};
use zerocopy::IntoBytes;

/// The longest frame of the sequencer's own events, except a refused order.
pub(super) const OWN_FRAME_LENGTH_MAX: usize = frame_length(size_of::<OrderRejected>() + 2);

macro_rules! fits {
    ($($message:ident),*) => {
        $(const _: () = assert!(frame_length(size_of::<$message>()) <= OWN_FRAME_LENGTH_MAX);)*
    };
}
fits!(PublisherProgress, SubmissionRefused, RiskDecision, CancelOrder, QuoteCancel, TimerFired, ClockStatus);

/// The bytes of a `RefusedOrder` before the body of the refused order.
pub(super) const REFUSED_HEAD: usize = size_of::<RefusedOrder>() + size_of::<u16>();

/// The bytes of the frames that refuse a submission with a body of `body_length` bytes, including the events
/// that record its publisher.
#[inline]
pub(super) fn refusal_length(body_length: usize, origin: &Origin<'_>) -> usize {
    frame_length(REFUSED_HEAD + body_length) + OWN_FRAME_LENGTH_MAX + origin.notes_length
}

/// The state that admission uses.
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
    /// A refused order, after its head.
    pub(super) refused: Box<[u64]>,
    pub(super) timers: Timers,
    pub(super) timer_stop: TimerStop,
    pub(super) cancels: PendingCancels,
    /// A reset of a publisher's numbering, until the chunk that contains it is done.
    pub(super) reset: Option<PendingReset>,
    pub(super) closer: SessionCloser,
    pub(super) clock_watch: ClockWatch,
    /// When the clock is checked again, by the age of the log's head.
    pub(super) clock_checked_at: Nanos,
    pub(super) first_sequence: Sequence,
    /// The session's last event is on the log.
    pub(super) is_over: bool,
    /// Whether refusals are still to be reported on the log.
    pub(super) has_unreported: bool,
}

/// Whether a submission was taken from its publisher's ring.
#[derive(PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is on the log, or its refusal is.
    Taken,
    /// It was taken, and resets the numbering of a publisher. It is applied before anything else is admitted.
    Reset,
    /// It stays in its publisher's ring.
    NoRoom,
}

/// The publisher of a submission, what it may submit, and the number that the submission should have.
pub(super) struct Origin<'a> {
    pub(super) id: u16,
    /// The groups that need no further check, see [`Grants::mask`].
    pub(super) granted: u16,
    /// How far above the last number a number may be.
    pub(super) number_step_max: u64,
    /// The bytes of the events about the publisher that may precede its own.
    pub(super) notes_length: usize,
    pub(super) name: &'a [u8; 32],
    pub(super) grants: &'a Grants,
    /// The grants are on the log.
    pub(super) is_granted: &'a mut bool,
    /// The publisher outlives the process: a restart must know its last number.
    pub(super) is_outside: bool,
    pub(super) expected: &'a mut Option<u64>,
    /// The last number that was taken.
    pub(super) last: &'a mut u64,
    pub(super) unreported: &'a mut UnreportedRefusals,
}

impl<C: Clock> Desk<C> {
    #[inline]
    pub(super) fn headroom(&self, class: MessageClass) -> usize {
        self.headrooms[class as usize]
    }

    /// Puts a submission, or its refusal, on the log. Leaves it where it is when there is no room.
    #[inline]
    pub(super) fn admit(&mut self, submission: &Submission<'_>, origin: &mut Origin<'_>) -> Verdict {
        if submission.sequence <= *origin.last || submission.sequence - *origin.last > origin.number_step_max
        {
            return self.refuse_number(submission, origin);
        }
        let Some(template) = submission.template else { return self.admit_foreign(submission, origin) };
        if template.group.bits() & origin.granted == 0
            && let Some(verdict) = self.refuse_ungranted(submission, &template, origin)
        {
            return verdict;
        }
        if !self.head.has_room(submitted_length(submission, origin), self.headroom(template.class)) {
            return self.on_no_room(submission, &template, origin);
        }
        self.is_behind = self.is_behind && !self.in_time_again(&template);
        self.note_origin(submission, origin);
        if template.class >= MessageClass::NewOrder
            && let Some(verdict) = self.hold_back(submission, &template)
        {
            return verdict;
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

    /// As [`Desk::admit`], for what is not a message of Stele's schema. A message of another schema is put on
    /// the log unchanged; anything else is refused.
    #[inline(never)]
    fn admit_foreign(&mut self, submission: &Submission<'_>, origin: &mut Origin<'_>) -> Verdict {
        let Some((header, body)) = submission.foreign() else {
            return self.refuse_malformed(submission, origin);
        };
        if !origin.grants.groups().contains(GrantGroups::MARKET) {
            return self.use_up(RefusalReason::NOT_GRANTED, submission, origin);
        }
        let template = Template::foreign(header.block_length.get());
        if !self.head.has_room(submitted_length(submission, origin), self.headroom(template.class)) {
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

    /// Clears the backpressure once the ring has room again for the classes that are refused first.
    #[cold]
    fn in_time_again(&mut self, template: &Template) -> bool {
        let is_first_class = template.class <= MessageClass::NewOrder;
        if is_first_class {
            self.head.ring().shared.health.set_backpressure(None);
        }
        is_first_class
    }

    /// Sets the backpressure. A new order is answered by a refusal, for which there is headroom; everything
    /// else stays in its publisher's ring.
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
        let needed = refusal_length(submission.body_length, origin);
        if template.class != MessageClass::NewOrder || !self.head.has_room(needed, report) {
            return Verdict::NoRoom;
        }
        let breach = Breach {
            check: Check::BUS_BEHIND,
            limit: self.headroom(template.class) as i64,
            value: self.head.room_after(submitted_length(submission, origin)) as i64,
        };
        let Some(terms) = self.terms(submission) else { return self.refuse_malformed(submission, origin) };
        self.note_origin(submission, origin);
        self.reject(submission, &terms, breach);
        Verdict::Taken
    }

    /// Checks orders, and changes of the controls on them, before they get a sequence. Returns a verdict when
    /// the submission needs no further handling here: it was refused, it was the session's last event, or it
    /// resets a numbering.
    fn hold_back(&mut self, submission: &Submission<'_>, template: &Template) -> Option<Verdict> {
        if template.class == MessageClass::NewOrder {
            let now = self.head.stamp();
            // The body is as long as the block, so the terms are there.
            let terms = self.terms(submission).expect("an order has terms");
            if let Err(breach) = self.risk.check(&terms, now) {
                self.reject(submission, &terms, breach);
                return Some(Verdict::Taken);
            }
        } else if submission.template_id == PublisherReset::TEMPLATE_ID {
            return Some(self.keep_reset(submission));
        } else if is_checked_change(submission.template_id) {
            let now = self.head.stamp();
            let body = gather(&mut self.scratch, submission);
            if let Err(decision) = self.risk.check_control(submission.template_id, body, now) {
                self.append_own(RiskDecision::TEMPLATE_ID, decision.as_bytes());
                return Some(Verdict::Taken);
            }
        } else if submission.template_id == SessionEnd::TEMPLATE_ID {
            self.end_session(submission, *template);
            return Some(Verdict::Taken);
        }
        None
    }

    pub(super) fn terms(&mut self, submission: &Submission<'_>) -> Option<OrderTerms> {
        OrderTerms::read(submission.template_id, gather(&mut self.scratch, submission))
    }
}

/// The body as one slice: in place, or copied to `scratch` when the publisher's ring wraps in it.
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

/// The bytes of the event's frame and of the events about its publisher that may precede it.
#[inline]
fn submitted_length(submission: &Submission<'_>, origin: &Origin<'_>) -> usize {
    frame_length(submission.body_length) + origin.notes_length
}
