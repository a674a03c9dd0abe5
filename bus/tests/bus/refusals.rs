//! Refused submissions are counted by their reason and logged, and retries are recognised.

use crate::rig::{Rig, START, fill, notice, order, order_body};
use proptest::prelude::*;
use std::collections::BTreeSet;
use stele_bus::bounds::REFUSALS_REPORT_INTERVAL;
use stele_bus::{Grants, Publisher, Refusal};
use stele_risk::RiskLimits;
use stele_wire::codec::Message;
use stele_wire::messages::{
    CancelScope, Check, KillSwitch, NewOrder, OrderRejected, PublisherProgress, RefusalReason, RefusedOrder,
    SubmissionRefused, SwitchState, VenueNotice,
};
use stele_wire::{Frame, Quantity};

/// The events of the trail that are of this kind.
fn found<M: Message>(rig: &Rig) -> Vec<M> {
    let read = |frame: &Frame<'_>| frame.message::<M>().map(|message| *message);
    rig.verified_trail().iter().filter_map(|(_, frame)| read(frame)).collect()
}

fn refused(rig: &Rig, reason: RefusalReason) -> u64 {
    rig.sequencer.statistics().refused.of(reason)
}

/// The reason, count, first and last number of each report.
fn reported(rig: &Rig) -> Vec<(RefusalReason, u64, u64, u64)> {
    let terms = |refused: SubmissionRefused| {
        let (first, last) = (refused.first_publisher_sequence, refused.last_publisher_sequence);
        (refused.reason, refused.count.get(), first.get(), last.get())
    };
    found::<SubmissionRefused>(rig).into_iter().map(terms).collect()
}

fn on_disk(rig: &mut Rig) {
    rig.settle();
    rig.close_batch();
    rig.flush();
}

fn submit(publisher: &mut Publisher, tags: impl IntoIterator<Item = u32>) {
    for tag in tags {
        publisher.offer(VenueNotice::TEMPLATE_ID, &notice(tag, 40), START).unwrap();
    }
}

#[test]
fn a_refused_order_is_logged_whole_before_its_refusal() {
    let limits = RiskLimits { order_quantity_max: Some(Quantity(10)), ..RiskLimits::default() };
    let mut rig = Rig::with_limits(limits);
    let mut desk = rig.sequencer.publisher(9, "desk", 4096, Grants::all());
    let block = NewOrder { publisher: 9.into(), publisher_sequence: 1.into(), ..order(7, 11) };
    let mut buffer = [0; 512];
    let body = block.encode(&mut buffer, [], b"work it", b"client-42").unwrap();
    desk.offer(NewOrder::TEMPLATE_ID, body, START).unwrap();
    on_disk(&mut rig);
    let trail = rig.verified_trail();
    let events: Vec<_> = trail.iter().map(|(_, frame)| frame).filter(|frame| !frame.is_padding()).collect();
    let at = events.iter().position(|frame| frame.template_id() == RefusedOrder::TEMPLATE_ID).unwrap();
    let refused = events[at].message::<RefusedOrder>().unwrap();
    assert_eq!(refused.template_id.get(), NewOrder::TEMPLATE_ID);
    assert_eq!((refused.publisher.get(), refused.publisher_sequence.get()), (9, 1));
    assert_eq!(refused.block_length.get(), NewOrder::BLOCK_LENGTH);
    assert_eq!(refused.body(), body, "every byte that was submitted");
    let rejected = events[at + 1].message::<OrderRejected>().unwrap();
    assert_eq!((rejected.client_order_id.get(), rejected.check), (7, Check::ORDER_QUANTITY));
    assert_eq!(refused_by(&rig), [(RefusalReason::RISK, 1)]);
}

fn refused_by(rig: &Rig) -> Vec<(RefusalReason, u64)> {
    rig.sequencer.statistics().refused.iter().filter(|(_, count)| *count > 0).collect()
}

#[test]
fn a_refusal_by_a_kill_switch_and_one_of_a_missing_quantity_are_distinguished() {
    let mut rig = Rig::new();
    let mut desk = rig.sequencer.publisher(1, "desk", 4096, Grants::all());
    desk.offer(NewOrder::TEMPLATE_ID, &order_body(&order(1, 0)), START).unwrap();
    let switch = KillSwitch { scope: CancelScope::ALL, state: SwitchState::ENGAGED, ..KillSwitch::NULL };
    let mut buffer = [0; 64];
    desk.offer(KillSwitch::TEMPLATE_ID, switch.encode(&mut buffer, b"").unwrap(), START).unwrap();
    desk.offer(NewOrder::TEMPLATE_ID, &order_body(&order(2, 1)), START).unwrap();
    rig.settle();
    assert_eq!(refused_by(&rig), [(RefusalReason::KILL_SWITCH, 1), (RefusalReason::MALFORMED, 1)]);
    assert_eq!(rig.sequencer.statistics().orders_refused, 2);
}

