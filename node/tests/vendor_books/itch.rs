//! The full book of Apple after some of NASDAQ's messages, compared with another decoder's.

use crate::{Books, Played, expected, play};
use stele_connect::itch::{ItchFeed, ItchOptions};
use stele_strategies::book::BookSide;
use stele_testkit::shared;

#[test]
fn the_full_book_of_apple_is_that_of_another_decoder_at_every_checkpoint() {
    let Some(folder) = shared::data("itch") else { return };
    let expected = expected(&folder.join("EXPECTED.json"));
    let expected = &expected.as_array().unwrap()[0];
    let checkpoints = expected["book_after_messages(price 1e-4, shares)"].as_object().unwrap();
    let file = folder.join(expected["file"].as_str().unwrap());
    let events = play(ItchFeed::open(&file, ItchOptions { source: 1, ..ItchOptions::default() }).unwrap());
    assert_eq!(checkpoints.len(), 3);
    for (messages, checkpoint) in checkpoints {
        let messages: u32 = messages.parse().unwrap();
        let mut books = Books::default();
        events.iter().filter(|event| message_number(event) <= messages).for_each(|event| {
            books.apply(event);
        });
        for (side, name) in [(BookSide::Bid, "bids"), (BookSide::Ask, "asks")] {
            let mut ours: Vec<_> =
                books.levels(side).iter().map(|(price, quantity, _)| (price / 100_000, *quantity)).collect();
            ours.sort_unstable();
            let level = |level: &serde_json::Value| (level[0].as_i64().unwrap(), level[1].as_u64().unwrap());
            let theirs: Vec<_> = checkpoint[name].as_array().unwrap().iter().map(level).collect();
            assert_eq!(ours, theirs, "{name} after {messages} messages");
        }
        let open = checkpoint["open_orders"].as_u64().unwrap();
        assert_eq!(books.book().order_count() as u64, open, "after {messages} messages");
        books.assert_nothing_odd();
    }
}

/// The message that an event came from: its `venueSequence`; 0 for a definition.
fn message_number(event: &Played) -> u32 {
    if event.template_id < 200 { u32::from_le_bytes(event.body[12..16].try_into().unwrap()) } else { 0 }
}
