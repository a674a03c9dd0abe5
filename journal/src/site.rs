//! Where a trail is opened for writing: a directory, or a simulated disk. [`crate::open`] knows the steps, a site
//! how each is done.

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

/// The first segment of an epoch, prepared and open, and where the next ones come from.
pub type PreparedSegments<F> = (SpareSegment<F>, Box<dyn SegmentPool<F>>);

/// The place of one trail, for its writer.
pub trait TrailSite {
    /// A segment file open for writing.
    type File;

    /// Creates the place if it is missing, durably.
    ///
    /// # Errors
    /// What the medium says.
    fn create(&self) -> io::Result<()>;

    /// Takes the writer's lock; none where there can be no second writer.
    ///
    /// # Errors
    /// [`LockError`].
    fn lock(&self, now: Nanos) -> Result<Option<WriterLock>, LockError>;

    /// The files there.
    fn storage(&self) -> Arc<dyn Storage>;

    /// An identity for a new trail, unlike any other.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    fn draw_identity(&self) -> io::Result<TrailId>;

    /// How files there can be written.
    ///
    /// # Errors
    /// What the medium says when it lets no file be written at all.
    fn probe(&self, allow_direct: bool) -> io::Result<MediumProperties>;

    /// Prepares segments from index `next` on, of the length and in the number that the options say, and waits
    /// for the first.
    ///
    /// # Errors
    /// Why there will be none.
    fn prepare(
        &self,
        medium: MediumProperties,
        options: &JournalOptions,
        next: u64,
    ) -> io::Result<PreparedSegments<Self::File>>;

    /// Writes the header block of a segment, durably.
    ///
    /// # Errors
    /// What the medium says.
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
