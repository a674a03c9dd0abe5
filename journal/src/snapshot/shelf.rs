//! The snapshot files of a trail: written, read back, checked against the trail's segments, and removed when
//! newer ones replace them.

use super::{
    SNAPSHOT_EXTENSION, Snapshot, SnapshotDigest, SnapshotError, SnapshotOrigin, SnapshotSection, check_head,
    decode, encode, snapshot_index, snapshot_name,
};
use crate::bounds::{HEADER_BLOCK_LENGTH, PAGE_LENGTH, SNAPSHOT_LENGTH_MAX};
use crate::error::TrailError;
use crate::format::{RunningCrc, SegmentLink, link_after};
use crate::pages::Pages;
use crate::storage::Storage;
use crate::stream::ByteStream;
use crate::trail::Segment;
use std::fmt::Write as _;
use std::io;
use stele_wire::units::Position;

/// The result of looking for the newest snapshot.
#[derive(Debug, Default)]
pub struct NewestSnapshot {
    /// The newest valid snapshot of this trail; `None` when there is none.
    pub snapshot: Option<Snapshot>,
    /// Why newer ones cannot be used.
    pub refused: Vec<SnapshotError>,
}

/// Writes a snapshot. The file appears complete, durable and read-only, or not at all. A snapshot of the same
/// segment is replaced.
///
/// # Errors
/// [`SnapshotError::Trail`] when the medium fails, [`SnapshotError::TooLong`].
pub fn write(
    storage: &dyn Storage,
    origin: &SnapshotOrigin,
    program: &str,
    sections: &[SnapshotSection],
) -> Result<SnapshotDigest, SnapshotError> {
    let name = snapshot_name(origin.segment);
    let bytes = encode(origin, program, sections);
    let length = bytes.len() as u64;
    if length > SNAPSHOT_LENGTH_MAX {
        return Err(SnapshotError::TooLong { file: storage.describe(&name), length });
    }
    let kept = storage.keep(&name, &mut &bytes[..]).and_then(|()| storage.close(&name, length));
    kept.map_err(|source| TrailError::io(storage, &name, "write", source))?;
    Ok(SnapshotDigest::of(&bytes))
}

/// Lists the indexes of the segments after which a snapshot was taken, ascending, whatever the state of its
/// file.
///
/// # Errors
/// [`TrailError::Io`].
pub fn list(storage: &dyn Storage) -> Result<Vec<u64>, TrailError> {
    let names = match storage.list() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        names => names.map_err(|source| TrailError::io(storage, ".", "list", source))?,
    };
    let mut indexes: Vec<u64> = names.iter().filter_map(|name| snapshot_index(name)).collect();
    indexes.sort_unstable();
    Ok(indexes)
}

/// Reads the snapshot after segment `index` and checks it against the trail's `segments`. Allocates no more
/// than the length of the file, and at most [`SNAPSHOT_LENGTH_MAX`].
///
/// # Errors
/// [`SnapshotError`].
pub fn read(storage: &dyn Storage, segments: &[Segment], index: u64) -> Result<Snapshot, SnapshotError> {
    let name = snapshot_name(index);
    let damaged = |fault| SnapshotError::Damaged { file: storage.describe(&name), fault };
    let io = |source| TrailError::io(storage, &name, "read", source);
    let file = storage.open(&name).map_err(io)?;
    let length = file.length().map_err(io)?;
    let mut first = Pages::zeroed(PAGE_LENGTH);
    let found = file.read_at(&mut first, 0).map_err(io)?;
    check_head(&first[..found], length).map_err(damaged)?;
    if length > SNAPSHOT_LENGTH_MAX {
        return Err(SnapshotError::TooLong { file: storage.describe(&name), length });
    }
    let mut pages = Pages::zeroed(length as usize);
    let found = file.read_at(&mut pages, 0).map_err(io)?;
    let bytes = pages[..found.min(length as usize)].to_vec();
    let snapshot = match decode(bytes).map_err(damaged)? {
        Ok(snapshot) => snapshot,
        Err(version) => return Err(SnapshotError::Newer { file: storage.describe(&name), version }),
    };
    snapshot.origin.check_named(storage, index)?;
    snapshot.origin.check(storage, segments)?;
    Ok(snapshot)
}

/// Returns the newest valid snapshot of the trail with these `segments`.
///
/// # Errors
/// [`TrailError::Io`] when the files cannot be listed.
pub fn newest(storage: &dyn Storage, segments: &[Segment]) -> Result<NewestSnapshot, TrailError> {
    let mut newest = NewestSnapshot::default();
    for index in list(storage)?.into_iter().rev() {
        match read(storage, segments, index) {
            Ok(snapshot) => {
                newest.snapshot = Some(snapshot);
                break;
            }
            Err(refusal) => newest.refused.push(refusal),
        }
    }
    Ok(newest)
}

