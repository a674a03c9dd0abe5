//! `stele export-tiles`: exports the sealed tree and its events as C2SP tlog-tiles, for other tools.

use crate::access::{Access, WithAccess, record};
use crate::cli::ExportTilesArgs;
use crate::failure::Failure;
use crate::keys::read_key;
use crate::progress::Progress;
use crate::readable::grouped;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stele_compliance::seal::SealError;
use stele_compliance::seal::export::{ExportError, export};
use stele_journal::{Directory, Storage};
use stele_wire::messages::AccessKind;

/// Writes the tree to a new directory.
///
/// # Errors
/// [`Failure`]. The files written so far stay; the file `checkpoint` is then missing.
pub(crate) fn export_tiles(args: &ExportTilesArgs) -> Result<(), Failure> {
    let reader = super::open_trail(&args.read.trail)?;
    let key = read_key(&args.key.key)?;
    let to = args.to.display();
    fs::create_dir(&args.to).map_err(|error| {
        let failure = Failure::environment(format!("{to}: {error}"));
        if error.kind() == io::ErrorKind::AlreadyExists {
            failure.help("choose a new directory")
        } else {
            failure
        }
    })?;
    let access = Access { trail: &args.read.trail, kind: AccessKind::EXPORT, from: 0, to: 0 };
    let access = record(&args.read.access, &access, &reader)?;
    drop(reader);
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(&args.read.trail));
    let mut files = ExportDirectory { to: &args.to, folders: BTreeSet::new() };
    let progress = Progress::new("exporting", "events", None);
    let show = |done, total| progress.set_of(done, total);
    let exported = export(&storage, &key, &mut |name, bytes| files.write(name, bytes), &show);
    drop(progress);
    let exported = exported.inspect_err(|_| access.print()).map_err(|error| match error {
        ExportError::Unwritten { .. }
        | ExportError::Begins(_)
        | ExportError::Seal(SealError::Io { .. } | SealError::Trail(_)) => Failure::environment(error),
        ExportError::NotSealed(_) => Failure::not_so(error).help("`stele seal` seals a trail"),
        _ => Failure::not_so(error),
    })?;
    files.sync().map_err(|error| Failure::environment(format!("{to}: {error}")))?;
    if args.output.json {
        return super::print_json(&WithAccess { said: exported, access });
    }
    super::print_page(&format!(
        "exported {} events of {} to {} files in {to}, root {}\n{access}\n",
        grouped(exported.size),
        exported.origin,
        grouped(exported.files),
        exported.root,
    ))
}

/// The directory that is exported to, and the folders created in it so far.
struct ExportDirectory<'a> {
    to: &'a Path,
    folders: BTreeSet<PathBuf>,
}

impl ExportDirectory<'_> {
    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.to.join(name);
        let folder = path.parent().expect("it is below a directory");
        if !self.folders.contains(folder) {
            fs::create_dir_all(folder)?;
            self.folders.insert(folder.to_owned());
        }
        File::create_new(&path)?.write_all(bytes)
    }

    /// Flushes the whole file system to its device.
    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(self.to)?)?)
    }
}
