//! Plans a repair step by step, and performs it.

use super::diagnosis::{DamageKind, Diagnosis, Intact};
use crate::bounds::READ_LENGTH;
use crate::directory::{Directory, release};
use crate::error::TrailError;
use crate::examine::examine;
use crate::format::{HeaderState, align_up, archive_name, segment_index, segment_name};
use crate::pages::Pages;
use crate::storage::{CUT_FOLDER, Storage, StoredFile};
use crate::trail::{FoundSegment, Segment};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use stele_wire::units::{Position, Sequence};

/// One step of a repair. Performing it twice has the same effect as once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RepairStep {
    /// A file of the trail moves to the cut folder.
    SetAside {
        /// The file's name.
        from: String,
        /// Its new name.
        to: String,
    },
    /// The end of a file is copied to the cut folder, then cut off.
    CutOff {
        /// The file's name.
        file: String,
        /// Offset at which the end begins.
        offset: u64,
        /// The copy.
        to: String,
    },
    /// A prepared file is moved to its place in the trail.
    Place {
        /// Name of the prepared file.
        from: String,
        /// Its name in the trail.
        to: String,
    },
}

/// Data that a repair sets aside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetAsideBytes {
    /// The segment that it belongs to.
    pub segment: u64,
    /// Offset in the segment's file at which it began.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// The number of events that the trail loses with it, where that is known.
    pub events: Option<u64>,
    /// The file that keeps it, within the trail.
    pub kept: String,
}

/// A planned repair.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RepairPlan {
    /// The steps, in order.
    pub steps: Vec<RepairStep>,
    /// The data that is set aside.
    pub aside: Vec<SetAsideBytes>,
    /// Position at which the log ends afterwards, if it is cut.
    pub end: Option<Position>,
    /// Segments that an intact copy replaces.
    pub restored: Vec<u64>,
}

/// Why a repair is not possible.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The medium failed.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// A copy is needed and missing.
    #[error("there is no copy of segment {index} in {copies}: a repair needs all of {needed:?}")]
    NoCopy {
        /// The segment.
        index: u64,
        /// Where copies were looked for.
        copies: String,
        /// Every damaged segment.
        needed: Vec<u64>,
    },
    /// A copy fails its checks.
    #[error("the copy of segment {index} in {copies} is not what belongs here: {why}. Nothing was changed")]
    Unfit {
        /// The segment.
        index: u64,
        /// Where the copy is.
        copies: String,
        /// What is wrong with it.
        why: String,
    },
    /// Cutting would leave nothing of the trail.
    #[error(
        "segment {index} is the first: cutting there would leave nothing of the trail. Restore it from a copy, or keep \
         the directory as it is and begin another trail"
    )]
    NothingLeft {
        /// The segment.
        index: u64,
    },
}

fn io_error<'a>(
    storage: &'a dyn Storage,
    name: &'a str,
    action: &'static str,
) -> impl Fn(io::Error) -> RepairError + 'a {
    move |source| TrailError::io(storage, name, action, source).into()
}

/// Plans to set everything from the first damage on aside.
///
/// # Errors
/// [`RepairError`]; nothing in the trail was changed.
pub fn plan_cut(directory: &Directory, diagnosis: &Diagnosis) -> Result<RepairPlan, RepairError> {
    let Some(damage) = diagnosis.damage.first() else { return Ok(RepairPlan::default()) };
    let index = damage.index;
    let is_partial = damage.kind == DamageKind::Content;
    if !is_partial && index == diagnosis.first {
        return Err(RepairError::NothingLeft { index });
    }
    let mut plan = RepairPlan { end: damage.position, ..RepairPlan::default() };
    let names = directory.list_as_it_is().map_err(io_error(directory, ".", "list"))?;
    let mut later: Vec<(u64, String)> = names
        .into_iter()
        .filter_map(|name| Some((index_of(&name)?, name)))
        .filter(|(at, name)| *at > index || (*at == index && (!is_partial || !is_data(name))))
        .collect();
    later.sort_unstable_by(|one, other| other.cmp(one));
    for (at, name) in later {
        plan.set_aside(directory, diagnosis, at, &name)?;
    }
    if is_partial {
        plan.cut_off(directory, diagnosis, index, damage.offset)?;
    } else {
        plan.end = diagnosis.intact.get(&(index - 1)).map(|intact| intact.examined.end);
    }
    plan.aside.sort_by_key(|aside| (aside.segment, aside.offset));
    Ok(plan)
}

