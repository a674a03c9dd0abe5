//! The strategies of a trail, run again over its events: what they send, held against what the trail has.
//!
//! Pure: it is fed every event of a trail, in order, and does no I/O. Both the check of a trail
//! ([`crate::divergence`]) and the restart over one ([`crate::resume`]) are this engine.
//!
//! What a strategy sends is compared with the trail one by one, for each strategy in its own order, as bytes:
//! template, cause and body. The body is compared whole. Its publisher sequence is the strategy host's own count
//! and follows from the events as everything else does; only a submission that an earlier epoch left unsent may
//! carry another one, as it is submitted anew.
//!
//! An order that the sequencer refused (risk, or no room) is on the trail as a `RefusedOrder`, which is compared in the
//! same way, and an `OrderRejected` of no sequenced order, which is compared by its client order id. Cancels that the
//! sequencer sends for a kill switch are nobody's.
//!
//! Numbers of a publisher only grow, across epochs. Trails of earlier programs begin anew with each epoch: all that
//! counts is that they run on one by one from the first in the epoch.

mod state;

use crate::difference::{Difference, DifferenceKind, Recorded, compare};
use crate::submission::Submission;
use std::collections::{BTreeMap, VecDeque};
use stele_strategies::parameters::ParameterError;
use stele_strategies::registry::{Registry, UnknownStrategy};
use stele_strategies::{Host, OrderSink};
use stele_wire::Frame;
use stele_wire::codec::text;
use stele_wire::messages::{
    Alert, Boolean, CancelOrder, CancelScope, KillSwitch, MassCancel, NewOrder, OrderRejected,
    PublisherProgress, RefusedOrder, ReplaceOrder, SessionEnd, SessionStart, StrategyDefinition, TimerSet,
};
use zerocopy::FromBytes;

/// Why a trail's strategies cannot be run again.
#[derive(Debug, thiserror::Error)]
pub enum RegenerationError {
    /// The trail defines a strategy that this program does not have.
    #[error(
        "event {sequence} defines strategy {strategy}, which this program does not have: {source}; check the trail \
         with the program that wrote it"
    )]
    UnknownStrategy {
        /// Where it is defined.
        sequence: u64,
        /// Its number.
        strategy: u16,
        /// What there is instead.
        source: UnknownStrategy,
    },
    /// The trail defines a strategy with parameters that this program's does not take.
    #[error(
        "event {sequence} defines strategy {strategy} ({name}) with parameters that this program does not take: \
         {source}; check the trail with the program that wrote it"
    )]
    Parameters {
        /// Where it is defined.
        sequence: u64,
        /// Its number.
        strategy: u16,
        /// Its kind.
        name: String,
        /// What is wrong with them.
        source: ParameterError,
    },
}

/// How one strategy's submissions compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// New orders, replacements, cancels and mass cancels on the trail that the strategy sent again.
    pub orders: u64,
    /// Timers on the trail that the strategy set again.
    pub timers: u64,
    /// Alerts on the trail that the strategy raised again.
    pub alerts: u64,
    /// Orders that the sequencer refused and the strategy sent again.
    pub refused: u64,
    /// What it sent and the trail does not have, as the epoch was cut short.
    pub in_flight: u64,
}

/// What an event did to the comparison.
#[derive(Debug)]
pub enum Interruption {
    /// The trail has something else than the strategy sends.
    Difference(Box<Difference>),
    /// The strategies cannot be run again.
    Error(RegenerationError),
}

/// The engine.
pub struct Regeneration {
    registry: Registry,
    host: Host,
    waiting: BTreeMap<u16, VecDeque<Submission>>,
    tallies: BTreeMap<u16, (String, Tally)>,
    /// Strategies that go on in this epoch, and since when.
    resumed: BTreeMap<u16, u64>,
    /// By how much the numbers of each publisher on the trail are ahead of the host's in this epoch.
    ahead: BTreeMap<u16, i64>,
    epoch: u32,
    has_ended: bool,
    events: u64,
    last_sequence: u64,
    last_timestamp: u64,
    /// The last time at which the epoch was alive: of any event but a note on numbering, as the next epoch's stand in
    /// front of its `SessionStart`.
    alive_at: u64,
}

/// How long before the end of an epoch that was cut short a cause may lie for what it led to to count as in
/// flight, in nanoseconds of the log: far more than a submission waits for its sequence and its batch for the disk.
pub const IN_FLIGHT_MAX: u64 = 1_000_000_000;

impl Regeneration {
    /// An engine that has seen nothing.
    pub fn new(registry: Registry) -> Self {
        Self {
            host: Host::new(registry.clone()),
            registry,
            waiting: BTreeMap::new(),
            tallies: BTreeMap::new(),
            resumed: BTreeMap::new(),
            ahead: BTreeMap::new(),
            epoch: 0,
            has_ended: false,
            events: 0,
            last_sequence: 0,
            last_timestamp: 0,
            alive_at: 0,
        }
    }

