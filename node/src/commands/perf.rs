//! `stele perf`: runs `stele-perf`, a separate program, so that this one does not link the libraries that the
//! benchmarks compare it with.

use crate::cli::{PerfArgs, command};
use crate::failure::Failure;
use crate::own_name::name_command;
use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The file name of the program.
const PROGRAM: &str = "stele-perf";

/// Replaces this process with `stele-perf` and the same arguments.
pub(crate) fn perf(args: &PerfArgs) -> Result<(), Failure> {
    let own = env::current_exe().ok();
    let folders = own.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    let path = env::var_os("PATH").unwrap_or_default();
    let Some(program) = find(folders.into_iter().chain(env::split_paths(&path))) else {
        return not_installed(args);
    };
    let error = Command::new(&program).args(&args.arguments).exec();
    Err(Failure::environment(format!("cannot run {}: {error}", program.display())))
}

/// Returns the path of the program in the first of these folders that contains it.
fn find(folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let is_program =
        |path: &PathBuf| path.metadata().is_ok_and(|is| is.is_file() && is.permissions().mode() & 0o111 != 0);
    folders.map(|folder| folder.join(PROGRAM)).find(is_program)
}

fn not_installed(args: &PerfArgs) -> Result<(), Failure> {
    let help = ["--help", "-h"].map(OsStr::new);
    if args.arguments.iter().any(|argument| help.contains(&argument.as_os_str())) {
        let mut cli = name_command(command());
        let own = cli.find_subcommand_mut("perf").expect("it is this command");
        return super::print_page(&format!("{}\n", own.render_long_help()));
    }
    Err(Failure::environment(format!("{PROGRAM} is not installed: it is neither next to this program nor on PATH"))
        .help(
            "in a checkout of Stele, run `cargo build --release -p stele-perf` to build it next to `stele`, or `cargo \
             install --path perf` to install it on PATH",
        ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    #[test]
    fn the_first_folder_with_an_executable_file_of_that_name_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let folders =
            ["missing", "a-folder", "not-executable", "first", "second"].map(|name| folder.path().join(name));
        for (folder, mode) in folders.iter().zip([None, None, Some(0o644), Some(0o755), Some(0o755)]) {
            let program = folder.join(PROGRAM);
            match mode {
                None if folder.ends_with("a-folder") => fs::create_dir_all(&program).unwrap(),
                None => {}
                Some(mode) => {
                    fs::create_dir_all(folder).unwrap();
                    fs::write(&program, "").unwrap();
                    fs::set_permissions(&program, Permissions::from_mode(mode)).unwrap();
                }
            }
        }
        assert_eq!(find(folders.iter().cloned()), Some(folders[3].join(PROGRAM)));
        assert_eq!(find(folders[..3].iter().cloned()), None);
    }
}
