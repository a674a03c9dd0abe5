//! Epochs: how each begins and ends.

use super::{CheckCounts, Role, Rule, Verdict, breach};
use serde::Serialize;
use stele_journal::format::SegmentHeader;
use stele_wire::Frame;
use stele_wire::codec::text;
use stele_wire::messages::{SessionEnd, SessionStart};
use stele_wire::units::{Epoch, Nanos, Sequence};

/// How an epoch ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "how", content = "why")]
pub enum EpochEnding {
    /// In order: its last event is `SessionEnd`, with this reason.
    InOrder(String),
    /// Cut short: its writer was interrupted. Everything acknowledged is on the trail.
    CutShort,
    /// The last epoch, without an end: it is being written, or was cut short.
    Open,
}

/// An epoch of the trail.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EpochSummary {
    /// Number of the epoch.
    pub epoch: u32,
    /// Sequence of its first event.
    pub first_sequence: u64,
    /// Sequence of its last event; one less than the first when it has no event.
    pub last_sequence: u64,
    /// Time at which its writer started, in nanoseconds since 1970 UTC.
    pub began: u64,
    /// Time of its last event; without an event, the time at which it started.
    pub ended: u64,
    /// Version of the program, from `SessionStart`; empty when the epoch was cut short before it.
    pub version: String,
    /// Name of the host, from `SessionStart`; empty likewise.
    pub host: String,
    /// How it ended.
    pub ending: EpochEnding,
}

impl EpochSummary {
    /// The number of its events.
    pub fn events(&self) -> u64 {
        self.last_sequence + 1 - self.first_sequence
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    /// Only records of publishers' numbering and grants so far.
    #[default]
    New,
    /// Like `New`, at the beginning of the trail: the epoch may have begun before it.
    Joined,
    Begun,
    Ended,
}

#[derive(Debug, Default)]
pub(super) struct Sessions {
    epochs: Vec<EpochSummary>,
    state: State,
    /// The last event of the previous epoch, or the last one before the trail if the epoch began there.
    previous: Sequence,
    /// The epoch began before the trail.
    is_partial: bool,
    last_timestamp: Nanos,
}

impl Sessions {
    pub(super) fn on_epoch(&mut self, epoch: Epoch, last: Sequence, created: Nanos, may_be_begun: bool) {
        if let Some(before) = self.epochs.last_mut() {
            (before.last_sequence, before.ended) = (last.0, self.last_timestamp.0.max(before.began));
            if before.ending == EpochEnding::Open {
                before.ending = EpochEnding::CutShort;
            }
        }
        self.epochs.push(EpochSummary {
            epoch: epoch.0,
            first_sequence: last.next().0,
            last_sequence: last.0,
            began: created.0,
            ended: created.0,
            version: String::new(),
            host: String::new(),
            ending: EpochEnding::Open,
        });
        self.state = if may_be_begun { State::Joined } else { State::New };
        (self.previous, self.is_partial) = (last, false);
    }

    #[inline]
    pub(super) fn on_event(
        &mut self,
        frame: &Frame<'_>,
        role: Role,
        segment: &SegmentHeader,
        counts: &mut CheckCounts,
    ) -> Verdict {
        self.last_timestamp = frame.timestamp();
        match (self.state, role) {
            (State::Begun, Role::SessionEnd) => self.end(frame, counts),
            (State::Begun, Role::SessionStart) => {
                counts.add(Rule::SessionBegins);
                breach(Rule::SessionBegins, "one SessionStart in an epoch", "another one")
            }
            (State::Begun, _) | (State::New | State::Joined, Role::Progress | Role::Grant) => Ok(()),
            (State::New | State::Joined, Role::SessionStart) => self.begin(frame, segment, counts),
            (State::Joined, _) => {
                (self.state, self.is_partial) = (State::Begun, true);
                if role == Role::SessionEnd { self.end(frame, counts) } else { Ok(()) }
            }
            (State::New, _) => {
                counts.add(Rule::SessionBegins);
                let expected = format!("SessionStart as the first event of epoch {}", segment.identity.epoch);
                breach(Rule::SessionBegins, expected, "an event of another kind")
            }
            (State::Ended, _) => {
                counts.add(Rule::SessionEnds);
                let expected = format!("nothing after the SessionEnd of epoch {}", segment.identity.epoch);
                breach(Rule::SessionEnds, expected, "an event")
            }
        }
    }

    fn begin(&mut self, frame: &Frame<'_>, segment: &SegmentHeader, counts: &mut CheckCounts) -> Verdict {
        counts.add(Rule::SessionBegins);
        let Some(start) = frame.message::<SessionStart>() else {
            return breach(Rule::SessionBegins, "a SessionStart that decodes", "one that does not decode");
        };
        let identity = &segment.identity;
        let rows = [
            ("epoch", u64::from(identity.epoch.0), u64::from(start.epoch.get())),
            ("shard", u64::from(identity.shard.0), u64::from(start.shard.get())),
            ("previousSequence", self.previous.0, start.previous_sequence.get()),
        ];
        if let Some((name, expected, found)) = rows.into_iter().find(|(_, expected, found)| expected != found)
        {
            return breach(Rule::SessionBegins, format!("{name} {expected}"), format!("{name} {found}"));
        }
        if start.schema_hash != [0; 32] {
            super::schema_text::same_schema(&segment.schema, &start.schema_hash)?;
        }
        if let Some(epoch) = self.epochs.last_mut() {
            (epoch.version, epoch.host) = (text(&start.version).to_owned(), text(&start.host).to_owned());
        }
        self.state = State::Begun;
        Ok(())
    }

    fn end(&mut self, frame: &Frame<'_>, counts: &mut CheckCounts) -> Verdict {
        counts.add(Rule::SessionEnds);
        let Some(end) = frame.message::<SessionEnd>() else {
            return breach(Rule::SessionEnds, "a SessionEnd that decodes", "one that does not decode");
        };
        let epoch = self.epochs.last_mut().expect("an epoch has begun");
        if end.epoch.get() != epoch.epoch {
            let expected = format!("the end of epoch {}", epoch.epoch);
            return breach(Rule::SessionEnds, expected, format!("that of epoch {}", end.epoch.get()));
        }
        let events = frame.sequence().0 - self.previous.0;
        let counted = end.events.get();
        let is_stated = counted != SessionEnd::NULL.events.get();
        if is_stated && self.is_partial && counted < events {
            let expected = format!("{events} events or more, some before the trail");
            return breach(Rule::SessionEnds, expected, format!("{counted} events"));
        }
        if is_stated && !self.is_partial && counted != events {
            return breach(Rule::SessionEnds, format!("{events} events"), format!("{counted} events"));
        }
        epoch.ending = EpochEnding::InOrder(end.reason.to_string());
        self.state = State::Ended;
        Ok(())
    }

    /// Whether the epoch began before the trail.
    pub(super) fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// The epochs so far; the last event of the last one is not known yet.
    pub(super) fn epochs(&self) -> &[EpochSummary] {
        &self.epochs
    }

    pub(super) fn summaries(&self, last: Sequence, last_timestamp: Nanos) -> Vec<EpochSummary> {
        let mut epochs = self.epochs.clone();
        if let Some(open) = epochs.last_mut() {
            (open.last_sequence, open.ended) = (last.0, last_timestamp.0.max(open.began));
        }
        epochs
    }
}
