//! `stele attach`: prints the live log of a bus in another process, one event per line, including lost events
//! and the end of the writer.

use crate::access::{Access, Form, record_on};
use crate::cli::AttachArgs;
use crate::event_text::{push_json_frame, push_line};
use crate::failure::Failure;
use crate::notices::say;
use crate::running_bus::{self, BusShard};
use crate::signals::StopRequest;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write as _};
use std::time::{Duration, Instant};
use stele_bus::{Event, LossyConsumer, Observed, RingView, WriterState};
use stele_journal::{CatchUp, TrailError};
use stele_wire::Sequence;
use stele_wire::messages::AccessKind;

/// Prints events until the writer ends, or until interrupted. A pipe closed by its reader is not an error.
pub(crate) fn attach(args: &AttachArgs) -> Result<(), Failure> {
    let stop = StopRequest::listen()?;
    let door = running_bus::find(args.name.as_deref())?;
    let shard = shard(running_bus::shards(&door), &door.welcome().bus, args.shard)?;
    let ring = shard.ring()?;
    let head = record_access(&shard, &ring, args)?;
    let mut source = EventSource::open(&shard, &ring, args);
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    if let Err(error) = out.write_all(head.as_bytes()) {
        return super::ended_by_reader(Err(error));
    }
    let mut printer = Printer { out, line: String::new(), json: args.output.json, failed: None };
    let result = follow(&mut printer, &mut source, &ring, &stop);
    let flushed = printer.out.flush();
    super::ended_by_reader(printer.failed.map_or(flushed, Err))?;
    result
}

/// Returns the shard with this number, or the only one.
fn shard(mut shards: Vec<BusShard>, bus: &str, number: Option<u32>) -> Result<BusShard, Failure> {
    let numbers: Vec<String> = shards.iter().map(|shard| shard.number().to_string()).collect();
    let found = match number {
        Some(number) => shards.iter().position(|shard| shard.number() == number),
        None => (shards.len() == 1).then_some(0),
    };
    let choose = || {
        let what = format!("bus {bus} has several shards: {}", numbers.join(", "));
        Failure::usage(what).help("choose one with --shard ID")
    };
    found.map(|index| shards.swap_remove(index)).ok_or_else(choose)
}

/// Records the access, and returns the text that the output starts with.
fn record_access(shard: &BusShard, ring: &RingView, args: &AttachArgs) -> Result<String, Failure> {
    let form = if args.output.json { Form::Json } else { Form::Text };
    let access = Access { trail: shard.trail(), kind: AccessKind::DUMP, from: args.from.unwrap_or(0), to: 0 };
    let identity = ring.identity().expect("a ring that is attached has its identity");
    Ok(record_on(&args.access, &access, identity, Some(shard))?.stream_notice(form))
}

/// The pause between two polls that found nothing.
const NAP: Duration = Duration::from_millis(2);
/// How often the state of the writer's process is checked.
const WRITER_INTERVAL: Duration = Duration::from_millis(100);
/// The maximum number of events of one poll.
const EVENTS_PER_POLL: usize = 1_024;
/// Empty polls after which nothing more can come from a writer that has ended. A single empty poll may only
/// be a switch from ring to journal, or back.
const LAST_POLLS: usize = 4;

/// Where the events come from.
enum EventSource {
    Lossy(LossyConsumer),
    CatchUp(Box<CatchUp>),
}

impl EventSource {
    /// The trail is read through the door, so that it needs no access to the trail's directory.
    fn open(shard: &BusShard, ring: &RingView, args: &AttachArgs) -> Self {
        if args.lossy {
            return Self::Lossy(LossyConsumer::join(ring));
        }
        let trail = shard.door.trail(shard.number());
        Self::CatchUp(Box::new(match args.from {
            Some(from) => CatchUp::from_over(ring, trail, Sequence(from)),
            None => CatchUp::join_over(ring, trail),
        }))
    }

    fn poll(&mut self, printer: &mut Printer<impl io::Write>) -> Result<usize, TrailError> {
        match self {
            Self::Lossy(consumer) => Ok(consumer.poll(EVENTS_PER_POLL, |observed| match observed {
                Observed::Event(event) => printer.event(&event),
                Observed::Lost { first, last } => printer.lost(first, last),
            })),
            Self::CatchUp(consumer) => consumer.poll(EVENTS_PER_POLL, |event| printer.event(&event)),
        }
    }
}

fn follow(
    printer: &mut Printer<impl io::Write>,
    source: &mut EventSource,
    ring: &RingView,
    stop: &StopRequest,
) -> Result<(), Failure> {
    let (mut checked, mut state, mut idle) = (Instant::now(), WriterState::Running, 0);
    while !stop.is_asked() && printer.failed.is_none() {
        if source.poll(printer).map_err(Failure::not_so)? > 0 {
            idle = 0;
            continue;
        }
        printer.flush();
        idle += 1;
        if state != WriterState::Running && idle >= LAST_POLLS {
            printer.end(state);
            return ended(state, ring);
        }
        if state == WriterState::Running && checked.elapsed() >= WRITER_INTERVAL {
            (checked, state, idle) = (Instant::now(), ring.writer_state(), 0);
        }
        std::thread::sleep(NAP);
    }
    Ok(())
}

/// Returns the result of the command when the writer has ended.
fn ended(state: WriterState, ring: &RingView) -> Result<(), Failure> {
    let durable = "everything durable is on the trail; check it with `stele verify`";
    match state {
        WriterState::Running | WriterState::Stopped => {
            say("the bus has stopped normally; all its events have been printed");
            Ok(())
        }
        WriterState::Abandoned => {
            let why = ring.poisoned().map(|reason| format!(": {reason}")).unwrap_or_default();
            Err(Failure::environment(format!("the bus failed{why}")).help(durable))
        }
        WriterState::Dead(process) => {
            let what = format!("the bus died: {process} has ended the connection");
            Err(Failure::environment(what).help(durable))
        }
    }
}

struct Printer<W> {
    out: W,
    line: String,
    json: bool,
    /// The first error on standard output.
    failed: Option<io::Error>,
}

impl<W: io::Write> Printer<W> {
    fn event(&mut self, event: &Event<'_>) {
        match self.json {
            true => push_json_frame(&event.frame(), &mut self.line),
            false => push_line(&event.frame(), None, &mut self.line),
        }
        self.print();
    }

    fn lost(&mut self, first: Sequence, last: Sequence) {
        let count = last.0 - first.0 + 1;
        let _ = match self.json {
            true => write!(self.line, "{{\"lost\":{{\"first\":{first},\"last\":{last},\"count\":{count}}}}}"),
            false => write!(
                self.line,
                "lost {count} events, {first} to {last}: overwritten in the ring before they were read"
            ),
        };
        self.print();
    }

    fn end(&mut self, state: WriterState) {
        let name = match state {
            WriterState::Running | WriterState::Stopped => "stopped",
            WriterState::Abandoned => "failed",
            WriterState::Dead(_) => "dead",
        };
        if self.json {
            let _ = write!(self.line, "{{\"end\":\"{name}\"}}");
            self.print();
        }
    }

    fn print(&mut self) {
        self.line.push('\n');
        if self.failed.is_none() {
            self.failed = self.out.write_all(self.line.as_bytes()).err();
        }
        self.line.clear();
    }

    fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = self.out.flush().err();
        }
    }
}
