//! Frames and trails for tests, made in the slowest and simplest way.

use crate::bounds::HEADER_BLOCK_LENGTH;
use crate::format::{RunningCrc, SegmentHeader, align_up, link_after, segment_name};
use std::path::Path;
use stele_wire::bounds::{FRAME_VERSION, HEADER_LENGTH, PADDING_LENGTH_MIN};
use stele_wire::frame::{Identity, Seed, frame_length, seal, write_padding};
use stele_wire::units::{Epoch, Nanos, Position, Sequence, ShardId, TrailId};
use zerocopy::IntoBytes;

pub(crate) const BLOCK: u32 = 512;

/// An event with `body_length` bytes that depend on its sequence.
pub(crate) fn event(sequence: Sequence, timestamp: Nanos, body_length: usize, seed: Seed) -> Vec<u8> {
    let mut frame = vec![0; frame_length(body_length)];
    let length = frame.len() as u16;
    frame[4..6].copy_from_slice(&length.to_le_bytes());
    frame[7] = FRAME_VERSION;
    frame[8..16].copy_from_slice(&sequence.0.to_le_bytes());
    frame[16..24].copy_from_slice(&timestamp.0.to_le_bytes());
    frame[26..28].copy_from_slice(&1u16.to_le_bytes());
    for (at, byte) in frame[HEADER_LENGTH..HEADER_LENGTH + body_length].iter_mut().enumerate() {
        *byte = (sequence.0 as usize * 31 + at) as u8;
    }
    seal(&mut frame, seed);
    frame
}

/// The segments of some epochs as a writer lays them out: batches of events, each closed by padding that
/// states how far the log was durable, segment ends included.
pub(crate) struct Epochs {
    pub(crate) identity: Identity,
    pub(crate) segment_length: u64,
    pub(crate) segments: Vec<(SegmentHeader, Vec<u8>)>,
    pub(crate) position: Position,
    pub(crate) sequence: Sequence,
    pub(crate) time: Nanos,
    /// Position, length and sequence of every event.
    pub(crate) events: Vec<(Position, usize, Sequence)>,
    /// Position after every batch.
    pub(crate) batches: Vec<Position>,
    /// By how many batches the durable watermark in padding lags.
    pub(crate) lag: usize,
}

impl Epochs {
    pub(crate) fn new(segment_length: u64) -> Self {
        let identity = Identity { trail: TrailId([9; 16]), shard: ShardId(2), epoch: Epoch(0) };
        let mut epochs = Self {
            identity,
            segment_length,
            segments: Vec::new(),
            position: Position(0),
            sequence: Sequence(0),
            time: Nanos(1_000),
            events: Vec::new(),
            batches: Vec::new(),
            lag: 2,
        };
        epochs.start_epoch();
        epochs
    }

    pub(crate) fn start_epoch(&mut self) {
        self.identity.epoch.0 += 1;
        self.position = align_up(self.position, BLOCK);
        self.batches = vec![self.position];
        self.push_segment();
    }

    fn push_segment(&mut self) {
        let link = self.segments.last().map_or([0; 32], |(header, data)| {
            let mut crc = RunningCrc::default();
            crc.update(data);
            let end = header.base_position.plus(data.len() as u64);
            link_after(&header.to_block(), end, self.sequence, crc.value())
        });
        let header = SegmentHeader {
            identity: self.identity,
            index: self.segments.len() as u64 + 1,
            block_length: BLOCK,
            segment_length: self.segment_length,
            base_position: self.position,
            base_sequence: self.sequence.next(),
            created: self.time,
            link,
            schema: [5; 32],
        };
        self.segments.push((header, Vec::new()));
    }

    fn room(&self) -> u64 {
        self.segments.last().unwrap().0.end_position().0 - self.position.0
    }

    fn push(&mut self, frame: &[u8]) {
        self.segments.last_mut().unwrap().1.extend_from_slice(frame);
        self.position = self.position.plus(frame.len() as u64);
    }

    fn pad(&mut self, length: u64) {
        let durable = self.batches[self.batches.len().saturating_sub(1 + self.lag)];
        let mut frame = vec![0; length as usize];
        self.time.0 += 1;
        write_padding(&mut frame, self.time, durable, self.sequence, self.identity.seed());
        self.push(&frame);
    }

    /// Appends a batch of `count` events of about `body` bytes, closed on a block; rolls where necessary.
    pub(crate) fn batch(&mut self, count: usize, body: usize) {
        for number in 0..count {
            let length = frame_length(body + number % 24) as u64;
            if self.room() < length + PADDING_LENGTH_MIN as u64 {
                self.pad(self.room());
                self.push_segment();
            }
            self.sequence.0 += 1;
            self.time.0 += 3;
            let frame = event(self.sequence, self.time, body + number % 24, self.identity.seed());
            self.events.push((self.position, frame.len(), self.sequence));
            self.push(&frame);
        }
        let block = u64::from(BLOCK);
        let mut room = align_up(self.position, BLOCK).0 - self.position.0;
        if room > 0 && room < PADDING_LENGTH_MIN as u64 {
            room += block;
        }
        if room > self.room() {
            room = self.room();
        }
        if room > 0 {
            self.pad(room);
        }
        self.batches.push(self.position);
        if self.room() == 0 {
            self.push_segment();
        }
    }

    /// The acknowledged floor that the log's padding states.
    pub(crate) fn floor(&self) -> Position {
        self.batches[self.batches.len().saturating_sub(2 + self.lag)]
    }

    /// Writes the segments as files. All but the last have their data's length; the last one too when
    /// `closed`, otherwise it is filled with zeros.
    pub(crate) fn write(&self, folder: &Path, closed: bool) {
        std::fs::create_dir_all(folder).unwrap();
        for (at, (header, data)) in self.segments.iter().enumerate() {
            let mut bytes = header.to_block().as_bytes().to_vec();
            bytes.extend_from_slice(data);
            if at + 1 == self.segments.len() && !closed {
                bytes.resize(HEADER_BLOCK_LENGTH + self.segment_length as usize, 0);
            }
            std::fs::write(folder.join(segment_name(header.index)), bytes).unwrap();
        }
    }
}
