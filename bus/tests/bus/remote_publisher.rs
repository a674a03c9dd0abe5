//! A publisher whose memory cannot be trusted: only whole committed submissions reach the log.

use crate::rig::{Rig, START, notice, order, order_body};
use proptest::prelude::*;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use stele_bus::{Grants, PortError, Refusal, RemotePort};
use stele_wire::Nanos;
use stele_wire::messages::{NewOrder, RefusalReason, SubmissionRefused, VenueNotice};

const NOTICE: u16 = VenueNotice::TEMPLATE_ID;
const WORDS: usize = 16 << 10;
const ID: u16 = 7;

fn place() -> (RemotePort, Rig) {
    let mut rig = Rig::shared();
    let port = rig.sequencer.remote_publisher(ID, "outside", WORDS, Grants::all());
    (port, rig)
}

/// Stores words in the memory of a lane, bypassing the publisher.
fn store(lane: &File, offset: u64, words: &[u64]) {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    lane.write_all_at(&bytes, offset).unwrap();
}

const COMMITTED: u64 = 128;
const RING: u64 = 4096;

#[test]
fn committed_submissions_are_logged_in_order_and_acknowledged_with_their_position() {
    let (mut port, mut rig) = place();
    let mut publisher = rig.connect(&mut port);
    assert_eq!((publisher.name().as_str(), publisher.id(), publisher.next_sequence()), ("outside", ID, 1));
    let mut expected = Vec::new();
    // Every length of the last word, and many times round the ring.
    for tag in 0..3_000 {
        let (template_id, body) = match tag % 10 {
            0 => (NewOrder::TEMPLATE_ID, order_body(&order(u64::from(tag) + 1, 1))),
            _ => (NOTICE, notice(tag, 32 + tag as usize % 700)),
        };
        publisher.stage(template_id, &body, START).unwrap();
        expected.push((template_id, body));
        if tag % 7 == 0 {
            publisher.commit();
            rig.settle();
            rig.flush();
        }
    }
    assert_eq!(publisher.commit(), 3, "what came after the last multiple of seven");
    rig.settle();
    rig.close_batch();
    rig.flush();
    let acknowledged = publisher.acknowledged();
    assert_eq!(acknowledged.sequence, 3_000);
    assert!(acknowledged.position <= rig.ring.watermarks().durable());
    for (found, expected) in rig.trail_events().iter().zip(&expected) {
        assert_eq!(found.0, expected.0);
        let stamp = if found.0 == NOTICE { 16..20 } else { 0..10 };
        let is_stamped = |index| stamp.contains(&index);
        let pairs = found.1.iter().zip(&expected.1).enumerate();
        assert!(
            pairs.filter(|(index, _)| !is_stamped(*index)).all(|(_, (found, expected))| found == expected)
        );
        assert!(found.1[expected.1.len()..].iter().all(|byte| *byte == 0));
    }
    assert_eq!(rig.trail_events().len(), expected.len());
}

#[test]
fn one_process_is_attached_until_it_detaches_and_the_next_continues_where_it_stopped() {
    let (mut port, mut rig) = place();
    let mut first = rig.connect(&mut port);
    assert!(matches!(port.open(), Err(PortError::Taken)) && port.is_taken());
    for tag in 0..5 {
        first.offer(NOTICE, &notice(tag, 40), START).unwrap();
    }
    rig.cycle();
    for tag in 5..8 {
        first.offer(NOTICE, &notice(tag, 40), START).unwrap();
    }
    // It is killed in the middle of the ninth: staged, not committed.
    first.stage(NOTICE, &notice(8, 40), START).unwrap();
    port.close();
    assert!(matches!(port.open(), Err(PortError::Busy)), "three are not taken yet");
    let mut second = rig.connect(&mut port);
    assert_eq!(second.next_sequence(), 9, "five were sequenced, three in the ring");
    // A process that closed its connection and lives on stores where nothing is read.
    first.commit();
    second.offer(NOTICE, &notice(80, 40), START).unwrap();
    rig.settle();
    assert_eq!(second.acknowledged().sequence, 9);
    rig.close_batch();
    rig.flush();
    let tags: Vec<u8> = rig.trail_events().iter().map(|event| event.1[8]).collect();
    assert_eq!(tags, [0, 1, 2, 3, 4, 5, 6, 7, 80]);
}

