//! Tests that the examples do what they say, each in a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use stele::compliance::rules::EpochEnding;
use stele::compliance::{VerifyOptions, verify};
use stele::embed::RemoteAccess;
use stele::{Bus, BusOptions, Grants};

/// The command of an example; `cargo test` builds the examples next to the tests.
fn example(name: &str) -> Command {
    let tests = std::env::current_exe().unwrap();
    let path: PathBuf = tests.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: `cargo build -p stele --examples`", path.display());
    Command::new(path)
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn run(name: &str, arguments: &[&Path]) -> String {
    text(&example(name).args(arguments).output().unwrap())
}

#[test]
fn a_trail_of_embed_passes_verify_and_read_trail_and_fold_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let (trail, snapshot) = (folder.path().join("trail"), folder.path().join("volumes.snapshot"));
    let place = trail.display();
    let printed =
        format!("1000 trades in {place} are durable\n1000 trades with a total quantity of 2000 were read\n");
    assert_eq!(run("embed", &[&trail]), printed);
    let verified = verify(&trail, &VerifyOptions::default()).unwrap();
    assert_eq!(verified.epochs.len(), 1);
    assert_eq!(verified.epochs[0].ending, EpochEnding::InOrder("Finished".into()));

    let read = run("read_trail", &[&trail]);
    assert!(read.contains(" 2 of instrument 1 at 100.000001\n"), "{read}");
    assert!(read.contains("     1000 Trade\n") && read.contains("        1 SessionEnd\n"), "{read}");

    let whole = run("fold", &[&trail, &snapshot]);
    let events = verified.events;
    assert_eq!(whole, format!("{events} events read after event 0\ninstrument 1: 2000 traded\n"));
    let again = run("fold", &[&trail, &snapshot]);
    assert_eq!(again, format!("0 events read after event {events}\ninstrument 1: 2000 traded\n"));

    // A second session continues the trail, and the fold continues from its snapshot.
    run("embed", &[&trail]);
    let verified = verify(&trail, &VerifyOptions::default()).unwrap();
    assert_eq!(verified.epochs.len(), 2);
    let (new, more) = (verified.events - events, run("fold", &[&trail, &snapshot]));
    assert_eq!(more, format!("{new} events read after event {events}\ninstrument 1: 4000 traded\n"));
}

#[test]
fn one_process_publishes_until_everything_is_durable_and_another_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("examples-{}", std::process::id());
    let publishers = vec![(100, "example".to_owned(), Grants::market())];
    let remote = Some(RemoteAccess { name: name.clone(), publishers });
    let trail = folder.path().join("trail");
    let bus = Bus::open(&trail, BusOptions { remote, ..BusOptions::default() }).unwrap().start().unwrap();
    let reader = example("subscribe").arg(&name).stdout(Stdio::piped()).spawn().unwrap();
    let published = example("publish").args([name.as_str(), "100", "100"]).output().unwrap();
    bus.stop().unwrap();
    let read = text(&reader.wait_with_output().unwrap());
    assert_eq!(text(&published), "100 submissions up to 100 are durable\n");
    assert!(read.ends_with("the writer has ended: Stopped\n"), "{read}");
    let last = read.lines().rev().nth(1).unwrap();
    assert!(last.ends_with(" SessionEnd"), "{read}");
    verify(&trail, &VerifyOptions::default()).unwrap();
}
