//! What an epoch says before its first market event, and after its last: who is running what.

use crate::config::{Config, Credit, StrategyConfig};
use crate::failure::Failure;
use crate::numbering::{publishers, sources};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use stele_bus::{ClockStatus, NOT_RECEIVED, Publisher, Refusal, SequencerStart};
use stele_journal::RecoveryReport;
use stele_journal::snapshot::{Standing, Written};
use stele_replay::Submission;
use stele_wire::Nanos;
use stele_wire::SCHEMA_TEXT;
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::{Message, Writer, text_field};
use stele_wire::messages::{
    AccountDefinition, AlgorithmDefinition, Boolean, CancelScope, Check, ClockSource,
    ClockStatus as ClockEvent, CreditAllotment, EndReason, RecoveryReport as RecoveryEvent, RepairKind,
    RiskLimit, SCHEMA_ID, SCHEMA_VERSION, SchemaText, SessionEnd, SessionStart, SnapshotTaken,
    SourceDefinition, SourceKind, StrategyDefinition,
};
use zerocopy::little_endian::{I64, U16, U32, U64};

/// The one account of a run without an account register, and its algorithms' owner.
pub(crate) const ACCOUNT: u32 = 1;

/// Bytes of schema text in one event.
const SCHEMA_PART: usize = 48 << 10;
const _: () = assert!(SCHEMA_PART + size_of::<SchemaText>() + 2 <= BODY_LENGTH_MAX);

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Writes control events through one publisher, which nobody else offers on.
pub(crate) struct Clerk {
    publisher: Publisher,
    body: Vec<u8>,
}

/// What is known of the trail when its new epoch begins.
pub(crate) struct Beginning<'a> {
    pub(crate) config: &'a Config,
    pub(crate) start: &'a SequencerStart,
    pub(crate) recovery: &'a RecoveryReport,
    /// Schemas whose text is on the trail already, by hash.
    pub(crate) schemas: &'a BTreeSet<[u8; 32]>,
    /// Limits of the configuration that the log is to be told.
    pub(crate) limits: Vec<(Check, i64)>,
    /// Parts of the firm's credit that the log is to be told.
    pub(crate) credit: Option<Credit>,
    pub(crate) clock: ClockStatus,
    pub(crate) now: Nanos,
}

/// What is known of a trail that an epoch begins on for an act alone: nothing is traded in it.
pub(crate) struct Errand<'a> {
    /// What the epoch is for, in place of a configuration.
    pub(crate) configuration: &'a str,
    pub(crate) start: &'a SequencerStart,
    pub(crate) recovery: &'a RecoveryReport,
    /// Tell the schema's text once more: the events that told it are about to go.
    pub(crate) with_schema: bool,
    pub(crate) clock: ClockStatus,
    pub(crate) now: Nanos,
}

/// A strategy of the run, as it is defined on the log.
pub(crate) struct Hired<'a> {
    pub(crate) id: u16,
    pub(crate) publisher: u16,
    pub(crate) config: &'a StrategyConfig,
    pub(crate) parameters: String,
    pub(crate) resumes: bool,
}

impl Clerk {
    pub(crate) fn new(publisher: Publisher) -> Self {
        Self { publisher, body: vec![0; BODY_LENGTH_MAX] }
    }

    /// Session, schema, recovery, clock, limits, account.
    pub(crate) fn begin(&mut self, beginning: &Beginning<'_>) -> Result<(), Failure> {
        let Beginning { config, start, recovery, now, .. } = beginning;
        self.session_start(&config.render(), start, recovery, *now)?;
        let schema = sha256(SCHEMA_TEXT.as_bytes());
        if !beginning.schemas.contains(&schema) {
            self.schema_text(schema)?;
        }
        self.recovery(beginning.recovery)?;
        self.clock(beginning.clock, beginning.now)?;
        self.limits(beginning)?;
        self.credit(beginning.credit.as_ref())?;
        self.account()?;
        self.venue()
    }

    /// Session, recovery, clock: an epoch in which nothing is traded.
    pub(crate) fn begin_errand(&mut self, errand: &Errand<'_>) -> Result<(), Failure> {
        self.session_start(errand.configuration, errand.start, errand.recovery, errand.now)?;
        if errand.with_schema {
            self.schema_text(sha256(SCHEMA_TEXT.as_bytes()))?;
        }
        self.recovery(errand.recovery)?;
        self.clock(errand.clock, errand.now)
    }

