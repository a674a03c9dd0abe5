//! A projection: a state of one's own that follows from the events of a trail, with a snapshot to start again
//! from.
//!
//! ```text
//! snapshot file ──> state ──┐
//!                           v
//! trail ── events after ── on_event … ──> state ──> snapshot file
//! ```
//! A snapshot is one file, in the container of [`crate::snapshot`]: it names the trail, the segment and the
//! event that the state follows from, and the link that a next segment would carry if the log ended there.
//! Opening a projection reads that segment up to there and compares the link, so that a state of another
//! trail, or of events that a crash took back, is never gone on from. A snapshot that does not fit is passed
//! over, and the whole trail is read.

use crate::Directory;
use crate::error::TrailError;
use crate::format::{RunningCrc, link_after};
use crate::reader::TrailReader;
use crate::snapshot::{Section, Snapshot, SnapshotError, Standing, Written, decode, encode, read_up_to};
use crate::storage::Storage;
use crate::trail::Segment;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stele_bus::Event;
use stele_wire::units::{Position, Sequence};

/// A state that follows from the log: the same events give the same state. Feed it from a [`Projected`]
/// trail, or by hand from any consumer of a bus.
pub trait Projection: Sized {
    /// Its name in a snapshot, at most 32 bytes.
    const NAME: &'static str;
    /// Version of the layout of its bytes: a snapshot of another version is not loaded.
    const VERSION: u32;

    /// Makes the state what it is after the event.
    fn on_event(&mut self, event: &Event<'_>);

    /// Appends the whole state.
    fn save(&self, state: &mut Vec<u8>);

    /// This projection with the state that [`Projection::save`] wrote; none when the bytes are not such a
    /// state.
    fn restore(&self, state: &[u8]) -> Option<Self>;
}

/// Why a projection has no state.
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
        /// What the file system said.
        source: std::io::Error,
    },
    /// The trail's first segments have expired, and no snapshot stands for them.
    #[error(
        "the trail begins at segment {segment} (sequence {first}), what was before has expired, and there is no snapshot \
         that stands for it{}: bring one back, or the expired segments from a copy",
        refused.as_ref().map(|why| format!(" ({why})")).unwrap_or_default()
    )]
    NoBeginning {
        /// The first segment that is there.
        segment: u64,
        /// Its first event.
        first: Sequence,
        /// Why the snapshot that is there cannot be used.
        refused: Option<String>,
    },
}

/// A projection over one trail, up to where it was read.
///
/// ```
/// use stele_bus::Event;
/// use stele_journal::projection::{Projected, Projection};
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
/// let mut count = Projected::open(trail, &file, Count::default())?;
/// let events = count.catch_up()?;
/// assert_eq!(count.state().0, events);
/// count.save()?;
///
/// let mut again = Projected::open(trail, &file, Count::default())?;
/// assert_eq!((again.state().0, again.catch_up()?), (events, 0), "it goes on from the snapshot");
/// # Ok(()) }
/// ```
pub struct Projected<P> {
    reader: TrailReader,
    state: P,
    snapshot: PathBuf,
    refused: Option<String>,
    /// CRC of the data of the segment that the last frame is in, up to it.
    data_crc: RunningCrc,
    /// The segment that the last frame is in, and the position after it; none before the first.
    last: Option<(u64, Position)>,
}

