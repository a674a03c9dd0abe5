//! The events that a session puts on the log before its first market event and after its last: which program
//! runs what, and how it ended.

use crate::config::Credit;
use crate::failure::Failure;
use crate::numbering::{publishers, sources};
use std::collections::BTreeSet;
use stele_bus::session::{
    ControlError, ControlPublisher, ProgramIdentity, SchemaDocument, SessionBeginning, SessionEnding,
    StrategyStart, cut_text,
};
use stele_bus::{ClockQuality, NOT_RECEIVED, SequencerStart};
use stele_journal::RecoveryReport;
use stele_journal::snapshot::{SnapshotDigest, SnapshotOrigin};
use stele_wire::Nanos;
use stele_wire::messages::{
    AccountDefinition, Check, CreditAllotment, EndReason, SnapshotTaken, SourceDefinition, SourceKind,
};
use zerocopy::little_endian::{I64, U16, U32, U64};

pub(crate) use stele_bus::session::sha256;

/// The only account of a run, and the owner of its strategies.
pub(crate) const ACCOUNT: u32 = 1;

/// The version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The state of a trail when a new epoch begins on it.
#[derive(Clone, Copy)]
pub(crate) struct EpochStart<'a> {
    pub(crate) start: &'a SequencerStart,
    pub(crate) recovery: &'a RecoveryReport,
    pub(crate) clock: ClockQuality,
    pub(crate) now: Nanos,
}

impl<'a> EpochStart<'a> {
    /// Returns the first events of an epoch without trading: session, recovery and clock. `configuration`
    /// says what the epoch is for.
    pub(crate) fn beginning(&self, configuration: &'a str) -> SessionBeginning<'a> {
        let beginning = SessionBeginning::new(&self.start.identity, self.now)
            .following(self.recovery.last_sequence, self.recovery.ended_cleanly())
            .run_by(&ProgramIdentity::of_this_process(VERSION))
            .of_schema(&SchemaDocument::stele())
            .configured(configuration);
        SessionBeginning { recovered: self.recovery.events(), clock: Some(self.clock), ..beginning }
    }
}

/// Returns the first events of a run: the epoch, the schema unless it is one of `known`, the limits and
/// credit allotments that the log does not have yet, the account, and the paper exchange as a source.
/// `configuration` is the run's configuration.
pub(crate) fn beginning_of_run<'a>(
    epoch: &EpochStart<'a>,
    configuration: &'a str,
    known: &BTreeSet<[u8; 32]>,
    limits: Vec<(Check, i64)>,
    credit: Option<&Credit>,
) -> SessionBeginning<'a> {
    let schema = SchemaDocument::stele();
    let account = AccountDefinition {
        account: U32::new(ACCOUNT),
        holder_type: b'P',
        name: cut_text("paper"),
        ..AccountDefinition::NULL
    };
    SessionBeginning {
        schemas: if known.contains(&schema.hash) { Vec::new() } else { vec![schema] },
        limits,
        allotments: credit.map(allotments).unwrap_or_default(),
        accounts: vec![account],
        sources: vec![(paper_exchange(), "matches orders against the market that is fed")],
        ..epoch.beginning(configuration)
    }
}

/// Returns the allotments of every shard, so that each log alone proves that the firm has not allotted more
/// than it has.
fn allotments(credit: &Credit) -> Vec<CreditAllotment> {
    let Credit { firm, allotments, people: [changed_by, approved_by] } = credit;
    let blocks = allotments.iter().map(|allotment| CreditAllotment {
        account: U32::new(allotment.account),
        shard: U32::new(allotment.shard),
        amount: I64::new(allotment.amount),
        firm_limit: I64::new(*firm),
        changed_by: U32::new(*changed_by),
        approved_by: U32::new(*approved_by),
        ..CreditAllotment::NULL
    });
    blocks.collect()
}

/// Returns the definition of the paper exchange, the source of its reports.
fn paper_exchange() -> SourceDefinition {
    SourceDefinition {
        source: U16::new(sources::VENUE),
        publisher: U16::new(publishers::VENUE),
        vendor_publisher: U16::new(0),
        channel: U16::new(u16::MAX),
        kind: SourceKind::PAPER_EXCHANGE,
        name: cut_text("paper exchange"),
        ..SourceDefinition::NULL
    }
}

/// Returns the start of a strategy, which trades for the run's account.
pub(crate) fn strategy<'a>(
    id: u16,
    (name, seed): (&'a str, u64),
    parameters: &'a str,
    is_resumed: bool,
) -> StrategyStart<'a> {
    StrategyStart {
        id,
        order_publisher: publishers::STRATEGIES,
        account: ACCOUNT,
        name,
        version: VERSION,
        seed,
        parameters,
        is_resumed,
    }
}

/// Submits the hash of a snapshot. Returns whether the submission was accepted; while the sequencer is
/// behind, the caller tries again later.
pub(crate) fn submit_snapshot(
    control: &mut ControlPublisher,
    standing: &SnapshotOrigin,
    written: &SnapshotDigest,
) -> bool {
    control.sink().offer_message(&snapshot_taken(standing, written), NOT_RECEIVED).is_ok()
}

/// Submits the epoch's last event and finishes the publisher.
pub(crate) fn end(
    control: &mut ControlPublisher,
    start: &SequencerStart,
    reason: EndReason,
    now: Nanos,
    text: &str,
) -> Result<(), Failure> {
    control.end(&SessionEnding { epoch: start.identity.epoch, reason, now, text })?;
    control.sink().finish();
    Ok(())
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::TooLong { .. } => Self::usage(error),
            ControlError::Refused { .. } => Self::environment(error),
        }
    }
}

/// Returns the event that records a snapshot of every state machine, with its hash.
pub(crate) fn snapshot_taken(standing: &SnapshotOrigin, written: &SnapshotDigest) -> SnapshotTaken {
    SnapshotTaken {
        snapshot_sequence: U64::new(standing.last_sequence.0),
        length: U64::new(written.length),
        hash: written.hash,
        machine: cut_text("every machine"),
    }
}
