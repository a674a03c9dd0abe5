//! The latest best bid and offer of each instrument, for consumers that are slower than the market.

use crate::by_instrument::ByInstrument;
use crate::indicators::Touch;
use crate::market::Market;
use stele_bus::{Conflated, Conflation, Event, Fold, TooManyInstruments};
use stele_wire::messages::{
    BookAdd, BookCancel, BookClear, BookDepth, BookExecute, BookLevel, BookModify, BookReplace, BookScope,
    BookSnapshot, FeedState, FeedStatus, TopOfBook,
};

/// A conflating stage over [order books](crate::Book). It runs after any consumer, keeps the best bid and
/// offer of each instrument as of the last complete venue event (see [`crate::market`] for the rule), and
/// returns changed ones on request, each once, in the order in which they changed first.
///
/// It follows the instruments of the log's own shard; instruments of other shards need a stage on their own
/// log. It allocates only at the first mention of an instrument.
pub struct NewestTouch {
    market: Market,
    touches: ByInstrument<Touch>,
    conflation: Conflation<BookUpdates>,
}

/// Extracts the instrument whose book an event is about. The market keeps the book itself.
struct BookUpdates;

impl Fold for BookUpdates {
    type State = ();

    fn instrument(&self, event: &Event<'_>) -> Option<u32> {
        macro_rules! instrument_of {
            ($($message:ident),*) => {
                match event.template_id() {
                    $($message::TEMPLATE_ID => event.frame().message::<$message>()?.instrument.get(),)*
                    _ => return None,
                }
            };
        }
        let instrument = instrument_of!(
            BookAdd,
            BookCancel,
            BookClear,
            BookDepth,
            BookExecute,
            BookLevel,
            BookModify,
            BookReplace,
            BookSnapshot,
            TopOfBook
        );
        (instrument != 0).then_some(instrument)
    }

    fn fold(&mut self, _: &mut (), _: &Event<'_>) {}
}

/// Whether an event clears books of other instruments than the one it names.
fn is_wide(event: &Event<'_>) -> bool {
    let frame = event.frame();
    match event.template_id() {
        BookClear::TEMPLATE_ID => frame
            .message::<BookClear>()
            .is_some_and(|clear| [BookScope::SOURCE, BookScope::ALL].contains(&clear.scope)),
        FeedStatus::TEMPLATE_ID => {
            frame.message::<FeedStatus>().is_some_and(|status| status.state == FeedState::STARTED)
        }
        _ => false,
    }
}

impl NewestTouch {
    /// Makes a stage for at most `capacity` instruments.
    pub fn new(capacity: usize) -> Self {
        let conflation = Conflation::new(BookUpdates, capacity);
        Self { market: Market::default(), touches: ByInstrument::default(), conflation }
    }

    /// Applies an event. Events that are not about books change nothing.
    ///
    /// # Errors
    /// [`TooManyInstruments`] when the event's instrument exceeds the capacity; it is not followed, the
    /// others are.
    pub fn on_event(&mut self, event: &Event<'_>) -> Result<(), TooManyInstruments> {
        if is_wide(event) {
            self.market.apply(&event.frame());
            self.refresh();
            return Ok(());
        }
        let Some(instrument) = BookUpdates.instrument(event) else { return Ok(()) };
        self.conflation.on_event(event)?;
        let touch = self.touches.entry(instrument);
        if self.market.apply(&event.frame()).book.is_some()
            && let Some(book) = self.market.book(instrument)
        {
            *touch = Touch::of(book);
        }
        Ok(())
    }

    /// Handles lost events: every book is unknown until the source sends it again, and every instrument
    /// counts as changed.
    pub fn on_lost(&mut self) {
        self.market = Market::default();
        self.refresh();
    }

    /// The number of instruments that changed since they were last taken.
    pub fn waiting(&self) -> usize {
        self.conflation.waiting()
    }

