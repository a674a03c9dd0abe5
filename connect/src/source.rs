//! Bytes of a file as they are read, hashed on the way.

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

/// Bytes read from a compressed file at once.
const BUFFER_LENGTH: usize = 128 * 1024;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

type Reader = Box<dyn Read + Send>;
/// The first bytes, which were read to tell the compression, and the rest.
type Whole = io::Chain<Cursor<Vec<u8>>, Hashed<Reader>>;

/// A file's bytes, decompressed where they are compressed; how they are is told by how they begin.
pub(crate) enum Unpacked {
    Plain(Whole),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Whole>>>),
    Gzip(Box<MultiGzDecoder<BufReader<Whole>>>),
}

impl Unpacked {
    pub(crate) fn new(reader: Reader) -> io::Result<Self> {
        let mut hashed = Hashed::new(reader);
        let mut magic = [0; 4];
        let found = read_full(&mut hashed, &mut magic)?;
        let whole = Cursor::new(magic[..found].to_vec()).chain(hashed);
        if magic == ZSTD_MAGIC {
            let buffered = BufReader::with_capacity(BUFFER_LENGTH, whole);
            return Ok(Self::Zstd(Box::new(zstd::stream::read::Decoder::with_buffer(buffered)?)));
        }
        if magic.starts_with(&GZIP_MAGIC) {
            let buffered = BufReader::with_capacity(BUFFER_LENGTH, whole);
            return Ok(Self::Gzip(Box::new(MultiGzDecoder::new(buffered))));
        }
        Ok(Self::Plain(whole))
    }

    /// SHA-256 of the file as it lies there, once its end was read.
    pub(crate) fn hash(&self) -> Option<[u8; 32]> {
        let whole = match self {
            Self::Plain(whole) => whole,
            Self::Zstd(decoder) => decoder.get_ref().get_ref(),
            Self::Gzip(decoder) => decoder.get_ref().get_ref(),
        };
        whole.get_ref().1.hash()
    }
}

impl Read for Unpacked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(into),
            Self::Zstd(decoder) => decoder.read(into),
            Self::Gzip(decoder) => decoder.read(into),
        }
    }
}

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
