//! The plain engine: `pwrite` and `fdatasync` on the journal's own thread, for machines without io_uring or
//! direct I/O.

use crate::bounds::{HEADER_BLOCK_LENGTH, IN_FLIGHT_MAX};
use crate::engine::{Completion, Engine, JournalStage};
use crate::flight::{RequestProgress, Ticket};
use crate::format::HeaderBlock;
use crate::pages::Pages;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use zerocopy::IntoBytes;

/// Writes when a request is accepted and flushes when asked to submit: one flush covers every write before
/// it.
pub struct PlainEngine {
    files: [Option<File>; 2],
    unflushed: [Vec<Ticket>; 2],
    done: Vec<Completion>,
    header: Pages,
    direct: bool,
}

impl PlainEngine {
    /// Creates an engine; `direct` states whether its files bypass the page cache.
    pub fn new(direct: bool) -> Self {
        Self {
            files: [None, None],
            unflushed: [Vec::with_capacity(IN_FLIGHT_MAX), Vec::with_capacity(IN_FLIGHT_MAX)],
            done: Vec::with_capacity(2 * IN_FLIGHT_MAX),
            header: Pages::zeroed(HEADER_BLOCK_LENGTH),
            direct,
        }
    }

    fn note(&mut self, ticket: Ticket, slot: usize, result: io::Result<()>) {
        let outcome = result.map(|()| RequestProgress::Written).map_err(|error| (JournalStage::Write, error));
        if outcome.is_ok() {
            self.unflushed[slot].push(ticket);
        }
        self.done.push(Completion { ticket, outcome });
    }

    fn file(&self, slot: usize) -> &File {
        self.files[slot].as_ref().expect("a file was adopted into the slot")
    }
}

impl Engine<File> for PlainEngine {
    fn describe(&self) -> String {
        format!("pwrite and fdatasync, {}", if self.direct { "direct I/O" } else { "through the page cache" })
    }

    fn adopt(&mut self, slot: usize, file: File) -> Option<File> {
        self.files[slot].replace(file)
    }

    fn write(&mut self, ticket: Ticket, slot: usize, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let result = self.file(slot).write_all_at(bytes, offset);
        self.note(ticket, slot, result);
        Ok(())
    }

    fn write_header(&mut self, ticket: Ticket, slot: usize, block: &HeaderBlock) -> io::Result<()> {
        self.header.copy_from_slice(block.as_bytes());
        let result = self.file(slot).write_all_at(&self.header, 0);
        self.note(ticket, slot, result);
        Ok(())
    }

    fn submit(&mut self) -> io::Result<()> {
        for slot in 0..2 {
            if self.unflushed[slot].is_empty() {
                continue;
            }
            let result = self.file(slot).sync_data();
            for ticket in self.unflushed[slot].drain(..) {
                let outcome = match &result {
                    Ok(()) => Ok(RequestProgress::Durable),
                    Err(error) => Err((JournalStage::Sync, copy_of(error))),
                };
                self.done.push(Completion { ticket, outcome });
            }
        }
        Ok(())
    }

    fn reap(&mut self, completions: &mut Vec<Completion>) {
        completions.append(&mut self.done);
    }

    fn wait(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn copy_of(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}
