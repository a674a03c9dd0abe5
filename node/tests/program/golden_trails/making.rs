//! Makes the golden trails of the current schema version, with the program as a user runs it.

use super::{ARCHIVED, EVERY_MESSAGE, SESSION, TRAILS, copy_folder, every_message, findings, printed};
use crate::running::{Running, wait_until};
use crate::{stele_ok, text};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use stele_journal::{TrailReader, schema_hash};
use stele_wire::codec::Message;
use stele_wire::messages::{
    CancelOrder, NewOrder, OrderCancelled, OrderFilled, OrderReplaced, RefusedOrder, SCHEMA, TimerFired,
};

/// The bus of the run that is kept.
const BUS: &str = "golden-trails";

/// Makes the folder of all golden trails. It has its name once it is complete.
pub(super) fn make(folder: &Path) {
    let scratch = tempfile::tempdir_in(TRAILS).unwrap();
    let made = scratch.path();
    every_message::write(&made.join(EVERY_MESSAGE), SCHEMA.version, schema_hash());
    let public = stele_ok(&["key", "new", text(&made.join("key")), "--name", "golden.example/stele"]);
    fs::write(made.join("key.pub"), public).unwrap();
    session(made);
    copy_folder(&made.join(SESSION), &made.join(ARCHIVED));
    in_folder(made, &["archive", ARCHIVED]);
    in_folder(made, &["seal", ARCHIVED, "--key", "key"]);
    let all = printed(&["dump", text(&made.join(EVERY_MESSAGE)), "--json"]);
    fs::write(made.join("every-message.jsonl"), all).unwrap();
    for name in [EVERY_MESSAGE, SESSION, ARCHIVED] {
        let findings = serde_json::to_string_pretty(&findings(made, name)).unwrap();
        fs::write(made.join(format!("{name}.json")), findings + "\n").unwrap();
    }
    as_checked_out(made);
    fs::rename(made, folder).unwrap();
}

/// The configuration of a run of the golden sessions, whose bus is called `bus`.
pub(super) fn configuration(bus: &str, key: &Path) -> String {
    format!(
        "[bus]\nname = '{bus}'\nring_mib = 1\n[journal]\nengine = 'plain'\nsegment_mib = 1\n\
         spare_segments = 1\n[feed]\npace = 'real-time'\nevents_per_second = 60\nspec = 'generator:7'\n\
         [seal]\nkey = '{}'\ninterval_seconds = 1\n[snapshots]\nkeep = 1\n[[strategy]]\nname = 'market-maker'\n\
         [strategy.parameters]\nsymbol = 'GEN001'\norders-per-second = 5\n\
         [[strategy]]\nname = 'twap'\n[strategy.parameters]\nduration = '400ms'\nslices = 4\n",
        key.display()
    )
}

/// A run with a limit that refuses orders and a kill switch that is released, a snapshot, and another run
/// that begins from it.
fn session(folder: &Path) {
    fs::write(folder.join("run.toml"), configuration(BUS, Path::new("key"))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stele"));
    command.current_dir(folder).args(["run", "-c", "run.toml", "--seconds", "120", "--dir", SESSION]);
    let mut run = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let trail = folder.join(SESSION);
    let waits = |what: &str, is_so: &dyn Fn(&Path) -> bool| wait_until(what, || is_so(&trail));
    let control = |arguments: &[&str]| {
        let people = ["--by", "12", "--approved-by", "7", "--bus", BUS];
        in_folder(folder, &[arguments, &people].concat());
    };
    waits("a timer has fired and an order is filled", &|trail| {
        count::<TimerFired>(trail) > 0 && count::<OrderFilled>(trail) > 0 && count::<OrderReplaced>(trail) > 0
    });
    control(&["limit", "set", "order-quantity", "0", "--instrument", "1"]);
    waits("the limit refuses an order", &|trail| count::<RefusedOrder>(trail) > 0);
    control(&["limit", "set", "order-quantity", "none", "--instrument", "1"]);
    let replaced = count::<OrderReplaced>(&trail);
    waits("orders pass again", &|trail| count::<OrderReplaced>(trail) > replaced);
    control(&["kill-switch", "--all", "--reason", "a drill"]);
    waits("the kill switch cancels an order", &|trail| {
        let of_switch = |cancel: &CancelOrder| cancel.publisher.get() == 0;
        found::<CancelOrder>(trail).iter().any(of_switch) && count::<OrderCancelled>(trail) > 0
    });
    sleep(Duration::from_millis(100));
    let orders = count::<NewOrder>(&trail);
    control(&["kill-switch", "--all", "--release"]);
    waits("it is released", &|trail| count::<NewOrder>(trail) > orders);
    let asked = Command::new("kill").args(["-INT", &run.0.id().to_string()]).status().unwrap();
    assert!(asked.success() && run.0.wait().unwrap().success());
    in_folder(folder, &["run", "-c", "run.toml", "--seconds", "0.2", "--dir", SESSION]);
    fs::remove_file(folder.join("run.toml")).unwrap();
}

/// Runs `stele`, which must succeed, in `folder`: the trail names no path of this machine.
fn in_folder(folder: &Path, arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_stele")).current_dir(folder).args(arguments).output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "stele {} failed:\n{errors}", arguments.join(" "));
}

fn found<M: Message>(trail: &Path) -> Vec<M> {
    let Ok(mut reader) = TrailReader::open(trail) else { return Vec::new() };
    let mut all = Vec::new();
    while let Ok(Some(entry)) = reader.read_next() {
        all.extend(entry.frame.message::<M>().map(|message| *message));
    }
    all
}

fn count<M: Message>(trail: &Path) -> usize {
    found::<M>(trail).len()
}

/// Removes the files that only name a writer, and sets the modes that git sets.
fn as_checked_out(folder: &Path) {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            as_checked_out(&path);
        } else if entry.file_name() == stele_journal::LOCK_NAME {
            fs::remove_file(path).unwrap();
        } else {
            fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        }
    }
}
