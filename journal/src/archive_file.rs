//! An archive, read as the raw file that it holds.

mod seek_table;

pub(crate) use seek_table::SeekTable;

use crate::bounds::{ARCHIVE_PACKED_LENGTH_MAX, PAGE_LENGTH};
use crate::pages::Pages;
use crate::storage::StoredFile;
use seek_table::{FOOT_LENGTH, Span};
use std::cell::RefCell;
use std::io;
use zstd::bulk::Decompressor;

/// The raw file in an archive. It holds one frame, compressed and raw, and the seek table in memory.
pub struct ArchiveFile {
    packed: Box<dyn StoredFile>,
    name: String,
    table: SeekTable,
    frame: RefCell<Frame>,
}

/// The frame that was read last.
struct Frame {
    index: Option<usize>,
    raw: Vec<u8>,
    window: Pages,
    decompressor: Decompressor<'static>,
}

impl ArchiveFile {
    /// Opens the archive `packed`. Messages call it `name`.
    ///
    /// # Errors
    /// The error of the medium; [`io::ErrorKind::InvalidData`], with the file and the offset, when the file
    /// is not an archive.
    pub fn open(packed: Box<dyn StoredFile>, name: String) -> io::Result<Self> {
        let length = packed.length()?;
        let damaged = |offset: u64, what: &str| damaged(&name, offset, what);
        let foot_offset = length.checked_sub(FOOT_LENGTH as u64);
        let foot_offset = foot_offset.ok_or_else(|| damaged(0, "it is shorter than a seek table"))?;
        let mut window = Pages::zeroed(2 * PAGE_LENGTH);
        let foot = read_window(packed.as_ref(), &mut window, foot_offset, FOOT_LENGTH)?;
        let foot =
            foot.and_then(|foot| foot.try_into().ok()).ok_or_else(|| damaged(foot_offset, "it is cut"))?;
        let count = SeekTable::count(foot).map_err(|what| damaged(foot_offset, what))?;
        let encoded_length = SeekTable::encoded_length(count);
        let packed_length = length.checked_sub(encoded_length as u64);
        let packed_length = packed_length
            .ok_or_else(|| damaged(foot_offset, "its seek table states more frames than fit the file"))?;
        let mut window = Pages::zeroed(encoded_length + 2 * PAGE_LENGTH);
        let bytes = read_window(packed.as_ref(), &mut window, packed_length, encoded_length)?;
        let bytes = bytes.ok_or_else(|| damaged(packed_length, "it is cut"))?;
        let table = SeekTable::decode(bytes, packed_length).map_err(|what| damaged(packed_length, what))?;
        let longest = table.spans().iter().map(|span| span.packed_length).max().unwrap_or(0);
        assert!(longest <= ARCHIVE_PACKED_LENGTH_MAX, "the table was checked");
        let frame = Frame {
            index: None,
            raw: Vec::new(),
            window: Pages::zeroed(longest + 2 * PAGE_LENGTH),
            decompressor: Decompressor::new()?,
        };
        Ok(Self { packed, name, table, frame: RefCell::new(frame) })
    }

    /// Returns the length of the archive itself in bytes.
    ///
    /// # Errors
    /// The error of the medium.
    pub fn packed_length(&self) -> io::Result<u64> {
        self.packed.length()
    }

    /// Decompresses frame `index` into `raw`, which has the length of the frame's content.
    fn unpack(
        &self,
        span: &Span,
        window: &mut Pages,
        decompressor: &mut Decompressor<'_>,
        raw: &mut [u8],
    ) -> io::Result<()> {
        let offset = span.packed_offset;
        let packed = read_window(self.packed.as_ref(), window, offset, span.packed_length)?;
        let packed = packed.ok_or_else(|| damaged(&self.name, offset, "it is cut"))?;
        // A frame with a wrong length must not decompress as two frames.
        let unpacked = match zstd::zstd_safe::find_frame_compressed_size(packed) {
            Ok(length) if length == packed.len() => decompressor.decompress_to_buffer(packed, raw),
            _ => Err(io::Error::other("no frame of the length that the seek table says")),
        };
        match unpacked {
            Ok(count) if count == raw.len() => Ok(()),
            Ok(count) => {
                let what = format!("the frame there gives {count} bytes, the seek table says {}", raw.len());
                Err(damaged(&self.name, offset, &what))
            }
            Err(error) => Err(damaged(&self.name, offset, &format!("the frame there is damaged ({error})"))),
        }
    }
}

impl StoredFile for ArchiveFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.table.raw_length())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut frame = self.frame.borrow_mut();
        let Frame { index, raw, window, decompressor } = &mut *frame;
        let mut done = 0;
        while done < buffer.len()
            && let Some(at) = self.table.find(offset + done as u64)
        {
            let span = self.table.spans()[at];
            let within = (offset + done as u64 - span.raw_offset) as usize;
            let rest = &mut buffer[done..];
            if within == 0 && rest.len() >= span.raw_length {
                self.unpack(&span, window, decompressor, &mut rest[..span.raw_length])?;
                done += span.raw_length;
                continue;
            }
            if *index != Some(at) {
                *index = None;
                raw.resize(span.raw_length, 0);
                self.unpack(&span, window, decompressor, raw)?;
                *index = Some(at);
            }
            let count = rest.len().min(span.raw_length - within);
            rest[..count].copy_from_slice(&raw[within..within + count]);
            done += count;
        }
        Ok(done)
    }
}

/// Reads `length` bytes of `file` at `offset` through whole pages of `window`; `None` when the file ends
/// before.
fn read_window<'a>(
    file: &dyn StoredFile,
    window: &'a mut Pages,
    offset: u64,
    length: usize,
) -> io::Result<Option<&'a [u8]>> {
    let skip = (offset % PAGE_LENGTH as u64) as usize;
    let pages = (skip + length).next_multiple_of(PAGE_LENGTH);
    let count = file.read_at(&mut window[..pages], offset - skip as u64)?;
    Ok(window[..count].get(skip..skip + length))
}

fn damaged(name: &str, offset: u64, what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the archive {name} is damaged at offset {offset}: {what}"),
    )
}
