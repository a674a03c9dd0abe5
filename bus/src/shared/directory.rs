//! The directory of a bus: created by the process that runs the bus, found by name, and removed with its
//! owner.

use super::process::Process;
use crate::bounds::BUS_NAME_MAX;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The file system in memory where buses have their directories.
pub const SHARED_ROOT: &str = "/dev/shm";

const PREFIX: &str = "stele-";
/// The prefix of a directory that is being created or removed. It is never found by name.
const HIDDEN_PREFIX: &str = ".stele-";
const OWNER: &str = "owner";

/// Why the directory of a bus cannot be created or found.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The name is not allowed.
    #[error(
        "bus name `{0}`: choose 1 to {BUS_NAME_MAX} letters, digits, `-`, `_` and `.`, not starting with `.`"
    )]
    Name(String),
    /// A bus with that name is running.
    #[error("a bus named `{name}` runs already, in {owner}: stop it, or choose another [bus] name")]
    Runs {
        /// The name.
        name: String,
        /// The process that runs it.
        owner: Process,
    },
    /// The directory with that name does not belong to a bus.
    #[error("{} does not say which process owns it: remove it, or choose another [bus] name", .0.display())]
    Foreign(PathBuf),
    /// No bus with that name is running.
    #[error("no bus named `{name}` runs; {}", describe_running(running))]
    NotFound {
        /// The name.
        name: String,
        /// The names of the running buses.
        running: Vec<String>,
    },
    /// No name was given, and no bus or several buses are running.
    #[error("{}", describe_choice(.0))]
    Choose(Vec<String>),
    /// The file system failed.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// The operation that failed.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

fn describe_running(running: &[String]) -> String {
    match running {
        [] => format!("none does, as far as {SHARED_ROOT} shows"),
        running => format!("running: {}", running.join(", ")),
    }
}

fn describe_choice(running: &[String]) -> String {
    match running {
        [] => format!("no bus runs, as far as {SHARED_ROOT} shows: `stele run` starts one"),
        running => format!("several buses run, name one: {}", running.join(", ")),
    }
}

fn on<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> DirectoryError + 'a {
    move |source| DirectoryError::Io { what, path: path.into(), source }
}

/// The directory of a bus of this process. Dropping it removes the directory with everything in it.
#[derive(Debug)]
pub struct BusDirectory {
    bus: FoundBus,
}

/// A running bus of any process, found by its directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundBus {
    name: String,
    path: PathBuf,
    owner: Process,
}

/// The directory of a shard's files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardDirectory {
    number: u32,
    path: PathBuf,
}

impl BusDirectory {
    /// Creates the directory of the bus `name`, accessible only to the user of this process. First removes
    /// the directories of dead processes.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn create(name: &str) -> Result<Self, DirectoryError> {
        Self::create_in(Path::new(SHARED_ROOT), name)
    }

    /// As [`BusDirectory::create`], in another root directory.
    ///
    /// # Errors
    /// As [`BusDirectory::create`].
    pub fn create_in(root: &Path, name: &str) -> Result<Self, DirectoryError> {
        if !is_name(name) {
            return Err(DirectoryError::Name(name.into()));
        }
        remove_stale(root)?;
        let owner = Process::current();
        let path = root.join(format!("{PREFIX}{name}"));
        // It gets its name once the owner's file is written, so that no process takes it for a dead one's.
        let hidden = root.join(hidden_name(name, owner));
        make_directory(&hidden)?;
        let written = write_owner(&hidden, owner).and_then(|()| give_name(&hidden, &path, name));
        if written.is_err() {
            let _ = fs::remove_dir_all(&hidden);
        }
        written.map(|()| Self { bus: FoundBus { name: name.into(), path, owner } })
    }

    /// The bus as other processes see it.
    pub fn bus(&self) -> &FoundBus {
        &self.bus
    }

    /// The directory of shard `number`, which is created if it does not exist.
    ///
    /// # Errors
    /// [`DirectoryError::Io`].
    pub fn shard(&self, number: u32) -> Result<ShardDirectory, DirectoryError> {
        let shard = self.bus.shard_at(number);
        match make_directory(&shard.path) {
            Err(DirectoryError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                Ok(shard)
            }
            made => made.map(|()| shard),
        }
    }
}

impl std::ops::Deref for BusDirectory {
    type Target = FoundBus;

    fn deref(&self) -> &FoundBus {
        &self.bus
    }
}

