//! Session windows: they last while events keep arriving.

use super::aggregate::{Aggregate, Merge};
use super::bounds::OPEN_WINDOWS_MAX;
use super::operator::Operator;
use super::state::{DropCounts, State, StateValue};
use super::window::{Late, Window};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use stele_wire::Nanos;

#[derive(Clone, Debug)]
struct Session<A> {
    first: u64,
    last: u64,
    aggregate: A,
}

/// An aggregate over sessions: groups of events in which no event is more than `gap` after the previous one.
/// A session spans from its first event to just after its last one.
///
/// A session closes when the time (the latest of an event or of [`Operator::on_time`]) is more than `gap`
/// plus `grace` after its last event. It is then emitted once, with the time of its last event; sessions
/// close in order. An event that arrives out of order extends a session within `gap` of it, and may merge two
/// sessions. An event that is near no open session and would form one that is closed already is counted and
/// emitted as [`Late`].
///
/// # Examples
///
/// ```
/// use stele_strategies::operators::{Count, Operator, seconds, stream};
/// use stele_wire::Nanos;
///
/// let mut pipeline = stream::<&str>().sessions(seconds(10), Nanos(0), Count::default()).in_time();
/// let mut sessions = Vec::new();
/// for at in [0, 4, 9, 60].map(|second| Nanos(second * 1_000_000_000)) {
///     pipeline.on_event(at, "click", &mut |_, session| sessions.push(session.value));
/// }
/// assert_eq!(sessions, [3]);
/// ```
#[derive(Clone, Debug)]
pub struct Sessions<A> {
    gap: u64,
    grace: u64,
    /// The open sessions in order, then unused ones.
    sessions: Box<[Session<A>]>,
    open: usize,
    time: u64,
    drops: DropCounts,
}

impl<A: State + Clone> Sessions<A> {
    /// Sessions that end `gap` after their last event, and close `grace` later.
    ///
    /// # Panics
    /// When `gap` is 0, or when more than [`OPEN_WINDOWS_MAX`] sessions could be open at the same time.
    pub fn new(gap: Nanos, grace: Nanos, aggregate: A) -> Self {
        let (gap, grace) = (gap.0, grace.0);
        assert!(gap > 0, "the gap of a session must not be 0");
        // Open sessions end within the last gap and grace, and are more than a gap apart.
        let open = gap.saturating_add(grace) / gap + 1;
        assert!(
            open <= OPEN_WINDOWS_MAX as u64,
            "up to {open} sessions could be open, more than {OPEN_WINDOWS_MAX}: choose a shorter grace period"
        );
        let sessions = vec![Session { first: 0, last: 0, aggregate }; open as usize];
        Self { gap, grace, sessions: sessions.into(), open: 0, time: 0, drops: DropCounts::default() }
    }
}

impl<A> Sessions<A> {
    /// Sessions that ended before this time are closed.
    #[inline]
    fn horizon(&self) -> u64 {
        self.time.saturating_sub(self.gap).saturating_sub(self.grace)
    }

    #[inline]
    fn advance<In>(&mut self, at: u64, emit: &mut impl FnMut(Nanos, Window<A::Out>))
    where
        A: Aggregate<In>,
    {
        self.time = self.time.max(at);
        while self.open > 0 && self.sessions[0].last < self.horizon() {
            let session = &mut self.sessions[0];
            let (start, end) = (Nanos(session.first), Nanos(session.last.saturating_add(1)));
            emit(Nanos(session.last), Window { start, end, value: session.aggregate.value() });
            session.aggregate.reset();
            self.sessions[..self.open].rotate_left(1);
            self.open -= 1;
        }
    }

    /// Adds an event to the session near it, and merges that one with the next session if they are near each
    /// other now.
    fn enter<In>(&mut self, at: u64, input: &In)
    where
        A: Aggregate<In> + Merge,
    {
        let behind =
            self.sessions[..self.open].partition_point(|session| session.last.saturating_add(self.gap) < at);
        let is_near = behind < self.open && self.sessions[behind].first <= at.saturating_add(self.gap);
        if !is_near {
            self.sessions[behind..=self.open].rotate_right(1);
            self.open += 1;
            (self.sessions[behind].first, self.sessions[behind].last) = (at, at);
        }
        let session = &mut self.sessions[behind];
        session.aggregate.add(at, input);
        (session.first, session.last) = (session.first.min(at), session.last.max(at));
        let next = behind + 1;
        if next < self.open
            && self.sessions[next].first <= self.sessions[behind].last.saturating_add(self.gap)
        {
            let (kept, merged) = self.sessions.split_at_mut(next);
            let (kept, merged) = (&mut kept[behind], &mut merged[0]);
            kept.aggregate.merge(&merged.aggregate);
            kept.last = kept.last.max(merged.last);
            merged.aggregate.reset();
            self.sessions[next..self.open].rotate_left(1);
            self.open -= 1;
        }
    }
}

impl<A: State> State for Sessions<A> {
    fn reset(&mut self) {
        self.sessions[..self.open].iter_mut().for_each(|session| session.aggregate.reset());
        (self.open, self.time) = (0, 0);
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.time);
        self.drops.put(out);
        out.put_u64(self.open as u64);
        for (index, session) in self.sessions.iter().enumerate() {
            let is_fresh = index >= self.open && session.aggregate.drops().is_empty();
            is_fresh.put(out);
            if !is_fresh {
                (session.first, session.last).put(out);
                session.aggregate.snapshot(out);
            }
        }
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.time = reader.u64()?;
        self.drops = StateValue::take(reader)?;
        self.open = reader.at_most("open sessions", self.sessions.len() as u64)? as usize;
        for session in &mut self.sessions {
            if !bool::take(reader)? {
                (session.first, session.last) = StateValue::take(reader)?;
                session.aggregate.restore(reader)?;
            }
        }
        Ok(())
    }

    fn drops(&self) -> DropCounts {
        self.sessions.iter().fold(self.drops, |sum, session| sum + session.aggregate.drops())
    }
}

impl<In, A: Aggregate<In> + Merge> Operator<In> for Sessions<A> {
    type Out = Result<Window<A::Out>, Late<In>>;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: In, emit: &mut impl FnMut(Nanos, Self::Out)) {
        self.advance::<In>(at.0, &mut |at, window| emit(at, Ok(window)));
        let oldest = self.sessions[..self.open].first();
        let is_near = oldest.is_some_and(|session| session.first <= at.0.saturating_add(self.gap));
        if at.0 < self.horizon() && !is_near {
            self.drops.late += 1;
            return emit(at, Err(Late(input)));
        }
        self.enter(at.0, &input);
    }

    #[inline]
    fn on_time(&mut self, at: Nanos, emit: &mut impl FnMut(Nanos, Self::Out)) -> Nanos {
        self.advance::<In>(at.0, &mut |at, window| emit(at, Ok(window)));
        at.min(Nanos(self.horizon()))
    }
}
