//! Counters in shared memory: other threads and processes read them while their owners count, at no cost on
//! the hot path.
//!
//! The counters are one mapping of 128-byte slots of little-endian words, each stored atomically.
//! [`Counters::create_shared`] puts it in memory that other processes map read-only with
//! [`CounterReader::attach`]. Slot 0 is the header:
//!
//! ```text
//!  word 0              1              2             3              4           5
//! ┌──────────────────┬──────────────┬─────────────┬──────────────┬───────────┬──────────────────────┐
//! │ magic "STELECNT" │ version,     │ slots in    │ slots in use │ writer's  │ clock ticks from the │
//! │                  │ now 1        │ the mapping │ after this   │ pid       │ boot to its start    │
//! ├──────────────────┼──────────────┼─────────────┴──────────────┴───────────┴──────────────────────┘
//! │ 6: creation,     │ 7: 1 running,│
//! │    ns UTC        │    2 ended   │
//! └──────────────────┴──────────────┘
//! ```
//! Each counter is a slot. A histogram's value is the sum of its values, and [`HISTOGRAM_SLOTS`] more slots
//! with its buckets follow:
//!
//! ```text
//!  byte 0      8              64                                            72          80 … 128
//! ┌───────────┬──────────────┬─────────────────────────────────────────────┬───────────┬──────────┐
//! │ value u64 │ zero: the    │ id u16 · shard u16 · instance u16 ·         │ following │ label,   │
//! │           │ value has    │ label length u8 · contract u8 (0 none,      │ slots: 0  │ 48 bytes │
//! │           │ its own line │ 1 gating, 2 lossy, 3 catch-up, 4 conflating)│ or 16     │          │
//! └───────────┴──────────────┴─────────────────────────────────────────────┴───────────┴──────────┘
//! ```
//! The ids are in [`table`]. A program reads only the layout version that it knows. New rows of the table do
//! not change the version.

pub mod histogram;
pub(crate) mod sequencer;
pub mod table;

use crate::bounds::{COUNTER_LABEL_MAX, COUNTER_SLOTS, PAGE_LENGTH};
use crate::mapping::{Access, Mapping};
use crate::shared::process::{Liveness, Process};
use crate::sync::{AtomicU64, Ordering};
use histogram::{BUCKETS, Distribution};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use stele_wire::Nanos;
use table::{CounterDefinition, CounterKind};

const SLOT_WORDS: usize = 16;
const DESCRIPTION: usize = 8;
const FOLLOWERS: usize = 9;
const LABEL: usize = 10;
/// The bits of a description that identify a counter: id, shard and instance.
const KEY: u64 = (1 << 48) - 1;

/// The slots that follow a histogram's own.
pub const HISTOGRAM_SLOTS: usize = BUCKETS / SLOT_WORDS;
const MAGIC: u64 = u64::from_le_bytes(*b"STELECNT");
/// The version of the layout.
pub const VERSION: u64 = 1;

const _: () = assert!((SLOT_WORDS - LABEL) * 8 == COUNTER_LABEL_MAX);
const _: () = assert!(BUCKETS.is_multiple_of(SLOT_WORDS) && COUNTER_LABEL_MAX <= u8::MAX as usize);

/// Words of the header.
mod header {
    pub(super) const MAGIC: usize = 0;
    pub(super) const VERSION: usize = 1;
    pub(super) const SLOTS: usize = 2;
    pub(super) const USED: usize = 3;
    pub(super) const PID: usize = 4;
    pub(super) const STARTED: usize = 5;
    pub(super) const BEGUN: usize = 6;
    pub(super) const PHASE: usize = 7;
}

const RUNNING: u64 = 1;
const ENDED: u64 = 2;

/// How a consumer reads the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ConsumerContract {
    /// Not a consumer.
    #[default]
    None,
    /// It is never overrun: the bus refuses input instead.
    Gating,
    /// It may be overrun and learns what it lost.
    Lossy,
    /// It reads the journal where the ring has overrun it.
    CatchUp,
    /// It gets the newest state of each instrument.
    Conflating,
}

