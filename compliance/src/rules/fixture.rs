//! A trail in memory that passes its frames to the rules as they are made.

use super::{Rule, RuleViolation, Rules};
use sha2::{Digest, Sha256};
use stele_bus::session::{SchemaDocument, SessionBeginning};
use stele_journal::format::SegmentHeader;
use stele_wire::bounds::{FRAME_VERSION, PADDING_LENGTH_MIN};
use stele_wire::codec::Message;
use stele_wire::frame::{FrameHeader, Identity, frame_length, write_padding};
use stele_wire::messages::{
    AccountDefinition, CancelOrder, EndReason, InstrumentDefinition, NewOrder, OrderAccepted, OrderFilled,
    OrderReleased, OrderStatus, OrderType, Originator, PublisherProgress, ReleaseWatermark, SCHEMA_ID,
    SCHEMA_VERSION, SchemaText, SessionEnd, SessionStart, Side, SourceDefinition, StrategyDefinition,
};
use stele_wire::units::{Epoch, Nanos, Position, Price, Sequence, ShardId, TrailId};
use stele_wire::{Frame, SCHEMA_TEXT, Seed};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{I64, U16, U32, U64};

pub(super) type Verdict = Result<u64, Box<RuleViolation>>;

pub(super) const INSTRUMENT: u32 = 7;
pub(super) const ACCOUNT: u32 = 3;
/// Quantity and limit price of the orders.
pub(super) const QUANTITY: u64 = 10;
pub(super) const LIMIT: i64 = 100 * Price::SCALE;

/// The broken rule and the sequence that breaks it.
pub(super) fn broken(verdict: Verdict) -> (Rule, u64) {
    let violation = verdict.expect_err("the rule holds");
    (violation.rule, violation.sequence.0)
}

pub(super) struct Trail {
    pub(super) rules: Rules,
    pub(super) header: SegmentHeader,
    pub(super) position: Position,
    pub(super) sequence: u64,
    /// Schema of the next event's frame header.
    pub(super) schema: (u16, u16),
}

impl Trail {
    /// A trail whose first event has the number `first`, in its first epoch, with no event yet.
    pub(super) fn starting_at(first: u64) -> Self {
        let header = SegmentHeader {
            identity: Identity { trail: TrailId([9; 16]), shard: ShardId(2), epoch: Epoch(1) },
            index: 1,
            block_length: 512,
            segment_length: 1 << 30,
            base_position: Position(0),
            base_sequence: Sequence(first),
            created: Nanos(1_000),
            link: [0; 32],
            schema: Sha256::digest(SCHEMA_TEXT.as_bytes()).into(),
        };
        let mut rules = Rules::new();
        rules.on_segment(&header).unwrap();
        let schema = (SCHEMA_ID, SCHEMA_VERSION);
        Self { rules, header, position: Position(0), sequence: first - 1, schema }
    }

    /// A session with its schema and definitions.
    pub(super) fn begun() -> Self {
        let mut trail = Self::starting_at(1);
        trail
            .push(&PublisherProgress {
                publisher: U16::new(1),
                publisher_sequence: U64::new(0),
                ..PublisherProgress::NULL
            })
            .unwrap();
        trail.begin_session().unwrap();
        trail.schema_text(SCHEMA_TEXT.as_bytes(), trail.header.schema).unwrap();
        trail.define().unwrap();
        trail
    }

    pub(super) fn session_start(&self) -> SessionStart {
        let SegmentHeader { identity, created, base_sequence, schema, .. } = &self.header;
        SessionBeginning::new(identity, *created)
            .following(Sequence(base_sequence.0 - 1), None)
            .of_schema(&SchemaDocument { hash: *schema, ..SchemaDocument::stele() })
            .start
    }

    pub(super) fn begin_session(&mut self) -> Verdict {
        let start = self.session_start();
        self.push_start(&start)
    }

    pub(super) fn push_start(&mut self, start: &SessionStart) -> Verdict {
        let mut buffer = [0; 512];
        self.push_body(
            SessionStart::TEMPLATE_ID,
            SessionStart::BLOCK_LENGTH,
            start.encode(&mut buffer, b"x").unwrap(),
        )
    }

