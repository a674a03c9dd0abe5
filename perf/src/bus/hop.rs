//! `hop`: the time of an event from its publisher through the sequencer to a consumer, compared with a bare
//! `rtrb` path with the same number of hops.
//!
//! ```text
//!  ours:  publisher ──rtrb──> sequencer: number, time, CRC ──log ring──> gating consumer, in place
//!  other: publisher ──lane──> sequencer: copy, number, time, CRC ──ring──> lossy consumer, by copy
//!  rtrb:  publisher ──rtrb──> relay: copy                   ──rtrb─────> consumer, in place
//! ```
//!
//! The time starts when an event was due and ends when the consumer's callback reads the clock. The loop is
//! open, with random arrivals, so a late publisher counts. Both paths have their roles on the same CPUs and
//! threads. In `hop` both handovers go to another CPU; in `hop_as_run` the consumer is on the sequencer's
//! thread, as the strategies of a run are. `hop_shared` is the path of other processes: publisher and
//! consumer map the shared memory themselves. They are threads here, so that one clock takes both times;
//! neither side of that path makes a system call, so separate processes would take the same time.

use super::load::{Parcel, Stopwatch};
use super::rig::{self, NoJournal, Rig, SharedRig};
use super::seats::{Seats, Sharing};
use crate::Percentiles;
use crate::arrivals::Arrivals;
use crate::cpu::on_cpu;
use crate::figure::latency_histogram;
use hdrhistogram::Histogram;
use rtrb::{Consumer, Producer, RingBuffer};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stele_bus::bounds::{PUBLISHER_WORDS_DEFAULT, RING_LENGTH_DEFAULT};
use stele_bus::{
    GatingConsumer, Idler, LossyConsumer, Publisher, Refusal, RemotePublisher, Sequencer, UtcClock,
};
use stele_wire::Nanos;

/// The delay between the start of the threads and the first arrival.
const SETTLING: Duration = Duration::from_millis(5);
/// The length of the ring in shared memory, in bytes.
const SHARED_RING_LENGTH: usize = 8 << 20;
/// The maximum number of events that a consumer reads in one turn.
const POLL_MAX: usize = 256;

/// The arrivals, and the CPUs of the roles.
#[derive(Clone)]
pub(crate) struct Traffic {
    pub(crate) arrivals: Arrivals,
    pub(crate) length: Duration,
    pub(crate) seats: Seats,
}

pub(crate) trait Source: Send {
    /// Publishes the next message, which was due at `due`. Returns whether there was room.
    fn offer(&mut self, due: u64) -> bool;
}

pub(crate) trait Relay: Send {
    /// Passes on the available messages. Returns a count of the work done.
    fn turn(&mut self) -> usize;
}

pub(crate) trait Sink: Send {
    /// Calls `on_due` for each available message with the time when it was due. Returns how many there were.
    fn turn(&mut self, on_due: impl FnMut(u64)) -> usize;
}

/// Measures the bus.
pub(crate) fn ours(parcels: &[Parcel], traffic: &Traffic) -> io::Result<Percentiles> {
    let Rig { publisher, sequencer, mut consumers, journal, .. } = Rig::new(RING_LENGTH_DEFAULT, 1)?;
    let source = Publishing { publisher, parcels: parcels.to_vec(), next: 0 };
    let sink = Following { consumer: consumers.remove(0), journal };
    Ok(measure(source, sequencer, sink, traffic))
}

/// Measures the bus in shared memory.
pub(crate) fn shared(parcels: &[Parcel], traffic: &Traffic) -> io::Result<Percentiles> {
    let SharedRig { publisher, sequencer, reader, journal, port } = SharedRig::new(SHARED_RING_LENGTH)?;
    let source = Publishing { publisher, parcels: parcels.to_vec(), next: 0 };
    let seen = measure(source, sequencer, Observing { reader, journal }, traffic);
    drop(port);
    Ok(seen)
}

