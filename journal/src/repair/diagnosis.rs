//! Finds what is damaged on a trail, where, and what is intact on both sides.

use crate::continuity::ContinuityFault;
use crate::error::TrailError;
use crate::examine::{ExaminedSegment, examine};
use crate::format::{HeaderState, align_up, segment_index, segment_name};
use crate::pages::Pages;
use crate::recovery::{RecoveryRow, decide};
use crate::storage::Storage;
use crate::survey::survey;
use crate::trail::{Segment, find_segment};
use std::collections::BTreeMap;
use std::io;
use stele_wire::frame::Identity;
use stele_wire::units::{Epoch, Position, Sequence};

/// The kind of a damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DamageKind {
    /// The segment's file is missing.
    Missing,
    /// The file cannot be decompressed, or its header is damaged: its content cannot be used.
    Unreadable,
    /// The segment belongs to another trail or shard, or is another segment of this trail.
    Foreign,
    /// Frames do not follow each other.
    Content,
    /// Every frame is intact, but the next segment's link shows that the content was different.
    Link,
}

/// One damaged segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The segment's index.
    pub index: u64,
    /// The segment's file.
    pub file: String,
    /// The kind of damage.
    pub kind: DamageKind,
    /// Offset in the file at which it begins; 0 when the whole file is damaged.
    pub offset: u64,
    /// Log position of that offset, where it is known.
    pub position: Option<Position>,
    /// The last intact event before it; 0 when there is none.
    pub after: Sequence,
    /// The first intact event after it, where there is one.
    pub beyond: Option<Sequence>,
    /// What is wrong, for a person.
    pub what: String,
}

/// A segment that is intact by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Intact {
    pub(super) segment: Segment,
    pub(super) examined: ExaminedSegment,
}

/// The state of a whole trail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnosis {
    /// Trail and shard.
    pub identity: Identity,
    /// The lowest index of a segment.
    pub first: u64,
    /// The highest index of a segment that was written.
    pub last: u64,
    /// The highest epoch of any segment.
    pub epoch: Epoch,
    /// The last event of the intact segments; 0 when there is none.
    pub last_sequence: Sequence,
    /// The damaged segments, in the order of the log. Empty when there is nothing to repair.
    pub damage: Vec<Damage>,
    pub(super) intact: BTreeMap<u64, Intact>,
    /// Segments with a valid header, whatever their content.
    pub(super) headed: BTreeMap<u64, Segment>,
}

/// Examines the trail in `storage`, which must not be written meanwhile. `progress` is called with the number
/// of bytes read since the last call.
///
/// # Errors
/// [`TrailError`]: there is no trail, or one of a newer format, or the medium fails with an error other than
/// damage.
pub fn diagnose(storage: &dyn Storage, progress: &mut dyn FnMut(u64)) -> Result<Diagnosis, TrailError> {
    let names = match storage.list() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(|source| TrailError::io(storage, ".", "list", source))?,
    };
    let mut files: BTreeMap<u64, File> = BTreeMap::new();
    for index in names.iter().filter_map(|name| segment_index(name)) {
        files.insert(index, File::read(storage, index)?);
    }
    let identity = whose(&files).ok_or_else(|| TrailError::NoTrail(storage.describe("")))?;
    let headed: BTreeMap<u64, Segment> =
        files.iter().filter_map(|(&index, file)| Some((index, file.own(index, &identity)?))).collect();
    let last = *headed.keys().next_back().expect("the identity is a segment's");
    let first = *files.keys().next().expect("there is a file");
    let epoch = headed.values().map(|segment| segment.header.identity.epoch).max();
    let mut diagnosis = Diagnosis {
        identity,
        first,
        last,
        epoch: epoch.expect("there is a segment"),
        last_sequence: Sequence(0),
        damage: Vec::new(),
        intact: BTreeMap::new(),
        headed,
    };
    for index in first..=last {
        diagnosis.diagnose_segment(storage, index, files.get(&index), progress)?;
    }
    if diagnosis.damage.is_empty() {
        diagnosis.diagnose_end(storage)?;
    }
    diagnosis.last_sequence =
        diagnosis.intact.values().map(|intact| intact.examined.last_sequence).max().unwrap_or_default();
    diagnosis.fill_neighbours();
    Ok(diagnosis)
}

