//! The options of a journal.

use crate::bounds::{
    PAGE_LENGTH, SEGMENT_LENGTH_DEFAULT, SEGMENT_LENGTH_MAX, SEGMENT_LENGTH_MIN, SPARE_SEGMENTS_DEFAULT,
    SPARE_SEGMENTS_MAX,
};
use crate::engine::FlushMethod;
use sha2::{Digest, Sha256};
use stele_wire::units::{Epoch, Sequence, ShardId};

/// The engine that writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EngineChoice {
    /// io_uring where it and direct I/O are available, otherwise the plain engine.
    #[default]
    Auto,
    /// io_uring, or an error.
    Uring,
    /// `pwrite` and `fdatasync`.
    Plain,
}

/// How a trail is written.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// The shard that the trail belongs to.
    pub shard: ShardId,
    /// Data bytes of a segment: a multiple of 4096 between [`SEGMENT_LENGTH_MIN`] and [`SEGMENT_LENGTH_MAX`].
    pub segment_length: u64,
    /// The number of segments that the pool keeps ready, 1 to [`SPARE_SEGMENTS_MAX`].
    pub spare_segments: usize,
    /// The engine.
    pub engine: EngineChoice,
    /// How a write becomes durable (io_uring only).
    pub method: FlushMethod,
    /// Whether files may bypass the page cache.
    pub direct: bool,
    /// Whether the journal's thread yields its CPU while a flush is outstanding. Without yielding, a flush
    /// takes up to 4 ms on a CPU that also handles the disk's interrupt; on an isolated CPU yielding is not
    /// needed.
    pub yield_while_flushing: bool,
    /// The CPUs that the pool's thread may run on; empty for any. On a CPU with a thread that spins, it takes
    /// time from that thread in slices of milliseconds.
    pub background_cpus: Vec<usize>,
    /// Free bytes below which the pool warns; `None` for [`crate::free_space_warning_default`].
    pub free_space_warning: Option<u64>,
    /// SHA-256 of the schema, for the headers of the segments.
    pub schema: [u8; 32],
    /// The new epoch is later than this one, whatever the trail holds. A repair may have set aside epochs up
    /// to this one; their numbers must not be used again.
    pub later_than: Epoch,
    /// The last event that is known from elsewhere to have been durable, for example from a signed
    /// checkpoint. A log that ends before it was cut, and is not continued. 0 when nothing is known.
    pub known_durable: Sequence,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            shard: ShardId(0),
            segment_length: SEGMENT_LENGTH_DEFAULT,
            spare_segments: SPARE_SEGMENTS_DEFAULT,
            engine: EngineChoice::default(),
            method: FlushMethod::default(),
            direct: true,
            yield_while_flushing: true,
            background_cpus: Vec::new(),
            free_space_warning: None,
            schema: schema_hash(),
            later_than: Epoch(0),
            known_durable: Sequence(0),
        }
    }
}

impl JournalOptions {
    /// Returns what is wrong with the options, as a sentence for the person who chose them.
    pub(crate) fn check(&self) -> Result<(), String> {
        let lengths = SEGMENT_LENGTH_MIN..=SEGMENT_LENGTH_MAX;
        if !lengths.contains(&self.segment_length) || !self.segment_length.is_multiple_of(PAGE_LENGTH as u64)
        {
            return Err(format!(
                "segments of {} bytes: choose a multiple of {PAGE_LENGTH} between {SEGMENT_LENGTH_MIN} and \
                 {SEGMENT_LENGTH_MAX}",
                self.segment_length
            ));
        }
        if !(1..=SPARE_SEGMENTS_MAX).contains(&self.spare_segments) {
            return Err(format!("{} spare segments: choose 1 to {SPARE_SEGMENTS_MAX}", self.spare_segments));
        }
        Ok(())
    }
}

/// Returns SHA-256 of the schema of this build.
pub fn schema_hash() -> [u8; 32] {
    Sha256::digest(stele_wire::SCHEMA_TEXT.as_bytes()).into()
}
