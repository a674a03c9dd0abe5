//! Trails as the bus and the journal leave them, verified whole and damaged.

use crate::rig::{Frames, Rig, write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use stele_compliance::rules::EpochEnding;
use stele_compliance::{BrokenTrail, IntactPrefix, VerifiedTrail, VerifyError, VerifyOptions, verify};
use stele_wire::messages::{
    NewOrder, OrderReleased, RetentionAct, RetentionKind, SchemaText, SessionEnd, Trade,
};
use zerocopy::little_endian::U64;

fn check(folder: &Path) -> Result<VerifiedTrail, VerifyError> {
    verify(folder, &VerifyOptions { threads: 2, ..VerifyOptions::default() })
}

fn broken(folder: &Path) -> BrokenTrail {
    match check(folder) {
        Err(VerifyError::Broken(broken)) => *broken,
        Err(other) => panic!("{other}"),
        Ok(verified) => panic!("{verified}"),
    }
}

/// A trail of one session with at least three segments, and then `change`.
fn after(change: impl FnOnce(&mut Frames)) -> (tempfile::TempDir, Frames) {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.trade(6_000);
    rig.stop();
    let mut frames = Frames::read(folder.path(), 1);
    change(&mut frames);
    frames.write();
    (folder, frames)
}

#[test]
fn a_session_with_orders_verifies_and_everything_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.trade(6_000);
    let last = rig.stop();
    let (done, total) = (AtomicU64::new(0), AtomicU64::new(0));
    let progress = |now: u64, all: u64| {
        done.fetch_max(now, Ordering::Relaxed);
        total.fetch_max(all, Ordering::Relaxed);
    };
    let verified =
        verify(folder.path(), &VerifyOptions { threads: 1, progress: Some(&progress), method: None })
            .unwrap();
    assert_eq!((verified.first_sequence, verified.last_sequence, verified.events), (1, last, last));
    assert!(verified.segments >= 3 && verified.open_end.is_none());
    let judged = |name: &str| verified.rules.iter().find(|rule| rule.rule == name).unwrap().checked;
    for rule in ["frame", "link", "order-within-limits", "order-under-switch", "report-after-release"] {
        assert!(judged(rule) > 0, "{rule}");
    }
    // The largest quantity of the rig is set in the program, and not by an event.
    assert_eq!(verified.unexplained_refusals, 1);
    assert_eq!(verified.epochs.len(), 1);
    assert_eq!(verified.epochs[0].ending, EpochEnding::InOrder("Finished".to_owned()));
    assert!(verified.padding_bytes > 0 && verified.durable.unwrap() <= verified.log_bytes);
    assert!(done.into_inner() > verified.log_bytes && total.into_inner() > verified.log_bytes);
    let shown = verified.to_string();
    assert!(shown.contains("not checked: seals") && shown.contains("ended in order (Finished)"), "{shown}");
    assert!(serde_json::to_string(&verified).unwrap().contains("\"how\":\"in-order\""));
}

#[test]
fn a_killed_session_verifies_and_so_does_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.trade(500);
    let live = check(folder.path()).unwrap();
    assert_eq!(live.epochs[0].ending, EpochEnding::Open);
    assert!(live.open_end.is_some());
    drop(rig);
    let killed = check(folder.path()).unwrap();
    assert_eq!(killed.events, live.events);
    assert!(killed.to_string().contains("without an end"), "{killed}");

    let mut rig = Rig::open(folder.path());
    rig.trade(500);
    rig.stop();
    let verified = check(folder.path()).unwrap();
    let endings: Vec<_> = verified.epochs.iter().map(|epoch| epoch.ending.clone()).collect();
    assert_eq!(endings, [EpochEnding::CutShort, EpochEnding::InOrder("Finished".to_owned())]);
}

#[test]
fn a_trail_whose_only_session_was_killed_at_its_first_event_verifies() {
    let folder = tempfile::tempdir().unwrap();
    drop(Rig::silent(folder.path()));
    let verified = check(folder.path()).unwrap();
    assert_eq!((verified.events, verified.last_sequence), (0, 0));
}

#[test]
fn a_missing_trail_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("nowhere")] {
        let error = check(&path).unwrap_err();
        assert!(matches!(error, VerifyError::Unreadable(_)));
        assert!(error.to_string().contains("holds no trail"), "{error}");
    }
}

