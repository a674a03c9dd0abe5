//! How a scan reads whole files: each from its beginning to its end, every byte once, bypassing the page
//! cache.

use std::io;
use std::path::Path;

/// A way to read whole files. A scan has one [`BulkReader`] for each thread.
pub trait ReadMethod: Sync {
    /// The name of the method in reports.
    fn name(&self) -> &'static str;

    /// Creates a reader for the calling thread.
    ///
    /// # Errors
    /// Why this machine does not allow the method.
    fn reader(&self) -> io::Result<Box<dyn BulkReader>>;
}

/// Reads files one after another, on the thread that created it.
pub trait BulkReader {
    /// Passes the bytes of the file at `path` to `on_bytes`, in order, in pieces of any length.
    ///
    /// # Errors
    /// The error of the medium. The pieces passed before it are correct.
    fn read(&mut self, path: &Path, on_bytes: &mut dyn FnMut(&[u8])) -> io::Result<()>;
}
