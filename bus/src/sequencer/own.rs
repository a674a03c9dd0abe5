//! The sequencer's own events: refusals, cancels that follow from kill switches and operators' requests,
//! timers that fire, and changes of its clock. They are off the hot path, bounded in each duty cycle, and in
//! the class that is refused last.

use super::desk::{Desk, OWN_FRAME_LENGTH_MAX, Origin, REFUSED_HEAD, Verdict, gather};
use crate::bounds::{CLOCK_CHECK_INTERVAL, OWN_EVENTS_PER_CYCLE_MAX};
use crate::clock::Clock;
use crate::head::{Draft, OWN_SCHEMA};
use crate::health::Backpressure;
use crate::intake::Intake;
use crate::refusals::reason_of;
use crate::submission::{NOT_RECEIVED, Submission};
use crate::templates::{MessageClass, Template, template};
use crate::timers::{self, NEVER};
use std::mem::offset_of;
use stele_risk::{Breach, Cancel, OrderTerms, SequencedEvent};
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::{Message, View};
use stele_wire::frame::frame_length;
use stele_wire::messages::{
    ClockStatus, KillSwitch, OperatorCancel, OrderEvent, OrderRejected, OrderStatus, Originator,
    RefusalReason, RefusedOrder, SCHEMA_VERSION, SessionEnd, SessionStart, SubmissionClass,
    SubmissionRefused,
};
use stele_wire::{Nanos, Sequence};
use zerocopy::IntoBytes;

impl<C: Clock> Desk<C> {
    /// Refuses an order: logs the order as it was submitted, then the reason.
    #[cold]
    pub(super) fn reject(&mut self, submission: &Submission<'_>, terms: &OrderTerms, breach: Breach) {
        self.append_refused(submission, terms);
        let rejected = OrderRejected {
            instrument: terms.owner.instrument.into(),
            venue_sequence: 0.into(),
            side: terms.side(),
            client_order_id: terms.client_order_id.into(),
            account: terms.owner.account.into(),
            strategy: terms.owner.strategy.into(),
            event: OrderEvent::REJECTED,
            originator: Originator::MEMBER,
            leaves_quantity: 0.into(),
            cumulative_quantity: 0.into(),
            status: OrderStatus::DONE,
            limit: breach.limit.into(),
            value: breach.value.into(),
            check: breach.check,
            ..OrderRejected::NULL
        };
        let mut body = [0; size_of::<OrderRejected>() + 2];
        rejected.encode(&mut body, b"").expect("the body is as long as the message");
        self.append_own(OrderRejected::TEMPLATE_ID, &body);
        let is_journal = self.head.ring().shared.health.backpressure() != Some(Backpressure::Consumer);
        self.statistics.orders_refused += 1;
        self.statistics.refused.add(reason_of(breach.check, is_journal), 1);
        if let Some(counters) = &mut self.counters {
            counters.on_refusal(breach.check);
        }
    }

    fn append_refused(&mut self, submission: &Submission<'_>, terms: &OrderTerms) {
        let body = gather(&mut self.scratch, submission);
        let body = &body[..body.len().min(BODY_LENGTH_MAX - REFUSED_HEAD)];
        let template = template(submission.template_id).expect("an order has a template");
        let refused = RefusedOrder {
            publisher_sequence: terms.publisher_sequence.into(),
            publisher: terms.publisher.into(),
            template_id: submission.template_id.into(),
            schema_version: SCHEMA_VERSION.into(),
            block_length: template.block_length.into(),
        };
        let length = REFUSED_HEAD + body.len();
        let words = &mut self.refused[..length.div_ceil(8)];
        words[words.len() - 1] = 0;
        let written = refused.encode(words.as_mut_bytes(), body).expect("the body was cut to the room").len();
        debug_assert_eq!(written, length);
        self.head.append_cold(&Draft {
            template_id: RefusedOrder::TEMPLATE_ID,
            template: self::template(RefusedOrder::TEMPLATE_ID).expect("of the schema"),
            schema: OWN_SCHEMA,
            body_length: length,
            body: (&self.refused[..length.div_ceil(8)], &[]),
            received: NOT_RECEIVED,
        });
        self.statistics.events += 1;
    }

    /// Drops a submission that is not a message of the schema. A publisher checks its messages itself, so
    /// this only happens with publishers in other processes, whose memory cannot be trusted.
    #[cold]
    pub(super) fn refuse_malformed(
        &mut self,
        submission: &Submission<'_>,
        origin: &mut Origin<'_>,
    ) -> Verdict {
        let verdict = self.use_up(RefusalReason::MALFORMED, submission, origin);
        self.statistics.malformed += u64::from(verdict == Verdict::Taken);
        verdict
    }

