//! `stele check-strategy`: replays the recorded events to the recorded strategies and compares their orders
//! with the recorded ones.

use crate::access::{Access, WithAccess, record};
use crate::cli::ReportArgs;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::trails::{OfShard, OfShards, ShardTrail, first_failure, shard_trails};
use serde::Serialize;
use std::path::Path;
use stele_replay::divergence::{CheckError, DivergenceReport, check};
use stele_strategies::Registry;
use stele_wire::messages::AccessKind;

#[derive(Serialize)]
struct Outcome {
    equal: bool,
    events: u64,
    from_sequence: u64,
    ended_in_order: bool,
    strategies: Vec<StrategyOutcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<String>,
}

#[derive(Serialize)]
struct StrategyOutcome {
    strategy: u16,
    name: String,
    orders: u64,
    timers: u64,
    alerts: u64,
    refused: u64,
    in_flight: u64,
}

/// Prints the comparison for the trail, or for the trail of each shard.
///
/// # Errors
/// [`Failure`]: not so if a strategy's orders differ from those on the trail.
pub(crate) fn check_strategy(args: &ReportArgs, strategies: &Registry) -> Result<(), Failure> {
    let shards = shard_trails(&args.read.trail);
    if shards.is_empty() {
        let outcome = check_one(args, &args.read.trail, strategies)?;
        if args.output.json {
            super::print_json(&outcome)?;
        } else {
            super::print_page(&format!("{}{}\n", outcome.said.page(), outcome.access))?;
        }
        return outcome.said.result();
    }
    let (mut all, mut failures) = (Vec::new(), Vec::new());
    for ShardTrail { shard, path } in shards {
        match check_one(args, &path, strategies) {
            Ok(outcome) => {
                if !args.output.json {
                    let page = outcome.said.page();
                    super::print_page(&format!("shard {shard}: {page}{}\n", outcome.access))?;
                }
                failures.extend(outcome.said.result().err().map(|failure| (shard, failure)));
                all.push(OfShard { shard, said: outcome });
            }
            Err(failure) => failures.push((shard, failure)),
        }
    }
    if args.output.json {
        super::print_json(&OfShards { shards: all })?;
    }
    first_failure(failures)
}

fn check_one(args: &ReportArgs, trail: &Path, strategies: &Registry) -> Result<WithAccess<Outcome>, Failure> {
    let reader = super::open_trail(trail)?;
    let access =
        record(&args.read.access, &Access { trail, kind: AccessKind::REPLAY, from: 0, to: 0 }, &reader)?;
    drop(reader);
    let progress = Progress::new("checking", "events", None);
    let checked = check(trail, strategies.clone(), |sequence| progress.set(sequence));
    drop(progress);
    let checked = checked.inspect_err(|_| access.print()).map_err(|error| match error {
        CheckError::Trail(error) => Failure::not_so(error).help("`stele verify` shows what is intact"),
        CheckError::Strategies(error) => Failure::usage(error),
        CheckError::NoBeginning(error) => Failure::not_so(error),
    })?;
    Ok(WithAccess { said: Outcome::from(&checked), access })
}

impl From<&DivergenceReport> for Outcome {
    fn from(checked: &DivergenceReport) -> Self {
        let strategies = checked.strategies.iter().map(|(strategy, name, tally)| StrategyOutcome {
            strategy: *strategy,
            name: name.clone(),
            orders: tally.orders,
            timers: tally.timers,
            alerts: tally.alerts,
            refused: tally.refused,
            in_flight: tally.in_flight,
        });
        Self {
            equal: checked.is_equal(),
            events: checked.events,
            from_sequence: checked.from_sequence,
            ended_in_order: checked.has_ended,
            strategies: strategies.collect(),
            difference: checked.difference.as_ref().map(ToString::to_string),
        }
    }
}

impl Outcome {
    fn result(&self) -> Result<(), Failure> {
        match &self.difference {
            None => Ok(()),
            Some(difference) => Err(Failure::not_so(difference)
                .help("the trail or the strategy has changed since: compare the binary hashes that `stele dump --type SessionStart` \
                       prints")),
        }
    }

    fn page(&self) -> String {
        let mut page = format!("replayed {} events to {} strategies\n", self.events, self.strategies.len());
        if self.from_sequence > 1 {
            page += &format!(
                "  from sequence {} on, starting from a snapshot: earlier events have expired\n",
                self.from_sequence
            );
        }
        for strategy in &self.strategies {
            let StrategyOutcome { strategy: id, name, orders, timers, alerts, refused, in_flight } = strategy;
            let compared = if self.equal { "all match" } else { "compared" };
            page += &format!(
                "  {id} {name}: {orders} orders and cancels, {timers} timers, {alerts} alerts, {refused} refused: {compared}\n"
            );
            if *in_flight > 0 {
                page +=
                    &format!("    and {in_flight} more that were in flight when an epoch was cut short\n");
            }
        }
        if self.equal {
            page += "equal: the strategies send the recorded orders\n";
        }
        page
    }
}
