//! Retention: how long records are kept, what is on hold, and which segments may be removed. A survey of
//! verified frames, then a pure decision.
//!
//! Holds and retention acts are found by reading the log, never by an index, which proves nothing. A hold
//! keeps every segment of its time range, whatever instrument or account it names: the case determines later
//! which records it concerns.

mod survey;

pub use survey::{SegmentRecords, TrailRecords, survey_records};

use crate::trail::Segment;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use stele_wire::layout::Utc;
use stele_wire::units::{Nanos, Sequence};

/// The class of a record, which determines how long it is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum RecordClass {
    /// Market data from sources: templates 100 to 199.
    MarketData,
    /// Definitions of instruments, accounts, parties: templates 200 to 299.
    Reference,
    /// Orders and reports about them: templates 300 to 499.
    Orders,
    /// Sessions, limits, clocks, alerts, holds, retention acts, and everything that this program does not
    /// know.
    Control,
}

impl RecordClass {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::MarketData, Self::Reference, Self::Orders, Self::Control];

    /// Returns the class of a message of Stele's schema.
    pub fn of(template_id: u16) -> Self {
        match template_id {
            100..=199 => Self::MarketData,
            200..=299 => Self::Reference,
            300..=499 => Self::Orders,
            _ => Self::Control,
        }
    }

    /// Returns the name of the class in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::MarketData => "market-data",
            Self::Reference => "reference",
            Self::Orders => "orders",
            Self::Control => "control",
        }
    }
}

impl fmt::Display for RecordClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How long records of each class are kept, in nanoseconds from the timestamp of the record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetentionPolicy {
    /// The ages by class. A class that is not listed is kept for ever.
    pub ages: BTreeMap<RecordClass, u64>,
}

/// A hold that is in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ActiveHold {
    /// The number of the hold.
    pub id: u64,
    /// The case that it belongs to.
    pub case: u64,
    /// It covers records from this time on; `None` for all from the first.
    pub from: Option<Nanos>,
    /// It covers records up to this time; `None` for no end.
    pub to: Option<Nanos>,
    /// An instrument that the case names; 0 for all.
    pub instrument: u32,
    /// An account that the case names; 0 for all.
    pub account: u32,
    /// The person who placed it.
    pub placed_by: u32,
    /// The person who approved it; 0 when it was not approved.
    pub approved_by: u32,
    /// The event that placed it.
    pub sequence: Sequence,
    /// The segment that holds that event.
    pub segment: u64,
    /// The reason for the hold.
    pub reason: String,
}

impl ActiveHold {
    /// Returns whether it covers records of the time from `first` to `last`.
    pub fn covers(&self, first: Nanos, last: Nanos) -> bool {
        self.from.is_none_or(|from| from <= last) && self.to.is_none_or(|to| to >= first)
    }
}

/// Why a segment is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeepReason {
    /// It is the newest.
    Last,
    /// No snapshot allows a start without it.
    NoSnapshot,
    /// It holds records of a class that are not old enough.
    Young {
        /// The class; of several, the one that is kept longest.
        class: RecordClass,
        /// When the last of them may be removed; `None` for never.
        until: Option<Nanos>,
    },
    /// A hold covers its time range.
    Held {
        /// The hold.
        hold: u64,
        /// Its case.
        case: u64,
    },
    /// It holds the event that placed a hold which is in force.
    CarriesHold {
        /// The hold.
        hold: u64,
        /// Its case.
        case: u64,
    },
    /// An earlier segment is kept, and a trail has no gaps.
    Follows {
        /// The earlier segment.
        index: u64,
    },
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last => f.write_str("it is the newest"),
            Self::NoSnapshot => {
                f.write_str("no valid snapshot of it or a later one allows a start without it (`stele snapshot` takes one)")
            }
            Self::Young { class, until: Some(until) } => {
                write!(f, "records of class {class} are kept until {}", Utc(until.0))
            }
            Self::Young { class, until: None } => write!(f, "records of class {class} are kept for ever"),
            Self::Held { hold, case } => write!(f, "hold {hold} of case {case} covers its time"),
            Self::CarriesHold { hold, case } => {
                write!(f, "it carries the event that placed hold {hold} of case {case}")
            }
            Self::Follows { index } => write!(f, "the earlier segment {index} is kept"),
        }
    }
}