    /// Drops a submission, which is counted and reported on the log.
    pub(super) fn drop_submission(
        &mut self,
        reason: RefusalReason,
        submission: &Submission<'_>,
        origin: &mut Origin<'_>,
    ) -> Verdict {
        let class = template(submission.template_id).map_or(MessageClass::Control, |template| template.class);
        let class = SubmissionClass(class as u8);
        origin.unreported.note(reason, submission.sequence, submission.template_id, class);
        self.statistics.refused.add(reason, 1);
        self.has_unreported = true;
        Verdict::Taken
    }

    /// Counts what a publisher was refused at its own end.
    #[cold]
    pub(super) fn read_refusals(&mut self, intake: &mut Intake) {
        let next = intake.last + 1;
        self.has_unreported |= intake.unreported.read(&intake.refused, next, &mut self.statistics.refused);
    }

    /// Reports on the log what a publisher was refused, if a report is due. Returns how many events it took.
    #[cold]
    pub(super) fn report_refusals(&mut self, intake: &mut Intake, is_last: bool) -> usize {
        self.read_refusals(intake);
        let age = self.head.age();
        let mut reported = 0;
        if self.is_log_open() && (is_last || intake.unreported.is_due(age)) {
            while self.head.has_room(OWN_FRAME_LENGTH_MAX, 0)
                && let Some(refused) = intake.unreported.report(intake.id, age)
            {
                self.append_own(SubmissionRefused::TEMPLATE_ID, refused.as_bytes());
                reported += 1;
            }
        }
        reported
    }

    /// Whether the sequencer may add events: only after the session's first event and before its last.
    #[inline]
    pub(super) fn is_log_open(&self) -> bool {
        !self.is_over && self.statistics.events > 0
    }

    /// Logs cancels that follow from kill switches and operators' requests, timers that are due, and changes
    /// of the clock. Returns how much it did.
    #[inline]
    pub(super) fn do_own_work(&mut self, is_idle: bool) -> usize {
        let has_timers = self.timers.next_due() != NEVER;
        if !has_timers && self.cancels.is_empty() && self.head.age() < self.clock_checked_at {
            return 0;
        }
        if is_idle && (has_timers || !self.cancels.is_empty()) {
            // Nothing else reads the clock then.
            self.head.read_clock();
        }
        if !self.is_log_open() {
            return 0;
        }
        self.cancel() + self.fire_timers() + self.watch_clock()
    }

    fn cancel(&mut self) -> usize {
        if !self.cancels.is_due(self.head.timestamp()) {
            return 0;
        }
        self.cancels.begin_cycle();
        let mut count = 0;
        while count < OWN_EVENTS_PER_CYCLE_MAX && self.head.has_room(OWN_FRAME_LENGTH_MAX, 0) {
            let (sequence, now) = (self.head.next_sequence(), self.head.timestamp());
            match self.cancels.next(&self.risk, sequence, now) {
                // A search that continues in the next cycle is work, too.
                None => return count + usize::from(self.cancels.is_due(now)),
                Some(Cancel::Order(cancel)) => self.append_followed(&cancel),
                Some(Cancel::Quote(cancel)) => self.append_followed(&cancel),
            }
            self.statistics.cancels += 1;
            count += 1;
        }
        count
    }

    #[inline]
    fn fire_timers(&mut self) -> usize {
        if self.timers.next_due() > self.head.timestamp() || self.timer_stop.is_stopped() {
            return 0;
        }
        let mut count = 0;
        while count < OWN_EVENTS_PER_CYCLE_MAX
            && self.head.has_room(OWN_FRAME_LENGTH_MAX, 0)
            && let Some(fired) = self.timers.due(self.head.timestamp())
        {
            self.append_followed(&fired);
            self.statistics.timers_fired += 1;
            count += 1;
        }
        count
    }

    fn watch_clock(&mut self) -> usize {
        if self.head.age() < self.clock_checked_at || !self.head.has_room(OWN_FRAME_LENGTH_MAX, 0) {
            return 0;
        }
        self.clock_checked_at = Nanos(self.head.age().0 + CLOCK_CHECK_INTERVAL.0);
        let (status, back, now) = self.head.clock_status();
        let Some(event) = self.clock_watch.check(status, back, now) else { return 0 };
        self.append_own(ClockStatus::TEMPLATE_ID, event.as_bytes());
        1
    }

