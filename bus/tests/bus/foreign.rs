//! Messages of other schemas than Stele's are logged unchanged and never mistaken for Stele's own.

use crate::rig::{Rig, START, notice, order, order_body};
use stele_bus::bounds::PUBLISHER_WORDS_DEFAULT;
use stele_bus::{FOREIGN_LENGTH_MAX, Grants, NOT_RECEIVED, Refusal};
use stele_wire::Frame;
use stele_wire::codec::MessageHeader;
use stele_wire::messages::{NewOrder, SCHEMA_ID, SessionEnd, VenueNotice};

fn header(schema_id: u16, template_id: u16, block_length: u16) -> MessageHeader {
    MessageHeader {
        block_length: block_length.into(),
        template_id: template_id.into(),
        schema_id: schema_id.into(),
        version: 3.into(),
    }
}

/// The schema, template, version, block length and first bytes of the body of every event of another schema.
fn foreign(rig: &Rig, length: usize) -> Vec<(u16, u16, u16, u16, Vec<u8>)> {
    let of = |frame: Frame<'_>| {
        let header = frame.header();
        (
            header.schema_id.get(),
            header.template_id.get(),
            header.schema_version.get(),
            header.block_length.get(),
            frame.body()[..length].to_vec(),
        )
    };
    let frames = rig.verified_trail().into_iter().map(|(_, frame)| frame);
    frames.filter(|frame| !frame.is_padding() && !frame.is_stele()).map(of).collect()
}

#[test]
fn a_message_of_another_schema_is_sequenced_with_its_own_header_and_body() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(5, "sensors", PUBLISHER_WORDS_DEFAULT, Grants::all());
    // The template ids of an order and of the session's end: they mean nothing in another schema.
    for (at, template_id) in
        [7, NewOrder::TEMPLATE_ID, SessionEnd::TEMPLATE_ID, u16::MAX].into_iter().enumerate()
    {
        let body = [at as u8 + 1; 21];
        publisher.offer_foreign(&header(901, template_id, 16), &body, START).unwrap();
        publisher.offer(VenueNotice::TEMPLATE_ID, &notice(1, 40), START).unwrap();
    }
    rig.settle();
    publisher.offer(NewOrder::TEMPLATE_ID, &order_body(&order(1, 1)), NOT_RECEIVED).unwrap();
    rig.settle();
    rig.close_batch();
    rig.flush();
    let expected: Vec<_> = [7, NewOrder::TEMPLATE_ID, SessionEnd::TEMPLATE_ID, u16::MAX]
        .into_iter()
        .zip(1..)
        .map(|(template_id, byte)| (901, template_id, 3, 16, vec![byte; 21]))
        .collect();
    assert_eq!(foreign(&rig, 21), expected);
    let own = rig
        .trail_events()
        .into_iter()
        .filter(|(id, body)| *id == VenueNotice::TEMPLATE_ID && body.len() == 40);
    assert_eq!(own.count(), 4);
    assert_eq!(rig.sequencer.statistics().malformed, 0);
}

#[test]
fn bodies_of_every_length_pass_whole_where_the_ring_wraps_and_from_another_process() {
    let mut rig = Rig::shared();
    let mut port = rig.sequencer.remote_publisher(7, "outside", 1 << 10, Grants::all());
    let mut near = rig.sequencer.publisher(5, "near", 300, Grants::all());
    let mut far = rig.connect(&mut port);
    let mut expected = Vec::new();
    for step in 0..2_000_u64 {
        let length = 8 + (step * 37 % 700) as usize;
        let body: Vec<u8> = (0..length).map(|at| (step as usize * 31 + at) as u8).collect();
        let header = header(902, (step % 5) as u16, 8);
        if step % 2 == 0 {
            near.offer_foreign(&header, &body, NOT_RECEIVED).unwrap();
        } else {
            far.offer_foreign(&header, &body, NOT_RECEIVED).unwrap();
        }
        rig.settle();
        rig.flush();
        expected.push((902, (step % 5) as u16, 3, 8, body));
    }
    rig.close_batch();
    rig.flush();
    let found = foreign(&rig, 8);
    assert_eq!(found.len(), 2_000);
    let frames = rig.verified_trail().into_iter().map(|(_, frame)| frame);
    for (frame, (_, template_id, _, _, body)) in
        frames.filter(|frame| !frame.is_padding() && !frame.is_stele()).zip(&expected)
    {
        assert_eq!((frame.template_id(), &frame.body()[..body.len()]), (*template_id, &body[..]));
        assert!(frame.body()[body.len()..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn an_invalid_message_of_another_schema_is_refused_with_the_reason() {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(5, "sensors", PUBLISHER_WORDS_DEFAULT, Grants::all());
    let mut offer = |header: MessageHeader, length: usize| {
        publisher.offer_foreign(&header, &vec![1; length], NOT_RECEIVED)
    };
    assert_eq!(offer(header(SCHEMA_ID, 1, 8), 8), Err(Refusal::NotForeign(SCHEMA_ID)));
    assert_eq!(offer(header(0, 1, 8), 8), Err(Refusal::NotForeign(0)));
    assert_eq!(offer(header(901, 1, 9), 8), Err(Refusal::TooShort { needed: 9, found: 8 }));
    let (longest, found) = (FOREIGN_LENGTH_MAX, FOREIGN_LENGTH_MAX + 1);
    assert_eq!(offer(header(901, 1, 8), found), Err(Refusal::TooLong { longest, found }));
    assert_eq!(offer(header(901, 1, 8), longest), Ok(()));
    rig.settle();
    rig.close_batch();
    rig.flush();
    let found = foreign(&rig, FOREIGN_LENGTH_MAX);
    assert_eq!(found, [(901, 1, 3, 8, vec![1; FOREIGN_LENGTH_MAX])]);
}
