//! `stele witness`: cosigns the checkpoints of other people's logs, on a machine that is not theirs.

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

/// Requests that are read at the same time; each is judged alone.
const READERS: usize = 4;
/// How often it is looked whether to end.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// An answer, for the witness's owner.
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

/// Serves until it is interrupted.
///
/// # Errors
/// [`Failure`].
pub(crate) fn witness(args: &WitnessArgs) -> Result<(), Failure> {
    let stop = StopRequest::listen()?;
    let signer = read_signer(&args.key, None)?;
    if signer.public().kind() != KeyKind::Witness {
        return Err(Failure::usage(format!("{} is no witness's key", args.key.display())).help(
            "`stele key new FILE --name NAME --witness` makes one: it signs a time with each checkpoint",
        ));
    }
    let logs = args.logs.iter().map(|text| {
        let key = text.parse::<VerifierKey>().map_err(|error| Failure::usage(format!("--log: {error}")))?;
        if key.kind() == KeyKind::Log {
            Ok(key)
        } else {
            Err(Failure::usage("--log: that is a witness's key"))
        }
    });
    let logs = logs.collect::<Result<Vec<_>, _>>()?;
    let state = Directory::new(&args.state);
    let locked = state.create().map_err(LockError::Io);
    let locked = locked.and_then(|()| WriterLock::take(&args.state, WallClock::read()));
    let _lock = locked.map_err(|error| match error {
        LockError::Held(owner) => Failure::environment(format!(
            "{} is the state of a witness that runs ({owner})",
            args.state.display()
        )),
        LockError::Io(error) => Failure::environment(format!("{}: {error}", args.state.display())),
    })?;
    let public = signer.public().to_string();
    let witness = Mutex::new(Witness::new(signer, logs, args.origins.clone(), Arc::new(state)));
    let server = Server::http(&args.listen).map_err(|error| {
        Failure::environment(format!("cannot listen at {}: {error}", args.listen))
            .help("--listen is an address of this machine and a port that nobody uses: 127.0.0.1:7380")
    })?;
    let url = server.server_addr().to_ip().map_or_else(String::new, |address| format!("http://{address}"));
    if args.output.json {
        print_line(&Listening { witness: &public, url: &url })?;
    } else {
        super::print_page(&format!("witness {public} at {url}\n"))?;
    }
    debug_assert!(http::is_url(&url));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| serve(&server, &witness, &is_over, args.output.json));
        }
        while !stop.is_asked() {
            std::thread::sleep(LOOK_INTERVAL);
        }
        is_over.store(true, Ordering::Release);
    });
    Ok(())
}

/// Answers requests until it is over. Whoever does not wait for the answer is no failure: it is kept.
fn serve(server: &Server, witness: &Mutex<Witness>, is_over: &AtomicBool, json: bool) {
    while !is_over.load(Ordering::Acquire) {
        let Ok(Some(mut request)) = server.recv_timeout(LOOK_INTERVAL) else { continue };
        if (request.method(), request.url()) != (&Method::Post, ADD_CHECKPOINT) {
            let said = Response::from_string(format!("the one call is POST {ADD_CHECKPOINT}\n"));
            let _ = request.respond(said.with_status_code(404));
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
            None => {
                WitnessAnswer::Refused(400, format!("the body is not up to {BODY_LENGTH_MAX} bytes of UTF-8"))
            }
        };
        // Who watches the witness's output may have gone: it serves on.
        let _ = tell(text.as_deref(), &answer, json);
        let kind = match answer {
            WitnessAnswer::Conflict { .. } => SIZE_CONTENT_TYPE,
            _ => "text/plain; charset=utf-8",
        };
        let kind = Header::from_bytes("Content-Type", kind).expect("the header is ASCII");
        let said = Response::from_string(answer.body()).with_status_code(answer.status()).with_header(kind);
        let _ = request.respond(said);
    }
}

fn tell(body: Option<&str>, answer: &WitnessAnswer, json: bool) -> Result<(), Failure> {
    let asked = body.and_then(|body| WitnessRequest::parse(body).ok());
    let checkpoint = asked.as_ref().map(|asked| asked.checkpoint.unchecked());
    // Whoever asks chose the origin: no control character of theirs reaches a terminal.
    let origin = checkpoint.map(|it| it.origin.chars().filter(|letter| !letter.is_control()).collect());
    let size = checkpoint.map(|it| it.size);
    let why = match answer {
        WitnessAnswer::Cosigned(_) => None,
        WitnessAnswer::Conflict { size, is_fork: false } => Some(format!("{size} events are cosigned")),
        WitnessAnswer::Conflict { is_fork: true, .. } => Some("THE LOG FORKED; the proof is kept".into()),
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
