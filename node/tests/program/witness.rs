//! Witnesses on a socket: they cosign what a run seals, catch up, keep their state through SIGKILL, refuse a
//! log that was rolled back, and do not delay a run when they are unreachable.

use crate::running::Running;
use crate::{stele_fails, stele_json, stele_ok, text};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder with a firm's key, a witness's key, and a trail.
struct Place {
    folder: tempfile::TempDir,
    firm: String,
    witness: String,
}

/// A witness that runs.
struct Serving {
    _process: Running,
    url: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let new = |name: &str, more: &[&str]| {
            let file = text(&folder.path().join(name)).to_owned();
            let public =
                stele_ok(&[&["key", "new", &file, "--name", &format!("{name}.example")], more].concat());
            public.trim_end().to_owned()
        };
        let (firm, witness) = (new("firm", &[]), new("witness", &["--witness"]));
        Self { folder, firm, witness }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the witness with its state on disk.
    fn serve(&self) -> Serving {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stele"));
        command.args(["witness", "--key", text(&self.path("witness")), "--listen", "127.0.0.1:0", "--json"]);
        command.args(["--state", text(&self.path("state")), "--log", &self.firm]);
        let mut process = Running(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let mut out = BufReader::new(process.0.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(said["witness"], self.witness);
        // The rest of its output is read, so that it never blocks on a full pipe.
        std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
        Serving { _process: process, url: said["url"].as_str().unwrap().to_owned() }
    }

    /// Runs a session on the trail `name` that asks the witness at `url`, and returns its report.
    fn run(&self, name: &str, url: &str, seconds: &str) -> Value {
        let configuration = format!(
            "[seal]\nkey = '{}'\ninterval_seconds = 0.02\nwitness = [{{ url = '{url}', vkey = '{}' }}]\n\
             [journal]\nsegment_mib = 1\nengine = 'plain'\n[feed]\nspec = 'generator:7'\npace = 'real-time'\n\
             events_per_second = 5000\n",
            text(&self.path("firm")),
            self.witness
        );
        let file = self.path("run.toml");
        fs::write(&file, configuration).unwrap();
        stele_json(&["run", "-c", text(&file), "--dir", text(&self.path(name)), "--seconds", seconds])
    }

    fn verify(&self, name: &str) -> Vec<String> {
        let trail = self.path(name);
        let words = ["verify", text(&trail), "--unlogged", "--key", &self.firm, "--witness", &self.witness];
        words.map(str::to_owned).to_vec()
    }
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_run_is_cosigned_to_its_last_event_through_the_death_of_its_witness() {
    let place = Place::new();
    let mut cosigned = 0;
    for _ in 0..3 {
        // It is killed at the end of each round and restarted with its state on disk.
        let serving = place.serve();
        let report = place.run("trail", &serving.url, "0.5");
        drop(serving);
        let said = &report["witnesses"][0];
        assert_eq!((said.get("failure"), &said["cosigned"]), (None, &report["seal"]["sealed"]), "{report}");
        assert!(said["cosigned"].as_u64().unwrap() > cosigned);
        cosigned = said["cosigned"].as_u64().unwrap();
        let verified = stele_json(&words(&place.verify("trail")));
        assert_eq!(
            (&verified["witnesses"]["events"], &verified["seals"]["unsealed"]),
            (&cosigned.into(), &0.into())
        );
    }
    let shown = stele_ok(&words(&place.verify("trail")));
    assert!(
        shown.contains("events are cosigned by 1 of 1 witness") && shown.contains("cosigned at 20"),
        "{shown}"
    );
    // The witness's disk has the same checkpoint, with the firm's signature and its own.
    let logs: Vec<_> = fs::read_dir(place.path("state/logs")).unwrap().collect();
    let kept = fs::read_to_string(logs[0].as_ref().unwrap().path()).unwrap();
    assert_eq!((logs.len(), kept.lines().nth(1)), (1, Some(cosigned.to_string().as_str())));

    let other = place.path("other");
    let stranger = stele_ok(&["key", "new", text(&other), "--name", "other.example", "--witness"]);
    let mut both = place.verify("trail");
    both.extend(["--witness".to_owned(), stranger.trim_end().to_owned()]);
    let said = stele_fails(&words(&both), 1);
    assert!(
        said.contains("by 2 of the 2 witnesses") && said.contains("other.example cosigned none"),
        "{said}"
    );
    let one = [words(&both), vec!["--quorum", "1"]].concat();
    assert_eq!(stele_json(&one)["witnesses"]["events"], cosigned);
    stele_fails(&[words(&both), vec!["--quorum", "3"]].concat(), 2);
    stele_fails(&["verify", text(&place.path("trail")), "--key", &place.firm, "--witness", &place.firm], 2);
}

#[test]
fn a_log_that_was_rolled_back_is_not_cosigned_and_the_run_reports_it() {
    let place = Place::new();
    let serving = place.serve();
    place.run("trail", &serving.url, "0.2");
    copy(&place.path("trail"), &place.path("older"));
    place.run("trail", &serving.url, "0.6");
    // An older copy is continued: it is consistent in itself and sealed with the right key.
    let report = place.run("older", &serving.url, "0.2");
    let failure = report["witnesses"][0]["failure"].as_str().unwrap();
    let found = ["rolled back", "is not proved to extend", "forked"];
    assert!(found.iter().any(|what| failure.contains(what)), "{failure}");
    assert_eq!(report["seal"].get("failure"), None, "the sealing itself continues: {report}");
    let before = stele_json(&words(&place.verify("older")));
    let (cosigned, sealed) = (&before["witnesses"]["events"], &before["seals"]["sealed"]);
    assert!(cosigned.as_u64() < sealed.as_u64(), "the witness's last cosignature is older: {before}");
}

#[test]
fn a_witness_that_is_unreachable_or_never_answers_does_not_delay_a_run() {
    let place = Place::new();
    // It accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (name, address) in [("silent", silent.local_addr().unwrap()), ("gone", gone)] {
        let report = place.run(name, &format!("http://{address}"), "1");
        let seal = &report["seal"];
        assert_eq!((seal.get("failure"), &report["witnesses"][0]["cosigned"]), (None, &0.into()), "{report}");
        assert!(seal["checkpoints"].as_u64().unwrap() > 3, "sealing continued meanwhile: {report}");
        let trail = place.path(name);
        let verified = stele_json(&["verify", text(&trail), "--unlogged", "--key", &place.firm]);
        assert_eq!(verified["seals"]["unsealed"], 0);
        stele_fails(&words(&place.verify(name)), 1);
    }
    // When it is reachable again, it cosigns what it missed.
    let serving = place.serve();
    let report = place.run("gone", &serving.url, "0.2");
    assert_eq!(report["witnesses"][0]["cosigned"], report["seal"]["sealed"], "{report}");
}

#[test]
fn the_witness_answers_as_specified_and_survives_invalid_requests() {
    let place = Place::new();
    let serving = place.serve();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let post = |path: &str, body: &[u8]| {
        let mut answer = agent.post(format!("{}{path}", serving.url)).send(body).unwrap();
        let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        (answer.status().as_u16(), kind.unwrap_or_default(), answer.body_mut().read_to_string().unwrap())
    };
    assert_eq!(post("/add-checkpoint", b"nonsense").0, 400);
    assert_eq!(post("/add-checkpoint", &[0xff; 10]).0, 400);
    assert_eq!(post("/add-checkpoint", &vec![b'x'; 200 << 10]).0, 400);
    assert_eq!(post("/elsewhere", b"").0, 404);
    assert_eq!(agent.get(format!("{}/add-checkpoint", serving.url)).call().unwrap().status().as_u16(), 404);
    let report = place.run("trail", &serving.url, "0.2");
    let sealed = report["witnesses"][0]["cosigned"].as_u64().unwrap();
    let checkpoint = fs::read_to_string(place.path("trail/seals/checkpoint")).unwrap();
    let (status, kind, size) = post("/add-checkpoint", format!("old 0\n\n{checkpoint}").as_bytes());
    assert_eq!((status, kind.as_str(), size), (409, "text/x.tlog.size", format!("{sealed}\n")));
    let again = post("/add-checkpoint", format!("old {sealed}\n\n{checkpoint}").as_bytes());
    assert!(again.0 == 200 && again.2.starts_with("\u{2014} witness.example "), "{again:?}");

    let (firm, witness) = (place.path("firm"), place.path("witness"));
    let arguments = ["witness", "--key", text(&firm), "--listen", "127.0.0.1:0", "--state"];
    let elsewhere = place.path("elsewhere");
    let said = stele_fails(&[&arguments[..], &[text(&elsewhere), "--log", &place.firm]].concat(), 2);
    assert!(said.contains("is not the key of a witness"), "{said}");
    let arguments = ["witness", "--key", text(&witness), "--listen", "127.0.0.1:0", "--state"];
    let state = place.path("state");
    let said = stele_fails(&[&arguments[..], &[text(&state), "--log", &place.firm]].concat(), 3);
    assert!(said.contains("a running witness"), "{said}");
    stele_fails(&["seal", text(&place.path("trail")), "--key", text(&place.path("witness"))], 2);
}

#[test]
fn an_invalid_witness_in_the_configuration_is_reported_before_the_run_begins() {
    let place = Place::new();
    let run = |witness: &str| {
        let key = place.path("firm");
        let file = place.path("bad.toml");
        fs::write(&file, format!("[seal]\nkey = '{}'\nwitness = [{witness}]\n", text(&key))).unwrap();
        let trail = place.path("never");
        let said = stele_fails(&["run", "-c", text(&file), "--dir", text(&trail), "--seconds", "1"], 2);
        assert!(!trail.exists());
        said
    };
    let good = &place.witness;
    assert!(run(&format!("{{ url = 'ftp://x', vkey = '{good}' }}")).contains("is not an HTTP URL"));
    assert!(run(&format!("{{ url = 'http://x', vkey = '{}' }}", place.firm)).contains("a log's key"));
    assert!(run("{ url = 'http://x', vkey = 'nonsense' }").contains("vkey of http://x"));
    let file = place.path("good.toml");
    let configuration =
        format!("[seal]\nkey = '/k'\nwitness = [{{ url = 'http://x:1', vkey = '{good}' }}]\n");
    fs::write(&file, configuration).unwrap();
    let shown = stele_ok(&["config", "-c", text(&file)]);
    assert!(shown.contains(good.as_str()) && shown.contains("http://x:1"), "{shown}");
    fs::write(&file, &shown).unwrap();
    assert_eq!(stele_ok(&["config", "-c", text(&file)]), shown, "it is read as it is printed");
}