impl<P: Projection> Projected<P> {
    /// Opens the trail in `trail` and puts the projection where the snapshot in the file `snapshot` left it;
    /// at the trail's beginning, with `initial` as its state, where there is no snapshot that fits.
    ///
    /// # Errors
    /// [`ProjectionError`].
    pub fn open(trail: &Path, snapshot: &Path, initial: P) -> Result<Self, ProjectionError> {
        let storage: Arc<dyn Storage> = Arc::new(Directory::new(trail));
        let mut reader = TrailReader::over(storage.clone())?;
        let (data_crc, snapshot) = (RunningCrc::default(), snapshot.to_owned());
        let refused = match load(storage.as_ref(), reader.segments(), &snapshot, &initial) {
            Ok(Some((state, standing, data_crc))) => {
                reader.seek_position(standing.end)?;
                let last = Some((standing.segment, standing.end));
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

    /// The state after the last event that was read.
    pub fn state(&self) -> &P {
        &self.state
    }

    /// The last event that was read; 0 before the first.
    pub fn last_sequence(&self) -> Sequence {
        self.reader.last_sequence()
    }

    /// Why the snapshot that is there was not used; none where it was, or where there is none.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// Reads every event that is there now. Returns how many; call it again to follow a trail that is being
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

    /// Writes the snapshot: it replaces the one before whole and durable, or not at all. None where there was
    /// nothing to read yet.
    ///
    /// # Errors
    /// [`ProjectionError::Write`].
    ///
    /// # Panics
    /// When [`Projection::NAME`] is longer than 32 bytes.
    pub fn save(&self) -> Result<Option<Written>, ProjectionError> {
        let Some(standing) = self.standing() else { return Ok(None) };
        let mut body = Vec::new();
        self.state.save(&mut body);
        let section = Section { name: P::NAME, version: P::VERSION, body };
        let bytes = encode(&standing, env!("CARGO_PKG_VERSION"), &[section]);
        let write = |source| ProjectionError::Write { path: self.snapshot.display().to_string(), source };
        let (folder, name) = folder_and_name(&self.snapshot).map_err(write)?;
        Directory::new(folder).keep(name, &mut &bytes[..]).map_err(write)?;
        Ok(Some(Written::of(&bytes)))
    }

    /// What the state follows from.
    fn standing(&self) -> Option<Standing> {
        let (index, end) = self.last?;
        let segment = self.reader.segments().iter().find(|segment| segment.header.index == index);
        let segment = segment.expect("the reader has read from it");
        let last_sequence = self.last_sequence();
        Some(Standing {
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

type Loaded<P> = (P, Standing, RunningCrc);

/// The state in the snapshot file, if there is one, what it follows from, and the CRC of its segment's data
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
    let standing = snapshot.standing;
    let data_crc = check(storage, segments, &standing).map_err(|why| format!("{name}: {why}"))?;
    let (version, body) =
        snapshot.section(P::NAME).ok_or_else(|| format!("{name} has no state of {}", P::NAME))?;
    if version != P::VERSION {
        return Err(format!("{name} has version {version} of {}, this is {}", P::NAME, P::VERSION));
    }
    let state =
        initial.restore(body).ok_or_else(|| format!("{name}: {} does not take its state", P::NAME))?;
    Ok(Some((state, standing, data_crc)))
}

/// Whether the state follows from the events that are there. Gives the CRC of its segment's data up to it.
fn check(storage: &dyn Storage, segments: &[Segment], standing: &Standing) -> Result<RunningCrc, String> {
    let of = |index: u64| segments.iter().find(|segment| segment.header.index == index);
    let (found, data_crc) = match (of(standing.segment), of(standing.segment + 1)) {
        (Some(segment), _) => {
            read_up_to(storage, segment, standing.end).map_err(|error: TrailError| error.to_string())?
        }
        // Its own segment has expired; the next one says how that ended.
        (None, Some(next)) => {
            let last_sequence = Sequence(next.header.base_sequence.0 - 1);
            let identity =
                stele_wire::frame::Identity { epoch: standing.identity.epoch, ..next.header.identity };
            (Standing { identity, last_sequence, link: next.header.link, ..*standing }, RunningCrc::default())
        }
        (None, None) => return Err(format!("segment {} is not on the trail", standing.segment)),
    };
    if found.identity != standing.identity {
        return Err("it is of another trail".to_owned());
    }
    let ours = (standing.end, standing.last_sequence, standing.link);
    if (found.end, found.last_sequence, found.link) != ours {
        return Err(format!(
            "the events up to {} are not those that it follows from",
            standing.last_sequence
        ));
    }
    Ok(data_crc)
}
