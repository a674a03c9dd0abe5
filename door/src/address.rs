//! Where the socket of a bus is, and which directories can be trusted with it.
//!
//! ```text
//!  [bus] socket                   wherever the configuration says
//!  /run/stele/NAME.sock           where [[person]] is configured, and under systemd (RuntimeDirectory=stele)
//!  $XDG_RUNTIME_DIR/stele/…       a session of a user
//!  TEMPORARY/stele-USER/…         otherwise, 0700
//! ```
//! A directory is trusted if it belongs to this user or to root and no other user can put a name into it. The
//! directory is opened once, without following a symbolic link in its last part, and everything else happens
//! relative to it.

use crate::bounds::BUS_NAME_MAX;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, open, statat};
use rustix::net::SocketAddrUnix;
use rustix::process::geteuid;
use std::env;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The directory of sockets that a group of users may open.
pub const GROUP_DIRECTORY: &str = "/run/stele";
/// The ending of a socket's name.
pub const EXTENSION: &str = ".sock";
/// Environment variables: the paths of further sockets to look for buses at, separated by `:`; and the
/// directories that systemd and a user's session provide.
const SOCKETS: &str = "STELE_SOCKET";
const SYSTEMD: &str = "RUNTIME_DIRECTORY";
const SESSION: &str = "XDG_RUNTIME_DIR";

/// Why a socket cannot be where it should be.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The name of the bus is not allowed.
    #[error(
        "bus name `{0}`: choose 1 to {BUS_NAME_MAX} letters, digits, `-`, `_` and `.`, not starting with `.`"
    )]
    Name(String),
    /// The path has no directory or no name.
    #[error("{}: the path of a socket needs a directory and a name", .0.display())]
    Path(PathBuf),
    /// The directory cannot be used.
    #[error("cannot open the directory {}: {source}", directory.display())]
    Open {
        /// The directory.
        directory: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// Another user could replace the socket.
    #[error("{} is not safe for a socket: {what}", directory.display())]
    Unsafe {
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// Where the socket of a bus is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketAddress {
    path: PathBuf,
    /// Whether a group may open it.
    is_for_group: bool,
    directory: Directory,
}

/// What is expected of the directory of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Directory {
    /// It is this user's own, for sockets only, and no other user can enter it. It is created if it is
    /// missing.
    Private,
    /// It is a service's, for sockets only, and a group can enter it. It is created if it is missing.
    OfService,
    /// The user or the configuration names the path.
    Named,
}

/// An open directory that can be trusted.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: OwnedFd,
    pub(crate) owner: u32,
    pub(crate) group: u32,
    pub(crate) name: OsString,
}

fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=BUS_NAME_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_allowed)
}

/// The directories for sockets without `[bus] socket`, the first for this process.
fn directories() -> Vec<PathBuf> {
    let session = env::var_os(SESSION).filter(|path| Path::new(path).is_absolute());
    let session = session.map(|path| Path::new(&path).join("stele"));
    let own = env::temp_dir().join(format!("stele-{}", geteuid().as_raw()));
    session.into_iter().chain([own]).collect()
}

/// The directory that systemd made for this service.
fn service_directory() -> Option<PathBuf> {
    let all = env::var_os(SYSTEMD)?;
    let first = all.to_str()?.split(':').next()?.to_owned();
    Path::new(&first).is_absolute().then(|| first.into())
}

impl SocketAddress {
    /// The address of the bus `name`: `configured`, or the default, which depends on whether a group of users
    /// may open it.
    ///
    /// # Errors
    /// [`AddressError::Name`], [`AddressError::Path`].
    pub fn of_bus(name: &str, configured: Option<&Path>, is_for_group: bool) -> Result<Self, AddressError> {
        if !is_name(name) {
            return Err(AddressError::Name(name.into()));
        }
        if let Some(path) = configured {
            let path = std::path::absolute(path).map_err(|_| AddressError::Path(path.into()))?;
            return Ok(Self { path, is_for_group, directory: Directory::Named });
        }
        let (folder, directory) = match (service_directory(), is_for_group) {
            (Some(folder), _) => (folder, Directory::OfService),
            (None, true) => (GROUP_DIRECTORY.into(), Directory::OfService),
            (None, false) => (directories().swap_remove(0), Directory::Private),
        };
        Ok(Self { path: folder.join(format!("{name}{EXTENSION}")), is_for_group, directory })
    }