/// The decision about one segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetentionVerdict {
    /// Index of the segment.
    pub index: u64,
    /// Every reason why it is kept; empty when it may be removed.
    pub keep: Vec<KeepReason>,
}

impl RetentionVerdict {
    /// Returns whether only holds keep it.
    pub fn is_held_back(&self) -> bool {
        let is_hold =
            |keep: &KeepReason| matches!(keep, KeepReason::Held { .. } | KeepReason::CarriesHold { .. });
        !self.keep.is_empty() && self.keep.iter().all(is_hold)
    }
}

/// Decides which of `segments`, oldest first, may be removed at the time `now`. `snapshot` is the newest
/// index with a valid snapshot.
pub fn decide(
    policy: &RetentionPolicy,
    segments: &[SegmentRecords],
    holds: &[ActiveHold],
    snapshot: Option<u64>,
    now: Nanos,
) -> Vec<RetentionVerdict> {
    let mut verdicts: Vec<RetentionVerdict> = Vec::with_capacity(segments.len());
    let last = segments.last().map(|segment| segment.index);
    for segment in segments {
        let mut keep = Vec::new();
        if Some(segment.index) == last {
            keep.push(KeepReason::Last);
        }
        if snapshot.is_none_or(|snapshot| snapshot < segment.index) {
            keep.push(KeepReason::NoSnapshot);
        }
        keep.extend(policy.too_young(segment, now));
        for hold in holds {
            let (id, case) = (hold.id, hold.case);
            if hold.covers(segment.first_timestamp, segment.last_timestamp) {
                keep.push(KeepReason::Held { hold: id, case });
            }
            if hold.segment == segment.index {
                keep.push(KeepReason::CarriesHold { hold: id, case });
            }
        }
        let kept = verdicts.iter().find(|verdict| !verdict.keep.is_empty() && !verdict.is_held_back());
        if let Some(index) = kept.map(|verdict| verdict.index) {
            keep.push(KeepReason::Follows { index });
        }
        verdicts.push(RetentionVerdict { index: segment.index, keep });
    }
    // A segment after one that only a hold keeps is held back by that hold, unless it is kept anyway.
    if let Some(first) = verdicts.iter().position(|verdict| !verdict.keep.is_empty()) {
        let index = verdicts[first].index;
        let free = verdicts[first..].iter_mut().filter(|verdict| verdict.keep.is_empty());
        free.for_each(|verdict| verdict.keep.push(KeepReason::Follows { index }));
    }
    verdicts
}

impl RetentionPolicy {
    fn too_young(&self, segment: &SegmentRecords, now: Nanos) -> Option<KeepReason> {
        let until = |class: &RecordClass, newest: &Nanos| {
            self.ages.get(class).map(|age| Nanos(newest.0.saturating_add(*age)))
        };
        let each = segment.newest.iter().map(|(class, newest)| (*class, until(class, newest)));
        let (class, until) = each.max_by_key(|(_, until)| until.map_or(u64::MAX, |until| until.0))?;
        until.is_none_or(|until| until > now).then_some(KeepReason::Young { class, until })
    }
}

