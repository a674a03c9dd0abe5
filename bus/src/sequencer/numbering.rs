//! Who submits, and under which number: what the log records about a publisher before its events, what is
//! refused for its number or its grants, and resets of a numbering.

use super::Sequencer;
use super::desk::{Desk, OWN_FRAME_LENGTH_MAX, Origin, Verdict, gather, refusal_length};
use crate::bounds::{GRANT_SCOPES_MAX, RESET_NUMBER_MAX};
use crate::clock::Clock;
use crate::grants::{Grants, Ungranted};
use crate::head::{Draft, OWN_SCHEMA};
use crate::refusals::USED_UP;
use crate::submission::Submission;
use crate::templates::{MessageClass, Template, template};
use std::mem::offset_of;
use stele_risk::{Breach, SequencedEvent};
use stele_wire::Nanos;
use stele_wire::codec::View;
use stele_wire::frame::frame_length;
use stele_wire::messages::{
    Boolean, Check, Decision, GroupSizeEncoding, PublisherGrant, PublisherGrantScopes, PublisherProgress,
    PublisherReset, RefusalReason, RiskDecision, SCHEMA_VERSION, SubmissionRefused,
};
use zerocopy::IntoBytes;

/// The bytes of a `PublisherGrant` with so many scopes.
const fn grant_length(scopes: usize) -> usize {
    size_of::<PublisherGrant>() + size_of::<GroupSizeEncoding>() + scopes * size_of::<PublisherGrantScopes>()
}

/// The bytes of the frames that may precede an event of a publisher: its numbering, its grants before the
/// first, and numbers that were used up before it.
#[inline]
pub(super) fn notes_length(grants: &Grants, is_granted: bool, is_outside: bool) -> usize {
    let grant = if is_granted { 0 } else { frame_length(grant_length(grants.scopes().len())) };
    let used_up = if is_outside { USED_UP.len() * OWN_FRAME_LENGTH_MAX } else { 0 };
    OWN_FRAME_LENGTH_MAX + grant + used_up
}

/// A reset of a publisher's numbering that was admitted and not applied. Its body is in the desk's scratch.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingReset {
    body_length: usize,
    received: Nanos,
}

impl<C: Clock> Desk<C> {
    /// Records on the log that a publisher begins, or that its numbering skips. For a publisher that outlives
    /// the process, it does so before every event that does not contain the number itself.
    #[inline]
    pub(super) fn note_origin(&mut self, submission: &Submission<'_>, origin: &mut Origin<'_>) {
        if *origin.expected != Some(submission.sequence) || origin.is_outside {
            self.note_number(submission, origin);
        }
        *origin.expected = Some(submission.sequence + 1);
        *origin.last = submission.sequence;
    }

    #[cold]
    fn note_number(&mut self, submission: &Submission<'_>, origin: &mut Origin<'_>) {
        if origin.is_outside && origin.unreported.has_used_up() {
            self.report_used_up(origin);
        }
        if !*origin.is_granted {
            self.append_grant(origin);
        }
        let has_number = submission.template.is_some_and(|template| template.origin.has_number());
        if has_number && *origin.expected == Some(submission.sequence) {
            return;
        }
        let progress = PublisherProgress {
            publisher_sequence: (submission.sequence - 1).into(),
            publisher: origin.id.into(),
            name: *origin.name,
            ..PublisherProgress::NULL
        };
        self.append_own(PublisherProgress::TEMPLATE_ID, progress.as_bytes());
    }

    /// Records what a publisher may submit.
    fn append_grant(&mut self, origin: &mut Origin<'_>) {
        let grant = PublisherGrant {
            number_step_max: origin.grants.number_step_max().into(),
            publisher: origin.id.into(),
            groups: origin.grants.groups(),
            is_outside: if origin.is_outside { Boolean::TRUE } else { Boolean::FALSE },
            last_number: (*origin.last).into(),
            name: *origin.name,
            ..PublisherGrant::NULL
        };
        let mut words = [0_u64; grant_length(GRANT_SCOPES_MAX).div_ceil(8)];
        let encoded = grant.encode(words.as_mut_bytes(), origin.grants.scopes());
        let length = encoded.expect("the buffer has room for every scope").len();
        self.append_own_words(PublisherGrant::TEMPLATE_ID, length, &words[..length.div_ceil(8)]);
        *origin.is_granted = true;
    }

    /// Refuses a submission whose number is not above the publisher's last one, or too far above. Neither
    /// moves the numbering.
    #[cold]
    pub(super) fn refuse_number(&mut self, submission: &Submission<'_>, origin: &mut Origin<'_>) -> Verdict {
        if submission.sequence <= *origin.last {
            self.statistics.duplicates += 1;
            return self.drop_submission(RefusalReason::DUPLICATE, submission, origin);
        }
        self.drop_submission(RefusalReason::NUMBER_JUMP, submission, origin)
    }

    /// Drops a submission that uses up its number without an event, so the next number is recorded. The
    /// number of a publisher that outlives the process needs room on the log.
    #[cold]
    pub(super) fn use_up(
        &mut self,
        reason: RefusalReason,
        submission: &Submission<'_>,
        origin: &mut Origin<'_>,
    ) -> Verdict {
        debug_assert!(USED_UP.contains(&reason));
        if origin.is_outside && !self.head.has_room(USED_UP.len() * OWN_FRAME_LENGTH_MAX, 0) {
            return Verdict::NoRoom;
        }
        *origin.expected = None;
        *origin.last = submission.sequence;
        self.drop_submission(reason, submission, origin)
    }