/// Measures two `rtrb` rings and a relay.
pub(crate) fn rival(parcels: &[Parcel], traffic: &Traffic) -> Percentiles {
    let (to_relay, at_relay) = touched(PUBLISHER_WORDS_DEFAULT);
    let (to_sink, at_sink) = touched(PUBLISHER_WORDS_DEFAULT);
    let frames = parcels.iter().map(|parcel| {
        let mut words = vec![0; parcel.frame_words()];
        words[0] = words.len() as u64;
        words
    });
    let source = RtrbSource { ring: to_relay, frames: frames.collect(), next: 0 };
    measure(source, RtrbRelay { from: at_relay, to: to_sink }, RtrbSink { ring: at_sink }, traffic)
}

/// Creates a ring of `capacity` words and touches all its memory.
pub(crate) fn touched(capacity: usize) -> (Producer<u64>, Consumer<u64>) {
    let (mut producer, mut consumer) = RingBuffer::new(capacity);
    producer.push_entire_slice(&vec![0; capacity]).expect("the ring is empty");
    consumer.read_chunk(capacity).expect("the ring is full").commit_all();
    (producer, consumer)
}

struct Publishing<P> {
    publisher: P,
    parcels: Vec<Parcel>,
    next: usize,
}

/// A publisher of this process or of another one.
trait Offers: Send {
    fn offer(&mut self, template_id: u16, body: &[u8]) -> Result<(), Refusal>;
}

impl Offers for Publisher {
    #[inline]
    fn offer(&mut self, template_id: u16, body: &[u8]) -> Result<(), Refusal> {
        Self::offer(self, template_id, body, Nanos(1))
    }
}

impl Offers for RemotePublisher {
    #[inline]
    fn offer(&mut self, template_id: u16, body: &[u8]) -> Result<(), Refusal> {
        Self::offer(self, template_id, body, Nanos(1))
    }
}

impl<P: Offers> Source for Publishing<P> {
    #[inline]
    fn offer(&mut self, due: u64) -> bool {
        let parcel = &mut self.parcels[self.next];
        parcel.stamp(due);
        let is_taken = self.publisher.offer(parcel.template_id, parcel.body()).is_ok();
        if is_taken {
            self.next = if self.next + 1 < self.parcels.len() { self.next + 1 } else { 0 };
        }
        is_taken
    }
}

impl Relay for Sequencer<UtcClock> {
    #[inline]
    fn turn(&mut self) -> usize {
        rig::sequence(self) as usize
    }
}

struct Following {
    consumer: GatingConsumer,
    journal: NoJournal,
}

impl Sink for Following {
    #[inline]
    fn turn(&mut self, on_due: impl FnMut(u64)) -> usize {
        self.journal.turn();
        rig::poll(&mut self.consumer, POLL_MAX, on_due) as usize
    }
}

struct Observing {
    reader: LossyConsumer,
    journal: NoJournal,
}

impl Sink for Observing {
    #[inline]
    fn turn(&mut self, on_due: impl FnMut(u64)) -> usize {
        self.journal.turn();
        rig::observe(&mut self.reader, POLL_MAX, on_due) as usize
    }
}

struct RtrbSource {
    ring: Producer<u64>,
    /// Frames: length in words, time when due, filler.
    frames: Vec<Vec<u64>>,
    next: usize,
}

impl Source for RtrbSource {
    #[inline]
    fn offer(&mut self, due: u64) -> bool {
        let frame = &mut self.frames[self.next];
        frame[1] = due;
        let is_taken = self.ring.push_entire_slice(frame).is_ok();
        if is_taken {
            self.next = if self.next + 1 < self.frames.len() { self.next + 1 } else { 0 };
        }
        is_taken
    }
}

struct RtrbRelay {
    from: Consumer<u64>,
    to: Producer<u64>,
}

impl Relay for RtrbRelay {
    #[inline]
    fn turn(&mut self) -> usize {
        let available = self.from.slots();
        if available == 0 || self.to.slots() < available {
            return 0;
        }
        let chunk = self.from.read_chunk(available).expect("the words are available");
        let (first, second) = chunk.as_slices();
        self.to.push_entire_slice(first).expect("there is room");
        self.to.push_entire_slice(second).expect("there is room");
        chunk.commit_all();
        available
    }
}

struct RtrbSink {
    ring: Consumer<u64>,
}

