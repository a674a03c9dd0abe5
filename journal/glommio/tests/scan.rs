//! glommio reads the same bytes as the journal's own reader. If the machine refuses glommio, it reports that
//! and nothing panics.
//!
//! A seccomp filter applies only to the thread that installs it, so each test installs its filters on a
//! thread of its own.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use stele_glommio::{Glommio, GlommioRefusal, probe};
use stele_journal::{BulkReader, ReadMethod, UringRead};
use stele_testkit::skip::skip;

/// Limits apply to the whole process: while a test changes one, the others wait.
static LIMITS: Mutex<()> = Mutex::new(());

fn read_by(reader: &mut dyn BulkReader, path: &Path) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    reader.read(path, &mut |bytes| all.extend_from_slice(bytes))?;
    Ok(all)
}

#[test]
fn a_file_of_any_length_comes_whole_and_in_order() {
    let _limits = LIMITS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut reader = match Glommio.reader() {
        Ok(reader) => reader,
        Err(why) => return skip(&format!("io_uring: {why}")),
    };
    let mut own = UringRead.reader().expect("glommio has io_uring");
    let folder = tempfile::tempdir().unwrap();
    // The empty file is not the first: an executor that begins with one fails at every later file (glommio
    // 0.9). Segments have a header.
    for length in [3_000_007, 524_288, 524_287, 4097, 4096, 0] {
        let path = folder.path().join(length.to_string());
        let content: Vec<u8> =
            (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        fs::write(&path, &content).unwrap();
        assert!(read_by(own.as_mut(), &path).unwrap() == content, "{length}");
        assert!(read_by(reader.as_mut(), &path).unwrap() == content, "{length}");
    }
    assert!(read_by(reader.as_mut(), &folder.path().join("missing")).is_err());
}

/// Containers forbid io_uring by answering its calls with an error.
#[test]
fn a_forbidden_call_of_io_uring_is_named_in_the_refusal_and_nothing_panics() {
    let _limits = LIMITS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(why) = probe() {
        return skip(&format!("io_uring: {why}"));
    }
    let calls = [
        (libc::SYS_io_uring_setup, "io_uring_setup"),
        (libc::SYS_io_uring_register, "io_uring_register"),
        (libc::SYS_io_uring_enter, "io_uring_enter"),
    ];
    for (number, name) in calls {
        let refusal = std::thread::spawn(move || {
            seccomp::forbid(number);
            assert!(Glommio.reader().is_err());
            probe().expect_err("the kernel refuses")
        });
        let refusal = refusal.join().expect("nothing panics");
        assert!(matches!(&refusal, GlommioRefusal::Uring(call, _) if *call == name), "{refusal}");
        assert!(refusal.to_string().contains("Operation not permitted"), "{refusal}");
    }
    assert!(probe().is_ok(), "the filters end with their threads");
}

#[test]
fn a_low_limit_on_locked_memory_is_refused_with_the_amount_needed() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let _limits = LIMITS.lock().unwrap_or_else(PoisonError::into_inner);
    let before = getrlimit(Resource::Memlock);
    setrlimit(Resource::Memlock, Rlimit { current: Some(65_536), maximum: before.maximum }).unwrap();
    let refusal = Glommio.reader().err();
    setrlimit(Resource::Memlock, before).unwrap();
    let refusal = refusal.expect("glommio is refused").to_string();
    assert!(refusal.contains("65536 bytes, and 524288 are needed"), "{refusal}");
}

mod seccomp {
    #![allow(unsafe_code)]

    const ALLOW: u32 = 0x7fff_0000;
    const ERROR: u32 = 0x0005_0000;

    /// From now on the kernel answers system call `number` of this thread with "not permitted".
    pub(crate) fn forbid(number: libc::c_long) {
        let statement = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
        // The number of the call is the first word of a filter's input.
        let mut program = [
            statement((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0),
            libc::sock_filter {
                code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
                jt: 0,
                jf: 1,
                k: number as u32,
            },
            statement((libc::BPF_RET | libc::BPF_K) as u16, ERROR | libc::EPERM as u32),
            statement((libc::BPF_RET | libc::BPF_K) as u16, ALLOW),
        ];
        let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
        // SAFETY: both calls concern only the calling thread, and the kernel copies the filter before it
        // returns.
        let refused = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
                | libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter)
        };
        assert_eq!(refused, 0, "{}", std::io::Error::last_os_error());
    }
}
