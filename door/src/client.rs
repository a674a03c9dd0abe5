//! The client: finds a bus, and gets memory, files and answers from its door.

use crate::address::{AddressError, SocketAddress, candidates};
use crate::bounds::{
    ANSWER_LENGTH_MAX, ANSWER_PATIENCE, CLAIM_PATIENCE, CONTROL_INTERVAL, DESCRIPTORS_MAX, LOOK_PATIENCE,
    PROCESS_NAME_MAX,
};
use crate::credentials::Caller;
use crate::listener::new_socket;
use crate::protocol::{
    Answer, Code, Decision, FrameHeader, HEADER_LENGTH, PROTOCOL_VERSION, Request, ShardReport, Welcome,
    encode,
};
use crate::trail::DoorTrail;
use rustix::io::{Errno, IoSliceMut};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, connect, recvmsg, send,
};
use rustix::process::geteuid;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use stele_bus::counters::CounterOpenError;
use stele_bus::{AttachError, CounterReader, Liveness, RemotePublisher, RingView};
use stele_journal::Storage;
use stele_wire::codec::Message;
use stele_wire::messages::SCHEMA_VERSION;

/// Why a bus does not give what it is asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No bus with that name is running.
    #[error("no bus named `{name}` runs; {}", describe_running(running))]
    NotFound {
        /// The name.
        name: String,
        /// The names of the running buses.
        running: Vec<String>,
    },
    /// No name was given, and no bus or several buses are running.
    #[error("{}", describe_choice(.0))]
    Choose(Vec<String>),
    /// The directory of the socket cannot be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// What listens at the socket need not be the bus.
    #[error("{} is not trusted: {what}", path.display())]
    Untrusted {
        /// The socket.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// The kernel refused the connection, or it ended.
    #[error("the connection to the bus at {}: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The bus answered what is not an answer.
    #[error("the bus answered what this program does not understand: {0}; use the program that runs the bus")]
    Protocol(String),
    /// The bus refused the request.
    #[error("{what}")]
    Refused {
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        what: String,
    },
    /// The ring or a lane cannot be mapped.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The counters cannot be mapped.
    #[error(transparent)]
    Counters(#[from] CounterOpenError),
}

fn describe_running(running: &[String]) -> String {
    match running {
        [] => "none does, as far as this user can see".into(),
        running => format!("running: {}", running.join(", ")),
    }
}

fn describe_choice(running: &[String]) -> String {
    match running {
        [] => "no bus runs, as far as this user can see: `stele run` starts one".into(),
        running => format!("several buses run, name one: {}", running.join(", ")),
    }
}

/// The outcome of a message that was submitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is on the log, and durable.
    Sequenced(u64),
    /// The bus refused it.
    Refused {
        /// Why.
        what: String,
        /// The decision of the risk checks, where that is the reason.
        decision: Option<Decision>,
    },
}

/// A connection to a running bus. A clone is another handle to the same connection.
///
/// ```no_run
/// use stele_bus::{LossyConsumer, NOT_RECEIVED};
/// use stele_door::DoorClient;
/// use stele_wire::messages::Trade;
///
/// let door = DoorClient::find(None)?;
/// let shard = door.shards()[0].shard;
/// let mut reader = LossyConsumer::join(&door.ring(shard)?);
/// let mut publisher = door.publisher(shard, 100)?;
/// publisher.offer_message(&Trade::NULL, NOT_RECEIVED)?;
/// reader.poll(64, |observed| println!("{observed:?}"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct DoorClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    address: SocketAddress,
    socket: Arc<OwnedFd>,
    /// One request at a time.
    turn: Mutex<()>,
    welcome: Welcome,
}