#[test]
fn retries_are_dropped_counted_and_reported_in_one_event() {
    let mut rig = Rig::new();
    let mut feed = rig.sequencer.publisher(1, "feed", 4096, Grants::all());
    submit(&mut feed, 1..=5);
    rig.settle();
    feed.continue_after(2);
    submit(&mut feed, 3..=6);
    on_disk(&mut rig);
    let tags: Vec<u32> = found::<VenueNotice>(&rig).iter().map(|notice| notice.instrument.get()).collect();
    assert_eq!(tags, [1, 2, 3, 4, 5, 6]);
    assert_eq!(reported(&rig), [(RefusalReason::DUPLICATE, 3, 3, 5)]);
    assert_eq!((rig.sequencer.statistics().duplicates, refused(&rig, RefusalReason::DUPLICATE)), (3, 3));
    assert_eq!(found::<PublisherProgress>(&rig).len(), 1, "the numbering continues");
}

#[test]
fn a_publisher_that_repeats_everything_does_not_flood_the_log() {
    let mut rig = Rig::new();
    let mut feed = rig.sequencer.publisher(1, "feed", 4096, Grants::all());
    submit(&mut feed, 1..=3);
    for _ in 0..100 {
        feed.continue_after(0);
        submit(&mut feed, 1..=3);
        rig.cycle();
    }
    rig.clock.advance(REFUSALS_REPORT_INTERVAL);
    on_disk(&mut rig);
    let reported = reported(&rig);
    assert_eq!(reported.len(), 2, "the first at once, the rest when the interval is over: {reported:?}");
    assert_eq!(reported.iter().map(|reported| reported.1).sum::<u64>(), 300);
}

#[test]
fn a_retry_after_a_restart_is_recognised_by_the_last_number_of_the_trail() {
    let mut rig = Rig::new();
    rig.sequencer.continue_numbering([(1, 5)]);
    let mut client = rig.sequencer.publisher(1, "client", 4096, Grants::all());
    assert_eq!(client.next_sequence(), 6);
    client.continue_after(3);
    submit(&mut client, 4..=7);
    let mut other = rig.sequencer.publisher(2, "other", 4096, Grants::all());
    submit(&mut other, [100]);
    on_disk(&mut rig);
    let tags: Vec<u32> = found::<VenueNotice>(&rig).iter().map(|notice| notice.instrument.get()).collect();
    assert_eq!(tags, [6, 7, 100]);
    assert_eq!(reported(&rig), [(RefusalReason::DUPLICATE, 2, 4, 5)]);
    let progress = found::<PublisherProgress>(&rig);
    assert_eq!(progress.iter().map(|it| it.publisher_sequence.get()).collect::<Vec<_>>(), [5, 0]);
}

#[test]
fn refusals_at_the_ring_are_counted_by_reason_and_backpressure_is_reported() {
    let mut rig = Rig::new();
    let mut feed = rig.sequencer.publisher(1, "feed", 1024, Grants::all());
    let body = notice(1, 4_000);
    assert_eq!(fill(&mut feed, VenueNotice::TEMPLATE_ID, &body).1, Refusal::RingFull);
    let mut last = Refusal::RingFull;
    // The journal writes nothing: the log's ring fills up.
    for _ in 0..2_000 {
        rig.cycle();
        last = fill(&mut feed, VenueNotice::TEMPLATE_ID, &body).1;
    }
    assert_eq!(last, Refusal::JournalBehind);
    let before = feed.refused();
    assert_eq!(feed.offer(999, &[], START), Err(Refusal::UnknownTemplate(999)));
    (0..600).for_each(|_| assert!(rig.cycle() < 3));
    assert!(refused(&rig, RefusalReason::RING_FULL) > 0);
    assert!(refused(&rig, RefusalReason::JOURNAL_BEHIND) > 0);
    assert_eq!(refused(&rig, RefusalReason::MALFORMED), 1);
    assert_eq!(rig.sequencer.statistics().refused.total(), before + 1, "none is counted twice or lost");
    rig.flush();
    on_disk(&mut rig);
    let reported = reported(&rig);
    assert!(
        reported.iter().all(|reported| reported.0 == RefusalReason::JOURNAL_BEHIND) && reported.len() == 1,
        "{reported:?}"
    );
}

#[test]
fn a_stalled_consumer_is_counted_as_the_reason() {
    let mut rig = Rig::new();
    let mut feed = rig.sequencer.publisher(1, "feed", 1024, Grants::all());
    let _stuck = rig.sequencer.gating_consumer("reader");
    let body = notice(1, 4_000);
    for _ in 0..2_000 {
        fill(&mut feed, VenueNotice::TEMPLATE_ID, &body);
        rig.cycle();
        rig.flush();
    }
    assert!(refused(&rig, RefusalReason::CONSUMER_BEHIND) > 0);
    assert_eq!(refused(&rig, RefusalReason::JOURNAL_BEHIND), 0);
    on_disk(&mut rig);
    let reported = reported(&rig);
    assert!(
        !reported.is_empty() && reported.iter().all(|reported| reported.0 == RefusalReason::CONSUMER_BEHIND),
        "{reported:?}"
    );
}

