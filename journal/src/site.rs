//! The place where a trail is opened for writing: a directory, or a simulated disk. [`crate::open`] has the
//! steps; a site implements each of them.

use crate::bounds::HEADER_BLOCK_LENGTH;
use crate::directory::Directory;
use crate::format::HeaderBlock;
use crate::lock::{LockError, WriterLock};
use crate::options::JournalOptions;
use crate::pages::Pages;
use crate::pool::{FilePool, MediumProperties, PoolOptions, SegmentPool, SpareSegment};
use crate::space::free_space_warning_default;
use crate::storage::Storage;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use stele_wire::units::{Nanos, TrailId};
use zerocopy::IntoBytes;

/// The first segment of an epoch, prepared and open, and the source of the next ones.
pub type PreparedSegments<F> = (SpareSegment<F>, Box<dyn SegmentPool<F>>);

/// The place of one trail, as its writer uses it.
pub trait TrailSite {
    /// A segment file open for writing.
    type File;

    /// Creates the place durably if it does not exist.
    ///
    /// # Errors
    /// The error of the medium.
    fn create(&self) -> io::Result<()>;

    /// Takes the writer's lock; `None` where a second writer is impossible.
    ///
    /// # Errors
    /// [`LockError`].
    fn lock(&self, now: Nanos) -> Result<Option<WriterLock>, LockError>;

    /// Returns access to the files.
    fn storage(&self) -> Arc<dyn Storage>;

    /// Draws a unique identity for a new trail.
    ///
    /// # Errors
    /// When no random bytes are available.
    fn draw_identity(&self) -> io::Result<TrailId>;

    /// Determines how files in this place can be written.
    ///
    /// # Errors
    /// The error of the medium when no file can be written at all.
    fn probe(&self, allow_direct: bool) -> io::Result<MediumProperties>;

    /// Starts preparing segments from index `next` on, in the length and number that the options state, and
    /// waits for the first.
    ///
    /// # Errors
    /// Why no segment will come.
    fn prepare(
        &self,
        medium: MediumProperties,
        options: &JournalOptions,
        next: u64,
    ) -> io::Result<PreparedSegments<Self::File>>;

    /// Writes the header block of a segment, durably.
    ///
    /// # Errors
    /// The error of the medium.
    fn write_header(&self, file: &Self::File, block: &HeaderBlock) -> io::Result<()>;
}

impl TrailSite for Directory {
    type File = File;

    fn create(&self) -> io::Result<()> {
        Self::create(self)
    }

    fn lock(&self, now: Nanos) -> Result<Option<WriterLock>, LockError> {
        WriterLock::take(self.root(), now).map(Some)
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.clone())
    }

    fn draw_identity(&self) -> io::Result<TrailId> {
        let mut id = [0; 16];
        let mut filled = 0;
        while filled < id.len() {
            filled += rustix::rand::getrandom(&mut id[filled..], rustix::rand::GetRandomFlags::empty())?;
        }
        Ok(TrailId(id))
    }

    fn probe(&self, allow_direct: bool) -> io::Result<MediumProperties> {
        MediumProperties::probe(self, allow_direct)
    }

    fn prepare(
        &self,
        medium: MediumProperties,
        options: &JournalOptions,
        next: u64,
    ) -> io::Result<PreparedSegments<File>> {
        let free_space_warning =
            options.free_space_warning.unwrap_or_else(|| free_space_warning_default(options.segment_length));
        let mut pool = FilePool::start(
            self,
            PoolOptions {
                direct: medium.direct,
                segment_length: options.segment_length,
                count: options.spare_segments,
                next,
                cpus: options.background_cpus.clone(),
                free_space_warning,
            },
        )?;
        let first = pool.wait()?;
        Ok((first, Box::new(pool)))
    }

    fn write_header(&self, file: &File, block: &HeaderBlock) -> io::Result<()> {
        let mut pages = Pages::zeroed(HEADER_BLOCK_LENGTH);
        pages.copy_from_slice(block.as_bytes());
        file.write_all_at(&pages, 0)?;
        file.sync_all()
    }
}
