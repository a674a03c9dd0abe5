//! The edits that someone with write access to the disk can make to a trail, by kind.

use crate::trail::{Stored, event, frames};
use crate::verdict::Judge;
use std::sync::Arc;
use stele_compliance::seal::note::KeyKind;
use stele_compliance::seal::tiles::{CHECKPOINT_NAME, TILE_WIDTH, checkpoint_name, level_length};
use stele_compliance::seal::{Checkpoint, SignedCheckpoint, Signer};
use stele_journal::format::segment_name;
use stele_journal::index::{SegmentIndex, index_name, make_index};
use stele_wire::bounds::HEADER_LENGTH;
use stele_wire::frame::{Frame, seal};
use stele_wire::units::Sequence;

/// An edited trail.
pub(crate) struct Edit {
    pub(crate) trail: Stored,
    pub(crate) place: Place,
}

/// The place of the edit.
#[derive(Debug)]
pub(crate) enum Place {
    /// In one of these files, at event `first` or later and, where known, not after `offset`.
    Events { files: Vec<String>, first: u64, offset: Option<u64> },
    /// In one of these files.
    Files(Vec<String>),
    /// Everything after this event is gone.
    Cut { last: u64 },
}

/// One kind of edit.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) count: u64,
    /// No signature of the firm itself reveals it.
    pub(crate) needs_against: bool,
    /// It is in a file that is derived from the events.
    pub(crate) is_derived: bool,
    pub(crate) edit: fn(&mut Attacker<'_>) -> Edit,
}

const fn kind(name: &'static str, count: u64, edit: fn(&mut Attacker<'_>) -> Edit) -> Kind {
    Kind { name, count, needs_against: false, is_derived: false, edit }
}

pub(crate) const KINDS: [Kind; 15] = [
    kind("a bit flipped anywhere in a segment", 100, |attacker| attacker.flip()),
    kind("a bit of an event flipped, CRC mended, links mended or not", 100, |attacker| {
        attacker.flip_and_mend()
    }),
    kind("an event removed, CRCs and sequences recomputed", 90, |attacker| attacker.drop()),
    kind("an event duplicated, CRCs and sequences recomputed", 90, |attacker| attacker.duplicate()),
    kind("two events swapped, CRCs, sequences and times recomputed", 90, |attacker| attacker.swap()),
    kind("an event inserted, CRCs and sequences recomputed", 90, |attacker| attacker.insert()),
    kind("the tail cut below the last checkpoint", 60, |attacker| attacker.cut()),
    kind("a segment of another trail put in, its header or ours", 60, |attacker| {
        attacker.exchange_segments()
    }),
    kind("a byte of a checkpoint changed", 80, |attacker| attacker.edit_checkpoint()),
    kind("a checkpoint removed, or an older one put in its place", 40, |attacker| {
        attacker.remove_checkpoint()
    }),
    kind("every checkpoint signed with another key of the same name", 30, |attacker| {
        attacker.sign_with_another_key()
    }),
    Kind { is_derived: true, ..kind("a byte of a tile changed", 60, |attacker| attacker.edit_tile()) },
    Kind {
        is_derived: true,
        ..kind("a segment's index changed, CRC mended or not", 40, |attacker| attacker.edit_index())
    },
    Kind {
        needs_against: true,
        ..kind("the whole trail rolled back to an older copy", 40, |attacker| attacker.roll_back())
    },
    Kind {
        needs_against: true,
        ..kind("an event changed, everything recomputed and signed with the key", 30, |attacker| {
            attacker.sign_anew()
        })
    },
];

/// Random edits, from one seed.
pub(crate) struct Attacker<'a> {
    judge: &'a Judge,
    random: u64,
    turn: u64,
}