impl Drop for BusDirectory {
    fn drop(&mut self) {
        // A process forked from the owner, or one whose directory was taken over, has nothing to remove.
        if self.bus.owner == Process::current() && read_owner(&self.bus.path) == Some(self.bus.owner) {
            let _ = hide_and_remove(&self.bus.path, &self.bus.name, self.bus.owner);
        }
    }
}

impl FoundBus {
    /// Finds the bus named `name`, or the only one that is running.
    ///
    /// # Errors
    /// [`DirectoryError::NotFound`], [`DirectoryError::Choose`], [`DirectoryError::Io`].
    pub fn find(name: Option<&str>) -> Result<Self, DirectoryError> {
        Self::find_in(Path::new(SHARED_ROOT), name)
    }

    /// As [`FoundBus::find`], in another root directory.
    ///
    /// # Errors
    /// As [`FoundBus::find`].
    pub fn find_in(root: &Path, name: Option<&str>) -> Result<Self, DirectoryError> {
        let mut running = Self::running_in(root)?;
        let names = |running: &[Self]| running.iter().map(|bus| bus.name.clone()).collect();
        match name {
            Some(name) => {
                let found = running.iter().position(|bus| bus.name == name);
                let not_found = || DirectoryError::NotFound { name: name.into(), running: names(&running) };
                found.ok_or_else(not_found).map(|index| running.swap_remove(index))
            }
            None if running.len() == 1 => Ok(running.swap_remove(0)),
            None => Err(DirectoryError::Choose(names(&running))),
        }
    }

    /// Lists, by name, the running buses that this process has access to.
    ///
    /// # Errors
    /// [`DirectoryError::Io`].
    pub fn running() -> Result<Vec<Self>, DirectoryError> {
        Self::running_in(Path::new(SHARED_ROOT))
    }

