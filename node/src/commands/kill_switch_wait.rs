//! `stele kill-switch --wait`: follows the log until nothing works in the scope of a switch, and reports what
//! became of each order (RTS 6 Art. 12).

use super::controls::Entries;
use crate::cli::KillSwitchArgs;
use crate::failure::Failure;
use crate::running_bus::BusShard;
use crate::signals::StopRequest;
use serde::Serialize;
use std::fmt;
use std::time::{Duration, Instant};
use stele_bus::WriterState;
use stele_journal::{CatchUp, TrailReader};
use stele_venue::{KilledOrder, KilledOrders, OrderEnd};
use stele_wire::Position;
use stele_wire::Sequence;
use stele_wire::messages::{CancelScope, Side};

/// The maximum number of events of one poll.
const EVENTS_PER_POLL: usize = 4096;
/// The pause between two polls that found nothing.
const NAP: Duration = Duration::from_millis(2);
/// Empty polls after which nothing more can come from a writer that has ended.
const LAST_POLLS: usize = 4;
/// How often the state of the writer's process is checked.
const WRITER_INTERVAL: Duration = Duration::from_millis(100);

/// What became of the orders in the scope on one shard.
#[derive(Serialize)]
pub(super) struct KilledReport {
    shard: u32,
    /// How many may still be executed.
    working: usize,
    orders: Vec<KilledLine>,
    /// Why not every order has an end, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    unfinished: Option<&'static str>,
}

/// One order and what became of it.
#[derive(Serialize)]
struct KilledLine {
    sequence: u64,
    strategy: u16,
    account: u32,
    instrument: u32,
    client_order_id: u64,
    side: String,
    /// `working`, `dropped`, `cancelled`, `filled`, `rejected`, `expired` or `replaced`.
    end: &'static str,
    /// The event that says so.
    end_sequence: Option<u64>,
    /// The order that replaced it.
    replaced_by: Option<u64>,
    /// Whether it left the host, where the log says so.
    has_left: Option<bool>,
    executed: u64,
    executed_since: u64,
}

impl KilledReport {
    /// Whether nothing works any more.
    pub(super) fn is_done(&self) -> bool {
        self.unfinished.is_none()
    }
}

/// A switch that was engaged on a shard: its scope and the sequence of its event.
pub(super) struct Engaged {
    pub(super) scope: CancelScope,
    pub(super) id: u32,
    pub(super) sequence: Sequence,
}

/// The entries of a switch, and what became of the orders in its scope.
#[derive(Serialize)]
struct Waited<'a> {
    #[serde(flatten)]
    entries: &'a Entries,
    killed: &'a [KilledReport],
}

/// Prints both. `what` says what was done to the switch.
///
/// # Errors
/// [`Failure`]: an order may still be executed, or the output cannot be written.
pub(super) fn print(
    entries: &Entries,
    killed: Vec<KilledReport>,
    what: &str,
    args: &KillSwitchArgs,
) -> Result<(), Failure> {
    let change = &args.change;
    if change.output.json {
        super::print_json(&Waited { entries, killed: &killed })?;
    } else {
        let orders: String = killed.iter().map(KilledReport::to_string).collect();
        super::print_page(&(entries.page(what, change.people.by) + &orders))?;
    }
    match killed.iter().all(KilledReport::is_done) {
        true => Ok(()),
        false => Err(Failure::not_so("orders in the scope of the switch may still work")),
    }
}

/// Follows the log of `shard` until nothing works in the scope of the switch, or a signal asks for the end,
/// or the writer ends.
///
/// # Errors
/// [`Failure`]: the log cannot be read.
pub(super) fn wait(shard: &BusShard, switch: &Engaged, stop: &StopRequest) -> Result<KilledReport, Failure> {
    let (ring, trail, number) = (shard.ring()?, shard.door.trail(shard.number()), shard.number());
    let mut oldest = TrailReader::over(trail.clone()).map_err(Failure::not_so)?;
    // What was removed from the trail was not open any more.
    let oldest = oldest.read_next().map_err(Failure::not_so)?;
    let first = oldest.map_or(Sequence(1), |entry| entry.frame.sequence());
    let mut log = CatchUp::from_over(&ring, trail, first);
    let mut killed = KilledOrders::new(switch.scope, switch.id, switch.sequence);
    let (mut end, mut checked) = (Position(0), Instant::now());
    let (mut has_ended, mut idle) = (false, 0);
    let unfinished = loop {
        let polled = log.poll(EVENTS_PER_POLL, |event| {
            end = event.end();
            killed.on_event(&event.frame());
        });
        if polled.map_err(Failure::not_so)? > 0 {
            idle = 0;
            continue;
        }
        idle += 1;
        if killed.is_done() && ring.watermarks().durable() >= end {
            break None;
        }
        if stop.is_asked() {
            break Some("the wait was interrupted");
        }
        if has_ended && idle >= LAST_POLLS {
            break Some("the bus has ended");
        }
        if !has_ended && checked.elapsed() >= WRITER_INTERVAL {
            (checked, idle) = (Instant::now(), 0);
            has_ended = ring.writer_state() != WriterState::Running;
        }
        std::thread::sleep(NAP);
    };
    let orders = killed.orders().iter().map(KilledLine::of).collect();
    Ok(KilledReport { shard: number, working: killed.working(), orders, unfinished })
}

