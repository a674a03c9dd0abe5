//! Opening the trail on the simulated disk, step by step as `Journal::open` does on a directory.

use crate::bounds::SEGMENT_LENGTH;
use crate::disk::{Disk, SimFile, SimSpares};
use crate::medium::Medium;
use stele_bus::SequencerStart;
use stele_journal::format::{SegmentHeader, UNFINISHED_EXTENSION, segment_index};
use stele_journal::recovery::{Continuation, Row, recover};
use stele_journal::survey::survey;
use stele_journal::{RecoveryError, RecoveryReport, Storage, TrailError};
use stele_wire::frame::Identity;
use stele_wire::{Nanos, ShardId, TrailId};

/// What a trail is opened with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Its identity.
    pub trail: TrailId,
    /// The device's block.
    pub block_length: u32,
    /// Segments kept ready.
    pub spare_segments: usize,
    /// The time.
    pub now: Nanos,
}

/// A trail open for writing.
pub struct Opened {
    /// What was found and done.
    pub report: RecoveryReport,
    /// What doing it again found, before anything new was written.
    pub again: (RecoveryReport, Continuation),
    /// Where it goes on.
    pub continuation: Continuation,
    /// The first segment of the epoch.
    pub header: SegmentHeader,
    /// Its file.
    pub file: SimFile,
    /// Where the next ones come from.
    pub spares: SimSpares,
}

impl Opened {
    /// What the sequencer needs.
    pub fn start(&self) -> SequencerStart {
        SequencerStart {
            identity: self.header.identity,
            next_sequence: self.header.base_sequence,
            position: self.header.base_position,
            // Not before the header's own time, which bounds every frame of the segment from below.
            last_timestamp: self.header.created,
            segment_length: self.header.segment_length,
            block_length: self.header.block_length as usize,
        }
    }
}

/// Recovers the trail and begins an epoch.
///
/// # Errors
/// What recovery says; also whatever follows from the power failing meanwhile.
pub fn open(disk: &Disk, options: &Options) -> Result<Opened, RecoveryError> {
    let io = |action, source| TrailError::Io { file: "the disk".into(), action, source };
    remove_unfinished(disk).map_err(|source| io("clear up", source))?;
    let (report, continuation) = recover(disk, survey(disk)?)?;
    let again = recover(disk, survey(disk)?)?;
    let stale = disk.with(|medium| medium.behaviour().stale);
    let donor = if stale { earlier_life(disk) } else { None };
    let mut spares = SimSpares::start(disk.clone(), continuation.index, 1 + options.spare_segments, donor);
    let file = spares.first().file;
    let header = SegmentHeader {
        identity: Identity { trail: options.trail, shard: ShardId(3), epoch: continuation.epoch },
        index: continuation.index,
        block_length: options.block_length,
        segment_length: SEGMENT_LENGTH,
        base_position: continuation.base(options.block_length),
        base_sequence: continuation.last_sequence.next(),
        created: options.now.max(continuation.last_timestamp),
        link: continuation.link,
        schema: stele_journal::schema_hash(),
    };
    disk.write_first_header(file, &header.to_block()).map_err(|source| io("write a header to", source))?;
    Ok(Opened { report, again, continuation, header, file, spares })
}

fn remove_unfinished(disk: &Disk) -> std::io::Result<()> {
    for name in disk.list()? {
        if name.ends_with(&format!(".{UNFINISHED_EXTENSION}")) {
            disk.remove(&name)?;
        }
    }
    Ok(())
}

/// The bytes of a segment of an earlier epoch, as a block of the device that is used again may hold them.
fn earlier_life(disk: &Disk) -> Option<Vec<u8>> {
    disk.with(|medium: &mut Medium| {
        let segments: Vec<String> =
            medium.names().filter(|name| segment_index(name).is_some()).map(str::to_owned).collect();
        let which = medium.draw(0, segments.len().saturating_sub(1) as u64) as usize;
        let inode = medium.find(segments.get(which)?)?;
        Some(medium.bytes(inode).to_vec()).filter(|bytes| bytes.len() > 4096)
    })
}

/// Whether recovery may come to `row` after a failure on a disk that keeps its promises.
pub fn is_honest(row: Row) -> bool {
    !matches!(row, Row::B | Row::F)
}
