//! The folder in which the lines of a section run, with the files and keys that they name.
//!
//! | in a line | stands for |
//! |---|---|
//! | `trail`, `DIR` of `trail:DIR` | a trail of the generator's market, sealed and cosigned; not sealed where a key is made |
//! | `KIND:FILE` of `--feed` | a small file of that kind; one that the section has made is taken as it is |
//! | `VKEY`, `WVKEY` | the public key of a log, of a witness, that the section made last; else a prepared one |
//! | `seal.key`, `w.key` | their private keys |
//! | `CHECKPOINT`, `COPY`, `*.tlog-proof` | the trail's checkpoint, a copy of the trail, a proof from it |
//! | `stele.toml`, `never.toml` | a configuration; one that takes no snapshots |
//! | `shards.toml`, `examples/shards.toml` | the file of the repository |
//! | `--case` of `hold release` | a case with a hold |
//! | `strategy resume` | the strategy is paused before |
//! | `BUS`, or a bus without a name | a bus that runs for the whole test |
//! | `imbalance` and its `ratio`, the strategy of one's own in a page | ma-cross and its `fast` |
//! | `cargo run … --` | the program |
//! | `cargo run … --example NAME` | the example that was built with the tests |
//!
//! A run begins a new trail, with small segments where no configuration is named, and ends after a third of a
//! second where its feed does not end. The demo does, too. Files are generated with few events. `top` prints
//! once. What goes on until it is interrupted is interrupted when it has printed something, and must then end
//! in order.

use super::pages::{Section, root};
use super::words::{Simple, commands, line};
use crate::running::{Running, wait_until};
use crate::{stele_ok, text};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use stele_door::DoorClient;

/// The seconds of a run or a demo that would take longer.
const SECONDS: &str = "0.3";
/// The number of events in a generated file.
const EVENTS: &str = "2000";
/// How long a line may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Small segments, and no measuring of the disk.
const SMALL: &str =
    "[journal]\nsegment_mib = 1\nspare_segments = 1\nflush = 'linked-sync'\n[bus]\nring_mib = 4\n";
const STRATEGIES: &str = "[[strategy]]\nname = 'ma-cross'\n[[strategy]]\nname = 'dip-buyer'\n";

/// The files that every sandbox copies.
pub(super) struct Prepared {
    folder: tempfile::TempDir,
    vkey: String,
    witness_vkey: String,
    bus: OnceLock<(Running, String)>,
}

