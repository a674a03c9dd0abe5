//! Execution of one parent order in slices over a period: shared by [`crate::twap`] and [`crate::vwap`].
//!
//! The parent order consists of the strategy's parameters and is never sent itself; its child orders name it
//! as their parent ([`Order::child_of`]). The period begins with the first book of the instrument that has
//! both sides, and is divided into slices of equal length. A schedule states the quantity to be executed by
//! the end of each slice.
//!
//! Within a slice, the quantity that is due by its end rests at the best price of the order's own side. The
//! quantity that was due by the end of the previous slice and is not executed takes the best price of the
//! other side, repeatedly until it is executed.

use crate::order::{Order, OrderState};
use crate::parameters::{ParameterError, Parameters};
use crate::report::OrderReport;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::{Context, Strategy};
use crate::throttle::OrderThrottle;
use stele_wire::messages::Side;
use stele_wire::{Nanos, Quantity};

/// The cumulative quantity to be executed by the end of each slice: proportional to the sum of the weights so
/// far, rounded down; the whole quantity by the end of the last slice.
///
/// # Panics
/// When all weights are 0.
pub fn schedule(quantity: u64, weights: &[u64]) -> Vec<u64> {
    let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    assert!(total > 0, "all weights are 0");
    let mut so_far = 0;
    let due = weights.iter().map(|weight| {
        so_far += u128::from(*weight);
        (u128::from(quantity) * so_far / total) as u64
    });
    due.collect()
}

/// Derives the weight of each slice from the parameters. At least one is not 0.
pub type SliceWeights = fn(&Parameters) -> Result<Vec<u64>, ParameterError>;

/// The strategy: see the [module documentation](self).
pub struct SlicedExecution {
    weights: SliceWeights,
    side: Side,
    /// Cumulative quantity by slice.
    due: Vec<u64>,
    slice: u64,
    symbol: String,
    throttle: OrderThrottle,
    course: Option<Course>,
}

/// An execution in progress.
#[derive(Clone, Copy)]
struct Course {
    instrument: u32,
    parent: u64,
    start: Nanos,
    /// Position at the start.
    base: i64,
    /// The slice in which the last child order was sent.
    sent_in: usize,
}

impl SlicedExecution {
    /// Makes the strategy from the parameters `side`, `quantity`, `duration`, `orders-per-second` and
    /// `symbol`, with one slice for each of the weights that `weights` derives from them.
    ///
    /// # Errors
    /// Those of `weights`.
    pub fn new(parameters: &Parameters, weights: SliceWeights) -> Result<Self, ParameterError> {
        let of_slices = weights(parameters)?;
        Ok(Self {
            weights,
            side: if parameters.text("side") == "buy" { Side::BUY } else { Side::SELL },
            due: schedule(parameters.integer("quantity") as u64, &of_slices),
            slice: (parameters.duration("duration") / of_slices.len() as u64).max(1),
            symbol: parameters.text("symbol").into(),
            throttle: OrderThrottle::new(parameters.integer("orders-per-second") as u64),
            course: None,
        })
    }

    fn begin(&mut self, instrument: u32, context: &mut Context<'_>) {
        let Some(known) = context.instrument(instrument) else { return };
        let is_ours = self.symbol.is_empty() || self.symbol == known.symbol();
        if is_ours && known.book().mid().is_some() {
            let (parent, start, base) = (context.new_id(), context.now(), context.position(instrument));
            self.course = Some(Course { instrument, parent, start, base, sent_in: 0 });
            self.wake(0, start, context);
        }
    }

    /// Sets a timer for the end of a slice. After the last slice, changes of the book are enough.
    fn wake(&self, slice: usize, start: Nanos, context: &mut Context<'_>) {
        if slice < self.due.len() {
            context.set_timer(Nanos(start.0 + self.slice * (slice as u64 + 1)));
        }
    }

    /// The slice at time `now`; the number of slices when the period is over.
    fn slice_at(&self, start: Nanos, now: Nanos) -> usize {
        (((now.0 - start.0) / self.slice) as usize).min(self.due.len())
    }