/// Plans to replace every damaged segment by a copy in `copies`, a file or a directory. Each copy must pass
/// these checks: the trail's identity, the index, every frame, the link to the previous segment and that of
/// the next one.
///
/// # Errors
/// [`RepairError`]; nothing in the trail was changed, but copies may remain in the cut folder.
pub fn plan_restore(
    directory: &Directory,
    diagnosis: &Diagnosis,
    copies: &Path,
) -> Result<RepairPlan, RepairError> {
    let needed: Vec<u64> = diagnosis.damage.iter().map(|damage| damage.index).collect();
    let mut fit: BTreeMap<u64, Intact> = diagnosis.intact.clone();
    let mut sources = BTreeMap::new();
    for &index in &needed {
        let source = Copy::find(copies, index, &needed)?;
        fit.insert(index, source.examine(diagnosis)?);
        sources.insert(index, source);
    }
    for &index in &needed {
        check_links(&fit, diagnosis, index).map_err(|why| RepairError::Unfit {
            index,
            copies: copies.display().to_string(),
            why,
        })?;
    }
    let mut plan = RepairPlan { restored: needed, ..RepairPlan::default() };
    for (index, source) in &sources {
        let (name, waiting) = (segment_name(*index), format!("{CUT_FOLDER}/{index:010}.restored"));
        let mut reader = Bytes::new(source.open()?, 0, u64::MAX);
        directory.keep(&waiting, &mut reader).map_err(io_error(directory, &waiting, "write"))?;
        let kept = directory.open(&waiting).and_then(|file| hash_of(&mut Bytes::new(file, 0, u64::MAX)));
        let (kept, _) = kept.map_err(io_error(directory, &waiting, "read back"))?;
        if kept != reader.hash.clone().finalize().as_slice() {
            let why = "its copy in the cut folder reads back differently".to_owned();
            return Err(RepairError::Unfit { index: *index, copies: copies.display().to_string(), why });
        }
        for damaged in [name.clone(), archive_name(*index), format!("{index:010}.index")] {
            if directory.root().join(&damaged).exists() {
                plan.set_aside(directory, diagnosis, *index, &damaged)?;
            }
        }
        plan.aside.iter_mut().for_each(|aside| aside.events = Some(0));
        plan.steps.push(RepairStep::Place { from: waiting, to: name });
    }
    Ok(plan)
}

/// Performs those steps of a plan that are not done yet.
///
/// # Errors
/// The error of the file system, with the name of the file.
pub fn perform(directory: &Directory, steps: &[RepairStep]) -> Result<(), TrailError> {
    for step in steps {
        let (name, done) = match step {
            RepairStep::SetAside { from, to } => (from, set_aside(directory, from, to)),
            RepairStep::CutOff { file, offset, to } => (file, cut_off(directory, file, *offset, to)),
            RepairStep::Place { from, to } => (to, place(directory, from, to)),
        };
        done.map_err(|source| TrailError::io(directory, name, "repair", source))?;
    }
    Ok(())
}

fn set_aside(directory: &Directory, from: &str, to: &str) -> io::Result<()> {
    let (source, target) = (directory.root().join(from), directory.root().join(to));
    if target.exists() {
        return Ok(());
    }
    Directory::new(directory.root().join(CUT_FOLDER)).create()?;
    fs::rename(source, target)?;
    sync_both(directory)
}

fn cut_off(directory: &Directory, file: &str, offset: u64, to: &str) -> io::Result<()> {
    if !directory.root().join(to).exists() {
        let source = directory.open(file)?;
        directory.keep(to, &mut Bytes::new(source, offset, u64::MAX))?;
    }
    directory.close(file, offset)
}

fn place(directory: &Directory, from: &str, to: &str) -> io::Result<()> {
    let (source, target) = (directory.root().join(from), directory.root().join(to));
    if !source.exists() {
        return if target.exists() { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) };
    }
    release(&source)?;
    fs::set_permissions(&source, Permissions::from_mode(0o400))?;
    fs::rename(source, target)?;
    sync_both(directory)
}

fn sync_both(directory: &Directory) -> io::Result<()> {
    File::open(directory.root().join(CUT_FOLDER))?.sync_all()?;
    directory.sync()
}

impl RepairPlan {
    fn set_aside(
        &mut self,
        directory: &Directory,
        diagnosis: &Diagnosis,
        segment: u64,
        name: &str,
    ) -> Result<(), RepairError> {
        let file = directory.open_file(name);
        let hash = file.and_then(|file| hash_of(&mut Bytes::new(file, 0, u64::MAX)));
        let (sha256, bytes) = hash.map_err(io_error(directory, name, "read"))?;
        let kept = self.free_name(directory, name);
        self.steps.push(RepairStep::SetAside { from: name.to_owned(), to: kept.clone() });
        let events = if is_data(name) { events_of(diagnosis, segment) } else { Some(0) };
        self.aside.push(SetAsideBytes { segment, offset: 0, bytes, sha256, events, kept });
        Ok(())
    }