impl<'a> Attacker<'a> {
    pub(crate) fn new(judge: &'a Judge, seed: u64) -> Self {
        Self { judge, random: seed, turn: 0 }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.random >> 33) % limit as u64) as usize
    }

    /// Chooses the other variant of a kind every second time.
    fn is_thorough(&mut self) -> bool {
        self.turn += 1;
        self.turn.is_multiple_of(2)
    }

    fn copy(&self) -> Stored {
        self.judge.base.clone()
    }

    fn sealed_part(&mut self) -> usize {
        self.below(self.judge.sealed_parts)
    }

    fn flip(&mut self) -> Edit {
        let mut trail = self.copy();
        let at = self.sealed_part();
        let mut data = trail.parts[at].data.to_vec();
        let byte = self.below(data.len());
        let before = frames(&data).into_iter().filter(|(from, length)| {
            from + length <= byte && !Frame::read(&data[*from..]).unwrap().is_padding()
        });
        let first = trail.parts[at].header.base_sequence.0 + before.count() as u64;
        data[byte] ^= 1 << self.below(8);
        trail.parts[at].data = Arc::new(data);
        let (files, offset) = (vec![file(at)], Some(4096 + byte as u64));
        Edit { trail, place: Place::Events { files, first, offset } }
    }

    fn flip_and_mend(&mut self) -> Edit {
        let at = self.sealed_part();
        let (mut trail, sequence) = self.altered(at);
        if self.is_thorough() {
            trail.relink(at + 1);
        }
        Edit { trail, place: events(at, sequence) }
    }

    /// Flips a bit of one event's body and recomputes the CRC. Returns the event's sequence.
    fn altered(&mut self, at: usize) -> (Stored, u64) {
        let mut trail = self.copy();
        let mut data = trail.parts[at].data.to_vec();
        let places: Vec<_> = frames(&data)
            .into_iter()
            .filter(|(from, _)| !Frame::read(&data[*from..]).unwrap().is_padding())
            .collect();
        let number = self.below(places.len());
        let (from, length) = places[number];
        let byte = from + HEADER_LENGTH + self.below(length - HEADER_LENGTH);
        data[byte] ^= 1 << self.below(8);
        seal(&mut data[from..from + length], trail.parts[at].header.identity.seed());
        trail.parts[at].data = Arc::new(data);
        let sequence = trail.parts[at].header.base_sequence.0 + number as u64;
        (trail, sequence)
    }

    fn drop(&mut self) -> Edit {
        self.with_other_events(|attacker, events| {
            let number = attacker.below(events.len());
            events.remove(number);
            number
        })
    }

    fn duplicate(&mut self) -> Edit {
        self.with_other_events(|attacker, events| {
            let number = attacker.below(events.len());
            let again = events[number].clone();
            events.insert(number, again);
            number
        })
    }

    fn swap(&mut self) -> Edit {
        self.with_other_events(|attacker, events| {
            let one = attacker.below(events.len() - 1);
            let other = one + 1 + attacker.below(events.len() - one - 1);
            assert_ne!(events[one][HEADER_LENGTH..], events[other][HEADER_LENGTH..]);
            events.swap(one, other);
            one
        })
    }

    fn insert(&mut self) -> Edit {
        let identity = self.judge.base.parts[0].header.identity;
        self.with_other_events(|attacker, events| {
            let number = attacker.below(events.len());
            let like = Frame::read(&events[number]).unwrap().timestamp().0;
            events.insert(number, event(Sequence((like - 1_000) / 3), identity, 33));
            number
        })
    }

    /// Changes the events of a segment and renumbers them, within the segment or, every second time, to the
    /// end of the trail with the links.
    fn with_other_events(&mut self, change: impl Fn(&mut Self, &mut Vec<Vec<u8>>) -> usize) -> Edit {
        let mut trail = self.copy();
        let is_thorough = self.is_thorough();
        let sealed = self.judge.sealed_parts;
        let (at, sequence) = loop {
            let at = if is_thorough { sealed - 1 - self.below(3) } else { self.sealed_part() };
            let mut events = trail.events(at);
            let before = events.len() as i64;
            let number = change(self, &mut events);
            let length: usize = events.iter().map(Vec::len).sum();
            if length + 48 > trail.parts[at].data.len() {
                continue;
            }
            trail.replace_events(at, &events);
            let more = events.len() as i64 - before;
            if is_thorough {
                self.renumber(&mut trail, at + 1, more);
            }
            break (at, trail.parts[at].header.base_sequence.0 + number as u64);
        };
        Edit { trail, place: events(at, sequence) }
    }

    /// Renumbers everything from a part on; what no longer fits after the seals is dropped.
    fn renumber(&mut self, trail: &mut Stored, from: usize, more: i64) {
        trail.parts.truncate(self.judge.sealed_parts + 1);
        for at in from..trail.parts.len() {
            let base = &mut trail.parts[at].header.base_sequence;
            *base = Sequence(base.0.checked_add_signed(more).unwrap());
            let events = trail.events(at);
            trail.replace_events(at, &events);
        }
        trail.relink(from);
    }

    fn cut(&mut self) -> Edit {
        let mut trail = self.copy();
        let at = self.sealed_part();
        trail.parts.truncate(at + 1);
        let data = &trail.parts[at].data;
        let places: Vec<_> = frames(data)
            .into_iter()
            .filter(|(from, _)| !Frame::read(&data[*from..]).unwrap().is_padding())
            .collect();
        let number = 1 + self.below(places.len() - 1);
        let data = data[..places[number].0].to_vec();
        let last = trail.parts[at].header.base_sequence.0 + number as u64 - 1;
        trail.parts[at].data = Arc::new(data);
        Edit { trail, place: Place::Cut { last } }
    }

    fn exchange_segments(&mut self) -> Edit {
        let mut trail = self.copy();
        let at = 1 + self.below(self.judge.other.parts.len() - 2);
        let other = self.judge.other.parts[at].clone();
        let first = trail.parts[at].header.base_sequence.0;
        if self.is_thorough() {
            trail.parts[at].data = other.data;
            let (files, offset) = (vec![file(at)], Some(4096));
            return Edit { trail, place: Place::Events { files, first, offset } };
        }
        trail.parts[at] = other;
        Edit { trail, place: Place::Files(vec![file(at)]) }
    }

    fn checkpoints(&self) -> u64 {
        let files = self.judge.base.files();
        (1..).take_while(|number| files.contains_key(&checkpoint_name(*number))).count() as u64
    }

    fn edit_checkpoint(&mut self) -> Edit {
        let trail = self.copy();
        let number = self.below(self.checkpoints() as usize + 1) as u64;
        let name = if number == 0 { CHECKPOINT_NAME.to_owned() } else { checkpoint_name(number) };
        self.change_a_byte(&trail, &name);
        Edit { trail, place: Place::Files(vec![name]) }
    }

    fn change_a_byte(&mut self, trail: &Stored, name: &str) {
        let mut bytes = trail.files()[name].to_vec();
        let at = self.below(bytes.len());
        bytes[at] ^= 1 << self.below(8);
        trail.put(name, bytes);
    }

    fn remove_checkpoint(&mut self) -> Edit {
        let trail = self.copy();
        let count = self.checkpoints() as usize;
        let name = if self.is_thorough() {
            let name = checkpoint_name(2 + self.below(count - 1) as u64);
            let before = checkpoint_name(name[name.len() - 10..].parse::<u64>().unwrap() - 1);
            let older = trail.files()[&before].to_vec();
            trail.put(&name, older);
            name
        } else {
            let name = checkpoint_name(1 + self.below(count) as u64);
            trail.files().remove(&name);
            name
        };
        Edit { trail, place: Place::Files(vec![name]) }
    }

    fn sign_with_another_key(&mut self) -> Edit {
        let trail = self.copy();
        let mut seed = [0; 32];
        seed.iter_mut().for_each(|byte| *byte = self.below(256) as u8);
        let stranger = Signer::new(self.judge.signer.public().name(), KeyKind::Log, &seed).unwrap();
        let names = (1..=self.checkpoints()).map(checkpoint_name).chain([CHECKPOINT_NAME.to_owned()]);
        for name in names {
            let text = trail.files()[&name].to_vec();
            let signed = SignedCheckpoint::parse(std::str::from_utf8(&text).unwrap()).unwrap();
            trail.put(&name, signed.unchecked().clone().sign(&stranger).to_string().into_bytes());
        }
        Edit { trail, place: Place::Files(vec![checkpoint_name(1)]) }
    }

    fn edit_tile(&mut self) -> Edit {
        let trail = self.copy();
        let size = self.judge.kept.unchecked().size;
        // Those of the newest checkpoint.
        let is_current = |name: &&String| {
            let Some(path) = name.strip_prefix("seals/tile/") else { return false };
            let level: usize = path[..1].parse().unwrap();
            let width = level_length(size, level) % TILE_WIDTH;
            let open = format!("{:03}.p/{width}", level_length(size, level) / TILE_WIDTH);
            !path.contains(".p/") || path.ends_with(&open)
        };
        let names: Vec<String> = trail.files().keys().filter(is_current).cloned().collect();
        let name = names[self.below(names.len())].clone();
        self.change_a_byte(&trail, &name);
        Edit { trail, place: Place::Files(vec![name]) }
    }

    fn edit_index(&mut self) -> Edit {
        let trail = self.copy();
        let name = index_name(1 + self.sealed_part() as u64);
        if self.is_thorough() {
            let mut index = SegmentIndex::from_bytes(&trail.files()[&name]).unwrap();
            index.entries[0].offset += 8 * (1 + self.below(100) as u64);
            trail.put(&name, index.to_bytes());
        } else {
            self.change_a_byte(&trail, &name);
        }
        Edit { trail, place: Place::Files(vec![name]) }
    }

    fn roll_back(&mut self) -> Edit {
        let older = &self.judge.older[self.below(self.judge.older.len())];
        let mut trail = older.clone();
        // The events after its seals may exist or not.
        let longer = older.parts.len() + self.below(self.judge.sealed_parts - older.parts.len());
        trail.parts = self.judge.base.parts[..longer].to_vec();
        let last = trail.last_sequence(longer - 1).0;
        Edit { trail, place: Place::Cut { last } }
    }

    fn sign_anew(&mut self) -> Edit {
        let at = self.sealed_part();
        let (mut trail, sequence) = self.altered(at);
        trail.relink(at + 1);
        let tree = self.judge.tree(&trail, self.judge.sealed_parts);
        let origin = self.judge.kept.unchecked().origin.clone();
        let checkpoint = Checkpoint { origin, size: tree.size(), root: tree.root() };
        let text = checkpoint.sign(&self.judge.signer).to_string().into_bytes();
        trail.files().retain(|name, _| !name.starts_with("seals/"));
        trail.put(&checkpoint_name(1), text.clone());
        trail.put(CHECKPOINT_NAME, text);
        make_index(&trail, at as u64 + 1).unwrap().unwrap();
        Edit { trail, place: events(at, sequence) }
    }
}

/// The file of a part.
fn file(at: usize) -> String {
    segment_name(at as u64 + 1)
}

/// In a segment; the next one reports that its link does not hold.
fn events(at: usize, first: u64) -> Place {
    Place::Events { files: vec![file(at), file(at + 1)], first, offset: None }
}
