use super::*;
use crate::parameters::{Parameter, Parameters};
use crate::registry::{Registry, StrategyKind};
use crate::strategy::Strategy;
use crate::tester::StrategyTester;
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;
use stele_wire::Price;
use stele_wire::messages::{NewOrder, OrderCancelled, OrderStatus, OrderType, Side};
use zerocopy::little_endian::U64;

const KIND: StrategyKind = StrategyKind {
    name: "contingent",
    about: "sends one pair or bracket with the first book, for tests",
    parameters: &[Parameter::choice(
        "what",
        &["one-cancels-other", "one-updates-other", "bracket"],
        "what to send",
    )],
    make: |parameters| Ok(Box::new(Sender::new(parameters))),
};

/// Sends one pair or bracket of quantity 10, and keeps it.
struct Sender {
    what: String,
    pair: Option<OrderPair>,
    bracket: Option<Bracket>,
}

impl Sender {
    fn new(parameters: &Parameters) -> Self {
        Self { what: parameters.text("what").into(), pair: None, bracket: None }
    }
}

impl Strategy for Sender {
    fn on_book(&mut self, instrument: u32, context: &mut Context<'_>) {
        if self.pair.is_some() || self.bracket.is_some() {
            return;
        }
        let order = |side, price| Order::limit(instrument, side, Quantity(10), Price(price));
        let contingency = match self.what.as_str() {
            "bracket" => {
                let exits = BracketExits { profit: Price(120), loss: Price(80) };
                self.bracket = Bracket::send(order(Side::BUY, 100), exits, context);
                return;
            }
            "one-updates-other" => Contingency::OneUpdatesOther,
            _ => Contingency::OneCancelsOther,
        };
        self.pair = OrderPair::send(contingency, order(Side::SELL, 110), order(Side::SELL, 109), context);
    }

    fn on_report(&mut self, report: &OrderReport, context: &mut Context<'_>) {
        if let Some(pair) = &mut self.pair {
            pair.on_report(report, context);
        }
        if let Some(bracket) = &mut self.bracket {
            bracket.on_report(report, context);
        }
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(u64::from(self.pair.is_some()) + 2 * u64::from(self.bracket.is_some()));
        self.pair.iter().for_each(|pair| pair.snapshot(out));
        self.bracket.iter().for_each(|bracket| bracket.snapshot(out));
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        let held = reader.at_most("kind of order", 3)?;
        self.pair = if held & 1 == 1 { Some(OrderPair::restore(&mut reader)?) } else { None };
        self.bracket = if held & 2 == 2 { Some(Bracket::restore(&mut reader)?) } else { None };
        reader.finish()
    }
}

fn tester(what: &str) -> (StrategyTester, Vec<NewOrder>) {
    let mut registry = Registry::built_in();
    registry.register(KIND).unwrap();
    let mut tester = StrategyTester::start_of(registry, "contingent", &format!("what = \"{what}\"")).unwrap();
    tester.define(1, "ONE").quote(1, (99, 10), (101, 10));
    let orders = tester.take_orders();
    (tester, orders)
}

/// Reports a partial cancel of `quantity` by the venue.
fn take_off(tester: &mut StrategyTester, order: &NewOrder, quantity: u64) {
    let leaves = tester.working(order).map_or(0, |left| left.0) - quantity;
    tester.event(&OrderCancelled {
        instrument: order.instrument,
        side: order.side,
        client_order_id: order.client_order_id,
        strategy: order.strategy,
        leaves_quantity: U64::new(leaves),
        cancelled_quantity: U64::new(quantity),
        status: if leaves > 0 { OrderStatus::ACTIVE } else { OrderStatus::DONE },
        ..OrderCancelled::NULL
    });
}

fn cancels(tester: &mut StrategyTester) -> Vec<(u64, u64)> {
    let cancels = tester.take_cancels();
    cancels.iter().map(|cancel| (cancel.cancelled_order_id.get(), cancel.quantity.get())).collect()
}

#[test]
fn an_execution_of_one_cancels_the_other() {
    let (mut tester, orders) = tester("one-cancels-other");
    let [first, second] = orders[..] else { panic!("{orders:?}") };
    tester.accept(&first).accept(&second).fill(&second, 109, 3);
    assert_eq!(cancels(&mut tester), [(first.client_order_id.get(), u64::MAX)]);
    tester.fill(&second, 109, 7);
    assert_eq!(cancels(&mut tester), [], "asked for once");
}

#[test]
fn an_execution_of_one_reduces_the_other_by_the_same_quantity() {
    let (mut tester, orders) = tester("one-updates-other");
    let [first, second] = orders[..] else { panic!("{orders:?}") };
    tester.accept(&first).accept(&second).fill(&first, 110, 4);
    let id = second.client_order_id.get();
    assert_eq!(cancels(&mut tester), [(id, 4)]);
    tester.fill(&first, 110, 2);
    assert_eq!(cancels(&mut tester), [], "one cancel at a time");
    take_off(&mut tester, &second, 4);
    assert_eq!(cancels(&mut tester), [(id, 2)]);
    take_off(&mut tester, &second, 2);
    tester.fill(&first, 110, 4);
    assert_eq!(cancels(&mut tester), [(id, u64::MAX)], "nothing is left for it");
}

#[test]
fn a_rejected_order_leaves_the_other_working() {
    let (mut tester, orders) = tester("one-cancels-other");
    tester.reject(&orders[0]);
    assert_eq!(cancels(&mut tester), []);
    assert_eq!(tester.working(&orders[1]), Some(Quantity(10)));
}

