//! A trail in a directory of a file system.

use crate::archive_file::ArchiveFile;
use crate::format::{archive_index, archive_name, segment_index, segment_name};
use crate::storage::{Storage, StoredFile};
use rustix::fs::{IFlags, Mode, OFlags, ioctl_getflags, ioctl_setflags};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A trail in a directory. Reads bypass the page cache where the file system allows it, so that reading a
/// live trail neither sees stale pages nor disturbs its writer.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Returns the trail in `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Creates the directory, accessible to its owner only, if it does not exist.
    ///
    /// # Errors
    /// The error of the file system.
    pub fn create(&self) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        if self.path.is_dir() {
            return Ok(());
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        match self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => sync_folder(parent),
            None => sync_folder(Path::new(".")),
        }
    }

    /// Makes the names in the directory durable.
    ///
    /// # Errors
    /// The error of the file system.
    pub fn sync(&self) -> io::Result<()> {
        sync_folder(&self.path)
    }

    /// Returns the directory's path.
    pub fn root(&self) -> &Path {
        &self.path
    }

    fn open_as_it_is(&self, name: &str) -> io::Result<File> {
        open_direct(&self.path.join(name))
    }

    /// Opens the file with exactly this name; for an archive, its compressed bytes.
    ///
    /// # Errors
    /// The error of the file system.
    pub fn open_file(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        Ok(Box::new(self.open_as_it_is(name)?))
    }

    /// Opens the raw file in the archive with this name.
    ///
    /// # Errors
    /// The error of the file system; [`io::ErrorKind::InvalidData`] when the file is not an archive.
    pub fn open_packed(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let packed = self.open_file(name)?;
        Ok(Box::new(ArchiveFile::open(packed, self.describe(name))?))
    }

    /// Lists the names of the files directly in the directory; archives have their own names.
    ///
    /// # Errors
    /// The error of the file system.
    pub fn list_as_it_is(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open_archive(&self, index: u64) -> io::Result<ArchiveFile> {
        let name = archive_name(index);
        ArchiveFile::open(Box::new(self.open_as_it_is(&name)?), self.describe(&name))
    }
}

/// Opens a file for reading that bypasses the page cache, or uses it where the file system supports nothing
/// else.
pub(crate) fn open_direct(path: &Path) -> io::Result<File> {
    let open = |flags| rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | flags, Mode::empty());
    let file = match open(OFlags::DIRECT) {
        Err(rustix::io::Errno::INVAL) => open(OFlags::empty()),
        other => other,
    };
    Ok(File::from(file?))
}

/// Sets or clears the immutable flag of a file (`i` of chattr(1)), with which a file system refuses every
/// change of the file, its removal and renaming included. Does nothing if the flag has this value already.
///
/// # Errors
/// The kernel's error: the flag needs `CAP_LINUX_IMMUTABLE` and a file system that supports it.
pub fn set_immutable(path: &Path, is_immutable: bool) -> io::Result<()> {
    let file = File::open(path)?;
    let flags = ioctl_getflags(&file)?;
    if flags.contains(IFlags::IMMUTABLE) == is_immutable {
        return Ok(());
    }
    let mut wanted = flags;
    wanted.set(IFlags::IMMUTABLE, is_immutable);
    Ok(ioctl_setflags(&file, wanted)?)
}

/// Clears the immutable flag of a file before it is removed or moved.
pub(crate) fn release(path: &Path) -> io::Result<()> {
    match set_immutable(path, false) {
        // The file does not exist, or its file system has no flags.
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Ok(()),
        lifted => lifted,
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl Storage for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = self.list_as_it_is()?.into_iter();
        let mut names: Vec<String> =
            names.map(|name| archive_index(&name).map_or(name, segment_name)).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        match (self.open_as_it_is(name), segment_index(name)) {
            (Err(error), Some(index)) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Box::new(self.open_archive(index)?))
            }
            (file, _) => Ok(Box::new(file?)),
        }
    }

    fn keep(&self, name: &str, source: &mut dyn io::Read) -> io::Result<()> {
        let path = self.path.join(name);
        let folder = path.parent().expect("a name within the trail");
        if !folder.is_dir() {
            Directory::new(folder).create()?;
        }
        let unfinished = path.with_added_extension("unfinished");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        io::copy(source, &mut file)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        sync_folder(folder)
    }

    fn close(&self, name: &str, length: u64) -> io::Result<()> {
        let path = self.path.join(name);
        if let Some(index) = segment_index(name)
            && !path.exists()
            && let Ok(archive) = self.open_archive(index)
        {
            return match archive.length()? {
                held if held == length => Ok(()),
                held => Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("it is archived with {held} bytes, and cannot be cut to {length}"),
                )),
            };
        }
        let closed = fs::metadata(&path)?;
        if closed.len() == length && closed.permissions().mode() & 0o222 == 0 {
            return File::open(&path)?.sync_all();
        }
        release(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let file = OpenOptions::new().write(true).open(&path)?;
        if file.metadata()?.len() != length {
            file.set_len(length)?;
        }
        file.set_permissions(Permissions::from_mode(0o400))?;
        file.sync_all()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let remove = |name: &str| {
            let path = self.path.join(name);
            release(&path).and_then(|()| fs::remove_file(&path))
        };
        let mut removed = remove(name);
        if let Some(index) = segment_index(name) {
            match remove(&archive_name(index)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                gone => removed = gone,
            }
        }
        removed?;
        self.sync()
    }

    fn describe(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        let path = self.path.join(name);
        let is_archived = segment_index(name)
            .is_some_and(|index| !path.exists() && self.path.join(archive_name(index)).exists());
        (!is_archived).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::Pages;

    #[test]
    fn a_kept_file_appears_whole_and_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path().join("trail"));
        directory.create().unwrap();
        directory.keep("cut/x.bytes", &mut &b"hello"[..]).unwrap();
        let path = directory.path("cut/x.bytes").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(directory.root()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(folder.path().join("trail/cut")).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_ends_off_a_page_is_read_to_its_last_byte() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path());
        let bytes: Vec<u8> = (0..10_000u32).map(|i| i as u8).collect();
        directory.keep("a", &mut &bytes[..]).unwrap();
        let mut pages = Pages::zeroed(16_384);
        let file = directory.open("a").unwrap();
        assert_eq!(file.length().unwrap(), 10_000);
        assert_eq!(file.read_at(&mut pages, 0).unwrap(), 10_000);
        assert_eq!(pages[..10_000], bytes);
        assert_eq!(file.read_at(&mut pages[..4096], 8192).unwrap(), 10_000 - 8192);
    }

    #[test]
    fn a_closed_file_is_cut_and_read_only() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path());
        directory.keep("a", &mut &[1u8; 9000][..]).unwrap();
        directory.close("a", 5000).unwrap();
        directory.close("a", 5000).unwrap();
        let metadata = fs::metadata(folder.path().join("a")).unwrap();
        assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (5000, 0o400));
    }
}
