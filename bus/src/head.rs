//! The head of the log: gives each event its sequence, time and checksum, writes it to the ring, and closes
//! batches.

use crate::appender::{Appender, Geometry, GeometryError};
use crate::bounds::{CLOCK_BACK_MIN, STRETCH_EVENTS_MAX, STRETCH_LENGTH_MAX};
use crate::clock::{Clock, ClockQuality};
use crate::ring::{LogRing, RingWriter};
use crate::submission::NOT_RECEIVED;
use crate::sync::Ordering;
use crate::templates::{RECEIVED_DELTA_OFFSET, Template};
use stele_wire::bounds::{FRAME_LENGTH_MAX, FRAME_VERSION, HEADER_LENGTH};
use stele_wire::frame::{FrameHeader, crc32c, frame_length, write_padding};
use stele_wire::messages::{SCHEMA_ID, SCHEMA_VERSION};
use stele_wire::{Identity, Nanos, Position, Seed, Sequence};
use zerocopy::FromBytes;
use zerocopy::little_endian::{U16, U32, U64};

/// Where a log continues. Opening the journal returns it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SequencerStart {
    /// The identity of the log, which seeds every CRC.
    pub identity: Identity,
    /// The sequence of the next event.
    pub next_sequence: Sequence,
    /// The position of the next frame: the epoch's first position, a multiple of `block_length`.
    pub position: Position,
    /// The timestamp of the last event. No later event has a smaller one.
    pub last_timestamp: Nanos,
    /// The length of a segment's data, in bytes.
    pub segment_length: u64,
    /// The length of the device block that batches end on, in bytes.
    pub block_length: usize,
}

/// An event before it gets its sequence and time.
pub(crate) struct Draft<'a> {
    pub(crate) template_id: u16,
    pub(crate) template: Template,
    /// The schema's id and version.
    pub(crate) schema: (u16, u16),
    pub(crate) body_length: usize,
    /// The body in two parts, padded with zeros to whole words.
    pub(crate) body: (&'a [u64], &'a [u64]),
    pub(crate) received: Nanos,
}

/// The id and version of Stele's own schema.
pub(crate) const OWN_SCHEMA: (u16, u16) = (SCHEMA_ID, SCHEMA_VERSION);

#[derive(Debug)]
pub(crate) struct LogHead<C> {
    clock: C,
    writer: RingWriter,
    appender: Appender,
    seed: Seed,
    next_sequence: Sequence,
    /// The newest reading of the clock, or an older one if the clock went back since.
    timestamp: Nanos,
    /// The newest reading of the clock.
    reading: Nanos,
    /// By how much the clock went back since `clock_status` was last called, not counting noise; 0 or
    /// negative.
    back: i64,
    /// How long the head has existed, as of the newest reading.
    age: Nanos,
    /// Events and bytes since the last publication.
    stretch_events: usize,
    stretch_length: usize,
    batches: u64,
    /// The clock was read for the next event.
    is_stamped: bool,
    padding: Box<[u8]>,
}

const DELTA_WORD: usize = (HEADER_LENGTH + RECEIVED_DELTA_OFFSET) / 8;
const _: () = assert!(RECEIVED_DELTA_OFFSET.is_multiple_of(8) && cfg!(target_endian = "little"));

/// `receivedDelta` when it is not known.
const DELTA_NULL: u32 = u32::MAX;

impl<C: Clock> LogHead<C> {
    pub(crate) fn new(
        start: &SequencerStart,
        writer: RingWriter,
        mut clock: C,
    ) -> Result<Self, GeometryError> {
        let geometry = Geometry {
            base: start.position,
            ring_length: writer.ring().capacity(),
            segment_length: start.segment_length,
            block_length: start.block_length,
        };
        assert_eq!(writer.head(), start.position, "the ring begins where the log continues");
        writer.ring().shared.set_start(&start.identity, start.next_sequence);
        Ok(Self {
            reading: clock.now(),
            back: 0,
            age: Nanos(0),
            clock,
            writer,
            appender: Appender::new(geometry)?,
            seed: start.identity.seed(),
            next_sequence: start.next_sequence,
            timestamp: start.last_timestamp,
            stretch_events: 0,
            stretch_length: 0,
            batches: 0,
            is_stamped: false,
            padding: vec![0; FRAME_LENGTH_MAX].into(),
        })
    }

