//! Submissions that were refused. Each one is counted by its reason, and those that an auditor needs are
//! logged, many of them in one event.
//!
//! | reason | refused by | logged |
//! |---|---|---|
//! | ring full | the publisher's ring | no: nothing is lost, the publisher offers it again |
//! | the journal or a consumer is behind | the publisher's ring | `SubmissionRefused`, many in one |
//! | the same, of a new order | the log's ring | `RefusedOrder`, `OrderRejected` (`BusBehind`) |
//! | journal poisoned, stopped | the publisher's ring | no: the log has ended |
//! | kill switch, risk | the sequencer | `RefusedOrder`, `OrderRejected` with check, limit and value |
//! | malformed | the sequencer | `SubmissionRefused`, many in one |
//! | malformed | the publisher's ring | no: the caller gets the error, and nothing is submitted |
//! | duplicate | the sequencer | `SubmissionRefused`, many in one |
//! | not granted | the sequencer | `SubmissionRefused`, many in one |
//! | not granted, of an order outside the publisher's scopes | the sequencer | `RefusedOrder`, `OrderRejected` |
//! | number too far ahead | the sequencer | `SubmissionRefused`, many in one; the numbering does not move |
//!
//! A malformed submission and one that is not granted use up their number. That of a publisher in another
//! process is on the log before it is acknowledged, so that a restart recognises a retry.

use crate::bounds::REFUSALS_REPORT_INTERVAL;
use std::sync::atomic::{AtomicU64, Ordering};
use stele_wire::Nanos;
use stele_wire::messages::{Check, RefusalReason, SubmissionClass, SubmissionRefused};

/// The number of reasons, including NONE.
const REASONS: usize = RefusalReason::NUMBER_JUMP.0 as usize + 1;

/// The reasons for which a submission is refused without an event, although its number is used up.
pub(crate) const USED_UP: [RefusalReason; 2] = [RefusalReason::MALFORMED, RefusalReason::NOT_GRANTED];

/// Counts of refusals by reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Refusals([u64; REASONS]);

impl Refusals {
    /// The number of refusals for this reason.
    pub fn of(&self, reason: RefusalReason) -> u64 {
        self.0.get(usize::from(reason.0)).copied().unwrap_or(0)
    }

    /// The number of all refusals.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Iterates over every reason and its count.
    pub fn iter(&self) -> impl Iterator<Item = (RefusalReason, u64)> {
        (1_u8..).zip(&self.0[1..]).map(|(reason, count)| (RefusalReason(reason), *count))
    }

    pub(crate) fn add(&mut self, reason: RefusalReason, count: u64) {
        self.0[usize::from(reason.0)] += count;
    }
}

/// The reason that is counted for an order that fails this check.
pub(crate) fn reason_of(check: Check, is_journal: bool) -> RefusalReason {
    match check {
        Check::KILL_SWITCH => RefusalReason::KILL_SWITCH,
        Check::MALFORMED => RefusalReason::MALFORMED,
        Check::NOT_GRANTED => RefusalReason::NOT_GRANTED,
        Check::BUS_BEHIND if is_journal => RefusalReason::JOURNAL_BEHIND,
        Check::BUS_BEHIND => RefusalReason::CONSUMER_BEHIND,
        _ => RefusalReason::RISK,
    }
}

/// What a publisher refused by itself: counted by the publisher, read by the sequencer.
#[derive(Debug, Default)]
pub(crate) struct RefusedAtRing([AtomicU64; REASONS]);

impl RefusedAtRing {
    #[cold]
    pub(crate) fn count(&self, reason: RefusalReason) {
        self.0[usize::from(reason.0)].fetch_add(1, Ordering::Relaxed);
    }
}

/// One publisher's refusals that are not logged yet.
#[derive(Debug, Default)]
pub(crate) struct UnreportedRefusals {
    /// The publisher's own counts when they were last read.
    seen: Refusals,
    notes: [Option<Note>; REASONS],
    /// When refusals were last logged, by the age of the log's head.
    reported_at: Option<Nanos>,
}

/// Refusals of one publisher for one reason.
#[derive(Clone, Copy, Debug)]
struct Note {
    count: u64,
    first: u64,
    last: u64,
    template_id: u16,
    class: SubmissionClass,
}

impl UnreportedRefusals {
    /// Notes that the submission `sequence` was refused.
    pub(crate) fn note(
        &mut self,
        reason: RefusalReason,
        sequence: u64,
        template_id: u16,
        class: SubmissionClass,
    ) {
        let note = &mut self.notes[usize::from(reason.0)];
        let first = note.map_or(sequence, |note| note.first.min(sequence));
        let last = note.map_or(sequence, |note| note.last.max(sequence));
        let count = note.map_or(0, |note| note.count) + 1;
        *note = Some(Note { count, first, last, template_id, class });
    }

    /// Adds what the publisher has counted since the last call; `next` is the number of the submission that
    /// it could not make. Returns whether there is something new to log.
    pub(crate) fn read(&mut self, ring: &RefusedAtRing, next: u64, into: &mut Refusals) -> bool {
        let mut is_news = false;
        for (index, count) in ring.0.iter().enumerate() {
            let more = count.load(Ordering::Relaxed) - self.seen.0[index];
            if more == 0 {
                continue;
            }
            let reason = RefusalReason(index as u8);
            self.seen.add(reason, more);
            into.add(reason, more);
            if matches!(reason, RefusalReason::JOURNAL_BEHIND | RefusalReason::CONSUMER_BEHIND) {
                self.note(reason, next, 0, SubmissionClass::NULL);
                self.notes[index].iter_mut().for_each(|note| note.count += more - 1);
                is_news = true;
            }
        }
        is_news
    }

    /// Whether a report is due when the log's head has this age.
    pub(crate) fn is_due(&self, age: Nanos) -> bool {
        self.reported_at.is_none_or(|last| age.0.saturating_sub(last.0) >= REFUSALS_REPORT_INTERVAL.0)
    }

    /// Returns the next event that reports refusals, and forgets those.
    pub(crate) fn report(&mut self, publisher: u16, age: Nanos) -> Option<SubmissionRefused> {
        let index = self.notes.iter().position(Option::is_some)?;
        self.report_reason(RefusalReason(index as u8), publisher, age)
    }

    /// Returns the event that reports the refusals for one reason, if there are any, and forgets those.
    pub(crate) fn report_reason(
        &mut self,
        reason: RefusalReason,
        publisher: u16,
        age: Nanos,
    ) -> Option<SubmissionRefused> {
        let Note { count, first, last, template_id, class } = self.notes[usize::from(reason.0)].take()?;
        self.reported_at = Some(age);
        Some(SubmissionRefused {
            count: count.into(),
            first_publisher_sequence: first.into(),
            last_publisher_sequence: last.into(),
            publisher: publisher.into(),
            template_id: template_id.into(),
            submission_class: class,
            reason,
            ..SubmissionRefused::NULL
        })
    }

    /// Whether a refusal that used up a number is not reported.
    pub(crate) fn has_used_up(&self) -> bool {
        USED_UP.iter().any(|reason| self.notes[usize::from(reason.0)].is_some())
    }

    /// Whether everything was reported.
    pub(crate) fn is_empty(&self) -> bool {
        self.notes.iter().all(Option::is_none)
    }
}
