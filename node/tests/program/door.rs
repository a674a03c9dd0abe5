//! The socket of a run: who may come through it, what the log says about the caller, and that it works
//! whatever the machine gives to shared memory.

use crate::running::{Running, eventually, wait_until};
use crate::{stele_fails, stele_json, stele_ok, text};
use rustix::process::geteuid;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use stele_door::{DoorClient, SocketAddress};
use stele_journal::TrailReader;
use stele_testkit::skip::skip;
use stele_wire::codec::Message;
use stele_wire::messages::{AccessRecorded, KillSwitch};

/// A user and a group without rights.
const STRANGER: u32 = 65_534;

const PROGRAM: &str = env!("CARGO_BIN_EXE_stele");

/// A run in a folder, with a socket there.
struct Run {
    running: Running,
    folder: tempfile::TempDir,
}

impl Run {
    /// Starts a run through the command `before`, such as one that prepares a namespace.
    fn start(before: &[&str], more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let configuration = format!(
            "[bus]\nsocket = '{}'\nring_mib = 64\n[journal]\nsegment_mib = 4\nspare_segments = 1\n\
             [feed]\npace = 'real-time'\nspec = 'generator:7'\nevents_per_second = 20000\n\
             [[strategy]]\nname = 'ma-cross'\n{more}",
            text(&folder.path().join("run.sock"))
        );
        let file = folder.path().join("run.toml");
        fs::write(&file, configuration).unwrap();
        let trail = folder.path().join("trail");
        let run = [PROGRAM, "run", "-c", text(&file), "--dir", text(&trail), "--seconds", "120"];
        let words: Vec<&str> = before.iter().copied().chain(run).collect();
        let mut command = Command::new(words[0]);
        let child = command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { running: Running(child), folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run.sock")
    }

    fn trail(&self) -> PathBuf {
        self.folder.path().join("trail")
    }

    /// Ends the run cleanly. `of` is the process that runs it.
    fn end(mut self, of: u32) -> tempfile::TempDir {
        let asked = Command::new("kill").args(["-INT", &of.to_string()]).status().unwrap();
        assert!(asked.success() && self.running.0.wait().unwrap().success());
        self.folder
    }
}

fn found<M: Message>(trail: &Path) -> Vec<M> {
    let mut reader = TrailReader::open(trail).unwrap();
    let mut all = Vec::new();
    while let Some(entry) = reader.read_next().unwrap() {
        all.extend(entry.frame.message::<M>().map(|message| *message));
    }
    all
}

/// A ring of 64 MiB under /dev/shm did not fit into the 64 MB of a container: the run traded on, and
/// `kill-switch`, `limit` and `attach` failed. Descriptors of memory need no file system: here /dev/shm has
/// 1 MB, in a mount namespace of the run alone.
#[test]
fn a_run_with_next_to_no_shared_memory_file_system_is_watched_and_stopped() {
    let small = "mount -t tmpfs -o size=1m tmpfs /dev/shm && exec \"$@\"";
    let before = ["unshare", "--mount", "sh", "-c", small, "sh"];
    let works = Command::new("unshare").args(["--mount", "sh", "-c", small, "sh", "true"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        return skip("unshare, and the right to mount");
    }
    let run = Run::start(&before, "");
    let socket = run.socket();
    let address = SocketAddress::at(&socket);
    let door = eventually("the run is served", || DoorClient::connect(&address).ok());
    assert!(door.shards()[0].has_ring);
    let shown = stele_json(&["top", text(&socket)]);
    assert_eq!(shown["state"], "running");
    let switch = ["kill-switch", "--all", "--by", "12", "--reason", "a test", "--bus", text(&socket)];
    let engaged = stele_json(&switch);
    let sequence = engaged["entered"][0]["sequence"].as_u64().unwrap();
    assert_eq!(
        (&engaged["verified"], &engaged["caller"]["user"]),
        (&false.into(), &geteuid().as_raw().into())
    );
    stele_ok(&["limit", "set", "notional", "5000000", "--by", "12", "--bus", text(&socket)]);
    let mut attached = Command::new(PROGRAM)
        .args(["attach", text(&socket), "--from", &sequence.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(attached.stdout.take().unwrap()), &mut line)
        .unwrap();
    assert!(line.contains("KillSwitch"), "{line}");
    let _ = attached.wait();
    let trail = run.trail();
    let folder = run.end(door.welcome().process);
    stele_ok(&["verify", text(&trail), "--unlogged"]);
    let switches = found::<KillSwitch>(&trail);
    assert_eq!(switches[0].caller_user.get(), geteuid().as_raw());
    drop(folder);
}

#[test]
fn with_people_a_change_names_its_caller_and_needs_the_role() {
    let user = geteuid().as_raw();
    let person = format!("[[person]]\nnumber = 12\ncode = 'r'\nuser = {user}\nroles = ['risk']\n");
    let run = Run::start(&[], &person);
    let socket = run.socket();
    let address = SocketAddress::at(&socket);
    let door = eventually("the run is served", || DoorClient::connect(&address).ok());
    let mode = fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o660, "a group may come");
    let switch = ["kill-switch", "--all", "--bus", text(&socket), "--by"];
    let other = stele_fails(&[&switch[..], &["13"]].concat(), 1);
    assert!(other.contains("names person 13 and the caller is person 12"), "{other}");
    let said = stele_ok(&[&switch[..], &["12"]].concat());
    assert!(said.contains(&format!("by person 12: user {user}, process ")), "{said}");
    let set = ["limit", "set", "notional", "1", "--by", "12", "--reason", "a quiet day"];
    let proposed = stele_ok(&[&set[..], &["--bus", text(&socket)]].concat());
    assert!(
        proposed.contains("proposed"),
        "with people a limit is proposed, and another approves it: {proposed}"
    );
    let trail = run.trail();
    let folder = run.end(door.welcome().process);
    let switches = found::<KillSwitch>(&trail);
    assert_eq!((switches.len(), switches[0].caller_user.get()), (1, user));
    assert_ne!(switches[0].caller_process, KillSwitch::NULL.caller_process);
    // On the stopped trail the caller cannot be verified: only what stops trading is accepted.
    let on_trail = ["--by", "99", "--reason", "typed at night", "--trail", text(&trail)];
    for refused in [&["limit", "set", "notional", "5"][..], &["kill-switch", "--all", "--release"]] {
        let why = stele_fails(&[refused, &on_trail].concat(), 1);
        assert!(why.contains("only the running bus can verify who asks"), "{why}");
    }
    stele_ok(&[&["kill-switch", "--all"][..], &on_trail].concat());
    drop(folder);
}

/// The program as another user, from a copy that it may execute.
fn as_stranger(program: &Path, arguments: &[&str]) -> Output {
    let change = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    Command::new("setpriv").args(change).arg(program).args(arguments).output().unwrap()
}

/// An examiner has an account on the machine and no access to the directory of the trail.
#[test]
fn a_reader_without_access_to_the_trail_follows_it_through_the_socket_and_changes_nothing() {
    let has_setpriv = Command::new("setpriv").arg("--version").output().is_ok();
    if !geteuid().is_root() || !has_setpriv {
        return skip("root, and setpriv");
    }
    let person = format!("[[person]]\nnumber = 5\ncode = 'e'\nuser = {STRANGER}\nroles = ['examiner']\n");
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("stele");
    fs::copy(PROGRAM, &program).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let run = Run::start(&[], &person);
    let socket = run.socket();
    wait_until("the run is served", || socket.exists());
    // The group may enter the directory of the socket, and not that of the trail.
    chown(run.folder.path(), None, Some(STRANGER)).unwrap();
    chown(&socket, None, Some(STRANGER)).unwrap();
    fs::set_permissions(run.folder.path(), fs::Permissions::from_mode(0o710)).unwrap();
    assert!(!as_stranger(Path::new("/bin/ls"), &[text(&run.trail())]).status.success());
    let denied = as_stranger(&program, &["kill-switch", "--all", "--by", "5", "--bus", text(&socket)]);
    let said = String::from_utf8_lossy(&denied.stderr).into_owned();
    assert_eq!(denied.status.code(), Some(1), "{said}");
    assert!(said.contains("person 5 (e) may not stop trading"), "{said}");
    let mut reader = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["attach", text(&socket), "--from", "1", "--reason", "an inspection"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(reader.stdout.take().unwrap()));
    let first: Vec<String> = lines.by_ref().take(200).map(Result::unwrap).collect();
    assert!(
        first.len() == 200 && first[..4].iter().any(|line| line.contains("SessionStart")),
        "{:?}",
        &first[..4]
    );
    drop(lines);
    let _ = reader.wait();
    let process = run.running.0.id();
    let trail = run.trail();
    let folder = run.end(process);
    let read = found::<AccessRecorded>(&trail);
    assert_eq!((read.len(), read[0].caller_user.get()), (1, STRANGER), "the kernel said who read");
    assert!(found::<KillSwitch>(&trail).is_empty());
    drop(folder);
}