    /// Sends a child order if one is due, and cancels one of an earlier slice.
    fn work(&mut self, context: &mut Context<'_>) {
        let Some(course) = self.course else { return };
        let slice = self.slice_at(course.start, context.now());
        let child = context.orders().iter().next().copied();
        if let Some(child) = child {
            if course.sent_in < slice && child.state == OrderState::Working {
                context.cancel(child.client_order_id);
            }
            return;
        }
        let moved = i128::from(context.position(course.instrument)) - i128::from(course.base);
        let executed = if self.side == Side::BUY { moved } else { -moved };
        let missing = |due: u64| Quantity((i128::from(due) - executed).clamp(0, u64::MAX.into()) as u64);
        let overdue = missing(slice.checked_sub(1).map_or(0, |before| self.due[before]));
        let waiting = missing(self.due.get(slice).copied().unwrap_or(0));
        let opposite = if self.side == Side::BUY { Side::SELL } else { Side::BUY };
        // A waiting order rests at the best price of its own side.
        let (quantity, takes) = if overdue.0 > 0 { (overdue, true) } else { (waiting, false) };
        let price = context.touch(course.instrument, if takes { self.side } else { opposite });
        if let Some(price) = price
            && quantity.0 > 0
            && self.throttle.admits(context.now())
        {
            let child = Order::limit(course.instrument, self.side, quantity, price).child_of(course.parent);
            context.send(if takes { child.immediate_or_cancel() } else { child });
            self.course = Some(Course { sent_in: slice, ..course });
        }
    }
}

impl Strategy for SlicedExecution {
    fn on_report(&mut self, _: &OrderReport, context: &mut Context<'_>) {
        self.work(context);
    }

    fn on_timer(&mut self, _: u64, context: &mut Context<'_>) {
        if let Some(course) = self.course {
            self.wake(self.slice_at(course.start, context.now()), course.start, context);
        }
        self.work(context);
    }

    fn on_book(&mut self, instrument: u32, context: &mut Context<'_>) {
        match self.course {
            None => self.begin(instrument, context),
            Some(course) if course.instrument != instrument => return,
            Some(_) => {}
        }
        self.work(context);
    }

    fn set_parameters(&mut self, parameters: &Parameters) -> Result<(), ParameterError> {
        parameters.unchanged("side", if self.side == Side::BUY { "buy" } else { "sell" })?;
        parameters.unchanged("symbol", &self.symbol)?;
        let new = Self::new(parameters, self.weights)?;
        let slices = new.due.len();
        let course = self.course.map(|course| Course { sent_in: course.sent_in.min(slices), ..course });
        let throttle = self.throttle.at_rate(parameters.integer("orders-per-second") as u64);
        *self = Self { throttle, course, ..new };
        Ok(())
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.throttle.snapshot(out);
        out.put_u64(self.course.is_some().into());
        if let Some(Course { instrument, parent, start, base, sent_in }) = self.course {
            [instrument.into(), parent, start.0, sent_in as u64]
                .into_iter()
                .for_each(|value| out.put_u64(value));
            out.put_i64(base);
        }
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        self.throttle.restore(&mut reader)?;
        if reader.at_most("flag of a begun execution", 1)? == 1 {
            self.course = Some(Course {
                instrument: reader.id("instrument")?,
                parent: reader.u64()?,
                start: Nanos(reader.u64()?),
                sent_in: reader.at_most("slice", self.due.len() as u64)? as usize,
                base: reader.i64()?,
            });
        }
        reader.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
        #[test]
        fn a_schedule_reaches_the_whole_quantity_and_is_within_a_unit_of_its_weights(
            quantity in 1u64..1_000_000_000_000, weights in prop::collection::vec(0u64..1_000, 1..60),
        ) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let due = schedule(quantity, &weights);
            let total = weights.iter().sum::<u64>() as f64;
            prop_assert!(due.is_sorted());
            prop_assert_eq!(due.last(), Some(&quantity));
            for (at, due) in due.iter().enumerate() {
                let exact = quantity as f64 * weights[..=at].iter().sum::<u64>() as f64 / total;
                prop_assert!((exact - *due as f64) < 1.001 && exact - *due as f64 > -0.001, "{exact} {due}");
            }
        }
    }
}
