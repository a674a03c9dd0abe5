//! The judge: the library's check, which reads again only what an edit touched.

use crate::trail::Stored;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use stele_compliance::seal::leaves::{SegmentLeaves, Subtrees};
use stele_compliance::seal::note::KeyKind;
use stele_compliance::seal::{
    Frontier, SealCheck, SealCheckError, SealError, SealPolicy, SealReport, SignedCheckpoint, Signer, check,
    seal_trail,
};
use stele_journal::index::make_index;
use stele_journal::scan::{ScanOptions, SegmentScan, scan};
use stele_journal::verify::verify_scanned;
use stele_journal::{Segment, Storage, read_segments};
use stele_wire::units::Nanos;

/// The trail, its checkpoints, and the results of its segments.
pub(crate) struct Judge {
    pub(crate) base: Stored,
    /// The same trail at earlier checkpoints, the oldest first.
    pub(crate) older: Vec<Stored>,
    /// Another trail of the firm, a small one.
    pub(crate) other: Stored,
    pub(crate) signer: Signer,
    /// The newest checkpoint, as someone else keeps it.
    pub(crate) kept: SignedCheckpoint,
    /// Number of parts that are completely under it.
    pub(crate) sealed_parts: usize,
    cuts: BTreeSet<u64>,
    scans: Vec<SegmentScan<Subtrees>>,
}

const OPTIONS: ScanOptions<'static> = ScanOptions { threads: 1, progress: None, method: None, plain: true };

impl Judge {
    /// A trail of `events` events with a checkpoint every `policy` events; the last tenth is not sealed.
    pub(crate) fn new(events: u64, segment_length: u64, policy: u64) -> Self {
        let signer = Signer::new("bank.example/stele", KeyKind::Log, &[7; 32]).unwrap();
        let base = Stored::build(1, events, segment_length);
        (1..=base.parts.len()).for_each(|index| drop(make_index(&base, index as u64).unwrap().unwrap()));
        let sealed_parts = base.parts.len() * 9 / 10;
        // Sealed four times, each time to the current end.
        let mut older: Vec<Stored> = Vec::new();
        for quarter in 1..=4 {
            let mut beginning = base.clone();
            beginning.parts.truncate(sealed_parts * quarter / 4);
            if let Some(before) = older.last() {
                *beginning.files() = before.files().clone();
            }
            let beginning = Arc::new(beginning);
            let storage: Arc<dyn Storage> = beginning.clone();
            let every = SealPolicy { events: policy, ..SealPolicy::default() };
            seal_trail(&storage, &signer, every, || Nanos(1), &|_, _| {}).unwrap();
            older.push(Stored::clone(&beginning));
        }
        let newest = older.pop().expect("sealed four times");
        *base.files() = newest.files().clone();
        let text = base.files()["seals/checkpoint"].to_vec();
        let kept = SignedCheckpoint::parse(std::str::from_utf8(&text).unwrap()).unwrap();
        let other = Stored::build(2, events / 2, segment_length);
        let mut judge =
            Self { base, older, other, signer, kept, sealed_parts, cuts: BTreeSet::new(), scans: Vec::new() };
        let storage: Arc<dyn Storage> = Arc::new(judge.base.clone());
        let check = SealCheck::read(&storage, judge.signer.public(), None).unwrap();
        judge.cuts = check.cuts().iter().copied().collect();
        let segments = read_segments(storage.as_ref()).unwrap();
        judge.scans = segments.iter().map(|segment| judge.scan_anew(storage.as_ref(), segment)).collect();
        judge
    }

    fn scan_anew(&self, storage: &dyn Storage, segment: &Segment) -> SegmentScan<Subtrees> {
        let cuts: Arc<[u64]> = self.cuts.iter().copied().collect();
        let mut found = None;
        let start = |segment: &Segment| SegmentLeaves::new(segment, cuts.clone());
        scan(storage, &[*segment], &OPTIONS, start, |scan| {
            found = Some(scan);
            ControlFlow::Break(())
        })
        .unwrap();
        found.expect("one segment was scanned")
    }

    /// The result of scanning the segment; from memory where neither its bytes nor its place have changed.
    fn scan(&self, trail: &Stored, segment: &Segment) -> SegmentScan<Subtrees> {
        let at = segment.header.index as usize - 1;
        let known = self.base.parts.get(at).zip(trail.parts.get(at)).filter(|(base, part)| {
            let mut header = part.header;
            header.link = base.header.link;
            header == base.header && Arc::ptr_eq(&base.data, &part.data)
        });
        match known {
            Some(_) => SegmentScan { segment: *segment, ..self.scans[at].clone() },
            None => self.scan_anew(trail, segment),
        }
    }

    /// The result of `verify --key`, with `--against` if a checkpoint is given.
    pub(crate) fn judge(
        &self,
        trail: &Stored,
        against: Option<&SignedCheckpoint>,
    ) -> Result<SealReport, SealCheckError> {
        let storage: Arc<dyn Storage> = Arc::new(trail.clone());
        let against = against.map(|checkpoint| ("kept", checkpoint));
        let mut check = SealCheck::read(&storage, self.signer.public(), against)?;
        if !check.cuts().iter().all(|cut| self.cuts.contains(cut)) {
            return self.judge_whole(trail, against.map(|(_, checkpoint)| checkpoint));
        }
        let segments = read_segments(storage.as_ref()).map_err(SealError::from)?;
        let scans = segments.iter().map(|segment| self.scan(trail, segment));
        let medium =
            verify_scanned(storage.as_ref(), &segments, scans, |scan, found| check.on_segment(scan, found));
        check.end(medium)
    }

    /// The same by the whole check, reading every byte.
    pub(crate) fn judge_whole(
        &self,
        trail: &Stored,
        against: Option<&SignedCheckpoint>,
    ) -> Result<SealReport, SealCheckError> {
        let storage: Arc<dyn Storage> = Arc::new(trail.clone());
        let against = against.map(|checkpoint| ("kept", checkpoint));
        let options = ScanOptions { threads: 2, ..OPTIONS };
        check(&storage, self.signer.public(), against, &options)
    }

    /// The tree over the first `parts` parts.
    pub(crate) fn tree(&self, trail: &Stored, parts: usize) -> Frontier {
        let mut tree = Frontier::default();
        for segment in &read_segments(trail).unwrap()[..parts] {
            let found = self.scan(trail, segment).output;
            found.subtrees.into_iter().for_each(|(height, root)| tree.append_subtree(root, height));
        }
        tree
    }
}
