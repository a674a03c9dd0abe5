//! Windows that last while events keep coming.

use super::aggregate::{Aggregate, Merge};
use super::bounds::OPEN_WINDOWS_MAX;
use super::state::{DropCounts, State, StateValue};
use super::stream::Operator;
use super::window::{Late, Window};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use stele_wire::Nanos;

#[derive(Clone, Debug)]
struct Session<A> {
    first: u64,
    last: u64,
    aggregate: A,
}

/// An aggregate over sessions: events of which none is more than `gap` after the one before. A session goes from its
/// first event to just behind its last.
///
/// A session closes when time, which is the latest that an event or [`Operator::on_time`] brought, is more than
/// `gap` and `grace` after its last event, and is given then, once, with the time of its last event; sessions close
/// in order. An event that comes out of order extends the session it is near to and may make two sessions one; an
/// event that is near to none and would be a session that has closed is counted and given on as [`Late`].
#[derive(Clone, Debug)]
pub struct Sessions<A> {
    gap: u64,
    grace: u64,
    /// The open ones in order, then those that wait to be used.
    sessions: Box<[Session<A>]>,
    open: usize,
    time: u64,
    drops: DropCounts,
}

impl<A: State + Clone> Sessions<A> {
    /// Sessions that end `gap` after their last event and close `grace` later.
    ///
    /// # Panics
    /// When `gap` is 0, or more than [`OPEN_WINDOWS_MAX`] sessions could be open at once.
    pub fn new(gap: Nanos, grace: Nanos, aggregate: A) -> Self {
        let (gap, grace) = (gap.0, grace.0);
        assert!(gap > 0, "a session needs a gap that ends it");
        // Open sessions end within the last gap and grace, more than a gap from each other.
        let open = gap.saturating_add(grace) / gap + 1;
        assert!(
            open <= OPEN_WINDOWS_MAX as u64,
            "{open} sessions would be open at once, and {OPEN_WINDOWS_MAX} may: take a shorter grace"
        );
        let sessions = vec![Session { first: 0, last: 0, aggregate }; open as usize];
        Self { gap, grace, sessions: sessions.into(), open: 0, time: 0, drops: DropCounts::default() }
    }
}

impl<A> Sessions<A> {
    /// The time before which a session that has ended is closed.
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

    /// Adds an event to the session it is near to, and makes that one with the session behind if they are near now.
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
