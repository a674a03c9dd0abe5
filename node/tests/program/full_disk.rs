//! A file system that fills up: the run ends with exit code 3 and reports how far the log is durable, and
//! everything up to there is intact.

use crate::{log_end, stele, stele_json, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use stele_testkit::skip::skip;

/// A small file system in a file, mounted until dropped.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts it; none where the system refuses, which is reported as a skip.
    fn mount(mebibytes: u32) -> Option<Self> {
        let disk = Self { folder: tempfile::tempdir().unwrap() };
        let image = disk.folder.path().join("image");
        let said = |command: &mut Command| match command.output() {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(error.to_string()),
        };
        fs::create_dir(disk.path()).unwrap();
        fs::File::create(&image).and_then(|file| file.set_len(u64::from(mebibytes) << 20)).unwrap();
        let refused = said(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))
            .or_else(|| said(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(disk.path())));
        if let Some(why) = refused {
            skip(&format!("a loop-mounted file system: {why}"));
            return None;
        }
        Some(disk)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).output();
    }
}

/// Returns what a run prints when the full disk ends it.
fn run_until_it_fails(configuration: &Path, trail: &Path) -> String {
    let output = stele(&["run", "-c", text(configuration), "--seconds", "60", "--dir", text(trail)]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    said
}

#[test]
fn a_full_disk_ends_the_run_with_everything_acknowledged_intact_and_says_how_far_that_is() {
    let Some(disk) = SmallDisk::mount(40) else { return };
    for engine in ["auto", "plain"] {
        let trail = disk.path().join(engine);
        let configuration = disk.folder.path().join("run.toml");
        let text_of = format!(
            "[journal]\nengine = '{engine}'\nsegment_mib = 1\nspare_segments = 2\n[bus]\nring_mib = 1\n[feed]\n\
             spec = 'generator:3'\n[[strategy]]\nname = 'ma-cross'\n"
        );
        fs::write(&configuration, text_of).unwrap();
        let said = run_until_it_fails(&configuration, &trail);
        assert!(said.contains("No space left on device") && said.contains("free some space"), "{said}");
        let durable = said.split("Everything up to position ").nth(1).and_then(|rest| rest.split(' ').next());
        let durable: u64 = durable.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{said}"));
        assert!(durable > 8 << 20, "it failed early: {said}");
        assert!(said.contains("orders were cancelled at the venue without the log"), "{said}");
        // There is no room for a record of the access either.
        let verified = stele_json(&["verify", text(&trail), "--unlogged"]);
        let end = log_end(&trail).unwrap();
        assert!(end.0 >= durable, "the log ends at {end}: {said}");
        assert_eq!(verified["events"], verified["last_sequence"]);
        // The disk is still full: the next start is refused and removes nothing.
        run_until_it_fails(&configuration, &trail);
        let again = stele_json(&["verify", text(&trail), "--unlogged"]);
        assert_eq!((&again["events"], log_end(&trail).unwrap()), (&verified["events"], end));
        fs::remove_dir_all(&trail).unwrap();
    }
}
