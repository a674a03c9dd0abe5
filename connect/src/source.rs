//! Bytes of a file as they are read, hashed on the way.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Passes bytes through and hashes them: SHA-256 of a file for the price of reading it once.
pub(crate) struct Hashed<R> {
    inner: R,
    hasher: Sha256,
    has_ended: bool,
}

impl<R: Read> Hashed<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, hasher: Sha256::new(), has_ended: false }
    }

    /// The hash, once the end was read.
    pub(crate) fn hash(&self) -> Option<[u8; 32]> {
        self.has_ended.then(|| self.hasher.clone().finalize().into())
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hasher.update(&into[..read]);
        self.has_ended |= read == 0 && !into.is_empty();
        Ok(read)
    }
}

/// Opens a file to read.
///
/// # Errors
/// The operating system's, and one for a directory.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory, not a file"));
    }
    Ok(file)
}

/// Reads until `into` is full or the source ends; gives back how much was read.
pub(crate) fn read_full(source: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match source.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