    /// Takes the next event; padding changes nothing.
    ///
    /// # Errors
    /// [`Interruption`]; the engine is then of no further use.
    pub fn on_event(&mut self, event: &Frame<'_>) -> Result<(), Interruption> {
        if event.is_padding() {
            return Ok(());
        }
        if event.is_stele() {
            self.compare(event)?;
            self.follow(event)?;
        }
        let (waiting, epoch) = (&mut self.waiting, self.epoch);
        let mut collect = |template_id: u16, body: &[u8]| {
            let (strategy, cause) = origin(template_id, body).unwrap_or_default();
            let submission = Submission { strategy, template_id, cause, body: body.to_vec(), epoch };
            waiting.entry(strategy).or_default().push_back(submission);
        };
        self.host.handle(event, &mut collect as &mut dyn OrderSink);
        self.events += 1;
        (self.last_sequence, self.last_timestamp) = (event.sequence().0, event.timestamp().0);
        if event.template_id() != PublisherProgress::TEMPLATE_ID {
            self.alive_at = self.last_timestamp;
        }
        Ok(())
    }

    /// Holds a recorded submission against what the strategy sends next.
    fn compare(&mut self, event: &Frame<'_>) -> Result<(), Interruption> {
        match event.template_id() {
            NewOrder::TEMPLATE_ID
            | ReplaceOrder::TEMPLATE_ID
            | CancelOrder::TEMPLATE_ID
            | MassCancel::TEMPLATE_ID
            | TimerSet::TEMPLATE_ID => {
                let Some((strategy, _)) = origin(event.template_id(), event.body()) else { return Ok(()) };
                if strategy == 0 || is_sequencers(event) {
                    return Ok(());
                }
                self.match_recorded(event, strategy)
            }
            Alert::TEMPLATE_ID => {
                let strategy = origin(Alert::TEMPLATE_ID, event.body()).map_or(0, |(strategy, _)| strategy);
                // Others raise alerts too: it is the strategy's if its id is one that the strategy gives.
                if self.tallies.contains_key(&strategy) {
                    self.match_recorded(event, strategy)
                } else {
                    Ok(())
                }
            }
            KillSwitch::TEMPLATE_ID => {
                let strategy =
                    origin(KillSwitch::TEMPLATE_ID, event.body()).map_or(0, |(strategy, _)| strategy);
                let next = self.waiting.get(&strategy).and_then(VecDeque::front);
                // Anybody may engage a kill switch; it is the strategy host's if that is what it submits next.
                if next.is_some_and(|next| next.template_id == KillSwitch::TEMPLATE_ID) {
                    self.match_recorded(event, strategy)?;
                }
                Ok(())
            }
            RefusedOrder::TEMPLATE_ID => self.match_refused_body(event),
            OrderRejected::TEMPLATE_ID => self.match_refused(event),
            _ => Ok(()),
        }
    }

    fn match_recorded(&mut self, event: &Frame<'_>, strategy: u16) -> Result<(), Interruption> {
        let next = self.waiting.get_mut(&strategy).and_then(VecDeque::pop_front);
        let kind = match &next {
            None => Some(DifferenceKind::NotSent { template_id: event.template_id() }),
            Some(next) => {
                let found = Recorded::of(event);
                let is_numbered = next.epoch == self.epoch && !is_in_step(&mut self.ahead, &found, next);
                compare(&found, next, is_numbered)
            }
        };
        if let Some(kind) = kind {
            return Err(self.difference(event.sequence().0, strategy, kind));
        }
        let (_, tally) = self.tallies.entry(strategy).or_default();
        match event.template_id() {
            TimerSet::TEMPLATE_ID => tally.timers += 1,
            Alert::TEMPLATE_ID => tally.alerts += 1,
            _ => tally.orders += 1,
        }
        Ok(())
    }

    /// Holds a refused order against what the strategy sends next, which stays in its place for the refusal itself.
    fn match_refused_body(&mut self, event: &Frame<'_>) -> Result<(), Interruption> {
        let Some(refused) = event.message::<RefusedOrder>() else { return Ok(()) };
        let found = Recorded {
            template_id: refused.template_id.get(),
            block_length: refused.block_length.get(),
            schema_version: refused.schema_version.get(),
            body: refused.body(),
        };
        let Some((strategy, _)) =
            origin(found.template_id, found.body).filter(|(strategy, _)| *strategy != 0)
        else {
            return Ok(());
        };
        let next = self.waiting.get(&strategy).and_then(VecDeque::front);
        let kind = match next {
            None => Some(DifferenceKind::NotSent { template_id: found.template_id }),
            Some(next) => {
                let is_numbered = next.epoch == self.epoch && !is_in_step(&mut self.ahead, &found, next);
                compare(&found, next, is_numbered)
            }
        };
        match kind {
            None => Ok(()),
            Some(kind) => Err(self.difference(event.sequence().0, strategy, kind)),
        }
    }

