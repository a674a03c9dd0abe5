//! A ring in shared memory works like one of its process alone, and other mappings of it read everything
//! without disturbing the writer.

use crate::rig::{Rig, START, notice, start};
use stele_bus::bounds::{POISON_REASON_MAX, RING_LENGTH_MIN};
use stele_bus::{
    AttachError, Counters, Grants, Liveness, LogRing, LossyConsumer, Observed, Process, RingOptions,
    RingView, WriterState,
};
use stele_wire::Sequence;
use stele_wire::messages::VenueNotice;

const OPTIONS: RingOptions = RingOptions { capacity: RING_LENGTH_MIN, huge_pages: false };

#[test]
fn an_attached_view_sees_the_log_its_watermarks_and_its_end() {
    let parts = LogRing::create_shared(&OPTIONS, start().position).unwrap();
    let memory = parts.ring.descriptor().unwrap().try_clone_to_owned().unwrap();
    assert!(matches!(RingView::attach(memory, Liveness::Process), Err(AttachError::NotReady)));
    let mut rig = Rig::over(parts, Default::default());
    let view = rig.view();
    assert_eq!(view.identity(), Some(rig.start.identity));
    assert_eq!((view.first_sequence(), view.base()), (Some(Sequence(1_001)), rig.start.position));
    assert_eq!((view.capacity(), view.writer()), (RING_LENGTH_MIN, Process::current()));
    let mut consumer = LossyConsumer::join(&view);
    let mut publisher = rig.sequencer.publisher(1, "feed", 4096, Grants::all());
    let mut seen = Vec::new();
    for tag in 0..2_000 {
        publisher.offer(VenueNotice::TEMPLATE_ID, &notice(tag, 968), START).unwrap();
        rig.settle();
        rig.flush();
        consumer.poll(usize::MAX, |observed| match observed {
            Observed::Event(event) => {
                event.frame().verify(rig.start.identity.seed()).unwrap();
                seen.push((event.sequence(), event.body().to_vec()));
            }
            Observed::Lost { first, last } => panic!("lost {first} to {last}"),
        });
    }
    assert_eq!(seen.len() as u64, rig.sequencer.next_sequence().0 - 1_001);
    assert_eq!(seen[2].1[32..], notice(0, 968)[32..]);
    assert_eq!(view.watermarks().durable(), rig.ring.watermarks().durable());
    assert_eq!(view.writer_state(), WriterState::Running);
    publisher.finish();
    rig.ring.request_stop();
    rig.settle();
    assert_eq!(view.writer_state(), WriterState::Stopped);
    drop((rig, publisher));
    assert_eq!(view.writer_state(), WriterState::Stopped, "a ring that stopped stays so");
}

#[test]
fn an_abandoned_ring_is_marked_and_a_poisoned_one_has_its_reason() {
    let rig = Rig::shared();
    let view = rig.view();
    assert_eq!(view.poisoned(), None);
    rig.journal.poison(format!("ä{}", "é".repeat(POISON_REASON_MAX)));
    assert_eq!(view.poisoned(), Some(format!("ä{}", "é".repeat(POISON_REASON_MAX / 2 - 1)).as_str()));
    assert_eq!(rig.ring.poisoned().unwrap().len(), 2 * POISON_REASON_MAX + 2, "whole in its own process");
    drop(rig);
    assert_eq!(view.writer_state(), WriterState::Abandoned);
}

#[test]
fn memory_that_is_not_a_ring_is_refused() {
    let counters = Counters::create_shared().unwrap();
    let memory = counters.descriptor().unwrap().try_clone_to_owned().unwrap();
    let error = RingView::attach(memory, Liveness::Process).unwrap_err().to_string();
    assert_eq!(error, "the shared memory cannot be read: it is not a ring");
    let private = LogRing::create(&OPTIONS, start().position).unwrap();
    assert!(private.ring.descriptor().is_none());
}