    pub(crate) fn writer(&mut self) -> &mut RingWriter {
        &mut self.writer
    }

    pub(crate) fn next_sequence(&self) -> Sequence {
        self.next_sequence
    }

    /// Whether frames of `length` bytes in total leave `headroom` bytes of the ring free after their batch is
    /// closed.
    #[inline]
    pub(crate) fn has_room(&mut self, length: usize, headroom: usize) -> bool {
        self.writer.has_room(self.appender.end_closed_after(length).plus(headroom as u64))
    }

    /// Reads the clock. The log's time becomes `max(previous, UTC)`, and the time since the last reading is
    /// added to the age, which times batches and waits. After the clock stepped back, the log's time does not
    /// move until UTC has caught up; the age does.
    #[inline]
    pub(crate) fn read_clock(&mut self) -> Nanos {
        let reading = self.clock.now();
        self.age.0 += reading.0.saturating_sub(self.reading.0);
        if reading.0 + CLOCK_BACK_MIN.0 <= self.reading.0 {
            self.back -= (self.reading.0 - reading.0) as i64;
        }
        self.reading = reading;
        self.timestamp = self.timestamp.max(reading);
        self.age
    }

    /// Reads the clock for the event that is appended next, and returns the time that the event will have.
    pub(crate) fn stamp(&mut self) -> Nanos {
        self.read_clock();
        self.is_stamped = true;
        self.timestamp
    }

    /// The time of the event that was appended last.
    pub(crate) fn timestamp(&self) -> Nanos {
        self.timestamp
    }

    /// How long the head has existed, as of the newest reading of the clock.
    pub(crate) fn age(&self) -> Nanos {
        self.age
    }

    /// How well the clock follows UTC, by how much it went back since the last call, and its newest reading.
    pub(crate) fn clock_status(&mut self) -> (Option<ClockQuality>, i64, Nanos) {
        (self.clock.status(), std::mem::take(&mut self.back), self.reading)
    }

    pub(crate) fn ring(&self) -> &LogRing {
        self.writer.ring()
    }

    /// Batches closed so far.
    pub(crate) fn batches(&self) -> u64 {
        self.batches
    }

    /// The bytes of the ring that frames of `length` bytes in total would leave free after their batch is
    /// closed.
    pub(crate) fn room_after(&self, length: usize) -> u64 {
        self.writer.limit().0.saturating_sub(self.appender.end_closed_after(length).0)
    }

    /// Writes an event to the ring and returns its sequence. The caller has checked [`LogHead::has_room`].
    /// Consumers see the event after [`LogHead::end_stretch`]. It is inlined into its one hot caller:
    /// otherwise the draft goes through the stack and is read back before the stores have left the
    /// processor's buffer.
    #[inline(always)]
    pub(crate) fn append(&mut self, draft: &Draft<'_>) -> Sequence {
        let length = frame_length(draft.body_length);
        while self.appender.padding_before(length) > 0 {
            self.pad(self.appender.padding_before(length));
        }
        let is_stamped = std::mem::take(&mut self.is_stamped);
        if !is_stamped && (self.stretch_events == 0 || draft.template.waits_for_release) {
            self.read_clock();
        }
        let sequence = self.next_sequence;
        self.write(draft, sequence, length);
        self.appender.on_event(length, self.age, draft.template.waits_for_release);
        self.next_sequence = sequence.next();
        self.stretch_events += 1;
        self.stretch_length += length;
        if self.stretch_events >= STRETCH_EVENTS_MAX || self.stretch_length >= STRETCH_LENGTH_MAX {
            self.end_stretch();
        }
        sequence
    }

    /// As [`LogHead::append`], not inlined: for cold paths.
    #[cold]
    #[inline(never)]
    pub(crate) fn append_cold(&mut self, draft: &Draft<'_>) -> Sequence {
        self.append(draft)
    }

