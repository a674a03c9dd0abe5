//! The directory of a bus, in which a run shares its counters, its rings and the rings of remote publishers
//! with other processes.

use crate::config::{Config, ShardPlan};
use crate::failure::Failure;
use std::path::Path;
use stele_bus::{BusDirectory, Counters, LogRing, RingError, RingOptions, RingParts, ShardDirectory};
use stele_wire::Position;

/// The directory of the bus, which is removed when it is dropped, and the counters in it.
pub(crate) struct SharedDirectory {
    /// None where it cannot be created.
    pub(crate) directory: Option<BusDirectory>,
    pub(crate) counters: Counters,
    pub(crate) notice: String,
}

impl SharedDirectory {
    /// Creates the directory that the configuration names, or one with the name of the trail's directory.
    /// Where the latter is impossible, the run shares nothing and continues.
    ///
    /// # Errors
    /// [`Failure`]: the configured directory cannot be created, or the counters cannot be mapped.
    pub(crate) fn make(config: &Config) -> Result<Self, Failure> {
        let made = match &config.bus.name {
            Some(name) => {
                // Each process of a run has a directory of its own.
                let name = config.only_shard.map_or(name.clone(), |shard| format!("{name}-{shard}"));
                Some(BusDirectory::create(&name).map_err(Failure::environment)?)
            }
            None => {
                let name = name_of(&config.trail.dir);
                let beside = || BusDirectory::create(&format!("{name}-{}", std::process::id()));
                BusDirectory::create(&name).or_else(|_| beside()).ok()
            }
        };
        let no_counters = |error| Failure::environment(format!("cannot map the counters: {error}"));
        match made {
            Some(directory) => {
                let counters = Counters::create_at(&directory.counters()).map_err(no_counters)?;
                let notice = format!("bus `{0}`: watch it with `stele top {0}`", directory.name());
                Ok(Self { directory: Some(directory), counters, notice })
            }
            None => {
                let notice = "the bus has no directory in /dev/shm: other processes cannot watch this run";
                Ok(Self {
                    directory: None,
                    counters: Counters::create().map_err(no_counters)?,
                    notice: notice.into(),
                })
            }
        }
    }
}

/// Creates the directory of a shard in the directory of the bus, and records there where the shard's trail
/// is.
pub(crate) fn shard(directory: &BusDirectory, plan: &ShardPlan) -> Result<ShardDirectory, Failure> {
    let shard = directory.shard(plan.id.0).map_err(Failure::environment)?;
    shard.set_trail(&plan.directory).map_err(Failure::environment)?;
    Ok(shard)
}

/// Creates the ring of a shard in its directory. Where it has none, or the ring cannot be mapped there, the
/// ring is private to this process; the reason of the latter is returned, too.
pub(crate) fn ring(
    shard: Option<&ShardDirectory>,
    options: &RingOptions,
    base: Position,
) -> Result<(RingParts, Option<String>), Failure> {
    let shown = shard.map(|shard| LogRing::create_at(&shard.ring(), options, base));
    let reason = match shown {
        Some(Ok(parts)) => return Ok((parts, None)),
        Some(Err(error @ RingError::Map { .. })) => {
            Some(format!("other processes cannot follow the ring: {error}"))
        }
        Some(Err(error)) => return Err(Failure::environment(error)),
        None => None,
    };
    let parts = LogRing::create(options, base).map_err(Failure::environment)?;
    Ok((parts, reason))
}

/// Returns the last part of the path, with `-` for each character that a bus's name cannot have.
fn name_of(trail: &Path) -> String {
    let name = std::path::absolute(trail)
        .ok()
        .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let name: String = name
        .unwrap_or_else(|| "trail".into())
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '-' })
        .take(NAME_LENGTH_MAX)
        .collect();
    if name.starts_with('.') { name.replacen('.', "-", 1) } else { name }
}

/// The maximum leaves room for a process's number after the name.
const NAME_LENGTH_MAX: usize = stele_bus::bounds::BUS_NAME_MAX - 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_is_named_after_its_trail() {
        assert_eq!(name_of(Path::new("/data/trails/xetra")), "xetra");
        assert_eq!(name_of(Path::new("a b/.täglich 1")), "-t-glich-1");
        assert!(name_of(&Path::new("/").join("x".repeat(300))).len() <= NAME_LENGTH_MAX);
        assert!(!name_of(Path::new(".")).is_empty());
    }
}
