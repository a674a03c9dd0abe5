//! Real threads: two publishers, the sequencer, a gating and a lossy consumer and the journal.

use crate::rig::{Rig, notice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use stele_bus::{Agent, Grants, LossyConsumer, NOT_RECEIVED, Observed};
use stele_wire::messages::{SubmissionRefused, VenueNotice};

const EVENTS: u32 = 40_000;

#[test]
fn racing_threads_lose_and_tear_no_event() {
    let mut rig = Rig::new();
    let seed = rig.start.identity.seed();
    let first = rig.start.next_sequence;
    let publishers = [1, 2].map(|id| rig.sequencer.publisher(id, "feed", 8_192, Grants::all()));
    let mut consumer = rig.sequencer.gating_consumer("reader");
    let mut lossy = LossyConsumer::join(&rig.ring);
    let (ring, mut journal, mut sequencer) = (rig.ring.clone(), rig.journal, rig.sequencer);
    let done = &AtomicBool::new(false);

    thread::scope(|scope| {
        for mut publisher in publishers {
            scope.spawn(move || {
                for tag in 0..EVENTS {
                    let body = notice(tag, 32 + (tag as usize * 7) % 300);
                    while publisher.offer(VenueNotice::TEMPLATE_ID, &body, NOT_RECEIVED).is_err() {
                        thread::yield_now();
                    }
                }
                publisher.finish();
            });
        }
        scope.spawn(move || {
            let clock = rig.clock;
            let begin = Instant::now();
            while !sequencer.ring().is_stopped() {
                clock.set(stele_wire::Nanos(crate::rig::START.0 + begin.elapsed().as_nanos() as u64));
                if sequencer.do_work().unwrap() == 0 {
                    thread::yield_now();
                }
            }
        });
        let log = ring.clone();
        scope.spawn(move || {
            loop {
                let stopped = log.is_stopped();
                let marks = log.watermarks();
                let (from, batched) = (marks.written(), marks.batched());
                let to = journal.contiguous_end(from, batched);
                if !journal.bytes(from, to).is_empty() {
                    journal.advance_written(to);
                    journal.advance_durable(to);
                } else if stopped {
                    break;
                }
                thread::yield_now();
            }
        });
        let log = ring.clone();
        scope.spawn(move || {
            let (mut expected, mut seen, mut lost) = (first, 0, 0);
            loop {
                let stopped = done.load(Ordering::Acquire);
                let count = lossy.poll(256, |observed| match observed {
                    Observed::Event(event) => {
                        event.frame().verify(seed).expect("a copy is never torn");
                        assert_eq!(event.sequence(), expected);
                        expected = expected.next();
                        seen += 1;
                    }
                    Observed::Lost { first, last } => {
                        assert_eq!(first, expected);
                        lost += last.0 - first.0 + 1;
                        expected = last.next();
                    }
                });
                if count == 0 && stopped && lossy.position() == log.watermarks().published() {
                    break;
                }
                // Slow enough to be overrun now and then.
                thread::sleep(Duration::from_micros(300));
            }
            assert_eq!(seen + lost, expected.0 - first.0);
        });

        let mut tags = [0_u32; 2];
        let (mut last, mut refusals) = (first.0 - 1, 0);
        while !(ring.is_stopped() && consumer.scanned() == ring.watermarks().published()) {
            let count = consumer.poll(512, |event| {
                event.frame().verify(seed).unwrap();
                assert_eq!(event.sequence().0, last + 1);
                last += 1;
                refusals += u64::from(event.template_id() == SubmissionRefused::TEMPLATE_ID);
                if let Some(message) = event.frame().message::<VenueNotice>() {
                    let tag = message.instrument.get();
                    let whose =
                        tags.iter().position(|next| *next == tag).expect("each publisher's order holds");
                    let (length, stamp) = (32 + (tag as usize * 7) % 300, 16..20);
                    let body = &event.body()[..length];
                    assert_eq!(body[stamp.end..], notice(tag, length)[stamp.end..]);
                    tags[whose] += 1;
                }
            });
            if tags == [EVENTS; 2] {
                ring.request_stop();
            }
            if count == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(tags, [EVENTS; 2]);
        assert_eq!(
            last - (first.0 - 1),
            u64::from(2 * EVENTS) + 4 + refusals,
            "besides the events, two records each of grants and numbering and the reports of backpressure"
        );
        done.store(true, Ordering::Release);
    });
}
