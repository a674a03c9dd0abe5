//! Lines of a text file, with their numbers and places: what the readers of CSV and JSON lines share.

use crate::source::{self, Unpacked};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Bytes of a line at most, its end included. Binance's largest snapshot, 5,000 levels a side, has some 300 KiB.
pub(crate) const LINE_LENGTH_MAX: usize = 4 * 1024 * 1024;

/// Bytes read and decompressed at once.
const BUFFER_LENGTH: usize = 128 * 1024;

/// What is wrong with a text file as such.
#[derive(Debug, thiserror::Error)]
pub enum LineFault {
    /// The file cannot be read or decompressed.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file ends without the end of a line: what is there may be half a number.
    #[error("the file ends inside line {line}: {found} bytes of it are there, and no line end")]
    Truncated {
        /// Number of the line, from 1.
        line: u64,
        /// Bytes there.
        found: usize,
    },
    /// No text file has such lines.
    #[error("line {line} is longer than the {LINE_LENGTH_MAX} bytes allowed")]
    TooLong {
        /// Number of the line, from 1.
        line: u64,
    },
}

impl LineFault {
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => "check the path",
            Self::Io(_) => "what came before is on the log; check the file, or get a whole copy for the rest",
            Self::Truncated { .. } => {
                "what came before is on the log; get a whole copy of the file, or end its last line if that is all"
            }
            Self::TooLong { .. } => "what came before is on the log; check that this is a text file",
        }
    }
}

/// Reads a file line by line; gzip and zstd are decompressed. Allocates for its longest line only.
pub(crate) struct Lines {
    input: BufReader<Unpacked>,
    line: Vec<u8>,
    number: u64,
    start: u64,
    next: u64,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::new(Box::new(source::open(path)?))
    }

    pub(crate) fn new(reader: Box<dyn Read + Send>) -> io::Result<Self> {
        let input = BufReader::with_capacity(BUFFER_LENGTH, Unpacked::new(reader)?);
        Ok(Self { input, line: Vec::with_capacity(BUFFER_LENGTH), number: 0, start: 0, next: 0 })
    }

    /// Reads the next line that is not blank; false at the end.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<bool, LineFault> {
        loop {
            self.line.clear();
            (self.number, self.start) = (self.number + 1, self.next);
            let found = (&mut self.input).take(LINE_LENGTH_MAX as u64).read_until(b'\n', &mut self.line)?;
            self.next += found as u64;
            match self.line.last() {
                None => return Ok(false),
                Some(b'\n') if self.current().is_empty() => {}
                Some(b'\n') => return Ok(true),
                Some(_) if found == LINE_LENGTH_MAX => return Err(LineFault::TooLong { line: self.number }),
                Some(_) => return Err(LineFault::Truncated { line: self.number, found }),
            }
        }
    }

    /// The line read last, blanks and line end at both ends dropped.
    #[inline]
    pub(crate) fn current(&self) -> &[u8] {
        self.line.trim_ascii()
    }

    /// Its number in the file, from 1.
    #[inline]
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Its first byte's place in the file as it is after decompression.
    pub(crate) fn offset(&self) -> u64 {
        self.start
    }

    /// SHA-256 of the file, once its end was read.
    pub(crate) fn hash(&self) -> Option<[u8; 32]> {
        self.input.get_ref().hash()
    }
}

/// What a person is shown of a field or line that is wrong.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const SHOWN: usize = 40;
    let shown = bytes[..bytes.len().min(SHOWN)].escape_ascii();
    format!("{shown}{}", if bytes.len() > SHOWN { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write};

    fn lines(bytes: Vec<u8>) -> (Vec<(u64, u64, String)>, Option<LineFault>) {
        let mut lines = Lines::new(Box::new(Cursor::new(bytes))).unwrap();
        let mut read = Vec::new();
        loop {
            match lines.advance() {
                Ok(true) => {
                    let line = String::from_utf8(lines.current().to_vec()).unwrap();
                    read.push((lines.number(), lines.offset(), line));
                }
                Ok(false) => return (read, None),
                Err(fault) => return (read, Some(fault)),
            }
        }
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_line_is_told_with_its_number_and_place_compressed_or_not() {
        let text = b"one\r\n\n  two \nthree\n".to_vec();
        let expected =
            [(1, 0, "one"), (3, 6, "two"), (4, 13, "three")].map(|(n, at, line)| (n, at, line.to_owned()));
        let two_members = [gzip(b"one\r\n\n  t"), gzip(b"wo \nthree\n")].concat();
        for packed in [text.clone(), gzip(&text), two_members, zstd::encode_all(&text[..], 3).unwrap()] {
            let (read, fault) = lines(packed);
            assert!(fault.is_none(), "{fault:?}");
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn a_last_line_without_an_end_is_never_taken() {
        let (read, fault) = lines(b"1,2\n3,4".to_vec());
        assert_eq!(read.len(), 1);
        let said = fault.unwrap().to_string();
        assert!(said.contains("inside line 2: 3 bytes"), "{said}");
    }

    #[test]
    fn a_compressed_file_cut_anywhere_gives_what_came_before_and_an_error() {
        let text: Vec<u8> = (0..20_000).flat_map(|n| format!("{}\n", n * 7919).into_bytes()).collect();
        for whole in [gzip(&text), zstd::encode_all(&text[..], 3).unwrap()] {
            for part in 1..10 {
                let (read, fault) = lines(whole[..whole.len() * part / 10].to_vec());
                assert!(fault.is_some(), "{part} tenths");
                assert!(read.iter().zip(0u64..).all(|((_, _, line), n)| *line == (n * 7919).to_string()));
            }
            assert!(
                lines(whole[..whole.len() * 9 / 10].to_vec()).0.len() > 1_000,
                "what came before is kept"
            );
        }
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let (read, fault) = lines(vec![b'x'; LINE_LENGTH_MAX + 10]);
        assert!(read.is_empty() && matches!(fault, Some(LineFault::TooLong { line: 1 })));
    }
}