impl ConsumerContract {
    const ALL: [Self; 5] = [Self::None, Self::Gating, Self::Lossy, Self::CatchUp, Self::Conflating];

    /// The contract's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gating => "gating",
            Self::Lossy => "lossy",
            Self::CatchUp => "catch-up",
            Self::Conflating => "conflating",
        }
    }
}

/// What identifies a counter among those with the same definition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CounterLabels<'a> {
    /// The shard; 0 where there is only one.
    pub shard: u16,
    /// The publisher, consumer, core or reason; 0 where there is one counter for each shard.
    pub instance: u16,
    /// The contract, if it is a consumer's counter.
    pub contract: ConsumerContract,
    /// The instance's name, cut to [`COUNTER_LABEL_MAX`] bytes.
    pub label: &'a str,
}

impl<'a> CounterLabels<'a> {
    /// The labels of a shard's counter.
    pub fn shard(shard: u16) -> Self {
        Self { shard, ..Self::default() }
    }

    /// The labels of one of several counters of a shard.
    pub fn named(shard: u16, instance: u16, label: &'a str) -> Self {
        Self { shard, instance, label, ..Self::default() }
    }

    /// The labels of a consumer's counter.
    pub fn consumer(shard: u16, instance: u16, label: &'a str, contract: ConsumerContract) -> Self {
        Self { shard, instance, contract, label }
    }
}

/// The mapping of the counters. A clone is another handle to the same mapping.
#[derive(Clone, Debug)]
pub struct Counters {
    words: Arc<Mapping>,
    registration: Arc<Mutex<()>>,
}

/// Why a counter cannot be registered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CounterError {
    /// The mapping has no slot left.
    #[error("no slot left for counter {name} of shard {shard} ({label}): there are {slots}")]
    Full {
        /// The counter's name.
        name: &'static str,
        /// Its shard.
        shard: u16,
        /// Its label.
        label: String,
        /// The slots in the mapping.
        slots: usize,
    },
    /// The counter is registered already.
    #[error("counter {name} of shard {shard}, instance {instance} ({label}), is registered already")]
    Taken {
        /// The counter's name.
        name: &'static str,
        /// Its shard.
        shard: u16,
        /// Its instance.
        instance: u16,
        /// Its label.
        label: String,
    },
}

impl Counters {
    /// Creates counters in memory of this process.
    ///
    /// # Errors
    /// When the kernel refuses the memory.
    pub fn create() -> std::io::Result<Self> {
        Ok(Self::over(Mapping::anonymous(length(), false)?))
    }

    /// Creates counters in memory that other processes may map read-only: see [`Counters::descriptor`].
    ///
    /// # Errors
    /// When the kernel refuses the memory.
    pub fn create_shared() -> std::io::Result<Self> {
        Ok(Self::over(Mapping::shared("stele-counters", length(), false, Access::Read)?))
    }

