//! The timers of strategies: which are pending, and which are due. They are a function of the log's events
//! and of nothing else, so a restart restores them, and a replay uses the recorded `TimerFired`.
//!
//! ```text
//! TimerSet ───> pending ── due, by the sequencer's clock ──> TimerFired on the log ──> Strategy::on_timer
//!                  │
//!                  ├── TimerSet of the same id without a time: cancelled
//!                  └── StrategyDefinition that is not resumed: dropped
//! ```
//! The sequencer owns the timers, like the risk checks. A timer fires in the duty cycle in which the log's
//! time has reached it, and never before. Between two sessions, timers are suspended. When a strategy is
//! resumed (`StrategyDefinition.isResumed`), so are its timers, and those that became due meanwhile fire at
//! once. The timers of a strategy that is not in the session stay suspended until it returns or another
//! strategy needs the room.
//!
//! Nothing allocates after [`Timers::new`]. A timer without a running strategy, or beyond
//! [`TIMERS_PER_STRATEGY_MAX`], is dropped and counted. The strategy host checks the same bound, so that a
//! strategy gets the error at once.

use crate::bounds::{TIMER_STRATEGIES_MAX, TIMERS_PER_STRATEGY_MAX};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use stele_risk::SequencedEvent;
use stele_risk::state::{RestoreError, StateNumber, StateReader};
use stele_wire::messages::{
    Boolean, SCHEMA_ID, SessionEnd, SessionStart, StrategyDefinition, TimerFired, TimerSet,
};
use stele_wire::{Frame, Nanos};

/// Stops the timers of one sequencer, from any thread. Otherwise a strategy that always sets another timer
/// would keep its session from ending.
#[derive(Clone, Debug, Default)]
pub struct TimerStop(Arc<AtomicBool>);

impl TimerStop {
    /// Stops all timers. Pending timers are suspended until the next session.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The due time when no timer is pending.
pub const NEVER: Nanos = Nanos(u64::MAX);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
struct Timer {
    due: u64,
    /// The sequence of its `TimerSet`: of two timers that are due at the same time, the older one fires
    /// first.
    set_sequence: u64,
    timer_id: u64,
}

/// The timers of one strategy.
#[derive(Clone, Debug)]
struct Row {
    strategy: u16,
    /// Whether the strategy was defined in this session.
    is_awake: bool,
    count: usize,
    /// The timer that is due first.
    first: Option<Timer>,
    /// In no order.
    timers: [Timer; TIMERS_PER_STRATEGY_MAX],
}

impl Row {
    const fn new(strategy: u16, is_awake: bool) -> Self {
        let timer = Timer { due: 0, set_sequence: 0, timer_id: 0 };
        Self { strategy, is_awake, count: 0, first: None, timers: [timer; TIMERS_PER_STRATEGY_MAX] }
    }

    fn pending(&self) -> &[Timer] {
        &self.timers[..self.count]
    }

    fn find(&self, timer_id: u64) -> Option<usize> {
        self.pending().iter().position(|timer| timer.timer_id == timer_id)
    }

    fn add(&mut self, timer: Timer) {
        self.timers[self.count] = timer;
        self.count += 1;
        self.first = self.pending().iter().min().copied();
    }

    fn remove(&mut self, at: usize) {
        self.count -= 1;
        self.timers.swap(at, self.count);
        self.first = self.pending().iter().min().copied();
    }

    fn clear(&mut self) -> usize {
        self.first = None;
        std::mem::take(&mut self.count)
    }
}

/// The pending timers of every strategy.
#[derive(Clone, Debug)]
pub struct Timers {
    rows: Vec<Row>,
    /// When the first timer that may fire is due.
    next_due: u64,
    /// Whether the session has ended, so that nothing fires.
    is_over: bool,
    dropped: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns whether messages of this template change the state of [`Timers`].
#[inline]
pub fn affects_timers(template_id: u16) -> bool {
    matches!(
        template_id,
        TimerSet::TEMPLATE_ID
            | TimerFired::TEMPLATE_ID
            | StrategyDefinition::TEMPLATE_ID
            | SessionStart::TEMPLATE_ID
            | SessionEnd::TEMPLATE_ID
    )
}

impl Timers {
    /// No timers. Allocates and touches all memory that it will ever use.
    pub fn new() -> Self {
        let mut rows = vec![Row::new(0, false); TIMER_STRATEGIES_MAX];
        rows.clear();
        Self { rows, next_due: NEVER.0, is_over: false, dropped: 0 }
    }

