//! Reads from verified frames what retention needs to know about a trail.

use super::{ActiveHold, RecordClass};
use crate::error::TrailError;
use crate::scan::{ScanOptions, SegmentScan, SegmentVisitor, scan};
use crate::storage::Storage;
use crate::trail::Segment;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use stele_wire::frame::Frame;
use stele_wire::messages::{
    AccountDefinition, InstrumentDefinition, LegalHold, RetentionAct, RetentionKind, SCHEMA_ID,
    SnapshotTaken, SwitchState,
};
use stele_wire::units::{Nanos, Position, Sequence};

/// The records of one segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentRecords {
    /// Index of the segment.
    pub index: u64,
    /// When it was begun. None of its records is older.
    pub first_timestamp: Nanos,
    /// Timestamp of its last frame.
    pub last_timestamp: Nanos,
    /// The last event in it or before it.
    pub last_sequence: Sequence,
    /// Timestamp of its newest record of each class.
    pub newest: BTreeMap<RecordClass, Nanos>,
    /// Length of its raw file in bytes.
    pub bytes: u64,
}

/// The records of a whole trail.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TrailRecords {
    /// Its segments, oldest first.
    pub segments: Vec<SegmentRecords>,
    /// The holds in force, in the order in which they were placed.
    pub holds: Vec<ActiveHold>,
    /// The last segment that a retention act has declared expired; 0 when there is none.
    pub expired_to: u64,
    /// The defined instruments.
    pub instruments: BTreeSet<u32>,
    /// The defined accounts.
    pub accounts: BTreeSet<u32>,
    /// The snapshots recorded on the trail: SHA-256 and length.
    pub snapshots: BTreeSet<([u8; 32], u64)>,
    /// The first damaged segment; no segment after it was read.
    pub damaged: Option<u64>,
}

/// Reads all of `segments`, several at a time.
///
/// # Errors
/// [`TrailError::Io`].
pub fn survey_records(
    storage: &dyn Storage,
    segments: &[Segment],
    options: &ScanOptions<'_>,
) -> Result<TrailRecords, TrailError> {
    let mut surveyed = TrailRecords::default();
    let last = segments.last().map(|segment| segment.header.index);
    let start = |segment: &Segment| Records { segment: segment.header.index, ..Records::default() };
    scan(storage, segments, options, start, |scan| {
        let is_last = Some(scan.segment.header.index) == last;
        if scan.fault.is_some() && !is_last {
            surveyed.damaged = Some(scan.segment.header.index);
            return ControlFlow::Break(());
        }
        surveyed.take(scan);
        ControlFlow::Continue(())
    })?;
    Ok(surveyed)
}

/// The records of one segment, collected frame by frame.
#[derive(Default)]
struct Records {
    segment: u64,
    newest: BTreeMap<RecordClass, Nanos>,
    holds: Vec<(ActiveHold, bool)>,
    expired_to: u64,
    instruments: BTreeSet<u32>,
    accounts: BTreeSet<u32>,
    snapshots: Vec<([u8; 32], u64)>,
}

impl SegmentVisitor for Records {
    type Output = Self;

    fn on_frame(&mut self, _: Position, frame: &Frame<'_>) {
        if frame.is_padding() {
            return;
        }
        let is_ours = frame.header().schema_id.get() == SCHEMA_ID;
        let class = if is_ours { RecordClass::of(frame.template_id()) } else { RecordClass::Control };
        self.newest.insert(class, frame.timestamp());
        if !is_ours || class == RecordClass::MarketData || class == RecordClass::Orders {
            return;
        }
        match frame.template_id() {
            LegalHold::TEMPLATE_ID => self.on_hold(frame),
            RetentionAct::TEMPLATE_ID => {
                if let Some(act) = frame.message::<RetentionAct>()
                    && act.kind == RetentionKind::EXPIRED
                {
                    self.expired_to = self.expired_to.max(act.to_segment.get());
                }
            }
            InstrumentDefinition::TEMPLATE_ID => {
                let id = frame.message::<InstrumentDefinition>().map(|message| message.instrument.get());
                self.instruments.extend(id);
            }
            AccountDefinition::TEMPLATE_ID => {
                self.accounts
                    .extend(frame.message::<AccountDefinition>().map(|message| message.account.get()));
            }
            SnapshotTaken::TEMPLATE_ID => {
                let taken = frame.message::<SnapshotTaken>().map(|taken| (taken.hash, taken.length.get()));
                self.snapshots.extend(taken);
            }
            _ => {}
        }
    }

    fn finish(self) -> Self {
        self
    }
}

impl Records {
    fn on_hold(&mut self, frame: &Frame<'_>) {
        let Some(message) = frame.message::<LegalHold>() else { return };
        let time = |field: u64, null: u64| (field != null).then_some(Nanos(field));
        let hold = ActiveHold {
            id: message.hold_id.get(),
            case: message.case_id.get(),
            from: time(message.from.get(), LegalHold::NULL.from.get()),
            to: time(message.to.get(), LegalHold::NULL.to.get()),
            instrument: message.instrument.get(),
            account: message.account.get(),
            placed_by: message.placed_by.get(),
            approved_by: message.approved_by.get(),
            sequence: frame.sequence(),
            segment: self.segment,
            reason: String::from_utf8_lossy(message.reason()).into_owned(),
        };
        self.holds.push((hold, message.state == SwitchState::ENGAGED));
    }
}

impl TrailRecords {
    fn take(&mut self, scan: SegmentScan<Records>) {
        let Records { newest, holds, expired_to, instruments, accounts, snapshots, .. } = scan.output;
        for (hold, is_engaged) in holds {
            self.holds.retain(|known| known.id != hold.id);
            if is_engaged {
                self.holds.push(hold);
            }
        }
        self.expired_to = self.expired_to.max(expired_to);
        self.instruments.extend(instruments);
        self.accounts.extend(accounts);
        self.snapshots.extend(snapshots);
        self.segments.push(SegmentRecords {
            index: scan.segment.header.index,
            first_timestamp: scan.segment.header.created,
            last_timestamp: scan.last_timestamp,
            last_sequence: scan.last_sequence,
            newest,
            bytes: scan.segment.file_length,
        });
    }
}
