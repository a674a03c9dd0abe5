//! The witness: what it has cosigned of each log, in its own storage, and how it answers.
//!
//! All its state is in the storage and is read again for every request, so a restart changes nothing. A
//! checkpoint is stored before its cosignature is sent: a witness that crashes in between has not promised
//! anything that it forgets.

use super::request::WitnessRequest;
use crate::seal::note::{Signer, VerifierKey};
use crate::seal::tiles::read_file;
use crate::seal::tree::verify_consistency;
use crate::seal::{Checkpoint, Hash, SignedCheckpoint};
use sha2::{Digest as _, Sha256};
use std::io;
use std::sync::Arc;
use stele_journal::Storage;

/// The answer of a witness to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WitnessAnswer {
    /// Its cosignature: a line of a note. The checkpoint is stored.
    Cosigned(String),
    /// It has cosigned another size, or another root of the same size.
    Conflict {
        /// Number of leaves under the checkpoint that it cosigned last; 0 for none.
        size: u64,
        /// The log signed two trees of the same size: the stored checkpoint and the request prove it.
        is_fork: bool,
    },
    /// Refused: HTTP status and reason.
    Refused(u16, String),
}

impl WitnessAnswer {
    /// The HTTP status code, as specified.
    pub fn status(&self) -> u16 {
        match self {
            Self::Cosigned(_) => 200,
            Self::Conflict { .. } => 409,
            Self::Refused(status, _) => *status,
        }
    }

    /// The body.
    pub fn body(&self) -> String {
        match self {
            Self::Cosigned(line) => format!("{line}\n"),
            Self::Conflict { size, .. } => format!("{size}\n"),
            Self::Refused(_, why) => format!("{why}\n"),
        }
    }
}

/// A witness: see the [module documentation](self). Only one at a time may use a folder:
/// [`Self::add_checkpoint`] borrows the witness exclusively, and the program locks the folder.
pub struct Witness {
    signer: Signer,
    /// Each of these keys may sign for each of the origins.
    logs: Vec<VerifierKey>,
    /// The allowed prefixes of a log's origin.
    origins: Vec<String>,
    storage: Arc<dyn Storage>,
}

impl Witness {
    /// Makes a witness that signs with `signer`, a key of kind [`crate::seal::note::KeyKind::Witness`], for
    /// logs whose origin begins with one of `origins` and whose checkpoints are signed by one of `logs`.
    pub fn new(
        signer: Signer,
        logs: Vec<VerifierKey>,
        origins: Vec<String>,
        storage: Arc<dyn Storage>,
    ) -> Self {
        Self { signer, logs, origins, storage }
    }

    /// The checkpoint that it cosigned last for a log, with its own cosignature; `None` before the first one.
    ///
    /// # Errors
    /// Errors of the storage; [`io::ErrorKind::InvalidData`] when the stored file is not a checkpoint of that
    /// log.
    pub fn cosigned(&self, origin: &str) -> io::Result<Option<SignedCheckpoint>> {
        let name = file_name("logs", origin);
        let Some(bytes) = read_file(self.storage.as_ref(), &name)? else { return Ok(None) };
        let damaged = |why: String| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", self.storage.describe(&name)))
        };
        let text = String::from_utf8(bytes).map_err(|_| damaged("it is not UTF-8".into()))?;
        let read = SignedCheckpoint::parse(&text).map_err(|error| damaged(error.to_string()))?;
        // Its own signature: no one else has the key, so a replaced checkpoint is detected.
        read.check(self.signer.public(), Some(origin)).map_err(|error| damaged(error.to_string()))?;
        Ok(Some(read))
    }

    /// Answers a request with this body. `now` is the time in seconds since 1970.
    pub fn add_checkpoint(&mut self, body: &str, now: u64) -> WitnessAnswer {
        match self.judge(body, now) {
            Ok(answer) | Err(answer) => answer,
        }
    }

    /// The checks in the order of the specification.
    fn judge(&mut self, body: &str, now: u64) -> Result<WitnessAnswer, WitnessAnswer> {
        let refused = |status, why: &dyn ToString| WitnessAnswer::Refused(status, why.to_string());
        let WitnessRequest { old, proof, checkpoint: mut signed } =
            WitnessRequest::parse(body).map_err(|error| refused(400, &error))?;
        let Checkpoint { origin, size, root } = signed.unchecked().clone();
        if !self.origins.iter().any(|known| origin.starts_with(known)) {
            return Err(refused(404, &format!("log {origin} is not known here")));
        }
        let by_known = self.logs.iter().any(|key| signed.check(key, None).is_ok());
        if !by_known {
            return Err(refused(403, &"the checkpoint is not signed by a known key"));
        }
        if old > size {
            return Err(refused(400, &format!("the old size {old} is above the checkpoint's size {size}")));
        }
        let failed = |error: io::Error| refused(500, &format!("the witness cannot use its disk: {error}"));
        let known = self.cosigned(&origin).map_err(failed)?;
        let known = known.map(|known| (known.unchecked().size, known.unchecked().root));
        let (known_size, known_root) = known.unwrap_or((0, Hash::EMPTY_TREE));
        // Two roots of the same size with the log's signature: whatever old size was sent, that is a fork.
        let is_fork = size == known_size && root != known_root;
        if is_fork {
            self.keep_evidence(&origin, body).map_err(failed)?;
        }
        if old != known_size || is_fork {
            return Err(WitnessAnswer::Conflict { size: known_size, is_fork });
        }
        let extends = match old {
            0 if proof.is_empty() => Ok(()),
            0 => Err("a proof from size 0 is empty".to_owned()),
            _ => verify_consistency(old, size, known_root, root, &proof).map_err(|why| why.to_string()),
        };
        if let Err(why) = extends {
            self.keep_evidence(&origin, body).map_err(failed)?;
            return Err(refused(422, &format!("size {size} is not proved to extend size {old}: {why}")));
        }
        let cosignature = self.signer.sign(signed.note().text(), now);
        let line = cosignature.to_string();
        // Keep the log's signatures with known keys and the witness's own, and no others.
        let note = signed.note_mut();
        note.signatures
            .retain(|one| self.logs.iter().any(|key| key.name() == one.name && key.id() == one.id));
        note.signatures.push(cosignature);
        self.storage.keep(&file_name("logs", &origin), &mut signed.to_string().as_bytes()).map_err(failed)?;
        Ok(WitnessAnswer::Cosigned(line))
    }

    /// A request that the log's key signed and that does not extend what it signed before may prove a fork.
    /// The first such request of each log is stored.
    fn keep_evidence(&self, origin: &str, body: &str) -> io::Result<()> {
        let name = file_name("evidence", origin);
        if read_file(self.storage.as_ref(), &name)?.is_some() {
            return Ok(());
        }
        self.storage.keep(&name, &mut body.as_bytes())
    }
}

/// The file of a log; its origin may be any text.
fn file_name(folder: &str, origin: &str) -> String {
    let digits: String = Sha256::digest(origin.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{folder}/{digits}")
}
