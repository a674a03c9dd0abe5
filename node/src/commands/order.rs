//! `stele order cancel`: cancels one working order, as an event with who and why.

use super::controls::{Change, Entries, enter};
use super::operator::{OperatedLog, on_log, only_log, reason};
use crate::cli::{ChangeArgs, OrderArgs, OrderCancelArgs, OrderCommand, PeopleArgs};
use crate::failure::Failure;
use crate::people::different_people;
use serde::Serialize;
use std::thread::sleep;
use std::time::{Duration, Instant};
use stele_journal::TrailReader;
use stele_strategies::Registry;
use stele_wire::Sequence;
use stele_wire::messages::{CancelOrder, NewOrder, OperatorCancel, Quote, ReplaceOrder, message_name};
use zerocopy::little_endian::{U16, U32, U64};

/// How long the sequencer may take to log the cancel.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause between two looks at the log.
const NAP: Duration = Duration::from_millis(2);

#[derive(Serialize)]
struct CancelReport {
    order: u64,
    #[serde(flatten)]
    entries: Entries,
    /// The sequence of the cancel that was sent to the venue; none where the order was done before.
    cancel: Option<u64>,
}

/// Carries out the act on an order.
///
/// # Errors
/// [`Failure`]: the order does not exist, or does not work any more.
pub(crate) fn order(args: &OrderArgs, strategies: &Registry) -> Result<(), Failure> {
    let OrderCommand::Cancel(args) = &args.command;
    cancel(args, strategies)
}

fn cancel(args: &OrderCancelArgs, strategies: &Registry) -> Result<(), Failure> {
    different_people(args.by, args.approved_by)?;
    let (code, why) = reason(&args.reason)?;
    let change = ChangeArgs {
        people: PeopleArgs { by: args.by, approved_by: args.approved_by },
        reason: args.reason.clone(),
        bus: args.bus.clone(),
        shard: args.shard,
        trail: None,
        output: args.output,
    };
    let log = only_log(&change)?;
    check_order(&log, args.sequence)?;
    let before = check_working(&log, args.sequence, strategies)?;
    let block = OperatorCancel {
        order_sequence: U64::new(args.sequence),
        party: U32::new(args.by),
        approved_by: U32::new(args.approved_by.unwrap_or(0)),
        reason: U16::new(code),
        ..OperatorCancel::NULL
    };
    let place = on_log(&change, &log);
    let encoded = Change::new(&block, &[why])?;
    let entries = enter(&place, &encoded, &block, "stele order cancel")?;
    let cancel = follow(&log, args.sequence, before, strategies)?;
    print(args, entries, cancel)
}

/// Checks that the event is an order.
fn check_order(log: &OperatedLog, sequence: u64) -> Result<(), Failure> {
    let mut reader = super::open_trail(&log.trail)?;
    let missing = || Failure::usage(format!("{} has no event {sequence}", log.name()));
    reader.seek(Sequence(sequence)).map_err(|_| missing())?;
    let entry = reader.read_next().map_err(Failure::not_so)?.ok_or_else(missing)?;
    let template = entry.frame.template_id();
    let orders = [NewOrder::TEMPLATE_ID, ReplaceOrder::TEMPLATE_ID, Quote::TEMPLATE_ID];
    if entry.frame.is_stele() && orders.contains(&template) {
        return Ok(());
    }
    let what = message_name(template).unwrap_or("message of another schema");
    Err(Failure::usage(format!("event {sequence} of {} is not an order but a {what}", log.name()))
        .help("`stele dump --type NewOrder` lists the orders of a trail, with their sequences"))
}

/// Checks that the order works. Returns the sequence of the last event that says so.
fn check_working(log: &OperatedLog, sequence: u64, strategies: &Registry) -> Result<u64, Failure> {
    let controls = log.controls(strategies)?;
    let last = controls.last_sequence();
    match controls.into_open_orders().iter().any(|order| order.sequence == sequence) {
        true => Ok(last),
        false => {
            let help = format!(
                "`stele dump --from {sequence}` shows what became of it; a replaced order works under the sequence of \
                 its replacement"
            );
            Err(Failure::not_so(format!("order {sequence} does not work any more")).help(help))
        }
    }
}

/// Reads the log after event `before` until the cancel of the order is on it. Returns its sequence; none
/// where the order was done before.
fn follow(
    log: &OperatedLog,
    sequence: u64,
    before: u64,
    strategies: &Registry,
) -> Result<Option<u64>, Failure> {
    let since = Instant::now();
    let mut reader = TrailReader::open(&log.trail).map_err(Failure::environment)?;
    reader.seek(Sequence(before + 1)).map_err(Failure::not_so)?;
    let mut request = None;
    loop {
        while let Some(entry) = reader.read_next().map_err(Failure::not_so)? {
            let (frame, at) = (entry.frame, entry.frame.sequence().0);
            if let Some(asked) = frame.message::<OperatorCancel>()
                && asked.order_sequence.get() == sequence
            {
                request.get_or_insert(at);
            }
            if let Some(cancel) = frame.message::<CancelOrder>()
                && Some(cancel.cause.get()) == request
            {
                return Ok(Some(at));
            }
        }
        let is_done = || -> Result<bool, Failure> {
            let open = log.controls(strategies)?.into_open_orders();
            Ok(open.iter().all(|order| order.sequence != sequence))
        };
        if since.elapsed() > PATIENCE {
            if is_done()? {
                return Ok(None);
            }
            let what = format!("the cancel of order {sequence} did not follow within {PATIENCE:?}");
            return Err(Failure::not_so(what).help("`stele kill-switch` cancels every order of a scope"));
        }
        sleep(NAP);
    }
}

fn print(args: &OrderCancelArgs, entries: Entries, cancel: Option<u64>) -> Result<(), Failure> {
    let order = args.sequence;
    if args.output.json {
        return super::print_json(&CancelReport { order, entries, cancel });
    }
    let what = format!("cancel of order {order} requested");
    let mut page = entries.page(&what, args.by);
    page += &match cancel {
        Some(cancel) => format!("  the cancel is event {cancel}\n"),
        None => "  the order was done before\n".to_owned(),
    };
    super::print_page(&page)
}
