//! How a session begins and ends on the log: the control events that explain everything between them.
//!
//! ```text
//! SessionStart · SchemaText … · RecoveryReport … · ClockQuality · RiskLimit … · CreditAllotment …
//! AccountDefinition … · SourceDefinition …      then of each strategy: AlgorithmDefinition · StrategyDefinition
//!   … the session …
//! SessionEnd
//! ```
//! Pure: it is given plain values, knows neither journal nor configuration files, and hands encoded events to an
//! [`EventSink`] in this order, which `stele verify` checks. Nothing here is on the hot path; it allocates.

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

/// Bytes of schema text in one event.
const SCHEMA_PART: usize = 48 << 10;
const _: () = assert!(SCHEMA_PART + size_of::<SchemaText>() + 2 <= BODY_LENGTH_MAX);

/// Bytes of the text in `SessionEnd` at most; a longer one is cut.
const END_TEXT_MAX: usize = BODY_LENGTH_MAX / 2;

/// Where control events go: a publisher, or a function such as one that collects them or that turns the sequencer.
pub trait EventSink {
    /// Takes one message of Stele's schema: its template id, and its root block, groups and data.
    ///
    /// # Errors
    /// [`Refusal`]; the message is then nowhere.
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

/// Why a control event is not on its way to the log.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Its text or data is too long for one event.
    #[error("{message} does not fit an event: {source}")]
    TooLong {
        /// The message's name.
        message: &'static str,
        /// What does not fit.
        source: WriteError,
    },
    /// The sink did not take it.
    #[error("{message}: {source}")]
    Refused {
        /// The message's name.
        message: &'static str,
        /// Why.
        source: Refusal,
    },
}

/// Encodes control events and hands them to a sink.
#[derive(Debug)]
pub struct ControlPublisher<S = Publisher> {
    sink: S,
    body: Vec<u8>,
}

impl<S: EventSink> ControlPublisher<S> {
    /// A publisher of control events that go to `sink`.
    pub fn new(sink: S) -> Self {
        Self { sink, body: vec![0; BODY_LENGTH_MAX] }
    }

    /// The sink.
    pub fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    /// Submits one event: its root block, and what `tail` writes of its groups and data.
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

    /// As [`ControlPublisher::publish`], of a message whose only data is `text`.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn publish_text<M: Message>(&mut self, block: &M, text: &[u8]) -> Result<(), ControlError> {
        self.publish(block, |writer| writer.data::<U16>(text))
    }

    /// Submits what a session begins with.
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

    /// Submits the text of a schema, in parts.
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

    /// Submits the algorithm of a strategy, then the strategy: from here on it runs.
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

/// What a session begins with. [`SessionBeginning::new`] and struct update give the rest:
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
    /// Who begins it, when, and after which event.
    pub start: SessionStart,
    /// Text of the configuration, TOML; its hash is in `start`.
    pub configuration: &'a str,
    /// Schemas whose text is not on the trail yet.
    pub schemas: Vec<SchemaDocument<'a>>,
    /// Each stretch of the log that recovery set aside, and where it was kept.
    pub recovered: Vec<(RecoveryReport, &'a str)>,
    /// How far the clock is from UTC, where it is measured.
    pub clock: Option<ClockQuality>,
    /// Limits over all accounts.
    pub limits: Vec<(Check, i64)>,
    /// Parts of the firm's credit, of every shard, so that each log alone proves that they are no more than the firm has.
    pub allotments: Vec<CreditAllotment>,
    /// Accounts.
    pub accounts: Vec<AccountDefinition>,
    /// Sources, and a description of each.
    pub sources: Vec<(SourceDefinition, &'a str)>,
}

impl<'a> SessionBeginning<'a> {
    /// The beginning of the epoch of `identity` at `now`, UTC: `SessionStart` alone, with epoch, shard and time.
    pub fn new(identity: &Identity, now: Nanos) -> Self {
        let start = SessionStart {
            start_time: U64::new(now.0),
            epoch: U32::new(identity.epoch.0),
            shard: U32::new(identity.shard.0),
            ..SessionStart::NULL
        };
        Self::from_start(start)
    }

    /// `SessionStart` of an epoch and nothing else: the least that a host of strategies needs.
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

    /// After event `last` of the epochs before; `cleanly` is whether the last of them ended in order, if there was one.
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

    /// Run by this program, on this schema.
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

    /// Whose segments name this schema.
    #[must_use]
    pub fn of_schema(mut self, schema: &SchemaDocument<'_>) -> Self {
        self.start.schema_version = U16::new(schema.version);
        self.start.schema_hash = schema.hash;
        self
    }

    /// With this configuration, and its hash.
    #[must_use]
    pub fn configured(mut self, configuration: &'a str) -> Self {
        self.start.configuration_hash = sha256(configuration.as_bytes());
        self.configuration = configuration;
        self
    }
}

/// A schema as it is put on the trail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SchemaDocument<'a> {
    /// Its SBE id: 1 is Stele's.
    pub id: u16,
    /// Its version.
    pub version: u16,
    /// Its XML.
    pub text: &'a str,
    /// SHA-256 of the text.
    pub hash: [u8; 32],
}

