//! Processes that publish and read are killed a hundred times while they work: the bus continues, no torn
//! event is read, and what was accepted is logged once.
//!
//! The other processes are this test program again, which reads its role from the environment.

use crate::rig::{Rig, START, notice};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stele_bus::{
    Grants, Liveness, LossyConsumer, Observed, PortError, Refusal, RemotePort, RemotePublisher, RingView,
    WriterState,
};
use stele_wire::Sequence;
use stele_wire::messages::VenueNotice;

const ROLE: &str = "STELE_TEST_ROLE";
const RING: &str = "STELE_TEST_RING";
const LANE: &str = "STELE_TEST_LANE";
const SAID: &str = "STELE_TEST_SAID";
const NOTICE: u16 = VenueNotice::TEMPLATE_ID;
const ID: u16 = 7;
const KILLS: usize = 100;

/// What the other processes get: the door passes descriptors through its socket; here they open this
/// process's.
struct Handed<'a> {
    ring: &'a OwnedFd,
    lane: &'a OwnedFd,
    said: &'a Path,
}

impl Handed<'_> {
    fn child(&self, role: &str) -> Child {
        let descriptor = |fd: &OwnedFd| format!("/proc/{}/fd/{}", std::process::id(), fd.as_raw_fd());
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kills::another_process", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(RING, descriptor(self.ring))
            .env(LANE, descriptor(self.lane))
            .env(SAID, self.said)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
    }
}

/// What the other processes do; nothing when this program was started as a test.
#[test]
fn another_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let named = |key: &str| PathBuf::from(std::env::var_os(key).unwrap());
    let ring = File::open(named(RING)).unwrap().into();
    let view = RingView::attach(ring, Liveness::Process).unwrap();
    match role.as_str() {
        "publish" => {
            let lane = OpenOptions::new().read(true).write(true).open(named(LANE)).unwrap();
            // The file survives the publishers that record in it what was accepted.
            let said = OpenOptions::new().append(true).open(named(SAID)).unwrap();
            publish(&mut RemotePublisher::attach(view, lane.into()).unwrap(), said);
        }
        _ => read(&view),
    }
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

/// Waits until what the publisher before committed is taken.
fn open(port: &mut RemotePort) -> OwnedFd {
    loop {
        match port.open() {
            Err(PortError::Busy) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

#[test]
fn publishers_and_readers_killed_a_hundred_times_do_not_harm_the_bus() {
    let mut rig = Rig::shared();
    let ring = rig.memory();
    let mut port = rig.sequencer.remote_publisher(ID, "outside", 8 << 10, Grants::all());
    let mut own = rig.sequencer.publisher(1, "inside", 4096, Grants::all());
    let done = AtomicBool::new(false);
    let said = std::env::temp_dir().join(format!("stele-kills-{}", std::process::id()));
    File::create(&said).unwrap();
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
            let lane = open(&mut port);
            let handed = Handed { ring: &ring, lane: &lane, said: &said };
            let (publisher, reader) = (handed.child("publish"), handed.child("read"));
            // From before it has begun to well into its work.
            std::thread::sleep(Duration::from_micros(round * 7_919 % 40_000));
            kill(publisher);
            port.close();
            kill(reader);
        }
        done.store(true, Ordering::Relaxed);
        bus.join().unwrap()
    });
    let recorded = std::fs::read(&said).unwrap();
    std::fs::remove_file(said).unwrap();
    let accepted: Vec<u64> =
        recorded.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
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
