//! `stele publisher reset`: sets the number after which a publisher continues, as an event with who and why.

use super::controls::{Change, enter, print_entered};
use super::operator::{OperatedLog, on_log, only_log, reason};
use crate::cli::{PublisherArgs, PublisherCommand, PublisherResetArgs};
use crate::failure::{Failure, nearest};
use crate::people::different_people;
use std::collections::BTreeMap;
use stele_bus::RecordedNumbers;
use stele_bus::bounds::RESET_NUMBER_MAX;
use stele_wire::codec::text;
use stele_wire::messages::{Boolean, PublisherGrant, PublisherReset};
use zerocopy::little_endian::{U16, U32, U64};

/// The publishers of a log.
struct Publishers {
    /// Those in other processes. The others keep their own count.
    outside: BTreeMap<String, u16>,
    /// The last number of each publisher.
    numbers: BTreeMap<u16, u64>,
}

/// Carries out the act on a publisher.
///
/// # Errors
/// [`Failure`]: the publisher does not exist, or the reset was refused.
pub(crate) fn publisher(args: &PublisherArgs) -> Result<(), Failure> {
    let PublisherCommand::Reset(args) = &args.command;
    reset(args)
}

fn reset(args: &PublisherResetArgs) -> Result<(), Failure> {
    let change = &args.change;
    different_people(change.people.by, change.people.approved_by)?;
    let (code, why) = reason(&change.reason)?;
    if args.to > RESET_NUMBER_MAX {
        return Err(Failure::usage(format!("{} is too high for a number", args.to))
            .help(format!("give at most {RESET_NUMBER_MAX}")));
    }
    let log = only_log(change)?;
    let publishers = Publishers::read(&log)?;
    let id = publishers.id_of(&args.publisher, &log)?;
    let block = PublisherReset {
        new_number: U64::new(args.to),
        party: U32::new(change.people.by),
        approved_by: U32::new(change.people.approved_by.unwrap_or(0)),
        publisher: U16::new(id),
        reason: U16::new(code),
        ..PublisherReset::NULL
    };
    let place = on_log(change, &log);
    let encoded = Change::new(&block, &[why])?.referring_to(publishers.numbers);
    let entries = enter(&place, &encoded, &block, "stele publisher reset")?;
    print_entered(&place, entries, "reset")
}

impl Publishers {
    fn read(log: &OperatedLog) -> Result<Self, Failure> {
        let mut reader = super::open_trail(&log.trail)?;
        let (mut outside, mut numbers) = (BTreeMap::new(), RecordedNumbers::default());
        while let Some(entry) = reader.read_next().map_err(Failure::not_so)? {
            numbers.on_event(&entry.frame);
            if let Some(grant) = entry.frame.message::<PublisherGrant>()
                && grant.is_outside == Boolean::TRUE
            {
                outside.insert(text(&grant.name).to_owned(), grant.publisher.get());
            }
        }
        Ok(Self { outside, numbers: numbers.last })
    }

    /// The publisher with this name or number.
    fn id_of(&self, publisher: &str, log: &OperatedLog) -> Result<u16, Failure> {
        let numbered = || self.outside.values().find(|id| id.to_string() == publisher);
        self.outside.get(publisher).or_else(numbered).copied().ok_or_else(|| {
            let what = format!("{} has no publisher `{publisher}` of another process", log.name());
            match self.outside.is_empty() {
                true => Failure::usage(what).help("only a [[publisher]] that has submitted can be reset"),
                false => {
                    Failure::usage(what).help(nearest(publisher, self.outside.keys().map(String::as_str)))
                }
            }
        })
    }
}
