//! Runs the strategies of a trail again over its events, and compares what they send with what the trail
//! has.
//!
//! Pure: it takes every event of a trail in order and does no I/O. The check of a trail
//! ([`crate::divergence`]) and the restart from one ([`crate::resume`]) both use it.
//!
//! Each strategy's submissions are compared with the trail one by one, in the strategy's own order, as
//! bytes: template, cause and body. The body is compared completely. Its publisher sequence is the strategy
//! host's own count, which follows from the events like everything else. Only a submission that an earlier
//! epoch left unsent may have another publisher sequence, because it is submitted again.
//!
//! An order that the sequencer refused (by a risk check, or because there was no room) is on the trail as a
//! `RefusedOrder`, which is compared in the same way, and as an `OrderRejected` without a sequenced order,
//! which is compared by its client order id. Cancels that the sequencer sends for a kill switch belong to
//! no strategy and are not compared.
//!
//! The sequences of a publisher only grow, also across epochs. In trails of earlier program versions they
//! start again in each epoch. So it is only required that they continue one by one from the first in the
//! epoch.

mod state;

use crate::difference::{Difference, DifferenceKind, Recorded, compare};
use crate::submission::StrategySubmission;
use std::collections::{BTreeMap, VecDeque};
use stele_strategies::parameters::ParameterError;
use stele_strategies::registry::{Registry, UnknownStrategy};
use stele_strategies::{Host, OrderSink};
use stele_wire::Frame;
use stele_wire::codec::text;
use stele_wire::messages::{
    Alert, Boolean, CancelOrder, CancelScope, KillSwitch, MassCancel, NewOrder, OrderRejected,
    PublisherGrant, PublisherProgress, RefusedOrder, ReplaceOrder, SessionEnd, SessionStart,
    StrategyDefinition, TimerSet,
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
        /// The sequence of the event that defines it.
        sequence: u64,
        /// The strategy's number.
        strategy: u16,
        /// The unknown name, and the names that this program has.
        source: UnknownStrategy,
    },
    /// The trail defines a strategy with parameters that this program does not accept.
    #[error(
        "event {sequence} defines strategy {strategy} ({name}) with parameters that this program does not accept: \
         {source}; check the trail with the program that wrote it"
    )]
    Parameters {
        /// The sequence of the event that defines it.
        sequence: u64,
        /// The strategy's number.
        strategy: u16,
        /// The strategy's kind.
        name: String,
        /// What is wrong with the parameters.
        source: ParameterError,
    },
}

/// How many of a strategy's submissions were compared, by kind.
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
    /// Submissions that the strategy sent and the trail does not have because the epoch was cut short.
    pub in_flight: u64,
}

/// Why the comparison stopped at an event.
#[derive(Debug)]
pub enum Interruption {
    /// The trail has something other than what the strategy sends.
    Difference(Box<Difference>),
    /// The strategies cannot be run again.
    Error(RegenerationError),
}

/// The comparison of a trail with what its strategies send.
pub struct Regeneration {
    registry: Registry,
    host: Host,
    waiting: BTreeMap<u16, VecDeque<StrategySubmission>>,
    tallies: BTreeMap<u16, (String, Tally)>,
    /// Strategies that are resumed in this epoch, and the time at which they were.
    resumed: BTreeMap<u16, u64>,
    /// How far the publisher sequences on the trail are ahead of the host's in this epoch, by publisher.
    ahead: BTreeMap<u16, i64>,
    epoch: u32,
    has_ended: bool,
    events: u64,
    last_sequence: u64,
    last_timestamp: u64,
    /// The last time at which the epoch was running. Events about publishers do not count, because those of
    /// the next epoch come before its `SessionStart`.
    alive_at: u64,
}

/// How long before the end of an interrupted epoch a submission may have been caused and still count as in
/// flight, in nanoseconds of the log. It is far longer than a submission waits for its sequence and its
/// batch for the disk.
pub const IN_FLIGHT_MAX: u64 = 1_000_000_000;