#[test]
fn each_execution_of_an_entry_is_protected_by_exits() {
    let (mut tester, orders) = tester("bracket");
    let [entry] = orders[..] else { panic!("{orders:?}") };
    tester.accept(&entry).fill(&entry, 100, 6);
    let exits = tester.take_orders();
    let closing: Vec<_> = exits
        .iter()
        .map(|exit| {
            assert_eq!(
                (exit.side, exit.parent_order_id, exit.strategy_link_id),
                (Side::SELL, entry.client_order_id, entry.client_order_id)
            );
            (exit.order_type, exit.quantity.get(), exit.limit_price.get(), exit.stop_price.get())
        })
        .collect();
    assert_eq!(closing, [(OrderType::LIMIT, 6, 120, i64::MAX), (OrderType::STOP, 6, i64::MAX, 80)]);
    tester.fill(&entry, 100, 4);
    assert_eq!(tester.take_orders().len(), 2);
    tester.accept(&exits[0]).accept(&exits[1]).fill(&exits[0], 120, 6);
    assert_eq!(cancels(&mut tester), [(exits[1].client_order_id.get(), u64::MAX)]);
    assert_eq!(tester.position(1), 4);
}

#[test]
fn exits_on_the_wrong_sides_of_each_other_send_nothing() {
    const REVERSED: StrategyKind = StrategyKind {
        name: "reversed",
        about: "sends an invalid bracket, for tests",
        parameters: &[],
        make: |_| Ok(Box::new(Reversed)),
    };
    struct Reversed;
    impl Strategy for Reversed {
        fn on_book(&mut self, instrument: u32, context: &mut Context<'_>) {
            let exits = BracketExits { profit: Price(80), loss: Price(120) };
            for (side, is_sent) in [(Side::BUY, false), (Side::SELL, true), (Side::NONE, false)] {
                let entry = Order::limit(instrument, side, Quantity(1), Price(100));
                assert_eq!(Bracket::send(entry, exits, context).is_some(), is_sent, "{side}");
            }
            let order = |quantity| Order::limit(instrument, Side::BUY, Quantity(quantity), Price(100));
            assert!(OrderPair::send(Contingency::OneCancelsOther, order(1), order(2), context).is_none());
        }
        fn snapshot(&self, _: &mut Vec<u8>) {}
        fn restore(&mut self, _: &[u8]) -> Result<(), RestoreError> {
            Ok(())
        }
    }
    let mut registry = Registry::built_in();
    registry.register(REVERSED).unwrap();
    let mut tester = StrategyTester::start_of(registry, "reversed", "").unwrap();
    tester.quote(1, (99, 10), (101, 10));
    assert_eq!(tester.take_orders().len(), 1);
    assert!(tester.host().failures().is_empty(), "{:?}", tester.host().failures());
}

/// The next action of a random venue.
#[derive(Clone, Debug)]
enum Act {
    Fill(usize, u64),
    /// The oldest pending cancel takes effect, if it still can.
    Answer,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever the order in which the venue executes and cancels: no more is executed than one order's
    /// quantity plus what executed while a cancel was pending, and no redundant quantity remains working. A
    /// restored copy behaves the same.
    #[test]
    fn a_pair_executes_the_quantity_of_one_order_for_every_order_of_answers(
        updates: bool,
        acts in prop::collection::vec(
            prop_oneof![(0usize..2, 1u64..7).prop_map(|(at, quantity)| Act::Fill(at, quantity)), any::<bool>().prop_map(|_| Act::Answer)],
            1..30,
        ),
    ) {
        let (mut tester, orders) = tester(if updates { "one-updates-other" } else { "one-cancels-other" });
        tester.accept(&orders[0]).accept(&orders[1]);
        let (mut waiting, mut executed, mut late) = (std::collections::VecDeque::new(), 0, 0);
        for act in acts.into_iter().chain(std::iter::repeat_n(Act::Answer, 40)) {
            match act {
                Act::Fill(at, quantity) => {
                    let quantity = quantity.min(tester.working(&orders[at]).map_or(0, |left| left.0));
                    if quantity > 0 {
                        // The quantity that a pending cancel would have removed.
                        let promised = waiting.iter().any(|(id, _)| *id == orders[at].client_order_id.get());
                        late += if promised { quantity } else { 0 };
                        executed += quantity;
                        tester.fill(&orders[at], 110, quantity);
                    }
                }
                Act::Answer => {
                    if let Some((id, quantity)) = waiting.pop_front() {
                        let order = orders.iter().find(|order| order.client_order_id.get() == id).unwrap();
                        let quantity = tester.working(order).map_or(0, |left| left.0).min(quantity);
                        if quantity > 0 {
                            take_off(&mut tester, order, quantity);
                        }
                    }
                }
            }
            waiting.extend(cancels(&mut tester));
            let mut state = Vec::new();
            tester.host_mut().snapshot(&mut state);
            let mut again = Vec::new();
            let mut registry = Registry::built_in();
            registry.register(KIND).unwrap();
            let mut host = crate::host::Host::new(registry);
            host.restore(&state).unwrap();
            host.snapshot(&mut again);
            prop_assert_eq!(&state, &again);
        }
        prop_assert!(executed <= 10 + late, "{} executed, {} of it late", executed, late);
        prop_assert!(waiting.is_empty());
        let left: u64 = orders.iter().filter_map(|order| tester.working(order)).map(|left| left.0).sum();
        if executed > 0 && !updates {
            prop_assert!(orders.iter().any(|order| tester.working(order).is_none()), "one is gone");
        }
        if updates {
            let most = 2 * 10u64.saturating_sub(executed);
            prop_assert!(left <= most, "{} work on, of {} at most", left, most);
        }
    }
}