    /// The memory of the counters, to hand to other processes: they can map it read-only and nothing else.
    /// None where it is private to this process.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.words.descriptor()
    }

    fn over(words: Mapping) -> Self {
        write_header(words.words());
        Self { words: Arc::new(words), registration: Arc::default() }
    }

    /// Registers a counter, with the value 0.
    ///
    /// # Errors
    /// When it is registered already or no slot is left.
    ///
    /// # Panics
    /// When the definition is that of a histogram.
    pub fn register(
        &self,
        definition: &'static CounterDefinition,
        place: CounterLabels<'_>,
    ) -> Result<Counter, CounterError> {
        assert!(definition.kind != CounterKind::Histogram, "{} is a histogram", definition.name);
        let slot = self.claim(definition, place, 0)?;
        Ok(Counter { words: self.words.clone(), word: slot * SLOT_WORDS })
    }

    /// Registers an empty histogram.
    ///
    /// # Errors
    /// As [`Counters::register`].
    ///
    /// # Panics
    /// When the definition is not that of a histogram.
    pub fn histogram(
        &self,
        definition: &'static CounterDefinition,
        place: CounterLabels<'_>,
    ) -> Result<Histogram, CounterError> {
        assert!(definition.kind == CounterKind::Histogram, "{} is not a histogram", definition.name);
        let slot = self.claim(definition, place, HISTOGRAM_SLOTS)?;
        Ok(Histogram { words: self.words.clone(), word: slot * SLOT_WORDS })
    }

    /// Takes a slot and `followers` more after it, and writes its description.
    fn claim(
        &self,
        definition: &'static CounterDefinition,
        place: CounterLabels<'_>,
        followers: usize,
    ) -> Result<usize, CounterError> {
        let _one_at_a_time = self.registration.lock().unwrap_or_else(PoisonError::into_inner);
        let CounterLabels { shard, instance, contract, label } = place;
        let (name, text) = (definition.name, || label.to_owned());
        let key = u64::from(definition.id) | u64::from(shard) << 16 | u64::from(instance) << 32;
        let words = self.words.words();
        if slots(words).any(|slot| slot[DESCRIPTION].load(Ordering::Relaxed) & KEY == key) {
            return Err(CounterError::Taken { name, shard, instance, label: text() });
        }
        let (slots, used) = (words.len() / SLOT_WORDS, words[header::USED].load(Ordering::Relaxed) as usize);
        if used + 1 + followers >= slots {
            return Err(CounterError::Full { name, shard, label: text(), slots });
        }
        let index = used + 1;
        let slot = &words[index * SLOT_WORDS..][..SLOT_WORDS];
        let mut bytes = [0; COUNTER_LABEL_MAX];
        let length = label.floor_char_boundary(COUNTER_LABEL_MAX);
        bytes[..length].copy_from_slice(&label.as_bytes()[..length]);
        for (word, bytes) in slot[LABEL..].iter().zip(bytes.as_chunks::<8>().0) {
            word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
        let description = key | (length as u64) << 48 | (contract as u64) << 56;
        slot[DESCRIPTION].store(description, Ordering::Relaxed);
        slot[FOLLOWERS].store(followers as u64, Ordering::Relaxed);
        // Release, partner of the Acquire load in `slots`: the description is in place.
        words[header::USED].store((index + followers) as u64, Ordering::Release);
        Ok(index)
    }

    /// Returns a reader of the same memory.
    pub fn reader(&self) -> CounterReader {
        CounterReader { words: self.words.clone(), process: Liveness::Process }
    }

    /// Marks the counters as ended, for their readers.
    pub fn end(&self) {
        // Release, partner of the Acquire load in `CounterReader::writer`: the last values are in place.
        self.words.words()[header::PHASE].store(ENDED, Ordering::Release);
    }
}

fn length() -> usize {
    (COUNTER_SLOTS * SLOT_WORDS * 8).next_multiple_of(PAGE_LENGTH)
}

fn write_header(words: &[AtomicU64]) {
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let Process { id, start_time } = Process::current();
    for (word, value) in [
        (header::VERSION, VERSION),
        (header::SLOTS, (words.len() / SLOT_WORDS) as u64),
        (header::PID, u64::from(id)),
        (header::STARTED, start_time),
        (header::BEGUN, begun),
        (header::PHASE, RUNNING),
    ] {
        words[word].store(value, Ordering::Relaxed);
    }
    // Release, partner of the Acquire load in `CounterReader::attach`: the header is in place.
    words[header::MAGIC].store(MAGIC, Ordering::Release);
}

/// The owner's handle to one counter.
#[derive(Debug)]
pub struct Counter {
    words: Arc<Mapping>,
    word: usize,
}

impl Counter {
    #[inline]
    fn word(&self) -> &AtomicU64 {
        &self.words.words()[self.word]
    }