/// Removes snapshots that newer ones replace, and unfinished files that a killed process left. The newest
/// `keep` valid ones stay, and so does the one that a trail starts from whose first segments have expired. If
/// fewer than `keep` are valid, all stay.
///
/// # Errors
/// [`TrailError::Io`].
///
/// # Panics
/// When `keep` is 0.
pub fn prune(storage: &dyn Storage, segments: &[Segment], keep: usize) -> Result<(), TrailError> {
    assert!(keep > 0, "the newest snapshot stays");
    let remove = |name: &str| match storage.remove(name) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(TrailError::io(storage, name, "remove", source))
        }
        _ => Ok(()),
    };
    let unfinished = format!(".{SNAPSHOT_EXTENSION}.unfinished");
    let names = storage.list().map_err(|source| TrailError::io(storage, ".", "list", source))?;
    names.iter().filter(|name| name.ends_with(&unfinished)).try_for_each(|name| remove(name))?;
    let indexes = list(storage)?;
    let mut valid = indexes.iter().rev().filter(|index| read(storage, segments, **index).is_ok());
    let Some(&oldest_kept) = valid.nth(keep - 1) else { return Ok(()) };
    let first = segments.first().map_or(1, |segment| segment.header.index);
    let needless = |index: &&u64| **index < oldest_kept && **index + 1 != first;
    indexes.iter().filter(needless).try_for_each(|index| remove(&snapshot_name(*index)))
}

/// Reads the end of `segment`, which is closed and has no successor, from its frames.
///
/// # Errors
/// [`TrailError::Frame`] when the segment holds anything but frames, as one that was never closed does, and
/// [`TrailError::Io`].
pub fn read_end(storage: &dyn Storage, segment: &Segment) -> Result<SnapshotOrigin, TrailError> {
    read_up_to(storage, segment, Position(u64::MAX)).map(|(origin, _)| origin)
}

/// Reads `segment` up to the frame that ends at `until`, or to its end. Also returns the CRC of its data so
/// far.
///
/// # Errors
/// As [`read_end`].
pub(crate) fn read_up_to(
    storage: &dyn Storage,
    segment: &Segment,
    until: Position,
) -> Result<(SnapshotOrigin, RunningCrc), TrailError> {
    let name = segment.name();
    let io = |source| TrailError::io(storage, &name, "read", source);
    let mut stream = ByteStream::new(storage.open(&name).map_err(io)?, HEADER_BLOCK_LENGTH as u64);
    let mut continuity = segment.start();
    let mut crc = RunningCrc::default();
    let position = |offset: u64| segment.header.base_position.plus(offset - HEADER_BLOCK_LENGTH as u64);
    while position(stream.offset()) < until {
        match continuity.admit(stream.bytes()).map(|frame| frame.len()) {
            Ok(length) => {
                stream.consume(length);
                crc.update(stream.before(length));
            }
            Err(fault) if fault.is_short() && stream.refill().map_err(io)? => {}
            Err(_) if stream.bytes().is_empty() => break,
            Err(fault) => {
                return Err(TrailError::Frame {
                    file: storage.describe(&name),
                    offset: stream.offset(),
                    position: position(stream.offset()),
                    after: continuity.last_sequence,
                    fault,
                });
            }
        }
    }
    let (end, last_sequence) = (position(stream.offset()), continuity.last_sequence);
    let origin = SnapshotOrigin {
        identity: segment.header.identity,
        segment: segment.header.index,
        end,
        last_sequence,
        last_timestamp: continuity.last_timestamp,
        link: link_after(&segment.header_block(), end, last_sequence, crc.value()),
    };
    Ok((origin, crc))
}

impl SnapshotOrigin {
    fn check_named(&self, storage: &dyn Storage, index: u64) -> Result<(), SnapshotError> {
        if self.segment == index {
            return Ok(());
        }
        let (expected, found) = (index.to_string(), self.segment.to_string());
        let file = storage.describe(&snapshot_name(index));
        Err(SnapshotError::Misfit { file, field: "segment", expected, found })
    }

    /// Checks that the state follows from the trail with these `segments`: the segment after its own must
    /// carry the link; if there is none, its own segment must give it.
    fn check(&self, storage: &dyn Storage, segments: &[Segment]) -> Result<(), SnapshotError> {
        let file = || storage.describe(&snapshot_name(self.segment));
        let misfit = |field, expected: String, found: String| {
            Err(SnapshotError::Misfit { file: file(), field, expected, found })
        };
        let of = |index: u64| segments.iter().find(|segment| segment.header.index == index);
        let Some(known) = self.segment.checked_add(1).and_then(of).or_else(|| of(self.segment)) else {
            let [first, last] = [segments.first(), segments.last()]
                .map(|segment| segment.map_or(0, |segment| segment.header.index));
            return misfit("segment", format!("one of {first} to {last}"), self.segment.to_string());
        };
        let identity = known.header.identity;
        if self.identity.trail != identity.trail {
            return misfit("trail", identity.trail.to_string(), self.identity.trail.to_string());
        }
        if self.identity.shard != identity.shard {
            return misfit("shard", identity.shard.to_string(), self.identity.shard.to_string());
        }
        let (link, last) = if known.header.index == self.segment {
            let end = read_end(storage, known)?;
            (end.link, end.last_sequence)
        } else {
            (known.header.link, stele_wire::units::Sequence(known.header.base_sequence.0 - 1))
        };
        if self.last_sequence != last {
            return misfit("last sequence", last.to_string(), self.last_sequence.to_string());
        }
        if self.link != link {
            return misfit("link", hexadecimal(&link), hexadecimal(&self.link));
        }
        Ok(())
    }
}

fn hexadecimal(link: &SegmentLink) -> String {
    link.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