impl KilledLine {
    fn of(order: &KilledOrder) -> Self {
        let (end, replaced_by) = match order.end.map(|(end, _)| end) {
            None => ("working", None),
            Some(OrderEnd::Dropped) => ("dropped", None),
            Some(OrderEnd::Cancelled) => ("cancelled", None),
            Some(OrderEnd::Filled) => ("filled", None),
            Some(OrderEnd::Rejected) => ("rejected", None),
            Some(OrderEnd::Expired) => ("expired", None),
            Some(OrderEnd::Replaced(by)) => ("replaced", Some(by.0)),
        };
        Self {
            sequence: order.sequence.0,
            strategy: order.strategy,
            account: order.account,
            instrument: order.instrument,
            client_order_id: order.client_order_id,
            side: match order.side {
                Side::BUY => "buy".to_owned(),
                Side::SELL => "sell".to_owned(),
                _ => "quote".to_owned(),
            },
            end,
            end_sequence: order.end.map(|(_, event)| event.0),
            replaced_by,
            has_left: order.has_left,
            executed: order.cumulative,
            executed_since: order.filled_since,
        }
    }
}

impl fmt::Display for KilledReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.orders {
            writeln!(f, "{line}")?;
        }
        let ended = self.orders.len() - self.working;
        match self.unfinished {
            None => writeln!(f, "shard {}: nothing works; {ended} orders ended", self.shard),
            Some(why) => {
                let Self { shard, working, .. } = self;
                writeln!(f, "shard {shard}: {why}; {working} orders may still work, {ended} ended")
            }
        }
    }
}

impl fmt::Display for KilledLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, strategy, account, instrument, side, end, .. } = self;
        write!(
            f,
            "order {sequence} ({side}, strategy {strategy}, account {account}, instrument {instrument}): {end}"
        )?;
        if let Some(by) = self.replaced_by {
            write!(f, " by order {by}")?;
        }
        if let Some(at) = self.end_sequence {
            write!(f, " at sequence {at}")?;
        }
        if self.executed > 0 {
            write!(f, "; executed {}, of which {} after the switch", self.executed, self.executed_since)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(end: Option<(OrderEnd, Sequence)>) -> KilledOrder {
        KilledOrder {
            sequence: Sequence(41),
            strategy: 1,
            account: 2,
            instrument: 3,
            client_order_id: 4,
            side: Side::BUY,
            cumulative: 5,
            filled_since: 2,
            end,
            has_left: Some(true),
        }
    }

    #[test]
    fn each_order_is_one_line_with_its_end_and_what_was_executed() {
        let line = KilledLine::of(&order(Some((OrderEnd::Cancelled, Sequence(50)))));
        let expected = "order 41 (buy, strategy 1, account 2, instrument 3): cancelled at sequence 50; \
                        executed 5, of which 2 after the switch";
        assert_eq!(line.to_string(), expected);
        let line = KilledLine::of(&order(Some((OrderEnd::Replaced(Sequence(44)), Sequence(50)))));
        assert!(line.to_string().contains("replaced by order 44 at sequence 50"));
    }

    #[test]
    fn a_wait_that_did_not_finish_says_why_and_what_may_still_work() {
        let orders = vec![KilledLine::of(&order(None))];
        let report = KilledReport { shard: 0, working: 1, orders, unfinished: Some("the bus has ended") };
        assert!(!report.is_done());
        assert!(report.to_string().ends_with("the bus has ended; 1 orders may still work, 0 ended\n"));
    }
}
