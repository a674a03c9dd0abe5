//! The requests in flight, and how far the log is written and durable without a gap: pure.

use crate::bounds::IN_FLIGHT_MAX;
use std::collections::VecDeque;
use stele_wire::units::Position;

/// The number of a request, counted from 0.
pub type Ticket = u64;

/// How far a request has got.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RequestProgress {
    /// It was submitted to the device.
    Submitted,
    /// The device has completed the write.
    Written,
    /// The bytes are on the medium.
    Durable,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    end: Position,
    progress: RequestProgress,
}

/// The requests in flight, in the order of the log. One that completes early waits for those before it.
#[derive(Debug)]
pub struct InFlight {
    requests: VecDeque<Request>,
    first: Ticket,
    durable: Position,
}

impl InFlight {
    /// Creates an empty set, with everything up to `base` durable.
    pub fn new(base: Position) -> Self {
        Self { requests: VecDeque::with_capacity(IN_FLIGHT_MAX), first: 0, durable: base }
    }

    /// Returns whether another request may be submitted.
    pub fn has_room(&self) -> bool {
        self.requests.len() < IN_FLIGHT_MAX
    }

    /// Returns whether no request is in flight.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Returns whether request `ticket`, or one before it, is not durable yet.
    pub fn holds(&self, ticket: Ticket) -> bool {
        ticket >= self.first
    }

    /// Adds a request that completes the log up to `end`, and returns its ticket. A segment's header
    /// completes nothing: its `end` is the segment's base, and the data after it waits for it.
    ///
    /// # Panics
    /// When there is no room, or `end` is before that of the last request.
    pub fn push(&mut self, end: Position) -> Ticket {
        assert!(self.has_room(), "more than {IN_FLIGHT_MAX} requests in flight");
        let last = self.requests.back().map_or(self.durable, |request| request.end);
        assert!(end >= last, "request up to {end} after one up to {last}");
        self.requests.push_back(Request { end, progress: RequestProgress::Submitted });
        self.first + self.requests.len() as u64 - 1
    }

    /// Records how far request `ticket` has got.
    ///
    /// # Panics
    /// When there is no such request.
    pub fn advance(&mut self, ticket: Ticket, progress: RequestProgress) {
        let at = ticket.checked_sub(self.first).expect("the request is in flight") as usize;
        let request = &mut self.requests[at];
        request.progress = request.progress.max(progress);
        while let Some(front) = self.requests.front()
            && front.progress == RequestProgress::Durable
        {
            self.durable = front.end;
            self.requests.pop_front();
            self.first += 1;
        }
    }

    /// Returns the position up to which the log is written without a gap.
    pub fn written(&self) -> Position {
        let requests =
            self.requests.iter().take_while(|request| request.progress >= RequestProgress::Written);
        requests.last().map_or(self.durable, |request| request.end)
    }

    /// Returns the position up to which the log is durable without a gap.
    pub fn durable(&self) -> Position {
        self.durable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_completes_early_waits_for_those_before_it() {
        let mut flight = InFlight::new(Position(100));
        let tickets: Vec<Ticket> = (1..=3).map(|n| flight.push(Position(100 * (n + 1)))).collect();
        flight.advance(tickets[2], RequestProgress::Durable);
        flight.advance(tickets[1], RequestProgress::Written);
        assert_eq!((flight.written(), flight.durable()), (Position(100), Position(100)));
        flight.advance(tickets[0], RequestProgress::Durable);
        assert_eq!((flight.written(), flight.durable()), (Position(400), Position(200)));
        flight.advance(tickets[1], RequestProgress::Durable);
        assert_eq!((flight.written(), flight.durable()), (Position(400), Position(400)));
        assert!(flight.is_empty());
    }

    #[test]
    fn a_header_that_is_late_holds_back_its_segment() {
        let mut flight = InFlight::new(Position(0));
        let header = flight.push(Position(0));
        let data = flight.push(Position(512));
        flight.advance(data, RequestProgress::Durable);
        assert_eq!((flight.written(), flight.durable()), (Position(0), Position(0)));
        assert!(flight.holds(header) && flight.holds(data));
        flight.advance(header, RequestProgress::Durable);
        assert_eq!(flight.durable(), Position(512));
        assert!(!flight.holds(header) && !flight.holds(data));
    }

    /// Against the simplest model: durable is the end of the longest prefix of durable requests.
    #[test]
    fn any_order_of_completion_gives_the_contiguous_prefix() {
        let mut state = 1u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize
        };
        for _ in 0..2_000 {
            let mut flight = InFlight::new(Position(0));
            let count = 1 + random() % IN_FLIGHT_MAX;
            let mut model = vec![RequestProgress::Submitted; count];
            for n in 0..count {
                assert_eq!(flight.push(Position(n as u64 + 1)), n as u64);
            }
            while model.iter().any(|&progress| progress != RequestProgress::Durable) {
                let at = random() % count;
                if model[at] != RequestProgress::Durable {
                    model[at] = if random() % 2 == 0 {
                        RequestProgress::Written.max(model[at])
                    } else {
                        RequestProgress::Durable
                    };
                    flight.advance(at as u64, model[at]);
                }
                let prefix = |least| model.iter().take_while(|&&progress| progress >= least).count() as u64;
                assert_eq!(flight.durable(), Position(prefix(RequestProgress::Durable)));
                assert_eq!(flight.written(), Position(prefix(RequestProgress::Written)));
            }
        }
    }
}
