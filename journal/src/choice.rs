//! Chooses the engine that writes, and says what the operator should know about the choice.

use crate::engine::Engine;
use crate::options::{EngineChoice, JournalOptions};
use crate::plain::PlainEngine;
use crate::pool::MediumProperties;
use crate::uring::UringEngine;
use std::fmt;
use std::fs::File;
use std::io;
use stele_bus::JournalReader;

/// A notice for the operator, shown once: the journal works, but not at its best.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EngineNotice {
    /// The plain engine writes, as configured.
    Plain,
    /// io_uring is unavailable; with the kernel's error.
    NoUring(String),
    /// The file system does not support direct I/O.
    NoDirect,
    /// The ring's memory could not be registered; with the kernel's error.
    Unregistered(String),
}

impl fmt::Display for EngineNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => write!(
                f,
                "the journal writes with pwrite and fdatasync, as configured: its thread waits for each write and \
                 flush, tens of microseconds to milliseconds, and nothing else runs on it meanwhile; `engine = \
                 \"auto\"` uses io_uring where it is available"
            ),
            Self::NoUring(why) => write!(
                f,
                "the journal writes with pwrite and fdatasync, because io_uring is unavailable ({why}): its thread \
                 waits for each write and flush, tens of microseconds to milliseconds, and nothing else runs on it \
                 meanwhile; in a container, allow io_uring in the seccomp profile"
            ),
            Self::NoDirect => write!(
                f,
                "this file system does not allow direct I/O: the journal writes through the page cache with pwrite and \
                 fdatasync, which costs a copy and waits; tmpfs keeps nothing when the machine stops"
            ),
            Self::Unregistered(why) => write!(
                f,
                "the ring's memory could not be registered with io_uring ({why}): about 0.3 µs more a write; raise the \
                 locked-memory limit (ulimit -l) above the ring's size"
            ),
        }
    }
}

/// An engine over files.
pub(crate) type FileEngine = Box<dyn Engine<File>>;

/// Returns the engine that the options ask for and the medium allows, with notices for the operator.
///
/// # Errors
/// Why io_uring is unavailable, if the options require it.
pub(crate) fn choose_engine(
    options: &JournalOptions,
    medium: MediumProperties,
    reader: &JournalReader,
) -> io::Result<(FileEngine, Vec<EngineNotice>)> {
    let JournalOptions { engine, method, yield_while_flushing, .. } = *options;
    let plain = || -> FileEngine { Box::new(PlainEngine::new(medium.direct)) };
    if engine == EngineChoice::Plain {
        return Ok((plain(), vec![EngineNotice::Plain]));
    }
    if !medium.direct && engine == EngineChoice::Auto {
        return Ok((plain(), vec![EngineNotice::NoDirect]));
    }
    match UringEngine::new(reader.ring().clone(), method, yield_while_flushing) {
        Ok((uring, refused)) => {
            let notices = refused.map(|error| EngineNotice::Unregistered(error.to_string()));
            Ok((Box::new(uring), notices.into_iter().collect()))
        }
        Err(error) if engine == EngineChoice::Auto => {
            Ok((plain(), vec![EngineNotice::NoUring(error.to_string())]))
        }
        Err(error) => Err(error),
    }
}
