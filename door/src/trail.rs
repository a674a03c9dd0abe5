//! The files of a trail, handed to readers that have no access to its directory: names and read-only
//! descriptors, and at the client a storage that the readers of the journal take.

use crate::bounds::NAMES_MAX;
use crate::client::{ClientError, DoorClient};
use crate::protocol::{Answer, Code, Request};
use rustix::fs::{FileType, Mode, OFlags, fstat, open, openat};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use stele_journal::archive::ArchiveFile;
use stele_journal::archive::{archive_index, archive_name};
use stele_journal::format::{segment_index, segment_name};
use stele_journal::{Directory, LOCK_NAME, Storage, StoredFile};

/// The files of a trail, at the server.
pub(crate) struct TrailFiles {
    directory: PathBuf,
}

fn refused(code: Code, what: impl Into<String>) -> Answer {
    Answer::Refused { code, what: what.into(), decision: None }
}

impl TrailFiles {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.into() }
    }

    /// The names after `after`, in order, as many as one answer takes.
    pub(crate) fn list(&self, after: &str) -> Answer {
        let all = match Directory::new(&self.directory).list_as_it_is() {
            Ok(all) => all,
            Err(error) => return refused(Code::Unavailable, error.to_string()),
        };
        let mut rest = all.into_iter().filter(|name| name.as_str() > after && is_plain(name));
        let names: Vec<String> = rest.by_ref().take(NAMES_MAX).collect();
        Answer::Files { names, more: rest.next().is_some() }
    }

    /// A file, open for reading. The lock of the writer is not handed out: a descriptor of it could hold it.
    pub(crate) fn open(&self, name: &str) -> Result<OwnedFd, Answer> {
        let missing = || refused(Code::NotFound, format!("the trail has no file {name:?}"));
        if !is_plain(name) {
            return Err(missing());
        }
        let failed = |error: rustix::io::Errno| match error {
            rustix::io::Errno::NOENT | rustix::io::Errno::LOOP => missing(),
            error => refused(Code::Unavailable, format!("{name}: {error}")),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(&self.directory, flags, Mode::empty()).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = match openat(&directory, name, flags | OFlags::DIRECT, Mode::empty()) {
            Err(rustix::io::Errno::INVAL) => openat(&directory, name, flags, Mode::empty()),
            opened => opened,
        };
        let file = opened.map_err(failed)?;
        match fstat(&file).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::RegularFile) => Ok(file),
            _ => Err(missing()),
        }
    }
}

/// Whether it is a name of a file in the trail, and not a path or the writer's lock.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.contains(['/', '\0'])
        && !name.starts_with('.')
        && name != LOCK_NAME
}

/// A trail that is read through the door of the bus that writes it.
#[derive(Debug)]
pub(crate) struct DoorTrail {
    door: DoorClient,
    shard: u32,
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "a trail is only read through the door of its bus")
}

impl DoorTrail {
    pub(crate) fn new(door: DoorClient, shard: u32) -> Self {
        Self { door, shard }
    }

    fn open_as_it_is(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let request = Request::File { shard: self.shard, name: name.into() };
        let file = self.door.descriptor(&request).map_err(|error| {
            let kind = match &error {
                ClientError::Refused { code: Code::NotFound, .. } => io::ErrorKind::NotFound,
                ClientError::Refused { code: Code::Denied, .. } => io::ErrorKind::PermissionDenied,
                _ => io::ErrorKind::Other,
            };
            io::Error::new(kind, error)
        })?;
        Ok(Box::new(File::from(file)))
    }
}

impl Storage for DoorTrail {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut all: Vec<String> = Vec::new();
        loop {
            let after = all.last().cloned().unwrap_or_default();
            let (names, more) = self.door.files(self.shard, &after).map_err(io::Error::other)?;
            all.extend(names);
            if !more {
                break;
            }
        }
        // Archives appear under the names of their segments.
        let mut names: Vec<String> =
            all.into_iter().map(|name| archive_index(&name).map_or(name, segment_name)).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        match (self.open_as_it_is(name), segment_index(name)) {
            (Err(error), Some(index)) if error.kind() == io::ErrorKind::NotFound => {
                let packed = archive_name(index);
                let file = self.open_as_it_is(&packed)?;
                Ok(Box::new(ArchiveFile::open(file, self.describe(&packed))?))
            }
            (file, _) => file,
        }
    }

    fn keep(&self, _: &str, _: &mut dyn io::Read) -> io::Result<()> {
        Err(read_only())
    }

    fn close(&self, _: &str, _: u64) -> io::Result<()> {
        Err(read_only())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Err(read_only())
    }

    fn describe(&self, name: &str) -> String {
        format!("{name} of shard {} of bus {}", self.shard, self.door.welcome().bus)
    }
}
