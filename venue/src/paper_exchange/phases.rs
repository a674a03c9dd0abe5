//! The phase of an instrument, from the replayed market's trading status and the exchange's own schedule.
//! | status of an instrument, or of the whole market of a source | phase |
//! |---|---|
//! | trading, or a pre-open or post-close outside the main session | continuous |
//! | any auction, pre-open, quotation only | auction |
//! | halted, paused, suspended, not available | halted |
//! | closed, post-close | closed |
//! | an unknown status | unchanged |
//!
//! The strictest of three phases holds: by the instrument's own status, by its market's, and by the
//! schedule. The instrument's next own status also ends a halt of the whole market for that instrument.

use super::PaperExchange;
use super::options::Counterparty;
use super::report::CancelCause;
use crate::matching::Phase;
use stele_wire::messages::{TradingPhase, TradingState, TradingStatus};

/// Returns the phase that a status puts in force; none when the status is unknown.
fn phase_of(state: TradingState, phase: TradingPhase) -> Option<Phase> {
    const AUCTIONS: [TradingPhase; 4] = [
        TradingPhase::OPENING_AUCTION,
        TradingPhase::INTRADAY_AUCTION,
        TradingPhase::CLOSING_AUCTION,
        TradingPhase::UNSCHEDULED_AUCTION,
    ];
    let is_outside = phase == TradingPhase::OUT_OF_MAIN_SESSION;
    Some(match state {
        TradingState::HALTED
        | TradingState::PAUSED
        | TradingState::SUSPENDED
        | TradingState::NOT_AVAILABLE => Phase::Halted,
        TradingState::CLOSED => Phase::Closed,
        TradingState::PRE_OPEN | TradingState::POST_CLOSE if is_outside => Phase::Continuous,
        TradingState::POST_CLOSE => Phase::Closed,
        TradingState::PRE_OPEN | TradingState::QUOTATION_ONLY => Phase::Auction,
        _ if AUCTIONS.contains(&phase) => Phase::Auction,
        TradingState::TRADING => Phase::Continuous,
        _ if phase == TradingPhase::CONTINUOUS => Phase::Continuous,
        _ => return None,
    })
}

impl PaperExchange {
    pub(super) fn on_status(&mut self, status: &TradingStatus) {
        let Some(phase) = phase_of(status.state, status.phase) else { return };
        let (id, source) = (status.instrument.get(), status.source.get());
        if id != 0 {
            let Some(venue) = self.venues.get_mut(id) else { return };
            venue.own_phase = phase;
            if venue.wide_phase == Phase::Halted {
                venue.wide_phase = Phase::Continuous;
            }
            venue.source = source;
            return self.settle_phase(id);
        }
        match self.wide.iter_mut().find(|(known, _)| *known == source) {
            Some((_, known)) => *known = phase,
            None => self.wide.push((source, phase)),
        }
        let mut ids = std::mem::take(&mut self.ids);
        ids.clear();
        for (id, venue) in self.venues.iter_mut() {
            if venue.source == source || venue.source == 0 {
                venue.wide_phase = phase;
                ids.push(id);
            }
        }
        ids.iter().for_each(|id| self.settle_phase(*id));
        self.ids = ids;
    }

    /// Returns the phase by the last status of a source's whole market.
    pub(super) fn wide_phase(&self, source: u16) -> Phase {
        self.wide.iter().find(|(known, _)| *known == source).map_or(Phase::Continuous, |(_, phase)| *phase)
    }

    /// Returns when the next phase of the schedule begins, in nanoseconds since the epoch.
    pub(super) fn next_phase_due(&self) -> Option<u64> {
        let next = self.options.schedule.get(self.next_phase)?;
        self.began.map(|began| began.saturating_add(next.after))
    }

    /// Begins the next phase of the schedule in every instrument, and reports it.
    pub(super) fn begin_next_phase(&mut self) {
        let phase = self.options.schedule[self.next_phase].phase;
        self.next_phase += 1;
        self.scheduled = phase;
        self.reporter.venue_time = self.now;
        self.reporter.status(0, phase);
        let mut ids = std::mem::take(&mut self.ids);
        ids.clear();
        ids.extend(self.venues.iter().map(|(id, _)| id));
        ids.iter().for_each(|id| self.settle_phase(*id));
        self.ids = ids;
    }

    /// Puts the strictest phase in force.
    pub(super) fn settle_phase(&mut self, id: u32) {
        let scheduled = self.scheduled;
        let Some(venue) = self.venues.get_mut(id) else { return };
        let phase = venue.own_phase.max(venue.wide_phase).max(scheduled);
        if phase == venue.phase {
            return;
        }
        venue.phase = phase;
        if self.options.counterparty == Counterparty::OwnBook {
            self.reporter.venue_time = self.now;
            if venue.book.is_some() {
                self.with_book(id, |book, listener| book.set_phase(phase, listener));
            }
            return;
        }
        self.reporter.venue_time = venue.venue_time.unwrap_or(self.now);
        match phase {
            Phase::Continuous => {
                self.drop_orders(
                    id,
                    |order| order.is_working() && order.limit.is_none(),
                    |reporter, order, left| {
                        reporter.cancelled(order.into(), left, CancelCause::Market);
                    },
                );
                self.meet(id);
                self.trigger(id);
            }
            Phase::Closed => self.drop_orders(
                id,
                |order| order.is_day,
                |reporter, order, left| {
                    reporter.expired(order, left);
                },
            ),
            Phase::Auction | Phase::Halted => {}
        }
    }
}