#[test]
fn refusals_after_a_stop_or_a_poisoned_journal_are_counted_and_not_reported() {
    let mut rig = Rig::new();
    let mut feed = rig.sequencer.publisher(1, "feed", 1024, Grants::all());
    submit(&mut feed, [1]);
    on_disk(&mut rig);
    rig.journal.poison("the disk is gone");
    assert_eq!(feed.offer(VenueNotice::TEMPLATE_ID, &notice(2, 40), START), Err(Refusal::JournalPoisoned));
    (0..300).for_each(|_| assert_eq!(rig.cycle(), 0));
    assert_eq!(refused(&rig, RefusalReason::JOURNAL_POISONED), 1);

    let mut rig = Rig::new();
    let mut feed = rig.sequencer.publisher(1, "feed", 1024, Grants::all());
    rig.ring.request_stop();
    assert_eq!(feed.offer(VenueNotice::TEMPLATE_ID, &notice(2, 40), START), Err(Refusal::Stopped));
    (0..300).for_each(|_| {
        rig.clock.advance(stele_wire::Nanos(1_000_000));
        rig.cycle();
    });
    assert_eq!(refused(&rig, RefusalReason::STOPPED), 1);
}

#[test]
fn under_a_flood_of_one_publisher_the_others_wait_for_one_chunk_each_and_no_more() {
    let mut rig = Rig::new();
    let mut floods: Vec<_> =
        (1..=3).map(|id| rig.sequencer.publisher(id, "flood", 64 << 10, Grants::all())).collect();
    let mut quiet = rig.sequencer.publisher(9, "quiet", 4096, Grants::all());
    let mut observer = rig.sequencer.gating_consumer("reader");
    for (tag, flood) in (1..).zip(&mut floods) {
        fill(flood, VenueNotice::TEMPLATE_ID, &notice(tag, 40));
    }
    let mut taken = [0_u64; 10];
    for round in 1..=20 {
        submit(&mut quiet, [9]);
        rig.cycle();
        rig.flush();
        observer.poll(10_000, |event| {
            let notice = event.frame().message::<VenueNotice>();
            notice.into_iter().for_each(|notice| taken[notice.instrument.get() as usize] += 1);
        });
        assert_eq!(taken[9], round, "the quiet publisher has its turn in every cycle");
        let flooded = &taken[1..=3];
        assert!(flooded.iter().max().unwrap() - flooded.iter().min().unwrap() <= 64, "{taken:?}");
        assert!(flooded.iter().all(|taken| *taken >= 64 * round));
    }
}

/// What a client does: sends the next numbers, sends old ones again, loses some, or reconnects after a
/// restart.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send(u64),
    Retry(u64),
    Skip(u64),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1_u64..6).prop_map(Step::Send),
        3 => (1_u64..9).prop_map(Step::Retry),
        1 => (1_u64..4).prop_map(Step::Skip),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Against a set of numbers: whatever is sent however often, across restarts, each number is taken at
    /// most once, and every one that the client sent last is taken.
    #[test]
    fn a_submission_is_taken_once_however_often_it_is_sent(steps in steps()) {
        let mut rig = Rig::new();
        let mut client = rig.sequencer.publisher(1, "client", 4096, Grants::all());
        let (mut model, mut duplicates) = (BTreeSet::new(), 0);
        let (mut taken, mut next) = (Vec::new(), 1_u64);
        for step in steps {
            let from = match step {
                Step::Send(_) => next,
                Step::Retry(back) => next.saturating_sub(back).max(1),
                Step::Skip(ahead) => next + ahead,
                Step::Restart => {
                    on_disk(&mut rig);
                    taken.extend(found::<VenueNotice>(&rig).iter().map(|notice| notice.instrument.get()));
                    duplicates -= rig.sequencer.statistics().duplicates;
                    let last = model.last().copied().unwrap_or(0);
                    rig = Rig::new();
                    rig.sequencer.continue_numbering([(1, last)]);
                    client = rig.sequencer.publisher(1, "client", 4096, Grants::all());
                    continue;
                }
            };
            let count = if let Step::Send(count) = step { count } else { next.saturating_sub(from) + 1 };
            client.continue_after(from - 1);
            for number in from..from + count {
                submit(&mut client, [number as u32]);
                if model.last().is_some_and(|last| number <= *last) {
                    duplicates += 1;
                } else {
                    model.insert(number);
                }
            }
            next = next.max(from + count);
            rig.cycle();
        }
        on_disk(&mut rig);
        taken.extend(found::<VenueNotice>(&rig).iter().map(|notice| notice.instrument.get()));
        let expected: Vec<u32> = model.iter().map(|number| *number as u32).collect();
        prop_assert_eq!(&taken, &expected);
        prop_assert_eq!(rig.sequencer.statistics().duplicates, duplicates);
    }
}
