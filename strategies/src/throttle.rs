//! A limit on the number of orders that a strategy sends per second.

use crate::order::Order;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use crate::strategy::Context;
use stele_wire::messages::Side;
use stele_wire::{Nanos, Quantity};

/// Limits orders to a number per second of the log's time. Unused allowance accumulates for at most one
/// second, so after a quiet second that many orders may be sent at once. Uses whole nanoseconds, so the
/// result follows from the events alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderThrottle {
    interval: u64,
    /// The time until which the allowance is used up.
    used_until: Nanos,
}

const SECOND: u64 = 1_000_000_000;

impl OrderThrottle {
    /// A throttle of `per_second` orders per second.
    ///
    /// # Panics
    /// When `per_second` is 0.
    pub fn new(per_second: u64) -> Self {
        Self { interval: SECOND / per_second, used_until: Nanos(0) }
    }

    /// The same throttle with another number of orders per second, from the next order on.
    ///
    /// # Panics
    /// When `per_second` is 0.
    pub fn at_rate(self, per_second: u64) -> Self {
        Self { used_until: self.used_until, ..Self::new(per_second) }
    }

    /// Whether an order may be sent now; if so, it is counted.
    pub fn admits(&mut self, now: Nanos) -> bool {
        let used_until = self.used_until.0.max(now.0.saturating_sub(SECOND)) + self.interval;
        let admits = used_until <= now.0;
        if admits {
            self.used_until = Nanos(used_until);
        }
        admits
    }

    /// Moves the position towards `target` with immediate-or-cancel orders at the best price of the other
    /// side, one order at a time. The orders carry `link` (RTS 24, field 46); 0 means none.
    pub fn approach(&mut self, instrument: u32, target: i64, link: u64, context: &mut Context<'_>) {
        let missing = i128::from(target) - i128::from(context.position(instrument));
        let side = if missing > 0 { Side::BUY } else { Side::SELL };
        let quantity = Quantity(missing.unsigned_abs().min(u64::MAX.into()) as u64);
        if let Some(price) = context.touch(instrument, side)
            && quantity.0 > 0
            && !context.is_working(instrument)
            && self.admits(context.now())
        {
            let order = Order::limit(instrument, side, quantity, price).immediate_or_cancel();
            context.send(order.linked(link));
        }
    }

    /// Appends the state.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.used_until.0);
    }

    /// Restores the state that [`OrderThrottle::snapshot`] wrote.
    ///
    /// # Errors
    /// [`RestoreError::Truncated`].
    pub fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.used_until = Nanos(reader.u64()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_quiet_second_the_allowance_of_one_second_is_available_at_once() {
        let (mut throttle, start) = (OrderThrottle::new(50), 1_700_000_000 * SECOND);
        let admitted =
            |throttle: &mut OrderThrottle, now: u64| (0..100).filter(|_| throttle.admits(Nanos(now))).count();
        assert_eq!(admitted(&mut throttle, start), 50);
        assert_eq!(admitted(&mut throttle, start + 19_999_999), 0);
        assert_eq!(admitted(&mut throttle, start + 20_000_000), 1);
        assert_eq!(admitted(&mut throttle, start + 9 * SECOND), 50);
    }
}
