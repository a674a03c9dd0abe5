//! What the controls of an operator apply to: the strategies on a trail, its open orders and its limits.
//!
//! An act of an operator is checked against this before it is logged. Nothing is run again: the newest
//! snapshot that this program can load is read, and then the events after it are followed, on the caller's
//! thread.

use crate::recall::{Loaded, SnapshotPreference, load_any};
use crate::resume::{ResumeError, TrailState};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use stele_journal::{Directory, Storage, TrailReader};
use stele_risk::Risk;
use stele_strategies::registry::Registry;
use stele_strategies::{IgnoredCommand, Standing, StrategyState};
use stele_venue::{OpenOrder, OpenOrders};
use stele_wire::codec::{View, text};
use stele_wire::messages::{
    Boolean, CancelScope, KillSwitch, RiskLimit, SessionStart, StrategyCommand, StrategyDefinition,
    SwitchState,
};
use stele_wire::{Frame, Sequence};

/// A strategy on a trail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrailStrategy {
    /// Its name, its parameters, and whether it is paused.
    pub standing: Standing,
    /// Whether the last session defined it.
    pub is_defined: bool,
    /// Whether it has failed since its definition.
    pub has_failed: bool,
}

/// The strategies, open orders and limits at the end of a trail. Pure: feed it every event in order.
pub struct Controls {
    registry: Registry,
    strategies: BTreeMap<u16, TrailStrategy>,
    open_orders: OpenOrders,
    risk: Risk,
    last_sequence: u64,
}

impl Controls {
    /// Creates the state before the first event.
    pub fn new(registry: Registry) -> Self {
        Self::of(TrailState::new(registry.clone()), registry)
    }

    fn of(state: TrailState, registry: Registry) -> Self {
        let TrailState { regeneration, open_orders, risk, .. } = state;
        let strategies = regeneration.host().strategies().map(|hosted| {
            let strategy = TrailStrategy {
                standing: hosted.standing.clone(),
                is_defined: hosted.state != StrategyState::Suspended,
                has_failed: hosted.state == StrategyState::Failed,
            };
            (hosted.id, strategy)
        });
        let strategies = strategies.collect();
        Self { registry, strategies, open_orders, risk, last_sequence: regeneration.last_sequence() }
    }

    /// Reads the trail in `directory` to its end.
    ///
    /// # Errors
    /// [`ResumeError`]: the trail cannot be read, or its beginning has expired and no snapshot replaces it.
    ///
    /// # Examples
    ///
    /// ```
    /// use stele_replay::Controls;
    /// use stele_strategies::Registry;
    /// # use stele_wire::messages::Trade;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let trail = folder.path().join("trail");
    /// # let mut bus = stele_embed::Bus::open(&trail, Default::default())?;
    /// # let mut feed = bus.publisher("feed", stele_bus::Grants::all())?;
    /// # let bus = bus.start()?;
    /// # bus.publish(&mut feed, &Trade::NULL)?;
    /// # bus.stop()?;
    /// let controls = Controls::read(&trail, &Registry::built_in())?;
    /// assert_eq!(controls.strategies().count(), 0);
    /// # Ok(()) }
    /// ```
    pub fn read(directory: &Path, registry: &Registry) -> Result<Self, ResumeError> {
        let storage: Arc<dyn Storage> = Arc::new(Directory::new(directory));
        let mut reader = TrailReader::over(storage.clone())?;
        let segments = reader.segments().to_vec();
        let (loaded, _) = load_any(storage.as_ref(), &segments, registry, SnapshotPreference::Newest)?;
        let mut controls = Self::new(registry.clone());
        if let Some(Loaded { resume, standing, .. }) = loaded {
            controls = Self::of(resume, registry.clone());
            if segments.last().is_none_or(|last| last.header.index <= standing.segment) {
                return Ok(controls);
            }
            reader.seek(standing.last_sequence.next())?;
        }
        while let Some(entry) = reader.read_next()? {
            controls.on_event(&entry.frame);
        }
        Ok(controls)
    }