    fn session_start(
        &mut self,
        configuration: &str,
        start: &SequencerStart,
        recovery: &RecoveryReport,
        now: Nanos,
    ) -> Result<(), Failure> {
        let ended_cleanly = match recovery.epoch.0 {
            0 => Boolean::UNKNOWN,
            _ if recovery.row == stele_journal::recovery::Row::C => Boolean::TRUE,
            _ => Boolean::FALSE,
        };
        let binary = fs::read("/proc/self/exe").map(|program| sha256(&program));
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let block = SessionStart {
            start_time: U64::new(now.0),
            epoch: U32::new(start.identity.epoch.0),
            shard: U32::new(start.identity.shard.0),
            previous_sequence: U64::new(recovery.last_sequence.0),
            process_id: U32::new(std::process::id()),
            schema_version: U16::new(SCHEMA_VERSION),
            previous_ended_cleanly: ended_cleanly,
            binary_hash: binary.unwrap_or_default(),
            configuration_hash: sha256(configuration.as_bytes()),
            schema_hash: sha256(SCHEMA_TEXT.as_bytes()),
            host: cut_text(&host),
            version: cut_text(env!("CARGO_PKG_VERSION")),
            ..SessionStart::NULL
        };
        self.submit(&block, |writer| writer.data::<U16>(configuration.as_bytes()))
    }

    fn schema_text(&mut self, hash: [u8; 32]) -> Result<(), Failure> {
        let parts = SCHEMA_TEXT.as_bytes().chunks(SCHEMA_PART);
        let count = parts.len() as u16;
        for (part, text) in parts.enumerate() {
            let block = SchemaText {
                schema_id: U16::new(SCHEMA_ID),
                schema_version: U16::new(SCHEMA_VERSION),
                part: U16::new(part as u16),
                parts: U16::new(count),
                schema_hash: hash,
            };
            self.submit(&block, |writer| writer.data::<U16>(text))?;
        }
        Ok(())
    }

    /// One event for each stretch that recovery set aside.
    fn recovery(&mut self, report: &RecoveryReport) -> Result<(), Failure> {
        for cut in &report.cuts {
            let events = cut.sequences.map(|(first, last)| last.0 - first.0 + 1);
            let block = RecoveryEvent {
                acknowledged: U64::new(report.floor.0),
                end: U64::new(report.end.0),
                segment: U64::new(cut.segment),
                offset: U64::new(cut.offset),
                cut_bytes: U64::new(cut.bytes),
                cut_events: events.map_or(RecoveryEvent::NULL.cut_events, U64::new),
                kind: RepairKind::CUT,
                ..RecoveryEvent::NULL
            };
            self.submit(&block, |writer| writer.data::<U16>(cut.kept.as_bytes()))?;
        }
        Ok(())
    }

    fn clock(&mut self, status: ClockStatus, now: Nanos) -> Result<(), Failure> {
        let block = ClockEvent {
            measured: U64::new(now.0),
            offset: I64::new(status.offset),
            uncertainty: U64::new(status.uncertainty),
            source: ClockSource::SYSTEM,
            ..ClockEvent::NULL
        };
        self.submit(&block, |_| Ok(()))
    }

    fn limits(&mut self, beginning: &Beginning<'_>) -> Result<(), Failure> {
        for (check, limit) in &beginning.limits {
            let block = RiskLimit {
                effective: U64::new(beginning.now.0),
                check: *check,
                scope: CancelScope::ALL,
                limit: I64::new(*limit),
                ..RiskLimit::NULL
            };
            self.submit(&block, |_| Ok(()))?;
        }
        Ok(())
    }

    /// The parts of every shard, so that each log alone proves that the firm has not shared out more than it has.
    fn credit(&mut self, credit: Option<&Credit>) -> Result<(), Failure> {
        let Some(Credit { firm, allotments, people: [changed_by, approved_by] }) = credit else {
            return Ok(());
        };
        for allotment in allotments {
            let block = CreditAllotment {
                account: U32::new(allotment.account),
                shard: U32::new(allotment.shard),
                amount: I64::new(allotment.amount),
                firm_limit: I64::new(*firm),
                changed_by: U32::new(*changed_by),
                approved_by: U32::new(*approved_by),
                ..CreditAllotment::NULL
            };
            self.submit(&block, |_| Ok(()))?;
        }
        Ok(())
    }

    fn account(&mut self) -> Result<(), Failure> {
        let block = AccountDefinition {
            account: U32::new(ACCOUNT),
            holder_type: b'P',
            name: cut_text("paper"),
            ..AccountDefinition::NULL
        };
        self.submit(&block, |_| Ok(()))
    }

