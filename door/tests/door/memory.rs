//! What the door hands over: memory that cannot be taken from under the bus, lanes, and files of the trail.

use crate::rig::{Rig, notice, start};
use crate::served::{OUTSIDE, SHARD, Served};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use stele_bus::counters::{CounterWriterState, table};
use stele_bus::{LogRing, LossyConsumer, NOT_RECEIVED, Observed, RingOptions, WriterState};
use stele_door::protocol::Code;
use stele_door::{ClientError, People};
use stele_journal::Pages;
use stele_wire::messages::VenueNotice;

const NOTICE: u16 = VenueNotice::TEMPLATE_ID;

#[test]
fn a_client_learns_what_the_bus_is_and_maps_its_ring_and_its_counters() {
    let mut served = Served::new();
    let client = served.client();
    let welcome = client.welcome();
    assert_eq!((welcome.bus.as_str(), welcome.process), ("test", std::process::id()));
    assert_eq!((welcome.caller.process, welcome.has_people), (Some(std::process::id()), false));
    let [shard] = client.shards() else { panic!("{welcome:?}") };
    assert_eq!((shard.shard, shard.epoch, shard.has_ring), (SHARD, 3, true));
    assert_eq!((shard.trail.as_str(), shard.publishers[0].id), (&*"07".repeat(16), OUTSIDE));
    let (ring, counters) = (client.ring(SHARD).unwrap(), client.counters().unwrap());
    assert_eq!(ring.identity(), Some(start().identity));
    assert_eq!(counters.value(table::EVENTS, 1, 0), 42);
    let (mut reader, mut seen) = (LossyConsumer::join(&ring), 0);
    while seen < 100 {
        reader.poll(64, |observed| match observed {
            Observed::Event(event) => {
                event.frame().verify(start().identity.seed()).unwrap();
                seen += 1;
            }
            Observed::Lost { .. } => {}
        });
    }
    assert_eq!((ring.writer_state(), counters.writer()), (WriterState::Running, CounterWriterState::Running));
    // The end of the connection is the end of the bus, whatever /proc says.
    served.door = None;
    assert!(matches!(ring.writer_state(), WriterState::Dead(_)) && !client.is_running());
    assert_eq!(counters.writer(), CounterWriterState::Died);
    assert!(!served.socket().exists());
    assert!(matches!(served.connect(), Err(ClientError::NotFound { .. })));
}

/// `truncate -s 0` of the ring's file ended the trading process with SIGBUS.
#[test]
fn memory_that_a_client_gets_cannot_be_cut_and_the_bus_lives() {
    let served = Served::new();
    let client = served.client();
    let ring = client.ring(SHARD).unwrap();
    let _lane = client.publisher(SHARD, OUTSIDE).unwrap();
    let mut cut = 0;
    // Every file in memory that this process has, as the server's side has them, too.
    for entry in fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        if !target.to_string_lossy().contains("memfd:stele-") {
            continue;
        }
        let file = File::options().read(true).write(true).open(entry.path()).unwrap();
        assert_eq!(file.set_len(0).unwrap_err().raw_os_error(), Some(1), "EPERM for {target:?}");
        let is_lane = target.to_string_lossy().contains("publisher");
        assert!(is_lane || file.write_all_at(b"x", 0).is_err(), "{target:?}");
        cut += 1;
    }
    assert!(cut >= 3, "ring, counters and lane");
    let before = ring.watermarks().published();
    while ring.watermarks().published() == before {
        std::thread::yield_now();
    }
    let (_, submitted) = served.end();
    assert!(submitted > 0);
}