impl Regeneration {
    /// Creates a comparison that has seen no event.
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
    /// [`Interruption`]; the comparison cannot be used after it.
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
            let submission = StrategySubmission { strategy, template_id, cause, body: body.to_vec(), epoch };
            waiting.entry(strategy).or_default().push_back(submission);
        };
        self.host.handle(event, &mut collect as &mut dyn OrderSink);
        self.events += 1;
        (self.last_sequence, self.last_timestamp) = (event.sequence().0, event.timestamp().0);
        let of_publishers = [PublisherGrant::TEMPLATE_ID, PublisherProgress::TEMPLATE_ID];
        if !of_publishers.contains(&event.template_id()) {
            self.alive_at = self.last_timestamp;
        }
        Ok(())
    }

    /// Compares a recorded submission with what the strategy sends next.
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
                // Other publishers raise alerts too. The alert is the strategy's if its id is that of a
                // strategy on the trail.
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
                // Any publisher may engage a kill switch. It is the strategy host's if the host submits one
                // next.
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

    /// Compares a refused order with what the strategy sends next. That one stays queued for the rejection
    /// that follows.
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

    /// Follows sessions and strategy definitions.
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
                    // The strategy starts without its state: what an earlier epoch left unsent is dropped.
                    let before = waiting.len();
                    waiting.retain(|submission| submission.epoch == self.epoch);
                    tally.in_flight += (before - waiting.len()) as u64;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends the comparison at the end of the trail. Returns the first submission that the trail should have
    /// and lacks, if there is one. Otherwise counts what an interrupted epoch left in flight.
    pub fn difference_at_end(&mut self) -> Option<Box<Difference>> {
        if let Some(Interruption::Difference(difference)) = self.find_missing() {
            return Some(difference);
        }
        for (strategy, waiting) in &self.waiting {
            self.tallies.entry(*strategy).or_default().1.in_flight += waiting.len() as u64;
        }
        None
    }

    /// Returns a submission that the trail should have by now. After an epoch that ended in order that is
    /// any unmatched one; after an interrupted epoch any that was not caused in its last moments. Unsent
    /// submissions of an earlier epoch count only for strategies that are resumed.
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

    /// Returns the strategies by number, with kind and tally.
    pub fn tallies(&self) -> impl Iterator<Item = (u16, &str, Tally)> {
        self.tallies.iter().map(|(strategy, (name, tally))| (*strategy, name.as_str(), *tally))
    }

    /// The number of events taken.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The sequence of the last event; 0 before the first.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// The timestamp of the last event in nanoseconds UTC; 0 before the first.
    pub fn last_timestamp(&self) -> u64 {
        self.last_timestamp
    }

    /// The epoch of the last event.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Whether the last session ended in order.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns the host, and what its strategies sent that the trail does not have, in the order in which
    /// they sent it.
    pub fn into_parts(self) -> (Host, Vec<StrategySubmission>) {
        let mut unsent: Vec<StrategySubmission> = self.waiting.into_values().flatten().collect();
        // A submission after a later one of the same publisher would be taken for a repetition.
        unsent.sort_by_key(|submission| number(submission.template_id, &submission.body));
        (self.host, unsent)
    }
}

/// Whether the sequencer itself sent the cancel, for a kill switch.
fn is_sequencers(event: &Frame<'_>) -> bool {
    event.message::<CancelOrder>().is_some_and(|cancel| cancel.publisher.get() == 0)
}

/// Whether the publisher sequence on the trail is as far ahead of the host's as that of the first
/// submission in the epoch.
fn is_in_step(ahead: &mut BTreeMap<u16, i64>, found: &Recorded<'_>, sent: &StrategySubmission) -> bool {
    let numbers = [number(found.template_id, found.body), number(sent.template_id, &sent.body)];
    let [Some((publisher, found)), Some((_, sent))] = numbers else { return false };
    let difference = found.wrapping_sub(sent) as i64;
    *ahead.entry(publisher).or_insert(difference) == difference
}

/// Returns the publisher and the publisher sequence of a body that has them.
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

/// Returns the strategy of a submission and the sequence of its cause.
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

fn client_order_id(submission: &StrategySubmission) -> Option<u64> {
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

/// Returns when a submission was decided, by the log's time; none when the message does not have it.
fn decided_at(submission: &StrategySubmission) -> Option<u64> {
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
