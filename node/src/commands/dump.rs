//! `stele dump`: prints the events of a trail, one per line.

use crate::access::{Access, Form, record};
use crate::cli::DumpArgs;
use crate::event_text::{push_csv, push_json, push_line};
use crate::failure::{Failure, nearest};
use crate::foreign_schemas::ForeignSchemas;
use crate::notices::say;
use crate::place::{Place, PlaceArg};
use crate::signals::StopRequest;
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write as _};
use std::time::Duration;
use stele_journal::{TrailEntry, TrailReader};
use stele_wire::Epoch;
use stele_wire::messages::{AccessKind, SCHEMA, SessionEnd};

/// Prints the events that `args` selects. A pipe closed by its reader is not an error.
pub(crate) fn dump(args: &DumpArgs) -> Result<(), Failure> {
    let wanted = wanted_types(&args.types)?;
    let mut reader = super::open_trail(&args.read.trail)?;
    let [from, to] =
        [args.from, args.to].map(|place| place.and_then(PlaceArg::sequence).map_or(0, |it| it.0));
    let access = Access { trail: &args.read.trail, kind: AccessKind::DUMP, from, to };
    let head = record(&args.read.access, &access, &reader)?.stream_notice(form(args));
    let place = |written: Option<PlaceArg>| written.map(|written| written.on(&args.read.trail)).transpose();
    let (from, to) = (place(args.from)?, place(args.to)?);
    if let Some(from) = from {
        from.seek(&mut reader).map_err(Failure::environment)?;
    }
    let out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut printer = Printer {
        out,
        line: String::new(),
        format: form(args),
        headed: BTreeSet::new(),
        schemas: ForeignSchemas::of(&args.read.trail),
    };
    if let Err(error) = printer.out.write_all(head.as_bytes()) {
        return super::ended_by_reader(Err(error));
    }
    let printed = match args.follow {
        true => printer.follow(&mut reader, to, &wanted),
        false => printer.print_all(&mut reader, to, &wanted).map(|_| ()),
    };
    let flushed = printer.out.flush().map_err(PrintError::Pipe);
    match printed.and(flushed) {
        Err(PrintError::Trail(failure)) => Err(failure),
        Err(PrintError::Pipe(error)) => super::ended_by_reader(Err(error)),
        Ok(()) => Ok(()),
    }
}

/// Returns the template ids of the named messages; an empty set selects all events.
fn wanted_types(names: &[String]) -> Result<BTreeSet<u16>, Failure> {
    let id = |name: &String| {
        SCHEMA.message_named(name).map(|message| message.id).ok_or_else(|| {
            let known = SCHEMA.messages.iter().map(|message| &*message.name);
            Failure::usage(format!("unknown event type `{name}`")).help(nearest(name, known))
        })
    };
    names.iter().map(id).collect()
}

fn form(args: &DumpArgs) -> Form {
    match (args.output.json, args.csv) {
        (true, _) => Form::Json,
        (_, true) => Form::Csv,
        _ => Form::Text,
    }
}

/// Why printing failed.
enum PrintError {
    Pipe(io::Error),
    Trail(Failure),
}

struct Printer<W> {
    out: W,
    line: String,
    format: Form,
    /// Types whose CSV header has been printed, by schema and template.
    headed: BTreeSet<(u16, u16)>,
    schemas: ForeignSchemas,
}

/// How often a followed trail is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Why printing ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The last requested event has been printed.
    Done,
    /// There are no more events for now. `ended` is the epoch of the last event if that event ended it.
    CaughtUp { ended: Option<Epoch> },
}

impl<W: io::Write> Printer<W> {
    /// Prints all events and waits for new ones, until interrupted.
    fn follow(
        &mut self,
        reader: &mut TrailReader,
        to: Option<Place>,
        wanted: &BTreeSet<u16>,
    ) -> Result<(), PrintError> {
        let stop = StopRequest::listen().map_err(PrintError::Trail)?;
        while !stop.is_asked() {
            match self.print_all(reader, to, wanted)? {
                End::Done => return Ok(()),
                End::CaughtUp { ended } => {
                    self.out.flush().map_err(PrintError::Pipe)?;
                    if let Some(epoch) = ended {
                        say(format_args!(
                            "the writer ended epoch {epoch}; waiting for the next one (press Ctrl-C to stop)"
                        ));
                    }
                }
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn print_all(
        &mut self,
        reader: &mut TrailReader,
        to: Option<Place>,
        wanted: &BTreeSet<u16>,
    ) -> Result<End, PrintError> {
        let mut ended = None;
        loop {
            let next = reader.read_next().map_err(|error| PrintError::Trail(Failure::not_so(error)))?;
            let Some(entry) = next else { return Ok(End::CaughtUp { ended }) };
            if to.is_some_and(|to| to.is_passed_by(&entry.frame)) {
                return Ok(End::Done);
            }
            let own_type = entry.frame.is_stele().then(|| entry.frame.template_id());
            ended = (own_type == Some(SessionEnd::TEMPLATE_ID)).then_some(entry.epoch);
            if wanted.is_empty() || own_type.is_some_and(|id| wanted.contains(&id)) {
                self.line.clear();
                self.describe(&entry);
                self.line.push('\n');
                self.out.write_all(self.line.as_bytes()).map_err(PrintError::Pipe)?;
            }
            if to.is_some_and(|to| to.ends_with(&entry.frame)) {
                return Ok(End::Done);
            }
        }
    }

    fn describe(&mut self, entry: &TrailEntry<'_>) {
        let foreign = self.schemas.find(&entry.frame);
        match self.format {
            Form::Text => push_line(&entry.frame, foreign, &mut self.line),
            Form::Json => push_json(entry, foreign, &mut self.line),
            Form::Csv => push_csv(&entry.frame, foreign, &mut self.headed, &mut self.line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::wanted_types;

    #[test]
    fn an_unknown_type_names_the_nearest() {
        let failure = wanted_types(&["NewOder".into()]).unwrap_err().to_string();
        assert!(failure.contains("did you mean `NewOrder`?"), "{failure}");
        assert_eq!(wanted_types(&["BookAdd".into()]).unwrap().into_iter().collect::<Vec<_>>(), [101]);
    }
}