#[test]
fn a_flipped_bit_is_named_with_file_offset_sequence_and_what_is_intact() {
    let mut at = (0, 0);
    let (_folder, _) = {
        let (folder, frames) = after(|frames| {
            let trade = frames.nth(Trade::TEMPLATE_ID, 100);
            at = (trade.start as u64, frames.sequence(&trade));
            frames.bytes[trade.start + 50] ^= 4;
        });
        let broken = broken(folder.path());
        assert_eq!(
            (broken.first.rule, broken.first.offset, broken.first.sequence),
            ("frame", Some(at.0), Some(at.1))
        );
        assert!(broken.first.file.ends_with("0000000001.stele"));
        assert_eq!((broken.intact.segments, broken.intact.last_sequence), (0, at.1 - 1));
        assert_eq!((broken.intact.events, broken.intact.has_meaning), (at.1 - 1, true));
        assert!(broken.to_string().contains(&format!("at sequence {}", at.1)), "{broken}");
        (folder, frames)
    };
}

#[test]
fn dropped_repeated_and_swapped_events_are_found_although_their_crcs_are_right() {
    let changes: [fn(&mut Frames) -> u64; 3] = [
        |frames| {
            let trade = frames.nth(Trade::TEMPLATE_ID, 50);
            let sequence = frames.sequence(&trade);
            let length = frames.bytes.len();
            frames.bytes.drain(trade);
            frames.bytes.resize(length, 0);
            sequence
        },
        |frames| {
            let (first, second) = (frames.nth(Trade::TEMPLATE_ID, 50), frames.nth(Trade::TEMPLATE_ID, 51));
            let sequence = frames.sequence(&second);
            frames.bytes.copy_within(first, second.start);
            sequence
        },
        |frames| {
            let (first, second) = (frames.nth(Trade::TEMPLATE_ID, 50), frames.nth(Trade::TEMPLATE_ID, 51));
            let sequence = frames.sequence(&first);
            let copy = frames.bytes[first.clone()].to_vec();
            frames.bytes.copy_within(second.clone(), first.start);
            frames.bytes[second].copy_from_slice(&copy);
            sequence
        },
    ];
    for change in changes {
        let mut sequence = 0;
        let (folder, _) = after(|frames| sequence = change(frames));
        let broken = broken(folder.path());
        assert_eq!((broken.first.rule, broken.first.sequence), ("no-gap", Some(sequence)));
        assert_eq!(broken.intact.last_sequence, sequence - 1);
    }
}

#[test]
fn an_altered_event_with_a_recomputed_crc_breaks_the_link_and_its_rule() {
    let (folder, _) = after(|frames| {
        let trade = frames.nth(Trade::TEMPLATE_ID, 10);
        frames.bytes[trade.start + 60] ^= 1;
        frames.mend(trade);
    });
    let found = broken(folder.path());
    assert_eq!((found.first.rule, found.also), ("link", None));
    assert!(found.first.file.ends_with("0000000002.stele"));

    let mut sequence = 0;
    let (folder, _) = after(|frames| {
        let order = frames.nth(NewOrder::TEMPLATE_ID, 2);
        sequence = frames.sequence(&order);
        let cause = order.start + 32 + std::mem::offset_of!(NewOrder, cause);
        frames.bytes[cause..cause + 8].copy_from_slice(&(sequence + 3).to_le_bytes());
        frames.mend(order);
    });
    let found = broken(folder.path());
    assert_eq!((found.first.rule, found.first.sequence), ("cause-earlier", Some(sequence)));
    assert_eq!(found.first.message, Some("NewOrder"));
    assert_eq!(found.also.as_ref().map(|also| also.rule), Some("link"));
    assert_eq!(found.intact.last_sequence, sequence - 1);
}

/// The link of segment 2 shows that segment 1 was changed; the rule that breaks in segment 3 comes later.
#[test]
fn of_two_errors_the_first_in_log_order_is_named_first() {
    let (folder, _) = after(|frames| {
        let trade = frames.nth(Trade::TEMPLATE_ID, 10);
        frames.bytes[trade.start + 60] ^= 1;
        frames.mend(trade);
    });
    let mut third = Frames::read(folder.path(), 3);
    let order = third.nth(NewOrder::TEMPLATE_ID, 0);
    let strategy = order.start + 32 + std::mem::offset_of!(NewOrder, strategy);
    third.bytes[strategy] = 77;
    third.mend(order);
    third.write();
    let found = broken(folder.path());
    assert_eq!(found.first.rule, "link");
    assert_eq!(found.also.as_ref().map(|also| also.rule), Some("defined-before"));
    assert_eq!((found.intact.segments, found.intact.events), (0, 0));
}

