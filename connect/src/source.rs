//! The bytes of a file: read, hashed and decompressed.

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

/// Bytes read from a compressed file at once.
const BUFFER_LENGTH: usize = 128 * 1024;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

/// The first bytes, which were read to find the compression, and the rest.
type Whole = io::Chain<Cursor<Vec<u8>>, Hashed<Box<dyn Read + Send>>>;

/// The bytes of a file, decompressed where its first bytes are those of gzip or zstd.
pub struct Unpacked(Decoder);

enum Decoder {
    Plain(Whole),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Whole>>>),
    Gzip(Box<MultiGzDecoder<BufReader<Whole>>>),
}

impl Unpacked {
    /// Reads the first bytes of `reader` and prepares to decompress the rest.
    ///
    /// # Errors
    /// Those of `reader` and of the decoder.
    pub fn new(reader: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut hashed = Hashed::new(reader);
        let mut magic = [0; 4];
        let found = read_full(&mut hashed, &mut magic)?;
        let whole = Cursor::new(magic[..found].to_vec()).chain(hashed);
        let buffered = |whole| BufReader::with_capacity(BUFFER_LENGTH, whole);
        Ok(Self(if magic == ZSTD_MAGIC {
            Decoder::Zstd(Box::new(zstd::stream::read::Decoder::with_buffer(buffered(whole))?))
        } else if magic.starts_with(&GZIP_MAGIC) {
            Decoder::Gzip(Box::new(MultiGzDecoder::new(buffered(whole))))
        } else {
            Decoder::Plain(whole)
        }))
    }

    /// The name of the file's compression, if it has one.
    pub fn compression(&self) -> Option<&'static str> {
        match &self.0 {
            Decoder::Plain(_) => None,
            Decoder::Zstd(_) => Some("zstd"),
            Decoder::Gzip(_) => Some("gzip"),
        }
    }

    /// SHA-256 of the file as stored, before decompression, once its end was read.
    pub fn hash(&self) -> Option<[u8; 32]> {
        let whole = match &self.0 {
            Decoder::Plain(whole) => whole,
            Decoder::Zstd(decoder) => decoder.get_ref().get_ref(),
            Decoder::Gzip(decoder) => decoder.get_ref().get_ref(),
        };
        whole.get_ref().1.hash()
    }
}

impl Read for Unpacked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Decoder::Plain(reader) => reader.read(into),
            Decoder::Zstd(decoder) => decoder.read(into),
            Decoder::Gzip(decoder) => decoder.read(into),
        }
    }
}

/// Passes bytes on and hashes them, so that the SHA-256 of a file needs no second reading.
struct Hashed<R> {
    inner: R,
    hasher: Sha256,
    has_ended: bool,
}

impl<R: Read> Hashed<R> {
    fn new(inner: R) -> Self {
        Self { inner, hasher: Sha256::new(), has_ended: false }
    }

    /// The hash, once the end was read.
    fn hash(&self) -> Option<[u8; 32]> {
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
/// Those of the operating system, and one for a directory.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory, not a file"));
    }
    Ok(file)
}

/// Reads until `into` is full or the source ends. Returns the number of bytes read.
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