impl DoorClient {
    /// Finds the bus named `name`, the one at the path `name` if it contains `/`, or the only one that is
    /// running, and connects to it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn find(name: Option<&str>) -> Result<Self, ClientError> {
        if let Some(path) = name.filter(|name| name.contains('/')) {
            return Self::connect(&SocketAddress::at(path));
        }
        let mut untrusted = None;
        let mut running: Vec<(String, SocketAddress, OwnedFd)> = Vec::new();
        for (found, address) in candidates() {
            match open(&address) {
                Ok(Some(socket)) => running.push((found, address, socket)),
                Ok(None) => {}
                Err(error) if name.is_some_and(|name| name == found) => untrusted = Some(error),
                Err(_) => {}
            }
        }
        let at = match name {
            Some(name) => running.iter().position(|(found, ..)| found == name),
            None => (running.len() == 1).then_some(0),
        };
        if let Some(at) = at {
            let (_, address, socket) = running.swap_remove(at);
            return Self::greet(address, socket, ANSWER_PATIENCE);
        }
        let names = running.into_iter().map(|(name, ..)| name).collect();
        Err(untrusted.unwrap_or_else(|| match name {
            Some(name) => ClientError::NotFound { name: name.into(), running: names },
            None => ClientError::Choose(names),
        }))
    }

    /// Connects to every running bus that this process may connect to. A bus that does not answer within
    /// [`LOOK_PATIENCE`] is left out, such as one that recovers its trail.
    pub fn running() -> Vec<Self> {
        let open = |(_, address): (String, SocketAddress)| {
            let socket = open(&address).ok()??;
            Self::greet(address, socket, LOOK_PATIENCE).ok()
        };
        candidates().into_iter().filter_map(open).collect()
    }

    /// Connects to the bus at an address.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn connect(address: &SocketAddress) -> Result<Self, ClientError> {
        let name = || address.path().display().to_string();
        let socket = open(address)?;
        let socket = socket.ok_or_else(|| ClientError::NotFound { name: name(), running: Vec::new() })?;
        Self::greet(address.clone(), socket, ANSWER_PATIENCE)
    }

    /// Says hello on a new connection. The answer must come within `patience`.
    fn greet(address: SocketAddress, socket: OwnedFd, patience: Duration) -> Result<Self, ClientError> {
        let wait = |patience| {
            let set = |timeout| set_socket_timeout(&socket, timeout, Some(patience));
            let set = set(Timeout::Recv).and_then(|()| set(Timeout::Send));
            set.map_err(|error| ClientError::Io { path: address.path().into(), source: error.into() })
        };
        wait(patience)?;
        let process = Request::Hello { process: process_name() };
        let exchanged = exchange(&socket, &encode(&process, b"", 0));
        let (answer, _) = exchanged.map_err(|fault| fault.at(&address))?;
        wait(ANSWER_PATIENCE)?;
        let welcome = match answer {
            Answer::Welcome(welcome) => *welcome,
            other => return Err(unexpected(other)),
        };
        if welcome.schema != SCHEMA_VERSION {
            let found = welcome.schema;
            let what = format!("it writes version {found} of the schema, this program {SCHEMA_VERSION}");
            return Err(ClientError::Protocol(what));
        }
        let socket = Arc::new(socket);
        Ok(Self { inner: Arc::new(Inner { address, socket, turn: Mutex::new(()), welcome }) })
    }

    /// What the bus said about itself and about the caller.
    pub fn welcome(&self) -> &Welcome {
        &self.inner.welcome
    }

    /// The shards of the bus, by number, as they were when the connection began.
    pub fn shards(&self) -> &[ShardReport] {
        &self.inner.welcome.shards
    }

    /// The path of the socket.
    pub fn path(&self) -> &std::path::Path {
        self.inner.address.path()
    }

    /// Whether the bus still runs: its process has not ended the connection.
    pub fn is_running(&self) -> bool {
        let named = stele_bus::Process { id: self.inner.welcome.process, start_time: 0 };
        self.liveness().is_alive(named)
    }

    fn liveness(&self) -> Liveness {
        Liveness::Connection(self.inner.socket.clone())
    }

    /// Maps the ring of a shard.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn ring(&self, shard: u32) -> Result<RingView, ClientError> {
        let memory = self.descriptor(&Request::Ring { shard })?;
        Ok(RingView::attach(memory, self.liveness())?)
    }

    /// Maps the counters.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn counters(&self) -> Result<CounterReader, ClientError> {
        let memory = self.descriptor(&Request::Counters)?;
        Ok(CounterReader::attach(memory, self.liveness())?)
    }

    /// Connects as publisher `id` of a shard, over a connection of its own: it ends, and the next process can
    /// be the publisher, when the publisher is dropped. Waits until what the process before it committed is
    /// on the log.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn publisher(&self, shard: u32, id: u16) -> Result<RemotePublisher, ClientError> {
        let (own, since) = (Self::connect(&self.inner.address)?, Instant::now());
        loop {
            match own.descriptors::<2>(&Request::Claim { shard, publisher: id }) {
                Err(ClientError::Refused { code: Code::Busy, .. }) if since.elapsed() < CLAIM_PATIENCE => {
                    std::thread::sleep(CONTROL_INTERVAL);
                }
                claimed => {
                    let [ring, lane] = claimed?;
                    let ring = RingView::attach(ring, own.liveness())?;
                    return Ok(RemotePublisher::attach(ring, lane)?);
                }
            }
        }
    }

    /// The trail of a shard, for readers without access to its directory.
    pub fn trail(&self, shard: u32) -> Arc<dyn Storage> {
        Arc::new(DoorTrail::new(self.clone(), shard))
    }

    /// Submits a message of Stele's schema to a shard and waits until it is durable or refused. `body` is its
    /// root block, groups and data. The door writes the caller into it.
    ///
    /// # Errors
    /// [`ClientError`]: the door does not submit it, or the bus did not answer in time.
    pub fn submit(&self, shard: u32, template: u16, body: &[u8]) -> Result<Outcome, ClientError> {
        match self.ask(&Request::Submit { shard, template }, body)?.0 {
            Answer::Sequenced { sequence } => Ok(Outcome::Sequenced(sequence)),
            Answer::Refused { code: Code::Refused, what, decision } => {
                Ok(Outcome::Refused { what, decision })
            }
            other => Err(unexpected(other)),
        }
    }

    /// As [`DoorClient::submit`], for a message without groups and data.
    ///
    /// # Errors
    /// As [`DoorClient::submit`].
    pub fn submit_message<M: Message>(&self, shard: u32, message: &M) -> Result<Outcome, ClientError> {
        self.submit(shard, M::TEMPLATE_ID, message.as_bytes())
    }

    /// The names of files of a trail after the name `after`, and whether there are more.
    pub(crate) fn files(&self, shard: u32, after: &str) -> Result<(Vec<String>, bool), ClientError> {
        match self.ask(&Request::Files { shard, after: after.into() }, b"")?.0 {
            Answer::Files { names, more } => Ok((names, more)),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) fn descriptor(&self, request: &Request) -> Result<OwnedFd, ClientError> {
        self.descriptors::<1>(request).map(|[descriptor]| descriptor)
    }

    fn descriptors<const N: usize>(&self, request: &Request) -> Result<[OwnedFd; N], ClientError> {
        match self.ask(request, b"")? {
            (Answer::Here, descriptors) => descriptors.try_into().map_err(|found: Vec<OwnedFd>| {
                ClientError::Protocol(format!("{} descriptors came, and {N} were expected", found.len()))
            }),
            (other, _) => Err(unexpected(other)),
        }
    }

    fn ask(&self, request: &Request, body: &[u8]) -> Result<(Answer, Vec<OwnedFd>), ClientError> {
        let _turn = self.inner.turn.lock().unwrap_or_else(PoisonError::into_inner);
        exchange(&self.inner.socket, &encode(request, body, 0)).map_err(|fault| fault.at(&self.inner.address))
    }
}

