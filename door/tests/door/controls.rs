//! Messages that the door submits for others.

use crate::served::{SHARD, Served};
use stele_door::protocol::Code;
use stele_door::{ClientError, DoorClient, Outcome, People};
use stele_risk::RiskLimits;
use stele_wire::codec::Writer;
use stele_wire::messages::{AccessRecorded, CancelScope, Check, KillSwitch, RiskLimit, SwitchState, Trade};
use zerocopy::little_endian::U16;

fn body<M: stele_wire::codec::Message>(message: &M, texts: &[&str]) -> Vec<u8> {
    let mut buffer = vec![0; 4_096];
    let mut writer = Writer::new(&mut buffer);
    writer.block(message).unwrap();
    texts.iter().for_each(|text| writer.data::<U16>(text.as_bytes()).unwrap());
    writer.finish().to_vec()
}

fn switch() -> KillSwitch {
    KillSwitch {
        party: 12.into(),
        scope: CancelScope::ALL,
        state: SwitchState::ENGAGED,
        // A forged caller.
        caller_user: 4_711.into(),
        caller_process: 1.into(),
        ..KillSwitch::NULL
    }
}

/// Engages a kill switch. Returns its sequence.
pub(crate) fn switch_is_durable(client: &DoorClient) -> u64 {
    let submitted = client.submit(SHARD, KillSwitch::TEMPLATE_ID, &body(&switch(), &["a test"])).unwrap();
    let Outcome::Sequenced(sequence) = submitted else { panic!("{submitted:?}") };
    sequence
}

#[test]
fn a_control_is_answered_with_its_sequence_once_it_is_durable_and_its_caller_cannot_be_forged() {
    let served = Served::new();
    let client = served.client();
    let ring = client.ring(SHARD).unwrap();
    let sequence = switch_is_durable(&client);
    let durable = ring.watermarks().durable();
    let record = body(&AccessRecorded::NULL, &["a query", "why"]);
    let recorded = client.submit(SHARD, AccessRecorded::TEMPLATE_ID, &record).unwrap();
    assert!(matches!(recorded, Outcome::Sequenced(later) if later > sequence), "{recorded:?}");
    drop(client);
    let (rig, _) = served.end();
    let trail = rig.verified_trail();
    let own = |sequence: u64| {
        let found = trail.iter().find(|(_, frame)| frame.sequence().0 == sequence && !frame.is_padding());
        *found.expect("it is on the log")
    };
    let user = rustix::process::geteuid().as_raw();
    let (at, frame) = own(sequence);
    assert!(at.plus(frame.len() as u64) <= durable, "it was durable when the answer came");
    let switch = *frame.message::<KillSwitch>().unwrap();
    assert_eq!((switch.party.get(), switch.caller_user.get()), (12, user));
    assert_eq!(switch.caller_process.get(), std::process::id());
    let access = *own(recorded_sequence(&recorded)).1.message::<AccessRecorded>().unwrap();
    assert_eq!((access.caller_user.get(), access.caller_process.get()), (user, std::process::id()));
}

fn recorded_sequence(outcome: &Outcome) -> u64 {
    let Outcome::Sequenced(sequence) = outcome else { panic!("{outcome:?}") };
    *sequence
}

#[test]
fn a_refused_control_is_answered_with_the_decision_of_the_risk_checks() {
    let served = Served::with(People::default(), RiskLimits { four_eyes: true, ..RiskLimits::default() });
    let client = served.client();
    let limit = RiskLimit {
        check: Check::ORDER_QUANTITY,
        scope: CancelScope::ACCOUNT,
        scope_id: 1.into(),
        limit: 0.into(),
        changed_by: 12.into(),
        ..RiskLimit::NULL
    };
    let refused = client.submit_message(SHARD, &limit).unwrap();
    let Outcome::Refused { decision: Some(decision), .. } = refused else { panic!("{refused:?}") };
    assert_eq!(decision.check, Check::ORDER_QUANTITY.0);
    let approved = RiskLimit { approved_by: 7.into(), ..limit };
    assert!(matches!(client.submit_message(SHARD, &approved).unwrap(), Outcome::Sequenced(_)));
}

#[test]
fn only_controls_come_through_the_door_and_only_to_shards_that_exist() {
    let served = Served::new();
    let client = served.client();
    let trade = client.submit_message(SHARD, &Trade::NULL).unwrap_err();
    assert!(matches!(trade, ClientError::Refused { code: Code::Denied, .. }), "{trade}");
    let elsewhere = client.submit(7, KillSwitch::TEMPLATE_ID, &body(&switch(), &[""])).unwrap_err();
    assert_eq!(elsewhere.to_string(), "the bus has no shard 7");
    let short = client.submit(SHARD, KillSwitch::TEMPLATE_ID, &[0; 16]).unwrap_err();
    assert!(matches!(short, ClientError::Refused { code: Code::Version, .. }), "{short}");
}

#[test]
fn many_controls_at_a_time_are_each_answered_with_their_own_sequence() {
    let served = Served::new();
    let sequences: Vec<u64> = std::thread::scope(|scope| {
        let submit = || (0..5).map(|_| switch_is_durable(&served.client())).collect::<Vec<_>>();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(submit)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut unique = sequences.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), 40);
    let (rig, _) = served.end();
    let trail = rig.verified_trail();
    let switches = trail.iter().filter(|(_, frame)| frame.message::<KillSwitch>().is_some());
    assert_eq!(switches.count(), 40);
}

#[test]
fn a_poisoned_journal_is_an_answer() {
    let mut served = Served::new();
    let client = served.client();
    let ring = client.ring(SHARD).unwrap();
    let (rig, _) = served.end_bus();
    rig.journal.poison("the disk is full");
    assert!(ring.poisoned().is_some());
    let refused = client.submit(SHARD, KillSwitch::TEMPLATE_ID, &body(&switch(), &[""])).unwrap();
    let Outcome::Refused { what, decision: None } = refused else { panic!("{refused:?}") };
    assert!(what.contains("poisoned"), "{what}");
}
