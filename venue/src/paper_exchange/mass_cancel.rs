//! Cancels of many orders at once: a mass cancel, an emergency, a lost connection; and how the exchange
//! misbehaves.

use super::report::{CancelCause, Subject};
use super::{Entry, PaperExchange, VenueFaults};
use crate::matching::MatchingOrder;
use stele_wire::Nanos;
use stele_wire::messages::{CancelScope, MassCancel, Side};

/// An emergency mass cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Emergency {
    #[default]
    No,
    /// It is on its way to the exchange.
    Asked,
    /// It has cancelled so many orders.
    Done(usize),
}

impl PaperExchange {
    /// Sets how the exchange misbehaves from now on.
    pub fn set_faults(&mut self, faults: VenueFaults) {
        self.options.faults = faults;
    }

    /// Whether it takes no request now.
    pub fn is_busy(&self) -> bool {
        self.options.faults.is_busy
    }

    /// Asks for the cancel of every order, an emergency that needs no log. Like any other request it takes
    /// [`order_delay`](super::PaperOptions::order_delay) to the exchange. Returns how many orders worked,
    /// once none does; call it again until then. A busy exchange does not take it.
    pub fn cancel_everything(&mut self, now: Nanos) -> Option<usize> {
        if self.emergency == Emergency::No && !self.is_busy() {
            self.advance(now);
            self.entries.push(Entry::Emergency);
            self.emergency = Emergency::Asked;
        }
        self.advance(now);
        match self.emergency {
            Emergency::Done(orders) => Some(orders),
            Emergency::No | Emergency::Asked => None,
        }
    }

    /// The connection to the gateway is lost at `now`. Requests in flight are lost with it. With
    /// [`cancel_on_disconnect`](super::PaperOptions::cancel_on_disconnect) every order is cancelled by the
    /// market.
    pub fn on_disconnect(&mut self, now: Nanos) {
        self.advance(now);
        self.entries.clear();
        if self.options.cancel_on_disconnect {
            self.reporter.venue_time = self.now;
            self.cancel_where(|_| true, CancelCause::Market);
        }
    }

    pub(super) fn on_emergency(&mut self) {
        let orders = self.open;
        self.cancel_where(|_| true, CancelCause::Market);
        self.emergency = Emergency::Done(orders);
    }

    /// A strategy's mass cancel covers its own orders only; one of strategy 0 (no strategy) covers all
    /// orders.
    pub(super) fn cancel_all(&mut self, request: &MassCancel, sequence: u64) {
        let (strategy, id) = (request.strategy.get(), request.scope_id.get());
        let wanted = |order: &MatchingOrder| {
            (strategy == 0 || order.owner.strategy == strategy)
                && (request.side == Side::NONE || Subject::from(order).side == request.side)
                && match request.scope {
                    CancelScope::ALL => true,
                    CancelScope::ACCOUNT => order.owner.account == id,
                    CancelScope::INSTRUMENT => order.instrument == request.instrument.get(),
                    CancelScope::STRATEGY => u32::from(order.owner.strategy) == id,
                    _ => false,
                }
        };
        self.cancel_where(wanted, CancelCause::Requested { sequence, initiator: request.initiator });
    }

    fn cancel_where(&mut self, wanted: impl Fn(&MatchingOrder) -> bool, cause: CancelCause) {
        let mut ids = std::mem::take(&mut self.ids);
        ids.clear();
        ids.extend(self.venues.iter().map(|(id, _)| id));
        for id in &ids {
            let Some(venue) = self.venues.get_mut(*id) else { continue };
            self.reporter.venue_time = venue.venue_time.unwrap_or(self.reporter.venue_time);
            if venue.book.is_some() {
                self.with_book(*id, |book, listener| {
                    book.cancel_where(&wanted, |order, left| {
                        listener.reporter.cancelled(order.into(), left, cause);
                    });
                });
            } else {
                self.drop_orders(*id, &wanted, |reporter, order, left| {
                    reporter.cancelled(order.into(), left, cause);
                });
            }
        }
        self.ids = ids;
    }
}
