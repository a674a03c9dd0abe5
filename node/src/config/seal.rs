//! How a run seals its trails: `[seal]`.

use super::page::Page;
use crate::failure::Failure;
use crate::http::is_url;
use crate::keys::read_log_signer;
use crate::sealer::SealPlan;
use crate::witnesses::WitnessPlan;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use stele_compliance::seal::note::KeyKind;
use stele_compliance::seal::{SealPolicy, VerifierKey};
use stele_wire::Nanos;

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SealConfig {
    pub(crate) key: Option<PathBuf>,
    pub(crate) passphrase_file: Option<PathBuf>,
    pub(crate) interval_seconds: f64,
    pub(crate) events: u64,
    pub(crate) witness: Vec<WitnessConfig>,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct WitnessConfig {
    pub(crate) url: String,
    pub(crate) vkey: String,
}

impl Default for SealConfig {
    fn default() -> Self {
        let SealPolicy { events, interval } = SealPolicy::default();
        let interval_seconds = Duration::from_nanos(interval.0).as_secs_f64();
        Self { key: None, passphrase_file: None, interval_seconds, events, witness: Vec::new() }
    }
}

impl SealConfig {
    pub(super) fn render(&self, page: &mut Page<'_>) {
        page.section(
            "seal",
            "Seals: signed Merkle roots over the durable events, during the run and at its end",
        );
        let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        page.optional(
            "key",
            &shown(&self.key),
            "seal.key".to_owned(),
            "a key file of `stele key new`; default: no seals",
        );
        page.optional(
            "passphrase_file",
            &shown(&self.passphrase_file),
            "seal.passphrase".to_owned(),
            "file with the key's passphrase, if it has one; default: ask at the start",
        );
        page.key(
            "interval_seconds",
            self.interval_seconds,
            "sign a checkpoint after so long, if there are new events",
        );
        page.key("events", self.events, "sign a checkpoint after so many events");
        let meaning = "witnesses that cosign the checkpoints: the URL of `stele witness`, and its public key";
        match toml::Value::try_from(&self.witness) {
            Ok(witnesses) if !self.witness.is_empty() => page.key("witness", witnesses, meaning),
            _ => {
                page.example("witness", "[{ url = \"http://witness.example:7380\", vkey = \"…\" }]", meaning)
            }
        }
    }

    /// Returns how to seal; none where no key is configured. Reads the key, and asks for its passphrase where
    /// it has one and no file contains it.
    ///
    /// # Errors
    /// [`Failure`]: a value is out of range, or a key cannot be read.
    pub(crate) fn plan(&self) -> Result<Option<SealPlan>, Failure> {
        let interval = Duration::try_from_secs_f64(self.interval_seconds).ok();
        let interval = interval.and_then(|interval| u64::try_from(interval.as_nanos()).ok());
        let Some(interval) = interval.filter(|nanos| *nanos > 0) else {
            return Err(Failure::usage(format!("[seal] interval_seconds is {}", self.interval_seconds))
                .help("give a number of seconds above 0"));
        };
        if self.events == 0 {
            return Err(Failure::usage("[seal] events is 0").help("give 1 or more"));
        }
        let Some(key) = &self.key else {
            return match (&self.passphrase_file, self.witness.is_empty()) {
                (Some(_), _) => Err(Failure::usage("[seal] passphrase_file is given without a key")),
                (None, false) => Err(Failure::usage("[seal] witness is given without a key")),
                (None, true) => Ok(None),
            };
        };
        let signer = read_log_signer(key, self.passphrase_file.as_deref())?;
        let witnesses = self.witness.iter().map(WitnessConfig::plan).collect::<Result<_, _>>()?;
        let policy = SealPolicy { events: self.events, interval: Nanos(interval) };
        Ok(Some(SealPlan { signer, policy, witnesses }))
    }
}

impl WitnessConfig {
    fn plan(&self) -> Result<WitnessPlan, Failure> {
        let Self { url, vkey } = self;
        if !is_url(url) {
            return Err(Failure::usage(format!("[seal] witness url `{url}` is not an HTTP URL"))
                .help("give the witness's submission prefix, such as http://host:port or https://host"));
        }
        let key = vkey.parse::<VerifierKey>();
        let key = key.map_err(|error| Failure::usage(format!("[seal] witness vkey of {url}: {error}")))?;
        match key.kind() {
            KeyKind::Witness => Ok(WitnessPlan { url: url.clone(), key }),
            KeyKind::Log => Err(Failure::usage(format!("[seal] witness vkey of {url} is a log's key"))
                .help("`stele witness` prints its public key when it starts")),
        }
    }
}
