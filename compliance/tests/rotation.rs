//! A key hands over to another one, and what each of them may sign.

mod rig;

use rig::Rig;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use stele_compliance::seal::live::LiveSealer;
use stele_compliance::seal::note::KeyKind;
use stele_compliance::seal::rotation::rotation;
use stele_compliance::seal::sealing::{SealError, has_signed, sealed_events};
use stele_compliance::seal::tiles::{CHECKPOINT_NAME, checkpoint_name};
use stele_compliance::seal::{
    SealCheckError, SealPolicy, SealReport, SealingReport, SignedCheckpoint, Signer, check, origin_of,
    seal_trail,
};
use stele_journal::scan::ScanOptions;
use stele_journal::{Directory, Storage, TrailReader, read_segments};
use stele_wire::Sequence;
use stele_wire::messages::KeyRotated;
use stele_wire::units::Nanos;
use zerocopy::IntoBytes as _;

fn storage(folder: &Path) -> Arc<dyn Storage> {
    Arc::new(Directory::new(folder))
}

fn signer(seed: u8) -> Signer {
    Signer::new("bank.example/stele", KeyKind::Log, &[seed; 32]).unwrap()
}

fn origin(folder: &Path) -> String {
    let identity = read_segments(storage(folder).as_ref()).unwrap()[0].header.identity;
    origin_of(identity.trail, identity.shard)
}

/// A session in which keys hand over, each to the next. Returns the sequence of the first handover.
fn session(folder: &Path, hand_overs: &[KeyRotated]) -> u64 {
    let mut rig = Rig::open(folder);
    rig.trade(300);
    hand_overs.iter().for_each(|event| rig.say::<KeyRotated>(event.as_bytes()));
    rig.trade(20);
    rig.stop();
    let mut reader = TrailReader::open(folder).unwrap();
    let mut found = 0;
    while let Some(entry) = reader.read_next().unwrap() {
        if found == 0 && entry.frame.message::<KeyRotated>().is_some() {
            found = entry.frame.sequence().0;
        }
    }
    found
}

fn hand_over(folder: &Path, old: u8, new: u8) -> KeyRotated {
    rotation(&origin(folder), &signer(old), signer(new).public(), Nanos(1), 7, 0)
}

fn seal(folder: &Path, key: u8) -> Result<SealingReport, SealError> {
    seal_trail(&storage(folder), &signer(key), SealPolicy::default(), || Nanos(1), &|_, _| {})
}

fn checked(folder: &Path, key: u8) -> Result<SealReport, SealCheckError> {
    check(&storage(folder), signer(key).public(), None, &ScanOptions::default())
}

fn newest(folder: &Path) -> SignedCheckpoint {
    SignedCheckpoint::parse(&std::fs::read_to_string(folder.join(CHECKPOINT_NAME)).unwrap()).unwrap()
}

/// tools/verify_stele.py with this key: its exit code and what it says; none where it cannot run.
fn judged_by_python(folder: &Path, key: u8, more: &[&str]) -> Option<(i32, String)> {
    let has = Command::new("python3").args(["-c", "import cryptography"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "python3 with cryptography is missing");
        println!("skipped: needs python3 with the package cryptography");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/verify_stele.py");
    let key = signer(key).public().to_string();
    let output = Command::new("python3").arg(script).arg(folder).args(["--key", &key]).args(more).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Some((output.status.code().unwrap(), text))
}

/// Sealed with the first key, handed over, and sealed again with the first key, as `stele key rotate` leaves
/// it.
fn handed_over(folder: &Path) -> u64 {
    session(folder, &[]);
    seal(folder, 1).unwrap();
    let rotated = session(folder, &[hand_over(folder, 1, 2)]);
    assert_eq!(seal(folder, 1).unwrap().rotated, Some(rotated));
    rotated
}

#[test]
fn a_handover_is_followed_from_either_key() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rotated = handed_over(folder);
    let kept = newest(folder);
    assert_eq!(checked(folder, 1).unwrap().keys, 1);
    session(folder, &[]);
    assert_eq!(seal(folder, 2).unwrap().rotated, None);
    session(folder, &[]);
    seal(folder, 2).unwrap();
    let report = checked(folder, 1).unwrap();
    assert_eq!((report.keys, report.checkpoints, report.unsealed), (2, 4, 0));
    assert_eq!(checked(folder, 2).unwrap(), report);
    assert!(matches!(checked(folder, 3), Err(SealCheckError::Checkpoint { .. })));
    for key in [1, 2] {
        let against = Some(("kept", &kept));
        let report = check(&storage(folder), signer(key).public(), against, &ScanOptions::default());
        assert_eq!(report.unwrap().against, Some(kept.unchecked().size));
    }
    assert!(has_signed(storage(folder).as_ref(), signer(1).public()).unwrap());
    assert!(!has_signed(storage(folder).as_ref(), signer(3).public()).unwrap());
    let file = folder.join("kept");
    std::fs::write(&file, kept.to_string()).unwrap();
    let Some((code, said)) = judged_by_python(folder, 1, &["--against", file.to_str().unwrap()]) else {
        return;
    };
    assert!(code == 0 && said.contains(&format!("another one by event {rotated}")), "{said}");
    assert_eq!(judged_by_python(folder, 3, &[]).unwrap().0, 1);
}