/// The error that an answer is which does not fit the request.
fn unexpected(answer: Answer) -> ClientError {
    match answer {
        Answer::Refused { code, what, .. } => ClientError::Refused { code, what },
        other => ClientError::Protocol(format!("{other:?}")),
    }
}

/// The name that this process claims.
fn process_name() -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    let name = PathBuf::from(program).file_name().map(|name| name.to_string_lossy().into_owned());
    let mut name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| "unnamed".into());
    name.truncate(name.floor_char_boundary(PROCESS_NAME_MAX));
    name
}

/// Connects to a socket and checks who listens; none where no process does.
fn open(address: &SocketAddress) -> Result<Option<OwnedFd>, ClientError> {
    let path = address.path();
    let failed = |source: io::Error| ClientError::Io { path: path.into(), source };
    let untrusted = |what: String| ClientError::Untrusted { path: path.into(), what };
    let place = match address.open() {
        Err(AddressError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        place => place?,
    };
    if place.socket().map_err(untrusted)?.is_none() {
        return Ok(None);
    }
    let socket = new_socket(SocketFlags::empty()).map_err(failed)?;
    // A bus whose queue of clients is full does not hold this one for ever.
    set_socket_timeout(&socket, Timeout::Send, Some(LOOK_PATIENCE)).map_err(|error| failed(error.into()))?;
    match connect(&socket, &place.address(&place.name).map_err(failed)?) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => return Ok(None),
        connected => connected.map_err(|error| failed(error.into()))?,
    }
    let bus = Caller::of(socket.as_fd()).map_err(failed)?;
    if ![0, geteuid().as_raw(), place.owner].contains(&bus.user) {
        return Err(untrusted(format!(
            "it is served by user {}, who is not its directory's owner",
            bus.user
        )));
    }
    Ok(Some(socket))
}