    /// Adds `by`. There is one owner, hence `&mut self`, so a load and a store suffice.
    #[inline]
    pub fn add(&mut self, by: u64) {
        self.set(self.get() + by);
    }

    /// Sets the value.
    #[inline]
    pub fn set(&mut self, value: u64) {
        self.word().store(value, Ordering::Relaxed);
    }

    /// Returns the value.
    #[inline]
    pub fn get(&self) -> u64 {
        self.word().load(Ordering::Relaxed)
    }
}

/// The owner's handle to one histogram.
#[derive(Debug)]
pub struct Histogram {
    words: Arc<Mapping>,
    word: usize,
}

impl Histogram {
    /// Counts `value`, with two loads and two stores.
    #[inline]
    pub fn record(&mut self, value: u64) {
        let words = &self.words.words()[self.word..][..SLOT_WORDS + BUCKETS];
        for (word, by) in [(0, value), (SLOT_WORDS + histogram::bucket(value), 1)] {
            words[word].store(words[word].load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
        }
    }
}

/// A read-only handle to counters of this process or another.
#[derive(Clone, Debug)]
pub struct CounterReader {
    words: Arc<Mapping>,
    /// How it learns that the process that writes the counters is dead.
    process: Liveness,
}

/// Why the memory of another process's counters cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CounterOpenError {
    /// The memory cannot be mapped.
    #[error("the counters cannot be mapped: {0}")]
    Io(#[from] std::io::Error),
    /// The memory does not contain counters.
    #[error("the memory does not begin as counters do")]
    Magic,
    /// Another version of this program wrote it.
    #[error("the counters have layout {found}, and this program reads layout {VERSION}")]
    Version {
        /// The version in the memory.
        found: u64,
    },
}

/// The state of the process that writes counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CounterWriterState {
    /// It is running.
    Running,
    /// It ended in order.
    Ended,
    /// It died without marking the counters as ended.
    Died,
}

/// One counter as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CounterReading {
    /// Its definition.
    pub definition: &'static CounterDefinition,
    /// The shard that it was registered with.
    pub shard: u16,
    /// The instance that it was registered with.
    pub instance: u16,
    /// The contract that it was registered with.
    pub contract: ConsumerContract,
    /// The label that it was registered with.
    pub label: String,
    /// Its value; for a histogram, the sum of the counted values.
    pub value: u64,
    /// The buckets of a histogram; none for other counters.
    pub distribution: Option<Distribution>,
}

impl CounterReader {
    /// Maps the counters of another process read-only, from the descriptor of their memory. `process` is how
    /// the reader learns that the process is dead.
    ///
    /// # Errors
    /// [`CounterOpenError`].
    pub fn attach(memory: OwnedFd, process: Liveness) -> Result<Self, CounterOpenError> {
        let words = Mapping::attach(memory.as_fd(), Access::Read)?;
        let word = |index: usize| words.words()[index].load(Ordering::Acquire);
        if word(header::MAGIC) != MAGIC {
            return Err(CounterOpenError::Magic);
        }
        if word(header::VERSION) != VERSION {
            return Err(CounterOpenError::Version { found: word(header::VERSION) });
        }
        if word(header::SLOTS) != (words.words().len() / SLOT_WORDS) as u64 {
            return Err(CounterOpenError::Magic);
        }
        Ok(Self { words: Arc::new(words), process })
    }

    /// The process that writes the counters.
    pub fn process(&self) -> Process {
        Process { id: self.header(header::PID) as u32, start_time: self.header(header::STARTED) }
    }

    /// The time at which the counters were created, UTC.
    pub fn created(&self) -> Nanos {
        Nanos(self.header(header::BEGUN))
    }

