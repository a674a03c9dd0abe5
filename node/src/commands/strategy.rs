//! `stele strategy`: pauses, resumes and re-parameterises a strategy while it runs.
//!
//! A command is checked against the trail before it is logged, by the code with which the strategy host
//! applies it. Between the check and the log another operator's command may come first: what became of this
//! one is read from the trail afterwards.

use super::controls::{Change, Entries, enter};
use super::operator::{OperatedLog, logs, on_log, reason};
use crate::cli::{ChangeArgs, StrategyArgs, StrategyCommand as Command};
use crate::failure::{Failure, nearest};
use crate::people::different_people;
use serde::Serialize;
use stele_replay::{Controls, TrailStrategy};
use stele_strategies::{IgnoredCommand, ParameterError, Parameters, Registry, Standing};
use stele_wire::codec::View;
use stele_wire::messages::{SCHEMA_VERSION, StrategyAct, StrategyCommand};
use zerocopy::little_endian::{U16, U32, U64};

/// The strategy that a command is for.
struct Found {
    log: OperatedLog,
    controls: Controls,
    id: u16,
    standing: Standing,
}

#[derive(Serialize)]
struct StrategyReport<'a> {
    strategy: u16,
    name: &'a str,
    act: &'static str,
    #[serde(flatten)]
    entries: Entries,
    /// What changed: name, value before and value now.
    parameters: Vec<Changed>,
}

#[derive(Serialize)]
struct Changed {
    name: String,
    before: String,
    now: String,
}

/// Carries out the act and prints what became of it.
///
/// # Errors
/// [`Failure`]: the strategy does not exist, or the act does not apply to it.
pub(crate) fn strategy(args: &StrategyArgs, strategies: &Registry) -> Result<(), Failure> {
    let (act, name, pairs, change) = match &args.command {
        Command::Pause(args) => (StrategyAct::PAUSE, &args.strategy, &[][..], &args.change),
        Command::Resume(args) => (StrategyAct::RESUME, &args.strategy, &[][..], &args.change),
        Command::Set(args) => {
            (StrategyAct::SET_PARAMETERS, &args.strategy, &args.parameters[..], &args.change)
        }
    };
    different_people(change.people.by, change.people.approved_by)?;
    let (code, why) = reason(&change.reason)?;
    let found = find(name, change, strategies)?;
    let sets = act == StrategyAct::SET_PARAMETERS;
    let (parameters, changed) = if sets { wanted(&found, pairs, strategies)? } else { Default::default() };
    let block = StrategyCommand {
        strategy: U16::new(found.id),
        reason: U16::new(code),
        party: U32::new(change.people.by),
        approved_by: U32::new(change.people.approved_by.unwrap_or(0)),
        act,
        previous: U64::new(if sets { found.standing.parameters_at.0 } else { 0 }),
        ..StrategyCommand::NULL
    };
    let place = on_log(change, &found.log);
    let encoded = Change::new(&block, &[&parameters, why])?;
    let view = View::<StrategyCommand>::read(StrategyCommand::BLOCK_LENGTH, SCHEMA_VERSION, encoded.body())
        .expect("the block was just written");
    found.controls.check(&view).map_err(|why| found.refusal(&why, strategies))?;
    let entries = enter(&place, &encoded, &block, "stele strategy")?;
    found.confirm(act, &parameters, &entries, strategies)?;
    print(change, &found, act, entries, changed)
}

/// Returns the strategy with this name or number on the chosen logs.
fn find(name: &str, args: &ChangeArgs, strategies: &Registry) -> Result<Found, Failure> {
    let (mut found, mut places, mut known) = (None, Vec::new(), Vec::new());
    for log in logs(args)? {
        let controls = log.controls(strategies)?;
        // On a running bus, only those of this session can be changed.
        let is_there = |strategy: &TrailStrategy| log.shard.is_none() || strategy.is_defined;
        let mut of_log = None;
        for (id, TrailStrategy { standing, .. }) in controls.strategies().filter(|(_, it)| is_there(it)) {
            known.push((id, standing.name.clone()));
            if standing.name == name || name.parse() == Ok(id) {
                places.push(format!("{id} on {}", log.name()));
                of_log = Some((id, standing.clone()));
            }
        }
        if let Some((id, standing)) = of_log {
            found = Some(Found { log, controls, id, standing });
        }
    }
    match found {
        Some(found) if places.len() == 1 => Ok(found),
        Some(_) => {
            let what = format!("`{name}` is the name of several strategies: {}", places.join(", "));
            Err(Failure::usage(what).help("give its number, and its shard with --shard"))
        }
        None => Err(unknown(name, &known)),
    }
}