    /// The algorithm behind a strategy, then the strategy: from here on it runs.
    pub(crate) fn hire(&mut self, hired: &Hired<'_>) -> Result<(), Failure> {
        let algorithm = AlgorithmDefinition {
            algorithm: U32::new(u32::from(hired.id)),
            binary_hash: sha256(hired.parameters.as_bytes()),
            code: cut_text(&hired.config.name),
            version: cut_text(env!("CARGO_PKG_VERSION")),
            ..AlgorithmDefinition::NULL
        };
        self.submit(&algorithm, |_| Ok(()))?;
        let strategy = StrategyDefinition {
            strategy: U16::new(hired.id),
            order_publisher: U16::new(hired.publisher),
            account: U32::new(ACCOUNT),
            algorithm: U32::new(u32::from(hired.id)),
            is_resumed: if hired.resumes { Boolean::TRUE } else { Boolean::FALSE },
            seed: U64::new(hired.config.seed),
            name: cut_text(&hired.config.name),
            ..StrategyDefinition::NULL
        };
        self.submit(&strategy, |writer| writer.data::<U16>(hired.parameters.as_bytes()))
    }

    /// What resumed strategies sent in the epoch before and the process took with it: it is on the log after all,
    /// before anything else of theirs.
    pub(crate) fn resubmit<'a>(
        &mut self,
        mut unsent: impl Iterator<Item = &'a Submission>,
    ) -> Result<(), Failure> {
        unsent.try_for_each(|submission| {
            let offered = self.publisher.offer(submission.template_id, &submission.body, NOT_RECEIVED);
            offered.map_err(|refusal| Failure::environment(format!("an unsent order: {refusal}")))
        })
    }

    /// The paper exchange, as the source of its reports.
    fn venue(&mut self) -> Result<(), Failure> {
        let block = SourceDefinition {
            source: U16::new(sources::VENUE),
            publisher: U16::new(publishers::VENUE),
            vendor_publisher: U16::new(0),
            channel: U16::new(u16::MAX),
            kind: SourceKind::PAPER_EXCHANGE,
            name: cut_text("paper exchange"),
            ..SourceDefinition::NULL
        };
        self.submit(&block, |writer| writer.data::<U16>(b"matches orders against the market that is fed"))
    }

    /// The hash of a snapshot. Says whether it was taken; while the sequencer is behind it is to be offered again.
    pub(crate) fn snapshot_taken(&mut self, standing: &Standing, written: &Written) -> bool {
        self.publisher.offer_message(&snapshot_taken(standing, written), NOT_RECEIVED).is_ok()
    }

    /// The epoch's last event; the sequencer counts what stands in front of it.
    pub(crate) fn end(
        &mut self,
        start: &SequencerStart,
        reason: EndReason,
        now: Nanos,
        text: &str,
    ) -> Result<(), Failure> {
        let block = SessionEnd {
            end_time: U64::new(now.0),
            epoch: U32::new(start.identity.epoch.0),
            reason,
            ..SessionEnd::NULL
        };
        let text = &text[..text.floor_char_boundary(BODY_LENGTH_MAX / 2)];
        self.submit(&block, |writer| writer.data::<U16>(text.as_bytes()))?;
        self.publisher.finish();
        Ok(())
    }

    /// Hands over one event.
    pub(crate) fn submit<M: Message>(
        &mut self,
        block: &M,
        tail: impl FnOnce(&mut Writer<'_>) -> Result<(), stele_wire::codec::WriteError>,
    ) -> Result<(), Failure> {
        let mut writer = Writer::new(&mut self.body);
        let written = writer.block(block).and_then(|()| tail(&mut writer));
        written.map_err(|error| Failure::usage(format!("{} does not fit an event: {error}", M::NAME)))?;
        let offered = self.publisher.offer(M::TEMPLATE_ID, writer.finish(), NOT_RECEIVED);
        offered.map_err(|refusal: Refusal| Failure::environment(format!("{}: {refusal}", M::NAME)))
    }
}

/// That a snapshot of the state of every machine was taken, and its hash.
pub(crate) fn snapshot_taken(standing: &Standing, written: &Written) -> SnapshotTaken {
    SnapshotTaken {
        snapshot_sequence: U64::new(standing.last_sequence.0),
        length: U64::new(written.length),
        hash: written.hash,
        machine: cut_text("every machine"),
    }
}

/// `text` in a field of `N` bytes, cut at a character's boundary where it is longer.
fn cut_text<const N: usize>(text: &str) -> [u8; N] {
    text_field(&text[..text.floor_char_boundary(N)]).expect("it was cut to the field")
}