/// Returns the hash by which a `RetentionAct` identifies its segments: SHA-256 over the links that follow
/// from each of them, oldest first. `segments` are these, and the one after them.
///
/// Each link is the hash of a segment's header, end, last sequence and data CRC, so a copy of the segments
/// can be proved to be what the act names.
pub fn content_hash(segments: &[Segment]) -> [u8; 32] {
    let mut hash = Sha256::new();
    segments.iter().skip(1).for_each(|segment| hash.update(segment.header.link));
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000_000_000;

    fn policy() -> RetentionPolicy {
        let days = [(RecordClass::MarketData, 10), (RecordClass::Orders, 30), (RecordClass::Control, 10)];
        RetentionPolicy { ages: days.map(|(class, days)| (class, days * DAY)).into() }
    }

    /// Segment `index` of day `index`, with market data and control.
    fn segment(index: u64) -> SegmentRecords {
        let (first, last) = (Nanos(index * DAY), Nanos(index * DAY + DAY / 2));
        SegmentRecords {
            index,
            first_timestamp: first,
            last_timestamp: last,
            last_sequence: Sequence(index * 100),
            newest: [(RecordClass::MarketData, last), (RecordClass::Control, first)].into(),
            bytes: 1 << 20,
        }
    }

    fn hold(from: Option<u64>, to: Option<u64>, segment: u64) -> ActiveHold {
        ActiveHold {
            id: 77,
            case: 5,
            from: from.map(|day| Nanos(day * DAY)),
            to: to.map(|day| Nanos(day * DAY)),
            instrument: 0,
            account: 0,
            placed_by: 1,
            approved_by: 0,
            sequence: Sequence(segment * 100 - 1),
            segment,
            reason: "inquiry".into(),
        }
    }

    fn going(holds: &[ActiveHold], snapshot: Option<u64>, day: u64) -> Vec<u64> {
        let segments: Vec<SegmentRecords> = (3..=8).map(segment).collect();
        let verdicts = decide(&policy(), &segments, holds, snapshot, Nanos(day * DAY));
        verdicts.iter().filter(|verdict| verdict.keep.is_empty()).map(|verdict| verdict.index).collect()
    }

    #[test]
    fn segments_go_oldest_first_when_every_class_in_them_is_old_enough() {
        assert_eq!(going(&[], Some(8), 13), [0u64; 0]);
        assert_eq!(going(&[], Some(8), 14), [3]);
        assert_eq!(going(&[], Some(8), 16), [3, 4, 5]);
        assert_eq!(going(&[], Some(8), 100), [3, 4, 5, 6, 7], "the newest stays");
    }

    #[test]
    fn one_young_record_keeps_its_segment_and_all_later_ones() {
        let mut segments: Vec<SegmentRecords> = (3..=8).map(segment).collect();
        let ordered = segments[1].first_timestamp;
        segments[1].newest.insert(RecordClass::Orders, ordered);
        let verdicts = decide(&policy(), &segments, &[], Some(8), Nanos(30 * DAY));
        assert!(verdicts[0].keep.is_empty());
        let until = Some(Nanos(34 * DAY));
        assert_eq!(verdicts[1].keep, [KeepReason::Young { class: RecordClass::Orders, until }]);
        assert_eq!(verdicts[2].keep, [KeepReason::Follows { index: 4 }]);
        segments[1].newest.insert(RecordClass::Reference, Nanos(0));
        let verdicts = decide(&policy(), &segments, &[], Some(8), Nanos(u64::MAX - 1));
        assert_eq!(verdicts[1].keep, [KeepReason::Young { class: RecordClass::Reference, until: None }]);
    }

    #[test]
    fn no_segment_goes_without_a_snapshot_that_replaces_it() {
        assert_eq!(going(&[], None, 100), [0u64; 0]);
        assert_eq!(going(&[], Some(2), 100), [0u64; 0]);
        assert_eq!(going(&[], Some(5), 100), [3, 4, 5]);
    }

    #[test]
    fn a_hold_keeps_its_time_and_the_segment_of_its_own_event() {
        assert_eq!(going(&[hold(Some(5), Some(5), 8)], Some(8), 100), [3, 4]);
        assert_eq!(going(&[hold(None, None, 8)], Some(8), 100), [0u64; 0]);
        assert_eq!(going(&[hold(Some(20), None, 6)], Some(8), 100), [3, 4, 5], "it carries the hold");
        assert_eq!(going(&[hold(Some(20), None, 8)], Some(8), 100), [3, 4, 5, 6, 7]);
        assert_eq!(going(&[hold(None, Some(2), 8)], Some(8), 100), [3, 4, 5, 6, 7]);
    }

    #[test]
    fn segments_that_only_a_hold_keeps_are_distinguished_from_those_that_stay_anyway() {
        let segments: Vec<SegmentRecords> = (3..=8).map(segment).collect();
        let verdicts = decide(&policy(), &segments, &[hold(None, None, 8)], Some(8), Nanos(15 * DAY));
        let held: Vec<u64> =
            verdicts.iter().filter(|verdict| verdict.is_held_back()).map(|verdict| verdict.index).collect();
        assert_eq!(held, [3, 4], "the others are too young as well");
    }

    #[test]
    fn every_template_of_the_schema_has_the_class_of_its_range() {
        use stele_wire::messages::SCHEMA;
        for message in SCHEMA.messages.iter() {
            let class = RecordClass::of(message.id);
            assert_eq!(class == RecordClass::Control, message.id >= 500, "{}", message.name);
        }
        assert_eq!(RecordClass::of(u16::MAX), RecordClass::Control);
    }
}
