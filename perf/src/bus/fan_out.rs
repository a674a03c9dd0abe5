//! `fan_out_1` … `fan_out_3`: events per second from a publisher through the sequencer to one, two or three
//! consumers, compared with the crate `disruptor` in the same topology. `sequencer_throughput`: the same
//! without a consumer, compared with a bare `rtrb` ring.
//!
//! ```text
//!  ours:       publisher ──rtrb──────> sequencer: number, time, CRC ──log ring───┬─> consumer, in place
//!  disruptor:  publisher ──disruptor─> relay: copy                  ──disruptor──┼─> consumer, in place
//!  … sealed:   publisher ──disruptor─> relay: number, time, CRC     ──disruptor──┴─> consumer, in place
//! ```
//!
//! All sides publish 64 events at once and spin, and their consumers read one word of each event. Their rings
//! have the same length in bytes: 64 MiB, which exceeds the cache of a core, and 512 KiB (`_in_cache`). The
//! relay of `disruptor` only copies. That of the sealed one does the work of the sequencer: one reading of
//! the clock for eight events, and one CRC for each.

use super::hop::touched;
use super::load::{FRAME_WORDS_MAX, Parcel};
use super::rig::{self, Rig};
use super::seats::Seats;
use super::stream::{BATCH, Roles, Streamed, Turn, stream};
use disruptor::{BusySpin, EventPoller, Producer, SingleProducerBarrier, build_single_producer};
use std::hint::black_box;
use std::io;
use stele_bus::bounds::{PUBLISHER_WORDS_DEFAULT, STRETCH_EVENTS_MAX};
use stele_bus::{Clock, UtcClock};
use stele_wire::frame::crc32c;
use zerocopy::IntoBytes;

/// The maximum number of events that a consumer reads in one turn.
const POLL_MAX: usize = 256;
/// The number of slots of the disruptor between publisher and relay: with 64 bytes each, half a MiB, like the
/// ring of a publisher.
const FIRST_SLOTS: usize = 8 << 10;

/// Measures the bus.
pub(crate) fn ours(
    parcels: &[Parcel],
    count: u64,
    seats: &Seats,
    ring: usize,
    consumers: usize,
) -> io::Result<Streamed> {
    let Rig { mut publisher, mut sequencer, consumers, mut journal, .. } = Rig::new(ring, consumers)?;
    let mut next = 0;
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for mut consumer in consumers {
        turns.push(Box::new(move || {
            let mut sum = 0_u64;
            let count = rig::poll(&mut consumer, POLL_MAX, |word| sum = sum.wrapping_add(word));
            black_box(sum);
            count
        }));
    }
    let roles = Roles {
        publish: Box::new(move |most| {
            journal.turn();
            rig::publish(&mut publisher, parcels, &mut next, most)
        }),
        relay: Box::new(move || {
            // The first events are the sequencer's: the grants of the publisher, and its numbering.
            let own = 2 * u64::from(sequencer.next_sequence().0 == 1);
            let events = rig::sequence(&mut sequencer);
            events - own.min(events)
        }),
        consumers: turns,
    };
    Ok(stream(count, seats, roles))
}

/// The work of the disruptor's relay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Work {
    /// Copies each event.
    Copy,
    /// Also numbers, timestamps and checksums each event.
    Seal,
}

/// Measures the disruptor in the same topology, with a second ring of `ring` bytes.
pub(crate) fn disruptor(
    parcels: &[Parcel],
    count: u64,
    seats: &Seats,
    ring: usize,
    consumers: usize,
    work: Work,
) -> f64 {
    if parcels.iter().all(|parcel| parcel.frame_words() == 8) {
        disruptor_of::<8>(parcels, count, seats, ring, consumers, work)
    } else {
        disruptor_of::<FRAME_WORDS_MAX>(parcels, count, seats, ring, consumers, work)
    }
}

/// A slot of `N` words: the length of the frame in words, then its content.
type Slot<const N: usize> = [u64; N];

fn disruptor_of<const N: usize>(
    parcels: &[Parcel],
    count: u64,
    seats: &Seats,
    ring: usize,
    consumers: usize,
    work: Work,
) -> f64 {
    let frames: Vec<Slot<N>> = parcels
        .iter()
        .map(|parcel| {
            let mut slot = [0; N];
            slot[0] = parcel.frame_words() as u64;
            slot
        })
        .collect();
    let (at_relay, first) = build_single_producer(FIRST_SLOTS, || [0; N], BusySpin).new_event_poller();
    let second = build_single_producer(ring / size_of::<Slot<N>>(), || [0_u64; N], BusySpin);
    // A single consumer uses the disruptor's shorter barrier, which is its fastest form.
    let (relay, pollers) = if consumers == 1 {
        let (poller, second) = second.new_event_poller();
        (relaying(at_relay, second.build(), work), vec![poller])
    } else {
        let (mut second, mut pollers) = (second.with_multi_consumer(), Vec::new());
        while pollers.len() < consumers {
            let (poller, more) = second.new_event_poller();
            pollers.push(poller);
            second = more;
        }
        (relaying(at_relay, second.build(), work), pollers)
    };
    let consumers = pollers.into_iter().map(consuming).collect();
    stream(count, seats, Roles { publish: publishing(first.build(), frames), relay, consumers }).rate
}