#[test]
fn a_publisher_is_one_process_until_its_connection_ends_and_the_next_continues_its_numbers() {
    let served = Served::new();
    let client = served.client();
    let mut first = client.publisher(SHARD, OUTSIDE).unwrap();
    assert_eq!((first.next_sequence(), first.name().as_str()), (1, "outside"));
    let taken = client.publisher(SHARD, OUTSIDE).unwrap_err();
    assert!(matches!(taken, ClientError::Refused { code: Code::Taken, .. }), "{taken}");
    let missing = client.publisher(SHARD, 101).unwrap_err().to_string();
    assert_eq!(missing, "shard 1 has no publisher 101; available: 100");
    for tag in 0..20 {
        first.offer(NOTICE, &notice(tag, 40), NOT_RECEIVED).unwrap();
    }
    first.stage(NOTICE, &notice(20, 40), NOT_RECEIVED).unwrap();
    drop(first);
    let mut second = client.publisher(SHARD, OUTSIDE).unwrap();
    assert_eq!(second.next_sequence(), 21, "what was only staged has vanished");
    second.offer(NOTICE, &notice(80, 40), NOT_RECEIVED).unwrap();
    while second.acknowledged().sequence < 21 {
        std::thread::yield_now();
    }
    drop((second, client));
    let (rig, _) = served.end();
    let tags: Vec<u8> =
        rig.trail_events().iter().filter(|event| event.1.len() == 40).map(|event| event.1[8]).collect();
    assert_eq!(tags, (0..20).chain([80]).collect::<Vec<u8>>());
}

#[test]
fn controls_and_files_work_without_a_shared_ring() {
    let options = RingOptions { capacity: stele_bus::bounds::RING_LENGTH_MIN, huge_pages: false };
    let rig = Rig::over(LogRing::create(&options, start().position).unwrap(), Default::default());
    let served = Served::around(rig, People::default());
    let client = served.client();
    assert!(!client.shards()[0].has_ring);
    let refused = client.ring(SHARD).unwrap_err();
    assert!(matches!(refused, ClientError::Refused { code: Code::Unavailable, .. }), "{refused}");
    assert!(client.counters().is_ok());
    crate::controls::switch_is_durable(&client);
}

#[test]
fn the_files_of_the_trail_are_listed_and_opened_to_read_without_paths_links_or_the_lock() {
    let served = Served::new();
    let trail = served.trail();
    fs::create_dir(&trail).unwrap();
    let content: Vec<u8> = (0..10_000_u32).map(|byte| byte as u8).collect();
    fs::write(trail.join("0000000001.stele"), &content).unwrap();
    for name in ["notes", "writer.lock", ".hidden"] {
        fs::write(trail.join(name), "x").unwrap();
    }
    (0..1_500).for_each(|index| fs::write(trail.join(format!("x{index:04}")), "").unwrap());
    std::os::unix::fs::symlink("/etc/passwd", trail.join("link")).unwrap();
    let client = served.client();
    let storage = client.trail(SHARD);
    let names = storage.list().unwrap();
    assert_eq!((names.len(), names[0].as_str(), names[2].as_str()), (1_503, "0000000001.stele", "notes"));
    let file = storage.open("0000000001.stele").unwrap();
    assert_eq!(file.length().unwrap(), 10_000);
    let mut pages = Pages::zeroed(12_288);
    assert_eq!(file.read_at(&mut pages, 0).unwrap(), 10_000);
    assert_eq!(pages[..10_000], content);
    for name in ["writer.lock", ".hidden", "link", "../test.sock", "", ".", "/etc/passwd", "missing"] {
        let refused = storage.open(name).err().unwrap();
        assert_eq!(refused.kind(), std::io::ErrorKind::NotFound, "{name}: {refused}");
    }
    assert!(storage.remove("notes").is_err() && trail.join("notes").exists());
}

#[test]
fn a_client_in_any_language_speaks_the_documented_frames() {
    let served = Served::new();
    let mut stream = UnixStream::connect(served.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let json = br#"{"request":"hello","process":"by hand"}"#;
    let mut frame = vec![json.len() as u8, 0, 0, 0, json.len() as u8, 0, 0, 0, 1, 0, 0, 0];
    frame.extend(json);
    // In pieces, as a slow network would.
    for piece in frame.chunks(5) {
        stream.write_all(piece).unwrap();
    }
    let mut header = [0; 12];
    stream.read_exact(&mut header).unwrap();
    assert_eq!(header[4..], [header[0], header[1], header[2], header[3], 1, 0, 0, 0]);
    let mut text = vec![0; u32::from_le_bytes(header[..4].try_into().unwrap()) as usize];
    stream.read_exact(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with(r#"{"answer":"welcome","bus":"test","#), "{text}");
}
