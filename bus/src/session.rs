//! The control events at the beginning and end of a session, which describe everything between them.
//!
//! ```text
//! SessionStart · SchemaText … · RecoveryReport … · ClockStatus · RiskLimit … · CreditAllotment …
//! AccountDefinition … · SourceDefinition …
//! for each strategy: AlgorithmDefinition · StrategyDefinition
//!   … the session …
//! SessionEnd
//! ```
//! This module takes plain values, independent of the journal and of configuration files, and passes encoded
//! events to an [`EventSink`] in this order, which `stele verify` checks. It allocates and is not on the hot
//! path.

use crate::clock::ClockQuality;
use crate::publisher::Publisher;
use crate::submission::{NOT_RECEIVED, Refusal};
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::{Message, WriteError, Writer, text_field};
use stele_wire::messages::{
    AccountDefinition, AlgorithmDefinition, Boolean, CancelScope, Check, ClockSource,
    ClockStatus as ClockEvent, CreditAllotment, EndReason, RecoveryReport, RiskLimit, SCHEMA_ID,
    SCHEMA_VERSION, SchemaText, SessionEnd, SessionStart, SourceDefinition, StrategyDefinition,
};
use stele_wire::{Epoch, Identity, Nanos, SCHEMA_TEXT, Sequence};
use zerocopy::little_endian::{I64, U16, U32, U64};

/// The bytes of schema text in one event.
const SCHEMA_PART: usize = 48 << 10;
const _: () = assert!(SCHEMA_PART + size_of::<SchemaText>() + 2 <= BODY_LENGTH_MAX);

/// The most bytes of text in `SessionEnd`; a longer text is cut.
const END_TEXT_MAX: usize = BODY_LENGTH_MAX / 2;

/// A destination of control events: a publisher, or a function, such as one that collects them.
pub trait EventSink {
    /// Submits one message of Stele's schema: its template id, and its root block, groups and data.
    ///
    /// # Errors
    /// [`Refusal`]: the message was not submitted.
    fn submit(&mut self, template_id: u16, body: &[u8]) -> Result<(), Refusal>;
}

impl EventSink for Publisher {
    fn submit(&mut self, template_id: u16, body: &[u8]) -> Result<(), Refusal> {
        self.offer(template_id, body, NOT_RECEIVED)
    }
}

impl<F: FnMut(u16, &[u8]) -> Result<(), Refusal>> EventSink for F {
    fn submit(&mut self, template_id: u16, body: &[u8]) -> Result<(), Refusal> {
        self(template_id, body)
    }
}

/// Why a control event was not submitted.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Its text or data is too long for one event.
    #[error("{message} does not fit an event: {source}")]
    TooLong {
        /// The message's name.
        message: &'static str,
        /// Which part does not fit.
        source: WriteError,
    },
    /// The sink refused it.
    #[error("{message}: {source}")]
    Refused {
        /// The message's name.
        message: &'static str,
        /// The reason.
        source: Refusal,
    },
}

/// Encodes control events and submits them to a sink.
#[derive(Debug)]
pub struct ControlPublisher<S = Publisher> {
    sink: S,
    body: Vec<u8>,
}

impl<S: EventSink> ControlPublisher<S> {
    /// A publisher of control events to `sink`.
    pub fn new(sink: S) -> Self {
        Self { sink, body: vec![0; BODY_LENGTH_MAX] }
    }

    /// Returns the sink.
    pub fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    /// Submits one event: its root block, and the groups and data that `tail` writes.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn publish<M: Message>(
        &mut self,
        block: &M,
        tail: impl FnOnce(&mut Writer<'_>) -> Result<(), WriteError>,
    ) -> Result<(), ControlError> {
        let mut writer = Writer::new(&mut self.body);
        let written = writer.block(block).and_then(|()| tail(&mut writer));
        written.map_err(|source| ControlError::TooLong { message: M::NAME, source })?;
        let submitted = self.sink.submit(M::TEMPLATE_ID, writer.finish());
        submitted.map_err(|source| ControlError::Refused { message: M::NAME, source })
    }