    pub(super) fn schema_text(&mut self, text: &[u8], hash: [u8; 32]) -> Verdict {
        let parts = text.chunks(40_000);
        let count = parts.len() as u16;
        let mut last = Ok(0);
        for (part, text) in parts.enumerate() {
            let block = SchemaText {
                schema_id: U16::new(SCHEMA_ID),
                schema_version: U16::new(SCHEMA_VERSION),
                part: U16::new(part as u16),
                parts: U16::new(count),
                schema_hash: hash,
            };
            let mut buffer = vec![0; 65_000];
            let body = block.encode(&mut buffer, text).unwrap();
            last = Ok(self.push_body(SchemaText::TEMPLATE_ID, SchemaText::BLOCK_LENGTH, body)?);
        }
        last
    }

    pub(super) fn define(&mut self) -> Verdict {
        let mut buffer = [0; 1_024];
        let source = SourceDefinition { source: U16::new(1), ..SourceDefinition::NULL };
        let body = source.encode(&mut buffer, b"").unwrap().to_vec();
        self.push_body(SourceDefinition::TEMPLATE_ID, SourceDefinition::BLOCK_LENGTH, &body)?;
        let instrument = InstrumentDefinition {
            instrument: U32::new(INSTRUMENT),
            source: U16::new(1),
            multiplier: I64::new(Price::SCALE),
            quantity_exponent: 0,
            ..InstrumentDefinition::NULL
        };
        let body = instrument.encode(&mut buffer, []).unwrap().to_vec();
        self.push_body(InstrumentDefinition::TEMPLATE_ID, InstrumentDefinition::BLOCK_LENGTH, &body)?;
        self.push(&AccountDefinition { account: U32::new(ACCOUNT), ..AccountDefinition::NULL })?;
        let strategy = StrategyDefinition {
            strategy: U16::new(1),
            account: U32::new(ACCOUNT),
            ..StrategyDefinition::NULL
        };
        let body = strategy.encode(&mut buffer, b"").unwrap().to_vec();
        self.push_body(StrategyDefinition::TEMPLATE_ID, StrategyDefinition::BLOCK_LENGTH, &body)
    }

    pub(super) fn order(&self) -> NewOrder {
        NewOrder {
            instrument: U32::new(INSTRUMENT),
            account: U32::new(ACCOUNT),
            strategy: U16::new(1),
            cause: U64::new(self.sequence),
            client_order_id: U64::new(1_000 + self.sequence),
            side: Side::BUY,
            order_type: OrderType::LIMIT,
            quantity: U64::new(QUANTITY),
            limit_price: I64::new(LIMIT),
            ..NewOrder::NULL
        }
    }

    pub(super) fn push_order(&mut self, order: &NewOrder) -> Verdict {
        let mut buffer = [0; 512];
        let body = order.encode(&mut buffer, [], &[], &[]).unwrap();
        self.push_body(NewOrder::TEMPLATE_ID, NewOrder::BLOCK_LENGTH, body)
    }

    /// A valid order.
    pub(super) fn submit(&mut self) -> u64 {
        let order = self.order();
        self.push_order(&order).unwrap()
    }

    /// A cancel of the order with this sequence, which [`Trail::submit`] made.
    pub(super) fn cancel(&self, order: u64) -> CancelOrder {
        CancelOrder {
            instrument: U32::new(INSTRUMENT),
            account: U32::new(ACCOUNT),
            strategy: U16::new(1),
            cause: U64::new(self.sequence),
            client_order_id: U64::new(1_000 + self.sequence),
            cancelled_order_id: U64::new(1_000 + order - 1),
            side: Side::BUY,
            ..CancelOrder::NULL
        }
    }

