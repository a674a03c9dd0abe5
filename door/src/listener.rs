//! Takes the name of a bus: binds its socket, in place of one that a dead process left.

use crate::address::{AddressError, Place, SocketAddress};
use crate::bounds::BACKLOG;
use crate::credentials::Caller;
use rustix::fs::{
    AtFlags, FlockOperation, Gid, Mode, OFlags, chmodat, chownat, fchmod, flock, fstat, openat, statat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};
use rustix::process::geteuid;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

/// Why a bus cannot have its socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The directory cannot be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A bus runs at this socket.
    #[error("a bus runs already at {}, in {owner}: stop it, or choose another [bus] name", path.display())]
    Runs {
        /// The socket.
        path: PathBuf,
        /// The process that listens.
        owner: String,
    },
    /// The name is taken by something that is not a socket of this user.
    #[error("{} is taken: {what}; remove it, or choose another [bus] name or socket", path.display())]
    Squatted {
        /// The socket.
        path: PathBuf,
        /// What is there.
        what: String,
    },
    /// The kernel refused it.
    #[error("cannot listen at {}: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
}

/// A socket that listens. Clients may connect; they are answered once it is served. Dropping it removes its
/// name.
#[derive(Debug)]
pub struct DoorListener {
    pub(crate) socket: OwnedFd,
    place: Place,
    path: PathBuf,
    /// The file of the socket, by device and inode.
    file: (u64, u64),
}

/// The identity of the file with the name, not following a symbolic link.
fn file_of(place: &Place, name: &OsString) -> io::Result<(u64, u64)> {
    let stat = statat(&place.directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((stat.st_dev, stat.st_ino))
}

pub(crate) fn new_socket(flags: SocketFlags) -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | flags, None)?)
}

impl DoorListener {
    /// Binds the socket of a bus and listens. A socket of a process that is dead is replaced.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(address: &SocketAddress) -> Result<Self, BindError> {
        let path = address.path();
        let place = address.prepare()?;
        let failed = |source: io::Error| BindError::Io { path: path.into(), source };
        let socket = new_socket(SocketFlags::NONBLOCK).map_err(failed)?;
        // The file gets at most the mode of the socket, so it is never open to more than it is meant for.
        fchmod(&socket, address.mode()).map_err(|error| failed(error.into()))?;
        let to = place.address(&place.name).map_err(failed)?;
        let alone = BindLock::take(&place).map_err(failed)?;
        remove_dead(&place, path)?;
        bind(&socket, &to).map_err(|error| failed(error.into()))?;
        let listening = open_to(&socket, &place, address).and_then(|()| file_of(&place, &place.name));
        drop(alone);
        match listening {
            Ok(file) => Ok(Self { socket, place, path: path.into(), file }),
            Err(source) => {
                let _ = unlinkat(&place.directory, &place.name, AtFlags::empty());
                Err(failed(source))
            }
        }
    }

    /// The path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Gives the socket's file its mode and its group, and listens.
fn open_to(socket: &OwnedFd, place: &Place, address: &SocketAddress) -> io::Result<()> {
    if address.is_for_group() {
        // The directory's group is the one that may enter. Where this user cannot give it, its own stays.
        let group = Some(Gid::from_raw(place.group));
        let _ = chownat(&place.directory, &place.name, None, group, AtFlags::SYMLINK_NOFOLLOW);
    }
    chmodat(&place.directory, &place.name, address.mode(), AtFlags::empty())?;
    Ok(listen(socket, BACKLOG)?)
}

/// Removes the socket with the name if no process listens at it.
fn remove_dead(place: &Place, path: &Path) -> Result<(), BindError> {
    let squatted = |what: String| BindError::Squatted { path: path.into(), what };
    let failed = |source: io::Error| BindError::Io { path: path.into(), source };
    let Some(found) = place.socket().map_err(squatted)? else { return Ok(()) };
    if found.st_uid != geteuid().as_raw() {
        return Err(squatted(format!("the socket belongs to user {}", found.st_uid)));
    }
    if let Some(owner) = listening(place).map_err(failed)? {
        return Err(BindError::Runs { path: path.into(), owner });
    }
    unlinkat(&place.directory, &place.name, AtFlags::empty()).map_err(|error| failed(error.into()))
}