    /// Submits one event whose only data is `text`.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn publish_text<M: Message>(&mut self, block: &M, text: &[u8]) -> Result<(), ControlError> {
        self.publish(block, |writer| writer.data::<U16>(text))
    }

    /// Submits the events that begin a session.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn begin(&mut self, session: &SessionBeginning<'_>) -> Result<(), ControlError> {
        self.publish_text(&session.start, session.configuration.as_bytes())?;
        for schema in &session.schemas {
            self.schema(schema)?;
        }
        for (report, kept) in &session.recovered {
            self.publish_text(report, kept.as_bytes())?;
        }
        if let Some(status) = &session.clock {
            self.publish(&clock_event(status, session.start.start_time), |_| Ok(()))?;
        }
        for (check, limit) in &session.limits {
            let block = RiskLimit {
                effective: session.start.start_time,
                check: *check,
                scope: CancelScope::ALL,
                limit: I64::new(*limit),
                ..RiskLimit::NULL
            };
            self.publish(&block, |_| Ok(()))?;
        }
        for allotment in &session.allotments {
            self.publish(allotment, |_| Ok(()))?;
        }
        for account in &session.accounts {
            self.publish(account, |_| Ok(()))?;
        }
        for (source, description) in &session.sources {
            self.publish_text(source, description.as_bytes())?;
        }
        Ok(())
    }

    /// Submits the text of a schema, in as many events as it needs.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn schema(&mut self, schema: &SchemaDocument<'_>) -> Result<(), ControlError> {
        let parts = schema.text.as_bytes().chunks(SCHEMA_PART);
        let count = parts.len() as u16;
        for (part, text) in (0..).zip(parts) {
            let block = SchemaText {
                schema_id: U16::new(schema.id),
                schema_version: U16::new(schema.version),
                part: U16::new(part),
                parts: U16::new(count),
                schema_hash: schema.hash,
            };
            self.publish_text(&block, text)?;
        }
        Ok(())
    }

    /// Submits the definitions of a strategy's algorithm and of the strategy, which runs from then on.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn start_strategy(&mut self, strategy: &StrategyStart<'_>) -> Result<(), ControlError> {
        let algorithm = AlgorithmDefinition {
            algorithm: U32::new(u32::from(strategy.id)),
            binary_hash: sha256(strategy.parameters.as_bytes()),
            code: cut_text(strategy.name),
            version: cut_text(strategy.version),
            ..AlgorithmDefinition::NULL
        };
        self.publish(&algorithm, |_| Ok(()))?;
        let definition = StrategyDefinition {
            strategy: U16::new(strategy.id),
            order_publisher: U16::new(strategy.order_publisher),
            account: U32::new(strategy.account),
            algorithm: U32::new(u32::from(strategy.id)),
            is_resumed: if strategy.is_resumed { Boolean::TRUE } else { Boolean::FALSE },
            seed: U64::new(strategy.seed),
            name: cut_text(strategy.name),
            ..StrategyDefinition::NULL
        };
        self.publish_text(&definition, strategy.parameters.as_bytes())
    }

    /// Submits the session's last event.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn end(&mut self, ending: &SessionEnding<'_>) -> Result<(), ControlError> {
        self.publish_text(&ending.block(), ending.text())
    }
}