    /// The state of the process that writes the counters.
    pub fn writer(&self) -> CounterWriterState {
        if self.words.words()[header::PHASE].load(Ordering::Acquire) == ENDED {
            return CounterWriterState::Ended;
        }
        match self.process.is_alive(self.process()) {
            true => CounterWriterState::Running,
            false => CounterWriterState::Died,
        }
    }

    fn header(&self, word: usize) -> u64 {
        self.words.words()[word].load(Ordering::Relaxed)
    }

    /// Reads every registered counter, in the order of registration. Counters with an id that this program
    /// does not know are omitted.
    pub fn readings(&self) -> impl Iterator<Item = CounterReading> {
        slots(self.words.words()).filter_map(read_slot)
    }

    /// Reads the value of one counter; 0 when it is not registered.
    pub fn value(&self, definition: &'static CounterDefinition, shard: u16, instance: u16) -> u64 {
        let wanted = (definition, shard, instance);
        let mut readings = self.readings();
        let found = readings.find(|found| (found.definition, found.shard, found.instance) == wanted);
        found.map_or(0, |found| found.value)
    }
}

/// Iterates over the words from each counter's slot on, in the order of registration.
fn slots(words: &[AtomicU64]) -> impl Iterator<Item = &[AtomicU64]> {
    let last = words.len() / SLOT_WORDS - 1;
    // Acquire, partner of the Release store in `Counters::claim`: the descriptions are in place.
    let used = (words[header::USED].load(Ordering::Acquire) as usize).min(last);
    let mut next = 1;
    std::iter::from_fn(move || {
        let index = next;
        let slot = words.get(index * SLOT_WORDS..).filter(|_| index <= used)?;
        next += 1 + (slot[FOLLOWERS].load(Ordering::Relaxed) as usize).min(used);
        Some(slot)
    })
}