impl Sink for RtrbSink {
    #[inline]
    fn turn(&mut self, mut on_due: impl FnMut(u64)) -> usize {
        let available = self.ring.slots();
        if available == 0 {
            return 0;
        }
        let chunk = self.ring.read_chunk(available).expect("the words are available");
        let (first, second) = chunk.as_slices();
        let word = |at: usize| first.get(at).copied().unwrap_or_else(|| second[at - first.len()]);
        let (mut at, mut count) = (0, 0);
        // The relay may have passed on only the front of a frame.
        while at + 1 < available && at + word(at) as usize <= available {
            on_due(word(at + 1));
            at += word(at) as usize;
            count += 1;
        }
        chunk.commit(at);
        count
    }
}

/// The role of the publisher: publishes the messages that are due.
struct Sending<S> {
    source: S,
    arrivals: Arrivals,
    end: Duration,
    watch: Stopwatch,
    sent: u64,
}

impl<S: Source> Sending<S> {
    #[inline]
    fn turn(&mut self) -> usize {
        let due = self.arrivals.next_due();
        if due >= self.end {
            return 0;
        }
        let due = (SETTLING + due).as_nanos() as u64;
        if due > self.watch.now() || !self.source.offer(due) {
            return 0;
        }
        self.arrivals.take();
        self.sent += 1;
        1
    }

    fn is_over(&self) -> bool {
        self.arrivals.next_due() >= self.end
    }
}

/// The role of the consumer: records the latency of each message.
struct Receiving<K> {
    sink: K,
    watch: Stopwatch,
    seen: Histogram<u64>,
}

impl<K: Sink> Receiving<K> {
    #[inline]
    fn turn(&mut self) -> usize {
        let Self { sink, watch, seen } = self;
        sink.turn(|due| seen.saturating_record(watch.now().saturating_sub(due).max(1)))
    }
}

fn measure<S: Source, R: Relay, K: Sink>(source: S, mut relay: R, sink: K, traffic: &Traffic) -> Percentiles {
    let count = {
        let mut arrivals = traffic.arrivals.clone();
        std::iter::from_fn(|| Some(arrivals.take())).take_while(|due| *due < traffic.length).count() as u64
    };
    let watch = Stopwatch::start();
    let (arrivals, end) = (traffic.arrivals.clone(), traffic.length);
    let mut sending = Sending { source, arrivals, end, watch: watch.clone(), sent: 0 };
    let mut receiving = Receiving { sink, watch, seen: latency_histogram() };
    let (seats, is_done) = (&traffic.seats, &AtomicBool::new(false));
    let idle = || Idler::new(seats.idle());
    std::thread::scope(|scope| match seats.sharing {
        Sharing::PublisherAndConsumer => {
            scope.spawn(|| on_cpu(seats.sequencer, || until(is_done, idle(), || relay.turn())));
            let done = Done(is_done);
            on_cpu(seats.publisher, || {
                let mut idle = idle();
                while receiving.seen.len() < count {
                    let work = sending.turn() + receiving.turn();
                    idle.idle(work);
                }
                drop(done);
            });
        }
        Sharing::SequencerAndConsumer => {
            scope.spawn(|| on_cpu(seats.publisher, || until(is_done, idle(), || sending.turn())));
            let done = Done(is_done);
            on_cpu(seats.sequencer, || {
                let mut idle = idle();
                while receiving.seen.len() < count {
                    let work = relay.turn() + receiving.turn();
                    idle.idle(work);
                }
                drop(done);
            });
        }
        Sharing::Apart => {
            scope.spawn(|| on_cpu(seats.sequencer, || until(is_done, idle(), || relay.turn())));
            scope.spawn(|| on_cpu(seats.publisher, || until(is_done, idle(), || sending.turn())));
            let done = Done(is_done);
            on_cpu(seats.consumers.first().copied(), || {
                let mut idle = idle();
                while receiving.seen.len() < count {
                    idle.idle(receiving.turn());
                }
                drop(done);
            });
        }
    });
    assert!(sending.is_over() && sending.sent == count);
    Percentiles::from(&receiving.seen)
}

/// Stops the other threads when dropped, even by a panic.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Calls `turn` until `is_done`.
fn until(is_done: &AtomicBool, mut idle: Idler, mut turn: impl FnMut() -> usize) {
    while !is_done.load(Ordering::Relaxed) {
        idle.idle(turn());
    }
}
