//! The same journal, recovery and reader on a disk in memory that completes writes in any order, tears them when
//! it crashes, and fails on demand; all from one seed.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use stele_bus::{
    Agent, LogRing, ManualClock, Refusal, RingOptions, Risk, RiskLimits, Sequencer, SequencerStart,
};
use stele_journal::engine::{Completion, Stage};
use stele_journal::flight::{Progress, Ticket};
use stele_journal::format::{HeaderBlock, SegmentHeader, segment_name};
use stele_journal::pool::{Spare, Spares};
use stele_journal::recovery::{Continuation, Row, recover};
use stele_journal::survey::survey;
use stele_journal::verify::verify;
use stele_journal::{Engine, Journal, JournalParts, Storage, StoredFile, TrailReader};
use stele_wire::frame::{Frame, Identity};
use stele_wire::messages::Trade;
use stele_wire::units::{Nanos, Position, ShardId, TrailId};
use zerocopy::IntoBytes;

const BLOCK: usize = 512;
const SEGMENT_LENGTH: u64 = 256 << 10;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 32)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

struct Disk(Files);

struct DiskFile(Vec<u8>);

impl StoredFile for DiskFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.0.get(offset as usize..).unwrap_or(&[]);
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl Storage for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let files = self.0.lock().unwrap();
        let bytes = files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(DiskFile(bytes.clone())))
    }

    fn keep(&self, name: &str, source: &mut dyn io::Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes)?;
        self.0.lock().unwrap().insert(name.to_owned(), bytes);
        Ok(())
    }

    fn close(&self, name: &str, length: u64) -> io::Result<()> {
        let mut files = self.0.lock().unwrap();
        files.get_mut(name).ok_or(io::ErrorKind::NotFound)?.truncate(length as usize);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.lock().unwrap().remove(name).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }
}

struct Write {
    ticket: Ticket,
    file: String,
    offset: usize,
    bytes: Vec<u8>,
}

/// What is on its way; shared, so that a crash can tear it.
type Queue = Arc<Mutex<Vec<Write>>>;

struct DiskEngine {
    files: Files,
    queue: Queue,
    slots: [Option<String>; 2],
    random: Random,
    /// Writes until one fails.
    fails_in: Option<u64>,
}

impl DiskEngine {
    fn push(&mut self, ticket: Ticket, slot: usize, offset: u64, bytes: &[u8]) {
        let file = self.slots[slot].clone().expect("adopted");
        self.queue.lock().unwrap().push(Write {
            ticket,
            file,
            offset: offset as usize,
            bytes: bytes.to_vec(),
        });
    }
}

fn apply(files: &Files, write: &Write, block: impl Fn(usize) -> bool) {
    let mut files = files.lock().unwrap();
    let file = files.get_mut(&write.file).expect("the file is there");
    for (number, part) in write.bytes.chunks(BLOCK).enumerate() {
        if block(number) {
            let at = write.offset + number * BLOCK;
            file[at..at + part.len()].copy_from_slice(part);
        }
    }
}

impl Engine<String> for DiskEngine {
    fn describe(&self) -> String {
        "a disk in memory".into()
    }

    fn adopt(&mut self, slot: usize, file: String) -> Option<String> {
        self.slots[slot].replace(file)
    }

    fn write(&mut self, ticket: Ticket, slot: usize, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.push(ticket, slot, offset, bytes);
        Ok(())
    }

    fn write_header(&mut self, ticket: Ticket, slot: usize, block: &HeaderBlock) -> io::Result<()> {
        self.push(ticket, slot, 0, block.as_bytes());
        Ok(())
    }