/// Why an exchange failed.
enum Fault {
    Io(io::Error),
    Protocol(String),
}

impl Fault {
    fn at(self, address: &SocketAddress) -> ClientError {
        match self {
            Self::Io(source) => ClientError::Io { path: address.path().into(), source },
            Self::Protocol(what) => ClientError::Protocol(what),
        }
    }
}

impl From<Errno> for Fault {
    fn from(error: Errno) -> Self {
        Self::Io(match error {
            Errno::AGAIN => io::Error::new(io::ErrorKind::TimedOut, "the bus does not answer"),
            error => error.into(),
        })
    }
}

/// Sends a request and reads the answer with its descriptors.
fn exchange(socket: &OwnedFd, request: &[u8]) -> Result<(Answer, Vec<OwnedFd>), Fault> {
    let mut rest = request;
    while !rest.is_empty() {
        match send(socket, rest, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            // The answer says why the bus did not read on.
            Err(Errno::PIPE) => break,
            sent => rest = &rest[sent?..],
        }
    }
    let mut descriptors = Vec::new();
    let mut header = [0; HEADER_LENGTH];
    receive(socket, &mut header, &mut descriptors)?;
    let header = FrameHeader::read(&header);
    if header.version != PROTOCOL_VERSION {
        return Err(Fault::Protocol(format!("it speaks version {} of the protocol", header.version)));
    }
    if header.length > ANSWER_LENGTH_MAX || header.json > header.length {
        return Err(Fault::Protocol(format!("an answer of {} bytes", header.length)));
    }
    let mut bytes = vec![0; header.length];
    receive(socket, &mut bytes, &mut descriptors)?;
    let answer = serde_json::from_slice(&bytes[..header.json]);
    let answer = answer.map_err(|error| Fault::Protocol(error.to_string()))?;
    if descriptors.len() != usize::from(header.descriptors) {
        return Err(Fault::Protocol(format!("{} descriptors came", descriptors.len())));
    }
    Ok((answer, descriptors))
}

fn receive(socket: &OwnedFd, into: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> Result<(), Fault> {
    let mut done = 0;
    while done < into.len() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [IoSliceMut::new(&mut into[done..])];
        let received = match recvmsg(socket, &mut bytes, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => continue,
            received => received?,
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        if received.bytes == 0 {
            let what = "the bus ended the connection";
            return Err(Fault::Io(io::Error::new(io::ErrorKind::UnexpectedEof, what)));
        }
        done += received.bytes;
    }
    Ok(())
}