    /// The address at a path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), is_for_group: false, directory: Directory::Named }
    }

    /// The path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The mode of the socket: 0660 for a group, otherwise 0600.
    pub(crate) fn mode(&self) -> Mode {
        let own = Mode::RUSR | Mode::WUSR;
        if self.is_for_group { own | Mode::RGRP | Mode::WGRP } else { own }
    }

    pub(crate) fn is_for_group(&self) -> bool {
        self.is_for_group
    }

    /// Checks that a socket can be created here, and creates a default directory that is missing.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn check(&self) -> Result<(), AddressError> {
        self.prepare().map(|_| ())
    }

    /// Opens the directory for a new socket. A default directory is created if it is missing.
    pub(crate) fn prepare(&self) -> Result<Place, AddressError> {
        let mode = match self.directory {
            Directory::Private => Some(0o700),
            Directory::OfService => Some(0o750),
            Directory::Named => None,
        };
        if let (Some(directory), Some(mode)) = (self.path.parent(), mode) {
            match DirBuilder::new().mode(mode).create(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(AddressError::Open { directory: directory.into(), source: error });
                }
                _ => {}
            }
        }
        let place = self.open()?;
        if ![0, geteuid().as_raw()].contains(&place.owner) {
            let directory = self.path.parent().unwrap_or(Path::new(".")).into();
            return Err(AddressError::Unsafe {
                directory,
                what: format!("it belongs to user {}", place.owner),
            });
        }
        Ok(place)
    }

    /// Opens the directory and checks who can put names into it.
    pub(crate) fn open(&self) -> Result<Place, AddressError> {
        let (Some(directory), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Err(AddressError::Path(self.path.clone()));
        };
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = |error: rustix::io::Errno| match error {
            rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP => AddressError::Unsafe {
                directory: directory.into(),
                what: "it is a symbolic link or not a directory".into(),
            },
            error => AddressError::Open { directory: directory.into(), source: error.into() },
        };
        let opened = open(directory, flags, Mode::empty()).map_err(failed)?;
        let stat = fstat(&opened).map_err(failed)?;
        let checked = self.check_owner(&stat);
        checked.map_err(|what| AddressError::Unsafe { directory: directory.into(), what })?;
        Ok(Place { directory: opened, owner: stat.st_uid, group: stat.st_gid, name: name.into() })
    }

    /// Checks that only the owner of the directory can put names into it, or replace names there.
    fn check_owner(&self, stat: &Stat) -> Result<(), String> {
        let mode = Mode::from_raw_mode(stat.st_mode);
        let shown = stat.st_mode & 0o7777;
        if self.directory == Directory::Private {
            if stat.st_uid != geteuid().as_raw() {
                return Err(format!("it belongs to user {}", stat.st_uid));
            }
            if mode.intersects(Mode::RWXG | Mode::RWXO) {
                return Err(format!("others may enter it (mode {shown:03o})"));
            }
        }
        if mode.intersects(Mode::WGRP | Mode::WOTH) && !mode.contains(Mode::SVTX) {
            return Err(format!("others may write to it (mode {shown:03o})"));
        }
        Ok(())
    }
}

impl Place {
    /// The address for the calls of the kernel, relative to the open directory: short, whatever the path is,
    /// and the same directory, whatever happens to the path.
    pub(crate) fn address(&self, name: &OsString) -> io::Result<SocketAddrUnix> {
        let directory = format!("/proc/self/fd/{}", self.directory.as_raw_fd());
        Ok(SocketAddrUnix::new(Path::new(&directory).join(name))?)
    }

