//! The trail with an event of every message. Its bytes are made from the golden bytes of `wire` and depend on
//! nothing else, so they can be made again and compared. The sequencer would judge and stamp the events, so
//! the segments are written here by the rules of `journal/FORMAT.md`: two epochs of one segment each.

use std::fs;
use std::path::Path;
use stele_journal::format::{RunningCrc, SegmentHeader, align_up, link_after, segment_name};
use stele_wire::bounds::{FRAME_VERSION, HEADER_LENGTH, PADDING_LENGTH_MIN};
use stele_wire::frame::{FrameHeader, Identity, frame_length, seal, write_padding};
use stele_wire::messages::{SCHEMA, SCHEMA_ID};
use stele_wire::units::{Epoch, Nanos, Position, Sequence, ShardId, TrailId};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

const WIRE_GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wire/tests/suite/golden/messages.txt");
/// The name of the message of another schema.
pub(super) const FOREIGN: &str = "of another schema";
const BLOCK_LENGTH: u32 = 512;
const SEGMENT_LENGTH: u64 = 256 << 10;
const EVENTS_PER_BATCH: usize = 8;
/// 2026-01-01, and the time between two frames.
const BEGINNING: Nanos = Nanos(1_767_225_600_000_000_000);
const INTERVAL: u64 = 1_000;

/// An event as it must be on the trail.
pub(super) struct GoldenMessage {
    pub(super) name: String,
    pub(super) template_id: u16,
    /// The schema's id and version.
    pub(super) schema: (u16, u16),
    pub(super) block_length: u16,
    pub(super) body: Vec<u8>,
}

/// The messages of a schema version in the order of wire's golden bytes, then one of another schema.
pub(super) fn messages(version: u16) -> Vec<GoldenMessage> {
    let lines = fs::read_to_string(WIRE_GOLDEN).unwrap();
    let of_version = lines.lines().step_by(2).filter_map(|line| {
        let [name, of, block_length, hex] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{WIRE_GOLDEN}: {line}")
        };
        (of.parse() == Ok(version)).then(|| GoldenMessage {
            name: name.to_owned(),
            template_id: SCHEMA.message_named(name).unwrap_or_else(|| panic!("{name} is gone")).id,
            schema: (SCHEMA_ID, version),
            block_length: block_length.parse().unwrap(),
            body: bytes(hex),
        })
    });
    let foreign = GoldenMessage {
        name: FOREIGN.to_owned(),
        template_id: 1,
        schema: (901, 3),
        block_length: 16,
        body: (0..21).map(|byte| byte * 11).collect(),
    };
    of_version.chain([foreign]).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Writes the trail to the new directory `folder`. `schema` is the SHA-256 in the headers.
pub(super) fn write(folder: &Path, version: u16, schema: [u8; 32]) {
    fs::create_dir(folder).unwrap();
    let messages = messages(version);
    let mut log = Log::new(schema);
    let (first, second) = messages.split_at(messages.len() / 2);
    for (index, messages) in [(1, first), (2, second)] {
        fs::write(folder.join(segment_name(index)), log.segment(messages)).unwrap();
    }
}

/// A log whose every epoch is one segment.
struct Log {
    identity: Identity,
    schema: [u8; 32],
    index: u64,
    link: [u8; 32],
    /// The position after the last frame.
    end: Position,
    last: Sequence,
    time: Nanos,
}

impl Log {
    fn new(schema: [u8; 32]) -> Self {
        let trail = TrailId(*b"every message of");
        let identity = Identity { trail, shard: ShardId(3), epoch: Epoch(0) };
        Self {
            identity,
            schema,
            index: 0,
            link: [0; 32],
            end: Position(0),
            last: Sequence(0),
            time: BEGINNING,
        }
    }

    /// Returns the segment of the next epoch, with `messages` in batches that end on a block.
    fn segment(&mut self, messages: &[GoldenMessage]) -> Vec<u8> {
        self.index += 1;
        self.identity.epoch.0 += 1;
        let header = SegmentHeader {
            identity: self.identity,
            index: self.index,
            block_length: BLOCK_LENGTH,
            segment_length: SEGMENT_LENGTH,
            base_position: align_up(self.end, BLOCK_LENGTH),
            base_sequence: self.last.next(),
            created: self.time,
            link: self.link,
            schema: self.schema,
        };
        let (mut data, mut durable) = (Vec::new(), header.base_position);
        for batch in messages.chunks(EVENTS_PER_BATCH) {
            batch.iter().for_each(|message| self.append(message, &mut data));
            self.close_batch(&mut data, durable);
            durable = header.base_position.plus(data.len() as u64);
        }
        assert!(data.len() as u64 <= SEGMENT_LENGTH);
        let mut crc = RunningCrc::default();
        crc.update(&data);
        let block = header.to_block();
        self.end = durable;
        self.link = link_after(&block, self.end, self.last, crc.value());
        [block.as_bytes(), &data].concat()
    }

    fn append(&mut self, message: &GoldenMessage, data: &mut Vec<u8>) {
        self.last = self.last.next();
        self.time.0 += INTERVAL;
        let mut frame = vec![0; frame_length(message.body.len())];
        let header = FrameHeader {
            crc: U32::ZERO,
            length: U16::new(frame.len() as u16),
            flags: 0,
            version: FRAME_VERSION,
            sequence: U64::new(self.last.0),
            timestamp: U64::new(self.time.0),
            block_length: U16::new(message.block_length),
            template_id: U16::new(message.template_id),
            schema_id: U16::new(message.schema.0),
            schema_version: U16::new(message.schema.1),
        };
        frame[..HEADER_LENGTH].copy_from_slice(header.as_bytes());
        frame[HEADER_LENGTH..][..message.body.len()].copy_from_slice(&message.body);
        seal(&mut frame, self.identity.seed());
        data.extend_from_slice(&frame);
    }

    fn close_batch(&mut self, data: &mut Vec<u8>, durable: Position) {
        let end = (data.len() + PADDING_LENGTH_MIN).next_multiple_of(BLOCK_LENGTH as usize);
        let mut padding = vec![0; end - data.len()];
        self.time.0 += INTERVAL;
        write_padding(&mut padding, self.time, durable, self.last, self.identity.seed());
        data.extend_from_slice(&padding);
    }
}
