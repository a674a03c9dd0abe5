//! `stele check-proof`: checks the proof of an event with the public key alone, without the trail.

use crate::cli::CheckProofArgs;
use crate::event_text::push_line;
use crate::failure::Failure;
use crate::keys::read_key;
use serde::Serialize;
use stele_compliance::seal::Proof;

#[derive(Serialize)]
struct CheckedProof<'a> {
    sequence: u64,
    origin: &'a str,
    size: u64,
    root: String,
    event: String,
}

/// Checks the proof and prints the event that it proves.
///
/// # Errors
/// [`Failure`]: not so, with the reason why the proof does not hold.
pub(crate) fn check_proof(args: &CheckProofArgs) -> Result<(), Failure> {
    let key = read_key(&args.key.key)?;
    let file = args.proof.display();
    let read = std::fs::read(&args.proof);
    let bytes = read.map_err(|error| Failure::environment(format!("{file}: {error}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::not_so(format!("{file} is not a proof: it is not UTF-8")))?;
    let wrong = |error| Failure::not_so(format!("{file}: {error}"));
    let proof = Proof::parse(&text).map_err(wrong)?;
    let (frame, checkpoint) = proof.check(&key).map_err(wrong)?;
    let mut event = String::new();
    push_line(&frame, None, &mut event);
    if args.output.json {
        let (origin, size, root) = (checkpoint.origin.as_str(), checkpoint.size, checkpoint.root.to_base64());
        return super::print_json(&CheckedProof { sequence: frame.sequence().0, origin, size, root, event });
    }
    super::print_page(&format!(
        "event {} is on {}, in the checkpoint of {} events signed by {}\n{event}\n",
        frame.sequence(),
        checkpoint.origin,
        checkpoint.size,
        key.name(),
    ))
}