    fn match_refused(&mut self, event: &Frame<'_>) -> Result<(), Interruption> {
        let Some(report) = event.message::<OrderRejected>() else { return Ok(()) };
        let strategy = report.strategy.get();
        if report.order_sequence.get() != 0 || strategy == 0 {
            return Ok(());
        }
        let next = self.waiting.get_mut(&strategy).and_then(VecDeque::pop_front);
        let sent = next.as_ref().and_then(client_order_id);
        if sent == Some(report.client_order_id.get()) {
            self.tallies.entry(strategy).or_default().1.refused += 1;
            return Ok(());
        }
        let refused = report.client_order_id.get();
        Err(self.difference(event.sequence().0, strategy, DifferenceKind::OtherRefused { refused, sent }))
    }

    /// Follows sessions and definitions.
    fn follow(&mut self, event: &Frame<'_>) -> Result<(), Interruption> {
        match event.template_id() {
            SessionStart::TEMPLATE_ID => {
                if !self.has_ended
                    && let Some(difference) = self.find_missing()
                {
                    return Err(difference);
                }
                let epoch = event.message::<SessionStart>().map(|start| start.epoch.get());
                (self.epoch, self.has_ended) = (epoch.unwrap_or(self.epoch + 1), false);
                self.resumed.clear();
                self.ahead.clear();
            }
            SessionEnd::TEMPLATE_ID => self.has_ended = true,
            StrategyDefinition::TEMPLATE_ID => {
                let Some(definition) = event.message::<StrategyDefinition>() else { return Ok(()) };
                let (strategy, name) = (definition.strategy.get(), text(&definition.name).to_owned());
                let sequence = event.sequence().0;
                let kind = self.registry.find(&name).map_err(|source| {
                    Interruption::Error(RegenerationError::UnknownStrategy { sequence, strategy, source })
                })?;
                let parameters = str::from_utf8(definition.parameters()).unwrap_or("\u{fffd}");
                if let Err(source) = kind.start(parameters) {
                    let name = name.clone();
                    let error = RegenerationError::Parameters { sequence, strategy, name, source };
                    return Err(Interruption::Error(error));
                }
                let (known, tally) = self.tallies.entry(strategy).or_default();
                *known = name;
                if definition.is_resumed == Boolean::TRUE {
                    self.resumed.insert(strategy, event.timestamp().0);
                } else if let Some(waiting) = self.waiting.get_mut(&strategy) {
                    // It begins anew: what an earlier epoch left unsent is gone with it.
                    let before = waiting.len();
                    waiting.retain(|submission| submission.epoch == self.epoch);
                    tally.in_flight += (before - waiting.len()) as u64;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What is left when the trail is at its end: the first submission that the trail lacks and ought to have, if
    /// there is one. What an epoch that was cut short left in flight is counted.
    pub fn difference_at_end(&mut self) -> Option<Box<Difference>> {
        if let Some(Interruption::Difference(difference)) = self.find_missing() {
            return Some(difference);
        }
        for (strategy, waiting) in &self.waiting {
            self.tallies.entry(*strategy).or_default().1.in_flight += waiting.len() as u64;
        }
        None
    }

    /// A submission that the trail ought to have by now. An epoch that ended in order ought to have all; one that
    /// was cut short, all but those of its last moments; and neither those that a strategy left unsent that does
    /// not go on.
    fn find_missing(&self) -> Option<Interruption> {
        let floor = self.alive_at.saturating_sub(IN_FLIGHT_MAX);
        let missing = self.waiting.values().flatten().find(|submission| {
            let resumed_at = self.resumed.get(&submission.strategy);
            if submission.epoch < self.epoch && resumed_at.is_none() {
                return false;
            }
            let decided = decided_at(submission).map(|decided| decided.max(*resumed_at.unwrap_or(&0)));
            self.has_ended || decided.is_some_and(|decided| decided < floor)
        })?;
        let kind = DifferenceKind::NotRecorded { template_id: missing.template_id, cause: missing.cause };
        Some(self.difference(self.last_sequence, missing.strategy, kind))
    }

    fn difference(&self, sequence: u64, strategy: u16, kind: DifferenceKind) -> Interruption {
        let name = self.tallies.get(&strategy).map(|(name, _)| name.clone()).unwrap_or_default();
        Interruption::Difference(Box::new(Difference { sequence, strategy, name, kind }))
    }

    /// Strategies by number, with their kind and tally.
    pub fn tallies(&self) -> impl Iterator<Item = (u16, &str, Tally)> {
        self.tallies.iter().map(|(strategy, (name, tally))| (*strategy, name.as_str(), *tally))
    }

    /// Events seen.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The last event's sequence; 0 before the first.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// The last event's timestamp; 0 before the first.
    pub fn last_timestamp(&self) -> u64 {
        self.last_timestamp
    }

    /// The epoch that the last event is of.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Whether the last event ended its session.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The host as it stands, and what its strategies sent that the trail does not have, in the order in which they
    /// sent it.
    pub fn into_parts(self) -> (Host, Vec<Submission>) {
        let mut unsent: Vec<Submission> = self.waiting.into_values().flatten().collect();
        // A number that comes behind a later one of its publisher would be taken for a repetition.
        unsent.sort_by_key(|submission| number(submission.template_id, &submission.body));
        (self.host, unsent)
    }
}

/// Whether the sequencer sent a cancel by itself, for a kill switch.
fn is_sequencers(event: &Frame<'_>) -> bool {
    event.message::<CancelOrder>().is_some_and(|cancel| cancel.publisher.get() == 0)
}

/// Whether the number on the trail is as far ahead of the host's as the first of the epoch was.
fn is_in_step(ahead: &mut BTreeMap<u16, i64>, found: &Recorded<'_>, sent: &Submission) -> bool {
    let numbers = [number(found.template_id, found.body), number(sent.template_id, &sent.body)];
    let [Some((publisher, found)), Some((_, sent))] = numbers else { return false };
    let difference = found.wrapping_sub(sent) as i64;
    *ahead.entry(publisher).or_insert(difference) == difference
}

/// The publisher and its number in a body that carries them.
fn number(template_id: u16, body: &[u8]) -> Option<(u16, u64)> {
    macro_rules! of {
        ($message:ident) => {{
            let (message, _) = $message::ref_from_prefix(body).ok()?;
            Some((message.publisher.get(), message.publisher_sequence.get()))
        }};
    }
    match template_id {
        NewOrder::TEMPLATE_ID => of!(NewOrder),
        ReplaceOrder::TEMPLATE_ID => of!(ReplaceOrder),
        CancelOrder::TEMPLATE_ID => of!(CancelOrder),
        MassCancel::TEMPLATE_ID => of!(MassCancel),
        TimerSet::TEMPLATE_ID => of!(TimerSet),
        _ => None,
    }
}

/// Whose submission a body is, and what it was an answer to.
pub(crate) fn origin(template_id: u16, body: &[u8]) -> Option<(u16, u64)> {
    macro_rules! of {
        ($message:ident) => {{
            let (message, _) = $message::ref_from_prefix(body).ok()?;
            Some((message.strategy.get(), message.cause.get()))
        }};
    }
    match template_id {
        NewOrder::TEMPLATE_ID => of!(NewOrder),
        ReplaceOrder::TEMPLATE_ID => of!(ReplaceOrder),
        CancelOrder::TEMPLATE_ID => of!(CancelOrder),
        MassCancel::TEMPLATE_ID => of!(MassCancel),
        TimerSet::TEMPLATE_ID => of!(TimerSet),
        Alert::TEMPLATE_ID => {
            let (alert, _) = Alert::ref_from_prefix(body).ok()?;
            Some(((alert.alert_id.get() >> 48) as u16, alert.last_sequence.get()))
        }
        KillSwitch::TEMPLATE_ID => {
            let (switch, _) = KillSwitch::ref_from_prefix(body).ok()?;
            let is_strategy = switch.scope == CancelScope::STRATEGY;
            is_strategy.then(|| (switch.scope_id.get() as u16, 0))
        }
        _ => None,
    }
}

fn client_order_id(submission: &Submission) -> Option<u64> {
    match submission.template_id {
        NewOrder::TEMPLATE_ID => {
            NewOrder::ref_from_prefix(&submission.body).ok().map(|(order, _)| order.client_order_id.get())
        }
        ReplaceOrder::TEMPLATE_ID => {
            ReplaceOrder::ref_from_prefix(&submission.body).ok().map(|(order, _)| order.client_order_id.get())
        }
        _ => None,
    }
}

/// When a submission was decided, by the log's time; none where the message does not say.
fn decided_at(submission: &Submission) -> Option<u64> {
    let time = match submission.template_id {
        NewOrder::TEMPLATE_ID => NewOrder::ref_from_prefix(&submission.body).ok()?.0.decision_time.get(),
        ReplaceOrder::TEMPLATE_ID => {
            ReplaceOrder::ref_from_prefix(&submission.body).ok()?.0.decision_time.get()
        }
        CancelOrder::TEMPLATE_ID => {
            CancelOrder::ref_from_prefix(&submission.body).ok()?.0.decision_time.get()
        }
        Alert::TEMPLATE_ID => Alert::ref_from_prefix(&submission.body).ok()?.0.detected_time.get(),
        _ => return None,
    };
    (time != u64::MAX).then_some(time)
}