    /// Handles the next event of the log. Call it for every event in order; those for which
    /// [`affects_timers`] is false may be omitted.
    pub fn on_event(&mut self, frame: &Frame<'_>) {
        let header = frame.header();
        if frame.is_padding() || header.schema_id.get() != SCHEMA_ID || !affects_timers(frame.template_id()) {
            return;
        }
        self.on_sequenced(&SequencedEvent {
            template_id: header.template_id.get(),
            block_length: header.block_length.get(),
            schema_version: header.schema_version.get(),
            sequence: frame.sequence(),
            timestamp: frame.timestamp(),
            body: frame.body(),
        });
    }

    /// As [`Timers::on_event`], for an event that is not in a frame.
    pub fn on_sequenced(&mut self, event: &SequencedEvent<'_>) {
        match event.template_id {
            TimerSet::TEMPLATE_ID => {
                if let Some(set) = event.message::<TimerSet>() {
                    self.on_set(&set, event.sequence.0);
                }
            }
            TimerFired::TEMPLATE_ID => {
                if let Some(fired) = event.message::<TimerFired>() {
                    self.take(fired.strategy.get(), fired.timer_id.get());
                }
            }
            StrategyDefinition::TEMPLATE_ID => {
                if let Some(definition) = event.message::<StrategyDefinition>() {
                    self.on_definition(definition.strategy.get(), definition.is_resumed == Boolean::TRUE);
                }
            }
            SessionStart::TEMPLATE_ID => self.on_session_start(),
            SessionEnd::TEMPLATE_ID => self.is_over = true,
            _ => {}
        }
        self.next_due = self.first().map_or(NEVER.0, |(_, timer)| timer.due);
    }

    fn on_set(&mut self, set: &TimerSet, sequence: u64) {
        let (strategy, timer_id, due) = (set.strategy.get(), set.timer_id.get(), set.due.get());
        self.take(strategy, timer_id);
        if due == NEVER.0 {
            return;
        }
        match self.row(strategy) {
            Some(row) if row.is_awake && row.count < TIMERS_PER_STRATEGY_MAX => {
                row.add(Timer { due, set_sequence: sequence, timer_id });
            }
            _ => self.dropped += 1,
        }
    }

    fn take(&mut self, strategy: u16, timer_id: u64) {
        if let Some(row) = self.row(strategy)
            && let Some(at) = row.find(timer_id)
        {
            row.remove(at);
        }
    }

    fn on_definition(&mut self, strategy: u16, is_resumed: bool) {
        if let Some(row) = self.row(strategy) {
            let dropped = if is_resumed { 0 } else { row.clear() };
            row.is_awake = true;
            self.dropped += dropped as u64;
            return;
        }
        if self.rows.len() == TIMER_STRATEGIES_MAX
            && let Some(gone) = self.rows.iter().position(|row| !row.is_awake)
        {
            self.dropped += self.rows.remove(gone).count as u64;
        }
        if self.rows.len() < TIMER_STRATEGIES_MAX {
            self.rows.push(Row::new(strategy, true));
        }
    }

    fn on_session_start(&mut self) {
        self.rows.iter_mut().for_each(|row| row.is_awake = false);
        self.is_over = false;
    }

    fn row(&mut self, strategy: u16) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.strategy == strategy)
    }

    /// The timer that fires first, and its strategy.
    fn first(&self) -> Option<(u16, &Timer)> {
        let awake = self.rows.iter().filter(|row| row.is_awake && !self.is_over);
        let timers = awake.filter_map(|row| Some((row.strategy, row.first.as_ref()?)));
        timers.min_by_key(|(_, timer)| **timer)
    }

    /// The time at which the next timer is due; [`NEVER`] when none is pending.
    #[inline]
    pub fn next_due(&self) -> Nanos {
        Nanos(self.next_due)
    }