impl Prepared {
    /// Keys, trails and files.
    pub(super) fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("bin")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_stele"), path("bin/stele")).unwrap();
        let key = |name: &str, more: &[&str]| {
            let file = path(name);
            let words = [&["key", "new", text(&file), "--name", "bank.example/stele"], more].concat();
            stele_ok(&words).trim_end().to_owned()
        };
        let (vkey, witness_vkey) = (key("seal.key", &[]), key("w.key", &["--witness"]));
        let feed = "[feed]\npace = 'real-time'\nevents_per_second = 40000\n";
        let (_witness, url) = serve(folder.path(), &vkey);
        let seal = format!(
            "[seal]\nkey = '{}'\ninterval_seconds = 0.1\nwitness = [{{ url = '{url}', vkey = '{witness_vkey}' }}]\n",
            text(&path("seal.key"))
        );
        fs::write(path("small.toml"), SMALL).unwrap();
        fs::write(path("plain.toml"), format!("{SMALL}{feed}{STRATEGIES}")).unwrap();
        fs::write(path("sealed.toml"), format!("{SMALL}{feed}{seal}{STRATEGIES}")).unwrap();
        let runs = ["plain", "sealed"].map(|name| {
            let (configuration, trail) = (path(&format!("{name}.toml")), path(name));
            let words = ["run", "-c", text(&configuration), "--dir", text(&trail), "--seconds", "0.8"];
            spawn(&words)
        });
        for format in ["itch", "dbn"] {
            stele_ok(&["generate", "--format", format, text(&path(format)), "--events", EVENTS]);
        }
        for (name, lines) in
            [("databento-csv", databento_csv()), ("lobster", lobster()), ("binance", binance())]
        {
            fs::write(path(name), lines).unwrap();
        }
        for mut run in runs {
            assert!(run.wait().unwrap().success(), "the trails are made");
        }
        Self { folder, vkey, witness_vkey, bus: OnceLock::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The name of a bus that runs.
    fn bus(&self) -> &str {
        let (_, name) = self.bus.get_or_init(|| {
            let name = format!("pages-{}", std::process::id());
            let configuration = format!("{SMALL}name = '{name}'\n[feed]\npace = 'real-time'\n{STRATEGIES}");
            let (file, trail) = (self.path("bus.toml"), self.path("bus"));
            fs::write(&file, configuration).unwrap();
            let run = spawn(&["run", "-c", text(&file), "--dir", text(&trail), "--seconds", "600"]);
            wait_until("the bus runs", || DoorClient::find(Some(&name)).is_ok());
            (Running(run), name)
        });
        name
    }
}

fn spawn(words: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stele"));
    command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program was built")
}

/// A witness, and where it listens.
fn serve(folder: &Path, vkey: &str) -> (Running, String) {
    let (key, state) = (folder.join("w.key"), folder.join("state"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_stele"));
    command.args(["witness", "--key", text(&key), "--listen", "127.0.0.1:0", "--json"]);
    command.args(["--state", text(&state), "--log", vkey]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Running(command.spawn().expect("the program was built"));
    let mut out = BufReader::new(process.0.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    // What it prints further is read, so that it never waits for a reader.
    std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
    let said: Value = serde_json::from_str(&line).unwrap();
    (process, said["url"].as_str().unwrap().to_owned())
}

fn databento_csv() -> String {
    let header =
        "ts_recv,ts_event,publisher_id,instrument_id,action,side,price,size,order_id,flags,sequence,symbol\n";
    let line = |number: u32| {
        let time = format!("2025-07-17T08:05:03.{number:09}Z");
        format!("{time},{time},2,1108,A,B,5.51,100,{number},130,{number},ARL\n")
    };
    (1..=200).map(line).fold(header.to_owned(), |text, line| text + &line)
}

fn lobster() -> String {
    (1..=200).map(|number| format!("34200.{number:09},1,{number},21,2238100,1\n")).collect()
}

fn binance() -> String {
    let snapshot = r#"{"stream":"BTCUSDT@depth","data":{"lastUpdateId":0,"bids":[],"asks":[]}}"#;
    let line = |number: u32| {
        format!(
            r#"{{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":{number},"u":{number},"b":[["61737.{number}","1.5"]],"a":[["61800.5","0"]]}}"#
        ) + "\n"
    };
    (1..=200).map(line).fold(format!("{snapshot}\n"), |text, line| text + &line)
}

/// Where the lines of one section run.
pub(super) struct Sandbox<'a> {
    prepared: &'a Prepared,
    folder: tempfile::TempDir,
    vkey: String,
    witness_vkey: String,
    /// Which trail it takes a copy of.
    trail: &'static str,
}

impl<'a> Sandbox<'a> {
    pub(super) fn new(section: &Section, prepared: &'a Prepared) -> Self {
        let makes_key = |line: &String| line.contains("key new") && !line.contains("--witness");
        let trail = if section.lines.iter().any(makes_key) { "plain" } else { "sealed" };
        let (vkey, witness_vkey) = (prepared.vkey.clone(), prepared.witness_vkey.clone());
        Self { prepared, folder: tempfile::tempdir().unwrap(), vkey, witness_vkey, trail }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a line to its end, which must be a good one.
    pub(super) fn run(&mut self, written: &str) -> Result<(), String> {
        let written = with_program(written);
        let written = written.replace("trail:DIR", "trail:trail");
        let written = written.replace("imbalance", "ma-cross").replace("ratio=", "fast=");
        let mut commands = commands(&written);
        for command in &mut commands {
            self.prepare(command);
        }
        let line = line(&commands);
        let lasts = matches!(&commands[..], [only] if lasts(only));
        let (status, out, errors) = self.execute(&line, lasts);
        if !status.success() {
            return Err(format!("ran as: {line}\n{status}\n{}{errors}", if lasts { &out } else { "" }));
        }
        if let [only] = &commands[..]
            && only.is("key")
            && only.words[2] == "new"
        {
            let made = out.trim_end().to_owned();
            if only.has("--witness") { self.witness_vkey = made } else { self.vkey = made }
        }
        Ok(())
    }

    /// Makes what the command names, and the command short.
    fn prepare(&self, command: &mut Simple) {
        for word in &mut command.words {
            *word = word.replace("WVKEY", &self.witness_vkey).replace("VKEY", &self.vkey);
            if word == "BUS" {
                self.prepared.bus().clone_into(word);
            }
        }
        self.make_named(command);
        self.take_feed(command);
        if command.is("hold") && command.has("release") {
            let case = command.value("--case").expect("a hold is released by its case");
            let trail = self.path("trail");
            stele_ok(&["hold", "place", text(&trail), "--case", case, "--reason", "x", "--by", "1"]);
        }
        if command.is("strategy") && command.has("resume") {
            let trail = self.path("trail");
            stele_ok(&["strategy", "pause", "1", "--reason", "x", "--by", "1", "--trail", text(&trail)]);
        }
        if command.is("generate") {
            command.set("--events", EVENTS);
        }
        if command.is("demo") {
            command.set("--seconds", SECONDS);
            if !command.has("--dir") {
                command.insert(&["--dir", "demo"]);
            }
        }
        if command.is("backtest") && command.has("--seconds") {
            command.set("--seconds", SECONDS);
        }
        if command.is("run") && !command.has("help") {
            self.shorten_run(command);
        }
        if command.is("top") && !command.has("--json") && !command.has("--once") {
            command.insert(&["--once"]);
        }
        if command.is("witness") {
            command.set("--listen", "127.0.0.1:0");
        }
        let bus = || self.prepared.bus();
        if ["top", "attach"].iter().any(|name| command.is(name))
            && command.words.get(2).is_none_or(|word| word.starts_with('-'))
        {
            command.words.insert(2, bus().to_owned());
        }
        if ["kill-switch", "limit", "strategy"].iter().any(|name| command.is(name))
            && !command.has("--trail")
            && !command.has("--bus")
        {
            command.insert(&["--bus", bus()]);
        }
    }

    fn shorten_run(&self, command: &mut Simple) {
        if let Some(trail) = command.value("--dir") {
            let _ = fs::remove_dir_all(self.path(trail));
        }
        if !command.has("-c") && !command.has("--config") {
            command.insert(&["-c", text(&self.prepared.path("small.toml"))]);
        }
        let has_end = command.value("--feed").is_some_and(|feed| !feed.starts_with("generator"));
        if !has_end || command.has("--seconds") {
            command.set("--seconds", SECONDS);
        }
    }

    /// The files and folders that the command reads. What it writes is not among them.
    fn make_named(&self, command: &Simple) {
        let writes = ["--dir", "--into", "-o", "--output", "--html", "--new", ">"];
        let mut before = "";
        for word in &command.words {
            let is_written = writes.contains(&before) || (before == "new" && command.is("key"));
            if !is_written {
                word.split([':', ',']).for_each(|name| self.make(name));
            }
            before = word;
        }
    }

    fn make(&self, name: &str) {
        let path = self.path(name);
        if path.exists() {
            return;
        }
        let trail = self.prepared.path(self.trail);
        match name {
            "trail" | "COPY" => copy(&trail, &path),
            "seal.key" | "w.key" => copy(&self.prepared.path(name), &path),
            "CHECKPOINT" => {
                self.make("trail");
                copy(&self.path("trail/seals/checkpoint"), &path);
            }
            "stele.toml" => fs::write(&path, stele_ok(&["config"])).unwrap(),
            "never.toml" => fs::write(&path, "[snapshots]\nevery = 'never'\n").unwrap(),
            "shards.toml" | "examples/shards.toml" => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                copy(&root().join("examples/shards.toml"), &path);
            }
            name if name.ends_with(".tlog-proof") => {
                let proved = ["prove", text(&trail), "--unlogged", "--sequence", "7", "--key", &self.vkey];
                stele_ok(&[&proved, &["-o", text(&path)][..]].concat());
            }
            _ => {}
        }
    }

    /// Puts a file in the place of the one that `--feed` names.
    fn take_feed(&self, command: &mut Simple) {
        let Some(at) = command.words.iter().position(|word| word == "--feed") else { return };
        let Some((kind, rest)) = command.words[at + 1].split_once(':') else { return };
        let (file, options) =
            rest.split_once(',').map_or((rest, None), |(file, options)| (file, Some(options)));
        // A day, and a symbol, are in the names of files that do not carry them.
        let name = match kind {
            "itch" => "20260105.itch50",
            "lobster" => "AMZN_2012-06-21_34200000_57600000_message_1.csv",
            "dbn" | "databento-csv" | "binance" => kind,
            _ => return,
        };
        if self.path(file).exists() {
            return;
        }
        copy(&self.prepared.path(kind), &self.path(name));
        let options = options.map_or(String::new(), |options| format!(",{options}"));
        command.words[at + 1] = format!("{kind}:{name}{options}");
    }

    /// Runs the line in a shell; gives how it ended and what it printed.
    fn execute(&self, line: &str, lasts: bool) -> (ExitStatus, String, String) {
        let (out, errors) = (self.path(".out"), self.path(".errors"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let programs = [self.prepared.path("bin")].into_iter().chain(std::env::split_paths(&path));
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{}{line}", if lasts { "exec " } else { "" })]);
        shell.current_dir(self.folder.path()).env("PATH", std::env::join_paths(programs).unwrap());
        shell.env_remove("STELE_ACCESS_KEY").stdin(Stdio::null()).process_group(0);
        shell.stdout(File::create(&out).unwrap()).stderr(File::create(&errors).unwrap());
        let mut process = Running(shell.spawn().expect("there is a shell"));
        let since = Instant::now();
        let mut is_interrupted = false;
        let status = loop {
            if let Some(status) = process.0.try_wait().unwrap() {
                break status;
            }
            if lasts && !is_interrupted && fs::metadata(&out).is_ok_and(|out| out.len() > 0) {
                interrupt(&process.0);
                is_interrupted = true;
            }
            assert!(since.elapsed() < PATIENCE, "`{line}` does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        (status, read(&out), read(&errors))
    }
}

/// Whether the command goes on until it is interrupted.
fn lasts(command: &Simple) -> bool {
    command.is("attach") || command.is("witness") || (command.is("dump") && command.has("--follow"))
}

fn interrupt(process: &Child) {
    let process = rustix::process::Pid::from_child(process);
    rustix::process::kill_process(process, rustix::process::Signal::INT)
        .expect("it is a child that was not waited for");
}

/// The line with programs in the place of `cargo run`.
fn with_program(line: &str) -> String {
    if let Some((program, arguments)) = example(line) {
        return format!("{} {arguments}", text(&program));
    }
    match line.strip_prefix("cargo run").and_then(|rest| rest.split_once(" -- ")) {
        Some((_, arguments)) => format!("stele {arguments}"),
        None => line.to_owned(),
    }
}

/// The program of the example that the line runs, and its arguments.
fn example(line: &str) -> Option<(PathBuf, &str)> {
    let (_, rest) = line.strip_prefix("cargo run")?.split_once("--example ")?;
    let (name, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
    let folder = Path::new(env!("CARGO_BIN_EXE_stele")).with_file_name("examples");
    Some((folder.join(name), arguments.trim_start_matches("-- ")))
}

/// The program of the example that the line runs, where it is not built.
pub(super) fn missing_example(line: &str) -> Option<String> {
    let (program, _) = example(line)?;
    (!program.exists()).then(|| program.display().to_string())
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}