type Poller<const N: usize> = EventPoller<Slot<N>, SingleProducerBarrier>;

fn publishing<'a, const N: usize>(
    mut producer: impl Producer<Slot<N>> + Send + 'a,
    frames: Vec<Slot<N>>,
) -> Box<dyn FnMut(u64) -> u64 + Send + 'a> {
    let (mut next, mut stamp) = (0, 0);
    Box::new(move |most| {
        if most == 0 {
            return 0;
        }
        let sent = producer.try_batch_publish(most as usize, |slots| {
            for slot in slots {
                copy(slot, &frames[next]);
                slot[STAMP] = stamp;
                stamp += 1;
                next = if next + 1 < frames.len() { next + 1 } else { 0 };
            }
        });
        if sent.is_ok() { most } else { 0 }
    })
}

fn relaying<'a, const N: usize>(
    mut from: Poller<N>,
    mut to: impl Producer<Slot<N>> + Send + 'a,
    work: Work,
) -> Turn<'a> {
    let (mut clock, mut sequence, mut time) = (UtcClock::new(), 0, 0);
    Box::new(move || {
        let Ok(mut events) = from.take(BATCH) else { return 0 };
        let count = ExactSizeIterator::len(&&mut events);
        to.batch_publish(count, |slots| {
            for (index, (slot, event)) in slots.zip(&mut events).enumerate() {
                copy(slot, event);
                if work == Work::Seal {
                    if index.is_multiple_of(STRETCH_EVENTS_MAX) {
                        time = clock.now().0;
                    }
                    sequence += 1;
                    seal(slot, sequence, time);
                }
            }
        });
        count as u64
    })
}

fn consuming<'a, const N: usize>(mut poller: Poller<N>) -> Turn<'a> {
    Box::new(move || {
        let Ok(mut events) = poller.take(POLL_MAX as u64) else { return 0 };
        let count = ExactSizeIterator::len(&&mut events) as u64;
        black_box((&mut events).fold(0_u64, |sum, event| sum.wrapping_add(event[STAMP])));
        count
    })
}

/// The offset of a slot's content, after the 32 bytes of the frame's header.
const STAMP: usize = 4;

#[inline]
fn copy<const N: usize>(to: &mut Slot<N>, from: &Slot<N>) {
    if N == 8 {
        *to = *from;
    } else {
        let words = from[0] as usize;
        to[..words].copy_from_slice(&from[..words]);
    }
}

/// Writes number, time and CRC where the frame of the bus has them.
#[inline]
fn seal<const N: usize>(slot: &mut Slot<N>, sequence: u64, time: u64) {
    let words = if N == 8 { 8 } else { slot[0] as usize };
    (slot[1], slot[2]) = (sequence, time);
    let crc = crc32c(&slot[..words].as_bytes()[4..]);
    slot[3] = u64::from(crc);
}

/// Measures a bare `rtrb` ring with the same messages, 64 at once. Returns events per second.
pub(crate) fn rtrb(parcels: &[Parcel], count: u64, seats: &Seats) -> f64 {
    let (mut to, mut from) = touched(PUBLISHER_WORDS_DEFAULT);
    let frames: Vec<Vec<u64>> = parcels
        .iter()
        .map(|parcel| {
            let mut words = vec![0; parcel.frame_words()];
            words[0] = words.len() as u64;
            words
        })
        .collect();
    let (mut next, mut batch) = (0, Vec::with_capacity(BATCH as usize * FRAME_WORDS_MAX));
    let publish = move |most| {
        let mut at = next;
        batch.clear();
        for _ in 0..most {
            batch.extend_from_slice(&frames[at]);
            at = if at + 1 < frames.len() { at + 1 } else { 0 };
        }
        if to.push_entire_slice(&batch).is_err() {
            return 0;
        }
        next = at;
        most
    };
    let take = move || {
        let available = from.slots();
        let Ok(chunk) = from.read_chunk(available) else { return 0 };
        let (first, second) = chunk.as_slices();
        let word = |at: usize| first.get(at).copied().unwrap_or_else(|| second[at - first.len()]);
        let (mut at, mut count) = (0, 0);
        while at < available {
            at += black_box(word(at)) as usize;
            count += 1;
        }
        chunk.commit_all();
        count
    };
    let roles = Roles { publish: Box::new(publish), relay: Box::new(take), consumers: Vec::new() };
    stream(count, seats, roles).rate
}