    /// Keeps the intact part of the damaged segment before the damage.
    fn cut_off(
        &mut self,
        directory: &Directory,
        diagnosis: &Diagnosis,
        index: u64,
        offset: u64,
    ) -> Result<(), RepairError> {
        let (name, archive) = (segment_name(index), archive_name(index));
        let damage = &diagnosis.damage[0];
        let next = diagnosis.headed.get(&(index + 1));
        let events = next.map(|next| next.header.base_sequence.0.saturating_sub(damage.after.0 + 1));
        let is_raw = directory.root().join(&name).exists();
        if directory.root().join(&archive).exists() {
            self.set_aside(directory, diagnosis, index, &archive)?;
        }
        if is_raw {
            let file = directory.open(&name).map_err(io_error(directory, &name, "open"))?;
            let hash = hash_of(&mut Bytes::new(file, offset, u64::MAX));
            let (sha256, bytes) = hash.map_err(io_error(directory, &name, "read"))?;
            let kept = self.free_name(directory, &format!("{index:010}-{offset}.bytes"));
            self.steps.push(RepairStep::CutOff { file: name, offset, to: kept.clone() });
            self.aside.push(SetAsideBytes { segment: index, offset, bytes, sha256, events, kept });
            return Ok(());
        }
        // The whole archive is set aside; the part before the damage takes its place as a raw file.
        if let Some(aside) = self.aside.last_mut() {
            (aside.offset, aside.events) = (offset, events);
        }
        let waiting = format!("{CUT_FOLDER}/{index:010}.front");
        let file = directory.open(&name).map_err(io_error(directory, &name, "open"))?;
        let mut front = Bytes::new(file, 0, offset);
        directory.keep(&waiting, &mut front).map_err(io_error(directory, &waiting, "write"))?;
        self.steps.push(RepairStep::Place { from: waiting, to: name });
        Ok(())
    }

    fn free_name(&self, directory: &Directory, name: &str) -> String {
        let taken = |kept: &String| {
            directory.root().join(kept).exists() || self.aside.iter().any(|aside| aside.kept == *kept)
        };
        let mut kept = format!("{CUT_FOLDER}/{name}");
        let mut attempt = 1;
        while taken(&kept) {
            attempt += 1;
            kept = format!("{CUT_FOLDER}/{name}-{attempt}");
        }
        kept
    }
}

/// Returns the index in the name of a segment, archive, index or snapshot file.
fn index_of(name: &str) -> Option<u64> {
    let (stem, _) = name.split_once('.')?;
    let index = stem.parse().ok()?;
    (format!("{index:010}") == stem).then_some(index)
}

fn is_data(name: &str) -> bool {
    segment_index(name).is_some() || crate::format::archive_index(name).is_some()
}

/// Returns how many events an intact segment holds, by its header and by what follows it.
fn events_of(diagnosis: &Diagnosis, index: u64) -> Option<u64> {
    let own = diagnosis.headed.get(&index)?;
    let last = match (diagnosis.headed.get(&(index + 1)), diagnosis.intact.get(&index)) {
        (Some(next), _) => Sequence(next.header.base_sequence.0 - 1),
        (None, Some(intact)) => intact.examined.last_sequence,
        (None, None) => return None,
    };
    Some((last.0 + 1).saturating_sub(own.header.base_sequence.0))
}

/// A copy of a segment, raw or archived.
struct Copy {
    directory: Directory,
    name: String,
    index: u64,
    copies: String,
}

