//! The trails in a directory that a command names: one trail, or the trails of a run's shards.

use crate::failure::Failure;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use stele_journal::{Directory, find_segments};

/// The trail of one shard among several.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ShardTrail {
    pub(crate) shard: u32,
    pub(crate) path: PathBuf,
}

/// Returns the trails of the shards in `path`, in the order of their numbers; none where `path` is a trail
/// itself or contains none.
pub(crate) fn shard_trails(path: &Path) -> Vec<ShardTrail> {
    let is_trail = find_segments(&Directory::new(path)).is_ok_and(|segments| !segments.is_empty());
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    if is_trail {
        return Vec::new();
    }
    let shard = |name: &str| name.strip_prefix("shard-")?.parse().ok();
    let named = entries.flatten().filter_map(|entry| {
        let path = entry.path();
        let shard = shard(path.file_name()?.to_str()?).filter(|_| path.is_dir())?;
        Some(ShardTrail { shard, path })
    });
    let mut trails: Vec<ShardTrail> = named.collect();
    trails.sort();
    trails
}

/// The report about one of several shards.
#[derive(Serialize)]
pub(crate) struct OfShard<T> {
    pub(crate) shard: u32,
    #[serde(flatten)]
    pub(crate) said: T,
}

/// The reports about several shards.
#[derive(Serialize)]
pub(crate) struct OfShards<T> {
    pub(crate) shards: Vec<OfShard<T>>,
}

/// Returns the first failure with its shard's number, after all shards were processed.
pub(crate) fn first_failure(failures: Vec<(u32, Failure)>) -> Result<(), Failure> {
    match failures.into_iter().next() {
        None => Ok(()),
        Some((shard, failure)) => Err(failure.of(&format!("shard {shard}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trails_of_shards_come_in_the_order_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["shard-10", "shard-2", "shard-x", "other"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("shard-3"), "a file").unwrap();
        let shards: Vec<u32> = shard_trails(folder.path()).into_iter().map(|trail| trail.shard).collect();
        assert_eq!(shards, [2, 10]);
        assert_eq!(shard_trails(&folder.path().join("nowhere")), []);
    }
}
