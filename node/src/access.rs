//! Records who reads a trail: every command that reads one records the access before it reads anything.
//!
//! ```text
//!  a running bus writes the trail      ──> an event on its log, through the door of the bus
//!  otherwise                           ──> an event on the trail TRAIL.access; sealed with --access-key
//!  --unlogged                          ──> nothing, and the output says so
//! ```
//!
//! The access trail is beside the trail and not in it, so that reading does not change what is read. An
//! access trail records its own readers, too. A process that reads or copies the files without this program
//! leaves no record: only the operating system can log that.

use crate::act::{Act, Purpose};
use crate::cli::AccessArgs;
use crate::failure::Failure;
use crate::keys::read_log_signer;
use crate::notices::say;
use crate::running_bus::{BusShard, writer_of};
use crate::sealing::seal_waiting;
use crate::wall::WallClock;
use rustix::process::getuid;
use serde::Serialize;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use stele_compliance::seal::{Signer, origin_of, sealing::sealed_events};
use stele_journal::{Directory, Storage, TrailReader};
use stele_wire::bounds::BODY_LENGTH_MAX;
use stele_wire::codec::{Writer, text_field};
use stele_wire::messages::{AccessKind, AccessRecorded, EndReason};
use stele_wire::{Identity, Sequence};
use zerocopy::little_endian::{U16, U64};

/// The extension of an access trail's directory.
const SUFFIX: &str = "access";
/// How long the writer of an access trail may take until it has written.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of a command line, and of a reason, that are recorded.
const TEXT_MAX: usize = 8 << 10;