    /// An execution of `quantity` of an order that [`Trail::submit`] made, after `before` was executed.
    pub(super) fn filled(&self, order: u64, before: u64, quantity: u64) -> OrderFilled {
        let (cumulative, leaves) = (before + quantity, QUANTITY.saturating_sub(before + quantity));
        OrderFilled {
            instrument: U32::new(INSTRUMENT),
            source: U16::new(1),
            side: Side::BUY,
            account: U32::new(ACCOUNT),
            strategy: U16::new(1),
            order_sequence: U64::new(order),
            client_order_id: U64::new(1_000 + order - 1),
            execution_id: U64::new(self.sequence),
            originator: Originator::MARKET,
            last_quantity: U64::new(quantity),
            last_price: I64::new(LIMIT),
            cumulative_quantity: U64::new(cumulative),
            leaves_quantity: U64::new(leaves),
            status: if leaves == 0 { OrderStatus::DONE } else { OrderStatus::ACTIVE },
            ..OrderFilled::NULL
        }
    }

    /// The release by gateway 4 of `count` orders up to `through`, with the log durable up to here.
    pub(super) fn released(&self, through: u64, count: u32) -> OrderReleased {
        OrderReleased {
            through_sequence: U64::new(through),
            watermark: U64::new(self.position.0),
            count: U32::new(count),
            gateway: U16::new(4),
            kind: ReleaseWatermark::DURABLE,
            ..OrderReleased::NULL
        }
    }

    pub(super) fn accepted(&self, order: u64) -> OrderAccepted {
        OrderAccepted {
            instrument: U32::new(INSTRUMENT),
            source: U16::new(1),
            account: U32::new(ACCOUNT),
            strategy: U16::new(1),
            order_sequence: U64::new(order),
            originator: Originator::MEMBER,
            ..OrderAccepted::NULL
        }
    }

    pub(super) fn end(&mut self) -> Verdict {
        let events = self.sequence + 2 - self.header.base_sequence.0;
        self.push_end(self.header.identity.epoch.0, events)
    }

    pub(super) fn push_end(&mut self, epoch: u32, events: u64) -> Verdict {
        let end = SessionEnd {
            epoch: U32::new(epoch),
            events: U64::new(events),
            reason: EndReason::FINISHED,
            ..SessionEnd::NULL
        };
        let mut buffer = [0; 64];
        self.push_body(
            SessionEnd::TEMPLATE_ID,
            SessionEnd::BLOCK_LENGTH,
            end.encode(&mut buffer, b"").unwrap(),
        )
    }

    /// Restarts the writer.
    pub(super) fn next_epoch(&mut self) {
        self.header.identity.epoch.0 += 1;
        self.header.index += 1;
        self.header.base_position = self.position;
        self.header.base_sequence = Sequence(self.sequence + 1);
        self.rules.on_segment(&self.header).unwrap();
    }

    pub(super) fn push<M: Message>(&mut self, message: &M) -> Verdict {
        self.push_body(M::TEMPLATE_ID, M::BLOCK_LENGTH, message.as_bytes())
    }

    pub(super) fn push_body(&mut self, template_id: u16, block_length: u16, body: &[u8]) -> Verdict {
        self.sequence += 1;
        let header = FrameHeader {
            crc: U32::ZERO,
            length: U16::new(frame_length(body.len()) as u16),
            flags: 0,
            version: FRAME_VERSION,
            sequence: U64::new(self.sequence),
            timestamp: U64::new(1_000 + self.sequence),
            block_length: U16::new(block_length),
            template_id: U16::new(template_id),
            schema_id: U16::new(self.schema.0),
            schema_version: U16::new(self.schema.1),
        };
        let mut frame = header.as_bytes().to_vec();
        frame.extend_from_slice(body);
        frame.resize(frame_length(body.len()), 0);
        self.check(&frame)
    }

    /// Appends padding that records `durable`.
    pub(super) fn pad(&mut self, durable: u64) -> Verdict {
        let last = Sequence(self.sequence);
        self.push_padding(durable, last)
    }

    pub(super) fn push_padding(&mut self, durable: u64, last: Sequence) -> Verdict {
        let mut frame = [0; PADDING_LENGTH_MIN];
        write_padding(&mut frame, Nanos(0), Position(durable), last, Seed(0));
        self.check(&frame)
    }

    fn check(&mut self, frame: &[u8]) -> Verdict {
        let position = self.position;
        self.position = position.plus(frame.len() as u64);
        self.rules.on_frame(position, &Frame::read(frame).unwrap())?;
        Ok(self.sequence)
    }
}