    fn submit(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn reap(&mut self, completions: &mut Vec<Completion>) {
        let mut queue = self.queue.lock().unwrap();
        let mut at = 0;
        while at < queue.len() {
            if !self.random.chance(30) {
                at += 1;
                continue;
            }
            let write = queue.swap_remove(at);
            let left = self.fails_in.as_mut().map(|left| {
                *left = left.saturating_sub(1);
                *left
            });
            let outcome = if left == Some(0) {
                Err((Stage::Write, io::Error::from_raw_os_error(5)))
            } else {
                apply(&self.files, &write, |_| true);
                Ok(Progress::Durable)
            };
            completions.push(Completion { ticket: write.ticket, outcome });
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct DiskPool {
    files: Files,
    next: u64,
    /// Segments until there is no space.
    space: u64,
}

impl Spares<String> for DiskPool {
    fn take(&mut self) -> Option<io::Result<Spare<String>>> {
        if self.space == 0 {
            return Some(Err(io::Error::from_raw_os_error(28)));
        }
        self.space -= 1;
        let (index, file) = (self.next, segment_name(self.next));
        self.next += 1;
        self.files.lock().unwrap().insert(file.clone(), vec![0; 4096 + SEGMENT_LENGTH as usize]);
        Some(Ok(Spare { index, file }))
    }

    fn retire(&mut self, _: String) {}

    fn stop(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct System {
    files: Files,
    queue: Queue,
    clock: ManualClock,
    sequencer: Sequencer<ManualClock>,
    publisher: stele_bus::Publisher,
    journal: Journal<String>,
    ring: LogRing,
}

impl System {
    fn start(files: &Files, next: &Continuation, seed: u64, fails_in: Option<u64>, space: u64) -> Self {
        let identity = Identity { trail: TrailId([7; 16]), shard: ShardId(0), epoch: next.epoch };
        let header = SegmentHeader {
            identity,
            index: next.index,
            block_length: BLOCK as u32,
            segment_length: SEGMENT_LENGTH,
            base_position: next.base(BLOCK as u32),
            base_sequence: next.last_sequence.next(),
            created: next.last_timestamp,
            link: next.link,
            schema: [0; 32],
        };
        let mut pool = DiskPool { files: files.clone(), next: next.index, space: space + 1 };
        let file = pool.take().unwrap().unwrap().file;
        files.lock().unwrap().get_mut(&file).unwrap()[..4096].copy_from_slice(header.to_block().as_bytes());
        let start = SequencerStart {
            identity,
            next_sequence: header.base_sequence,
            position: header.base_position,
            last_timestamp: next.last_timestamp,
            segment_length: SEGMENT_LENGTH,
            block_length: BLOCK,
        };
        let parts =
            LogRing::create(&RingOptions { capacity: 512 << 10, ..RingOptions::default() }, start.position)
                .unwrap();
        let clock = ManualClock::at(Nanos(next.last_timestamp.0 + 1_000));
        let risk = Risk::new(RiskLimits::default());
        let mut sequencer = Sequencer::new(&start, parts.writer, clock.clone(), risk).unwrap();
        let publisher = sequencer.publisher(1, "crash", 16 << 10);
        let queue = Queue::default();
        let engine = DiskEngine {
            files: files.clone(),
            queue: queue.clone(),
            slots: [None, None],
            random: Random(seed),
            fails_in,
        };
        let journal = Journal::new(JournalParts {
            reader: parts.journal,
            engine: Box::new(engine),
            spares: Box::new(pool),
            storage: Arc::new(Disk(files.clone())),
            header,
            file,
            lock: None,
        });
        Self { files: files.clone(), queue, clock, sequencer, publisher, journal, ring: parts.ring }
    }

    /// One turn of everything; says whether the journal still works.
    fn turn(&mut self, random: &mut Random, published: &mut u64) -> bool {
        for _ in 0..random.below(60) {
            let mut trade = Trade::NULL;
            trade.trade_id.set(*published + 1);
            match self.publisher.offer_message(&trade, Nanos(1)) {
                Ok(()) => *published += 1,
                Err(Refusal::RingFull) => break,
                Err(_) => return false,
            }
        }
        self.clock.advance(Nanos(random.below(150_000)));
        let _ = self.sequencer.do_work();
        self.journal.do_work().is_ok()
    }

    /// The power goes: of each write on its way, any blocks may be on the medium.
    fn crash(self, random: &mut Random) -> Position {
        let durable = self.ring.watermarks().durable();
        for write in self.queue.lock().unwrap().drain(..) {
            let (mask, all, none) = (random.next(), random.chance(25), random.chance(25));
            apply(&self.files, &write, |block| all || (!none && mask >> (block % 64) & 1 == 1));
        }
        durable
    }
}

/// Events on the disk: sequence and the bytes of each frame.
fn events(files: &Files) -> Vec<(Position, Vec<u8>)> {
    let mut all = Vec::new();
    let mut reader = TrailReader::over(Arc::new(Disk(files.clone()))).unwrap();
    while let Some(entry) = reader.read_next().unwrap() {
        all.push((entry.position, entry.frame.bytes().to_vec()));
        assert_eq!(entry.frame.sequence().0, all.len() as u64);
    }
    all
}

/// What was acknowledged is there byte for byte, what comes after it is a prefix of what was written, recovery
/// run twice gives the same, and the next epoch goes on without a gap.
#[test]
fn whatever_the_disk_loses_in_a_crash_nothing_acknowledged_is_lost() {
    let rounds = std::env::var("STELE_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let mut rows = [0; 3];
    for seed in 0..rounds {
        let mut random = Random(seed);
        let files = Files::default();
        let disk = Disk(files.clone());
        let (_, mut next) = recover(&disk, survey(&disk).unwrap()).unwrap();
        let mut before: Vec<(Position, Vec<u8>)> = Vec::new();
        for _ in 0..4 {
            let mut system = System::start(&files, &next, random.next(), None, u64::MAX - 1);
            let mut published = 0;
            for _ in 0..random.below(300) {
                assert!(system.turn(&mut random, &mut published), "seed {seed}");
            }
            let durable = system.crash(&mut random);
            let (report, continuation) = recover(&disk, survey(&disk).unwrap())
                .unwrap_or_else(|error| panic!("seed {seed}: durable {durable}: {error}"));
            assert!(
                report.floor <= durable && report.end >= durable,
                "seed {seed}: {report:?} durable {durable}"
            );
            match report.row {
                Row::C => rows[0] += 1,
                Row::D => rows[1] += 1,
                Row::E => rows[2] += 1,
                other => panic!("seed {seed}: {other:?}"),
            }
            let (again, same) = recover(&disk, survey(&disk).unwrap()).unwrap();
            assert_eq!((again.row, again.end, same), (Row::C, report.end, continuation), "seed {seed}");
            let now = events(&files);
            assert!(
                now.len() as u64 == report.last_sequence.0 && now[..before.len()] == before[..],
                "seed {seed}"
            );
            let mut trades = 0;
            for frame in now[before.len()..].iter().map(|(_, bytes)| Frame::read(bytes).unwrap()) {
                if let Some(trade) = stele_wire::codec::read::<Trade>(&frame) {
                    trades += 1;
                    assert_eq!(trade.trade_id.get(), trades, "seed {seed}");
                }
            }
            assert!(trades <= published);
            verify(&disk, &Default::default()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            (before, next) = (now, continuation);
        }
    }
    assert!(rows[1] > 0 && rows[2] > 0, "the crashes were too kind: {rows:?}");
}

#[test]
fn a_failed_write_poisons_the_journal_and_keeps_what_was_acknowledged() {
    for seed in 0..10 {
        let mut random = Random(seed);
        let files = Files::default();
        let disk = Disk(files.clone());
        let (_, next) = recover(&disk, survey(&disk).unwrap()).unwrap();
        let mut system = System::start(&files, &next, seed, Some(20 + seed * 3), u64::MAX - 1);
        let mut published = 0;
        while system.turn(&mut random, &mut published) {}
        while system.journal.failure().is_none() {
            let _ = system.turn(&mut random, &mut published);
        }
        let durable = system.ring.watermarks().durable();
        let text = system.journal.do_work().unwrap_err().to_string();
        assert!(text.contains("a write failed at offset") && text.contains(".stele"), "{text}");
        assert!(text.contains(&format!("up to position {durable} is durable")), "{text}");
        assert_eq!(system.ring.poisoned(), Some(text.as_str()));
        assert!(matches!(
            system.publisher.offer_message(&Trade::NULL, Nanos(1)),
            Err(Refusal::JournalPoisoned)
        ));
        for _ in 0..50 {
            system.turn(&mut random, &mut published);
        }
        assert_eq!(system.ring.watermarks().durable(), durable, "nothing more is acknowledged");
        assert!(system.journal.stop().is_err());
        system.crash(&mut random);
        let (report, _) = recover(&disk, survey(&disk).unwrap()).unwrap();
        assert!(report.end >= durable, "seed {seed}");
    }
}

#[test]
fn no_space_for_the_next_segment_stops_with_everything_acknowledged_intact() {
    let mut random = Random(1);
    let files = Files::default();
    let disk = Disk(files.clone());
    let (_, next) = recover(&disk, survey(&disk).unwrap()).unwrap();
    let mut system = System::start(&files, &next, 1, None, 2);
    let mut published = 0;
    while system.journal.failure().is_none() {
        let _ = system.turn(&mut random, &mut published);
    }
    let durable = system.ring.watermarks().durable();
    let text = system.journal.failure().unwrap().to_string();
    assert!(
        text.contains("preparing the next segment failed") && text.contains("0000000003.stele"),
        "{text}"
    );
    assert!(text.contains("No space left") && text.contains("free some space"), "{text}");
    system.crash(&mut random);
    let (report, _) = recover(&disk, survey(&disk).unwrap()).unwrap();
    assert!(report.end >= durable);
}
