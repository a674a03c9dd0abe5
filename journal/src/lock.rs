//! One writer per trail: a lock that the kernel releases when its holder ends, however it ends.

use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use stele_wire::layout::Utc;
use stele_wire::units::Nanos;

/// Name of the lock file.
pub const LOCK_NAME: &str = "writer.lock";

/// The writer's lock, held until dropped. The file stays: only the kernel's lock on it shows that a writer
/// runs.
#[derive(Debug)]
pub struct WriterLock {
    _file: File,
}

/// Why the lock is unavailable.
#[derive(Debug)]
pub enum LockError {
    /// Another process holds it; with what that process wrote about itself.
    Held(String),
    /// The file system failed.
    Io(io::Error),
}

impl WriterLock {
    /// Takes the lock of the trail in `directory`, and writes the holder's process and host into the lock
    /// file.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(directory: &Path, now: Nanos) -> Result<Self, LockError> {
        let path = directory.join(LOCK_NAME);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let mut file = file.map_err(LockError::Io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut owner = String::new();
                let _ = file.take(4096).read_to_string(&mut owner);
                return Err(LockError::Held(owner.trim().replace('\n', ", ")));
            }
            Err(errno) => return Err(LockError::Io(errno.into())),
        }
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy().into_owned();
        let text = format!("pid {}\nhost {host}\nsince {}\n", std::process::id(), Utc(now.0));
        file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).map_err(LockError::Io)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_of_a_killed_writer_locks_no_later_writer_out() {
        let folder = tempfile::tempdir().unwrap();
        let owner = "pid 1\nhost elsewhere\nsince 1970-01-01T00:00:00.000000003Z\n";
        std::fs::write(folder.path().join(LOCK_NAME), owner).unwrap();
        let lock = WriterLock::take(folder.path(), Nanos(20)).unwrap();
        let owner = std::fs::read_to_string(folder.path().join(LOCK_NAME)).unwrap();
        assert!(owner.starts_with(&format!("pid {}\n", std::process::id())), "{owner}");
        assert!(!owner.contains("elsewhere"), "{owner}");
        drop(lock);
    }

    #[test]
    fn a_second_writer_learns_who_the_first_is_and_a_later_one_gets_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let first = WriterLock::take(folder.path(), Nanos(17)).unwrap();
        let Err(LockError::Held(owner)) = WriterLock::take(folder.path(), Nanos(18)) else {
            panic!("two writers at once")
        };
        assert!(owner.contains(&format!("pid {}", std::process::id())), "{owner}");
        assert!(owner.contains("since 1970-01-01T00:00:00.000000017Z"), "{owner}");
        drop(first);
        WriterLock::take(folder.path(), Nanos(19)).unwrap();
    }
}
