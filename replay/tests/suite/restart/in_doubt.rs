//! A process is killed between the release of an order and its acknowledgement. The venue is outside the
//! process, in a file, and keeps the orders that it received. The next session asks it before anything new
//! leaves. No order is sent twice and none is lost.
//!
//! ```text
//! this test ── starts ──> itself, as the process to be killed: sequencer … gateway ──> venue
//!     └── SIGKILL, once the order has reached the venue, or is about to
//! ```

use super::shard::{ACCOUNT, Shard, Venue, registry};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use stele_journal::TrailReader;
use stele_replay::divergence::check;
use stele_replay::recall::resume;
use stele_venue::Reconciliation;
use stele_wire::codec::Message;
use stele_wire::messages::{Check, NewOrder, OrderAccepted, OrderFilled, OrderRejected, OrderReleased};

const DIRECTORY: &str = "STELE_IN_DOUBT_DIRECTORY";
const MOMENT: &str = "STELE_IN_DOUBT_MOMENT";
const PATIENCE: Duration = Duration::from_secs(60);

/// When the process is killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Moment {
    /// The order is on its way; the venue never gets it.
    Before,
    /// The venue has the order, and has not answered.
    After,
}

/// Runs only when a test below starts it: it releases two orders and waits at the second to be killed.
#[test]
fn the_process_that_is_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let moment = if std::env::var(MOMENT).unwrap() == "Before" { Moment::Before } else { Moment::After };
    let mut venue = Venue::open(directory);
    venue.hang_at = Some((2, moment == Moment::After));
    let mut shard = Shard::open(&directory.join("trail"), 1, None, venue);
    shard.begin(false);
    shard.trade(100);
    shard.settle();
    shard.trade(101);
    shard.settle();
    unreachable!("the venue hangs at the second order");
}

