//! Reads whole segment files through glommio: an executor for each thread of a scan, and direct I/O with
//! read-ahead.
//!
//! [`Glommio`] is a [`ReadMethod`] of the journal's scan. glommio panics, or ends the process, if io_uring is
//! forbidden or lacks an operation; [`probe`] checks everything that it needs before it is started.
//! `docs/decisions/0008-bulk-reads.md` states the speed and the price of the choice.
#![forbid(unsafe_code)]

mod probe;

pub use probe::{GlommioRefusal, probe};

use glommio::io::{DmaFile, DmaStreamReaderBuilder};
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use std::io;
use std::path::Path;
use stele_journal::{BulkReader, ReadMethod};

/// Length of one read in bytes, and how many are in flight at once.
const BUFFER_LENGTH: usize = 512 << 10;
const READ_AHEAD: usize = 4;
/// Memory that an executor keeps for its buffers; it is pinned if the locked-memory limit allows that.
const EXECUTOR_MEMORY: usize = (READ_AHEAD + 2) * BUFFER_LENGTH;

/// Reads whole files through glommio.
#[derive(Clone, Copy, Default, Debug)]
pub struct Glommio;

impl ReadMethod for Glommio {
    fn name(&self) -> &'static str {
        "glommio"
    }

    fn reader(&self) -> io::Result<Box<dyn BulkReader>> {
        probe().map_err(io::Error::other)?;
        let builder = LocalExecutorBuilder::new(Placement::Unbound).io_memory(EXECUTOR_MEMORY);
        Ok(Box::new(Executor(builder.make().map_err(|error| io::Error::other(error.to_string()))?)))
    }
}

/// The executor of one thread.
struct Executor(LocalExecutor);

impl BulkReader for Executor {
    fn read(&mut self, path: &Path, on_bytes: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        self.0.run(async {
            let file = DmaFile::open(path).await?;
            let builder = DmaStreamReaderBuilder::new(file);
            let mut stream = builder.with_buffer_size(BUFFER_LENGTH).with_read_ahead(READ_AHEAD).build();
            loop {
                let buffer = stream.get_buffer_aligned(BUFFER_LENGTH as u64).await?;
                if buffer.is_empty() {
                    break;
                }
                // The next reads are submitted before this buffer keeps the thread busy.
                glommio::executor().yield_task_queue_now().await;
                on_bytes(&buffer);
            }
            stream.close().await?;
            Ok(())
        })
    }
}