    #[inline(always)]
    fn write(&mut self, draft: &Draft<'_>, sequence: Sequence, length: usize) {
        let header = FrameHeader {
            crc: U32::ZERO,
            length: U16::new(length as u16),
            flags: 0,
            version: FRAME_VERSION,
            sequence: U64::new(sequence.0),
            timestamp: U64::new(self.timestamp.0),
            block_length: U16::new(draft.template.block_length),
            template_id: U16::new(draft.template_id),
            schema_id: U16::new(draft.schema.0),
            schema_version: U16::new(draft.schema.1),
        };
        let header: [u64; HEADER_LENGTH / 8] = zerocopy::transmute!(header);
        let (at, words) = self.writer.word_run(length);
        let (first, second) = draft.body;
        assert_eq!(words.len(), header.len() + first.len() + second.len());
        let (head, body) = words.split_at(header.len());
        for (word, value) in head.iter().zip(header) {
            word.store(value, Ordering::Relaxed);
        }
        let (body_first, body_second) = body.split_at(first.len());
        for (word, value) in body_first.iter().zip(first) {
            word.store(*value, Ordering::Relaxed);
        }
        for (word, value) in body_second.iter().zip(second) {
            word.store(*value, Ordering::Relaxed);
        }
        if draft.template.stamped {
            let delta = received_delta(self.timestamp, draft.received);
            let rest = words[DELTA_WORD].load(Ordering::Relaxed) & !u64::from(u32::MAX);
            words[DELTA_WORD].store(rest | u64::from(delta), Ordering::Relaxed);
        }
        let crc = crc32c(&self.writer.unpublished(at, at.plus(length as u64))[4..]) ^ self.seed.0;
        self.writer.store_first(at, header[0] | u64::from(crc));
    }

    /// Publishes what was appended and closes the batch if it is full.
    #[inline]
    pub(crate) fn end_stretch(&mut self) {
        if self.stretch_events == 0 {
            return;
        }
        self.stretch_events = 0;
        self.stretch_length = 0;
        self.writer.publish();
        if self.appender.is_batch_full() {
            self.close_batch();
        }
    }

    /// Closes the open batch, or writes a block of padding that only records the watermark, when either is
    /// due. Returns how many blocks of padding it wrote: 0 or 1.
    #[inline]
    pub(crate) fn end_cycle(&mut self) -> usize {
        self.end_stretch();
        let (durable, written) = {
            let marks = self.writer.ring().watermarks();
            (marks.durable(), marks.written())
        };
        if self.appender.batch_length() > 0 {
            self.read_clock();
            let unwritten = self.writer.ring().watermarks().batched().0 - written.0;
            if self.appender.closes(self.age, unwritten) {
                self.close_batch();
                return 1;
            }
        } else if self.appender.is_unrecorded(durable) {
            self.read_clock();
            let length = self.appender.watermark_length();
            if self.appender.needs_watermark(self.age, durable) && self.has_room(0, 0) {
                self.close(length);
                return 1;
            }
        }
        0
    }

    /// Closes the open batch, if there is one, at the end of a block.
    pub(crate) fn close_batch(&mut self) {
        self.end_stretch();
        if self.appender.batch_length() > 0 {
            self.close(self.appender.padding_to_close());
        }
    }

    fn close(&mut self, padding: usize) {
        let start = self.writer.head();
        self.pad(padding);
        self.appender.on_close();
        self.batches += 1;
        self.writer.publish();
        self.writer.close_batch(start);
    }

    /// Writes `length` bytes of padding frames that record the durable watermark.
    #[cold]
    #[inline(never)]
    fn pad(&mut self, length: usize) {
        let durable = self.writer.ring().watermarks().durable();
        let last = Sequence(self.next_sequence.0 - 1);
        let mut left = length;
        while left > 0 {
            let piece = Appender::padding_piece(left);
            let frame = &mut self.padding[..piece];
            write_padding(frame, self.timestamp, durable, last, self.seed);
            let words = <[U64]>::ref_from_bytes(frame).expect("padding is of whole words");
            assert!(self.writer.has_room(self.writer.head().plus(piece as u64)), "room for padding is kept");
            let (_, run) = self.writer.word_run(piece);
            for (word, value) in run.iter().zip(words) {
                word.store(value.get(), Ordering::Relaxed);
            }
            self.appender.on_padding(piece, self.age, durable);
            left -= piece;
        }
    }
}

/// The time since `received`, limited to what the field can hold.
#[inline]
fn received_delta(timestamp: Nanos, received: Nanos) -> u32 {
    if received == NOT_RECEIVED {
        return DELTA_NULL;
    }
    timestamp.0.saturating_sub(received.0).min(u64::from(DELTA_NULL - 1)) as u32
}