fn start(directory: &Path, moment: Moment) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["restart::in_doubt::the_process_that_is_killed", "--exact", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(MOMENT, format!("{moment:?}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Starts the process and kills it (SIGKILL) when its venue signals that the moment has come.
fn kill_at(directory: &Path, moment: Moment) {
    let mut child = start(directory, moment);
    let begin = Instant::now();
    while !directory.join("now").exists() {
        assert!(begin.elapsed() < PATIENCE, "the order did not leave");
        assert!(child.try_wait().unwrap().is_none(), "the process ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn found<M: Message>(directory: &Path) -> Vec<(u64, M)> {
    let mut reader = TrailReader::open(&directory.join("trail")).unwrap();
    let mut all = Vec::new();
    while let Some(entry) = reader.read_next().unwrap() {
        let frame = entry.frame;
        all.extend(frame.message::<M>().map(|message| (frame.sequence().0, *message)));
    }
    all
}

/// Runs the next session over the trail, after the venue did what `between` does, and sends one more order.
fn go_on(directory: &Path, between: impl FnOnce(&mut Venue)) {
    let resumed = resume(&directory.join("trail"), registry(), |_| ()).unwrap();
    let pending: Vec<u64> = resumed.open_orders.iter().map(|order| order.sequence).collect();
    assert_eq!(pending.len(), 2, "the first works, the state of the second is unknown");
    let mut venue = Venue::open(directory);
    between(&mut venue);
    venue.is_away = true;
    let unsent = resumed.unsent.clone();
    let mut shard = Shard::open(&directory.join("trail"), 2, Some(resumed), venue);
    shard.begin(true);
    shard.submit(&unsent);
    shard.trade(102);
    shard.settle();
    assert_eq!(shard.venue().sent, 0, "nothing new leaves while the venue has not answered");
    assert_eq!(shard.gateway_in_doubt(), 2);
    shard.venue().is_away = false;
    shard.settle();
    assert_eq!((shard.gateway_in_doubt(), shard.venue().sent), (0, 1));
    shard.end();
}

/// Returns how often the venue received each order of the trail.
fn given(directory: &Path) -> Vec<usize> {
    let book = Venue::open(directory).given();
    let orders = found::<NewOrder>(directory);
    orders
        .iter()
        .map(|(_, order)| book.iter().filter(|id| **id == order.client_order_id.get()).count())
        .collect()
}

fn is_replayed_alike(directory: &Path) {
    let checked = check(&directory.join("trail"), registry(), |_| ()).unwrap();
    assert_eq!(checked.difference, None);
}

#[test]
fn an_order_that_the_venue_has_is_acknowledged_by_the_next_session_and_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    kill_at(folder.path(), Moment::After);
    go_on(folder.path(), |_| ());
    assert_eq!(given(folder.path()), [1, 1, 1], "each order reached the venue once");
    let orders = found::<NewOrder>(folder.path());
    let accepted = found::<OrderAccepted>(folder.path());
    let answered: Vec<u64> = accepted.iter().map(|(_, it)| it.order_sequence.get()).collect();
    assert_eq!(
        answered,
        [orders[0].0, orders[0].0, orders[1].0, orders[2].0],
        "the first was known, and is reported again"
    );
    assert!(found::<OrderRejected>(folder.path()).is_empty());
    is_replayed_alike(folder.path());
}

#[test]
fn an_order_that_the_venue_executed_meanwhile_is_a_fill_of_the_next_session() {
    let folder = tempfile::tempdir().unwrap();
    kill_at(folder.path(), Moment::After);
    go_on(folder.path(), |venue| venue.execute_the_last());
    assert_eq!(given(folder.path()), [1, 1, 1]);
    let fills = found::<OrderFilled>(folder.path());
    let orders = found::<NewOrder>(folder.path());
    assert_eq!(fills.len(), 1);
    assert_eq!(fills[0].1.order_sequence.get(), orders[1].0);
    let resumed = resume(&folder.path().join("trail"), registry(), |_| ()).unwrap();
    let strategy = resumed.host.strategies().next().unwrap();
    assert_eq!(strategy.record.account().position(1), 5, "its strategy got the fill");
    assert_eq!(resumed.risk.position(ACCOUNT, 1), 5, "and so did the risk checks");
    is_replayed_alike(folder.path());
}

#[test]
fn an_order_that_the_venue_never_got_is_refused_as_in_doubt_and_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    kill_at(folder.path(), Moment::Before);
    go_on(folder.path(), |_| ());
    assert_eq!(given(folder.path()), [1, 0, 1]);
    let (orders, rejected) = (found::<NewOrder>(folder.path()), found::<OrderRejected>(folder.path()));
    let [(rejected_at, rejected)] = &rejected[..] else { panic!("{rejected:?}") };
    assert_eq!((rejected.check, rejected.order_sequence.get()), (Check::IN_DOUBT, orders[1].0));
    let released = found::<OrderReleased>(folder.path());
    let later = released.iter().filter(|(at, _)| at > rejected_at).map(|(_, it)| it.through_sequence.get());
    assert_eq!(later.collect::<Vec<_>>(), [orders[2].0]);
    let resumed = resume(&folder.path().join("trail"), registry(), |_| ()).unwrap();
    let strategy = resumed.host.strategies().next().unwrap();
    let open: Vec<u64> = strategy.record.orders().iter().map(|order| order.client_order_id).collect();
    let expected = [&orders[0], &orders[2]].map(|(_, order)| order.client_order_id.get());
    assert_eq!(open, expected, "its strategy got the rejection");
    is_replayed_alike(folder.path());
}

#[test]
fn an_order_stays_in_doubt_when_the_session_is_killed_before_the_venue_answers() {
    let folder = tempfile::tempdir().unwrap();
    kill_at(folder.path(), Moment::After);
    let trail = folder.path().join("trail");
    let resumed = resume(&trail, registry(), |_| ()).unwrap();
    let mut venue = Venue::open(folder.path());
    venue.is_away = true;
    let mut shard = Shard::open(&trail, 2, Some(resumed), venue);
    shard.begin(true);
    shard.settle();
    drop(shard);
    let resumed = resume(&trail, registry(), |_| ()).unwrap();
    assert_eq!(resumed.open_orders.len(), 2);
    let mut shard = Shard::open(&trail, 3, Some(resumed), Venue::open(folder.path()));
    shard.begin(true);
    shard.settle();
    assert_eq!(
        (shard.gateway_in_doubt(), shard.venue().answers.clone()),
        (0, vec![Reconciliation::Working; 2])
    );
    shard.end();
    assert_eq!(given(folder.path()), [1, 1]);
}
