//! Frames in memory, for tests.

use stele_wire::bounds::FRAME_VERSION;
use stele_wire::codec::Message;
use stele_wire::frame::{FrameHeader, Identity, frame_length, seal};
use stele_wire::messages::{
    BookAdd, BookCancel, BookClear, BookExecute, BookLevel, Boolean, InstrumentDefinition, MarketFlags,
    NewOrder, OrderType, Side, TimeInForce, Trade,
};
use stele_wire::{Frame, Seed};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{I64, U16, U32, U64};

/// The seed of the trail that tests write.
pub(crate) fn seed() -> Seed {
    Identity::default().seed()
}

/// A log in memory: successive frames, a microsecond apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    frames: Vec<Vec<u8>>,
}

/// The time one microsecond before the first event.
pub(crate) const START: u64 = 1_700_000_000_000_000_000;

impl Log {
    /// Appends a message whose body has groups and data after its block. Returns its sequence.
    pub(crate) fn push_body(&mut self, template_id: u16, block_length: u16, body: &[u8]) -> u64 {
        let sequence = self.frames.len() as u64 + 1;
        let length = frame_length(body.len());
        let header = FrameHeader {
            crc: U32::ZERO,
            length: U16::new(length as u16),
            flags: 0,
            version: FRAME_VERSION,
            sequence: U64::new(sequence),
            timestamp: U64::new(START + sequence * 1_000),
            block_length: U16::new(block_length),
            template_id: U16::new(template_id),
            schema_id: U16::new(stele_wire::messages::SCHEMA_ID),
            schema_version: U16::new(stele_wire::messages::SCHEMA_VERSION),
        };
        let mut frame = header.as_bytes().to_vec();
        frame.extend_from_slice(body);
        frame.resize(length, 0);
        seal(&mut frame, seed());
        self.frames.push(frame);
        sequence
    }

    /// Appends a message that has only a block.
    pub(crate) fn push<M: Message>(&mut self, message: &M) -> u64 {
        self.push_body(M::TEMPLATE_ID, M::BLOCK_LENGTH, message.as_bytes())
    }

    /// Returns the last event.
    pub(crate) fn last(&self) -> Frame<'_> {
        Frame::read(self.frames.last().expect("a log with events")).expect("a frame")
    }

    /// Returns every event in order.
    pub(crate) fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.frames.iter().map(|frame| Frame::read(frame).expect("a frame"))
    }
}

pub(crate) fn definition(instrument: u32) -> InstrumentDefinition {
    InstrumentDefinition {
        instrument: U32::new(instrument),
        source: U16::new(1),
        currency: *b"USD",
        ..InstrumentDefinition::NULL
    }
}

/// Encodes a definition with an empty group of legs.
pub(crate) fn definition_body(instrument: u32) -> Vec<u8> {
    let mut buffer = [0; 1024];
    definition(instrument).encode(&mut buffer, []).expect("it fits").to_vec()
}

pub(crate) fn add(instrument: u32, order: u64, side: Side, price: i64, quantity: u64) -> BookAdd {
    BookAdd {
        instrument: U32::new(instrument),
        source: U16::new(1),
        flags: MarketFlags::LAST,
        side,
        order_id: U64::new(order),
        price: I64::new(price),
        quantity: U64::new(quantity),
        ..BookAdd::NULL
    }
}

pub(crate) fn cancel(instrument: u32, order: u64, quantity: u64) -> BookCancel {
    BookCancel {
        instrument: U32::new(instrument),
        source: U16::new(1),
        flags: MarketFlags::LAST,
        order_id: U64::new(order),
        quantity: U64::new(quantity),
        ..BookCancel::NULL
    }
}

pub(crate) fn execute(instrument: u32, order: u64, quantity: u64) -> BookExecute {
    BookExecute {
        instrument: U32::new(instrument),
        source: U16::new(1),
        flags: MarketFlags::LAST,
        order_id: U64::new(order),
        quantity: U64::new(quantity),
        book_effect: Boolean::TRUE,
        ..BookExecute::NULL
    }
}

pub(crate) fn level(instrument: u32, side: Side, price: i64, quantity: u64) -> BookLevel {
    BookLevel {
        instrument: U32::new(instrument),
        source: U16::new(1),
        flags: MarketFlags::LAST,
        side,
        price: I64::new(price),
        quantity: U64::new(quantity),
        ..BookLevel::NULL
    }
}

pub(crate) fn clear(instrument: u32) -> BookClear {
    BookClear {
        instrument: U32::new(instrument),
        source: U16::new(1),
        flags: MarketFlags::LAST,
        ..BookClear::NULL
    }
}

pub(crate) fn trade(instrument: u32, aggressor: Side, price: i64, quantity: u64) -> Trade {
    Trade {
        instrument: U32::new(instrument),
        source: U16::new(1),
        flags: MarketFlags::LAST,
        side: aggressor,
        price: I64::new(price),
        quantity: U64::new(quantity),
        ..Trade::NULL
    }
}

/// A day limit order of strategy 1.
pub(crate) fn limit_order(instrument: u32, id: u64, side: Side, price: i64, quantity: u64) -> NewOrder {
    NewOrder {
        strategy: U16::new(1),
        account: U32::new(7),
        instrument: U32::new(instrument),
        client_order_id: U64::new(id),
        side,
        order_type: OrderType::LIMIT,
        time_in_force: TimeInForce::DAY,
        limit_price: I64::new(price),
        quantity: U64::new(quantity),
        ..NewOrder::NULL
    }
}

/// Encodes an order with its group and data empty.
pub(crate) fn order_body(order: &NewOrder) -> Vec<u8> {
    let mut buffer = [0; 512];
    order.encode(&mut buffer, [], &[], &[]).expect("it fits").to_vec()
}