/// A segment file as found.
enum File {
    Found { state: HeaderState, length: u64 },
    Unreadable(String),
}

impl File {
    fn read(storage: &dyn Storage, index: u64) -> Result<Self, TrailError> {
        let mut pages = Pages::zeroed(crate::bounds::HEADER_BLOCK_LENGTH);
        match find_segment(storage, index, &mut pages) {
            Ok(Some(found)) => {
                if let HeaderState::Newer(version) = found.state {
                    let file = storage.describe(&segment_name(index));
                    return Err(TrailError::Newer { file, version });
                }
                Ok(Self::Found { state: found.state, length: found.file_length })
            }
            Ok(None) => Ok(Self::Unreadable("it vanished".to_owned())),
            Err(TrailError::Io { source, .. }) if source.kind() == io::ErrorKind::InvalidData => {
                Ok(Self::Unreadable(source.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the segment when its header is valid and identifies this segment of this trail.
    fn own(&self, index: u64, identity: &Identity) -> Option<Segment> {
        match self {
            Self::Found { state: HeaderState::Valid(header), length }
                if header.index == index
                    && header.identity.trail == identity.trail
                    && header.identity.shard == identity.shard =>
            {
                Some(Segment { header: *header, file_length: *length })
            }
            _ => None,
        }
    }
}

/// Returns the trail that most segments belong to.
fn whose(files: &BTreeMap<u64, File>) -> Option<Identity> {
    let identities = || {
        files.values().filter_map(|file| match file {
            File::Found { state: HeaderState::Valid(header), .. } => Some(header.identity),
            _ => None,
        })
    };
    let same = |one: &Identity, other: &Identity| one.trail == other.trail && one.shard == other.shard;
    identities().max_by_key(|one| identities().filter(|other| same(one, other)).count())
}

impl Diagnosis {
    fn diagnose_segment(
        &mut self,
        storage: &dyn Storage,
        index: u64,
        file: Option<&File>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), TrailError> {
        if let Some(&segment) = self.headed.get(&index) {
            return self.diagnose_content(storage, segment, progress);
        }
        let (kind, what) = match file {
            None => (DamageKind::Missing, "the file is missing".to_owned()),
            Some(File::Unreadable(what)) => (DamageKind::Unreadable, what.clone()),
            Some(File::Found { state: HeaderState::Valid(header), .. }) => {
                let Identity { trail, shard, .. } = header.identity;
                let what = format!("it is segment {} of trail {trail}, shard {shard}", header.index);
                (DamageKind::Foreign, what)
            }
            Some(File::Found { state: HeaderState::Damaged(fault), .. }) => {
                (DamageKind::Unreadable, fault.to_string())
            }
            Some(File::Found { .. }) => (
                DamageKind::Unreadable,
                "the header is blank although later segments were written".to_owned(),
            ),
        };
        self.note(storage, index, kind, 0, what);
        Ok(())
    }

    fn diagnose_content(
        &mut self,
        storage: &dyn Storage,
        segment: Segment,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), TrailError> {
        let (index, name) = (segment.header.index, segment.name());
        let before = index.checked_sub(1).and_then(|before| self.headed.get(&before)).copied();
        if let Some(before) = before
            && let Err(error) = segment.check_follows(&before, storage)
            && self.intact.contains_key(&before.header.index)
        {
            self.note(storage, index, DamageKind::Foreign, 0, error.to_string());
            return Ok(());
        }
        if let Some(before) = self.intact.get(&(index - 1))
            && before.examined.link(&before.segment) != segment.header.link
        {
            let what = format!(
                "its frames are intact, but are not those that {} followed: one of the two was changed",
                segment_name(index)
            );
            self.note(storage, index - 1, DamageKind::Link, 0, what);
            self.intact.remove(&(index - 1));
        }
        let file = storage.open(&name).map_err(|source| TrailError::io(storage, &name, "open", source))?;
        let examined = match examine(file, &segment, progress) {
            Ok(examined) => examined,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.note(storage, index, DamageKind::Unreadable, 0, error.to_string());
                return Ok(());
            }
            Err(source) => return Err(TrailError::io(storage, &name, "read", source)),
        };
        match self.fault_of(&segment, &examined) {
            Some(fault) => self.note_content(storage, &segment, &examined, &fault.to_string()),
            None => {
                self.intact.insert(index, Intact { segment, examined });
            }
        }
        Ok(())
    }

    /// Returns what is wrong inside a segment that another one follows. The last one may end anywhere.
    fn fault_of(&self, segment: &Segment, examined: &ExaminedSegment) -> Option<ContinuityFault> {
        if segment.header.index == self.last {
            return None;
        }
        if examined.fault.is_some() {
            return examined.fault;
        }
        let next = &self.headed.get(&(segment.header.index + 1))?.header;
        let expected = examined.last_sequence.next();
        if align_up(examined.end, next.block_length) != next.base_position {
            return Some(ContinuityFault::Cut);
        }
        (next.base_sequence != expected)
            .then_some(ContinuityFault::Sequence { expected, found: next.base_sequence })
    }

    /// Checks the end of the log by recovery's rules: nothing below the acknowledged floor may be missing.
    fn diagnose_end(&mut self, storage: &dyn Storage) -> Result<(), TrailError> {
        let survey = survey(storage)?;
        let row = decide(&survey.evidence());
        let (RecoveryRow::F, Some(tail)) = (row, &survey.tail) else { return Ok(()) };
        let segment = survey.segments[tail.last];
        let Some(intact) = self.intact.remove(&segment.header.index) else { return Ok(()) };
        let fault = tail.fault.unwrap_or(ContinuityFault::Cut);
        let what = format!("{fault}, and the log was acknowledged as durable up to position {}", tail.floor);
        self.note_content(storage, &segment, &intact.examined, &what);
        Ok(())
    }

    fn note_content(
        &mut self,
        storage: &dyn Storage,
        segment: &Segment,
        examined: &ExaminedSegment,
        what: &str,
    ) {
        let index = segment.header.index;
        self.note(storage, index, DamageKind::Content, examined.offset(segment), what.to_owned());
        let damage = self.damage.last_mut().expect("noted above");
        damage.position = Some(examined.end);
        damage.after = examined.last_sequence;
        damage.beyond = examined.after_fault.map(|(low, _)| low);
    }

    fn note(&mut self, storage: &dyn Storage, index: u64, kind: DamageKind, offset: u64, what: String) {
        let file = storage.describe(&segment_name(index));
        let position = self.headed.get(&index).map(|segment| segment.header.base_position);
        let (after, beyond) = (Sequence(0), None);
        self.damage.push(Damage { index, file, kind, offset, position, after, beyond, what });
        self.damage.sort_by_key(|damage| damage.index);
    }

    /// Fills in which events are intact around each damage, where the damage itself does not show it.
    fn fill_neighbours(&mut self) {
        let intact = &self.intact;
        for damage in &mut self.damage {
            if damage.after == Sequence(0) {
                let front = intact.range(..damage.index).next_back();
                damage.after = front.map_or(Sequence(0), |(_, front)| front.examined.last_sequence);
            }
            let next = intact.range(damage.index + 1..).next();
            damage.beyond = damage.beyond.or_else(|| Some(next?.1.segment.header.base_sequence));
        }
    }
}
