//! `stele publisher reset`: sets the number after which a publisher continues, recorded as an event.

use super::controls::{Change, enter, print_entered};
use crate::cli::{PublisherArgs, PublisherCommand, PublisherResetArgs};
use crate::failure::{Failure, nearest};
use crate::people::different_people;
use std::collections::BTreeMap;
use std::path::Path;
use stele_bus::bounds::RESET_NUMBER_MAX;
use stele_bus::counters::table;
use stele_bus::{CounterReader, FoundBus, RecordedNumbers};
use stele_journal::TrailReader;
use stele_wire::codec::text;
use stele_wire::messages::{Check, PublisherGrant, PublisherReset};
use zerocopy::little_endian::{U16, U32, U64};

/// Publishers by name, with the number of each.
type Names = BTreeMap<String, u16>;

/// Does what was asked of a publisher.
pub(crate) fn publisher(args: &PublisherArgs) -> Result<(), Failure> {
    let PublisherCommand::Reset(args) = &args.command;
    reset(args)
}

fn reset(args: &PublisherResetArgs) -> Result<(), Failure> {
    let change = &args.change;
    different_people(change.people.by, change.people.approved_by)?;
    if change.reason.is_empty() {
        return Err(Failure::usage("a reset needs a reason").help("give --reason TEXT"));
    }
    if args.to > RESET_NUMBER_MAX {
        return Err(Failure::usage(format!("{} is too high for a number", args.to))
            .help(format!("give at most {RESET_NUMBER_MAX}")));
    }
    let (names, numbers) = match &change.trail {
        Some(trail) => recorded(trail)?,
        None => (running(change.bus.as_deref())?, BTreeMap::new()),
    };
    let id = id_of(&args.publisher, &names)?;
    if change.trail.is_some() && !numbers.contains_key(&id) {
        return Err(Failure::usage(format!("the trail has no number of publisher {id}")));
    }
    let block = PublisherReset {
        new_number: U64::new(args.to),
        party: U32::new(change.people.by),
        approved_by: U32::new(change.people.approved_by.unwrap_or(0)),
        publisher: U16::new(id),
        ..PublisherReset::NULL
    };
    let encoded = Change::new(&block, Some(&change.reason), change, Check::DUPLICATE)?;
    let entered = enter(change, &encoded, &block, "stele publisher reset", numbers)?;
    print_entered(change, entered, "reset")
}

/// The publisher that is named, or numbered.
fn id_of(publisher: &str, names: &Names) -> Result<u16, Failure> {
    if let Some(id) = names.get(publisher).copied().or_else(|| publisher.parse().ok()) {
        return Ok(id);
    }
    let help = nearest(publisher, names.keys().map(String::as_str));
    Err(Failure::usage(format!("there is no publisher `{publisher}`")).help(help))
}

/// The publishers of a running bus, as its counters name them.
fn running(bus: Option<&str>) -> Result<Names, Failure> {
    let bus = FoundBus::find(bus).map_err(|error| {
        Failure::environment(error).help("to change a stopped trail instead, give --trail DIR")
    })?;
    let counters = CounterReader::open(&bus.counters()).map_err(Failure::environment)?;
    let queues = counters.readings().filter(|reading| reading.definition.id == table::QUEUE_LENGTH.id);
    Ok(queues.map(|queue| (queue.label.clone(), queue.instance)).collect())
}

/// The publishers of a trail, and the last number of each.
fn recorded(trail: &Path) -> Result<(Names, BTreeMap<u16, u64>), Failure> {
    let mut reader = TrailReader::open(trail).map_err(Failure::environment)?;
    let (mut names, mut numbers) = (Names::new(), RecordedNumbers::default());
    while let Some(entry) = reader.read_next().map_err(Failure::environment)? {
        numbers.on_event(&entry.frame);
        if let Some(grant) = entry.frame.message::<PublisherGrant>() {
            names.insert(text(&grant.name).to_owned(), grant.publisher.get());
        }
    }
    Ok((names, numbers.last))
}