/// The content of the events that begin a session. [`SessionBeginning::new`] and struct update syntax fill in
/// what is not given:
///
/// ```
/// use stele_bus::session::{ControlPublisher, SchemaDocument, SessionBeginning};
/// use stele_wire::{Identity, Nanos};
///
/// let now = Nanos(1_700_000_000_000_000_000);
/// let session = SessionBeginning {
///     schemas: vec![SchemaDocument::stele()],
///     ..SessionBeginning::new(&Identity::default(), now).configured("speed = 1")
/// };
/// let mut events = Vec::new();
/// let sink = |template_id: u16, body: &[u8]| {
///     events.push((template_id, body.len()));
///     Ok(())
/// };
/// ControlPublisher::new(sink).begin(&session).unwrap();
/// assert!(events.len() > 2, "SessionStart and the parts of the schema's text");
/// ```
#[derive(Clone, Debug)]
pub struct SessionBeginning<'a> {
    /// The first event: the program, the time, and the last event before the session.
    pub start: SessionStart,
    /// The text of the configuration, TOML. Its hash is in `start`.
    pub configuration: &'a str,
    /// The schemas whose text is not on the trail yet.
    pub schemas: Vec<SchemaDocument<'a>>,
    /// Each range of the log that recovery removed, and the file where it was kept.
    pub recovered: Vec<(RecoveryReport, &'a str)>,
    /// How well the clock follows UTC, if that is measured.
    pub clock: Option<ClockQuality>,
    /// The limits over all accounts.
    pub limits: Vec<(Check, i64)>,
    /// The parts of the firm's credit, of every shard, so that each log proves that their sum is within the
    /// firm's credit.
    pub allotments: Vec<CreditAllotment>,
    /// The accounts.
    pub accounts: Vec<AccountDefinition>,
    /// The sources, each with a description.
    pub sources: Vec<(SourceDefinition, &'a str)>,
}

impl<'a> SessionBeginning<'a> {
    /// The beginning of the epoch of `identity` at `now`, UTC: only a `SessionStart` with epoch, shard and
    /// time.
    pub fn new(identity: &Identity, now: Nanos) -> Self {
        let start = SessionStart {
            start_time: U64::new(now.0),
            epoch: U32::new(identity.epoch.0),
            shard: U32::new(identity.shard.0),
            ..SessionStart::NULL
        };
        Self::from_start(start)
    }

    /// The beginning of an epoch, without shard and time: the minimum that a host of strategies needs.
    pub fn of_epoch(epoch: Epoch) -> Self {
        Self::from_start(SessionStart { epoch: U32::new(epoch.0), ..SessionStart::NULL })
    }

    fn from_start(start: SessionStart) -> Self {
        Self {
            start,
            configuration: "",
            schemas: Vec::new(),
            recovered: Vec::new(),
            clock: None,
            limits: Vec::new(),
            allotments: Vec::new(),
            accounts: Vec::new(),
            sources: Vec::new(),
        }
    }

    /// Sets the last event of earlier epochs, and whether the previous epoch, if there was one, ended in
    /// order.
    #[must_use]
    pub fn following(mut self, last: Sequence, cleanly: Option<bool>) -> Self {
        self.start.previous_sequence = U64::new(last.0);
        self.start.previous_ended_cleanly = match cleanly {
            None => Boolean::UNKNOWN,
            Some(true) => Boolean::TRUE,
            Some(false) => Boolean::FALSE,
        };
        self
    }

    /// Sets the program that runs the session.
    #[must_use]
    pub fn run_by(mut self, program: &ProgramIdentity) -> Self {
        self.start = SessionStart {
            process_id: U32::new(program.process_id),
            binary_hash: program.binary_hash,
            host: cut_text(&program.host),
            version: cut_text(&program.version),
            ..self.start
        };
        self
    }

    /// Sets the schema that the session's segments name.
    #[must_use]
    pub fn of_schema(mut self, schema: &SchemaDocument<'_>) -> Self {
        self.start.schema_version = U16::new(schema.version);
        self.start.schema_hash = schema.hash;
        self
    }

    /// Sets the configuration and its hash.
    #[must_use]
    pub fn configured(mut self, configuration: &'a str) -> Self {
        self.start.configuration_hash = sha256(configuration.as_bytes());
        self.configuration = configuration;
        self
    }
}

/// The text of a schema, which is put on the trail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SchemaDocument<'a> {
    /// The SBE schema id; 1 is Stele's.
    pub id: u16,
    /// The schema's version.
    pub version: u16,
    /// The XML text.
    pub text: &'a str,
    /// The SHA-256 hash of the text.
    pub hash: [u8; 32],
}

impl<'a> SchemaDocument<'a> {
    /// A schema document with this id, version and text.
    pub fn new(id: u16, version: u16, text: &'a str) -> Self {
        Self { id, version, text, hash: sha256(text.as_bytes()) }
    }
}

impl SchemaDocument<'static> {
    /// Stele's own schema, in the version that this program writes.
    pub fn stele() -> Self {
        Self::new(SCHEMA_ID, SCHEMA_VERSION, SCHEMA_TEXT)
    }
}