impl<'a> SchemaDocument<'a> {
    /// A schema of this id, version and text.
    pub fn new(id: u16, version: u16, text: &'a str) -> Self {
        Self { id, version, text, hash: sha256(text.as_bytes()) }
    }
}

impl SchemaDocument<'static> {
    /// Stele's own, as this program writes it.
    pub fn stele() -> Self {
        Self::new(SCHEMA_ID, SCHEMA_VERSION, SCHEMA_TEXT)
    }
}

/// The program that runs a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgramIdentity {
    /// Number of the process.
    pub process_id: u32,
    /// SHA-256 of the executable; zeros where it cannot be read.
    pub binary_hash: [u8; 32],
    /// Name of the machine.
    pub host: String,
    /// Version of the program.
    pub version: String,
}

impl ProgramIdentity {
    /// This process, of a program of this version. Reads and hashes the executable, once.
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

/// A strategy of a session, as it is defined on the log. Its algorithm has the strategy's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StrategyStart<'a> {
    /// Its number.
    pub id: u16,
    /// The publisher that its orders come through.
    pub order_publisher: u16,
    /// The account that it trades for.
    pub account: u32,
    /// Its registered name.
    pub name: &'a str,
    /// Version of the program that has it.
    pub version: &'a str,
    /// What its random numbers begin with.
    pub seed: u64,
    /// Its parameters with every default, TOML.
    pub parameters: &'a str,
    /// It goes on with the state that it had.
    pub is_resumed: bool,
}

/// How a session ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionEnding<'a> {
    /// The epoch.
    pub epoch: Epoch,
    /// Why.
    pub reason: EndReason,
    /// The time, UTC.
    pub now: Nanos,
    /// What more there is to say; cut to half the length of an event.
    pub text: &'a str,
}

impl SessionEnding<'_> {
    /// The message without its text. The sequencer counts the events.
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

/// Makes `SessionEnd` the last event of the log: the sequencer puts it there when it has been asked to stop and
/// everything accepted is on the log. From [`crate::Sequencer::session_closer`].
#[derive(Clone, Debug)]
pub struct SessionCloser {
    epoch: Epoch,
    body: Arc<OnceLock<Vec<u8>>>,
}

impl SessionCloser {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self { epoch, body: Arc::default() }
    }

    /// Sets how the session ends; call it before [`crate::LogRing::request_stop`]. The first call counts.
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

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// `text` in a field of `N` bytes, cut at a character's boundary where it is longer.
pub fn cut_text<const N: usize>(text: &str) -> [u8; N] {
    text_field(&text[..text.floor_char_boundary(N)]).expect("it was cut to the field")
}
