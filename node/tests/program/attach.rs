//! `stele attach` to a run in another process: it prints every event from a sequence on, as on the trail,
//! until the writer stops or is killed.

use crate::{stele_fails, stele_ok, text};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use stele_bus::NOT_RECEIVED;
use stele_door::DoorClient;
use stele_journal::TrailReader;
use stele_wire::messages::{PublisherReset, Trade};

/// In the events that the tests publish.
const SOURCE: u16 = 9_999;

/// Waits for the bus.
fn find(name: &str) -> DoorClient {
    let since = Instant::now();
    loop {
        match DoorClient::find(Some(name)) {
            Ok(door) => return door,
            Err(error) => {
                assert!(since.elapsed() < Duration::from_secs(60), "the run has not begun: {error}")
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn spawn(arguments: &[&str], out: Stdio) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stele"));
    command.args(arguments).stdout(out).stderr(Stdio::null()).spawn().expect("the program was built")
}

/// A run of a bus with that name and a place for a publisher, in a new folder; its trail.
fn start(folder: &Path, name: &str, seconds: &str) -> (Child, String) {
    let configuration = format!(
        "[bus]\nname = '{name}'\nring_mib = 4\n[journal]\nsegment_mib = 16\n\
         [feed]\npace = 'real-time'\nevents_per_second = 20000\n[[publisher]]\nid = 100\nname = 'outside'\n"
    );
    let (file, trail) = (folder.join("run.toml"), folder.join("trail"));
    fs::write(&file, configuration).unwrap();
    let trail = text(&trail).to_owned();
    let arguments = ["run", "-c", text(&file), "--dir", &trail, "--seconds", seconds];
    (spawn(&arguments, Stdio::null()), trail)
}

#[test]
fn attach_prints_the_events_of_the_trail_and_an_event_published_by_another_process_is_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("attach-{}", std::process::id());
    let (mut run, trail) = start(folder.path(), &name, "2");
    let door = find(&name);
    let (file, elsewhere) = (folder.path().join("run.toml"), folder.path().join("elsewhere"));
    let again = stele_fails(&["run", "-c", text(&file), "--dir", text(&elsewhere)], 3);
    assert!(again.contains("runs already") && !elsewhere.exists(), "{again}");
    let printed = folder.path().join("printed");
    let mut attached =
        spawn(&["attach", &name, "--from", "1", "--json"], File::create(&printed).unwrap().into());
    let mut publisher = door.publisher(door.shards()[0].shard, 100).unwrap();
    for instrument in 1..=50 {
        let trade = Trade { instrument: instrument.into(), source: SOURCE.into(), ..Trade::NULL };
        publisher.offer_message(&trade, NOT_RECEIVED).unwrap();
    }
    publisher.finish();
    assert!(run.wait().unwrap().success());
    assert!(attached.wait().unwrap().success());
    assert!(!door.path().exists(), "the run removes its socket");
    let printed = fs::read_to_string(printed).unwrap();
    let (lines, end) = printed.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(end, "{\"end\":\"stopped\"}");
    let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let (live, dumped) = (lines.lines(), stele_ok(&["dump", &trail, "--json"]));
    assert_eq!(live.clone().count(), dumped.lines().count());
    let mut outside = 0;
    for (live, dumped) in live.zip(dumped.lines()).map(|(live, dumped)| (parse(live), parse(dumped))) {
        assert_eq!((&live["sequence"], &live["message"]), (&dumped["sequence"], &dumped["message"]));
        outside += usize::from(live["message"]["source"] == SOURCE);
    }
    assert_eq!(outside, 50);
    let missing = stele_fails(&["attach", &name], 3);
    assert!(missing.contains("no bus named"), "{missing}");
}

#[test]
fn the_death_of_the_writer_is_reported_and_the_next_start_takes_over_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("dead-{}", std::process::id());
    let (mut run, _) = start(folder.path(), &name, "60");
    let door = find(&name);
    let mut attached = spawn(&["attach", &name, "--lossy"], Stdio::piped());
    let mut printed = BufReader::new(attached.stdout.take().unwrap());
    let mut line = String::new();
    printed.read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "it reads before the writer dies");
    run.kill().unwrap();
    run.wait().unwrap();
    printed.read_to_string(&mut line).unwrap();
    assert_eq!(attached.wait().unwrap().code(), Some(3));
    assert!(door.path().exists() && !door.is_running(), "a killed process does not remove it");
    let (mut run, trail) = start(folder.path(), &name, "0.3");
    assert!(run.wait().unwrap().success());
    assert!(!door.path().exists());
    stele_ok(&["verify", &trail]);
}

#[test]
fn a_reset_sets_the_number_of_a_publisher_of_another_process_on_a_running_bus_and_on_a_trail() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("reset-{}", std::process::id());
    let (mut run, trail) = start(folder.path(), &name, "8");
    let door = find(&name);
    let mut publisher = door.publisher(door.shards()[0].shard, 100).unwrap();
    for _ in 0..5 {
        publisher.offer_message(&Trade::NULL, NOT_RECEIVED).unwrap();
    }
    while publisher.acknowledged().sequence < 5
        || publisher.acknowledged().position > publisher.ring().watermarks().durable()
    {
        std::thread::sleep(Duration::from_millis(1));
    }
    let reset = |publisher: &str, to: &str, place: [&str; 2]| {
        let why = ["--by", "12", "--reason", "counter lost"];
        let arguments = [&["publisher", "reset", publisher, "--to", to][..], &why, &place].concat();
        arguments.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let ok = |arguments: Vec<String>| stele_ok(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(ok(reset("outside", "40", ["--bus", &name])).starts_with("reset on shard"));
    assert_eq!(publisher.acknowledged().sequence, 40);
    publisher.finish();
    let inside = reset("feed", "1", ["--bus", &name]);
    stele_fails(&inside.iter().map(String::as_str).collect::<Vec<_>>(), 2);
    assert!(run.wait().unwrap().success());
    ok(reset("100", "7", ["--trail", &trail]));
    let (mut reader, mut resets) = (TrailReader::open(Path::new(&trail)).unwrap(), Vec::new());
    while let Some(entry) = reader.read_next().unwrap() {
        let reset = entry.frame.message::<PublisherReset>();
        resets.extend(reset.map(|reset| (reset.last_number.get(), reset.new_number.get())));
    }
    assert_eq!(resets, [(5, 40), (40, 7)]);
    stele_ok(&["verify", &trail]);
}
