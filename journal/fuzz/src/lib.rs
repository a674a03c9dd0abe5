//! Turns the input of a fuzz target into files. The properties are those of the property tests, by the same
//! code.

#[path = "../../tests/any_bytes/bodies.rs"]
pub mod bodies;

use tempfile::TempDir;

/// An input that is consumed from its beginning.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Creates an input of all `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Returns the next byte, 0 after the end.
    pub fn byte(&mut self) -> u8 {
        let [byte] = self.chunk();
        byte
    }

    /// Returns the next 8 bytes as a number.
    pub fn word(&mut self) -> u64 {
        u64::from_le_bytes(self.chunk())
    }

    /// Returns a piece whose length is in the next two bytes, at most the rest.
    pub fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(u16::from_le_bytes(self.chunk()));
        let (piece, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        piece
    }

    /// Returns the rest.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Returns a piece of data; what looks like frames is made into valid frames.
    pub fn data(&mut self) -> Vec<u8> {
        let spared = self.word();
        let mut data = self.piece().to_vec();
        bodies::seal_frames(&mut data, spared);
        data
    }

    fn chunk<const N: usize>(&mut self) -> [u8; N] {
        let mut chunk = [0; N];
        let (taken, rest) = self.0.split_at(N.min(self.0.len()));
        chunk[..taken.len()].copy_from_slice(taken);
        self.0 = rest;
        chunk
    }
}

/// Returns `valid` combined with `change` by exclusive or; longer if `change` is.
pub fn overlaid(mut valid: Vec<u8>, change: &[u8]) -> Vec<u8> {
    valid.resize(valid.len().max(change.len()), 0);
    valid.iter_mut().zip(change).for_each(|(byte, change)| *byte ^= change);
    valid
}

/// Returns `valid` with single bytes changed: each three bytes of `changes` are an offset, from the end if it
/// is negative, and the value that is combined with the byte there by exclusive or.
pub fn patched(mut valid: Vec<u8>, changes: &[u8]) -> Vec<u8> {
    for &[low, high, change] in changes.as_chunks().0 {
        let at = i64::from(i16::from_le_bytes([low, high])).rem_euclid(valid.len() as i64) as usize;
        valid[at] ^= change;
    }
    valid
}

/// Returns an archive of `raw` in frames of at most `frame_length` bytes, with the header block in a frame of
/// its own.
pub fn packed(raw: &[u8], frame_length: usize) -> Vec<u8> {
    let (header, data) = raw.split_at(raw.len().min(4096));
    let (mut archive, mut entries) = (Vec::new(), Vec::new());
    let frames: Vec<&[u8]> = std::iter::once(header).chain(data.chunks(frame_length)).collect();
    for frame in &frames {
        let packed = zstd::bulk::compress(frame, 1).expect("memory for some kilobytes");
        entries.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        entries.extend_from_slice(&(frame.len() as u32).to_le_bytes());
        archive.extend_from_slice(&packed);
    }
    archive.extend_from_slice(&0x184D_2A5E_u32.to_le_bytes());
    archive.extend_from_slice(&(entries.len() as u32 + 9).to_le_bytes());
    archive.extend_from_slice(&entries);
    archive.extend_from_slice(&(frames.len() as u32).to_le_bytes());
    archive.push(0);
    archive.extend_from_slice(&0x8F92_EAB1_u32.to_le_bytes());
    archive
}

/// Creates an empty folder that is removed when the value is dropped.
pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for temporary files")
}
