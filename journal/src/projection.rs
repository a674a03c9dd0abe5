//! A projection: a state of the user's own that follows from the events of a trail, with a snapshot to start
//! from again.
//!
//! ```text
//! snapshot file ──> state ──┐
//!                           v
//! trail ── later events ── on_event … ──> state ──> snapshot file
//! ```
//!
//! A snapshot is one file, in the container of [`crate::snapshot`]. It names the trail, the segment and the
//! event that the state follows from, and the link that the next segment would carry if the log ended there.
//! Opening a projection reads that segment up to there and compares the link, so that a state of another
//! trail, or of events that a crash rolled back, is never continued. A snapshot that does not fit is ignored,
//! and the whole trail is read.

use crate::Directory;
use crate::error::TrailError;
use crate::format::{RunningCrc, link_after};
use crate::reader::TrailReader;
use crate::snapshot::{
    Snapshot, SnapshotDigest, SnapshotError, SnapshotOrigin, SnapshotSection, decode, encode, read_up_to,
};
use crate::storage::Storage;
use crate::trail::Segment;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stele_bus::Event;
use stele_wire::units::{Position, Sequence};

/// A state that follows from the log: the same events give the same state. Its events come from a
/// [`TrailProjection`], or from any consumer of a bus.
pub trait Projection: Sized {
    /// The name of the projection in a snapshot, at most 32 bytes.
    const NAME: &'static str;
    /// Version of the state's layout: a snapshot of another version is not loaded.
    const VERSION: u32;

    /// Updates the state with the event.
    fn on_event(&mut self, event: &Event<'_>);

    /// Appends the whole state to `state`.
    fn save(&self, state: &mut Vec<u8>);

    /// Returns this projection with the state that [`Projection::save`] wrote; `None` when the bytes are not
    /// such a state.
    fn restore(&self, state: &[u8]) -> Option<Self>;
}

/// Why a projection has no state, or cannot save it.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The trail cannot be read.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// The snapshot cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// The error of the file system.
        source: std::io::Error,
    },
    /// The trail's first segments have expired, and no snapshot replaces them.
    #[error(
        "the trail begins at segment {segment} (sequence {first}), what was before has expired, and there is no \
         snapshot that replaces it{}: restore one, or the expired segments, from a copy",
        refused.as_ref().map(|why| format!(" ({why})")).unwrap_or_default()
    )]
    NoBeginning {
        /// The first existing segment.
        segment: u64,
        /// Its first event.
        first: Sequence,
        /// Why the existing snapshot cannot be used.
        refused: Option<String>,
    },
}

/// A projection over one trail, up to the event that was read last.
///
/// ```
/// use stele_bus::Event;
/// use stele_journal::projection::{TrailProjection, Projection};
///
/// /// How many events there are.
/// #[derive(Default)]
/// struct Count(u64);
///
/// impl Projection for Count {
///     const NAME: &'static str = "count";
///     const VERSION: u32 = 1;
///
///     fn on_event(&mut self, _: &Event<'_>) {
///         self.0 += 1;
///     }
///
///     fn save(&self, state: &mut Vec<u8>) {
///         state.extend_from_slice(&self.0.to_le_bytes());
///     }
///
///     fn restore(&self, state: &[u8]) -> Option<Self> {
///         state.try_into().ok().map(|bytes| Self(u64::from_le_bytes(bytes)))
///     }
/// }
///
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/trail.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let trail = folder.path();
/// # write_trades(trail, 100);
/// # let file = folder.path().join("count.snapshot");
/// let mut count = TrailProjection::open(trail, &file, Count::default())?;
/// let events = count.catch_up()?;
/// assert_eq!(count.state().0, events);
/// count.save()?;
///
/// let mut again = TrailProjection::open(trail, &file, Count::default())?;
/// assert_eq!((again.state().0, again.catch_up()?), (events, 0), "it continues from the snapshot");
/// # Ok(()) }
/// ```
pub struct TrailProjection<P> {
    reader: TrailReader,
    state: P,
    snapshot: PathBuf,
    refused: Option<String>,
    /// CRC of the data of the last frame's segment, up to that frame.
    data_crc: RunningCrc,
    /// The segment of the last frame, and the position after that frame; `None` before the first.
    last: Option<(u64, Position)>,
}

