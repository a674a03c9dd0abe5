//! The checks, separate from the faults that try to break them. A checker keeps its own account of what
//! happened and trusts no other part.

use crate::cancels::CancelChecker;
use crate::departures::DepartureChecker;
use crate::disk::Disk;
use crate::traffic::Submission;
use crate::violation::{Checked, violated};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use stele_bus::{Event, MessageClass, Watermark, Watermarks, template};
use stele_journal::recovery::Continuation;
use stele_journal::{RecoveryReport, TrailReader};
use stele_wire::frame::Seed;
use stele_wire::messages::{
    CancelOrder, CancelReleased, ClockStatus, OrderCancelled, OrderDropped, OrderRejected, OrderReleased,
    Originator, PublisherGrant, PublisherProgress, QuoteCancel, RefusedOrder, ReplaceRejected,
    SubmissionRefused,
};
use stele_wire::{Epoch, Nanos, Position, Sequence};

macro_rules! hold {
    ($condition:expr, $rule:expr, $($what:tt)+) => {
        if !$condition {
            return Err(violated($rule, format!($($what)+)));
        }
    };
}

/// Checks that watermarks only grow and that none passes the one before it.
#[derive(Clone, Debug)]
pub struct WatermarkChecker {
    last: [Position; 5],
}

impl WatermarkChecker {
    /// Starts from the current watermarks.
    pub fn new(marks: &Watermarks) -> Self {
        Self { last: Watermark::ALL.map(|mark| marks.get(mark)) }
    }

    /// Checks the watermarks against the previous ones.
    ///
    /// # Errors
    /// The watermark that moved wrongly.
    pub fn check(&mut self, marks: &Watermarks) -> Checked {
        let now = Watermark::ALL.map(|mark| marks.get(mark));
        for (index, mark) in Watermark::ALL.into_iter().enumerate() {
            hold!(now[index] >= self.last[index], "watermarks grow", "{mark:?} went back to {}", now[index]);
            hold!(
                index == 0 || now[index] <= now[index - 1],
                "watermarks are ordered",
                "{mark:?} is at {}, the one before it at {}",
                now[index],
                now[index - 1]
            );
        }
        self.last = now;
        Ok(())
    }
}

/// Checks that everything that a publisher submitted is on the log, once, in its order and unchanged, and
/// that everything else there comes from the sequencer or the gateway.
#[derive(Clone, Debug)]
pub struct SubmissionChecker {
    waiting: Vec<VecDeque<Submission>>,
    gateway: u16,
    cancels: CancelChecker,
    /// What the gateway dropped.
    dropped: BTreeSet<u64>,
}

/// Bytes of a stamped message that the sequencer writes: `receivedDelta`.
const STAMP: std::ops::Range<usize> =
    stele_bus::templates::RECEIVED_DELTA_OFFSET..stele_bus::templates::RECEIVED_DELTA_OFFSET + 4;

impl SubmissionChecker {
    /// Creates the checker for `publishers` publishers and a gateway that publishes as `gateway`.
    pub fn new(publishers: usize, gateway: u16) -> Self {
        let (waiting, dropped) = (vec![VecDeque::new(); publishers], BTreeSet::new());
        Self { waiting, gateway, cancels: CancelChecker::default(), dropped }
    }

    /// Records that publisher `index`'s submission was accepted.
    pub fn on_taken(&mut self, index: usize, submission: Submission) {
        self.waiting[index].push_back(submission);
    }