/// An access that is about to happen: which trail, and what of it.
pub(crate) struct Access<'a> {
    pub(crate) trail: &'a Path,
    pub(crate) kind: AccessKind,
    /// The sequences of the first and the last event, where the command names them; 0 where it does not.
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Whether and where an access was recorded, as text and for `--json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct AccessRecord {
    pub(crate) recorded: bool,
    /// The trail that has the record: the one that is read, or another.
    #[serde(skip_serializing_if = "Option::is_none")]
    trail: Option<String>,
    /// The sequence of the record there.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    /// Whether a signed checkpoint covers the record; only for a record on an access trail.
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<bool>,
}

/// The format of the lines that a command prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Text,
    Json,
    Csv,
}

/// A report, and where the access that it needed was recorded.
#[derive(Serialize)]
pub(crate) struct WithAccess<T> {
    #[serde(flatten)]
    pub(crate) said: T,
    pub(crate) access: AccessRecord,
}

/// Records an access to the trail that `reader` has open.
///
/// # Errors
/// [`Failure`]: the access cannot be recorded; then nothing may be read.
pub(crate) fn record(
    args: &AccessArgs,
    access: &Access<'_>,
    reader: &TrailReader,
) -> Result<AccessRecord, Failure> {
    let identity = reader.segments()[0].header.identity;
    let running = || writer_of(access.trail, identity);
    let is_needed = !args.unlogged && args.access_trail.is_none();
    let running = is_needed.then(running).flatten();
    record_on(args, access, identity, running.as_ref())
}

/// Records an access to the trail with this identity, on the log of `running`, which writes it, or beside it.
///
/// # Errors
/// [`Failure`]: the access cannot be recorded; then nothing may be read.
pub(crate) fn record_on(
    args: &AccessArgs,
    access: &Access<'_>,
    identity: Identity,
    running: Option<&BusShard>,
) -> Result<AccessRecord, Failure> {
    if args.unlogged {
        return Ok(AccessRecord::none());
    }
    let entry = PendingRecord::new(args, access, &origin_of(identity.trail, identity.shard))?;
    if let Some(shard) = running.filter(|_| args.access_trail.is_none()) {
        let sequence =
            entry.enter_live(shard).map_err(|failure| failure.of("this access cannot be recorded"))?;
        let trail = Some(access.trail.display().to_string());
        return Ok(AccessRecord { recorded: true, trail, sequence: Some(sequence), sealed: None });
    }
    let signer = args.access_key.as_deref().map(|file| read_log_signer(file, None)).transpose()?;
    let path = args.access_trail.clone().unwrap_or_else(|| beside(access.trail));
    entry.enter_beside(&path, signer.as_ref()).map_err(|failure| {
        failure.of("this access cannot be recorded").help(
            "--access-trail DIR records it elsewhere; --unlogged reads without a record, and the output says so",
        )
    })
}

/// The access trail of a trail: where accesses are recorded while no process writes the trail.
fn beside(trail: &Path) -> PathBuf {
    let whole = fs::canonicalize(trail).unwrap_or_else(|_| trail.to_path_buf());
    if whole.extension().is_some_and(|extension| extension == SUFFIX) {
        return whole;
    }
    let mut name = whole.file_name().map_or_else(|| "trail".into(), OsString::from);
    name.push(".");
    name.push(SUFFIX);
    whole.with_file_name(name)
}

/// A record that is about to be written.
struct PendingRecord<'a> {
    block: AccessRecorded,
    query: String,
    reason: &'a str,
}

impl<'a> PendingRecord<'a> {
    fn new(args: &'a AccessArgs, access: &Access<'_>, origin: &str) -> Result<Self, Failure> {
        if args.reason.len() > TEXT_MAX {
            return Err(Failure::usage(format!("--reason is longer than {TEXT_MAX} bytes")));
        }
        let person = Person::of_process();
        let user = person.short();
        let block = AccessRecorded {
            time: U64::new(WallClock::read().0),
            from_sequence: U64::new(access.from),
            to_sequence: U64::new(access.to),
            kind: access.kind,
            user: text_field(&user[..user.floor_char_boundary(32)]).expect("it was cut to the field"),
            ..AccessRecorded::NULL
        };
        let query = format!("{}; {origin}; {person}", command_line());
        Ok(Self { block, query, reason: &args.reason })
    }

    /// Writes the record through the running bus and returns its sequence. The bus adds who calls.
    fn enter_live(&self, shard: &BusShard) -> Result<u64, Failure> {
        let mut buffer = vec![0; BODY_LENGTH_MAX];
        let mut writer = Writer::new(&mut buffer);
        let written = writer.block(&self.block).and_then(|()| {
            writer.data::<U16>(self.query.as_bytes())?;
            writer.data::<U16>(self.reason.as_bytes())
        });
        written.map_err(|error| Failure::usage(format!("the record does not fit an event: {error}")))?;
        shard.submit(AccessRecorded::TEMPLATE_ID, writer.finish())
    }

    /// Writes the record to the trail in `path`, which is created where it does not exist.
    fn enter_beside(&self, path: &Path, signer: Option<&Signer>) -> Result<AccessRecord, Failure> {
        let storage: Arc<dyn Storage> = Arc::new(Directory::new(path));
        let sealed = signer.map(|signer| sealed_events(&storage, signer.public())).transpose();
        let purpose = Purpose {
            command: "access",
            known_durable: Sequence(sealed.map_err(Failure::not_so)?.unwrap_or(0)),
            ..Purpose::default()
        };
        let mut act = Act::open(path, &purpose, PATIENCE)?;
        let sequence = act.enter(&self.block, |writer| {
            writer.data::<U16>(self.query.as_bytes())?;
            writer.data::<U16>(self.reason.as_bytes())
        })?;
        act.end(EndReason::FINISHED, "")?;
        if let Some(signer) = signer {
            seal_waiting(path, signer, PATIENCE)?;
        }
        Ok(AccessRecord {
            recorded: true,
            trail: Some(path.display().to_string()),
            sequence: Some(sequence.0),
            sealed: Some(signer.is_some()),
        })
    }
}

/// The command line as it was given, without the program's path.
fn command_line() -> String {
    let mut line = String::from("stele");
    for word in std::env::args_os().skip(1) {
        line.push(' ');
        line.push_str(&word.to_string_lossy());
    }
    line.truncate(line.floor_char_boundary(TEXT_MAX));
    // The record stays on one line wherever it is printed.
    line.replace(char::is_control, " ")
}

/// The user that runs this process, as the operating system knows it.
struct Person {
    uid: u32,
    name: Option<String>,
    /// The user that logged in, where it differs from `uid`; `sudo` does not change it.
    login: Option<u32>,
    host: String,
}

impl Person {
    fn of_process() -> Self {
        let uid = getuid().as_raw();
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let login = fs::read_to_string("/proc/self/loginuid").ok().and_then(|text| text.trim().parse().ok());
        Self {
            uid,
            name: name_in(&users, uid),
            // `u32::MAX` is the kernel's value for: no login.
            login: login.filter(|login| ![uid, u32::MAX].contains(login)),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        }
    }

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("?")
    }

    /// Returns the user in one word, the name first: a field that is too short cuts the end off.
    fn short(&self) -> String {
        format!("{}({})@{}", self.name(), self.uid, self.host)
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}, uid {}", self.name(), self.uid)?;
        if let Some(login) = self.login {
            write!(f, ", logged in as uid {login}")?;
        }
        write!(f, ", host {}", self.host)
    }
}

/// Returns the name of `uid` in the text of a passwd file.
fn name_in(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

impl AccessRecord {
    /// The outcome where `--unlogged` asked for no record.
    pub(crate) fn none() -> Self {
        Self { recorded: false, trail: None, sequence: None, sealed: None }
    }

    /// Prints it on standard error, because standard output has the command's own format.
    pub(crate) fn print(&self) {
        say(self);
    }

    /// As [`Self::print`], except that text and JSON output begins with a line that says so where there is no
    /// record, so that its reader knows. Returns that line, or an empty string.
    pub(crate) fn stream_notice(&self, form: Form) -> String {
        match form {
            Form::Text if !self.recorded => format!("{self}\n"),
            Form::Json if !self.recorded => "{\"access\":{\"recorded\":false}}\n".into(),
            _ => {
                self.print();
                String::new()
            }
        }
    }
}

impl fmt::Display for AccessRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(trail) = &self.trail else {
            return f.write_str("this access is NOT recorded: --unlogged");
        };
        write!(f, "access recorded: event {} of {trail}", self.sequence.unwrap_or_default())?;
        match self.sealed {
            Some(true) => f.write_str(", sealed"),
            Some(false) => f.write_str(", not sealed: no --access-key"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_trail_lies_beside_its_trail_and_records_its_own_readers() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        let trail = root.join("trail.v2");
        fs::create_dir(&trail).unwrap();
        std::os::unix::fs::symlink(&trail, root.join("link")).unwrap();
        let expected = root.join("trail.v2.access");
        assert_eq!(beside(&trail), expected);
        assert_eq!(beside(&root.join("trail.v2/")), expected);
        assert_eq!(beside(&root.join("link")), expected, "one trail has one access trail");
        assert_eq!(beside(&expected), expected);
    }

    #[test]
    fn a_person_is_named_by_the_system_and_a_number_without_a_name_stays_a_number() {
        let users = "root:x:0:0:root:/root:/bin/bash\nbroken\nanna:x:1000:1000::/home/anna:/bin/sh\n";
        assert_eq!(name_in(users, 1000).as_deref(), Some("anna"));
        assert_eq!(name_in(users, 100), None);
        let person = Person { uid: 0, name: Some("root".into()), login: Some(1000), host: "vm".into() };
        assert_eq!(person.short(), "root(0)@vm");
        assert_eq!(person.to_string(), "user root, uid 0, logged in as uid 1000, host vm");
        let person = Person { name: None, login: None, ..person };
        assert_eq!(person.to_string(), "user ?, uid 0, host vm");
    }
}
