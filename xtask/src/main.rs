//! The developer's commands of the project, in one program: `cargo xtask help`.
#![forbid(unsafe_code)]

mod campaigns;
mod gate;
mod neighbours;
mod process;
mod steps;
mod table;
mod tools;

use process::{Failed, Job, Output};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  build [ARGS]             builds the program as it is shipped
  test [ARGS]              runs every test of the workspace
  gate [STEP …]            runs every check that a change has to pass, or only the named steps
      --full               with the long steps
      --neighbours         with every step that needs a server of another program
      --list               lists the steps
  campaign [NAME [ARGS]]   runs a long search for defects, or lists them
  perf [ARGS]              measures this machine and the program on it
  words [PATH …]           checks the words, and the width of lines
  deb                      builds the Debian package, with completions and manual pages
  image                    builds the container image
  tools                    installs missing tools of the gate

Exit codes: 0 success, 1 a check failed, 2 usage.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else {
        print!("{HELP}");
        return ExitCode::from(2);
    };
    match run(command, rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Usage(what)) => {
            eprintln!("{what}; `cargo xtask help` lists the commands");
            ExitCode::from(2)
        }
        Err(failed) => {
            eprintln!("{failed}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str, rest: &[String]) -> Result<(), Failed> {
    let job = Job::new(&root(), Output::Terminal);
    match command {
        "build" => job.cargo(["build", "--release", "--locked"], rest),
        "test" => job.cargo(["test", "--workspace", "--locked"], rest),
        "gate" => gate::run(&root(), rest),
        "campaign" => campaigns::run(&job, rest),
        "perf" => job.cargo(["run", "--profile", "dist", "--locked", "--package", "stele-perf", "--"], rest),
        "words" => job.run("tools/words", rest),
        "deb" => no_words(command, rest).and_then(|()| steps::package(&job)),
        "image" => no_words(command, rest).and_then(|()| steps::image(&job)),
        "tools" => no_words(command, rest).and_then(|()| tools::install(&job)),
        "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(Failed::Usage(format!("`{other}` is not a command"))),
    }
}

/// Refuses words after a command that takes none.
fn no_words(command: &str, rest: &[String]) -> Result<(), Failed> {
    match rest.first() {
        Some(word) => Err(Failed::Usage(format!("`{command}` does not take `{word}`"))),
        None => Ok(()),
    }
}

/// The folder of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder in the repository").into()
}
