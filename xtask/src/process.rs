//! Runs other programs and measures their processor time.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Why a step or a command failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The command line of `cargo xtask` is invalid.
    Usage(String),
    /// A program could not be started.
    Start {
        /// The program.
        program: String,
        /// The error of the operating system.
        why: String,
    },
    /// A program ended with an exit code other than 0.
    Exit {
        /// The program and its arguments.
        line: String,
        /// How it ended.
        how: String,
    },
    /// A check of this program failed.
    Check(String),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) | Self::Check(what) => f.write_str(what),
            Self::Start { program, why } => write!(f, "`{program}` cannot be started: {why}"),
            Self::Exit { line, how } => write!(f, "`{line}` ended with {how}"),
        }
    }
}

/// Where the programs of a job print.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    /// To this process's standard output and error.
    Terminal,
    /// To the end of a file.
    File(PathBuf),
}

/// The folder of the Python environment, relative to the repository.
pub(crate) const ENVIRONMENT: &str = "target/tools";

/// Programs that run one after the other, and their processor time.
pub(crate) struct Job {
    root: PathBuf,
    output: Output,
    cpu: Cell<Duration>,
}

/// How often the state of a running program is read.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The ticks of /proc/PID/stat in a second. Linux always reports 100 to user space.
const TICKS: u64 = 100;

impl Job {
    /// Creates a job whose programs run in `root`.
    pub(crate) fn new(root: &Path, output: Output) -> Self {
        Self { root: root.into(), output, cpu: Cell::default() }
    }

    /// Returns the folder of the repository.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the processor time of all programs so far, with that of their children.
    pub(crate) fn cpu(&self) -> Duration {
        self.cpu.get()
    }

    /// Returns the command of `program` with `arguments`, with the folder of installed tools on its path.
    pub(crate) fn command<S: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.root).env("PATH", search_path(&self.root));
        command
    }

    /// Runs `program`, which must end with exit code 0.
    pub(crate) fn run<S: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<(), Failed> {
        self.finish(self.command(program, arguments))
    }

    /// Runs `cargo` with `arguments` and then `more`.
    pub(crate) fn cargo<const N: usize>(&self, arguments: [&str; N], more: &[String]) -> Result<(), Failed> {
        self.run("cargo", arguments.into_iter().chain(more.iter().map(String::as_str)))
    }

    /// Prints a line where the programs print.
    pub(crate) fn say(&self, line: &str) {
        use std::io::Write as _;
        match &self.output {
            Output::Terminal => println!("{line}"),
            Output::File(path) => {
                if let Ok(mut file) = File::options().create(true).append(true).open(path) {
                    // Where the log cannot be written, the next step fails.
                    let _ = writeln!(file, "{line}");
                }
            }
        }
    }

    /// Whether `program` with `arguments` ends with exit code 0. Its output is discarded.
    pub(crate) fn succeeds<S: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> bool {
        let mut command = self.command(program, arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Returns what `program` prints on standard output, or `None` where it fails.
    pub(crate) fn read<S: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Option<String> {
        let output = self.command(program, arguments).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs `command`, which must end with exit code 0.
    pub(crate) fn finish(&self, mut command: Command) -> Result<(), Failed> {
        let line = line_of(&command);
        self.say(&format!("$ {line}"));
        let program = command.get_program().to_string_lossy().into_owned();
        let start = |why: std::io::Error| Failed::Start { program: program.clone(), why: why.to_string() };
        command.stdin(Stdio::null());
        if let Output::File(path) = &self.output {
            let file = File::options().create(true).append(true).open(path).map_err(start)?;
            command.stdout(file.try_clone().map_err(start)?).stderr(file);
        }
        let mut child = command.spawn().map_err(start)?;
        while let Some(Stat { state, cpu }) = Stat::read(child.id()) {
            if state == 'Z' {
                self.cpu.set(self.cpu.get() + cpu);
                break;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        let status = child.wait().map_err(start)?;
        if status.success() { Ok(()) } else { Err(Failed::Exit { line, how: status.to_string() }) }
    }
}

/// Returns the command line as a person types it.
fn line_of(command: &Command) -> String {
    let set = command.get_envs().filter(|(name, _)| *name != "PATH");
    let set = set.filter_map(|(name, value)| Some(format!("{}={:?} ", name.to_str()?, value?.to_str()?)));
    let words = command.get_args().map(|argument| format!(" {}", argument.to_string_lossy()));
    set.chain([command.get_program().to_string_lossy().into_owned()]).chain(words).collect()
}

/// The state of a process, from /proc.
struct Stat {
    /// `Z` when the process has ended and its parent has not waited for it.
    state: char,
    /// The processor time of the process and of its ended children.
    cpu: Duration,
}

impl Stat {
    fn read(process: u32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
    }

    /// Parses fields 3 and 14 to 17 of proc_pid_stat(5). The second field, the name, may contain spaces and
    /// brackets.
    fn parse(stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks: u64 = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
        let cpu = Duration::from_millis(ticks * 1_000 / TICKS);
        Some(Self { state: fields[0].chars().next()?, cpu })
    }
}

/// Returns the search path, with the tools of the repository `root` first.
fn search_path(root: &Path) -> OsString {
    let own = root.join(ENVIRONMENT).join("bin");
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let folders = [own].into_iter().chain(std::env::split_paths(&inherited));
    std::env::join_paths(folders).unwrap_or(inherited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_summed_over_a_process_and_its_children() {
        let stat = Stat::parse("7 (a) b) Z 1 2 3 4 5 6 7 8 9 10 100 20 3 2 20 0").unwrap();
        assert_eq!((stat.state, stat.cpu), ('Z', Duration::from_millis(1_250)));
        let job = Job::new(Path::new("/"), Output::Terminal);
        job.run("sh", ["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"]).unwrap();
        assert!(job.cpu() > Duration::ZERO);
    }

    #[test]
    fn a_program_that_fails_is_named_with_its_arguments() {
        let job = Job::new(Path::new("/"), Output::Terminal);
        let failed = job.run("sh", ["-c", "exit 3"]).unwrap_err().to_string();
        assert_eq!(failed, "`sh -c exit 3` ended with exit status: 3");
        let failed = job.run("/is/not/there", [""; 0]).unwrap_err().to_string();
        assert!(failed.starts_with("`/is/not/there` cannot be started: "), "{failed}");
        assert!(!job.succeeds("false", [""; 0]) && job.succeeds("true", [""; 0]));
    }
}
