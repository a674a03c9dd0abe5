//! `stele witness`: cosigns the checkpoints of logs that other parties operate.

use crate::cli::WitnessArgs;
use crate::failure::Failure;
use crate::http;
use crate::keys::read_signer;
use crate::signals::StopRequest;
use crate::wall::WallClock;
use serde::Serialize;
use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stele_compliance::seal::VerifierKey;
use stele_compliance::seal::note::KeyKind;
use stele_compliance::witness::request::BODY_LENGTH_MAX;
use stele_compliance::witness::{ADD_CHECKPOINT, SIZE_CONTENT_TYPE, Witness, WitnessAnswer, WitnessRequest};
use stele_journal::{Directory, LockError, WriterLock};
use tiny_http::{Header, Method, Response, Server};

/// The number of requests read at the same time; they are judged one at a time.
const READERS: usize = 4;
/// How often the threads check whether to stop.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The answer to a request, as printed for the operator of the witness.
#[derive(Serialize)]
struct Answered {
    status: u16,
    origin: Option<String>,
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Serialize)]
struct Listening<'a> {
    witness: &'a str,
    url: &'a str,
}

/// Serves requests until interrupted.
pub(crate) fn witness(args: &WitnessArgs) -> Result<(), Failure> {
    let stop = StopRequest::listen()?;
    let signer = read_signer(&args.key, None)?;
    if signer.public().kind() != KeyKind::Witness {
        return Err(Failure::usage(format!("{} is not the key of a witness", args.key.display()))
            .help("create one with `stele key new FILE --name NAME --witness`"));
    }
    let logs = args.logs.iter().map(|text| {
        let key = text.parse::<VerifierKey>().map_err(|error| Failure::usage(format!("--log: {error}")))?;
        if key.kind() == KeyKind::Log {
            Ok(key)
        } else {
            Err(Failure::usage("--log: this is the key of a witness"))
        }
    });
    let logs = logs.collect::<Result<Vec<_>, _>>()?;
    let state = Directory::new(&args.state);
    let locked = state.create().map_err(LockError::Io);
    let locked = locked.and_then(|()| WriterLock::take(&args.state, WallClock::read()));
    let _lock = locked.map_err(|error| match error {
        LockError::Held(owner) => {
            Failure::environment(format!("{} is in use by a running witness ({owner})", args.state.display()))
        }
        LockError::Io(error) => Failure::environment(format!("{}: {error}", args.state.display())),
    })?;
    let public = signer.public().to_string();
    let witness = Mutex::new(Witness::new(signer, logs, args.origins.clone(), Arc::new(state)));
    let server = Server::http(&args.listen).map_err(|error| {
        Failure::environment(format!("cannot listen on {}: {error}", args.listen))
            .help("--listen needs an address of this machine and an unused port, such as 127.0.0.1:7380")
    })?;
    let url = server.server_addr().to_ip().map_or_else(String::new, |address| format!("http://{address}"));
    if args.output.json {
        print_line(&Listening { witness: &public, url: &url })?;
    } else {
        super::print_page(&format!("witness {public} listening on {url}\n"))?;
    }
    debug_assert!(http::is_url(&url));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| serve(&server, &witness, &is_over, args.output.json));
        }
        while !stop.is_asked() {
            std::thread::sleep(POLL_INTERVAL);
        }
        is_over.store(true, Ordering::Release);
    });
    Ok(())
}

/// Answers requests until `is_over`. A client that does not wait for the answer is not an error: the
/// cosignature is stored.
fn serve(server: &Server, witness: &Mutex<Witness>, is_over: &AtomicBool, json: bool) {
    while !is_over.load(Ordering::Acquire) {
        let Ok(Some(mut request)) = server.recv_timeout(POLL_INTERVAL) else { continue };
        if (request.method(), request.url()) != (&Method::Post, ADD_CHECKPOINT) {
            let response =
                Response::from_string(format!("the only supported request is POST {ADD_CHECKPOINT}\n"));
            let _ = request.respond(response.with_status_code(404));
            continue;
        }
        let mut body = Vec::new();
        let limit = BODY_LENGTH_MAX as u64 + 1;
        let is_read = request.as_reader().take(limit).read_to_end(&mut body).is_ok();
        let text = String::from_utf8(body).ok().filter(|text| is_read && text.len() <= BODY_LENGTH_MAX);
        let answer = match &text {
            Some(text) => {
                let mut witness = witness.lock().unwrap_or_else(PoisonError::into_inner);
                witness.add_checkpoint(text, WallClock::read().0 / 1_000_000_000)
            }
            None => WitnessAnswer::Refused(
                400,
                format!("the body must be UTF-8 of at most {BODY_LENGTH_MAX} bytes"),
            ),
        };
        // A failure to print, such as a closed pipe, does not stop the witness.
        let _ = print_answer(text.as_deref(), &answer, json);
        let kind = match answer {
            WitnessAnswer::Conflict { .. } => SIZE_CONTENT_TYPE,
            _ => "text/plain; charset=utf-8",
        };
        let kind = Header::from_bytes("Content-Type", kind).expect("the header is ASCII");
        let response =
            Response::from_string(answer.body()).with_status_code(answer.status()).with_header(kind);
        let _ = request.respond(response);
    }
}

fn print_answer(body: Option<&str>, answer: &WitnessAnswer, json: bool) -> Result<(), Failure> {
    let asked = body.and_then(|body| WitnessRequest::parse(body).ok());
    let checkpoint = asked.as_ref().map(|asked| asked.checkpoint.unchecked());
    // The client chose the origin, so control characters are removed before it reaches a terminal.
    let origin = checkpoint.map(|it| it.origin.chars().filter(|letter| !letter.is_control()).collect());
    let size = checkpoint.map(|it| it.size);
    let why = match answer {
        WitnessAnswer::Cosigned(_) => None,
        WitnessAnswer::Conflict { size, is_fork: false } => {
            Some(format!("already cosigned at {size} events"))
        }
        WitnessAnswer::Conflict { is_fork: true, .. } => {
            Some("THE LOG HAS FORKED; the proof is stored".into())
        }
        WitnessAnswer::Refused(_, why) => Some(why.clone()),
    };
    let answered = Answered { status: answer.status(), origin, size, why };
    if json {
        return print_line(&answered);
    }
    let Answered { status, origin, size, why } = answered;
    let what = why.map_or_else(|| "cosigned".to_owned(), |why| format!("refused: {why}"));
    let (origin, size) = (origin.unwrap_or_else(|| "-".into()), size.unwrap_or(0));
    super::print_page(&format!("{status} {origin} {size} events: {what}\n"))
}

fn print_line(value: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(value).map_err(Failure::environment)?;
    super::print_page(&(line + "\n"))
}