    /// Records the numbers that were used up without an event before they are acknowledged.
    #[cold]
    pub(super) fn report_used_up(&mut self, origin: &mut Origin<'_>) {
        if !self.is_log_open() {
            return;
        }
        let age = self.head.age();
        for reason in USED_UP {
            if let Some(refused) = origin.unreported.report_reason(reason, origin.id, age) {
                self.append_own(SubmissionRefused::TEMPLATE_ID, refused.as_bytes());
            }
        }
    }

    /// Checks the grants of a publisher with scopes, and those of a message that is not in its groups. An
    /// order outside its scopes is answered by a refusal; everything else is dropped and counted. None: it is
    /// granted.
    #[cold]
    #[inline(never)]
    pub(super) fn refuse_ungranted(
        &mut self,
        submission: &Submission<'_>,
        template: &Template,
        origin: &mut Origin<'_>,
    ) -> Option<Verdict> {
        let body = gather(&mut self.scratch, submission);
        let ungranted = origin.grants.check(submission.template_id, template, body).err()?;
        let Ungranted::Scope(id) = ungranted else {
            return Some(self.use_up(RefusalReason::NOT_GRANTED, submission, origin));
        };
        if template.class != MessageClass::NewOrder {
            return Some(self.use_up(RefusalReason::NOT_GRANTED, submission, origin));
        }
        let needed = refusal_length(submission.body_length, origin);
        if !self.head.has_room(needed, self.headroom(MessageClass::Report)) {
            return Some(Verdict::NoRoom);
        }
        let terms = self.terms(submission).expect("an order has terms");
        self.note_origin(submission, origin);
        self.reject(submission, &terms, Breach { check: Check::NOT_GRANTED, limit: 0, value: id.into() });
        Some(Verdict::Taken)
    }

    /// Keeps a reset until the chunk that contains it is done.
    pub(super) fn keep_reset(&mut self, submission: &Submission<'_>) -> Verdict {
        let (first, second) = submission.body;
        self.scratch[..first.len()].copy_from_slice(first);
        self.scratch[first.len()..first.len() + second.len()].copy_from_slice(second);
        let (body_length, received) = (submission.body_length, submission.received);
        self.reset = Some(PendingReset { body_length, received });
        Verdict::Reset
    }

    /// Puts a reset on the log that was checked, with the number that the publisher had.
    fn append_reset(&mut self, pending: &PendingReset, last: u64) {
        let at = offset_of!(PublisherReset, last_number);
        self.scratch.as_mut_bytes()[at..at + size_of::<u64>()].copy_from_slice(&last.to_le_bytes());
        let template = template(PublisherReset::TEMPLATE_ID).expect("of the schema");
        let words = &self.scratch[..pending.body_length.div_ceil(8)];
        let sequence = self.head.append_cold(&Draft {
            template_id: PublisherReset::TEMPLATE_ID,
            template,
            schema: OWN_SCHEMA,
            body_length: pending.body_length,
            body: (words, &[]),
            received: pending.received,
        });
        self.statistics.events += 1;
        self.risk.on_sequenced(&SequencedEvent {
            template_id: PublisherReset::TEMPLATE_ID,
            block_length: template.block_length,
            schema_version: SCHEMA_VERSION,
            sequence,
            timestamp: self.head.timestamp(),
            body: &self.scratch.as_bytes()[..pending.body_length],
        });
    }
}

impl<C: Clock> Sequencer<C> {
    /// Applies the reset that the desk kept, or records why it is refused: the publisher is not in another
    /// process, the number is too high, or the people are missing.
    #[cold]
    #[inline(never)]
    pub(super) fn reset_numbering(&mut self, pending: PendingReset) {
        let now = self.desk.head.stamp();
        let body = &self.desk.scratch.as_bytes()[..pending.body_length];
        let block = template(PublisherReset::TEMPLATE_ID).expect("of the schema").block_length;
        let reset = *View::<PublisherReset>::read(block, SCHEMA_VERSION, body).expect("the body is as long");
        let (id, new) = (reset.publisher.get(), reset.new_number.get());
        let intake = self.intakes.iter().position(|intake| intake.id == id);
        // A publisher of this process keeps its own count, which a reset would contradict.
        let is_resettable = intake.is_none_or(|index| self.intakes[index].is_outside);
        let last = match intake {
            Some(index) => Some(self.intakes[index].last),
            None => self.known.get(&id).copied(),
        };
        let refused = match last {
            Some(last) if is_resettable && new <= RESET_NUMBER_MAX && reset.party.get() != 0 => {
                let checked = self.desk.risk.check_control(PublisherReset::TEMPLATE_ID, body, now);
                checked.map(|()| last)
            }
            _ => Err(RiskDecision {
                limit: i64::try_from(new).unwrap_or(i64::MAX).into(),
                value: i64::try_from(last.unwrap_or(0)).unwrap_or(i64::MAX).into(),
                authorised_by: reset.approved_by,
                verified_by: reset.party,
                check: Check::MALFORMED,
                decision: Decision::REFUSED,
                reason: reset.reason,
                ..RiskDecision::NULL
            }),
        };
        match refused {
            Err(decision) => {
                self.desk.append_own(RiskDecision::TEMPLATE_ID, decision.as_bytes());
            }
            Ok(last) => {
                self.desk.append_reset(&pending, last);
                self.set_number(id, new, intake);
            }
        }
        self.desk.head.end_stretch();
    }

    fn set_number(&mut self, id: u16, new: u64, intake: Option<usize>) {
        let position = self.desk.head.writer().head();
        match intake {
            Some(index) => self.intakes[index].reset(new, position),
            None => {
                self.known.insert(id, new);
            }
        }
    }
}