#[test]
fn a_full_ring_a_stop_and_a_poisoned_journal_are_typed_refusals() {
    let (mut port, mut rig) = place();
    let mut publisher = rig.connect(&mut port);
    let body = notice(1, 1_000);
    let refusal = loop {
        if let Err(refusal) = publisher.offer(NOTICE, &body, START) {
            break refusal;
        }
    };
    assert_eq!(refusal, Refusal::RingFull);
    let taken_before = publisher.next_sequence() - 1;
    assert_eq!(taken_before as usize, WORDS / 128, "1,000 bytes and the header are 128 words");
    assert_eq!(publisher.offer(9_999, &[], START), Err(Refusal::UnknownTemplate(9_999)));
    assert_eq!(publisher.offer(NOTICE, &[0; 8], START), Err(Refusal::TooShort { needed: 32, found: 8 }));
    assert_eq!(publisher.refused(), 3);
    // The journal writes nothing: the ring fills up, then the sequencer's copy, then the publisher's ring.
    let behind = loop {
        rig.cycle();
        match publisher.offer(NOTICE, &body, START) {
            Ok(()) | Err(Refusal::RingFull) => (),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(behind, Refusal::JournalBehind);
    rig.ring.request_stop();
    assert_eq!(publisher.offer(NOTICE, &body, START), Err(Refusal::Stopped));
    let submitted = publisher.next_sequence() - 1;
    publisher.finish();
    while !rig.ring.is_stopped() {
        rig.cycle();
        rig.flush();
    }
    rig.flush();
    assert_eq!(rig.trail_events().len() as u64, submitted, "what was accepted is on the log");

    let (mut port, mut rig) = place();
    let mut publisher = rig.connect(&mut port);
    rig.journal.poison("disk full");
    assert_eq!(publisher.offer(NOTICE, &body, START), Err(Refusal::JournalPoisoned));
}

#[test]
fn a_malformed_submission_is_refused_on_the_log_and_later_ones_are_taken() {
    let (mut port, mut rig) = place();
    let notice_word = |length: u64| length | u64::from(NOTICE) << 16;
    let cases: [(&str, u64, [u64; 4]); 6] = [
        ("longer than what is committed", 4, [notice_word(40), 0, 1, 0]),
        ("longer than a frame", 4, [notice_word(65_535), 0, 1, 0]),
        ("less than a header", 2, [notice_word(0), 0, 1, 0]),
        ("without a number", 4, [notice_word(8), 0, 0, 0]),
        ("with bits that mean nothing", 4, [notice_word(8) | 1 << 40, 0, 1, 0]),
        ("more than the ring holds", u64::MAX, [0; 4]),
    ];
    let mut committed = 0_u64;
    let lane = File::from(rig.open(&mut port));
    rig.settle();
    for (index, (what, words, submission)) in cases.into_iter().enumerate() {
        store(&lane, RING + 8 * (committed % WORDS as u64), &submission);
        committed = committed.wrapping_add(words);
        store(&lane, COMMITTED, &[committed]);
        rig.settle();
        assert_eq!(rig.sequencer.statistics().malformed, index as u64 + 1, "{what}");
    }
    port.close();
    let mut publisher = rig.connect(&mut port);
    publisher.offer(NOTICE, &notice(3, 40), START).unwrap();
    publisher.finish();
    rig.ring.request_stop();
    while !rig.ring.is_stopped() {
        rig.cycle();
    }
    rig.flush();
    let trail = rig.verified_trail();
    let refused = trail.iter().filter_map(|(_, frame)| frame.message::<SubmissionRefused>());
    let refused: u64 = refused
        .inspect(|refused| {
            assert_eq!((refused.reason, refused.publisher.get()), (RefusalReason::MALFORMED, ID))
        })
        .map(|refused| refused.count.get())
        .sum();
    assert_eq!(refused, 6);
    assert_eq!(rig.trail_events().iter().map(|event| event.0).collect::<Vec<_>>(), [NOTICE]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever the publisher stores, in the ring or in its shared counts, the sequencer continues and the
    /// log is whole.
    #[test]
    fn no_bytes_of_a_publisher_harm_the_log(
        rounds in prop::collection::vec(
            (prop::collection::vec((0_u64..80, any::<u16>(), 0_u64..4), 1..40),
             prop_oneof![4 => 0_u64..600, 1 => any::<u64>()]),
            1..12,
        ),
    ) {
        let (mut port, mut rig) = place();
        let lane = File::from(rig.open(&mut port));
        let mut committed = 0_u64;
        for (words, by) in rounds {
            // Lengths that are often right, templates that are sometimes known.
            let words: Vec<u64> = words
                .into_iter()
                .flat_map(|(length, template, sequence)| {
                    let template = if template % 2 == 0 { NOTICE } else { template };
                    [length | u64::from(template) << 16, 5, sequence]
                })
                .collect();
            for (index, word) in words.iter().enumerate() {
                let at = committed.wrapping_add(index as u64) % WORDS as u64;
                store(&lane, RING + 8 * at, &[*word]);
            }
            committed = committed.wrapping_add(by);
            store(&lane, COMMITTED, &[committed]);
            rig.settle();
            rig.flush();
        }
        port.close();
        let mut publisher = rig.connect(&mut port);
        rig.settle();
        rig.flush();
        publisher.continue_after(publisher.next_sequence() + 10);
        publisher.offer(NOTICE, &notice(77, 40), Nanos(1)).unwrap();
        rig.settle();
        rig.close_batch();
        rig.flush();
        prop_assert_eq!(rig.trail_events().last().unwrap().1[8], 77);
    }
}
