//! Moving averages: simple and exponentially weighted.

use crate::operators::bounds::SPAN_MAX;
use crate::operators::{Mean, Number, Operator, Recent, State, StateValue};
use crate::snapshot::{RestoreError, SnapshotReader};
use stele_wire::Nanos;

/// Simple moving average: the mean of the last `n` values, rounded down to the unit, from value number `n` on
/// (Brock, Lakonishok and LeBaron, Simple Technical Trading Rules and the Stochastic Properties of Stock
/// Returns, Journal of Finance 47, 1992, section I).
#[derive(Clone, Debug)]
pub struct Sma<N> {
    recent: Recent<N, Mean<N>>,
}

impl<N: Number> Sma<N> {
    /// The average of the last `count` values.
    ///
    /// # Panics
    /// When `count` is 0 or above [`crate::operators::bounds::BUFFERED_MAX`].
    pub fn new(count: usize) -> Self {
        Self { recent: Recent::new(count, Mean::default()) }
    }
}

impl<N: Number> State for Sma<N> {
    fn reset(&mut self) {
        self.recent.reset();
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.recent.snapshot(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.recent.restore(reader)
    }
}

impl<N: Number> Operator<N> for Sma<N> {
    type Out = N;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: N, emit: &mut impl FnMut(Nanos, N)) {
        self.recent.on_event(at, input, emit);
    }
}

/// Exponentially weighted moving average: `a ← a + (x − a) · 2 / (span + 1)`, starting at the first value
/// (Roberts, Control Chart Tests Based on Geometric Moving Averages, Technometrics 1, 1959), emitted at every
/// value. Each step is rounded towards the average, to the unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ewma<N> {
    span: i64,
    count: u64,
    average: Option<N>,
}

impl<N: Number> Ewma<N> {
    /// An average in which the newest value has the weight `2 / (span + 1)`.
    ///
    /// # Panics
    /// When `span` is 0 or above [`SPAN_MAX`].
    pub fn new(span: usize) -> Self {
        assert!((1..=SPAN_MAX).contains(&span), "the span is {span}, but must be 1 to {SPAN_MAX}");
        Self { span: span as i64, count: 0, average: None }
    }

    /// Resumes an average that has seen `count` values and is at `average`.
    ///
    /// # Panics
    /// As [`Ewma::new`].
    pub fn resume(span: usize, count: u64, average: N) -> Self {
        Self { count, average: (count > 0).then_some(average), ..Self::new(span) }
    }

    /// The same average with another span, from the next value on.
    ///
    /// # Panics
    /// As [`Ewma::new`].
    #[must_use]
    pub fn with_span(self, span: usize) -> Self {
        Self { count: self.count, average: self.average, ..Self::new(span) }
    }

    /// The span.
    pub fn span(&self) -> u64 {
        self.span as u64
    }

    /// The number of values so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The current average; `None` before the first value.
    pub fn average(&self) -> Option<N> {
        self.average
    }

    /// Adds a value and returns the new average.
    #[inline]
    pub fn update(&mut self, value: N) -> N {
        let average = self.average.map_or(value, |average| {
            let doubled = (value.units() - average.units()) * 2;
            let step = match i64::try_from(doubled) {
                Ok(doubled) => (doubled / (self.span + 1)).into(),
                Err(_) => doubled / i128::from(self.span + 1),
            };
            N::from_units(average.units() + step)
        });
        self.average = Some(average);
        self.count += 1;
        average
    }
}

impl<N: Number> State for Ewma<N> {
    fn reset(&mut self) {
        (self.count, self.average) = (0, None);
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        (self.count, self.average).put(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        (self.count, self.average) = StateValue::take(reader)?;
        Ok(())
    }
}

impl<N: Number> Operator<N> for Ewma<N> {
    type Out = N;

    #[inline]
    fn on_event(&mut self, at: Nanos, input: N, emit: &mut impl FnMut(Nanos, N)) {
        emit(at, self.update(input));
    }
}
