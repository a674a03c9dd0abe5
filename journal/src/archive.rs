//! Archived segments: the raw file, byte for byte, compressed by zstd in independent frames with a seek
//! table.
//!
//! The first frame holds only the header block, so that listing the segments of a trail decompresses no data.
//! Each frame after it holds 1 MiB, which is what a reader reads at once. Every zstd frame carries the
//! checksum of its content. `zstd -d` restores the raw file.
//!
//! ```text
//!  0000000007.stele ──pack──> 0000000007.stele.zst.new ──verify──> 0000000007.stele.zst ──> raw file removed
//! ```
//!
//! Where both files exist, the raw file is used and the archive is written again: a crash at any point leaves
//! the segment intact.

pub use crate::archive_file::ArchiveFile;
pub use crate::format::{ARCHIVE_EXTENSION, archive_index, archive_name};

use crate::archive_file::SeekTable;
use crate::bounds::{ARCHIVE_FRAME_LENGTH, HEADER_BLOCK_LENGTH};
use crate::continuity::ContinuityFault;
use crate::directory::{Directory, release};
use crate::error::TrailError;
use crate::examine::examine;
use crate::format::{SegmentLink, UNFINISHED_EXTENSION, segment_name};
use crate::pages::Pages;
use crate::storage::{Storage, StoredFile};
use crate::trail::Segment;
use sha2::{Digest, Sha256};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

/// The default zstd compression level.
pub const ARCHIVE_LEVEL_DEFAULT: i32 = 9;

/// A segment that has been archived; its raw file still exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArchivedSegment {
    /// The index of the segment.
    pub index: u64,
    /// Length of the raw file in bytes.
    pub raw_bytes: u64,
    /// Length of the archive in bytes.
    pub packed_bytes: u64,
    /// SHA-256 of the raw file, and of what the archive decompresses to.
    pub sha256: [u8; 32],
}

/// Why a segment cannot be archived. Its raw file is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The medium failed, or the segment cannot be read.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// The segment itself is damaged.
    #[error("{file}, offset {offset}: {fault}: a damaged segment is not archived, see `stele repair`")]
    Damaged {
        /// The segment's file.
        file: String,
        /// Offset in the file.
        offset: u64,
        /// What is wrong there.
        fault: ContinuityFault,
    },
    /// The archive, read back, differs from the raw file.
    #[error("{archive} was read back and is not {file}: the medium does not keep what is written to it")]
    Differs {
        /// The archive.
        archive: String,
        /// The segment's file.
        file: String,
    },
    /// The segment is not the one that the next segment follows.
    #[error(
        "{file}: the next segment has the link {found}, this content gives {expected}: see `stele repair`"
    )]
    Link {
        /// The segment's file.
        file: String,
        /// The link that the content gives, hexadecimal.
        expected: String,
        /// The link in the next segment's header, hexadecimal.
        found: String,
    },
}

/// Archives a closed segment and proves the archive: it is read back from the medium and compared with the
/// raw file, and its frames are checked up to `next_link`, the link in the next segment's header. The raw
/// file stays; [`release_raw`] removes it. `progress` is called with the number of raw bytes compressed so
/// far.
///
/// # Errors
/// [`ArchiveError`]. No archive is left then.
pub fn archive_segment(
    directory: &Directory,
    segment: &Segment,
    next_link: &SegmentLink,
    level: i32,
    progress: &mut dyn FnMut(u64),
) -> Result<ArchivedSegment, ArchiveError> {
    let index = segment.header.index;
    let (name, archive) = (segment.name(), archive_name(index));
    let unfinished = format!("{archive}.{UNFINISHED_EXTENSION}");
    let path = directory.root().join(&unfinished);
    let made = make(directory, segment, &unfinished, level, progress)
        .and_then(|made| verify(directory, segment, &unfinished, &made, next_link).map(|()| made));
    let made = made.inspect_err(|_| {
        let _ = fs::remove_file(&path);
    })?;
    let finish = || {
        fs::set_permissions(&path, Permissions::from_mode(0o400))?;
        fs::rename(&path, directory.root().join(&archive))?;
        directory.sync()
    };
    finish().map_err(|source| TrailError::io(directory, &archive, "finish", source))?;
    debug_assert_eq!(segment_name(index), name);
    Ok(made)
}

/// Removes the raw file of a segment that [`archive_segment`] has archived. From then on the archive is the
/// segment.
///
/// # Errors
/// The error of the file system; [`io::ErrorKind::NotFound`] when there is no archive.
pub fn release_raw(directory: &Directory, index: u64) -> io::Result<()> {
    fs::metadata(directory.root().join(archive_name(index)))?;
    let raw = directory.root().join(segment_name(index));
    match release(&raw).and_then(|()| fs::remove_file(&raw)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => directory.sync(),
    }
}

