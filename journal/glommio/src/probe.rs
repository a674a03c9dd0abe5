//! Checks what glommio needs of the kernel and of this process's limits before it is started.

use io_uring::{IoUring, Probe, opcode};
use rustix::process::{Resource, getrlimit};
use std::fmt;
use std::io;

/// Bytes of locked memory below which glommio does not start.
const LOCKED_MEMORY_MIN: u64 = 512 << 10;

/// The operations without which glommio ends the process, by their names and codes.
const OPERATIONS: [(&str, u8); 23] = [
    ("nop", opcode::Nop::CODE),
    ("readv", opcode::Readv::CODE),
    ("writev", opcode::Writev::CODE),
    ("fsync", opcode::Fsync::CODE),
    ("read_fixed", opcode::ReadFixed::CODE),
    ("write_fixed", opcode::WriteFixed::CODE),
    ("poll_add", opcode::PollAdd::CODE),
    ("poll_remove", opcode::PollRemove::CODE),
    ("sendmsg", opcode::SendMsg::CODE),
    ("recvmsg", opcode::RecvMsg::CODE),
    ("timeout", opcode::Timeout::CODE),
    ("timeout_remove", opcode::TimeoutRemove::CODE),
    ("accept", opcode::Accept::CODE),
    ("link_timeout", opcode::LinkTimeout::CODE),
    ("connect", opcode::Connect::CODE),
    ("fallocate", opcode::Fallocate::CODE),
    ("openat", opcode::OpenAt::CODE),
    ("close", opcode::Close::CODE),
    ("statx", opcode::Statx::CODE),
    ("read", opcode::Read::CODE),
    ("write", opcode::Write::CODE),
    ("send", opcode::Send::CODE),
    ("recv", opcode::Recv::CODE),
];

/// Why glommio cannot be started on this machine.
#[derive(Debug)]
pub enum GlommioRefusal {
    /// The limit on locked memory is too low; the limit in bytes.
    LockedMemory(u64),
    /// The kernel refuses io_uring, at this call.
    Uring(&'static str, io::Error),
    /// The kernel's io_uring lacks this operation.
    Operation(&'static str),
}

impl fmt::Display for GlommioRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LockedMemory(limit) => write!(
                f,
                "the limit on locked memory is {limit} bytes, and {LOCKED_MEMORY_MIN} are needed (ulimit -l)"
            ),
            Self::Uring(call, error) => write!(f, "the kernel refuses io_uring ({call}: {error})"),
            Self::Operation(name) => write!(f, "the kernel's io_uring lacks the operation {name}"),
        }
    }
}

impl std::error::Error for GlommioRefusal {}

/// Checks whether glommio can start here: the limit on locked memory, and an io_uring that is set up, probed
/// for every operation, and entered once.
///
/// # Errors
/// [`GlommioRefusal`]: the first requirement that is not met.
pub fn probe() -> Result<(), GlommioRefusal> {
    if let Some(limit) = getrlimit(Resource::Memlock).current
        && limit < LOCKED_MEMORY_MIN
    {
        return Err(GlommioRefusal::LockedMemory(limit));
    }
    let refused = |call| move |error| GlommioRefusal::Uring(call, error);
    let uring = IoUring::new(2).map_err(refused("io_uring_setup"))?;
    let mut probe = Probe::new();
    uring.submitter().register_probe(&mut probe).map_err(refused("io_uring_register"))?;
    if let Some((name, _)) = OPERATIONS.iter().find(|(_, code)| !probe.is_supported(*code)) {
        return Err(GlommioRefusal::Operation(name));
    }
    // Nothing is queued: the call only shows whether it is allowed.
    uring.submit().map(|_| ()).map_err(refused("io_uring_enter"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_is_missing_and_how_much() {
        let refusal = GlommioRefusal::LockedMemory(65_536).to_string();
        assert!(refusal.contains("65536 bytes, and 524288"), "{refusal}");
        assert!(GlommioRefusal::Operation("statx").to_string().contains("statx"));
    }
}
