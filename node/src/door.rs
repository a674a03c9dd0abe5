//! The door of a run: the socket through which other processes watch and control it, and the memory that they
//! get.

use crate::config::Config;
use crate::failure::Failure;
use std::path::Path;
use stele_bus::{Counters, LogRing, RingError, RingOptions, RingParts};
use stele_door::bounds::BUS_NAME_MAX;
use stele_door::{BindError, DoorListener, DoorServer, People, ServedBus, ServedShard, SocketAddress};
use stele_wire::Position;

/// The name of a run, which other processes can connect to and which is not served yet.
pub(crate) struct RunDoor {
    listener: DoorListener,
    name: String,
    people: People,
    pub(crate) counters: Counters,
    pub(crate) notice: String,
}

impl RunDoor {
    /// Takes the name that the configuration gives the bus, or one after the trail's directory.
    ///
    /// # Errors
    /// [`Failure`]: the socket cannot be created, or the counters cannot be mapped. A run that could not be
    /// stopped by a kill switch does not begin.
    pub(crate) fn open(config: &Config) -> Result<Self, Failure> {
        let people = config.people()?;
        let listen = |name: &str| {
            let bus = &config.bus;
            let socket = bus.socket.as_deref().map(|path| match config.only_shard {
                // Each process of a run has a socket of its own.
                Some(shard) => path.with_added_extension(shard.to_string()),
                None => path.to_owned(),
            });
            let address = SocketAddress::of_bus(name, socket.as_deref(), !people.is_empty());
            address.map_err(BindError::from).and_then(|address| DoorListener::bind(&address))
        };
        let (name, listener) = match &config.bus.name {
            Some(name) => {
                let name = config.only_shard.map_or(name.clone(), |shard| format!("{name}-{shard}"));
                (name.clone(), listen(&name))
            }
            None => {
                let name = name_of(&config.trail.dir);
                match listen(&name) {
                    Err(BindError::Runs { .. }) if config.bus.socket.is_none() => {
                        let other = format!("{name}-{}", std::process::id());
                        (other.clone(), listen(&other))
                    }
                    listening => (name, listening),
                }
            }
        };
        let listener = listener.map_err(|error| {
            Failure::environment(error)
                .help("other processes stop a run through its socket: give a path for it in [bus] socket")
        })?;
        let counters = Counters::create_shared()
            .map_err(|error| Failure::environment(format!("cannot map the counters: {error}")))?;
        let notice = format!("bus `{name}`: watch it with `stele top {name}`");
        Ok(Self { listener, name, people, counters, notice })
    }

    /// Serves the shards of the run, on the background CPUs.
    ///
    /// # Errors
    /// [`Failure`]: the thread cannot be started.
    pub(crate) fn serve(self, shards: Vec<ServedShard>, cpus: &[usize]) -> Result<DoorServer, Failure> {
        let Self { listener, name, people, counters, .. } = self;
        let bus = ServedBus { name, counters: Some(counters), people, shards, cpus: cpus.into() };
        DoorServer::serve(listener, bus)
            .map_err(|error| Failure::environment(format!("cannot start the thread of the socket: {error}")))
    }
}

/// Where a run with this configuration would be reached, or why its socket could not be there.
pub(crate) fn usable(config: &Config) -> Result<String, String> {
    let people = config.people().map_err(|failure| failure.to_string())?;
    let name = config.bus.name.clone().unwrap_or_else(|| name_of(&config.trail.dir));
    let address = SocketAddress::of_bus(&name, config.bus.socket.as_deref(), !people.is_empty())
        .map_err(|error| error.to_string())?;
    address.check().map_err(|error| error.to_string())?;
    Ok(address.path().display().to_string())
}

/// Creates the ring of a shard in memory that other processes may map. Where there is too little of it, the
/// ring is private to this process; the reason is returned, too.
pub(crate) fn ring(options: &RingOptions, base: Position) -> Result<(RingParts, Option<String>), Failure> {
    let reason = match LogRing::create_shared(options, base) {
        Ok(parts) => return Ok((parts, None)),
        Err(error @ RingError::Map { .. }) => format!("other processes cannot follow the ring: {error}"),
        Err(error) => return Err(Failure::environment(error)),
    };
    Ok((LogRing::create(options, base).map_err(Failure::environment)?, Some(reason)))
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
const NAME_LENGTH_MAX: usize = BUS_NAME_MAX - 12;

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
