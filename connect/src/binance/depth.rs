//! Which depth updates change the book, by Binance's own rule (*How to manage a local order book correctly*):
//! after a snapshot, each update continues where the one before ended.
//!
//! | input | effect |
//! |---|---|
//! | an update before the first snapshot, or after a gap | it waits for a snapshot |
//! | a snapshot from which the waiting updates continue | it is applied, and then those waiting updates that are younger |
//! | a snapshot older than the book, or too old for the waiting updates to continue from | it is not carried |
//! | an update that ends at or before the book's | it is not carried: the book has it already |
//! | an update that continues the book | it is applied |
//! | an update that begins later | a gap: the book is cleared and waits for a snapshot, as does the update |

use stele_wire::messages::BookLevel;

/// Levels that wait for a snapshot at most; beyond that, the waiting updates are dropped.
pub(super) const HELD_LEVELS_MAX: usize = 65_536;

/// The state of one book: at which update it is, and which updates wait.
#[derive(Default)]
pub(super) struct Depth {
    /// The update at which the book is; `None` while it waits for a snapshot.
    last: Option<u64>,
    /// The waiting updates, each continuing the one before, and their levels one after the other.
    held: Vec<Held>,
    held_levels: Vec<BookLevel>,
    /// Gaps seen.
    pub(super) gaps: u64,
}

#[derive(Clone, Copy)]
struct Held {
    first: u64,
    last: u64,
    levels: usize,
}

/// What to do with an update.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It changes the book.
    Take,
    /// The book has it already.
    Old,
    /// It waits for a snapshot.
    Wait {
        /// Whether to clear the book.
        clears: bool,
        /// Updates that waited before and are dropped.
        dropped: u64,
    },
}

/// What to do with a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SnapshotVerdict {
    /// It becomes the book.
    Take,
    /// It is older than the book or the waiting updates.
    Old,
}

impl Depth {
    /// Takes an update from `first` to `last`, and keeps its levels if it has to wait.
    pub(super) fn on_update(&mut self, first: u64, last: u64, levels: &[BookLevel]) -> Verdict {
        match self.last {
            Some(book) if last <= book => Verdict::Old,
            Some(book) if first <= book + 1 => {
                self.last = Some(last);
                Verdict::Take
            }
            Some(_) => {
                self.last = None;
                self.gaps += 1;
                self.hold(first, last, levels);
                Verdict::Wait { clears: true, dropped: 0 }
            }
            None => {
                let goes_on = self.held.last().is_none_or(|before| first == before.last + 1);
                let fits = self.held_levels.len() + levels.len() <= HELD_LEVELS_MAX;
                let dropped = if goes_on && fits { 0 } else { self.drop_held() };
                self.gaps += u64::from(!goes_on);
                self.hold(first, last, levels);
                Verdict::Wait { clears: false, dropped }
            }
        }
    }

    fn hold(&mut self, first: u64, last: u64, levels: &[BookLevel]) {
        self.held.push(Held { first, last, levels: levels.len() });
        self.held_levels.extend_from_slice(levels);
    }

    /// Drops the waiting updates. Returns how many there were.
    pub(super) fn drop_held(&mut self) -> u64 {
        let dropped = self.held.len() as u64;
        self.held.clear();
        self.held_levels.clear();
        dropped
    }

    /// Takes a snapshot at update `last`.
    pub(super) fn on_snapshot(&mut self, last: u64) -> SnapshotVerdict {
        let next = self.held.iter().find(|held| held.last > last);
        let is_old =
            self.last.is_some_and(|book| last < book) || next.is_some_and(|held| held.first > last + 1);
        if is_old {
            return SnapshotVerdict::Old;
        }
        self.last = Some(last);
        SnapshotVerdict::Take
    }

    /// After a snapshot became the book: appends the levels of the waiting updates that continue it to
    /// `taken`. Returns how many updates are older than the snapshot, and how many have no level.
    pub(super) fn release(&mut self, taken: &mut Vec<BookLevel>) -> (u64, u64) {
        let (mut old, mut empty, mut at) = (0, 0, 0);
        for held in &self.held {
            let levels = &self.held_levels[at..at + held.levels];
            at += held.levels;
            if self.last.is_some_and(|book| held.last <= book) {
                old += 1;
                continue;
            }
            empty += u64::from(levels.is_empty());
            taken.extend_from_slice(levels);
            self.last = Some(held.last);
        }
        self.drop_held();
        (old, empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(update: u64) -> [BookLevel; 1] {
        [BookLevel { update_id: update.into(), ..BookLevel::NULL }]
    }

    fn released(depth: &mut Depth) -> (Vec<u64>, (u64, u64)) {
        let mut taken = Vec::new();
        let counts = depth.release(&mut taken);
        (taken.iter().map(|level| level.update_id.get()).collect(), counts)
    }

    #[test]
    fn what_came_before_the_snapshot_is_taken_from_it_on() {
        let mut depth = Depth::default();
        for (first, last) in [(1, 4), (5, 9), (10, 12)] {
            assert_eq!(
                depth.on_update(first, last, &level(last)),
                Verdict::Wait { clears: false, dropped: 0 }
            );
        }
        assert_eq!(depth.on_snapshot(6), SnapshotVerdict::Take);
        assert_eq!(released(&mut depth), (vec![9, 12], (1, 0)));
        assert_eq!(depth.on_update(11, 12, &[]), Verdict::Old);
        assert_eq!(depth.on_update(13, 13, &[]), Verdict::Take);
    }

    #[test]
    fn a_snapshot_that_nothing_goes_on_from_is_not_taken() {
        let mut depth = Depth::default();
        depth.on_update(10, 12, &level(12));
        assert_eq!(depth.on_snapshot(8), SnapshotVerdict::Old);
        assert_eq!(depth.on_snapshot(9), SnapshotVerdict::Take);
        assert_eq!(released(&mut depth), (vec![12], (0, 0)));
        assert_eq!(depth.on_snapshot(11), SnapshotVerdict::Old, "the book is at 12");
        assert_eq!(depth.on_snapshot(20), SnapshotVerdict::Take);
    }

    #[test]
    fn a_gap_ends_the_book_until_the_next_snapshot() {
        let mut depth = Depth::default();
        assert_eq!(depth.on_snapshot(5), SnapshotVerdict::Take);
        assert_eq!(depth.on_update(6, 7, &level(7)), Verdict::Take);
        assert_eq!(depth.on_update(9, 10, &level(10)), Verdict::Wait { clears: true, dropped: 0 });
        assert_eq!(depth.on_update(12, 13, &level(13)), Verdict::Wait { clears: false, dropped: 1 });
        assert_eq!(depth.gaps, 2);
        assert_eq!(depth.on_snapshot(12), SnapshotVerdict::Take);
        assert_eq!(released(&mut depth), (vec![13], (0, 0)));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut depth = Depth::default();
        let many = vec![BookLevel::NULL; HELD_LEVELS_MAX];
        depth.on_update(1, 1, &many);
        assert_eq!(depth.on_update(2, 2, &level(2)), Verdict::Wait { clears: false, dropped: 1 });
        assert_eq!(depth.held_levels.len(), 1);
    }
}
