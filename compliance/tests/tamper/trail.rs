//! A trail in memory whose copies share what they do not change.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use stele_journal::format::{RunningCrc, SegmentHeader, align_up, link_after, segment_index, segment_name};
use stele_journal::{Storage, StoredFile};
use stele_wire::bounds::{FRAME_VERSION, HEADER_LENGTH};
use stele_wire::frame::{Frame, Identity, frame_length, seal, write_padding};
use stele_wire::units::{Epoch, Nanos, Position, Sequence, ShardId, TrailId};
use zerocopy::IntoBytes;

const BLOCK: u32 = 512;
/// The smallest and the largest padding frame: header and body.
const PADDING_MIN: usize = 48;
const PADDING_MAX: usize = 65_528;

/// One segment: its header and the bytes after it.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) header: SegmentHeader,
    pub(crate) data: Arc<Vec<u8>>,
}

/// The files of a trail.
pub(crate) struct Stored {
    /// By their indexes, from 1.
    pub(crate) parts: Vec<Part>,
    /// All files that are not segments.
    files: Mutex<BTreeMap<String, Arc<Vec<u8>>>>,
}

impl Clone for Stored {
    fn clone(&self) -> Self {
        Self { parts: self.parts.clone(), files: Mutex::new(self.files().clone()) }
    }
}

impl Stored {
    /// A trail of `events` events in segments of `segment_length` bytes, closed at its end.
    pub(crate) fn build(trail: u8, events: u64, segment_length: u64) -> Self {
        let identity = Identity { trail: TrailId([trail; 16]), shard: ShardId(0), epoch: Epoch(1) };
        let mut parts: Vec<Part> = Vec::new();
        let (mut sequence, mut position) = (Sequence(0), Position(0));
        while sequence.0 < events {
            let header = SegmentHeader {
                identity,
                index: parts.len() as u64 + 1,
                block_length: BLOCK,
                segment_length,
                base_position: position,
                base_sequence: sequence.next(),
                created: Nanos(1_000 + 3 * sequence.0),
                link: [0; 32],
                schema: [5; 32],
            };
            let mut data = Vec::with_capacity(segment_length as usize);
            while sequence.0 < events {
                let frame = event(sequence.next(), identity, 24 + (sequence.0 * 7 % 48) as usize);
                if data.len() + frame.len() + 2 * PADDING_MIN > segment_length as usize {
                    break;
                }
                data.extend_from_slice(&frame);
                sequence = sequence.next();
                if sequence.0.is_multiple_of(64) {
                    close(&mut data, BLOCK as usize, segment_length as usize, &header, sequence);
                }
            }
            close(
                &mut data,
                if sequence.0 < events { segment_length as usize } else { BLOCK as usize },
                segment_length as usize,
                &header,
                sequence,
            );
            position = align_up(position.plus(data.len() as u64), BLOCK);
            parts.push(Part { header, data: Arc::new(data) });
        }
        let mut stored = Self { parts, files: Mutex::default() };
        stored.relink(1);
        stored
    }

    pub(crate) fn files(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Vec<u8>>>> {
        self.files.lock().unwrap()
    }

    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        self.files().insert(name.to_owned(), Arc::new(bytes));
    }

    /// The last event of a part.
    pub(crate) fn last_sequence(&self, at: usize) -> Sequence {
        let first = self.parts[at].header.base_sequence.0;
        let next = self.parts.get(at + 1).map(|next| next.header.base_sequence.0);
        Sequence(next.unwrap_or_else(|| first + self.events(at).len() as u64) - 1)
    }

    /// The frames of a part's events.
    pub(crate) fn events(&self, at: usize) -> Vec<Vec<u8>> {
        let frames = frames(&self.parts[at].data).into_iter();
        let data = &self.parts[at].data;
        let events =
            frames.filter(|(from, length)| !Frame::read(&data[*from..from + length]).unwrap().is_padding());
        events.map(|(from, length)| data[from..from + length].to_vec()).collect()
    }

    /// Recomputes the link of every part from `from` on, counted from 0.
    pub(crate) fn relink(&mut self, from: usize) {
        for at in from.max(1)..self.parts.len() {
            let before = &self.parts[at - 1];
            let mut crc = RunningCrc::default();
            crc.update(&before.data);
            let end = before.header.base_position.plus(before.data.len() as u64);
            let last = Sequence(self.parts[at].header.base_sequence.0 - 1);
            let link = link_after(&before.header.to_block(), end, last, crc.value());
            self.parts[at].header.link = link;
        }
    }