fn unknown(name: &str, known: &[(u16, String)]) -> Failure {
    let what = format!("there is no strategy `{name}`");
    if known.is_empty() {
        return Failure::usage(what).help(
            "none is defined: `stele run --strategy NAME`, or [[strategy]] in a configuration, starts one",
        );
    }
    let listed: Vec<String> = known.iter().map(|(id, name)| format!("{id} {name}")).collect();
    let meant = nearest(name, known.iter().map(|(_, name)| name.as_str()));
    Failure::usage(what).help(format!("{meant} The defined ones: {}", listed.join(", ")))
}

/// Returns the complete parameters that the strategy would run with, and what they change.
fn wanted(found: &Found, pairs: &[String], strategies: &Registry) -> Result<(String, Vec<Changed>), Failure> {
    let kind = strategies.find(&found.standing.name).map_err(|unknown| {
        Failure::usage(unknown).help("run the command with the program that has the strategy")
    })?;
    let wrong = |error: ParameterError| {
        Failure::usage(format!("{}: {error}", kind.name)).help(kind.describe().trim_end())
    };
    let before = Parameters::from_toml(kind.parameters, &found.standing.parameters).map_err(wrong)?;
    let mut wanted = before.clone();
    pairs.iter().try_for_each(|pair| wanted.merge_pair(pair)).map_err(wrong)?;
    let (before, wanted) = (before.to_toml(), wanted.to_toml());
    let changed: Vec<Changed> = before
        .lines()
        .zip(wanted.lines())
        .filter(|(before, now)| before != now)
        .filter_map(|(before, now)| {
            let ((name, before), (_, now)) = (before.split_once(" = ")?, now.split_once(" = ")?);
            Some(Changed { name: name.into(), before: before.into(), now: now.into() })
        })
        .collect();
    match changed.is_empty() {
        true => Err(Failure::not_so(format!("{} runs with these parameters already", found.name()))
            .help(format!("they were set by event {}", found.standing.parameters_at))),
        false => Ok((wanted, changed)),
    }
}

impl Found {
    /// Returns the strategy, for messages.
    fn name(&self) -> String {
        format!("strategy {} ({}) on {}", self.id, self.standing.name, self.log.name())
    }

    /// Returns why the command was not logged, and what the operator can do.
    fn refusal(&self, why: &IgnoredCommand, strategies: &Registry) -> Failure {
        let what = format!("{} was not changed: {why}", self.name());
        match why {
            IgnoredCommand::Parameters(_) => {
                let kind = strategies.find(&self.standing.name);
                let help = kind.map_or_else(|unknown| unknown.to_string(), |kind| kind.describe());
                Failure::usage(what).help(help.trim_end())
            }
            IgnoredCommand::Paused { .. } => {
                Failure::not_so(what).help("`stele strategy resume` ends the pause")
            }
            IgnoredCommand::NotPaused => Failure::not_so(what).help("`stele strategy pause` pauses it"),
            IgnoredCommand::Failed => {
                Failure::not_so(what).help("`stele dump --type KillSwitch` shows why; restart the run")
            }
            IgnoredCommand::Superseded { .. } | IgnoredCommand::UnknownAct { .. } => {
                Failure::not_so(what).help("give the command again")
            }
        }
    }

    /// Reads the log again: another operator's command may have come between the check and this one.
    fn confirm(
        &self,
        act: StrategyAct,
        parameters: &str,
        entries: &Entries,
        strategies: &Registry,
    ) -> Result<(), Failure> {
        let controls = self.log.controls(strategies)?;
        let now =
            controls.strategies().find(|(id, _)| *id == self.id).map(|(_, strategy)| &strategy.standing);
        let has_applied = now.is_some_and(|now| match act {
            StrategyAct::PAUSE => now.paused_at.is_some(),
            StrategyAct::RESUME => now.paused_at.is_none(),
            _ => now.parameters == parameters,
        });
        if has_applied {
            return Ok(());
        }
        Err(Failure::not_so(format!(
            "{} was not changed: another command came first, and event {} does not apply",
            self.name(),
            entries.sequence()
        ))
        .help("`stele dump --type StrategyCommand` shows both; give the command again if it is still wanted"))
    }
}

fn print(
    args: &ChangeArgs,
    found: &Found,
    act: StrategyAct,
    entries: Entries,
    parameters: Vec<Changed>,
) -> Result<(), Failure> {
    let (act, done) = match act {
        StrategyAct::PAUSE => ("pause", "paused"),
        StrategyAct::RESUME => ("resume", "resumed"),
        _ => ("set", "set parameters of"),
    };
    if args.output.json {
        let (strategy, name) = (found.id, found.standing.name.as_str());
        return super::print_json(&StrategyReport { strategy, name, act, entries, parameters });
    }
    let what = format!("{done} strategy {} ({})", found.id, found.standing.name);
    let mut page = entries.page(&what, args.people.by);
    for Changed { name, before, now } in &parameters {
        page += &format!("  {name} = {now} (was {before})\n");
    }
    super::print_page(&page)
}
