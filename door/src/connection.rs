//! One connection: bytes in, one request at a time; one answer out. It never blocks and holds a bounded
//! number of bytes.

use crate::bounds::{DESCRIPTORS_MAX, REQUEST_DEADLINE, REQUEST_JSON_MAX, REQUEST_LENGTH_MAX};
use crate::credentials::Caller;
use crate::protocol::{Answer, Code, FrameHeader, HEADER_LENGTH, PROTOCOL_VERSION, Request, encode};
use rustix::event::PollFlags;
use rustix::io::{Errno, read};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Instant;

/// A client, at the server.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: u64,
    pub(crate) caller: Caller,
    socket: OwnedFd,
    /// Whether it has said hello.
    pub(crate) is_known: bool,
    /// The publishers that it is, with the index of the shard.
    pub(crate) claims: Vec<(usize, u16)>,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    descriptors: Vec<OwnedFd>,
    /// A control is on its way.
    pub(crate) is_waiting: bool,
    /// The connection ends once the answer is sent.
    is_last: bool,
    /// Until when the client has to go on.
    deadline: Option<Instant>,
}

/// The client is gone or is cut off.
#[derive(Debug)]
pub(crate) struct Gone;

/// What a client sent.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) request: Request,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(id: u64, socket: OwnedFd, now: Instant) -> io::Result<Self> {
        Ok(Self {
            id,
            caller: Caller::of(socket.as_fd())?,
            socket,
            is_known: false,
            claims: Vec::new(),
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            descriptors: Vec::new(),
            is_waiting: false,
            is_last: false,
            deadline: Some(now + REQUEST_DEADLINE),
        })
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What it waits for. A new request is read when the answer to the one before has been read.
    pub(crate) fn interest(&self) -> PollFlags {
        if self.has_output() {
            PollFlags::OUT | PollFlags::RDHUP
        } else if self.is_waiting {
            PollFlags::RDHUP
        } else {
            PollFlags::IN | PollFlags::RDHUP
        }
    }

    /// When it is cut off, unless it goes on before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn has_output(&self) -> bool {
        self.sent < self.output.len()
    }

    /// Reads what has come. Returns a request once it is complete.
    pub(crate) fn read(&mut self, now: Instant) -> Result<Option<Received>, Gone> {
        loop {
            let wanted = match self.header() {
                None => HEADER_LENGTH,
                Some(header) => match check(&header) {
                    Ok(()) => HEADER_LENGTH + header.length,
                    Err((code, what)) => return self.refuse(code, what).map(|()| None),
                },
            };
            if self.input.len() == wanted && wanted >= HEADER_LENGTH && self.header().is_some() {
                return self.take_request();
            }
            let start = self.input.len();
            self.input.resize(wanted, 0);
            let count = read(&self.socket, &mut self.input[start..]);
            self.input.truncate(start + *count.as_ref().unwrap_or(&0));
            match count {
                Ok(0) => return Err(Gone),
                Ok(_) => self.deadline = self.deadline.or(Some(now + REQUEST_DEADLINE)),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(_) => return Err(Gone),
            }
        }
    }

    fn header(&self) -> Option<FrameHeader> {
        self.input.first_chunk::<HEADER_LENGTH>().map(FrameHeader::read)
    }

    fn take_request(&mut self) -> Result<Option<Received>, Gone> {
        let json = self.header().expect("the caller read it").json;
        let input = std::mem::take(&mut self.input);
        self.deadline = None;
        let (json, body) = input[HEADER_LENGTH..].split_at(json);
        match serde_json::from_slice(json) {
            Ok(request) => Ok(Some(Received { request, body: body.to_vec() })),
            Err(error) => self.refuse(Code::Malformed, error.to_string()).map(|()| None),
        }
    }

    /// Refuses what cannot be read; the connection ends, because the next request may begin anywhere.
    pub(crate) fn refuse(&mut self, code: Code, what: String) -> Result<(), Gone> {
        self.is_last = true;
        self.answer(&Answer::Refused { code, what, decision: None }, Vec::new())
    }

    /// Sends an answer with descriptors, as far as the client reads.
    pub(crate) fn answer(&mut self, answer: &Answer, descriptors: Vec<OwnedFd>) -> Result<(), Gone> {
        debug_assert!(!self.has_output() && descriptors.len() <= DESCRIPTORS_MAX);
        self.is_waiting = false;
        self.output = encode(answer, b"", descriptors.len());
        (self.sent, self.descriptors) = (0, descriptors);
        self.deadline = Some(Instant::now() + REQUEST_DEADLINE);
        self.flush()
    }

    /// Sends what is left of the answer.
    pub(crate) fn flush(&mut self) -> Result<(), Gone> {
        while self.has_output() {
            match self.send() {
                // The descriptors were sent together with the first byte.
                Ok(count) => {
                    self.sent += count;
                    self.descriptors.clear();
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(_) => return Err(Gone),
            }
        }
        if self.is_last {
            return Err(Gone);
        }
        (self.output, self.sent, self.deadline) = (Vec::new(), 0, None);
        Ok(())
    }

    fn send(&self) -> rustix::io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors: Vec<BorrowedFd<'_>> = self.descriptors.iter().map(OwnedFd::as_fd).collect();
        if !descriptors.is_empty() {
            let pushed = control.push(SendAncillaryMessage::ScmRights(&descriptors));
            assert!(pushed, "there is space for {DESCRIPTORS_MAX} descriptors");
        }
        let bytes = [IoSlice::new(&self.output[self.sent..])];
        sendmsg(&self.socket, &bytes, &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }
}

/// Checks the header of a request, before any of it is read.
fn check(header: &FrameHeader) -> Result<(), (Code, String)> {
    if header.version != PROTOCOL_VERSION {
        let what =
            format!("this bus speaks version {PROTOCOL_VERSION} of the protocol, not {}", header.version);
        return Err((Code::Version, what));
    }
    if header.length > REQUEST_LENGTH_MAX || header.json > REQUEST_JSON_MAX || header.json > header.length {
        let FrameHeader { length, json, .. } = header;
        let what = format!("a request of {length} bytes with {json} bytes of JSON is too long");
        return Err((Code::Malformed, what));
    }
    Ok(())
}
