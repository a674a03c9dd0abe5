//! A control on its way: submitted to the sequencer, followed on the log until the outcome is durable.

use crate::bounds::{CONTROL_DEADLINE, EVENTS_PER_READ, REFUSAL_DEADLINE};
use crate::controls::Control;
use crate::protocol::{Answer, Code, Decision};
use std::sync::Arc;
use std::time::Instant;
use stele_bus::{Event, NOT_RECEIVED, Publisher, Refusal};
use stele_journal::{CatchUp, Storage};
use stele_wire::Position;
use stele_wire::messages::{Decision as RiskVerdict, RiskDecision, SubmissionRefused};

/// A message that waits for its turn or for its outcome.
#[derive(Debug)]
pub(crate) struct Submission {
    /// The connection that gets the answer.
    pub(crate) client: u64,
    pub(crate) control: &'static Control,
    /// The message, with its caller.
    pub(crate) body: Vec<u8>,
}

/// A message that was submitted.
pub(crate) struct Pending {
    submission: Submission,
    /// Its number among the publisher's submissions.
    number: u64,
    publisher: u16,
    log: CatchUp,
    /// How far the log was read.
    read_to: Position,
    outcome: Option<(Answer, Position)>,
    submitted: Instant,
    /// When everything up to the message was read without an outcome.
    passed: Option<Instant>,
}

impl Pending {
    /// Submits a message. The log is followed from before it on, in the ring and, where that has moved on, on
    /// the trail.
    ///
    /// # Errors
    /// The answer that the publisher's refusal is.
    pub(crate) fn submit(
        publisher: &mut Publisher,
        trail: &Arc<dyn Storage>,
        submission: Submission,
    ) -> Result<Self, (u64, Answer)> {
        let log = CatchUp::join_over(publisher.ring(), trail.clone());
        let offered = publisher.offer(submission.control.template_id(), &submission.body, NOT_RECEIVED);
        offered.map_err(|refusal| (submission.client, refused(refusal)))?;
        let number = publisher.next_sequence() - 1;
        let (outcome, passed) = (None, None);
        Ok(Self {
            submission,
            number,
            publisher: publisher.id(),
            log,
            read_to: Position(0),
            outcome,
            submitted: Instant::now(),
            passed,
        })
    }

    /// The connection that gets the answer.
    pub(crate) fn client(&self) -> u64 {
        self.submission.client
    }

    /// Reads what is new on the log. Returns the answer once there is one.
    pub(crate) fn progress(&mut self, publisher: &Publisher, now: Instant) -> Option<Answer> {
        let taken = publisher.acknowledged();
        let is_readable = self.outcome.is_some() || self.read();
        let durable = publisher.ring().watermarks().durable();
        if let Some((answer, end)) = &self.outcome
            && *end <= durable
        {
            return Some(answer.clone());
        }
        if let Some(reason) = publisher.ring().poisoned() {
            let what = format!("the journal failed, so it is not durable: {reason}");
            return Some(Answer::Refused { code: Code::NoAnswer, what, decision: None });
        }
        if self.outcome.is_none() && taken.sequence >= self.number && self.read_to >= taken.position {
            let passed = *self.passed.get_or_insert(now);
            if now.duration_since(passed) >= REFUSAL_DEADLINE {
                let what = "the bus refused the message: `stele dump` may show why".into();
                return Some(Answer::Refused { code: Code::Refused, what, decision: None });
            }
        }
        if !is_readable || now.duration_since(self.submitted) >= CONTROL_DEADLINE {
            let what = format!(
                "the bus did not make it durable within {CONTROL_DEADLINE:?}; it was submitted and may still be \
                 sequenced: `stele dump` shows whether it was"
            );
            return Some(Answer::Refused { code: Code::NoAnswer, what, decision: None });
        }
        None
    }

    /// Looks for the outcome in what is new on the log. Returns false when the log cannot be read.
    fn read(&mut self) -> bool {
        let Self { submission, number, publisher, log, read_to, outcome, .. } = self;
        let own = (*publisher, *number);
        let read = log.poll(EVENTS_PER_READ, |event| {
            *read_to = event.end();
            if outcome.is_none() {
                *outcome = outcome_in(submission, own, &event).map(|answer| (answer, event.end()));
            }
        });
        read.is_ok()
    }
}

/// The answer that an event is to a submission, if it is one. `publisher` and `number` identify the
/// submission.
fn outcome_in(submission: &Submission, (publisher, number): (u16, u64), event: &Event<'_>) -> Option<Answer> {
    let Submission { control, body, .. } = submission;
    let frame = event.frame();
    if !frame.is_stele() {
        return None;
    }
    if frame.template_id() == control.template_id() && control.is_same(event.body(), body) {
        return Some(Answer::Sequenced { sequence: event.sequence().0 });
    }
    let people = control.people(body);
    if let Some(decision) = frame.message::<RiskDecision>().filter(|decision| {
        let named = (decision.verified_by.get(), decision.authorised_by.get());
        decision.decision == RiskVerdict::REFUSED
            && decision.order_sequence.get() == 0
            && named == (people.0.unwrap_or(0), people.1.unwrap_or(0))
    }) {
        let (asked, in_force) = (decision.limit.get(), decision.value.get());
        return Some(Answer::Refused {
            code: Code::Refused,
            what: format!("{asked} was requested, {in_force} is in force"),
            decision: Some(Decision {
                sequence: event.sequence().0,
                check: decision.check.0,
                limit: asked,
                value: in_force,
            }),
        });
    }
    let refused = frame.message::<SubmissionRefused>().filter(|refused| {
        let numbers = refused.first_publisher_sequence.get()..=refused.last_publisher_sequence.get();
        refused.publisher.get() == publisher && numbers.contains(&number)
    })?;
    let why = refused.reason.name().unwrap_or("unknown");
    let what = format!("the bus refused the message: {why}, event {} of the log", event.sequence());
    Some(Answer::Refused { code: Code::Refused, what, decision: None })
}

/// The answer that a publisher's refusal is.
fn refused(refusal: Refusal) -> Answer {
    let code = if refusal.is_transient() { Code::Busy } else { Code::Refused };
    Answer::Refused { code, what: refusal.to_string(), decision: None }
}
