//! A thousand edits of a sealed trail of a million events: each is found at its place by the command that
//! must find it. A fifth of them runs by default, all of them on request.
//!
//! The trail is in memory; an edit replaces what it touches and shares the rest. Segments that an edit does
//! not touch are not read again: the library's own check combines their earlier results with those of the
//! touched ones. One edit of each kind also goes through the whole check, and both must agree.

mod edits;
mod trail;
mod verdict;

use edits::{Attacker, Edit, KINDS, Kind, Place};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use stele_compliance::seal::{SealCheckError, SealError};
use stele_journal::TrailError;
use trail::Stored;
use verdict::Judge;

/// Number of events of the trail, and of those under its last checkpoint.
const EVENTS: u64 = 1_000_000;

/// Whether the error names the place of the edit.
fn names_the_place(broken: &SealCheckError, place: &Place) -> bool {
    let said = broken.to_string();
    let is_whole = |at: usize, file: &str| !said[at + file.len()..].starts_with(['s', '/']);
    let is_named = |file: &String| said.match_indices(file.as_str()).any(|(at, file)| is_whole(at, file));
    match (place, broken) {
        (Place::Events { first, .. }, SealCheckError::Root { first: from, size, .. }) => {
            (*from..=*size).contains(first)
        }
        (Place::Cut { last }, SealCheckError::Short { last: found, .. }) => last == found,
        (
            Place::Events { files, first, offset },
            SealCheckError::Seal(SealError::Trail(TrailError::Frame { after, offset: found, .. })),
        ) => {
            // A damaged frame is named by its beginning; a missing sequence by the end of the segment.
            let is_at = offset.is_none_or(|offset| *found <= offset) && after.next().0 >= *first;
            files.iter().any(is_named) && is_at
        }
        (Place::Events { files, .. } | Place::Files(files), _) => files.iter().any(is_named),
        (Place::Cut { .. }, _) => false,
    }
}

/// The number of edits of each kind, by the command that found them.
#[derive(Default)]
struct Table(BTreeMap<(usize, &'static str), u64>);

impl Table {
    fn count(&mut self, kind: usize, command: &'static str) {
        *self.0.entry((kind, command)).or_default() += 1;
    }

    fn print(&self) {
        println!("{:<62} {:<26} found", "edit", "by");
        for ((kind, command), count) in &self.0 {
            println!("{:<62} {command:<26} {count:>5}", KINDS[*kind].name);
        }
        println!("{:<62} {:<26} {:>5}", "all", "", self.0.values().sum::<u64>());
    }
}

/// The command that finds the edit. Panics when none does that must, or when the place is wrong.
fn found_by(judge: &Judge, kind: &Kind, edit: &Edit) -> &'static str {
    let alone = judge.judge(&edit.trail, None);
    let found = match (alone, kind.needs_against) {
        (Err(broken), false) => (broken, "verify --key"),
        (Ok(report), true) => {
            // It passes alone, and reports how much no signature covers.
            assert_eq!(report.unsealed, report.events - report.sealed);
            let against = judge.judge(&edit.trail, Some(&judge.kept));
            (against.expect_err(kind.name), "verify --key --against")
        }
        (alone, _) => panic!("{}: {alone:?} alone", kind.name),
    };
    assert!(
        names_the_place(&found.0, &edit.place),
        "{}, {:?}, and what was found: {}",
        kind.name,
        edit.place,
        found.0
    );
    found.1
}

/// One in `divisor` edits of each kind.
fn make_edits(divisor: u64) {
    let judge = Judge::new(EVENTS, 256 << 10, 40_000);
    let unchanged = judge.judge(&judge.base, Some(&judge.kept)).unwrap();
    assert_eq!(unchanged.events, EVENTS);
    assert!(unchanged.unsealed > 1_000 && unchanged.unsealed == EVENTS - unchanged.sealed);
    assert_eq!(judge.judge_whole(&judge.base, None).unwrap(), judge.judge(&judge.base, None).unwrap());
    let (mut table, mut attacker) = (Table::default(), Attacker::new(&judge, 1));
    for (number, kind) in KINDS.iter().enumerate() {
        for attempt in 0..kind.count / divisor {
            let edit = (kind.edit)(&mut attacker);
            table.count(number, found_by(&judge, kind, &edit));
            if attempt == 0 {
                let against = kind.needs_against.then_some(&judge.kept);
                let [quick, whole] =
                    [judge.judge(&edit.trail, against), judge.judge_whole(&edit.trail, against)];
                assert_eq!(quick.unwrap_err().to_string(), whole.unwrap_err().to_string(), "{}", kind.name);
            }
        }
    }
    table.print();
    println!(
        "of {EVENTS} events {} are sealed; {} after the last checkpoint are under no signature, and every verification reports it",
        unchanged.sealed, unchanged.unsealed
    );
    assert_eq!(table.0.values().sum::<u64>(), 1_000 / divisor);
}

#[test]
fn each_edit_of_a_million_events_is_found_by_the_right_command_at_the_right_place() {
    make_edits(5);
}

#[test]
#[ignore = "half a minute: the same with a thousand edits"]
fn a_thousand_edits_of_a_million_events_are_found_as_well() {
    make_edits(1);
}

/// tools/verify_stele.py by its exit code and what it says; none where it cannot run.
fn judged_by_python(judge: &Judge, trail: &Stored, against: bool) -> Option<(i32, String)> {
    let has = Command::new("python3").args(["-c", "import cryptography"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "python3 with cryptography is missing");
        println!("skipped: needs python3 with the package cryptography");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    std::fs::write(&kept, judge.kept.to_string()).unwrap();
    let place = folder.path().join("trail");
    trail.write(&place);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/verify_stele.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(&place).args(["--key", &judge.signer.public().to_string()]);
    if against {
        command.arg("--against").arg(&kept);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Some((output.status.code().unwrap(), text))
}

#[test]
fn the_verifier_that_shares_no_code_finds_the_same_edits() {
    let judge = Judge::new(1_500, 16 << 10, 100);
    let Some((code, said)) = judged_by_python(&judge, &judge.base, true) else { return };
    assert!(code == 0 && said.contains("events after the last checkpoint"), "{said}");
    let (mut table, mut attacker) = (Table::default(), Attacker::new(&judge, 2));
    for (number, kind) in KINDS.iter().enumerate() {
        for _ in 0..2 {
            let edit = (kind.edit)(&mut attacker);
            found_by(&judge, kind, &edit);
            let (alone, said) = judged_by_python(&judge, &edit.trail, false).unwrap();
            if kind.is_derived {
                // It reads the events and the checkpoints, but nothing derived from them.
                assert_eq!(alone, 0, "{}: {said}", kind.name);
                continue;
            }
            assert_eq!(alone, i32::from(!kind.needs_against), "{}: {said}", kind.name);
            if kind.needs_against {
                let (code, said) = judged_by_python(&judge, &edit.trail, true).unwrap();
                assert_eq!(code, 1, "{}: {said}", kind.name);
            }
            table.count(
                number,
                if kind.needs_against { "verify_stele.py --against" } else { "verify_stele.py" },
            );
        }
    }
    table.print();
}