    /// The socket with the name; none where there is none. The error states what else there is.
    pub(crate) fn socket(&self) -> Result<Option<Stat>, String> {
        let found = match statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            found => found.map_err(|error| error.to_string())?,
        };
        if FileType::from_raw_mode(found.st_mode) != FileType::Socket {
            return Err("something else than a socket has its name".into());
        }
        Ok(Some(found))
    }
}

/// The sockets at which buses may be found, with the names of the buses: those that the environment names,
/// and those in the directories for sockets.
pub(crate) fn candidates() -> Vec<(String, SocketAddress)> {
    let named = env::var_os(SOCKETS).unwrap_or_default();
    let named = env::split_paths(&named).filter(|path| !path.as_os_str().is_empty());
    let mut found: Vec<(String, SocketAddress)> =
        named.filter_map(|path| Some((name_of(&path)?, SocketAddress::at(path)))).collect();
    let private = directories().into_iter().map(|folder| (folder, Directory::Private));
    for (folder, directory) in private.chain([(GROUP_DIRECTORY.into(), Directory::OfService)]) {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort_unstable();
        let is_socket = |path: &PathBuf| path.as_os_str().as_encoded_bytes().ends_with(EXTENSION.as_bytes());
        let sockets = paths.into_iter().filter(is_socket);
        found.extend(sockets.filter_map(|path| {
            Some((name_of(&path)?, SocketAddress { path, is_for_group: false, directory }))
        }));
    }
    found
}

/// The name of the bus whose socket has this path; none where no bus can have the name.
pub(crate) fn name_of(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let name = file.strip_suffix(EXTENSION).unwrap_or(file);
    is_name(name).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_directory_that_others_can_write_to_or_a_link_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddress::at(folder.path().join("a.sock"));
        assert!(address.open().is_ok());
        mode(folder.path(), 0o777);
        let refused = address.open().unwrap_err().to_string();
        assert!(refused.contains("others may write to it (mode 777)"), "{refused}");
        mode(folder.path(), 0o1777);
        assert!(address.open().is_ok(), "with the sticky bit only the owner of a name replaces it");
        mode(folder.path(), 0o700);
        let own = |mode_now: u32| {
            mode(folder.path(), mode_now);
            let address = SocketAddress { directory: Directory::Private, ..address.clone() };
            address.open().map(|_| ()).map_err(|error| error.to_string())
        };
        assert!(own(0o755).unwrap_err().contains("others may enter it (mode 755)"));
        assert_eq!(own(0o700), Ok(()));
        if geteuid().is_root() {
            std::os::unix::fs::chown(folder.path(), Some(65_534), None).unwrap();
            assert!(own(0o700).unwrap_err().contains("belongs to user 65534"), "somebody was faster");
            assert!(address.prepare().unwrap_err().to_string().contains("belongs to user 65534"));
            std::os::unix::fs::chown(folder.path(), Some(0), None).unwrap();
        } else {
            stele_testkit::skip::skip("root");
        }
        let link = folder.path().join("link");
        symlink(folder.path(), &link).unwrap();
        let refused = SocketAddress::at(link.join("a.sock")).open().unwrap_err().to_string();
        assert!(refused.contains("a symbolic link or not a directory"), "{refused}");
    }

    #[test]
    fn names_that_would_leave_the_directory_are_refused() {
        for name in ["", ".", "..", "a/b", "a b", ".hidden", &"n".repeat(BUS_NAME_MAX + 1)] {
            let refused = SocketAddress::of_bus(name, None, false).unwrap_err();
            assert!(matches!(refused, AddressError::Name(_)), "{refused}");
        }
        let configured = SocketAddress::of_bus("a", Some(Path::new("/x/y.sock")), true).unwrap();
        assert_eq!((configured.path(), configured.mode()), (Path::new("/x/y.sock"), Mode::from(0o660)));
        assert_eq!(name_of(Path::new("/x/y.sock")).as_deref(), Some("y"));
    }
}
