//! Power failures and kills of the process: when they happen, and what they leave of a disk.

use super::{Inode, Medium, Step, power_failed};
use crate::behaviour::BrokenPromise;
use std::io;
use std::sync::Arc;

impl Medium {
    /// Fails the power: what was in flight or in the cache reaches the medium or not, sector by sector.
    pub fn fail_power(&mut self) {
        self.end_requests();
        for file in self.files.values_mut() {
            let kind = self.random.below(3);
            if file.dirty.is_empty() {
                continue;
            }
            let file = Arc::make_mut(file);
            for sector in std::mem::take(&mut file.dirty).into_keys() {
                let stays = match kind {
                    0 => true,
                    1 => false,
                    _ => self.random.one_in(2),
                };
                let count =
                    if stays { &mut self.statistics.sectors_kept } else { &mut self.statistics.sectors_lost };
                *count += 1;
                if stays {
                    file.durable.take_sector(&file.cached, sector);
                }
            }
            file.cached.clone_from(&file.durable);
        }
        self.rot();
        self.forget_unnamed();
    }

    /// Kills the process while the machine continues: requests in flight happen or not, the cache stays.
    pub fn kill_process(&mut self) {
        self.end_requests();
        self.forget_unnamed();
    }

    fn end_requests(&mut self) {
        for request in std::mem::take(&mut self.requests) {
            if request.step == Step::Writing {
                self.apply_by_chance(&request);
            }
        }
        self.done.clear();
        self.fuse = None;
    }

    fn rot(&mut self) {
        if self.behaviour.broken_promise == Some(BrokenPromise::RotsBits) {
            self.rot_a_bit();
        }
    }

    /// Flips one bit of a file, within the part that was written; the zeros after it are not data.
    pub fn rot_a_bit(&mut self) {
        let inodes: Vec<Inode> = self.names.values().copied().collect();
        let Some(inode) = (!inodes.is_empty()).then(|| inodes[self.random.below(inodes.len())]) else {
            return;
        };
        let Some(end) = self.files[&inode].durable.last_set() else { return };
        let (at, bit) = (self.random.below(end + 1), self.random.below(8));
        let file = self.file_mut(inode);
        file.durable.flip(at, bit);
        file.cached.flip(at, bit);
    }

    fn forget_unnamed(&mut self) {
        let named: Vec<Inode> = self.names.values().copied().collect();
        self.files.retain(|inode, _| named.contains(inode));
    }

    /// Fails the power after this many more operations on names.
    pub fn fail_power_after(&mut self, operations: Option<u64>) {
        self.fuse = operations;
    }

    /// Returns whether the power failed in the middle of an operation.
    pub fn is_power_off(&self) -> bool {
        self.fuse == Some(0)
    }

    /// Returns whether an operation on names happens completely. If not, the power has failed, and the caller
    /// does the part of it that [`Self::happens_partly`] decides.
    ///
    /// # Errors
    /// When the power had failed before.
    pub fn operate(&mut self) -> io::Result<bool> {
        match &mut self.fuse {
            None => Ok(true),
            Some(0) => Err(power_failed()),
            Some(left) => {
                *left -= 1;
                Ok(*left > 0)
            }
        }
    }

    /// Returns whether a part of the operation in which the power failed happened.
    pub fn happens_partly(&mut self) -> bool {
        self.random.one_in(2)
    }
}
