//! The lines of a text file, with their numbers and offsets: the reader of CSV and of JSON lines.

use crate::file::{FormatFault, RecordReader, Unpacked};
use std::io::{self, BufRead, BufReader, Read};

/// The greatest length of a line in bytes, with its end. Binance's largest snapshot, 5,000 levels a side, has
/// about 300 KiB.
pub(crate) const LINE_LENGTH_MAX: usize = 4 * 1024 * 1024;

/// Bytes read and decompressed at once.
const BUFFER_LENGTH: usize = 128 * 1024;

/// Why the lines of a text file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LineFault {
    /// The file cannot be read or decompressed.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file ends without a line end, so its last number may be cut.
    #[error("the file ends inside line {line}: {found} bytes of it are there, without a line end")]
    Truncated {
        /// Number of the line, from 1.
        line: u64,
        /// Bytes of the line that are there.
        found: usize,
    },
    /// A line longer than that of any text file that is supported.
    #[error("line {line} is longer than the {LINE_LENGTH_MAX} bytes allowed")]
    TooLong {
        /// Number of the line, from 1.
        line: u64,
    },
}

impl FormatFault for LineFault {
    fn advice(&self) -> &'static str {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => "check the path",
            Self::Io(_) => {
                "what came before is on the log; check the file, or get a complete copy for the rest"
            }
            Self::Truncated { .. } => {
                "what came before is on the log; get a complete copy of the file, or add the line end if only that is missing"
            }
            Self::TooLong { .. } => "what came before is on the log; check that this is a text file",
        }
    }
}

/// Reads a file line by line, and skips blank lines. Allocates only for its longest line.
pub struct Lines {
    input: BufReader<Unpacked>,
    line: Vec<u8>,
    number: u64,
    start: u64,
    next: u64,
}

impl Lines {
    /// The current line, without the white space at both ends.
    #[inline]
    pub fn current(&self) -> &[u8] {
        self.line.trim_ascii()
    }

    /// The number of the current line in the file, from 1.
    #[inline]
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl RecordReader for Lines {
    type Fault = LineFault;

    fn new(input: Unpacked) -> Result<Self, LineFault> {
        let input = BufReader::with_capacity(BUFFER_LENGTH, input);
        Ok(Self { input, line: Vec::with_capacity(BUFFER_LENGTH), number: 0, start: 0, next: 0 })
    }

    #[inline]
    fn advance(&mut self) -> Result<bool, LineFault> {
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

    fn offset(&self) -> u64 {
        self.start
    }

    fn input(&self) -> &Unpacked {
        self.input.get_ref()
    }
}

/// The beginning of a wrong field or line, for a message.
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
        let mut lines = Lines::new(Unpacked::new(Box::new(Cursor::new(bytes))).unwrap()).unwrap();
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
    fn a_line_comes_with_its_number_and_offset_compressed_or_not() {
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
    fn a_compressed_file_that_is_cut_gives_the_lines_before_and_an_error() {
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