    /// Replaces the events of a part by `events`, renumbered and with new CRCs; the part keeps its length.
    pub(crate) fn replace_events(&mut self, at: usize, events: &[Vec<u8>]) {
        let header = self.parts[at].header;
        let length = self.parts[at].data.len();
        let mut data = Vec::with_capacity(length);
        let mut sequence = header.base_sequence;
        let mut time = header.created;
        for event in events {
            let mut frame = event.clone();
            time = time.max(Frame::read(&frame).unwrap().timestamp());
            frame[8..16].copy_from_slice(&sequence.0.to_le_bytes());
            frame[16..24].copy_from_slice(&time.0.to_le_bytes());
            seal(&mut frame, header.identity.seed());
            data.extend_from_slice(&frame);
            sequence = sequence.next();
        }
        pad(&mut data, length, time, &header, Sequence(sequence.0 - 1));
        self.parts[at].data = Arc::new(data);
    }

    /// Writes everything as files.
    pub(crate) fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        for part in &self.parts {
            let bytes = [part.header.to_block().as_bytes(), &part.data[..]].concat();
            std::fs::write(folder.join(segment_name(part.header.index)), bytes).unwrap();
        }
        for (name, bytes) in self.files().iter() {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &**bytes).unwrap();
        }
    }
}

/// Offset and length of each frame.
pub(crate) fn frames(data: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < data.len() {
        let length = Frame::read(&data[at..]).unwrap().len();
        found.push((at, length));
        at += length;
    }
    found
}

/// An event whose body depends on its sequence.
pub(crate) fn event(sequence: Sequence, identity: Identity, body: usize) -> Vec<u8> {
    let mut frame = vec![0; frame_length(body)];
    let length = frame.len() as u16;
    frame[4..6].copy_from_slice(&length.to_le_bytes());
    frame[7] = FRAME_VERSION;
    frame[8..16].copy_from_slice(&sequence.0.to_le_bytes());
    frame[16..24].copy_from_slice(&(1_000 + 3 * sequence.0).to_le_bytes());
    frame[26..28].copy_from_slice(&1u16.to_le_bytes());
    for (at, byte) in frame[HEADER_LENGTH..HEADER_LENGTH + body].iter_mut().enumerate() {
        *byte = (sequence.0.wrapping_mul(31) >> (at % 5 * 3)) as u8 ^ at as u8;
    }
    seal(&mut frame, identity.seed());
    frame
}

/// Closes a batch on a multiple of `block`.
fn close(data: &mut Vec<u8>, block: usize, limit: usize, header: &SegmentHeader, last: Sequence) {
    let mut end = data.len().next_multiple_of(block);
    if end > data.len() && end - data.len() < PADDING_MIN {
        end += block;
    }
    let end = end.min(limit);
    pad(data, end, Nanos(1_000 + 3 * last.0), header, last);
}

/// Padding up to `end`.
fn pad(data: &mut Vec<u8>, end: usize, time: Nanos, header: &SegmentHeader, last: Sequence) {
    while data.len() < end {
        let mut length = (end - data.len()).min(PADDING_MAX);
        if length < end - data.len() {
            length = length.min(end - data.len() - PADDING_MIN);
        }
        let mut frame = vec![0; length];
        // Everything before the segment is durable.
        write_padding(&mut frame, time, header.base_position, last, header.identity.seed());
        data.extend_from_slice(&frame);
    }
    assert_eq!(data.len(), end, "padding fits");
}

/// A file, as its parts in memory.
struct InMemory(Vec<u8>, Arc<Vec<u8>>);

impl StoredFile for InMemory {
    fn length(&self) -> io::Result<u64> {
        Ok((self.0.len() + self.1.len()) as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (offset, head) = (offset as usize, self.0.len());
        let mut done = 0;
        if offset < head {
            done = buffer.len().min(head - offset);
            buffer[..done].copy_from_slice(&self.0[offset..offset + done]);
        }
        let from = (offset + done).saturating_sub(head).min(self.1.len());
        let count = (buffer.len() - done).min(self.1.len() - from);
        buffer[done..done + count].copy_from_slice(&self.1[from..from + count]);
        Ok(done + count)
    }
}

impl Storage for Stored {
    fn list(&self) -> io::Result<Vec<String>> {
        let segments = self.parts.iter().map(|part| segment_name(part.header.index));
        Ok(segments.chain(self.files().keys().filter(|name| !name.contains('/')).cloned()).collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let part =
            segment_index(name).and_then(|index| self.parts.iter().find(|part| part.header.index == index));
        if let Some(part) = part {
            return Ok(Box::new(InMemory(part.header.to_block().as_bytes().to_vec(), part.data.clone())));
        }
        let bytes = self.files().get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(InMemory(Vec::new(), bytes)))
    }

    fn keep(&self, name: &str, source: &mut dyn io::Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes)?;
        self.put(name, bytes);
        Ok(())
    }

    fn close(&self, _: &str, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
