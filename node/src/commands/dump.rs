//! `stele dump`: the events of a trail, one a line.

use crate::cli::DumpArgs;
use crate::failure::{Failure, nearest};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write as _};
use stele_journal::{Entry, TrailReader};
use stele_wire::Sequence;
use stele_wire::layout::{Reading, Utc};
use stele_wire::messages::SCHEMA;
use stele_wire::{describe, messages};

/// Prints what `args` selects to standard output. A reader that closes the pipe has seen enough.
pub(crate) fn dump(args: &DumpArgs) -> Result<(), Failure> {
    let wanted = wanted_types(&args.types)?;
    let mut reader = super::open_trail(&args.trail)?;
    if let Some(from) = args.from.filter(|from| *from > 1) {
        reader.seek(Sequence(from)).map_err(Failure::environment)?;
    }
    let out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut printer = Printer { out, line: String::new(), format: Format::of(args), headed: BTreeSet::new() };
    let printed = printer.print_all(&mut reader, args.to, &wanted);
    let flushed = printer.out.flush().map_err(Stop::Pipe);
    match printed.and(flushed) {
        Ok(()) => Ok(()),
        Err(Stop::Pipe(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Stop::Pipe(error)) => Err(Failure::environment(format!("cannot print: {error}"))),
        Err(Stop::Trail(failure)) => Err(failure),
    }
}

/// The template ids of the named messages; all of them when none is named.
fn wanted_types(names: &[String]) -> Result<BTreeSet<u16>, Failure> {
    let id = |name: &String| {
        SCHEMA.message_named(name).map(|message| message.id).ok_or_else(|| {
            let known = SCHEMA.messages.iter().map(|message| &*message.name);
            Failure::usage(format!("no event is of type `{name}`")).help(nearest(name, known))
        })
    };
    names.iter().map(id).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Lines,
    Json,
    Csv,
}

impl Format {
    fn of(args: &DumpArgs) -> Self {
        match (args.json, args.csv) {
            (true, _) => Self::Json,
            (_, true) => Self::Csv,
            _ => Self::Lines,
        }
    }
}

enum Stop {
    Pipe(io::Error),
    Trail(Failure),
}

struct Printer<W> {
    out: W,
    line: String,
    format: Format,
    /// Types whose CSV header has been printed.
    headed: BTreeSet<u16>,
}

impl<W: io::Write> Printer<W> {
    fn print_all(
        &mut self,
        reader: &mut TrailReader,
        to: Option<u64>,
        wanted: &BTreeSet<u16>,
    ) -> Result<(), Stop> {
        loop {
            let next = reader.read_next().map_err(|error| Stop::Trail(Failure::not_so(error)))?;
            let Some(entry) = next.filter(|entry| to.is_none_or(|to| entry.frame.sequence().0 <= to)) else {
                return Ok(());
            };
            if wanted.is_empty() || wanted.contains(&entry.frame.template_id()) {
                self.line.clear();
                self.describe(&entry);
                self.line.push('\n');
                self.out.write_all(self.line.as_bytes()).map_err(Stop::Pipe)?;
            }
        }
    }

    /// Appends the event to the line, whatever state its message is in: what cannot be read is said.
    fn describe(&mut self, entry: &Entry<'_>) {
        let header = entry.frame.header();
        let known = header.schema_id.get() == messages::SCHEMA_ID;
        let (block_length, version) = (header.block_length.get(), header.schema_version.get());
        let reading = SCHEMA
            .read(header.template_id.get(), block_length, version, entry.frame.body())
            .ok()
            .filter(|_| known);
        let result = match (&reading, self.format) {
            (Some(reading), Format::Lines) => self.line_of(entry, reading),
            (Some(reading), Format::Json) => self.json_of(entry, reading),
            (Some(reading), Format::Csv) => self.csv_of(entry, reading),
            (None, Format::Lines) => self.unknown_line(entry),
            (None, Format::Json) => self.unknown_json(entry),
            (None, Format::Csv) => self.unknown_csv(entry),
        };
        if let Err(error) = result {
            let _ = write!(self.line, " [the rest is damaged: {error}]");
        }
    }

    fn line_of(&mut self, entry: &Entry<'_>, reading: &Reading<'_>) -> Result<(), String> {
        let (sequence, time) = (entry.frame.sequence(), Utc(entry.frame.timestamp().0));
        let _ = write!(self.line, "{sequence:>9} {time} ");
        describe::line(reading, &mut self.line).map_err(|error| error.to_string())
    }

    fn json_of(&mut self, entry: &Entry<'_>, reading: &Reading<'_>) -> Result<(), String> {
        let name = &reading.message().name;
        self.json_head(entry);
        let _ = write!(self.line, ",\"type\":\"{name}\",\"message\":");
        let described = describe::json(reading, &mut self.line).map_err(|error| error.to_string());
        self.line.push('}');
        described
    }

    fn csv_of(&mut self, entry: &Entry<'_>, reading: &Reading<'_>) -> Result<(), String> {
        if self.headed.insert(reading.message().id) {
            self.line.push_str("sequence,timestamp,type,");
            let _ = describe::csv_columns(reading.message(), &mut self.line);
            self.line.push('\n');
        }
        let frame = &entry.frame;
        let _ = write!(self.line, "{},{},{},", frame.sequence(), frame.timestamp(), reading.message().name);
        describe::csv_row(reading, &mut self.line).map_err(|error| error.to_string())
    }

    fn json_head(&mut self, entry: &Entry<'_>) {
        let (sequence, time) = (entry.frame.sequence(), entry.frame.timestamp());
        let (epoch, position) = (entry.epoch, entry.position);
        let _ = write!(
            self.line,
            "{{\"sequence\":{sequence},\"timestamp\":{time},\"epoch\":{epoch},\"position\":{position}"
        );
    }

    fn unknown_line(&mut self, entry: &Entry<'_>) -> Result<(), String> {
        let header = entry.frame.header();
        let (sequence, time) = (entry.frame.sequence(), Utc(entry.frame.timestamp().0));
        let _ = write!(
            self.line,
            "{sequence:>9} {time} template {} of schema {}",
            header.template_id, header.schema_id
        );
        Ok(())
    }

    fn unknown_json(&mut self, entry: &Entry<'_>) -> Result<(), String> {
        let header = entry.frame.header();
        self.json_head(entry);
        let _ =
            write!(self.line, ",\"templateId\":{},\"schemaId\":{}}}", header.template_id, header.schema_id);
        Ok(())
    }

    fn unknown_csv(&mut self, entry: &Entry<'_>) -> Result<(), String> {
        let (sequence, time) = (entry.frame.sequence(), entry.frame.timestamp());
        let _ = write!(self.line, "{sequence},{time},template {}", entry.frame.template_id());
        Ok(())
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