    /// Returns how many accepted submissions are not on the log yet.
    pub fn missing(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    /// Checks the next event on the log.
    ///
    /// # Errors
    /// When it was not submitted, or is not the next one of its publisher.
    pub fn on_event(&mut self, event: &Event<'_>) -> Checked {
        let of_front = |queue: &&mut VecDeque<Submission>| {
            queue.front().is_some_and(|submission| is_same(submission, event))
        };
        if let Some(queue) = self.waiting.iter_mut().find(of_front) {
            queue.pop_front();
            self.cancels.on_submitted(event);
            return Ok(());
        }
        let frame = event.frame();
        if [PublisherGrant::TEMPLATE_ID, PublisherProgress::TEMPLATE_ID].contains(&event.template_id()) {
            return Ok(());
        }
        if let Some(released) = frame.message::<OrderReleased>() {
            hold!(
                released.gateway.get() == self.gateway,
                "only the gateway releases",
                "publisher {} reported a release at sequence {}",
                released.gateway,
                event.sequence()
            );
            return Ok(());
        }
        if self.is_of_gateway(event) {
            return Ok(());
        }
        // The sequencer's own events: its clock's status, and refusals at publishers' rings.
        if [SubmissionRefused::TEMPLATE_ID, ClockStatus::TEMPLATE_ID].contains(&event.template_id()) {
            return Ok(());
        }
        if let Some(refused) = frame.message::<RefusedOrder>() {
            let is_whole = |queue: &VecDeque<Submission>| {
                queue.front().is_some_and(|front| {
                    front.template_id == refused.template_id.get() && front.body[..] == *refused.body()
                })
            };
            hold!(
                self.waiting.iter().any(is_whole),
                "a refused order is on the log as it was submitted",
                "sequence {} holds another order",
                event.sequence()
            );
            return Ok(());
        }
        if let Some(rejected) = frame.message::<OrderRejected>() {
            let refused = |queue: &&mut VecDeque<Submission>| {
                queue.front().is_some_and(|front| {
                    front.order_id() == Some(rejected.client_order_id.get())
                        && template(front.template_id)
                            .is_some_and(|known| known.class == MessageClass::NewOrder)
                })
            };
            if let Some(queue) = self.waiting.iter_mut().find(refused) {
                queue.pop_front();
                return Ok(());
            }
        }
        if [CancelOrder::TEMPLATE_ID, QuoteCancel::TEMPLATE_ID].contains(&event.template_id()) {
            return self.cancels.on_own(event);
        }
        let what = format!("sequence {} is of template {}", event.sequence(), event.template_id());
        Err(violated("every event was submitted, once and in order", what))
    }
}

impl SubmissionChecker {
    /// Whether the gateway published it: that a cancel left early or an order was dropped, and the end of
    /// what was dropped.
    fn is_of_gateway(&mut self, event: &Event<'_>) -> bool {
        if let Some(released) = event.message::<CancelReleased>() {
            return released.gateway.get() == self.gateway;
        }
        if let Some(dropped) = event.message::<OrderDropped>() {
            self.dropped.insert(dropped.order_sequence.get());
            return dropped.gateway.get() == self.gateway;
        }
        macro_rules! end {
            ($message:ident, $sequence:ident, $id:ident) => {
                if let Some(end) = event.message::<$message>() {
                    let is_dropped = self.dropped.contains(&end.$sequence.get());
                    if is_dropped && end.originator == Originator::MEMBER {
                        self.cancels.on_ended(end.$id.get(), end.account.get(), end.strategy.get());
                        return true;
                    }
                }
            };
        }
        end!(OrderCancelled, order_sequence, client_order_id);
        end!(OrderRejected, order_sequence, client_order_id);
        end!(ReplaceRejected, request_sequence, request_order_id);
        false
    }
}

fn is_same(submission: &Submission, event: &Event<'_>) -> bool {
    let (said, found) = (&submission.body, event.body());
    if submission.template_id != event.template_id() || found.len() < said.len() {
        return false;
    }
    let (found, rest) = found.split_at(said.len());
    if rest.len() >= 8 || rest.iter().any(|&byte| byte != 0) {
        return false;
    }
    if template(submission.template_id).is_some_and(|known| known.stamped) {
        found[..STAMP.start] == said[..STAMP.start] && found[STAMP.end..] == said[STAMP.end..]
    } else {
        found == said
    }
}

/// A published event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublishedEvent {
    /// Its sequence number.
    pub sequence: Sequence,
    /// The epoch that wrote it.
    pub epoch: Epoch,
    /// Position of its first byte.
    pub position: Position,
    /// Position after its last byte.
    pub end: Position,
    /// When it was sequenced.
    pub timestamp: Nanos,
    /// The whole frame.
    pub bytes: Box<[u8]>,
}