    /// Puts the session's last event on the log. It fills in the count of events if the submitter left it
    /// open, because only the sequencer knows how many events it adds itself.
    #[cold]
    pub(super) fn end_session(&mut self, submission: &Submission<'_>, template: Template) {
        let (length, (first, second)) = (submission.body_length, submission.body);
        self.scratch[..first.len()].copy_from_slice(first);
        self.scratch[first.len()..first.len() + second.len()].copy_from_slice(second);
        let events = self.head.next_sequence().0 - self.first_sequence.0 + 1;
        let body = self.scratch.as_mut_bytes();
        let at = offset_of!(SessionEnd, events);
        let field = &mut body[at..at + size_of::<u64>()];
        if field == SessionEnd::NULL.events.as_bytes() {
            field.copy_from_slice(&events.to_le_bytes());
        }
        self.head.append_cold(&Draft {
            template_id: SessionEnd::TEMPLATE_ID,
            template,
            schema: OWN_SCHEMA,
            body_length: length,
            body: (&self.scratch[..length.div_ceil(8)], &[]),
            received: submission.received,
        });
        self.statistics.events += 1;
        self.is_over = true;
        self.has_unreported = false;
    }

    /// Puts the `SessionEnd` of the [`crate::SessionCloser`] on the log, unless the session is over. Returns
    /// false when there is no room yet and it must be called again.
    #[cold]
    pub(super) fn close_session(&mut self) -> bool {
        let closer = self.closer.clone();
        let Some(body) = closer.body().filter(|_| self.is_log_open()) else { return true };
        if !self.head.has_room(frame_length(body.len()), 0) {
            return false;
        }
        let mut words = vec![0_u64; body.len().div_ceil(8)];
        words.as_mut_bytes()[..body.len()].copy_from_slice(body);
        let submission = Submission {
            template_id: SessionEnd::TEMPLATE_ID,
            template: template(SessionEnd::TEMPLATE_ID),
            body_length: body.len(),
            received: NOT_RECEIVED,
            sequence: 0,
            body: (&words, &[]),
        };
        self.end_session(&submission, template(SessionEnd::TEMPLATE_ID).expect("of the schema"));
        true
    }

    /// Feeds an event that is on the log to the state machines that follow the log: risk, timers, cancels.
    #[inline]
    pub(super) fn follow(&mut self, submission: &Submission<'_>, block_length: u16, sequence: Sequence) {
        let template_id = submission.template_id;
        let is_risk = stele_risk::affects_risk(template_id);
        if !is_risk && !timers::affects_timers(template_id) {
            return;
        }
        let event = SequencedEvent {
            template_id,
            block_length,
            schema_version: SCHEMA_VERSION,
            sequence,
            timestamp: self.head.timestamp(),
            body: gather(&mut self.scratch, submission),
        };
        if is_risk {
            self.risk.on_sequenced(&event);
        }
        if timers::affects_timers(template_id) {
            self.timers.on_sequenced(&event);
        }
        match template_id {
            KillSwitch::TEMPLATE_ID => {
                let switch = View::<KillSwitch>::read(block_length, SCHEMA_VERSION, event.body);
                switch.into_iter().for_each(|switch| self.cancels.on_switch(&switch, sequence, &self.risk));
            }
            OperatorCancel::TEMPLATE_ID => {
                let request = View::<OperatorCancel>::read(block_length, SCHEMA_VERSION, event.body);
                if let Some(request) = request {
                    self.cancels.on_operator_cancel(Sequence(request.order_sequence.get()), &self.risk);
                }
            }
            SessionStart::TEMPLATE_ID => self.is_over = false,
            _ => {}
        }
    }

    fn append_followed<M: Message>(&mut self, message: &M) {
        let sequence = self.append_own(M::TEMPLATE_ID, message.as_bytes());
        let event = SequencedEvent::of(message, sequence, self.head.timestamp());
        self.risk.on_sequenced(&event);
        self.timers.on_sequenced(&event);
    }

    /// Puts one of the sequencer's own messages on the log.
    pub(super) fn append_own(&mut self, template_id: u16, body: &[u8]) -> Sequence {
        let mut words = [0_u64; OWN_FRAME_LENGTH_MAX / 8];
        words.as_mut_bytes()[..body.len()].copy_from_slice(body);
        self.append_own_words(template_id, body.len(), &words[..body.len().div_ceil(8)])
    }

    /// As [`Desk::append_own`], with the body in whole words: `length` bytes and zeros.
    pub(super) fn append_own_words(&mut self, template_id: u16, length: usize, words: &[u64]) -> Sequence {
        self.statistics.events += 1;
        self.head.append_cold(&Draft {
            template_id,
            template: template(template_id).expect("the sequencer's messages are of the schema"),
            schema: OWN_SCHEMA,
            body_length: length,
            body: (words, &[]),
            received: NOT_RECEIVED,
        })
    }
}