    /// As [`FoundBus::running`], in another root directory.
    ///
    /// # Errors
    /// As [`FoundBus::running`].
    pub fn running_in(root: &Path) -> Result<Vec<Self>, DirectoryError> {
        let mut found: Vec<Self> = list(root)?
            .into_iter()
            .filter_map(|file| {
                let name = file.strip_prefix(PREFIX)?.to_owned();
                let path = root.join(&file);
                let owner = read_owner(&path)?;
                owner.is_alive().then_some(Self { name, path, owner })
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The bus's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bus's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The process that runs the bus.
    pub fn owner(&self) -> Process {
        self.owner
    }

    /// Whether the owner is alive and the directory is still its own.
    pub fn is_running(&self) -> bool {
        read_owner(&self.path) == Some(self.owner) && self.owner.is_alive()
    }

    /// The file of the counters.
    pub fn counters(&self) -> PathBuf {
        self.path.join("counters")
    }

    /// Lists the directories of the shards, by number.
    ///
    /// # Errors
    /// [`DirectoryError::Io`].
    pub fn shards(&self) -> Result<Vec<ShardDirectory>, DirectoryError> {
        let mut numbers: Vec<u32> =
            list(&self.path)?.iter().filter_map(|file| file.strip_prefix("shard-")?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers.into_iter().map(|number| self.shard_at(number)).collect())
    }

    fn shard_at(&self, number: u32) -> ShardDirectory {
        ShardDirectory { number, path: self.path.join(format!("shard-{number}")) }
    }
}

impl ShardDirectory {
    /// The shard's number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The file of the ring.
    pub fn ring(&self) -> PathBuf {
        self.path.join("ring")
    }

    /// The file of the ring of publisher `id`.
    pub fn publisher(&self, id: u16) -> PathBuf {
        self.path.join(format!("publisher-{id}"))
    }

    /// Lists the ids of the publishers that other processes may be, in ascending order.
    ///
    /// # Errors
    /// [`DirectoryError::Io`].
    pub fn publishers(&self) -> Result<Vec<u16>, DirectoryError> {
        let mut ids: Vec<u16> = list(&self.path)?
            .iter()
            .filter_map(|file| file.strip_prefix("publisher-")?.parse().ok())
            .collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// Records the directory of the shard's trail, for readers that fall behind the ring.
    ///
    /// # Errors
    /// [`DirectoryError::Io`].
    pub fn set_trail(&self, trail: &Path) -> Result<(), DirectoryError> {
        let absolute = std::path::absolute(trail).map_err(on("find", trail))?;
        let file = self.path.join("trail");
        fs::write(&file, absolute.as_os_str().as_bytes()).map_err(on("write", &file))
    }

    /// The directory of the shard's trail; none when it is not recorded.
    pub fn trail(&self) -> Option<PathBuf> {
        let bytes = fs::read(self.path.join("trail")).ok()?;
        Some(PathBuf::from(OsStr::from_bytes(&bytes)))
    }
}

/// Removes the directories of dead processes and returns the names of their buses. Directories that cannot be
/// removed, such as another user's, stay.
///
/// # Errors
/// [`DirectoryError::Io`] when the root cannot be listed.
pub fn remove_stale(root: &Path) -> Result<Vec<String>, DirectoryError> {
    let mut removed = Vec::new();
    for file in list(root)? {
        let path = root.join(&file);
        if let Some(name) = file.strip_prefix(PREFIX) {
            if let Ok(Removal::Removed) = remove_if_dead(&path, name) {
                removed.push(name.to_owned());
            }
        } else if let Some(maker) = file.strip_prefix(HIDDEN_PREFIX).and_then(maker_of) {
            // Left by a process that died while it created or removed it.
            if !maker.is_alive() {
                let _ = fs::remove_dir_all(&path);
            }
        }
    }
    removed.sort_unstable();
    Ok(removed)
}

fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=BUS_NAME_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_allowed)
}

fn hidden_name(name: &str, maker: Process) -> String {
    format!("{HIDDEN_PREFIX}{name}@{}-{}", maker.id, maker.start_time)
}

fn maker_of(hidden: &str) -> Option<Process> {
    let (id, start_time) = hidden.rsplit_once('@')?.1.split_once('-')?;
    Some(Process { id: id.parse().ok()?, start_time: start_time.parse().ok()? })
}

fn make_directory(path: &Path) -> Result<(), DirectoryError> {
    DirBuilder::new().mode(0o700).create(path).map_err(on("make", path))
}

fn list(path: &Path) -> Result<Vec<String>, DirectoryError> {
    let entries = fs::read_dir(path).map_err(on("list", path))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

fn write_owner(directory: &Path, owner: Process) -> Result<(), DirectoryError> {
    let path = directory.join(OWNER);
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| writeln!(file, "{} {}", owner.id, owner.start_time)).map_err(on("write", &path))
}

fn read_owner(directory: &Path) -> Option<Process> {
    parse_owner(&fs::read_to_string(directory.join(OWNER)).ok()?)
}

fn parse_owner(text: &str) -> Option<Process> {
    let (id, start_time) = text.trim_end().split_once(' ')?;
    Some(Process { id: id.parse().ok()?, start_time: start_time.parse().ok()? })
}

/// Renames `hidden` to `path`, which is free or a dead bus's.
fn give_name(hidden: &Path, path: &Path, name: &str) -> Result<(), DirectoryError> {
    loop {
        // A directory is not renamed over one that has a file in it.
        let Err(error) = fs::rename(hidden, path) else { return Ok(()) };
        if !matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) {
            return Err(on("name", path)(error));
        }
        if let Removal::Alive(owner) = remove_if_dead(path, name)? {
            return Err(DirectoryError::Runs { name: name.into(), owner });
        }
    }
}

/// The result of [`remove_if_dead`].
enum Removal {
    Removed,
    /// Another process removed it first.
    Gone,
    Alive(Process),
}

/// Removes the directory if its owner is dead. The lock on the owner's file lets only one process at a time
/// do so, so that none removes what another has created meanwhile.
fn remove_if_dead(path: &Path, name: &str) -> Result<Removal, DirectoryError> {
    let file = path.join(OWNER);
    let mut owner = match File::open(&file) {
        Ok(owner) => owner,
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => {
            return Err(DirectoryError::Foreign(path.into()));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Removal::Gone),
        Err(error) => return Err(on("read", &file)(error)),
    };
    owner.lock().map_err(on("lock", &file))?;
    let is_there =
        |owner: &File| -> io::Result<bool> { Ok(fs::metadata(&file)?.ino() == owner.metadata()?.ino()) };
    if !is_there(&owner).unwrap_or(false) {
        return Ok(Removal::Gone);
    }
    let mut text = String::new();
    owner.read_to_string(&mut text).map_err(on("read", &file))?;
    let Some(process) = parse_owner(&text) else { return Err(DirectoryError::Foreign(path.into())) };
    if process.is_alive() {
        return Ok(Removal::Alive(process));
    }
    hide_and_remove(path, name, Process::current()).map_err(on("remove", path))?;
    Ok(Removal::Removed)
}

/// Renames a directory so that it is no longer found, then removes it.
fn hide_and_remove(path: &Path, name: &str, by: Process) -> io::Result<()> {
    let grave = path.with_file_name(hidden_name(&format!("{name}.gone"), by));
    // What an earlier removal of this process could not finish.
    let _ = fs::remove_dir_all(&grave);
    fs::rename(path, &grave)?;
    fs::remove_dir_all(&grave)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    struct Root(PathBuf);

    impl Root {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("stele-directory-{test}-{}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// The directory of a bus whose process is dead.
    fn create_of_dead_process(root: &Path, name: &str) {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let owner = Process::of(child.id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let path = root.join(format!("{PREFIX}{name}"));
        make_directory(&path).unwrap();
        write_owner(&path, owner).unwrap();
        fs::write(path.join("counters"), "old").unwrap();
    }

    #[test]
    fn a_bus_is_found_by_name_or_as_the_only_one_and_removed_with_its_owner() {
        let root = Root::new("found");
        let directory = BusDirectory::create_in(&root.0, "one").unwrap();
        assert_eq!(&FoundBus::find_in(&root.0, None).unwrap(), directory.bus());
        assert_eq!(fs::metadata(directory.path()).unwrap().permissions().mode() & 0o777, 0o700);
        let other = BusDirectory::create_in(&root.0, "other").unwrap();
        assert_eq!(FoundBus::find_in(&root.0, Some("other")).unwrap().owner(), Process::current());
        let choice = FoundBus::find_in(&root.0, None).unwrap_err().to_string();
        assert_eq!(choice, "several buses run, name one: one, other");
        let missing = FoundBus::find_in(&root.0, Some("two")).unwrap_err().to_string();
        assert_eq!(missing, "no bus named `two` runs; running: one, other");
        assert!(directory.is_running());
        let bus = directory.bus().clone();
        drop((directory, other));
        assert!(!bus.is_running());
        assert_eq!(list(&root.0).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_name_in_use_is_refused_and_that_of_a_dead_process_is_taken_over() {
        let root = Root::new("dead");
        create_of_dead_process(&root.0, "a");
        create_of_dead_process(&root.0, "b");
        assert_eq!(FoundBus::running_in(&root.0).unwrap(), []);
        let directory = BusDirectory::create_in(&root.0, "a").unwrap();
        assert_eq!(
            list(&root.0).unwrap(),
            ["stele-a"],
            "the directory of the other dead bus is removed, too"
        );
        assert!(!directory.counters().exists());
        let again = BusDirectory::create_in(&root.0, "a").unwrap_err();
        assert!(
            matches!(again, DirectoryError::Runs { owner, .. } if owner == Process::current()),
            "{again}"
        );
        assert!(directory.is_running(), "a refused creation removes nothing");
    }

    #[test]
    fn of_many_processes_that_take_over_a_dead_bus_one_succeeds() {
        let root = Root::new("race");
        create_of_dead_process(&root.0, "a");
        let path = root.0.join("stele-a");
        let removed: Vec<bool> = std::thread::scope(|scope| {
            let take = || matches!(remove_if_dead(&path, "a"), Ok(Removal::Removed));
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(removed.iter().filter(|removed| **removed).count(), 1);
    }

    #[test]
    fn names_that_would_leave_the_root_are_refused_and_foreign_directories_stay() {
        let root = Root::new("names");
        for name in ["", ".", "..", "a/b", "a b", ".hidden", &"n".repeat(BUS_NAME_MAX + 1)] {
            let error = BusDirectory::create_in(&root.0, name).unwrap_err();
            assert!(matches!(error, DirectoryError::Name(_)), "{error}");
        }
        fs::create_dir(root.0.join("stele-mine")).unwrap();
        fs::write(root.0.join("stele-mine/notes"), "keep").unwrap();
        let error = BusDirectory::create_in(&root.0, "mine").unwrap_err();
        assert!(matches!(error, DirectoryError::Foreign(_)), "{error}");
        assert!(root.0.join("stele-mine/notes").exists());
    }

    #[test]
    fn shards_and_publishers_are_listed_by_number() {
        let root = Root::new("shards");
        let directory = BusDirectory::create_in(&root.0, "a").unwrap();
        let shards = [10, 2].map(|number| directory.shard(number).unwrap());
        assert_eq!(directory.shard(2).unwrap(), shards[1], "created once");
        let numbers: Vec<u32> = directory.shards().unwrap().iter().map(ShardDirectory::number).collect();
        assert_eq!(numbers, [2, 10]);
        for id in [300, 7] {
            fs::write(shards[0].publisher(id), "").unwrap();
        }
        assert_eq!(shards[0].publishers().unwrap(), [7, 300]);
        assert_eq!(shards[0].trail(), None);
        shards[0].set_trail(Path::new("/var/trail")).unwrap();
        assert_eq!(shards[0].trail(), Some("/var/trail".into()));
    }
}