#[test]
fn the_old_key_signs_nothing_after_the_checkpoint_over_its_handover() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rotated = handed_over(folder);
    let is_refused = |error: Result<u64, SealError>| match error {
        Err(error @ SealError::Rotated { sequence, .. }) => sequence == rotated && error.is_final(),
        _ => false,
    };
    assert!(is_refused(seal(folder, 1).map(|sealing| sealing.sealed)));
    session(folder, &[]);
    assert!(is_refused(seal(folder, 1).map(|sealing| sealing.sealed)));
    assert!(is_refused(sealed_events(&storage(folder), signer(1).public())));
    assert_eq!(sealed_events(&storage(folder), signer(2).public()).unwrap(), newest(folder).unchecked().size);
    // A thief of the old key signs anyway.
    seal(folder, 2).unwrap();
    let stolen = newest(folder).unchecked().clone().sign(&signer(1)).to_string();
    for name in [checkpoint_name(3), CHECKPOINT_NAME.to_owned()] {
        rig::write(&folder.join(name), stolen.as_bytes());
    }
    let broken = checked(folder, 1).unwrap_err();
    assert!(matches!(&broken, SealCheckError::Stale { rotated: by, .. } if *by == rotated), "{broken}");
    assert!(broken.to_string().contains("checkpoints/0000000003"), "{broken}");
    assert!(matches!(checked(folder, 2), Err(SealCheckError::Checkpoint { .. })));
    let Some((code, said)) = judged_by_python(folder, 1, &[]) else { return };
    assert!(code == 1 && said.contains(&format!("handed over by event {rotated}")), "{said}");
}

#[test]
fn after_a_crash_before_the_checkpoint_over_a_handover_either_key_continues() {
    for key in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        session(folder, &[]);
        seal(folder, 1).unwrap();
        let rotated = session(folder, &[hand_over(folder, 1, 2)]);
        assert_eq!(
            sealed_events(&storage(folder), signer(key).public()).unwrap(),
            newest(folder).unchecked().size
        );
        let sealing = seal(folder, key).unwrap();
        assert_eq!((sealing.unsealed, sealing.rotated), (0, (key == 1).then_some(rotated)));
        session(folder, &[]);
        seal(folder, 2).unwrap();
        let report = checked(folder, 1).unwrap();
        assert_eq!((report.keys, report.unsealed), (2, 0));
        assert_eq!(checked(folder, 2).unwrap(), report);
        assert_eq!(judged_by_python(folder, 1, &[]).map_or(0, |(code, _)| code), 0);
    }
}

/// The checkpoint over the handover was lost twice, and the first key never signed anything.
#[test]
fn keys_that_handed_over_before_signing_anything_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    session(folder, &[]);
    session(folder, &[hand_over(folder, 1, 2), hand_over(folder, 2, 3)]);
    seal(folder, 3).unwrap();
    session(folder, &[hand_over(folder, 3, 4), hand_over(folder, 4, 5)]);
    seal(folder, 5).unwrap();
    let report = checked(folder, 1).unwrap();
    assert_eq!((report.keys, report.checkpoints, report.unsealed), (2, 2, 0));
    assert_eq!(checked(folder, 5).unwrap(), report);
    assert_eq!(judged_by_python(folder, 1, &[]).map_or(0, |(code, _)| code), 0);
}

#[test]
fn a_handover_that_the_old_key_did_not_sign_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    session(folder, &[]);
    seal(folder, 1).unwrap();
    let forged = KeyRotated { old_key: signer(1).public().bytes(), ..hand_over(folder, 8, 9) };
    session(folder, &[forged]);
    assert!(matches!(seal(folder, 9), Err(SealError::Checkpoint { .. })));
    assert!(matches!(sealed_events(&storage(folder), signer(9).public()), Err(SealError::Checkpoint { .. })));
    assert_eq!(seal(folder, 1).unwrap().rotated, None);
    assert_eq!(checked(folder, 1).unwrap().unsealed, 0);
    let stolen = newest(folder).unchecked().clone().sign(&signer(9)).to_string();
    for name in [checkpoint_name(2), CHECKPOINT_NAME.to_owned()] {
        rig::write(&folder.join(name), stolen.as_bytes());
    }
    let broken = checked(folder, 1).unwrap_err();
    assert!(matches!(broken, SealCheckError::Checkpoint { .. }), "{broken}");
    assert_eq!(judged_by_python(folder, 1, &[]).map_or(1, |(code, _)| code), 1);
}

#[test]
fn sealing_continues_with_the_new_key_and_not_with_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    handed_over(folder);
    let sealed = newest(folder).unchecked().size;
    let mut rig = Rig::open(folder);
    rig.trade(300);
    let durable = rig.durable();
    let live = |key| LiveSealer::new(storage(folder), signer(key), SealPolicy::default(), Sequence(sealed));
    let refused = live(1).turn(durable, true, 100, Nanos(1)).unwrap_err();
    assert!(refused.is_final(), "{refused}");
    let mut sealer = live(2);
    while sealer.turn(durable, true, 100, Nanos(1)).unwrap() > 0 {}
    assert!(sealer.is_through(durable));
    rig.stop();
    let report = checked(folder, 1).unwrap();
    assert!((report.keys, report.sealed) == (2, sealer.sealed().events) && report.sealed > sealed + 300);
}
