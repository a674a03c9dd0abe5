//! Who is at the other end of a connection, as the kernel says.
#![allow(unsafe_code)]

use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// The process that opened a connection. The kernel took the values when it connected, so they stay true when
/// the process hands its connection to another one: then they name the one that opened it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Caller {
    /// Its user number.
    pub user: u32,
    /// Its process number; none where it is in a namespace that this process does not see.
    pub process: Option<u32>,
}

impl Caller {
    /// The process at the other end of a connected socket; at a client, the process that listens
    /// (`SO_PEERCRED`, unix(7)).
    ///
    /// # Errors
    /// The kernel's error.
    pub(crate) fn of(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: the kernel stores at most `length` bytes into `found`, which is as long and may hold any
        // bytes.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut found).cast(),
                &raw mut length,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // A process of another namespace has the number 0 here.
        let process = u32::try_from(found.pid).ok().filter(|process| *process != 0);
        Ok(Self { user: found.uid, process })
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "user {}", self.user)?;
        self.process.map_or(Ok(()), |process| write!(out, ", process {process}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_kernel_names_the_process_at_the_other_end() {
        let (own, _other) = UnixStream::pair().unwrap();
        let caller = Caller::of(own.as_fd()).unwrap();
        let user = rustix::process::geteuid().as_raw();
        assert_eq!(caller, Caller { user, process: Some(std::process::id()) });
        assert_eq!(caller.to_string(), format!("user {user}, process {}", std::process::id()));
        assert_eq!(Caller { user: 7, process: None }.to_string(), "user 7");
    }
}
