//! The server: one background thread that waits for its clients and answers them.

use crate::bounds::{
    ACCEPT_PAUSE, ACCEPTS_PER_TURN, CONNECTIONS_MAX, CONNECTIONS_PER_USER_MAX, CONTROL_INTERVAL,
    PROCESS_NAME_MAX,
};
use crate::connection::{Connection, Gone, Received};
use crate::controls::{Control, Denied, allowed};
use crate::credentials::Caller;
use crate::listener::DoorListener;
use crate::pending::Submission;
use crate::people::{People, Permission};
use crate::protocol::{Answer, CallingPerson, Code, Request, Welcome};
use crate::shard::{ServedShard, Shard};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::{Errno, write};
use rustix::net::{SocketFlags, accept_with};
use rustix::time::Timespec;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use stele_bus::{Counters, set_affinity};
use stele_wire::messages::SCHEMA_VERSION;

/// What the door serves.
#[derive(Debug)]
pub struct ServedBus {
    /// The name of the bus.
    pub name: String,
    /// The counters, which other processes can map if they are in shared memory; none: there are none.
    pub counters: Option<Counters>,
    /// The people of the configuration; none: everyone who can open the socket may do everything.
    pub people: People,
    /// The shards.
    pub shards: Vec<ServedShard>,
    /// The CPUs that the thread may use; empty: all.
    pub cpus: Vec<usize>,
}

/// The door of a bus, which is open until it is dropped. Dropping it ends every connection.
#[derive(Debug)]
pub struct DoorServer {
    path: PathBuf,
    wake: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl DoorServer {
    /// Serves the clients of `listener` on a thread of its own.
    ///
    /// # Errors
    /// When the kernel refuses the thread.
    pub fn serve(listener: DoorListener, bus: ServedBus) -> io::Result<Self> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (path, own, cpus) = (listener.path().to_owned(), wake.clone(), bus.cpus.clone());
        let thread = Builder::new().name("door".into()).spawn(move || {
            let _ = set_affinity(&cpus);
            Serving::new(listener, bus).run(&own);
        })?;
        Ok(Self { path, wake, thread: Some(thread) })
    }