#[test]
fn a_release_and_a_schema_that_were_rewritten_are_found() {
    let (folder, _) = after(|frames| {
        let released = frames.nth(OrderReleased::TEMPLATE_ID, 1);
        let watermark = released.start + 32 + std::mem::offset_of!(OrderReleased, watermark);
        frames.bytes[watermark..watermark + 8].copy_from_slice(&8_u64.to_le_bytes());
        frames.mend(released);
    });
    assert_eq!(broken(folder.path()).first.rule, "release-watermark");
    let (folder, _) = after(|frames| {
        let text = frames.nth(SchemaText::TEMPLATE_ID, 0);
        frames.bytes[text.start + 500] ^= 1;
        frames.mend(text);
    });
    assert_eq!(broken(folder.path()).first.rule, "schema-on-trail");
}

#[test]
fn a_session_end_that_was_rewritten_is_found_in_the_last_segment_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.trade(100);
    rig.stop();
    let mut frames = Frames::read(folder.path(), 1);
    let end = frames.nth(SessionEnd::TEMPLATE_ID, 0);
    frames.bytes[end.start + 32 + std::mem::offset_of!(SessionEnd, events)] ^= 1;
    frames.mend(end);
    frames.write();
    assert_eq!(broken(folder.path()).first.rule, "session-ends");
}

#[test]
fn a_segment_without_a_file_or_header_is_named_and_the_earlier_ones_are_counted() {
    let (folder, _) = after(|_| {});
    std::fs::remove_file(folder.path().join("0000000002.stele")).unwrap();
    let found = broken(folder.path());
    assert!(found.first.file.ends_with("0000000002.stele"));
    assert_eq!((found.first.rule, found.intact.segments, found.intact.has_meaning), ("header", 1, false));
    assert!(found.intact.events > 100);

    let (folder, _) = after(|_| {});
    let path = folder.path().join("0000000002.stele");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    write(&path, &bytes);
    let found = broken(folder.path());
    assert_eq!((found.first.rule, found.intact.segments), ("header", 1));
    assert!(found.to_string().contains("rules about meaning not applied"), "{found}");
}

#[test]
fn a_first_segment_without_a_header_leaves_nothing_before_it() {
    let (folder, _) = after(|frames| frames.bytes[20] ^= 1);
    let found = broken(folder.path());
    assert_eq!((found.first.rule, found.intact), ("header", IntactPrefix::default()));
}

/// Two sessions; the second one records what became of old segments, and then the first `gone` are removed.
fn expired(kind: RetentionKind, to_segment: u64, gone: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.trade(6_000);
    rig.stop();
    let mut rig = Rig::open(folder.path());
    let act = RetentionAct { to_segment: U64::new(to_segment), kind, ..RetentionAct::NULL };
    let mut buffer = [0; 256];
    rig.say::<RetentionAct>(act.encode(&mut buffer, b"seven years are over").unwrap());
    rig.trade(100);
    rig.stop();
    for index in 1..=gone {
        std::fs::remove_file(folder.path().join(format!("{index:010}.stele"))).unwrap();
    }
    folder
}

#[test]
fn a_trail_whose_beginning_has_expired_verifies_and_counts_earlier_definitions() {
    for gone in 1..=2 {
        let folder = expired(RetentionKind::EXPIRED, 2, gone);
        let verified = check(folder.path()).unwrap();
        assert!(verified.first_sequence > 1 && verified.before_the_trail > 100);
        assert_eq!(verified.events, verified.last_sequence + 1 - verified.first_sequence);
        let endings: Vec<_> = verified.epochs.iter().map(|epoch| epoch.ending.clone()).collect();
        let in_order = EpochEnding::InOrder("Finished".to_owned());
        assert_eq!(endings, [in_order.clone(), in_order]);
        assert!(verified.to_string().contains("defined before the trail's first event"), "{verified}");
    }
}

#[test]
fn a_trail_without_its_beginning_is_broken_unless_it_records_its_expiry() {
    let archived = expired(RetentionKind::ARCHIVED, 2, 2);
    let too_few = expired(RetentionKind::EXPIRED, 1, 2);
    for folder in [archived, too_few] {
        let found = broken(folder.path());
        assert_eq!((found.first.rule, found.intact.segments, found.intact.events), ("expiry-said", 0, 0));
        assert!(found.first.file.ends_with("0000000003.stele"));
        let said = "the trail begins at segment 3, and no retention act on it says why";
        assert!(found.to_string().contains(said), "{found}");
    }
}
