//! Time stamps of an authority: `openssl ts` plays it behind a socket, and checks what came of it.

use crate::{stele_fails, stele_json, stele_ok, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use stele_testkit::skip::skip_outside_ci;
use tiny_http::{Response, Server};

const CONFIGURATION: &str = "\
[req]\ndistinguished_name = name\nprompt = no\nx509_extensions = tsa\n[name]\nCN = a test authority\n\
[tsa]\nextendedKeyUsage = critical,timeStamping\nkeyUsage = critical,digitalSignature\n\
[stamp]\nserial = serial\nsigner_cert = tsa.pem\ncerts = tsa.pem\nsigner_key = tsa.key\nsigner_digest = sha256\n\
default_policy = 1.2.3.4.1\ndigests = sha256\naccuracy = secs:1\nordering = yes\ntsa_name = yes\ness_cert_id_alg = sha256\n";

fn openssl(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output();
    let output = output.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// An authority at an address, until it is dropped.
struct Authority {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

impl Authority {
    /// Answers the first request as it is and every further one with the first answer.
    fn start(folder: PathBuf) -> Self {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let serving = server.clone();
        let thread = std::thread::spawn(move || {
            for mut request in serving.incoming_requests() {
                let mut body = Vec::new();
                request.as_reader().read_to_end(&mut body).unwrap();
                if !folder.join("answer").exists() {
                    fs::write(folder.join("query"), body).unwrap();
                    let reply = ["ts", "-reply", "-config", "tsa.cnf", "-section", "stamp"];
                    let files = ["-queryfile", "query", "-out", "answer"];
                    openssl(&folder, &[&reply[..], &files].concat()).unwrap();
                }
                let _ = request.respond(Response::from_data(fs::read(folder.join("answer")).unwrap()));
            }
        });
        Self { server, thread: Some(thread) }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.server_addr().to_ip().unwrap())
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.server.unblock();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn a_checkpoint_is_stamped_kept_and_checked_and_openssl_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    if openssl(folder.path(), &["version"]).is_err() {
        return skip_outside_ci("openssl");
    }
    fs::write(path("tsa.cnf"), CONFIGURATION).unwrap();
    fs::write(path("serial"), "01\n").unwrap();
    let certificate =
        ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "tsa.key", "-out", "tsa.pem"];
    openssl(folder.path(), &[&certificate[..], &["-config", "tsa.cnf", "-days", "2"]].concat()).unwrap();
    let authority = Authority::start(folder.path().to_path_buf());

    let (trail, key) = (path("trail"), path("key"));
    let public = stele_ok(&["key", "new", text(&key), "--name", "bank.example"]);
    let run = || {
        let feed = ["run", "--feed", "generator:3", "--seconds", "0.1", "--engine", "plain"];
        stele_ok(&[&feed[..], &["--dir", text(&trail)]].concat());
    };
    run();
    let seal = ["seal", text(&trail), "--key", text(&key), "--timestamp", &authority.url()];
    let report = stele_json(&seal);
    assert_eq!(report["stamped"]["checkpoint"], 1);
    assert_eq!(stele_json(&seal).get("stamped"), None, "it is stamped already");
    let verify = ["verify", text(&trail), "--key", public.trim(), "--unlogged"];
    let stamps = &stele_json(&verify)["timestamps"];
    assert_eq!((&stamps["stamps"], &stamps["signature_checked"]), (&1.into(), &false.into()));
    assert!(stele_ok(&verify).contains("`openssl ts -verify` does"));
    let (checkpoint, stamp) =
        (trail.join("seals/checkpoints/0000000001"), trail.join("seals/timestamps/0000000001.tsr"));
    let check = ["ts", "-verify", "-in", text(&stamp), "-CAfile", "tsa.pem", "-data", text(&checkpoint)];
    openssl(folder.path(), &check).unwrap();

    // An answer to another request is refused, and so is a stamp that lies beside another checkpoint.
    run();
    let said = stele_fails(&seal, 1);
    assert!(said.contains("imprint"), "{said}");
    let second = trail.join("seals/timestamps/0000000002.tsr");
    assert!(!second.exists());
    stele_ok(&verify);
    fs::copy(&stamp, &second).unwrap();
    let said = stele_fails(&verify, 1);
    assert!(said.contains("0000000002.tsr") && said.contains("something else"), "{said}");
    fs::write(&second, "no DER").unwrap();
    assert!(stele_fails(&verify, 1).contains("not a time stamp"));
    fs::remove_file(&second).unwrap();
    stele_fails(&["seal", text(&trail), "--key", text(&key), "--timestamp", "somewhere"], 2);
    drop(authority);
}