impl<P: Projection> TrailProjection<P> {
    /// Opens the trail in `trail` and restores the projection from the snapshot in the file `snapshot`. If no
    /// snapshot fits, it starts at the trail's beginning with `initial` as its state.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn open(trail: &Path, snapshot: &Path, initial: P) -> Result<Self, ProjectionError> {
        let storage: Arc<dyn Storage> = Arc::new(Directory::new(trail));
        let mut reader = TrailReader::over(storage.clone())?;
        let (data_crc, snapshot) = (RunningCrc::default(), snapshot.to_owned());
        let refused = match load(storage.as_ref(), reader.segments(), &snapshot, &initial) {
            Ok(Some((state, origin, data_crc))) => {
                reader.seek_position(origin.end)?;
                let last = Some((origin.segment, origin.end));
                return Ok(Self { reader, state, snapshot, refused: None, data_crc, last });
            }
            Ok(None) => None,
            Err(refused) => Some(refused),
        };
        let first = reader.segments()[0].header;
        if first.index > 1 {
            let (segment, first) = (first.index, first.base_sequence);
            return Err(ProjectionError::NoBeginning { segment, first, refused });
        }
        Ok(Self { reader, state: initial, snapshot, refused, data_crc, last: None })
    }

    /// Returns the state after the last event that was read.
    pub fn state(&self) -> &P {
        &self.state
    }

    /// Returns the last event that was read; 0 before the first.
    pub fn last_sequence(&self) -> Sequence {
        self.reader.last_sequence()
    }

    /// Returns why the existing snapshot was not used; `None` when it was used, or there is none.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// Reads every event that is there now. Returns how many. Call it again to follow a trail that is being
    /// written.
    ///
    /// # Errors
    /// [`TrailError`].
    pub fn catch_up(&mut self) -> Result<u64, TrailError> {
        let mut count = 0;
        while let Some(entry) = self.reader.read_next_frame()? {
            if self.last.is_none_or(|(segment, _)| segment != entry.segment) {
                self.data_crc = RunningCrc::default();
            }
            self.data_crc.update(entry.frame.bytes());
            self.last = Some((entry.segment, entry.position.plus(entry.frame.len() as u64)));
            if !entry.frame.is_padding() {
                self.state.on_event(&Event::new(entry.frame, entry.position));
                count += 1;
            }
        }
        Ok(count)
    }

    /// Writes the snapshot, durably. It replaces the previous one completely or not at all. Returns `None`
    /// when no event has been read yet.
    ///
    /// # Errors
    /// [`ProjectionError::Write`].
    ///
    /// # Panics
    /// When [`Projection::NAME`] is longer than 32 bytes.
    pub fn save(&self) -> Result<Option<SnapshotDigest>, ProjectionError> {
        let Some(origin) = self.origin() else { return Ok(None) };
        let mut body = Vec::new();
        self.state.save(&mut body);
        let section = SnapshotSection { name: P::NAME, version: P::VERSION, body };
        let bytes = encode(&origin, env!("CARGO_PKG_VERSION"), &[section]);
        let write = |source| ProjectionError::Write { path: self.snapshot.display().to_string(), source };
        let (folder, name) = folder_and_name(&self.snapshot).map_err(write)?;
        Directory::new(folder).keep(name, &mut &bytes[..]).map_err(write)?;
        Ok(Some(SnapshotDigest::of(&bytes)))
    }

    /// Returns what the state follows from.
    fn origin(&self) -> Option<SnapshotOrigin> {
        let (index, end) = self.last?;
        let segment = self.reader.segments().iter().find(|segment| segment.header.index == index);
        let segment = segment.expect("the reader has read from it");
        let last_sequence = self.last_sequence();
        Some(SnapshotOrigin {
            identity: segment.header.identity,
            segment: index,
            end,
            last_sequence,
            last_timestamp: self.reader.last_timestamp(),
            link: link_after(&segment.header_block(), end, last_sequence, self.data_crc.value()),
        })
    }
}

fn folder_and_name(path: &Path) -> std::io::Result<(&Path, &str)> {
    let no_name = || std::io::Error::new(std::io::ErrorKind::InvalidInput, "it has no file name in UTF-8");
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(no_name)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder, name))
}

type Loaded<P> = (P, SnapshotOrigin, RunningCrc);

/// Loads the state from the snapshot file, if there is one, with its origin and the CRC of its segment's data
/// so far.
fn load<P: Projection>(
    storage: &dyn Storage,
    segments: &[Segment],
    file: &Path,
    initial: &P,
) -> Result<Option<Loaded<P>>, String> {
    let name = file.display().to_string();
    let bytes = match std::fs::read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| format!("{name}: {error}"))?,
    };
    let snapshot: Snapshot = match decode(bytes) {
        Ok(Ok(snapshot)) => snapshot,
        Ok(Err(version)) => return Err(SnapshotError::Newer { file: name, version }.to_string()),
        Err(fault) => return Err(SnapshotError::Damaged { file: name, fault }.to_string()),
    };
    let origin = snapshot.origin;
    let data_crc = check(storage, segments, &origin).map_err(|why| format!("{name}: {why}"))?;
    let (version, body) =
        snapshot.section(P::NAME).ok_or_else(|| format!("{name} has no state of {}", P::NAME))?;
    if version != P::VERSION {
        return Err(format!("{name} has version {version} of {}, this is {}", P::NAME, P::VERSION));
    }
    let state =
        initial.restore(body).ok_or_else(|| format!("{name}: {} does not take its state", P::NAME))?;
    Ok(Some((state, origin, data_crc)))
}

/// Checks that the state follows from the events of the trail. Returns the CRC of its segment's data up to
/// the state.
fn check(storage: &dyn Storage, segments: &[Segment], origin: &SnapshotOrigin) -> Result<RunningCrc, String> {
    let of = |index: u64| segments.iter().find(|segment| segment.header.index == index);
    let (found, data_crc) = match (of(origin.segment), of(origin.segment + 1)) {
        (Some(segment), _) => {
            read_up_to(storage, segment, origin.end).map_err(|error: TrailError| error.to_string())?
        }
        // Its own segment has expired; the next one carries the link to its end.
        (None, Some(next)) => {
            let last_sequence = Sequence(next.header.base_sequence.0 - 1);
            let identity =
                stele_wire::frame::Identity { epoch: origin.identity.epoch, ..next.header.identity };
            (
                SnapshotOrigin { identity, last_sequence, link: next.header.link, ..*origin },
                RunningCrc::default(),
            )
        }
        (None, None) => return Err(format!("segment {} is not on the trail", origin.segment)),
    };
    if found.identity != origin.identity {
        return Err("it is of another trail".to_owned());
    }
    let ours = (origin.end, origin.last_sequence, origin.link);
    if (found.end, found.last_sequence, found.link) != ours {
        return Err(format!("the events up to {} are not those that it follows from", origin.last_sequence));
    }
    Ok(data_crc)
}