/// Held while a name is taken, so that of several processes that find a dead one's socket none removes what
/// another one has bound meanwhile. It is a file beside the socket, which is removed with the lock.
struct BindLock<'a> {
    place: &'a Place,
    name: OsString,
    _file: OwnedFd,
}

impl<'a> BindLock<'a> {
    fn take(place: &'a Place) -> io::Result<Self> {
        let name = OsString::from(format!(".{}.lock", place.name.to_string_lossy()));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let file = openat(&place.directory, &name, flags, Mode::RUSR | Mode::WUSR)?;
            flock(&file, FlockOperation::LockExclusive)?;
            let locked = fstat(&file)?;
            // The one that held the lock before has removed the file that was opened.
            if file_of(place, &name).is_ok_and(|file| file == (locked.st_dev, locked.st_ino)) {
                return Ok(Self { place, name, _file: file });
            }
        }
    }
}

impl Drop for BindLock<'_> {
    fn drop(&mut self) {
        let _ = unlinkat(&self.place.directory, &self.name, AtFlags::empty());
    }
}

/// The process that listens at the socket with the name; none when it is dead.
fn listening(place: &Place) -> io::Result<Option<String>> {
    let socket = new_socket(SocketFlags::NONBLOCK)?;
    match connect(&socket, &place.address(&place.name)?) {
        Ok(()) => Ok(Some(Caller::of(socket.as_fd())?.process.map_or_else(
            || "a process of another namespace".into(),
            |process| format!("process {process}"),
        ))),
        // Its backlog is full.
        Err(Errno::AGAIN) => Ok(Some("a process that is busy".into())),
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Drop for DoorListener {
    fn drop(&mut self) {
        if file_of(&self.place, &self.place.name).is_ok_and(|file| file == self.file) {
            let _ = unlinkat(&self.place.directory, &self.place.name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
    use std::os::unix::net::{UnixListener, UnixStream};

    fn at(folder: &tempfile::TempDir) -> (SocketAddress, PathBuf) {
        let path = folder.path().join("a.sock");
        (SocketAddress::at(&path), path)
    }

    #[test]
    fn a_socket_is_its_users_alone_and_its_name_is_removed_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let (address, path) = at(&folder);
        let listener = DoorListener::bind(&address).unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert!(UnixStream::connect(&path).is_ok());
        let again = DoorListener::bind(&address).unwrap_err().to_string();
        assert!(again.contains(&format!("in process {}: stop it", std::process::id())), "{again}");
        drop(listener);
        assert!(!path.exists());
        let group = SocketAddress::of_bus("a", Some(&path), true).unwrap();
        let _listener = DoorListener::bind(&group).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    }

    #[test]
    fn the_socket_of_a_dead_process_is_replaced_by_one_of_many_that_try() {
        let folder = tempfile::tempdir().unwrap();
        let (address, path) = at(&folder);
        for _ in 0..20 {
            drop(UnixListener::bind(&path).unwrap());
            assert!(path.exists(), "the name is left");
            let bound = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| DoorListener::bind(&address))).collect();
                threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect::<Vec<_>>()
            });
            assert_eq!(bound.len(), 1);
            assert!(UnixStream::connect(&path).is_ok(), "clients reach the one that was bound");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left aside");
    }

    #[test]
    fn what_is_not_a_socket_of_this_user_is_left_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (address, path) = at(&folder);
        std::fs::write(&path, "keep").unwrap();
        let refused = DoorListener::bind(&address).unwrap_err().to_string();
        assert!(refused.contains("something else than a socket"), "{refused}");
        std::fs::remove_file(&path).unwrap();
        let elsewhere = folder.path().join("elsewhere");
        let _other = UnixListener::bind(&elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        let refused = DoorListener::bind(&address).unwrap_err().to_string();
        assert!(refused.contains("something else than a socket"), "{refused}");
        std::fs::remove_file(&path).unwrap();
        let _foreign = UnixListener::bind(&path).unwrap();
        if geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            let refused = DoorListener::bind(&address).unwrap_err().to_string();
            assert!(refused.contains("belongs to user 65534"), "{refused}");
        } else {
            stele_testkit::skip::skip("root");
        }
    }
}
