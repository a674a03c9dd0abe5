//! The identity of a process, and how another process learns that it is dead.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use std::fmt;
use std::fs;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// How the process at the other end of shared memory is known to be alive.
#[derive(Clone, Debug)]
pub enum Liveness {
    /// /proc is asked about the process that the memory names: for a process of the same user and the same
    /// namespace.
    Process,
    /// A connected socket to the process. The kernel closes it when the process dies, whatever else happens.
    Connection(Arc<OwnedFd>),
}

impl Liveness {
    /// Whether the process is alive; `named` is the process that the memory names. It costs one or more calls
    /// of the kernel: do not call it on a hot thread.
    pub fn is_alive(&self, named: Process) -> bool {
        match self {
            Self::Process => named.is_alive(),
            Self::Connection(socket) => {
                let mut polled = [PollFd::new(socket, PollFlags::RDHUP)];
                let none = Timespec { tv_sec: 0, tv_nsec: 0 };
                let is_over = PollFlags::HUP | PollFlags::ERR | PollFlags::RDHUP;
                let ready = poll(&mut polled, Some(&none)).unwrap_or(0);
                ready == 0 || !polled[0].revents().intersects(is_over)
            }
        }
    }
}

/// A process of this machine. The start time distinguishes it from a later process with the same id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Process {
    /// The process id.
    pub id: u32,
    /// Its start time in clock ticks since boot: field 22 of /proc/PID/stat, proc_pid_stat(5).
    pub start_time: u64,
}

impl Process {
    /// The calling process.
    ///
    /// # Panics
    /// When /proc is not mounted.
    pub fn current() -> Self {
        let id = std::process::id();
        Self::of(id).expect("/proc is mounted and shows this process")
    }

    /// The process that now has the id `id`; none when there is none or when it is a zombie.
    pub fn of(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        parse_stat(&stat).map(|start_time| Self { id, start_time })
    }

    /// Whether the process still runs. It reads a file of /proc, which takes about ten microseconds: do not
    /// call it on a hot thread.
    pub fn is_alive(self) -> bool {
        Self::of(self.id) == Some(self)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "process {}", self.id)
    }
}

/// The start time in a line of /proc/PID/stat; none for a zombie or a dead process.
fn parse_stat(stat: &str) -> Option<u64> {
    // The name in parentheses may hold anything, a parenthesis too.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let start_time = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X" | "x")).then_some(start_time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_line_of_proc_is_read_whatever_the_process_is_called() {
        let fields = "1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 8675309 1000 10";
        let line = |state: &str| format!("42 (a ) b (c)) {state} {fields}");
        assert_eq!(parse_stat(&line("S")), Some(8_675_309));
        assert_eq!(parse_stat(&line("Z")), None);
        assert_eq!(parse_stat("42 (x) S 1 2"), None);
    }

    #[test]
    fn a_process_is_alive_until_it_is_killed_even_as_a_zombie() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        assert!(process.is_alive() && Process::current().is_alive());
        child.kill().unwrap();
        while process.is_alive() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        let impostor = Process { start_time: Process::current().start_time + 1, ..Process::current() };
        assert!(!impostor.is_alive());
    }

    #[test]
    fn the_end_of_a_connection_is_the_death_of_the_process() {
        let (own, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let alive = Liveness::Connection(Arc::new(own.into()));
        assert!(alive.is_alive(Process::current()));
        use std::io::Write as _;
        (&other).write_all(b"what was not read yet").unwrap();
        assert!(alive.is_alive(Process::current()));
        drop(other);
        assert!(!alive.is_alive(Process::current()));
    }
}
