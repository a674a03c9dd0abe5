//! Detection of changes: any change, and a lasting one in noise.

use super::aggregate::plain_state;
use super::state::{Number, State, StateValue};
use super::stream::Operator;
use crate::snapshot::{RestoreError, SnapshotReader};
use std::marker::PhantomData;
use stele_wire::Nanos;

/// Gives the events on that differ from the one before; the first does.
#[derive(Clone, Copy, Debug)]
pub struct Changed<T> {
    last: Option<T>,
}

impl<T> Default for Changed<T> {
    fn default() -> Self {
        Self { last: None }
    }
}

plain_state!([T: StateValue] Changed<T>, last);

impl<T: StateValue + PartialEq> Operator<T> for Changed<T> {
    type Out = T;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: T, emit: &mut impl FnMut(Nanos, T)) {
        if self.last != Some(input) {
            self.last = Some(input);
            emit(at, input);
        }
    }
}

/// A lasting change of a mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shift {
    /// To above the target.
    Up,
    /// To below the target.
    Down,
}

/// Detects that the mean of noisy values has left its target, by cumulative sums: `S⁺ = max(0, S⁺ + x − target −
/// slack)` and `S⁻ = max(0, S⁻ + target − slack − x)`; one that exceeds the threshold is a [`Shift`], after which
/// both begin again at 0 (Page, Continuous Inspection Schemes, Biometrika 41, 1954, section 4; tabulated in
/// Montgomery, Introduction to Statistical Quality Control, section 9.1). Exact.
#[derive(Clone, Copy, Debug)]
pub struct Cusum<N> {
    target: i128,
    slack: i128,
    threshold: i128,
    above: i128,
    below: i128,
    number: PhantomData<fn(N)>,
}

impl<N: Number> Cusum<N> {
    /// A mean of `target`; shifts of less than twice `slack` are let be; `threshold` is usually four to five
    /// standard deviations.
    ///
    /// # Panics
    /// When `slack` or `threshold` is negative.
    pub fn new(target: N, slack: N, threshold: N) -> Self {
        let (target, slack, threshold) = (target.units(), slack.units(), threshold.units());
        assert!(slack >= 0 && threshold >= 0, "slack {slack} and threshold {threshold} are not negative");
        Self { target, slack, threshold, above: 0, below: 0, number: PhantomData }
    }

    /// The sums `S⁺` and `S⁻`, in units.
    pub fn sums(&self) -> (i128, i128) {
        (self.above, self.below)
    }
}

impl<N> State for Cusum<N> {
    fn reset(&mut self) {
        (self.above, self.below) = (0, 0);
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        (self.above, self.below).put(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        (self.above, self.below) = StateValue::take(reader)?;
        Ok(())
    }
}

impl<N: Number> Operator<N> for Cusum<N> {
    type Out = Shift;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: N, emit: &mut impl FnMut(Nanos, Shift)) {
        let distance = input.units() - self.target;
        self.above = (self.above + distance - self.slack).max(0);
        self.below = (self.below - distance - self.slack).max(0);
        let shift = match () {
            () if self.above > self.threshold => Shift::Up,
            () if self.below > self.threshold => Shift::Down,
            () => return,
        };
        (self.above, self.below) = (0, 0);
        emit(at, shift);
    }
}
