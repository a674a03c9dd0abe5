//! Where the files of a trail live: a directory, or a simulated disk.
//!
//! Everything that is not the hot write path (recovery, the reader, closing) goes through [`Storage`]; the hot
//! path goes through [`crate::engine::Engine`]. Both are traits so that a test can stand in for the medium.

use crate::bounds::PAGE_LENGTH;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Folder within a trail for what recovery cut off.
pub const CUT_FOLDER: &str = "cut";

/// The files of one trail. Names are relative to it.
///
/// A segment that is archived is a file like any other under the segment's own name: [`Storage::list`] gives that
/// name, [`Storage::open`] gives the raw bytes, [`Storage::remove`] removes it. Where both are there, the raw file
/// counts.
pub trait Storage: Send + Sync {
    /// Names of the files directly in the trail, in any order.
    ///
    /// # Errors
    /// What the medium says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// What the medium says; [`io::ErrorKind::NotFound`] when there is no such file.
    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>>;

    /// Writes a new file that holds all of `source`; it appears whole and durable, or not at all. A file of
    /// that name is replaced.
    ///
    /// # Errors
    /// What the medium or `source` says.
    fn keep(&self, name: &str, source: &mut dyn io::Read) -> io::Result<()>;

    /// Cuts a file to `length` bytes, durably, and makes it read-only. An archived segment is so already.
    ///
    /// # Errors
    /// What the medium says; [`io::ErrorKind::InvalidInput`] when an archived segment has another length.
    fn close(&self, name: &str, length: u64) -> io::Result<()>;

    /// Removes a file, durably.
    ///
    /// # Errors
    /// What the medium says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// What to call the file in messages.
    fn describe(&self, name: &str) -> String {
        name.to_owned()
    }

    /// The file system path of a file, where there is one: none for an archived segment.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let _ = name;
        None
    }
}

/// A file open for reading.
pub trait StoredFile: Send {
    /// Bytes in the file.
    ///
    /// # Errors
    /// What the medium says.
    fn length(&self) -> io::Result<u64>;

    /// Reads at `offset`, both it and the length of `buffer` multiples of 4096, the memory aligned likewise.
    /// Fewer bytes than asked for means that the file ends there.
    ///
    /// # Errors
    /// What the medium says.
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
                // A direct read ends off a page only where the file ends.
                Ok(count) if !count.is_multiple_of(PAGE_LENGTH) => return Ok(done + count),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}
