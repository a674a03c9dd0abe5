//! The check of what protects closed segments from change.

use super::finding::{Verdict, good, unknown, warning};
use super::machine::{AtRest, Machine, Setup};
use crate::keeper::segments;
use rustix::fs::{IFlags, ioctl_getflags, statfs};
use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// File systems by their magic numbers in `statfs(2)`.
const FILE_SYSTEMS: [(u64, &str); 9] = [
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x2fc1_2fc1, "zfs"),
    (0xf2f5_2010, "f2fs"),
    (0x0102_1994, "tmpfs"),
    (0x794c_7630, "overlayfs"),
    (0x6969, "nfs"),
    (0x6573_5546, "fuse"),
];

impl AtRest {
    /// Examines the trails in these directories; none where no segment is closed.
    pub(crate) fn of(trails: &[PathBuf]) -> Option<Self> {
        let files: Vec<PathBuf> = trails.iter().flat_map(|trail| closed_segments(trail)).collect();
        let is_writable = |file: &&PathBuf| mode(file).is_none_or(|mode| mode & 0o222 != 0);
        let flags: Option<Vec<IFlags>> = files.iter().map(|file| flags(file)).collect();
        let is_immutable = |flags: &&IFlags| flags.contains(IFlags::IMMUTABLE);
        Some(Self {
            file_system: file_system(files.first()?),
            closed: files.len(),
            writable: files.iter().filter(is_writable).count(),
            immutable: flags.map(|flags| flags.iter().filter(is_immutable).count()),
        })
    }
}

/// Returns every segment except the newest one if it may still be written.
fn closed_segments(trail: &Path) -> Vec<PathBuf> {
    let mut found = segments(trail);
    if found.last().is_some_and(|newest| mode(newest).is_none_or(|mode| mode & 0o222 != 0)) {
        found.pop();
    }
    found
}

fn mode(file: &Path) -> Option<u32> {
    Some(file.metadata().ok()?.permissions().mode())
}

fn flags(file: &Path) -> Option<IFlags> {
    ioctl_getflags(File::open(file).ok()?).ok()
}

fn file_system(file: &Path) -> String {
    let Ok(found) = statfs(file) else { return "an unknown file system".into() };
    let number = found.f_type as u64;
    let known = FILE_SYSTEMS.iter().find(|(known, _)| *known == number);
    known.map_or(format!("file system {number:#x}"), |(_, name)| (*name).to_owned())
}

/// Checks the permissions and the immutable flag. Permissions prevent mistakes; the flag also stops the owner
/// of the files; neither stops root.
pub(super) fn closed(_: &Machine, setup: &Setup) -> Verdict {
    let Some(AtRest { file_system, closed, writable, immutable }) = &setup.at_rest else {
        return unknown("no segment is closed yet; each becomes read-only when it is closed");
    };
    if *writable > 0 {
        let found = format!("{writable} of {closed} closed segments are writable, on {file_system}");
        return warning(
            found,
            "chmod 400 them, and check with `stele verify --key` that they have not been altered",
        );
    }
    let remedy = "set [at_rest] immutable = true, or copy_to a store with object lock; docs/compliance.md says what \
                  each prevents";
    match immutable {
        Some(flagged) if flagged == closed => good(format!(
            "{closed} closed segments, read-only and immutable, on {file_system}: only root can change that"
        )),
        Some(flagged) => warning(
            format!(
                "{closed} closed segments, read-only, {flagged} of them immutable, on {file_system}: their owner can \
                 change the others"
            ),
            remedy,
        ),
        None => warning(
            format!(
                "{closed} closed segments, read-only, on {file_system}, which has no immutable flag: their owner can change them"
            ),
            remedy,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};
    use stele_journal::archive::archive_name;
    use stele_journal::format::segment_name;

    fn make(folder: &Path, name: &str, mode: u32) {
        write(folder.join(name), "").unwrap();
        set_permissions(folder.join(name), Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn closed_segments_are_counted_with_archived_ones_and_without_the_open_one() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(AtRest::of(&[folder.path().into()]), None);
        make(folder.path(), &segment_name(3), 0o600);
        assert_eq!(AtRest::of(&[folder.path().into()]), None);
        make(folder.path(), &archive_name(1), 0o400);
        make(folder.path(), &segment_name(2), 0o400);
        make(folder.path(), "other", 0o600);
        let found = AtRest::of(&[folder.path().into()]).unwrap();
        assert_eq!((found.closed, found.writable), (2, 0));
        assert!(found.immutable.is_none_or(|count| count == 0) && !found.file_system.is_empty());
        set_permissions(folder.path().join(segment_name(2)), Permissions::from_mode(0o600)).unwrap();
        set_permissions(folder.path().join(segment_name(3)), Permissions::from_mode(0o400)).unwrap();
        let found = AtRest::of(&[folder.path().into(), folder.path().join("nowhere")]).unwrap();
        assert_eq!((found.closed, found.writable), (3, 1));
    }
}