impl Copy {
    fn find(copies: &Path, index: u64, needed: &[u64]) -> Result<Self, RepairError> {
        let location = copies.display().to_string();
        let missing = || RepairError::NoCopy { index, copies: location.clone(), needed: needed.to_vec() };
        if copies.is_dir() {
            let (directory, name) = (Directory::new(copies), segment_name(index));
            return match directory.open(&name) {
                Ok(_) => Ok(Self { directory, name, index, copies: location }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
                Err(source) => Err(io_error(&directory, &name, "open")(source)),
            };
        }
        let name = copies.file_name().and_then(|name| name.to_str()).ok_or_else(missing)?.to_owned();
        let parent = copies.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = Directory::new(parent.unwrap_or(Path::new(".")));
        Ok(Self { directory, name, index, copies: location })
    }

    fn open(&self) -> Result<Box<dyn StoredFile>, RepairError> {
        let open = || match self.name.ends_with(crate::format::ARCHIVE_EXTENSION) {
            true => self.directory.open_packed(&self.name),
            false => self.directory.open(&self.name),
        };
        open().map_err(io_error(&self.directory, &self.name, "open"))
    }

    fn examine(&self, diagnosis: &Diagnosis) -> Result<Intact, RepairError> {
        let unfit = |why: String| RepairError::Unfit { index: self.index, copies: self.copies.clone(), why };
        let read = io_error(&self.directory, &self.name, "read");
        let file = self.open()?;
        let mut pages = Pages::zeroed(crate::bounds::HEADER_BLOCK_LENGTH);
        let count = file.read_at(&mut pages, 0).map_err(&read)?;
        let file_length = file.length().map_err(&read)?;
        let found =
            FoundSegment { index: self.index, file_length, state: HeaderState::read(&pages[..count]) };
        let segment: Segment = found.usable(&self.directory).map_err(|error| unfit(error.to_string()))?;
        let (own, trail) = (segment.header.identity, diagnosis.identity);
        if own.trail != trail.trail || own.shard != trail.shard {
            return Err(unfit(format!("it is of trail {}, shard {}", own.trail, own.shard)));
        }
        let examined = examine(file, &segment, &mut |_| {}).map_err(read)?;
        if let Some(fault) = examined.fault {
            let (offset, after) = (examined.offset(&segment), examined.last_sequence);
            return Err(unfit(format!("offset {offset}, after sequence {after}: {fault}")));
        }
        Ok(Intact { segment, examined })
    }
}

/// Checks that segment `index` of `fit` follows the previous one and is followed by the next one.
fn check_links(fit: &BTreeMap<u64, Intact>, diagnosis: &Diagnosis, index: u64) -> Result<(), String> {
    let own = &fit[&index];
    if let Some(before) = fit.get(&(index.wrapping_sub(1)))
        && before.examined.link(&before.segment) != own.segment.header.link
    {
        return Err(format!("its link is not that of segment {}", index - 1));
    }
    if index == diagnosis.first && index == 1 && own.segment.header.link != [0; 32] {
        return Err("it is not the first of a trail".to_owned());
    }
    match fit.get(&(index + 1)) {
        Some(next) => {
            let header = &next.segment.header;
            let joins = align_up(own.examined.end, header.block_length) == header.base_position
                && own.examined.link(&own.segment) == header.link;
            joins.then_some(()).ok_or_else(|| format!("the link of segment {} is another", index + 1))
        }
        None => {
            let damage = diagnosis.damage.iter().find(|damage| damage.index == index);
            let reached = damage.map_or(Sequence(0), |damage| damage.after);
            if own.examined.last_sequence < reached {
                return Err(format!("it ends before sequence {reached}, which the damaged one has"));
            }
            Ok(())
        }
    }
}

/// A range of a stored file as a stream that hashes its bytes.
struct Bytes {
    file: Box<dyn StoredFile>,
    pages: Pages,
    window: std::ops::Range<usize>,
    next: u64,
    end: u64,
    hash: Sha256,
}

impl Bytes {
    fn new(file: Box<dyn StoredFile>, offset: u64, end: u64) -> Self {
        let pages = Pages::zeroed(READ_LENGTH);
        Self { file, pages, window: 0..0, next: offset, end, hash: Sha256::new() }
    }
}

impl io::Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.window.is_empty() {
            let page = crate::bounds::PAGE_LENGTH as u64;
            let skip = (self.next % page) as usize;
            let count = self.file.read_at(&mut self.pages, self.next - skip as u64)?;
            let rest = usize::try_from(self.end.saturating_sub(self.next)).unwrap_or(usize::MAX);
            let to = count.min(skip.saturating_add(rest)).max(skip);
            self.window = skip..to;
            self.next += (to - skip) as u64;
            self.hash.update(&self.pages[self.window.clone()]);
        }
        let count = buffer.len().min(self.window.len());
        buffer[..count].copy_from_slice(&self.pages[self.window.start..self.window.start + count]);
        self.window.start += count;
        Ok(count)
    }
}

/// Returns SHA-256 and the number of the remaining bytes.
fn hash_of(bytes: &mut Bytes) -> io::Result<([u8; 32], u64)> {
    let count = io::copy(bytes, &mut io::sink())?;
    Ok((bytes.hash.clone().finalize().into(), count))
}
