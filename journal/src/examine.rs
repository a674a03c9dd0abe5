//! Examines one segment by itself: how far its frames are continuous, and which events are intact after a
//! damage.

use crate::bounds::HEADER_BLOCK_LENGTH;
use crate::continuity::ContinuityFault;
use crate::format::{RunningCrc, SegmentLink, link_after};
use crate::storage::StoredFile;
use crate::stream::ByteStream;
use crate::trail::Segment;
use std::io;
use stele_wire::frame::Frame;
use stele_wire::units::{Nanos, Position, Sequence};

/// One segment, read from its first frame to the end of its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExaminedSegment {
    /// Position after the last frame that follows from those before it.
    pub end: Position,
    /// The last event before `end`.
    pub last_sequence: Sequence,
    /// Timestamp of the last frame before `end`.
    pub last_timestamp: Nanos,
    /// CRC-32C of the data before `end`.
    pub data_crc: u32,
    /// What the bytes at `end` are instead of a frame; `None` when the file ends there.
    pub fault: Option<ContinuityFault>,
    /// Lowest and highest sequence of the intact events after the fault.
    pub after_fault: Option<(Sequence, Sequence)>,
}

impl ExaminedSegment {
    /// Returns the link that the segment after `segment` carries, if this is its whole content.
    pub fn link(&self, segment: &Segment) -> SegmentLink {
        link_after(&segment.header_block(), self.end, self.last_sequence, self.data_crc)
    }

    /// Returns the offset in the file at which the frames end.
    pub fn offset(&self, segment: &Segment) -> u64 {
        segment.header.file_offset(self.end)
    }
}

/// Alignment of the positions at which a batch can begin.
const STEP: u64 = 512;

/// Reads `file`, which is the file of `segment`. `progress` is called with the number of bytes read since the
/// last call.
///
/// # Errors
/// The error of the medium.
pub(crate) fn examine(
    file: Box<dyn StoredFile>,
    segment: &Segment,
    progress: &mut dyn FnMut(u64),
) -> io::Result<ExaminedSegment> {
    let mut stream = ByteStream::new(file, HEADER_BLOCK_LENGTH as u64);
    let mut continuity = segment.start();
    let mut crc = RunningCrc::default();
    let mut reported = 0;
    let fault = loop {
        let admitted = continuity.admit(stream.bytes()).map(|frame| frame.len());
        match admitted {
            Ok(length) => {
                stream.consume(length);
                crc.update(stream.before(length));
            }
            Err(fault) if fault.is_short() => {
                progress(stream.offset() - reported);
                reported = stream.offset();
                if !stream.refill()? {
                    break (!stream.bytes().is_empty()).then_some(ContinuityFault::Cut);
                }
            }
            Err(fault) => break Some(fault),
        }
    };
    let end = segment.header.base_position.plus(stream.offset() - HEADER_BLOCK_LENGTH as u64);
    let after_fault = match fault {
        Some(_) => whole_events(&mut stream, continuity.seed)?,
        None => None,
    };
    let (last_sequence, last_timestamp) = (continuity.last_sequence, continuity.last_timestamp);
    Ok(ExaminedSegment { end, last_sequence, last_timestamp, data_crc: crc.value(), fault, after_fault })
}

/// Finds intact events from the next block on by their CRC.
fn whole_events(
    stream: &mut ByteStream,
    seed: stele_wire::frame::Seed,
) -> io::Result<Option<(Sequence, Sequence)>> {
    let mut found: Option<(Sequence, Sequence)> = None;
    let mut is_first = true;
    loop {
        let frame = Frame::read(stream.bytes()).and_then(|frame| frame.verify(seed).map(|()| frame));
        let frame = frame.map(|frame| (frame.len(), (!frame.is_padding()).then(|| frame.sequence())));
        match frame {
            Ok((length, event)) if !is_first => {
                if let Some(sequence) = event {
                    let (low, high) = found.unwrap_or((sequence, sequence));
                    found = Some((low.min(sequence), high.max(sequence)));
                }
                stream.consume(length);
                continue;
            }
            Err(error) if ContinuityFault::Frame(error).is_short() && stream.refill()? => continue,
            _ => {}
        }
        is_first = false;
        let step = (STEP - stream.offset() % STEP) as usize;
        if stream.bytes().len() <= step && !stream.refill()? {
            return Ok(found);
        }
        let step = step.min(stream.bytes().len());
        stream.consume(step);
    }
}
