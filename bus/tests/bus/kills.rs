//! Processes that publish and read are killed a hundred times while they work: the bus continues, no torn
//! event is read, and what was accepted is logged once.
//!
//! The other processes are this test program again, which reads its role from the environment.

use crate::rig::{START, Shard, notice};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stele_bus::{Grants, LossyConsumer, Observed, Refusal, RemotePublisher, RingView, WriterState};
use stele_wire::Sequence;
use stele_wire::messages::VenueNotice;

const ROLE: &str = "STELE_TEST_ROLE";
const ROOT: &str = "STELE_TEST_ROOT";
const NOTICE: u16 = VenueNotice::TEMPLATE_ID;
const ID: u16 = 7;
const KILLS: usize = 100;

fn child(role: &str, root: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::another_process", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(ROOT, root)
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// What the other processes do; nothing when this program was started as a test.
#[test]
fn another_process() {
    let (Ok(role), Some(root)) = (std::env::var(ROLE), std::env::var_os(ROOT)) else { return };
    let shard = Shard::find(Path::new(&root));
    match role.as_str() {
        "publish" => {
            let said = OpenOptions::new().append(true).open(said(Path::new(&root))).unwrap();
            publish(&mut RemotePublisher::attach(&shard, ID).unwrap(), said);
        }
        _ => read(&RingView::attach(&shard.ring()).unwrap()),
    }
}

/// The file in which publishers record what was accepted, so that it survives them.
fn said(root: &Path) -> PathBuf {
    root.join("said")
}

/// The body of submission `sequence`: its length and its bytes follow from the number.
fn body(sequence: u64) -> Vec<u8> {
    notice(sequence as u32, 40 + (sequence * 37 % 900) as usize)
}

/// Submits until it is killed, and records which submissions were accepted.
fn publish(publisher: &mut RemotePublisher, mut said: File) {
    loop {
        let sequence = publisher.next_sequence();
        match publisher.offer(NOTICE, &body(sequence), START) {
            Ok(()) => said.write_all(&sequence.to_le_bytes()).unwrap(),
            Err(Refusal::RingFull | Refusal::JournalBehind) => std::thread::yield_now(),
            Err(refusal) => panic!("{refusal}"),
        }
    }
}

/// Reads until it is killed, checking every frame.
fn read(view: &RingView) {
    let seed = view.identity().unwrap().seed();
    let mut consumer = LossyConsumer::join(view);
    let mut next: Option<Sequence> = None;
    while view.writer_state() == WriterState::Running {
        consumer.poll(1_000, |observed| match observed {
            Observed::Event(event) => {
                event.frame().verify(seed).unwrap();
                assert!(next.is_none_or(|next| next == event.sequence()));
                next = Some(event.sequence().next());
            }
            Observed::Lost { first, last } => {
                assert!(next.is_none_or(|next| next == first));
                next = Some(last.next());
            }
        });
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9), "it ended before it was killed: {status}");
}

#[test]
fn publishers_and_readers_killed_a_hundred_times_do_not_harm_the_bus() {
    let place = Shard::new("kills");
    let mut rig = place.rig();
    rig.sequencer
        .remote_publisher(&place.shard.publisher(ID), ID, "outside", 8 << 10, Grants::all())
        .unwrap();
    let mut own = rig.sequencer.publisher(1, "inside", 4096, Grants::all());
    let done = AtomicBool::new(false);
    File::create(said(place.root())).unwrap();
    let own_accepted = std::thread::scope(|scope| {
        let bus = scope.spawn(|| {
            let mut accepted = 0;
            while !done.load(Ordering::Relaxed) {
                accepted += u64::from(own.offer(NOTICE, &notice(accepted as u32, 48), START).is_ok());
                rig.cycle();
                rig.clock.advance(stele_wire::Nanos(100_000));
                rig.flush();
            }
            while rig.cycle() > 0 {
                rig.flush();
            }
            rig.close_batch();
            rig.flush();
            accepted
        });
        for round in 0..KILLS as u64 {
            let (publisher, reader) = (child("publish", place.root()), child("read", place.root()));
            // From before it has begun to well into its work.
            std::thread::sleep(Duration::from_micros(round * 7_919 % 40_000));
            kill(publisher);
            kill(reader);
        }
        done.store(true, Ordering::Relaxed);
        bus.join().unwrap()
    });
    let said = std::fs::read(said(place.root())).unwrap();
    let accepted: Vec<u64> = said.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    let mut on_log: BTreeMap<u64, usize> = BTreeMap::new();
    let mut own_on_log = 0;
    let mut next = 1;
    for (template_id, found) in rig.trail_events() {
        assert_eq!(template_id, NOTICE, "nothing was refused");
        let mut expected = body(next);
        expected[16..20].copy_from_slice(&found[16..20]);
        if found.len() == expected.len().next_multiple_of(8) && found[..expected.len()] == expected {
            *on_log.entry(next).or_default() += 1;
            next += 1;
        } else {
            assert_eq!(found.len(), 48, "a torn submission is on the log");
            own_on_log += 1;
        }
    }
    assert_eq!(own_on_log, own_accepted);
    assert!(accepted.len() > KILLS, "{} were accepted", accepted.len());
    assert!(accepted.is_sorted_by(|a, b| a < b), "no number is given twice");
    assert!(accepted.iter().all(|sequence| on_log.get(sequence) == Some(&1)));
    let last = *accepted.last().unwrap();
    assert!(next > last && next <= last + 1 + KILLS as u64, "accepted up to {last}, on the log up to {next}");
}