/// An order that was released to the venue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReleasedOrder {
    /// Its sequence number.
    pub sequence: Sequence,
    /// Position after its frame.
    pub end: Position,
    /// How far the log was durable when it was released.
    pub durable: Position,
    /// Whether it is a cancel.
    pub is_cancel: bool,
}

/// The log as its readers saw it: the reference for the trail.
#[derive(Clone, Debug, Default)]
pub struct ReferenceLog {
    events: Vec<PublishedEvent>,
    /// What was acknowledged: as durable, or by a later epoch that continued from it.
    acknowledged: Position,
    /// Index of the first event after the newest recovery.
    epoch_first: usize,
    epoch: Epoch,
    /// The last order or cancel that left.
    released: Sequence,
    departures: DepartureChecker,
}

impl ReferenceLog {
    /// Returns the number of events that were not rolled back.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Returns whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns the last event that was not rolled back; 0 when there is none.
    pub fn last_sequence(&self) -> Sequence {
        self.events.last().map_or(Sequence(0), |event| event.sequence)
    }

    /// Returns the position up to which the log was acknowledged.
    pub fn acknowledged(&self) -> Position {
        self.acknowledged
    }

    /// Adds an event that was published in `epoch`.
    ///
    /// # Errors
    /// When it does not follow the previous one.
    pub fn on_event(&mut self, event: &Event<'_>, epoch: Epoch, seed: Seed) -> Checked {
        let expected = self.last_sequence().next();
        hold!(event.sequence() == expected, "sequences have no gap", "{} for {expected}", event.sequence());
        if let Some(last) = self.events.last() {
            let (was, is) = (last.timestamp, event.timestamp());
            hold!(is >= was, "time does not go back", "{is} after {was} at {expected}");
            let position = event.position();
            hold!(position >= last.end, "events do not overlap", "{position} before {}", last.end);
        }
        let verified = event.frame().verify(seed);
        hold!(verified.is_ok(), "a frame carries its checksum", "{expected}: {verified:?}");
        self.departures.on_event(event)?;
        self.events.push(PublishedEvent {
            sequence: event.sequence(),
            epoch,
            position: event.position(),
            end: event.end(),
            timestamp: event.timestamp(),
            bytes: event.frame().bytes().into(),
        });
        Ok(())
    }

    /// Records that an order left the host.
    ///
    /// # Errors
    /// When the log was not durable up to the order's end.
    pub fn on_released(&mut self, left: &ReleasedOrder) -> Checked {
        let ReleasedOrder { sequence, end, durable, .. } = *left;
        hold!(
            durable >= end,
            "orders leave when they are durable",
            "{sequence} ends at {end} above {durable}"
        );
        self.released = self.released.max(sequence);
        self.departures.on_left(left)
    }

    /// Records that the log was durable up to `position` when the epoch ended.
    pub fn on_acknowledged(&mut self, position: Position) {
        self.acknowledged = self.acknowledged.max(position);
    }

