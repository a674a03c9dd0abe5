use super::*;
use crate::generator::Generator;
use crate::testing::{Played, play};
use crate::{dbn as dbn_feed, itch};
use std::collections::BTreeMap;
use stele_feed::Feed;
use stele_wire::messages::*;

fn config() -> GeneratorConfig {
    GeneratorConfig { events: Some(60_000), source: 1, ..GeneratorConfig::default() }
}

/// The fields of an event that both ITCH and DBN have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Said {
    what: char,
    time: u64,
    instrument: u32,
    side: Side,
    order: u64,
    price: i64,
    quantity: u64,
    is_last: bool,
}

fn said(event: &Played) -> Option<Said> {
    macro_rules! fields {
        ($what:expr, $message:expr) => {{
            let message = $message;
            Some(Said {
                what: $what,
                time: message.venue_time.get(),
                instrument: message.instrument.get(),
                side: message.side,
                order: message.order_id.get(),
                price: message.price.get(),
                quantity: message.quantity.get(),
                is_last: message.flags.contains(MarketFlags::LAST),
            })
        }};
    }
    match event.template_id {
        BookAdd::TEMPLATE_ID => fields!('A', event.message::<BookAdd>()?),
        BookModify::TEMPLATE_ID => fields!('M', event.message::<BookModify>()?),
        BookReplace::TEMPLATE_ID => fields!('M', event.message::<BookReplace>()?),
        BookCancel::TEMPLATE_ID => fields!('C', event.message::<BookCancel>()?),
        BookExecute::TEMPLATE_ID => fields!('E', event.message::<BookExecute>()?),
        Trade::TEMPLATE_ID => fields!('T', event.message::<Trade>()?),
        _ => None,
    }
}

fn made() -> Vec<Said> {
    play(&mut Generator::new(config()).unwrap()).0.iter().filter_map(said).collect()
}

#[test]
fn a_dbn_file_is_read_back_as_the_flow_that_was_written() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["flow.dbn", "flow.dbn.zst"] {
        let path = folder.path().join(name);
        let written = generate(&config(), FileFormat::Dbn, &path).unwrap();
        let mut feed =
            dbn_feed::DbnFeed::open(&path, dbn_feed::DbnOptions { source: 1, ..Default::default() }).unwrap();
        let (played, error) = play(&mut feed);
        assert!(error.is_none(), "{error:?}");
        assert_eq!((feed.report().record_count(), written.flow_messages), (written.records, 60_000));
        let expected: Vec<Said> = made()
            .into_iter()
            .flat_map(|said| match said.what {
                // A fill, then the cancel that takes its quantity off the book.
                'E' => vec![Said { is_last: false, ..said }, Said { what: 'C', ..said }],
                _ => vec![said],
            })
            .collect();
        let read: Vec<Said> = played.iter().filter_map(said).collect();
        assert_eq!(read.len(), expected.len());
        read.iter().zip(&expected).for_each(|(read, expected)| assert_eq!(read, expected));
        let symbols = played.iter().filter_map(Played::message::<InstrumentDefinition>);
        let symbols: Vec<_> =
            symbols.map(|definition| stele_wire::codec::text(&definition.venue_symbol).to_owned()).collect();
        assert_eq!(symbols[..2], ["GEN001", "GEN002"]);
    }
}

#[test]
fn an_itch_file_is_read_back_as_the_flow_that_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow-20260105.itch50");
    let written = generate(&config(), FileFormat::Itch, &path).unwrap();
    assert_eq!(written.day, 20_260_105);
    let mut feed =
        itch::ItchFeed::open(&path, itch::ItchOptions { source: 1, ..Default::default() }).unwrap();
    let (played, error) = play(&mut feed);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(feed.report().record_count(), written.records);
    let read: Vec<Said> = played.iter().filter_map(said).collect();
    // ITCH repeats neither side nor price of an order, reports trades as executions, ends every event with
    // its message, and gives a modified order a new number; a delete removes all that is left.
    let (mut numbers, mut left) = (BTreeMap::new(), BTreeMap::new());
    let mut next = 1u64 << 40;
    let expected: Vec<Said> = made()
        .into_iter()
        .filter(|said| said.what != 'T')
        .map(|said| {
            let said = Said { is_last: true, ..said };
            let number = *numbers.get(&said.order).unwrap_or(&said.order);
            match said.what {
                'A' => {
                    left.insert(said.order, said.quantity);
                    return said;
                }
                'M' => {
                    left.insert(said.order, said.quantity);
                    numbers.insert(said.order, next);
                    next += 1;
                    return Said { side: Side::NONE, order: next - 1, ..said };
                }
                _ => {}
            }
            let left = left.get_mut(&said.order).unwrap();
            *left -= said.quantity;
            let is_delete = said.what == 'C' && *left == 0;
            let quantity = if is_delete { u64::MAX } else { said.quantity };
            Said { side: Side::NONE, order: number, price: i64::MAX, quantity, ..said }
        })
        .collect();
    assert_eq!(read.len(), expected.len());
    read.iter().zip(&expected).for_each(|(read, expected)| assert_eq!(read, expected));
}

#[test]
fn a_file_that_is_there_is_not_touched_and_an_endless_flow_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken");
    std::fs::write(&path, "mine").unwrap();
    let refused = generate(&config(), FileFormat::Itch, &path).unwrap_err().to_string();
    assert!(refused.contains("taken exists"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    let endless =
        generate(&GeneratorConfig::default(), FileFormat::Dbn, &folder.path().join("new")).unwrap_err();
    assert!(endless.to_string().contains("no end"));
    assert_eq!("csv".parse::<FileFormat>().unwrap_err(), "`csv` is not a file format: give itch or dbn");
}
