//! One feed to several shards: each instrument to its own, events without an instrument to all.

use crate::rig::{Rig, START, notice};
use stele_feed::PendingMessage;
use stele_feed::router::{Outlet, OutletError, Router, ShardInstruments, ShardLocation};
use stele_wire::messages::{
    FeedStatus, InstrumentDefinition, InstrumentDefinitionLegs, SourceDefinition, VenueNotice,
};
use zerocopy::IntoBytes;

fn named(symbols: &[&str]) -> ShardInstruments {
    ShardInstruments::Symbols(symbols.iter().map(|symbol| (*symbol).into()).collect())
}

struct Floor {
    shards: Vec<Rig>,
    router: Router,
}

impl Floor {
    fn new(here: Vec<ShardInstruments>, elsewhere: Vec<ShardInstruments>, words: usize) -> Self {
        let mut shards: Vec<Rig> = here.iter().map(|_| Rig::new()).collect();
        let routes = here.into_iter().zip(&mut shards);
        let routes: Vec<_> = routes
            .map(|(share, rig)| {
                (
                    share,
                    ShardLocation::Local(rig.sequencer.publisher(
                        2,
                        "feed",
                        words,
                        stele_bus::Grants::market(),
                    )),
                )
            })
            .chain(elsewhere.into_iter().map(|share| (share, ShardLocation::Remote)))
            .collect();
        Self { shards, router: Router::new(routes) }
    }

    fn send(&mut self, template_id: u16, body: &[u8]) -> Result<(), OutletError> {
        self.router.stage(PendingMessage { template_id, body, due: START }, START)
    }

    fn notice(&mut self, instrument: u32) -> Result<(), OutletError> {
        self.send(VenueNotice::TEMPLATE_ID, &notice(instrument, 40))
    }

    fn define(
        &mut self,
        instrument: u32,
        symbol: &str,
        underlying: u32,
        legs: &[u32],
    ) -> Result<(), OutletError> {
        let mut venue_symbol = [0; 72];
        venue_symbol[..symbol.len()].copy_from_slice(symbol.as_bytes());
        let definition = InstrumentDefinition {
            instrument: instrument.into(),
            underlying_instrument: underlying.into(),
            venue_symbol,
            ..InstrumentDefinition::NULL
        };
        let legs = legs.iter().map(|leg| InstrumentDefinitionLegs {
            instrument: (*leg).into(),
            ..InstrumentDefinitionLegs::NULL
        });
        let mut buffer = [0; 2_048];
        let body = definition.encode(&mut buffer, legs).unwrap().to_vec();
        self.send(InstrumentDefinition::TEMPLATE_ID, &body)
    }

    /// The events that each shard got: the template, and the instrument if it has one.
    fn received(&mut self) -> Vec<Vec<(u16, u32)>> {
        self.router.commit();
        let received = |rig: &mut Rig| {
            rig.settle();
            rig.close_batch();
            rig.flush();
            let events = rig.trail_events().into_iter();
            let named = events.map(|(template_id, body)| match template_id {
                VenueNotice::TEMPLATE_ID | InstrumentDefinition::TEMPLATE_ID => {
                    (template_id, u32::from_le_bytes(body[8..12].try_into().unwrap()))
                }
                _ => (template_id, 0),
            });
            named.collect()
        };
        self.shards.iter_mut().map(received).collect()
    }
}

const NOTICE: u16 = VenueNotice::TEMPLATE_ID;
const DEFINITION: u16 = InstrumentDefinition::TEMPLATE_ID;

#[test]
fn an_instrument_goes_to_its_shard_and_what_concerns_all_to_each() {
    let mut floor = Floor::new(vec![named(&["A"]), ShardInstruments::Rest], vec![], 4_096);
    let status = FeedStatus::NULL;
    floor
        .send(SourceDefinition::TEMPLATE_ID, &[SourceDefinition::NULL.as_bytes(), &[0; 2]].concat())
        .unwrap();
    floor.define(1, "A", 0, &[]).unwrap();
    floor.define(2, "B", 0, &[]).unwrap();
    floor.notice(1).unwrap();
    floor.notice(2).unwrap();
    floor.notice(0).unwrap();
    floor.notice(70_000).unwrap();
    floor.send(FeedStatus::TEMPLATE_ID, &[status.as_bytes(), &[0; 2]].concat()).unwrap();
    let (source, ended) = ((SourceDefinition::TEMPLATE_ID, 0), (FeedStatus::TEMPLATE_ID, 0));
    assert_eq!(
        floor.received(),
        [
            vec![source, (DEFINITION, 1), (NOTICE, 1), (NOTICE, 0), ended],
            vec![source, (DEFINITION, 2), (NOTICE, 2), (NOTICE, 0), (NOTICE, 70_000), ended],
        ]
    );
}

#[test]
fn a_shard_gets_the_definitions_to_which_its_own_refer_before_them_and_once() {
    let mut floor = Floor::new(vec![named(&["LEG", "INDEX"]), named(&["SPREAD", "OPTION"])], vec![], 4_096);
    floor.define(1, "INDEX", 0, &[]).unwrap();
    floor.define(2, "LEG", 1, &[]).unwrap();
    floor.define(3, "SPREAD", 0, &[2, 1]).unwrap();
    floor.define(4, "OPTION", 2, &[]).unwrap();
    assert_eq!(
        floor.received(),
        [
            vec![(DEFINITION, 1), (DEFINITION, 2)],
            vec![(DEFINITION, 1), (DEFINITION, 2), (DEFINITION, 3), (DEFINITION, 4)],
        ]
    );
}

#[test]
fn what_another_process_runs_is_left_to_it() {
    let mut floor = Floor::new(vec![named(&["A"])], vec![ShardInstruments::Rest], 4_096);
    floor.define(1, "A", 0, &[]).unwrap();
    floor.define(2, "B", 0, &[]).unwrap();
    floor.notice(1).unwrap();
    floor.notice(2).unwrap();
    assert_eq!(floor.received(), [vec![(DEFINITION, 1), (NOTICE, 1)]]);
}

#[test]
fn an_instrument_in_no_shard_is_refused_by_name() {
    let mut floor = Floor::new(vec![named(&["A"]), named(&["B"])], vec![], 4_096);
    floor.define(1, "A", 0, &[]).unwrap();
    let refused = floor.define(2, "C", 0, &[]).unwrap_err();
    assert!(!refused.is_transient());
    assert!(refused.to_string().contains("instrument 2 (C) is in no shard"), "{refused}");
    assert!(floor.notice(9).unwrap_err().to_string().contains("instrument 9 is in no shard"));
}

#[test]
fn what_concerns_all_reaches_each_once_however_often_one_of_them_is_full() {
    let mut floor = Floor::new(vec![named(&["A"]), named(&["B"])], vec![], 64);
    let filler = notice(0, 300);
    floor.send(NOTICE, &filler).unwrap();
    // The second shard makes room, the first does not.
    floor.router.commit();
    floor.shards[1].settle();
    for _ in 0..3 {
        let refused = floor.send(NOTICE, &filler).unwrap_err();
        assert!(refused.is_transient(), "{refused}");
        floor.router.commit();
        floor.shards[1].settle();
    }
    floor.shards[0].settle();
    floor.send(NOTICE, &filler).unwrap();
    assert_eq!(floor.received(), [vec![(NOTICE, 0); 2], vec![(NOTICE, 0); 2]]);
}