    /// Checks the result of recovery after a crash at which `acknowledged` was acknowledged. `continuation`
    /// is where the log continues.
    ///
    /// # Errors
    /// What was lost, invented or acknowledged wrongly.
    pub fn on_recovered(
        &self,
        acknowledged: Position,
        report: &RecoveryReport,
        continuation: &Continuation,
    ) -> Checked {
        let RecoveryReport { end, last_sequence, floor, .. } = *report;
        hold!(
            end >= acknowledged,
            "what was acknowledged survives",
            "the log ends at {end}, acknowledged was {acknowledged}"
        );
        hold!(
            floor <= acknowledged,
            "the floor was acknowledged",
            "the floor is {floor}, acknowledged was {acknowledged}"
        );
        let released = self.released;
        hold!(
            last_sequence >= released,
            "orders that left survive",
            "{released} left, {last_sequence} is the last"
        );
        let known = self.last_sequence();
        hold!(
            last_sequence <= known,
            "nothing is invented",
            "{last_sequence} is the last, {known} was published"
        );
        if let Some(last) = (last_sequence.0 as usize).checked_sub(1).and_then(|at| self.events.get(at)) {
            hold!(last.end <= end, "the end is after the last event", "{} above {end}", last.end);
            let time = report.last_timestamp;
            hold!(time >= last.timestamp, "time does not go back", "the log's is {time}, {}", last.timestamp);
        }
        // An epoch that began and wrote nothing begins on a block after the end.
        if report.epoch == self.epoch
            && let Some(next) = self.events.get(last_sequence.0 as usize)
        {
            hold!(next.position >= end, "the end is before the next event", "{} below {end}", next.position);
        }
        let epoch = continuation.epoch;
        hold!(epoch > self.epoch, "epochs grow", "epoch {epoch} after {}", self.epoch);
        Ok(())
    }

    /// Begins the next epoch after the recovery in `report`: events after its end are rolled back, events
    /// before it count as acknowledged.
    pub fn begin_epoch(&mut self, report: &RecoveryReport, epoch: Epoch) {
        self.events.truncate(report.last_sequence.0 as usize);
        self.acknowledged = report.end;
        self.epoch_first = self.events.len();
        self.epoch = epoch;
        self.departures = DepartureChecker::default();
    }

    /// Checks that a reader of the trail sees exactly the events from `from` to `last`.
    ///
    /// # Errors
    /// The first difference.
    pub fn read(&self, disk: &Disk, from: Sequence, last: Sequence) -> Checked {
        let rule = "a reader sees exactly what survived";
        let mut reader = match TrailReader::over(Arc::new(disk.clone())) {
            Ok(reader) => reader,
            Err(error) => return Err(violated(rule, error.to_string())),
        };
        let failed = |error: stele_journal::TrailError| violated(rule, error.to_string());
        reader.seek(from).map_err(failed)?;
        let mut next = from.0 as usize - 1;
        while let Some(entry) = reader.read_next().map_err(failed)? {
            let Some(known) = self.events.get(next) else {
                return Err(violated(rule, format!("sequence {} was not published", entry.frame.sequence())));
            };
            hold!(
                entry.frame.bytes() == &*known.bytes
                    && entry.position == known.position
                    && entry.epoch == known.epoch,
                rule,
                "sequence {} at {} of epoch {} differs from {} at {} of epoch {}",
                entry.frame.sequence(),
                entry.position,
                entry.epoch,
                known.sequence,
                known.position,
                known.epoch
            );
            next += 1;
        }
        hold!(next as u64 == last.0, rule, "it saw up to {next} of {last}");
        Ok(())
    }

    /// Checks that a reader of a live trail sees a prefix of the log, at least up to `written`.
    ///
    /// # Errors
    /// The first difference.
    pub fn read_live(&self, disk: &Disk, from: Sequence, written: Position) -> Checked {
        let rule = "a live reader sees a prefix of the log";
        let failed = |error: stele_journal::TrailError| violated(rule, error.to_string());
        let mut reader = TrailReader::over(Arc::new(disk.clone())).map_err(failed)?;
        reader.seek(from).map_err(failed)?;
        let mut next = from.0 as usize - 1;
        while let Some(entry) = reader.read_next().map_err(failed)? {
            // An event that the recorder has not read yet looks like one that was never published.
            let Some(known) = self.events.get(next) else { return Ok(()) };
            hold!(
                entry.frame.bytes() == &*known.bytes && entry.position == known.position,
                rule,
                "sequence {} at {} differs",
                entry.frame.sequence(),
                entry.position
            );
            next += 1;
        }
        if let Some(unread) = self.events.get(next) {
            hold!(unread.end > written, rule, "it does not see {}, written is {written}", unread.sequence);
        }
        Ok(())
    }

    /// Returns the first event of the newest epoch.
    pub fn epoch_first(&self) -> Sequence {
        Sequence(self.epoch_first as u64 + 1)
    }
}