/// Identifies the program that runs a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgramIdentity {
    /// The process id.
    pub process_id: u32,
    /// The SHA-256 hash of the executable; zeros when it cannot be read.
    pub binary_hash: [u8; 32],
    /// The name of the machine.
    pub host: String,
    /// The version of the program.
    pub version: String,
}

impl ProgramIdentity {
    /// The calling process, running a program of this version. The first call reads and hashes the
    /// executable.
    pub fn of_this_process(version: &str) -> Self {
        static BINARY_HASH: OnceLock<[u8; 32]> = OnceLock::new();
        let hash = || std::fs::read("/proc/self/exe").map(|program| sha256(&program)).unwrap_or_default();
        Self {
            process_id: std::process::id(),
            binary_hash: *BINARY_HASH.get_or_init(hash),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            version: version.to_owned(),
        }
    }
}

/// A strategy of a session, as it is defined on the log. Its algorithm has the strategy's id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StrategyStart<'a> {
    /// The strategy's id.
    pub id: u16,
    /// The publisher of its orders.
    pub order_publisher: u16,
    /// The account that it trades for.
    pub account: u32,
    /// Its registered name.
    pub name: &'a str,
    /// The version of the program that contains it.
    pub version: &'a str,
    /// The seed of its random numbers.
    pub seed: u64,
    /// Its parameters, including defaults, TOML.
    pub parameters: &'a str,
    /// Whether it continues with its state of an earlier session.
    pub is_resumed: bool,
}

/// The content of the event that ends a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionEnding<'a> {
    /// The epoch.
    pub epoch: Epoch,
    /// Why the session ends.
    pub reason: EndReason,
    /// The time, UTC.
    pub now: Nanos,
    /// An explanation, cut to half the length of an event.
    pub text: &'a str,
}

impl SessionEnding<'_> {
    /// The message without its text. The sequencer fills in the count of events.
    fn block(&self) -> SessionEnd {
        SessionEnd {
            end_time: U64::new(self.now.0),
            epoch: U32::new(self.epoch.0),
            reason: self.reason,
            ..SessionEnd::NULL
        }
    }

    fn text(&self) -> &[u8] {
        &self.text.as_bytes()[..self.text.floor_char_boundary(END_TEXT_MAX)]
    }
}

/// Makes `SessionEnd` the last event of the log: the sequencer adds it when it has been asked to stop and
/// everything accepted is on the log. [`crate::Sequencer::session_closer`] returns it.
#[derive(Clone, Debug)]
pub struct SessionCloser {
    epoch: Epoch,
    body: Arc<OnceLock<Vec<u8>>>,
}

impl SessionCloser {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self { epoch, body: Arc::default() }
    }

    /// Sets how the session ends. Call it before [`crate::LogRing::request_stop`]. Only the first call has an
    /// effect.
    pub fn set(&self, reason: EndReason, now: Nanos, text: &str) {
        let ending = SessionEnding { epoch: self.epoch, reason, now, text };
        self.body.get_or_init(|| {
            let mut body = vec![0; size_of::<SessionEnd>() + 2 + ending.text().len()];
            let written = ending.block().encode(&mut body, ending.text());
            assert_eq!(written.expect("the body is as long as the message").len(), body.len());
            body
        });
    }

    /// The encoded message, once it is set.
    pub(crate) fn body(&self) -> Option<&[u8]> {
        self.body.get().map(Vec::as_slice)
    }
}

fn clock_event(status: &ClockQuality, now: U64) -> ClockEvent {
    ClockEvent {
        measured: now,
        offset: I64::new(status.offset),
        uncertainty: U64::new(status.uncertainty),
        source: ClockSource::SYSTEM,
        ..ClockEvent::NULL
    }
}

/// Returns the SHA-256 hash of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Returns `text` in a field of `N` bytes, cut at the boundary of a character if it is longer.
pub fn cut_text<const N: usize>(text: &str) -> [u8; N] {
    text_field(&text[..text.floor_char_boundary(N)]).expect("it was cut to the field")
}