    /// Calls `on_touch` with the best bid and offer of up to `limit` instruments that changed since they were
    /// last taken, and returns their number.
    pub fn take(&mut self, limit: usize, mut on_touch: impl FnMut(Conflated<'_, Touch>)) -> usize {
        let touches = &self.touches;
        self.conflation.take(limit, |Conflated { instrument, folded, first, last, .. }| {
            if let Some(state) = touches.get(instrument) {
                on_touch(Conflated { instrument, state, folded, first, last });
            }
        })
    }

    /// Reads the best bid and offer of every book again and marks them as changed.
    fn refresh(&mut self) {
        for (instrument, touch) in self.touches.iter_mut() {
            *touch = self.market.book(instrument).map(Touch::of).unwrap_or_default();
        }
        self.conflation.on_lost();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{BookSide, Level};
    use crate::random::Random;
    use std::collections::BTreeMap;
    use stele_wire::bounds::{FRAME_VERSION, HEADER_LENGTH};
    use stele_wire::codec::Message;
    use stele_wire::frame::frame_length;
    use stele_wire::messages::{MarketFlags, SCHEMA_ID, SCHEMA_VERSION, Side};
    use stele_wire::{Frame, FrameHeader, Position, Price, Quantity};
    use zerocopy::{FromZeros, IntoBytes};

    /// Feeds a message as the event with this sequence.
    fn show<M: Message>(sequence: u64, message: &M, on_event: &mut dyn FnMut(&Event<'_>)) {
        let length = frame_length(message.as_bytes().len());
        let header = FrameHeader {
            length: (length as u16).into(),
            version: FRAME_VERSION,
            sequence: sequence.into(),
            block_length: M::BLOCK_LENGTH.into(),
            template_id: M::TEMPLATE_ID.into(),
            schema_id: SCHEMA_ID.into(),
            schema_version: SCHEMA_VERSION.into(),
            ..FrameHeader::new_zeroed()
        };
        let mut bytes = vec![0; length];
        bytes[..HEADER_LENGTH].copy_from_slice(header.as_bytes());
        bytes[HEADER_LENGTH..HEADER_LENGTH + message.as_bytes().len()].copy_from_slice(message.as_bytes());
        on_event(&Event::new(Frame::read(&bytes).unwrap(), Position(0)));
    }

    fn level(sequence: u64, instrument: u32, (price, quantity): (i64, u64), is_last: bool) -> BookLevel {
        BookLevel {
            instrument: instrument.into(),
            source: 1.into(),
            side: if price < 100 { Side::BUY } else { Side::SELL },
            price: price.into(),
            quantity: quantity.into(),
            order_count: 1.into(),
            venue_sequence: (sequence as u32).into(),
            flags: if is_last { MarketFlags::LAST } else { MarketFlags::EMPTY },
            ..BookLevel::NULL
        }
    }

    /// What is taken: instrument, best bid and offer, number of updates, last sequence.
    fn taken(newest: &mut NewestTouch) -> Vec<(u32, Touch, u64, u64)> {
        let mut taken = Vec::new();
        newest.take(usize::MAX, |one| taken.push((one.instrument, *one.state, one.folded, one.last.0)));
        taken
    }

    #[test]
    fn the_touch_of_every_changed_book_is_taken() {
        let (mut newest, mut market, mut random) = (NewestTouch::new(4), Market::default(), Random::new(3));
        let (mut touches, mut folded) = (BTreeMap::new(), BTreeMap::<u32, (u64, u64)>::new());
        for sequence in 1..4_000 {
            let instrument = 1 + random.below(4) as u32;
            let quoted = (90 + random.below(20) as i64, random.below(4));
            let update = level(sequence, instrument, quoted, sequence == 1 || random.below(3) > 0);
            show(sequence, &update, &mut |event| {
                newest.on_event(event).unwrap();
                touches.entry(instrument).or_insert_with(Touch::default);
                if let Some(book) = market.apply(&event.frame()).book {
                    touches.insert(book, Touch::of(market.book(book).unwrap()));
                }
            });
            let updates = folded.entry(instrument).or_default();
            *updates = (updates.0 + 1, sequence);
            if random.below(9) == 0 {
                let mut given = taken(&mut newest);
                given.sort_by_key(|one| one.0);
                let expected = std::mem::take(&mut folded).into_iter();
                let expected: Vec<_> =
                    expected.map(|(id, (count, last))| (id, touches[&id], count, last)).collect();
                assert_eq!(given, expected);
            }
        }
    }

    #[test]
    fn a_loss_or_a_clear_of_everything_gives_every_instrument_without_a_touch() {
        let mut newest = NewestTouch::new(2);
        let on_event = |newest: &mut NewestTouch, sequence, instrument| {
            let mut result = Ok(());
            show(sequence, &level(sequence, instrument, (99, 5), true), &mut |event| {
                result = newest.on_event(event)
            });
            result
        };
        let bid = Level { price: Price(99), quantity: Quantity(5), orders: 1 };
        let touch = Touch { bid: Some(bid), ask: None };
        assert_eq!(on_event(&mut newest, 1, 7), Ok(()));
        assert_eq!(on_event(&mut newest, 2, 8), Ok(()));
        assert_eq!(on_event(&mut newest, 3, 9), Err(TooManyInstruments { instrument: 9, capacity: 2 }));
        assert_eq!(taken(&mut newest), [(7, touch, 1, 1), (8, touch, 1, 2)]);
        assert_eq!(newest.waiting(), 0);
        let clear = BookClear { source: 1.into(), scope: BookScope::ALL, ..BookClear::NULL };
        show(4, &clear, &mut |event| newest.on_event(event).unwrap());
        assert_eq!(taken(&mut newest), [(7, Touch::default(), 0, 1), (8, Touch::default(), 0, 2)]);
        assert_eq!(on_event(&mut newest, 5, 8), Ok(()));
        newest.on_lost();
        assert_eq!(taken(&mut newest), [(8, Touch::default(), 1, 5), (7, Touch::default(), 0, 1)]);
        assert_eq!(on_event(&mut newest, 6, 7), Ok(()));
        assert_eq!(taken(&mut newest), [(7, touch, 1, 6)]);
        assert_eq!(newest.market.book(7).unwrap().best(BookSide::Bid), Some(bid));
    }
}
