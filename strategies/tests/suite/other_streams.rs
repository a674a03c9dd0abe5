//! Events of another schema in a strategy: seen, not mistaken for events of Stele's schema, and answered with
//! an alert.

use stele_strategies::strategy::{EVIDENCE_MAX, EXPLANATION_LENGTH_MAX};
use stele_strategies::{
    Context, Registry, RestoreError, SnapshotReader, SnapshotWrite, Strategy, StrategyKind, StrategyState,
    StrategyTester,
};
use stele_wire::codec::View;
use stele_wire::messages::{Alert, SessionEnd};
use stele_wire::{Frame, Sequence};
use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const SCHEMA_ID: u16 = 901;
const SCHEMA_VERSION: u16 = 1;

mod plant {
    //! Two messages as the code generator prints them; the second one has the template id of Stele's
    //! `SessionEnd`.

    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
    pub(super) struct Level {
        pub(super) value: U64,
    }

    stele_wire::message! {
        Level = 1, "Level", 8 {
            value: U64::new(u64::MAX),
        }
    }

    #[repr(C)]
    #[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
    pub(super) struct Flood {
        pub(super) value: U64,
    }

    stele_wire::message! {
        Flood = 502, "Flood", 8 {
            value: U64::new(u64::MAX),
        }
    }
}
use plant::{Flood, Level};

const _: () = assert!(Flood::TEMPLATE_ID == SessionEnd::TEMPLATE_ID);

/// Raises an alert for each flood, with as many earlier levels as evidence as the flood asks for.
#[derive(Default)]
struct Watch {
    levels: Vec<Sequence>,
}

const WATCH: StrategyKind = StrategyKind {
    name: "watch",
    about: "raises an alert for each flood",
    parameters: &[],
    make: |_| Ok(Box::new(Watch::default())),
};

impl Strategy for Watch {
    fn on_event(&mut self, event: &Frame<'_>, context: &mut Context<'_>) {
        if event.message::<Level>().is_some() {
            self.levels.push(context.sequence());
        } else if let Some(flood) = event.message::<Flood>() {
            let evidence = &self.levels[..flood.value.get() as usize % 100];
            let length = flood.value.get() as usize / 100;
            let alert = Alert { pattern: 7.into(), severity: 3, ..Alert::NULL };
            context.raise(alert, evidence, &"x".repeat(length));
        }
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.levels.len() as u64);
        self.levels.iter().for_each(|level| out.put_u64(level.0));
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        for _ in 0..reader.count("levels")? {
            self.levels.push(Sequence(reader.u64()?));
        }
        reader.finish()
    }
}

fn tester() -> StrategyTester {
    let mut registry = Registry::built_in();
    registry.register(WATCH).unwrap();
    StrategyTester::start_of(registry, "watch", "").unwrap()
}

fn flood(evidence: usize, explanation: usize) -> Flood {
    Flood { value: ((explanation * 100 + evidence) as u64).into() }
}

#[test]
fn an_alert_names_the_event_its_evidence_and_the_strategy_that_raised_it() {
    let mut tester = tester();
    for value in 0..3 {
        tester.event(&Level { value: value.into() });
    }
    let first = tester.sequence().0 - 2;
    tester.event(&flood(2, 5));
    let cause = first + 3;
    let raised = tester.take_others();
    let [(Alert::TEMPLATE_ID, body)] = &raised[..] else { panic!("{raised:?}") };
    let alert = View::<Alert>::read(Alert::BLOCK_LENGTH, 1, body).unwrap();
    assert_eq!((alert.pattern.get(), alert.severity, alert.explanation()), (7, 3, &b"xxxxx"[..]));
    assert_eq!((alert.first_sequence.get(), alert.last_sequence.get()), (first, cause));
    assert_eq!(alert.detected_time.get(), tester.now().0);
    assert_eq!(alert.alert_id.get() >> 48, u64::from(stele_strategies::tester::TEST_STRATEGY));
    let evidence: Vec<u64> = alert.evidence().map(|event| event.sequence.get()).collect();
    assert_eq!(evidence, [first, first + 1]);
    tester.event(&flood(0, 0));
    let raised = tester.take_others();
    let second = View::<Alert>::read(Alert::BLOCK_LENGTH, 1, &raised[0].1).unwrap();
    assert_eq!(second.alert_id.get(), alert.alert_id.get() + 1);
    assert_eq!(second.first_sequence, second.last_sequence, "without evidence it is the event alone");
}

#[test]
fn a_template_id_of_stele_has_no_meaning_in_another_schema() {
    let mut tester = tester();
    tester.event(&flood(0, 1));
    assert_eq!(tester.strategy().state, StrategyState::Running, "no session has ended");
    assert_eq!(tester.take_others().len(), 1);
}

#[test]
fn an_alert_beyond_the_limits_is_withheld_and_counted() {
    let mut tester = tester();
    for value in 0..20 {
        tester.event(&Level { value: value.into() });
    }
    tester.event(&flood(EVIDENCE_MAX, EXPLANATION_LENGTH_MAX));
    assert_eq!((tester.take_others().len(), tester.strategy().record.withheld()), (1, 0));
    tester.event(&flood(EVIDENCE_MAX + 1, 1)).event(&flood(1, EXPLANATION_LENGTH_MAX + 1));
    assert_eq!((tester.take_others().len(), tester.strategy().record.withheld()), (0, 2));
}
