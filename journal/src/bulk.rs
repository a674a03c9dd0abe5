//! How a scan reads whole files: each from front to back, every byte once, past the page cache.

use std::io;
use std::path::Path;

/// A way of reading whole files. A scan has one [`BulkReader`] a thread.
pub trait ReadMethod: Sync {
    /// What reports call it.
    fn name(&self) -> &'static str;

    /// A reader for the thread that calls this.
    ///
    /// # Errors
    /// Why this machine does not allow the method.
    fn reader(&self) -> io::Result<Box<dyn BulkReader>>;
}

/// Reads files one after another on the thread that made it.
pub trait BulkReader {
    /// Gives the bytes of the file at `path` to `on_bytes`, in order, in pieces of any length.
    ///
    /// # Errors
    /// What the medium says. Pieces that were given by then are right.
    fn read(&mut self, path: &Path, on_bytes: &mut dyn FnMut(&[u8])) -> io::Result<()>;
}