/// Reads the counter in the slot at the start of `words`.
fn read_slot(words: &[AtomicU64]) -> Option<CounterReading> {
    let word = |index: usize| words[index].load(Ordering::Relaxed);
    let description = word(DESCRIPTION);
    let definition = CounterDefinition::find(description as u16)?;
    let label = (LABEL..SLOT_WORDS).flat_map(|index| word(index).to_le_bytes());
    let label: Vec<u8> = label.take((description >> 48) as u8 as usize).collect();
    let is_histogram = word(FOLLOWERS) == HISTOGRAM_SLOTS as u64 && words.len() >= SLOT_WORDS + BUCKETS;
    let distribution = is_histogram.then(|| Distribution {
        buckets: (0..BUCKETS).map(|index| word(SLOT_WORDS + index)).collect(),
        sum: word(0),
    });
    Some(CounterReading {
        definition,
        shard: (description >> 16) as u16,
        instance: (description >> 32) as u16,
        contract: ConsumerContract::ALL.get((description >> 56) as usize).copied().unwrap_or_default(),
        label: String::from_utf8_lossy(&label).into_owned(),
        value: word(0),
        distribution,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_each_counter_with_its_definition_labels_and_value() {
        let counters = Counters::create().unwrap();
        let mut events = counters.register(table::EVENTS, CounterLabels::shard(3)).unwrap();
        let consumer = CounterLabels::consumer(
            3,
            2,
            "a label longer than a slot holds, so that it is cut",
            ConsumerContract::Lossy,
        );
        counters.register(table::CONSUMER_POSITION, consumer).unwrap();
        let mut latency = counters.histogram(table::PUBLISH_TO_DURABLE, CounterLabels::shard(3)).unwrap();
        let mut batches = counters.register(table::BATCHES, CounterLabels::shard(3)).unwrap();
        events.add(40);
        events.add(2);
        batches.set(9);
        [100, 100, 40_000].into_iter().for_each(|value| latency.record(value));
        let readings: Vec<CounterReading> = counters.reader().readings().collect();
        let seen: Vec<_> = readings.iter().map(|reading| (reading.definition.name, reading.value)).collect();
        let expected =
            [("events", 42), ("consumer_position", 0), ("publish_to_durable", 40_200), ("batches", 9)];
        assert_eq!(seen, expected);
        let CounterReading { shard, instance, contract, label, .. } = &readings[1];
        assert_eq!(
            (*shard, *instance, *contract, label.len()),
            (3, 2, ConsumerContract::Lossy, COUNTER_LABEL_MAX)
        );
        let distribution = readings[2].distribution.as_ref().unwrap();
        assert_eq!((distribution.count(), distribution.quantile(0.5)), (3, Some(103)));
        assert_eq!(counters.reader().value(table::EVENTS, 3, 0), 42);
        assert_eq!(counters.reader().value(table::EVENTS, 4, 0), 0);
    }

    #[test]
    fn a_counter_is_registered_once_and_the_last_slot_is_usable() {
        let counters = Counters::create().unwrap();
        let mut instance = 0;
        let error = loop {
            match counters.register(table::QUEUE_DEPTH, CounterLabels::named(0, instance, "x")) {
                Ok(mut counter) => counter.set(u64::from(instance)),
                Err(error) => break error,
            }
            instance += 1;
        };
        assert_eq!(usize::from(instance), COUNTER_SLOTS - 1);
        assert!(matches!(error, CounterError::Full { slots: COUNTER_SLOTS, .. }), "{error}");
        assert!(counters.reader().readings().all(|reading| reading.value == u64::from(reading.instance)));
        let again = counters.register(table::QUEUE_DEPTH, CounterLabels::named(0, 1, "y")).unwrap_err();
        assert!(again.to_string().contains("queue_depth of shard 0, instance 1 (y)"), "{again}");
    }

    fn handed_over(counters: &Counters) -> OwnedFd {
        counters.descriptor().unwrap().try_clone_to_owned().unwrap()
    }

    #[test]
    fn shared_counters_are_readable_while_they_are_written_and_readers_learn_of_the_end() {
        let counters = Counters::create_shared().unwrap();
        let reader = CounterReader::attach(handed_over(&counters), Liveness::Process).unwrap();
        assert_eq!((reader.process().id, reader.readings().count()), (std::process::id(), 0));
        let mut events = counters.register(table::EVENTS, CounterLabels::shard(0)).unwrap();
        events.set(7);
        assert_eq!(reader.value(table::EVENTS, 0, 0), 7);
        assert_eq!(reader.writer(), CounterWriterState::Running);
        let file = std::fs::File::from(handed_over(&counters));
        assert!(file.set_len(0).is_err(), "another process cannot shorten them");
        events.set(8);
        assert_eq!(reader.value(table::EVENTS, 0, 0), 8);
        counters.end();
        assert_eq!(reader.writer(), CounterWriterState::Ended);
        assert!(Counters::create().unwrap().descriptor().is_none());
    }

    #[test]
    fn a_writer_that_died_is_distinguished_from_one_that_ended() {
        let counters = Counters::create().unwrap();
        let reader = counters.reader();
        counters.words.words()[header::STARTED].store(1, Ordering::Relaxed);
        assert_eq!(reader.writer(), CounterWriterState::Died, "the pid is another process's now");
        counters.words.words()[header::PID].store(u64::from(u32::MAX), Ordering::Relaxed);
        assert_eq!(reader.writer(), CounterWriterState::Died);
    }

    #[test]
    fn memory_of_another_kind_or_layout_is_refused() {
        let counters = Counters::create_shared().unwrap();
        let refusal = |word: usize, value: u64| {
            counters.words.words()[word].store(value, Ordering::Relaxed);
            CounterReader::attach(handed_over(&counters), Liveness::Process).unwrap_err().to_string()
        };
        assert!(refusal(header::SLOTS, 200).contains("does not begin"), "they were cut");
        assert!(refusal(header::VERSION, 9).contains("have layout 9, and this program reads layout 1"));
        assert!(refusal(header::MAGIC, 7).contains("does not begin"));
    }
}
