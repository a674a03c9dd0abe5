//! What the acts of an operator have in common: the log that they go to, what is on it, and why they are
//! made.

use crate::cli::ChangeArgs;
use crate::failure::Failure;
use crate::running_bus::BusShard;
use std::path::PathBuf;
use stele_replay::Controls;
use stele_strategies::Registry;

/// A log that an act can go to: a shard of a running bus, or a stopped trail.
pub(super) struct OperatedLog {
    /// The shard's number; none for a stopped trail.
    pub(super) shard: Option<u32>,
    pub(super) trail: PathBuf,
}

impl OperatedLog {
    /// Returns the log, for messages.
    pub(super) fn name(&self) -> String {
        self.shard.map_or_else(|| self.trail.display().to_string(), |shard| format!("shard {shard}"))
    }

    /// Reads the strategies, open orders and limits at its end.
    ///
    /// # Errors
    /// [`Failure`]: the trail cannot be read.
    pub(super) fn controls(&self, strategies: &Registry) -> Result<Controls, Failure> {
        // A directory with the trails of several shards is reported by name.
        super::open_trail(&self.trail)?;
        Controls::read(&self.trail, strategies)
            .map_err(|error| Failure::not_so(error).help("`stele verify` shows what is intact"))
    }
}

/// Returns the logs that the arguments choose, at least one.
///
/// # Errors
/// [`Failure`]: the bus or the shard does not exist.
pub(super) fn logs(args: &ChangeArgs) -> Result<Vec<OperatedLog>, Failure> {
    if let Some(trail) = &args.trail {
        return Ok(vec![OperatedLog { shard: None, trail: trail.clone() }]);
    }
    let (shards, _) = super::controls::shards(args)?;
    let log =
        |shard: BusShard| OperatedLog { shard: Some(shard.number()), trail: shard.trail().to_path_buf() };
    Ok(shards.into_iter().map(log).collect())
}

/// Returns the only log that the arguments choose.
///
/// # Errors
/// [`Failure`]: as [`logs`], or there are several.
pub(super) fn only_log(args: &ChangeArgs) -> Result<OperatedLog, Failure> {
    let mut logs = logs(args)?;
    match logs.len() {
        1 => Ok(logs.swap_remove(0)),
        _ => {
            let names: Vec<String> = logs.iter().map(OperatedLog::name).collect();
            Err(Failure::usage(format!("the bus has several shards: {}", names.join(", ")))
                .help("each has its own log and its own sequences: choose one with --shard NUMBER"))
        }
    }
}

/// Returns the arguments for the log alone.
pub(super) fn on_log(args: &ChangeArgs, log: &OperatedLog) -> ChangeArgs {
    ChangeArgs { shard: log.shard, ..args.clone() }
}

/// Returns the code of a reason and its text: a number is a code of the domain `Reason`, anything else is
/// text.
///
/// # Errors
/// [`Failure`]: the reason is empty.
pub(super) fn reason(text: &str) -> Result<(u16, &str), Failure> {
    match text.trim() {
        "" => Err(Failure::usage("an act of an operator needs a reason")
            .help("give --reason TEXT, or the number of a reason code")),
        text => match text.parse() {
            Ok(code) if code != 0 => Ok((code, "")),
            _ => Ok((0, text)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn a_reason_is_a_code_or_a_text_but_not_empty() {
        assert_eq!(reason("17").unwrap(), (17, ""));
        assert_eq!(reason(" 17 orders too many ").unwrap(), (0, "17 orders too many"));
        assert_eq!(reason("0").unwrap(), (0, "0"));
        assert!(reason(" ").is_err());
    }
}
