//! A ring in a file works like one in memory, and other mappings of it read everything without disturbing the
//! writer.

use crate::rig::{BLOCK, Folder, Rig, START, notice, start};
use std::os::unix::fs::PermissionsExt as _;
use stele_bus::bounds::{POISON_REASON_MAX, RING_LENGTH_MAX, RING_LENGTH_MIN};
use stele_bus::{
    AttachError, Grants, LogRing, LossyConsumer, Observed, Process, RingError, RingOptions, RingView,
    WriterState,
};
use stele_testkit::skip::skip;
use stele_wire::messages::VenueNotice;
use stele_wire::{Position, Sequence};

const OPTIONS: RingOptions = RingOptions { capacity: RING_LENGTH_MIN, huge_pages: false };

#[test]
fn an_attached_view_sees_the_log_its_watermarks_and_its_end() {
    let folder = Folder::new("attached");
    let path = folder.path.join("ring");
    let parts = LogRing::create_at(&path, &OPTIONS, start().position).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(RingView::attach(&path), Err(AttachError::NotReady(_))));
    let mut rig = Rig::over(parts, Default::default());
    let view = RingView::attach(&path).unwrap();
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
    let folder = Folder::new("given-up");
    let path = folder.path.join("ring");
    let rig = Rig::over(LogRing::create_at(&path, &OPTIONS, start().position).unwrap(), Default::default());
    let view = RingView::attach(&path).unwrap();
    assert_eq!(view.poisoned(), None);
    rig.journal.poison(format!("ä{}", "é".repeat(POISON_REASON_MAX)));
    assert_eq!(view.poisoned(), Some(format!("ä{}", "é".repeat(POISON_REASON_MAX / 2 - 1)).as_str()));
    assert_eq!(rig.ring.poisoned().unwrap().len(), 2 * POISON_REASON_MAX + 2, "whole in its own process");
    drop(rig);
    assert_eq!(view.writer_state(), WriterState::Abandoned);
}

#[test]
fn a_ring_that_does_not_fit_in_memory_is_an_error_at_once_and_leaves_no_file() {
    let folder = Folder::new("too-large");
    let path = folder.path.join("ring");
    let options = RingOptions { capacity: RING_LENGTH_MAX, huge_pages: false };
    let space = rustix::fs::statvfs(&folder.path).unwrap();
    if space.f_blocks * space.f_frsize > RING_LENGTH_MAX as u64 {
        return skip("a /dev/shm smaller than the largest ring");
    }
    let error = LogRing::create_at(&path, &options, Position(0)).unwrap_err();
    assert!(matches!(error, RingError::Map { .. }), "{error}");
    assert!(error.to_string().contains("/ring: "), "{error}");
    assert!(!path.exists());
    std::fs::write(&path, vec![0; 2 * BLOCK]).unwrap();
    let error = RingView::attach(&path).unwrap_err().to_string();
    assert!(error.ends_with("/ring cannot be read: it is not a ring"), "{error}");
}