    /// The path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DoorServer {
    fn drop(&mut self) {
        let _ = write(&self.wake, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The state of the thread.
struct Serving {
    listener: DoorListener,
    name: String,
    counters: Option<Counters>,
    people: People,
    shards: Vec<Shard>,
    connections: Vec<Connection>,
    next_id: u64,
}

fn refused(code: Code, what: impl Into<String>) -> Answer {
    Answer::Refused { code, what: what.into(), decision: None }
}

fn denied(denied: &Denied) -> Answer {
    let code = match denied {
        Denied::TooShort { .. } => Code::Version,
        _ => Code::Denied,
    };
    refused(code, denied.to_string())
}

/// An answer, and the descriptors that are sent with it.
type Reply = (Answer, Vec<OwnedFd>);

impl Serving {
    fn new(listener: DoorListener, bus: ServedBus) -> Self {
        let shards = bus.shards.into_iter().map(Shard::new).collect();
        let ServedBus { name, counters, people, .. } = bus;
        Self { listener, name, counters, people, shards, connections: Vec::new(), next_id: 1 }
    }

    fn run(mut self, wake: &OwnedFd) {
        while let Some(ready) = self.wait(wake) {
            let now = Instant::now();
            if ready.listener {
                self.accept(now);
            }
            for (id, flags) in ready.connections {
                if self.attend(id, flags, now).is_err() {
                    self.end(id);
                }
            }
            self.answer_controls(now);
            let is_late = |connection: &Connection| connection.deadline().is_some_and(|at| at <= now);
            let late: Vec<u64> = self
                .connections
                .iter()
                .filter(|connection| is_late(connection))
                .map(|late| late.id)
                .collect();
            late.into_iter().for_each(|id| self.end(id));
        }
    }

    /// Waits until something is ready; none when the thread is to end.
    fn wait(&self, wake: &OwnedFd) -> Option<Ready> {
        let is_full = self.connections.len() >= CONNECTIONS_MAX;
        let listening = if is_full { PollFlags::empty() } else { PollFlags::IN };
        let mut polled = vec![
            PollFd::new(wake, PollFlags::IN),
            PollFd::from_borrowed_fd(self.listener.socket.as_fd(), listening),
        ];
        polled.extend(
            self.connections
                .iter()
                .map(|connection| PollFd::from_borrowed_fd(connection.socket(), connection.interest())),
        );
        let timeout = self.timeout().map(|timeout| Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: timeout.subsec_nanos().into(),
        });
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            // Only a lack of memory: the next turn tries again.
            Err(_) => std::thread::sleep(CONTROL_INTERVAL),
        }
        let [own, listener, connections @ ..] = &polled[..] else { unreachable!("two come first") };
        if !own.revents().is_empty() {
            return None;
        }
        let ready =
            connections.iter().zip(&self.connections).filter(|(polled, _)| !polled.revents().is_empty());
        Some(Ready {
            listener: !listener.revents().is_empty(),
            connections: ready.map(|(polled, connection)| (connection.id, polled.revents())).collect(),
        })
    }

    /// How long to wait at most: until the log is read for a control, or a client is late.
    fn timeout(&self) -> Option<Duration> {
        if self.shards.iter().any(|shard| !shard.is_idle()) {
            return Some(CONTROL_INTERVAL);
        }
        let first = self.connections.iter().filter_map(Connection::deadline).min();
        first.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    fn accept(&mut self, now: Instant) {
        for _ in 0..ACCEPTS_PER_TURN.min(CONNECTIONS_MAX - self.connections.len()) {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = match accept_with(&self.listener.socket, flags) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                // Descriptors or memory are short. The client waits, and the thread does not spin meanwhile.
                Err(_) => return std::thread::sleep(ACCEPT_PAUSE),
            };
            let Ok(mut connection) = Connection::new(self.next_id, socket, now) else { continue };
            self.next_id += 1;
            let user = connection.caller.user;
            let own = self.connections.iter().filter(|other| other.caller.user == user).count();
            if own >= CONNECTIONS_PER_USER_MAX {
                let what = format!("user {user} has {own} connections already");
                let _ = connection.refuse(Code::Busy, what);
                continue;
            }
            self.connections.push(connection);
        }
    }

    /// Goes on with one connection.
    fn attend(&mut self, id: u64, flags: PollFlags, now: Instant) -> Result<(), Gone> {
        let Some(index) = self.connections.iter().position(|connection| connection.id == id) else {
            return Ok(());
        };
        let connection = &mut self.connections[index];
        if flags.contains(PollFlags::OUT) {
            return connection.flush();
        }
        if flags.contains(PollFlags::IN) {
            let Some(received) = connection.read(now)? else { return Ok(()) };
            return self.serve(index, received);
        }
        Err(Gone)
    }

    fn serve(&mut self, index: usize, received: Received) -> Result<(), Gone> {
        let Received { request, body } = received;
        if !self.connections[index].is_known && !matches!(request, Request::Hello { .. }) {
            return self.connections[index].refuse(Code::Malformed, "the first request is hello".into());
        }
        if let Request::Submit { shard, template } = request {
            let submitted = self.submit(index, shard, template, body);
            return match submitted {
                Ok(()) => {
                    self.connections[index].is_waiting = true;
                    Ok(())
                }
                Err(answer) => self.connections[index].answer(&answer, Vec::new()),
            };
        }
        let (answer, descriptors) = self.reply(index, request).unwrap_or_else(|answer| (answer, Vec::new()));
        self.connections[index].answer(&answer, descriptors)
    }

    fn reply(&mut self, index: usize, request: Request) -> Result<Reply, Answer> {
        let caller = self.connections[index].caller;
        match request {
            Request::Hello { process } => {
                let process = &process[..process.floor_char_boundary(PROCESS_NAME_MAX)];
                let welcome = self.welcome(caller, process)?;
                self.connections[index].is_known = true;
                Ok((welcome, Vec::new()))
            }
            Request::Counters => {
                self.permit(caller, Permission::Watch)?;
                let counters = self.counters.as_ref().and_then(Counters::descriptor);
                let memory =
                    counters.ok_or_else(|| refused(Code::Unavailable, "the counters are private"))?;
                Ok((Answer::Here, vec![cloned(memory)?]))
            }
            Request::Ring { shard } => {
                self.permit(caller, Permission::Read)?;
                Ok((Answer::Here, vec![self.shard(shard)?.1.memory()?]))
            }
            Request::Claim { shard, publisher } => {
                self.permit(caller, Permission::Publish)?;
                let (at, shard) = self.shard(shard)?;
                let memory = shard.claim(publisher)?;
                self.connections[index].claims.push((at, publisher));
                Ok((Answer::Here, memory.into()))
            }
            Request::Files { shard, after } => {
                self.permit(caller, Permission::Read)?;
                Ok((self.shard(shard)?.1.files.list(&after), Vec::new()))
            }
            Request::File { shard, name } => {
                self.permit(caller, Permission::Read)?;
                Ok((Answer::Here, vec![self.shard(shard)?.1.files.open(&name)?]))
            }
            Request::Submit { .. } => unreachable!("the caller serves it"),
        }
    }

    /// Checks a message, writes its caller into it and queues it.
    fn submit(&mut self, index: usize, shard: u32, template: u16, mut body: Vec<u8>) -> Result<(), Answer> {
        let (client, caller) = (self.connections[index].id, self.connections[index].caller);
        let control = Control::of(template, &body).map_err(|reason| denied(&reason))?;
        control.check(&body, caller, &self.people).map_err(|reason| denied(&reason))?;
        control.stamp(&mut body, caller);
        let (_, shard) = self.shard(shard)?;
        shard.submit(Submission { client, control, body })
    }

    fn permit(&self, caller: Caller, permission: Permission) -> Result<(), Answer> {
        if self.people.is_empty() {
            return Ok(());
        }
        allowed(&self.people, caller, permission).map(|_| ()).map_err(|reason| denied(&reason))
    }

    fn shard(&mut self, id: u32) -> Result<(usize, &mut Shard), Answer> {
        let index = self.shards.iter().position(|shard| shard.id() == id);
        let missing = || refused(Code::NotFound, format!("the bus has no shard {id}"));
        index.map(|index| (index, &mut self.shards[index])).ok_or_else(missing)
    }

    /// What the bus is. A user that is not one of the people learns nothing of it.
    fn welcome(&self, caller: Caller, process: &str) -> Result<Answer, Answer> {
        let has_people = !self.people.is_empty();
        let person = self.people.of_user(caller.user).map(|person| CallingPerson {
            number: person.number,
            code: person.code.clone(),
            roles: person.roles.clone(),
        });
        if has_people && person.is_none() {
            return Err(denied(&Denied::Stranger(caller.user)));
        }
        if process.is_empty() {
            return Err(refused(Code::Malformed, "a process says its name"));
        }
        let mut shards: Vec<_> = self.shards.iter().map(Shard::report).collect();
        shards.sort_by_key(|shard| shard.shard);
        Ok(Answer::Welcome(Box::new(Welcome {
            bus: self.name.clone(),
            process: std::process::id(),
            schema: SCHEMA_VERSION,
            has_people,
            caller,
            person,
            shards,
        })))
    }

    /// Goes on with the controls that are on their way, and answers those that have an outcome.
    fn answer_controls(&mut self, now: Instant) {
        let mut answers = Vec::new();
        self.shards.iter_mut().for_each(|shard| shard.progress(now, &mut answers));
        for (id, answer) in answers {
            let connection = self.connections.iter_mut().find(|connection| connection.id == id);
            if connection.is_some_and(|connection| connection.answer(&answer, Vec::new()).is_err()) {
                self.end(id);
            }
        }
    }

    /// Ends a connection: its client counts as dead.
    fn end(&mut self, id: u64) {
        let Some(index) = self.connections.iter().position(|connection| connection.id == id) else { return };
        let connection = self.connections.swap_remove(index);
        for (shard, publisher) in &connection.claims {
            self.shards[*shard].release(*publisher);
        }
        self.shards.iter_mut().for_each(|shard| shard.forget(id));
    }
}

/// What is ready.
struct Ready {
    listener: bool,
    connections: Vec<(u64, PollFlags)>,
}

fn cloned(memory: std::os::fd::BorrowedFd<'_>) -> Result<OwnedFd, Answer> {
    memory.try_clone_to_owned().map_err(|error| refused(Code::Unavailable, error.to_string()))
}
