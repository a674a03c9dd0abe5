//! The newest best bid and offer of each instrument, for whoever is slower than the market.

use crate::by_instrument::ByInstrument;
use crate::indicators::Touch;
use crate::market::Market;
use stele_bus::{Conflated, Conflation, Event, Fold, TooManyInstruments};
use stele_wire::messages::{
    BookAdd, BookCancel, BookClear, BookDepth, BookExecute, BookLevel, BookModify, BookReplace, BookScope,
    BookSnapshot, FeedState, FeedStatus, TopOfBook,
};

/// A conflating stage over [books](crate::Book): behind any consumer it keeps the touch of each instrument as it was
/// after the last venue event that has ended (see [`crate::market`] for the rule), and gives those that changed when
/// asked, each once, whoever waited longest first. The instruments are those of the shard whose log it is; what other
/// shards forward is left to a stage behind theirs. An instrument allocates at its first mention alone.
pub struct NewestTouch {
    market: Market,
    touches: ByInstrument<Touch>,
    conflation: Conflation<BookUpdates>,
}

/// Names the instrument whose book an event is about. What is known of it is kept by the market.
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

/// Whether an event empties books other than that of the instrument it names.
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
    /// For at most `capacity` instruments.
    pub fn new(capacity: usize) -> Self {
        let conflation = Conflation::new(BookUpdates, capacity);
        Self { market: Market::default(), touches: ByInstrument::default(), conflation }
    }

    /// Takes in an event; those that are not about books change nothing.
    ///
    /// # Errors
    /// [`TooManyInstruments`]: the event's instrument is not followed, the others are.
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

    /// Events were lost: nothing is known of any book until it is told anew, and every instrument is given again.
    pub fn on_lost(&mut self) {
        self.market = Market::default();
        self.refresh();
    }

    /// Instruments that changed since they were taken.
    pub fn waiting(&self) -> usize {
        self.conflation.waiting()
    }

    /// Shows the touch of up to `limit` instruments that changed since they were taken. Returns how many.
    pub fn take(&mut self, limit: usize, mut on_touch: impl FnMut(Conflated<'_, Touch>)) -> usize {
        let touches = &self.touches;
        self.conflation.take(limit, |Conflated { instrument, folded, first, last, .. }| {
            if let Some(state) = touches.get(instrument) {
                on_touch(Conflated { instrument, state, folded, first, last });
            }
        })
    }

    /// Reads every touch from its book once more and has it given.
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

    /// Shows a message as the event of a sequence.
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

    /// What is taken: instrument, touch, updates, last sequence.
    fn taken(newest: &mut NewestTouch) -> Vec<(u32, Touch, u64, u64)> {
        let mut taken = Vec::new();
        newest.take(usize::MAX, |one| taken.push((one.instrument, *one.state, one.folded, one.last.0)));
        taken
    }

    #[test]
    fn what_is_taken_is_the_touch_of_every_book_that_changed() {
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
    fn a_loss_or_a_clear_of_everything_shows_every_instrument_without_a_touch() {
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