/// Returns whether segment `index` exists only as an archive.
pub fn is_archived(directory: &Directory, index: u64) -> bool {
    let there = |name: String| directory.root().join(name).exists();
    there(archive_name(index)) && !there(segment_name(index))
}

fn make(
    directory: &Directory,
    segment: &Segment,
    unfinished: &str,
    level: i32,
    progress: &mut dyn FnMut(u64),
) -> Result<ArchivedSegment, ArchiveError> {
    let name = segment.name();
    let raw = directory.open(&name).map_err(|source| TrailError::io(directory, &name, "open", source))?;
    let mut packer = Packer::new(level).map_err(|source| TrailError::io(directory, &name, "pack", source))?;
    let mut write = || {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(directory.root().join(unfinished))?;
        packer.pack(raw.as_ref(), &file, progress)?;
        file.sync_all()?;
        // The bytes must be read back from the medium, not from the page cache.
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        Ok(())
    };
    write().map_err(|source| TrailError::io(directory, unfinished, "write", source))?;
    Ok(ArchivedSegment {
        index: segment.header.index,
        raw_bytes: packer.table.raw_length(),
        packed_bytes: packer.table.packed_length()
            + SeekTable::encoded_length(packer.table.spans().len()) as u64,
        sha256: packer.hash.finalize().into(),
    })
}

/// Compresses a raw file into an archive.
struct Packer {
    compressor: Compressor<'static>,
    table: SeekTable,
    hash: Sha256,
}

impl Packer {
    fn new(level: i32) -> io::Result<Self> {
        let mut compressor = Compressor::new(level)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Self { compressor, table: SeekTable::default(), hash: Sha256::new() })
    }

    fn pack(
        &mut self,
        raw: &dyn StoredFile,
        mut archive: impl Write,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<()> {
        let mut pages = Pages::zeroed(ARCHIVE_FRAME_LENGTH);
        let mut wanted = HEADER_BLOCK_LENGTH;
        loop {
            let count = raw.read_at(&mut pages[..wanted], self.table.raw_length())?;
            if count > 0 {
                let packed = self.compressor.compress(&pages[..count])?;
                archive.write_all(&packed)?;
                self.hash.update(&pages[..count]);
                self.table.push(packed.len(), count);
                progress(self.table.raw_length());
            }
            if count < wanted {
                break;
            }
            wanted = ARCHIVE_FRAME_LENGTH;
        }
        archive.write_all(&self.table.encode())
    }
}

fn verify(
    directory: &Directory,
    segment: &Segment,
    unfinished: &str,
    made: &ArchivedSegment,
    next_link: &SegmentLink,
) -> Result<(), ArchiveError> {
    let (name, archive) = (segment.name(), archive_name(segment.header.index));
    let differs =
        || ArchiveError::Differs { archive: directory.describe(&archive), file: directory.describe(&name) };
    let open = || {
        let packed = directory.open(unfinished)?;
        ArchiveFile::open(packed, directory.describe(unfinished))
    };
    let read = |source| TrailError::io(directory, unfinished, "read back", source);
    let mut file = open().map_err(read)?;
    if file.length().map_err(read)? != segment.file_length || made.raw_bytes != segment.file_length {
        return Err(differs());
    }
    if hash_of(&mut file).map_err(read)? != made.sha256 {
        return Err(differs());
    }
    check_frames(directory, segment, Box::new(file), next_link)
}

fn hash_of(file: &mut ArchiveFile) -> io::Result<[u8; 32]> {
    let mut pages = Pages::zeroed(ARCHIVE_FRAME_LENGTH);
    let (mut hash, mut offset) = (Sha256::new(), 0);
    loop {
        let wanted = if offset == 0 { HEADER_BLOCK_LENGTH } else { pages.len() };
        let count = file.read_at(&mut pages[..wanted], offset)?;
        hash.update(&pages[..count]);
        offset += count as u64;
        if count < wanted {
            return Ok(hash.finalize().into());
        }
    }
}

/// Checks every frame of the segment in `file` up to the file's end, and the link that the content gives.
fn check_frames(
    directory: &Directory,
    segment: &Segment,
    file: Box<dyn StoredFile>,
    next_link: &SegmentLink,
) -> Result<(), ArchiveError> {
    let name = segment.name();
    let examined = examine(file, segment, &mut |_| {});
    let examined = examined.map_err(|source| TrailError::io(directory, &name, "read", source))?;
    if let Some(fault) = examined.fault {
        let (file, offset) = (directory.describe(&name), examined.offset(segment));
        return Err(ArchiveError::Damaged { file, offset, fault });
    }
    let link = examined.link(segment);
    if link != *next_link {
        let hex = |link: &SegmentLink| link.iter().map(|byte| format!("{byte:02x}")).collect();
        let (expected, found) = (hex(&link), hex(next_link));
        return Err(ArchiveError::Link { file: directory.describe(&name), expected, found });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