    /// Takes the next event.
    pub fn on_event(&mut self, event: &Frame<'_>) {
        if event.is_padding() {
            return;
        }
        self.last_sequence = event.sequence().0;
        self.open_orders.on_event(event);
        self.risk.on_event(event);
        match if event.is_stele() { event.template_id() } else { 0 } {
            SessionStart::TEMPLATE_ID => {
                self.strategies.values_mut().for_each(|strategy| strategy.is_defined = false);
            }
            StrategyDefinition::TEMPLATE_ID => {
                event.message::<StrategyDefinition>().iter().for_each(|it| self.define(it, event.sequence()));
            }
            StrategyCommand::TEMPLATE_ID => {
                event.message::<StrategyCommand>().iter().for_each(|it| self.command(it, event.sequence()));
            }
            KillSwitch::TEMPLATE_ID => {
                event.message::<KillSwitch>().iter().for_each(|switch| self.switch(switch));
            }
            _ => {}
        }
    }

    fn define(&mut self, definition: &View<'_, StrategyDefinition>, sequence: Sequence) {
        let (id, name) = (definition.strategy.get(), text(&definition.name));
        let parameters = str::from_utf8(definition.parameters()).unwrap_or("\u{fffd}");
        let before = self.strategies.get_mut(&id);
        if definition.is_resumed != Boolean::TRUE {
            let before = before.map(|before| &before.standing);
            let standing = Standing::begin(name, parameters, sequence, before);
            self.strategies.insert(id, TrailStrategy { standing, is_defined: true, has_failed: false });
        } else if let Some(before) = before.filter(|it| it.standing.is_resumed_by(name, parameters)) {
            before.standing.resume(parameters, sequence);
            before.is_defined = true;
        }
    }

    /// Follows a command as the host does, except that a kind of strategy that this program does not have
    /// takes every set of parameters.
    fn command(&mut self, command: &View<'_, StrategyCommand>, sequence: Sequence) {
        let id = command.strategy.get();
        let Some(mut strategy) = self.strategies.remove(&id) else { return };
        // A command that does not apply changes nothing.
        let _ = self.apply(&mut strategy, command, sequence);
        self.strategies.insert(id, strategy);
    }

    fn apply(
        &self,
        strategy: &mut TrailStrategy,
        command: &View<'_, StrategyCommand>,
        sequence: Sequence,
    ) -> Result<(), IgnoredCommand> {
        let TrailStrategy { standing, has_failed, .. } = strategy;
        let (kind, running) = (self.registry.find(&standing.name), standing.parameters.clone());
        standing.apply(command, sequence, |wanted| match kind {
            _ if *has_failed => Err(IgnoredCommand::Failed),
            Ok(kind) => Ok(kind.check_change(&running, wanted).map(|_| ())?),
            Err(_) => Ok(()),
        })
    }

    /// The host logs a switch of its own, by no party, when a strategy has failed.
    fn switch(&mut self, switch: &KillSwitch) {
        let is_hosts = switch.party.get() == 0 && switch.scope == CancelScope::STRATEGY;
        if is_hosts
            && switch.state == SwitchState::ENGAGED
            && let Some(strategy) = u16::try_from(switch.scope_id.get()).ok()
            && let Some(strategy) = self.strategies.get_mut(&strategy)
        {
            strategy.has_failed = true;
        }
    }

    /// Checks whether a command would apply to its strategy if it were the next event.
    ///
    /// # Errors
    /// [`IgnoredCommand`]: why it would not.
    ///
    /// # Panics
    /// When the trail does not have the strategy.
    pub fn check(&self, command: &View<'_, StrategyCommand>) -> Result<(), IgnoredCommand> {
        let strategy = &self.strategies[&command.strategy.get()];
        self.apply(&mut strategy.clone(), command, Sequence(self.last_sequence + 1))
    }

    /// The strategies by number.
    pub fn strategies(&self) -> impl Iterator<Item = (u16, &TrailStrategy)> {
        self.strategies.iter().map(|(id, strategy)| (*id, strategy))
    }

    /// The limit in force for the scope, instrument and check of `change`; `i64::MAX` where there is none.
    pub fn limit_in_force(&self, change: &RiskLimit) -> i64 {
        self.risk.limit_in_force(change)
    }

    /// The sequence of the last event; 0 before the first.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// Returns the open orders, oldest first.
    pub fn into_open_orders(self) -> Vec<OpenOrder> {
        self.open_orders.finish()
    }
}
