//! The files of a trail: in a directory, or on a simulated disk.
//!
//! Everything except the hot write path (recovery, readers, closing) uses [`Storage`]; the hot path uses
//! [`crate::engine::Engine`]. Both are traits, so that tests can simulate the medium.

use crate::bounds::PAGE_LENGTH;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Folder within a trail for the bytes that recovery cut off.
pub const CUT_FOLDER: &str = "cut";

/// The files of one trail. Names are relative to it.
///
/// An archived segment is a file like any other under the segment's own name: [`Storage::list`] lists that
/// name, [`Storage::open`] opens the raw bytes, [`Storage::remove`] removes it. If both files exist, the raw
/// file is used.
/// counts.
pub trait Storage: Send + Sync {
    /// Lists the names of the files directly in the trail, in any order.
    ///
    /// # Errors
    /// The error of the medium.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// The error of the medium; [`io::ErrorKind::NotFound`] when the file does not exist.
    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>>;

    /// Writes a new file that holds all of `source`. It appears complete and durable, or not at all. A file
    /// with that name is replaced.
    ///
    /// # Errors
    /// The error of the medium or of `source`.
    fn keep(&self, name: &str, source: &mut dyn io::Read) -> io::Result<()>;

    /// Cuts a file to `length` bytes, durably, and makes it read-only. For an archived segment this was done
    /// already.
    ///
    /// # Errors
    /// The error of the medium; [`io::ErrorKind::InvalidInput`] when an archived segment has another length.
    fn close(&self, name: &str, length: u64) -> io::Result<()>;

    /// Removes a file, durably.
    ///
    /// # Errors
    /// The error of the medium.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns the name of the file for messages.
    fn describe(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Returns the file system path of a file; `None` when it has none, as an archived segment.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let _ = name;
        None
    }
}

/// A file open for reading.
pub trait StoredFile: Send {
    /// Returns the length of the file in bytes.
    ///
    /// # Errors
    /// The error of the medium.
    fn length(&self) -> io::Result<u64>;

    /// Reads at `offset`. The offset, the length of `buffer` and the address of its memory must be multiples
    /// of 4096. Returns the number of bytes read, which is less than the length of `buffer` only at the
    /// file's end.
    ///
    /// # Errors
    /// The error of the medium.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl StoredFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match FileExt::read_at(self, &mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                // A direct read ends off a page boundary only at the file's end.
                Ok(count) if !count.is_multiple_of(PAGE_LENGTH) => return Ok(done + count),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}
