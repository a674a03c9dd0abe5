//! Recovers a trail and opens it again, and checks both.

use crate::checkers::ReferenceLog;
use crate::disk::{Disk, SimFile, SimSite};
use crate::violation::{Checked, violated};
use stele_journal::format::segment_name;
use stele_journal::recovery::{Continuation, RecoveryRow, recover};
use stele_journal::survey::survey;
use stele_journal::{JournalOptions, OpenError, OpenedJournal, RecoveryReport, Storage, open};
use stele_wire::{Nanos, Position};

/// A trail that was recovered, and then opened, which recovers it once more.
pub struct Restart {
    /// What recovery found and did.
    pub report: RecoveryReport,
    /// Where, according to recovery, the log continues.
    pub continuation: Continuation,
    /// The trail, open for writing.
    pub opened: OpenedJournal<SimFile>,
}

impl Restart {
    /// Recovers the trail on `site` and opens it, at the time `now`.
    ///
    /// # Errors
    /// The error of recovery, including that of a power failure meanwhile.
    pub fn attempt(site: &SimSite, spare_segments: usize, now: Nanos) -> Result<Self, OpenError> {
        let options = JournalOptions { spare_segments, ..site.options.clone() };
        let (report, continuation) = recover(&site.disk, survey(&site.disk)?)?;
        let opened = open(site, &options, now)?;
        Ok(Self { report, continuation, opened })
    }

    /// Checks everything that must hold after a crash at which the log was acknowledged up to `acknowledged`,
    /// as far as the segments from `first` on show it.
    ///
    /// # Errors
    /// The violated rule.
    pub fn check(
        &self,
        site: &SimSite,
        reference: &ReferenceLog,
        acknowledged: Position,
        first: u64,
    ) -> Checked {
        reference.on_recovered(acknowledged, &self.report, &self.continuation)?;
        self.check_again(site)?;
        check_bytes(&site.disk, first, self.report.segments as u64)?;
        let lost = self.report.cuts.iter().find(|cut| site.disk.open(&cut.kept).is_err());
        if let Some(cut) = lost {
            return Err(violated("what is cut is kept", format!("{cut:?}")));
        }
        reference.read(
            &site.disk,
            reference.epoch_first().min(self.report.last_sequence.next()),
            self.report.last_sequence,
        )
    }

    /// Checks that a second recovery gives the same result, and that the epoch begins where the first one
    /// said.
    fn check_again(&self, site: &SimSite) -> Checked {
        let rule = "recovery twice gives the same";
        let (first, again) = (&self.report, &self.opened.recovery);
        let is_done = matches!(again.row, RecoveryRow::A | RecoveryRow::C) && again.cuts.is_empty();
        let is_same = (first.segments, first.end, first.last_sequence, first.last_timestamp)
            == (again.segments, again.end, again.last_sequence, again.last_timestamp);
        if !is_done || !is_same {
            return Err(violated(rule, format!("{first:?} and then {again:?}")));
        }
        let (next, header) = (&self.continuation, &self.opened.header);
        let is_where_it_said = (next.index, next.epoch, next.link, next.last_sequence.next())
            == (header.index, header.identity.epoch, header.link, header.base_sequence)
            && next.base(site.block_length) == header.base_position;
        if !is_where_it_said {
            return Err(violated("an epoch begins after the end", format!("{next:?} and then {header:?}")));
        }
        Ok(())
    }
}

/// Checks that every segment from `first` to `last` holds, up to its end, exactly the submitted bytes,
/// padding included.
fn check_bytes(disk: &Disk, first: u64, last: u64) -> Checked {
    for index in first..=last {
        let name = segment_name(index);
        if let Some(at) = disk.find_difference(&name) {
            let what = format!("{name} differs at offset {at}");
            return Err(violated("what survives is a prefix of what was written", what));
        }
    }
    Ok(())
}