    /// The event to log at `now`: the first timer that is due; none when no timer is due. It stays due until
    /// its event is handled.
    pub fn due(&self, now: Nanos) -> Option<TimerFired> {
        let (strategy, timer) = self.first().filter(|(_, timer)| timer.due <= now.0)?;
        Some(TimerFired {
            timer_id: timer.timer_id.into(),
            due: timer.due.into(),
            set_sequence: timer.set_sequence.into(),
            strategy: strategy.into(),
            ..TimerFired::NULL
        })
    }

    /// The number of pending timers, including suspended ones.
    pub fn pending(&self) -> usize {
        self.rows.iter().map(|row| row.count).sum()
    }

    /// The number of timers dropped because their strategy was not running or had too many.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The version of the layout that [`Timers::snapshot`] writes.
    pub const STATE_VERSION: u32 = 1;

    /// Appends the whole state to `out`. The order in which timers were set does not change the bytes.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        self.is_over.put(out);
        self.dropped.put(out);
        (self.rows.len() as u64).put(out);
        for row in &self.rows {
            row.strategy.put(out);
            row.is_awake.put(out);
            (row.count as u64).put(out);
            let mut timers = row.pending().to_vec();
            timers.sort_unstable();
            timers
                .into_iter()
                .for_each(|Timer { due, set_sequence, timer_id }| [due, set_sequence, timer_id].put(out));
        }
    }

    /// Restores the state that [`Timers::snapshot`] wrote.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes are not such a state.
    pub fn restore(bytes: &[u8]) -> Result<Self, RestoreError> {
        let (mut timers, mut reader) = (Self::new(), StateReader::new(bytes));
        timers.is_over = reader.get()?;
        timers.dropped = reader.get()?;
        for _ in 0..reader.count("strategies with timers", TIMER_STRATEGIES_MAX)? {
            let mut row = Row::new(reader.get()?, reader.get()?);
            for _ in 0..reader.count("timers", TIMERS_PER_STRATEGY_MAX)? {
                let [due, set_sequence, timer_id] = reader.get()?;
                row.add(Timer { due, set_sequence, timer_id });
            }
            timers.rows.push(row);
        }
        reader.finish()?;
        timers.next_due = timers.first().map_or(NEVER.0, |(_, timer)| timer.due);
        Ok(timers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use stele_wire::Sequence;
    use stele_wire::codec::Message;

    struct Log {
        timers: Timers,
        sequence: u64,
    }

    impl Log {
        fn new() -> Self {
            Self { timers: Timers::new(), sequence: 0 }
        }

        fn event<M: Message>(&mut self, message: &M) {
            self.sequence += 1;
            self.timers.on_sequenced(&SequencedEvent {
                template_id: M::TEMPLATE_ID,
                block_length: M::BLOCK_LENGTH,
                schema_version: stele_wire::messages::SCHEMA_VERSION,
                sequence: Sequence(self.sequence),
                timestamp: Nanos(0),
                body: message.as_bytes(),
            });
        }

        fn session(&mut self) {
            self.event(&SessionStart::NULL);
        }

        fn define(&mut self, strategy: u16, is_resumed: bool) {
            let is_resumed = if is_resumed { Boolean::TRUE } else { Boolean::FALSE };
            self.event(&StrategyDefinition {
                strategy: strategy.into(),
                is_resumed,
                ..StrategyDefinition::NULL
            });
        }

        fn set(&mut self, strategy: u16, timer_id: u64, due: u64) {
            self.event(&TimerSet {
                strategy: strategy.into(),
                timer_id: timer_id.into(),
                due: due.into(),
                ..TimerSet::NULL
            });
        }

        /// Fires every timer that is due at `now`.
        fn fire(&mut self, now: u64) -> Vec<(u16, u64)> {
            let mut fired = Vec::new();
            while let Some(timer) = self.timers.due(Nanos(now)) {
                fired.push((timer.strategy.get(), timer.timer_id.get()));
                self.event(&timer);
            }
            fired
        }
    }

    #[test]
    fn timers_fire_in_order_of_time_and_then_of_age() {
        let mut log = Log::new();
        log.define(1, false);
        log.define(2, false);
        for (strategy, id, due) in [(1, 10, 300), (2, 20, 100), (1, 11, 200), (2, 21, 200)] {
            log.set(strategy, id, due);
        }
        assert_eq!(log.timers.next_due(), Nanos(100));
        assert_eq!(log.fire(99), []);
        assert_eq!(log.fire(200), [(2, 20), (1, 11), (2, 21)]);
        assert_eq!((log.timers.pending(), log.timers.next_due()), (1, Nanos(300)));
    }

    #[test]
    fn a_timer_is_cancelled_or_moved_by_its_id() {
        let mut log = Log::new();
        log.define(1, false);
        log.set(1, 5, 100);
        log.set(1, 6, 100);
        log.set(1, 5, u64::MAX);
        log.set(1, 6, 200);
        assert_eq!(log.fire(199), []);
        assert_eq!(log.fire(200), [(1, 6)]);
        assert_eq!((log.timers.next_due(), log.timers.dropped()), (NEVER, 0));
    }

    #[test]
    fn a_timer_without_a_strategy_or_beyond_the_bound_is_dropped_and_counted() {
        let mut log = Log::new();
        log.set(1, 1, 10);
        log.define(1, false);
        for id in 0..=TIMERS_PER_STRATEGY_MAX as u64 {
            log.set(1, id, 10);
        }
        assert_eq!((log.timers.pending(), log.timers.dropped()), (TIMERS_PER_STRATEGY_MAX, 2));
    }

    #[test]
    fn between_sessions_timers_are_suspended_and_continue_with_a_resumed_strategy() {
        let mut log = Log::new();
        log.session();
        for strategy in 1..=3 {
            log.define(strategy, false);
            log.set(strategy, 7, 100);
        }
        log.event(&SessionEnd::NULL);
        assert_eq!(log.fire(1_000), [], "the session has ended");
        log.session();
        log.session();
        assert_eq!(log.fire(1_000), [], "the session has no strategies");
        log.define(1, true);
        log.define(2, false);
        assert_eq!(log.fire(1_000), [(1, 7)], "the second one is not resumed");
        assert_eq!((log.timers.pending(), log.timers.dropped()), (1, 1), "the third one sleeps");
        log.session();
        log.define(3, true);
        assert_eq!(log.fire(1_000), [(3, 7)], "until it comes back");
    }

    #[test]
    fn the_timers_of_an_absent_strategy_make_room_for_those_of_a_running_one() {
        let mut log = Log::new();
        for strategy in 1..=TIMER_STRATEGIES_MAX as u16 {
            log.define(strategy, false);
            log.set(strategy, 7, 100);
        }
        log.session();
        log.define(1, true);
        log.define(9_999, false);
        log.set(9_999, 8, 50);
        assert_eq!(log.fire(1_000), [(9_999, 8), (1, 7)]);
        assert_eq!(log.timers.dropped(), 1);
    }

    proptest! {
        #[test]
        fn a_restored_state_is_the_same_and_fires_as_a_map_would(
            steps in prop::collection::vec((1_u16..4, 0_u64..6, 0_u64..8), 0..60),
        ) {
            let mut log = Log::new();
            (1..4).for_each(|strategy| log.define(strategy, false));
            let mut model = BTreeMap::new();
            for (strategy, id, due) in steps {
                let due = if due == 7 { u64::MAX } else { due };
                model.retain(|_, key| *key != (strategy, id));
                if due != u64::MAX {
                    model.insert((due, log.sequence + 1), (strategy, id));
                }
                log.set(strategy, id, due);
            }
            let (mut bytes, mut again) = (Vec::new(), Vec::new());
            log.timers.snapshot(&mut bytes);
            let mut restored = Log { timers: Timers::restore(&bytes).unwrap(), sequence: log.sequence };
            restored.timers.snapshot(&mut again);
            prop_assert_eq!(&bytes, &again);
            for now in 0..8 {
                let due: Vec<_> = model.iter().filter(|((due, _), _)| *due <= now).map(|(_, key)| *key).collect();
                model.retain(|(due, _), _| *due > now);
                prop_assert_eq!(restored.fire(now), due);
            }
        }
    }
}
