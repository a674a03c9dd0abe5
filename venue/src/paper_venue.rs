//! The paper exchange as the venue of an order gateway.
//!
//! It runs on the gateway's thread, in the gateway's duty cycle. The gateway submits an order when its
//! release watermark has passed. Market data reaches the exchange through a gate of the venue's own as soon
//! as it is sequenced, and always before an order that comes later on the log. The venue's own publisher
//! publishes the reports. While it is refused, the venue takes neither orders nor market data, so that no
//! report is ever dropped.

use crate::bounds::MARKET_POLL_MAX;
use crate::doubt::{OrderInDoubt, Reconciliation};
use crate::emergency::EmergencyAnswer;
use crate::gateway::{Venue, VenueBusy};
use crate::paper_exchange::{PaperExchange, REPORT_LENGTH_MAX};
use stele_bus::counters::table;
use stele_bus::{
    AgentError, Counter, CounterError, CounterLabels, Counters, Event, GatingConsumer, Publisher, Refusal,
};
use stele_wire::Nanos;
use stele_wire::messages::OrderFilled;

/// The paper exchange as a [`Venue`].
#[derive(Debug)]
pub struct PaperVenue {
    exchange: PaperExchange,
    market: GatingConsumer,
    publisher: Publisher,
    failure: Option<AgentError>,
    reports: u64,
    counters: Option<VenueCounters>,
}

#[derive(Debug)]
struct VenueCounters {
    orders: Counter,
    fills: Counter,
}

/// Whether all reports are published.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backlog {
    Gone,
    Waits,
}

impl PaperVenue {
    /// Creates a venue of `exchange` that reads the log through `market` and publishes reports through
    /// `publisher`.
    pub fn new(exchange: PaperExchange, market: GatingConsumer, publisher: Publisher) -> Self {
        Self { exchange, market, publisher, failure: None, reports: 0, counters: None }
    }

    /// Registers counters of `shard` in `counters`: orders and executions.
    ///
    /// # Errors
    /// When they are registered already, or `counters` has no free slot.
    pub fn register_counters(&mut self, counters: &Counters, shard: u16) -> Result<(), CounterError> {
        self.counters = Some(VenueCounters {
            orders: counters.register(table::VENUE_ORDERS, CounterLabels::shard(shard))?,
            fills: counters.register(table::VENUE_FILLS, CounterLabels::shard(shard))?,
        });
        Ok(())
    }

    /// Returns the exchange.
    pub fn exchange(&self) -> &PaperExchange {
        &self.exchange
    }

    /// Returns the exchange, to change how it behaves.
    pub fn exchange_mut(&mut self) -> &mut PaperExchange {
        &mut self.exchange
    }

    /// The number of reports published so far.
    pub fn reports(&self) -> u64 {
        self.reports
    }

    /// Declares that this venue publishes nothing more, so that the sequencer need not wait for it.
    pub fn finish(&mut self) {
        self.publisher.finish();
    }

    /// Publishes the waiting reports.
    fn flush(&mut self, now: Nanos) -> Backlog {
        let mut buffer = [0; REPORT_LENGTH_MAX];
        while let Some(report) = self.exchange.report() {
            match self.publisher.offer(report.template_id(), report.encode(&mut buffer), now) {
                Ok(()) => {
                    if let Some(counters) = &mut self.counters
                        && report.template_id() == OrderFilled::TEMPLATE_ID
                    {
                        counters.fills.add(1);
                    }
                    self.exchange.pop_report();
                    self.reports += 1;
                }
                Err(refusal) => {
                    if !refusal.is_transient()
                        && !matches!(refusal, Refusal::JournalPoisoned | Refusal::Stopped)
                    {
                        self.failure = Some(AgentError::caused_by(
                            "the paper exchange cannot publish a report",
                            refusal,
                        ));
                    }
                    return Backlog::Waits;
                }
            }
        }
        Backlog::Gone
    }

    /// Feeds the exchange up to `limit` events. Returns how many; 0 also while reports wait.
    fn follow(&mut self, limit: usize, now: Nanos) -> usize {
        let mut seen = 0;
        while seen < limit && self.flush(now) == Backlog::Gone {
            let (exchange, before) = (&mut self.exchange, seen);
            let outcome = self.market.try_poll(limit - seen, |event| {
                // While a report waits, the event is refused here, and the next poll returns it again.
                if exchange.report().is_some() {
                    return Err(());
                }
                exchange.on_market(&event.frame());
                seen += 1;
                Ok(())
            });
            if seen == before && outcome.is_ok() {
                break;
            }
        }
        seen
    }
}

impl Venue for PaperVenue {
    /// The book is lost with the process. The exchange that resumes has cancelled, or refused as in doubt,
    /// every order that was open; the reports about that must be published before it takes anything new.
    fn reconcile(&mut self, _order: &OrderInDoubt, now: Nanos) -> Result<Reconciliation, VenueBusy> {
        if self.flush(now) == Backlog::Waits { Err(VenueBusy) } else { Ok(Reconciliation::Done) }
    }

    /// The log cannot take the reports, so they stay in the exchange.
    fn cancel_all(&mut self, now: Nanos) -> Result<EmergencyAnswer, VenueBusy> {
        let orders = self.exchange.cancel_everything(now).ok_or(VenueBusy)?;
        Ok(EmergencyAnswer::NothingWorks { orders: u32::try_from(orders).ok() })
    }

    fn submit(&mut self, order: Event<'_>, now: Nanos) -> Result<(), VenueBusy> {
        if self.exchange.is_busy() {
            return Err(VenueBusy);
        }
        while self.market.scanned() < order.end() {
            if self.follow(MARKET_POLL_MAX, now) == 0 {
                return Err(VenueBusy);
            }
        }
        if self.flush(now) == Backlog::Waits {
            return Err(VenueBusy);
        }
        self.exchange.on_order(&order.frame());
        if let Some(counters) = &mut self.counters {
            counters.orders.add(1);
        }
        self.flush(now);
        Ok(())
    }

    fn do_work(&mut self, now: Nanos) -> Result<usize, AgentError> {
        let before = self.reports;
        let seen = self.follow(MARKET_POLL_MAX, now);
        if seen < MARKET_POLL_MAX && self.flush(now) == Backlog::Gone {
            // All sequenced market data is processed.
            self.exchange.advance(now);
        }
        let waits = usize::from(self.flush(now) == Backlog::Waits);
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(seen + (self.reports - before) as usize + waits),
        }
    }
}
