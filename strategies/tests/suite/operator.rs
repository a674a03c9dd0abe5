//! Commands of an operator to a running strategy: pause, resume, other parameters.

use stele_strategies::tester::TEST_STRATEGY;
use stele_strategies::{
    Context, Order, Parameter, ParameterError, Parameters, Registry, RestoreError, SnapshotReader,
    SnapshotWrite, Strategy, StrategyKind, StrategyState, StrategyTester, TradePrint,
};
use stele_wire::messages::{NewOrder, Side, StrategyAct, StrategyCommand};
use stele_wire::{Epoch, Nanos, Price, Quantity};
use zerocopy::little_endian::U16;

/// Sends, replaces, cancels, sets a timer or raises its hand, by the price of a trade. It takes every set of
/// parameters but one with `size = 9`, at which it panics, and `size = 8`, which it refuses.
#[derive(Default)]
struct Hand {
    size: u64,
    last: u64,
    timers_fired: u64,
}

impl Hand {
    fn new(parameters: &Parameters) -> Self {
        Self { size: parameters.integer("size") as u64, ..Self::default() }
    }
}

const HAND: StrategyKind = StrategyKind {
    name: "hand",
    about: "acts by the price of a trade",
    parameters: &[Parameter::integer("size", 1, (1, 9), "quantity of an order")],
    make: |parameters| Ok(Box::new(Hand::new(parameters))),
};

impl Strategy for Hand {
    fn on_trade(&mut self, trade: &TradePrint, context: &mut Context<'_>) {
        let order = Order::limit(trade.instrument, Side::BUY, Quantity(self.size), Price(100));
        match trade.price.0 {
            1 => self.last = context.send(order).unwrap_or(self.last),
            2 => assert!(context.cancel(self.last)),
            3 => self.last = context.replace(self.last, Price(101), Quantity(4)).unwrap_or(self.last),
            4 => assert!(context.set_timer(Nanos(context.now().0 + 50)).is_some()),
            5 => assert!(context.reduce(self.last, Quantity(1))),
            6 => assert!(context.raise(Default::default(), &[], "look").is_some()),
            _ => assert!(context.is_paused()),
        }
    }

    fn on_timer(&mut self, _: u64, _: &mut Context<'_>) {
        self.timers_fired += 1;
    }

    fn set_parameters(&mut self, parameters: &Parameters) -> Result<(), ParameterError> {
        match parameters.integer("size") {
            8 => return Err(ParameterError::Together("8 is too many".into())),
            9 => panic!("9 is far too many"),
            size => self.size = size as u64,
        }
        Ok(())
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.last);
        out.put_u64(self.timers_fired);
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        (self.last, self.timers_fired) = (reader.u64()?, reader.u64()?);
        reader.finish()
    }
}

/// Takes no other parameters while it runs.
struct Rigid;

const RIGID: StrategyKind = StrategyKind {
    name: "rigid",
    about: "does nothing",
    parameters: &[Parameter::integer("size", 1, (1, 9), "nothing")],
    make: |_| Ok(Box::new(Rigid)),
};

impl Strategy for Rigid {
    fn snapshot(&self, _: &mut Vec<u8>) {}

    fn restore(&mut self, _: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

fn hand() -> StrategyTester {
    StrategyTester::of(HAND, "").unwrap()
}

fn suppressed(tester: &StrategyTester) -> u64 {
    tester.strategy().record.suppressed()
}

#[test]
fn a_paused_strategy_sends_cancels_timers_and_alerts_but_no_orders() {
    let mut tester = hand();
    let order = tester.trade(1, 1, 9).take_orders()[0];
    tester.accept(&order).command(StrategyAct::PAUSE, "");
    let paused_at = tester.sequence();
    assert_eq!(tester.strategy().standing.paused_at, Some(paused_at));
    assert_eq!(tester.strategy().state, StrategyState::Running, "it is called for every event");
    tester.trade(1, 1, 9).trade(1, 3, 9).trade(1, 77, 9);
    assert!(tester.take_orders().is_empty() && tester.take_replacements().is_empty());
    assert_eq!(suppressed(&tester), 2);
    tester.trade(1, 4, 9).advance(Nanos(60));
    tester.trade(1, 6, 9);
    assert_eq!(tester.take_others().len(), 1, "the alert");
    tester.trade(1, 2, 9);
    assert_eq!(tester.take_cancels()[0].cancelled_order_id, order.client_order_id);
    tester.command(StrategyAct::RESUME, "").trade(1, 1, 9);
    assert_eq!(tester.take_orders()[0].client_order_id.get(), order.client_order_id.get() + 4);
    assert_eq!((suppressed(&tester), tester.host().ignored_commands()), (2, 0));
    let result = &tester.host().summaries()[0];
    assert_eq!((result.is_paused, result.suppressed, result.withheld), (false, 2, 0));
}

#[test]
fn a_reduced_order_is_reduced_while_the_strategy_is_paused() {
    let mut tester = StrategyTester::of(HAND, "size = 5").unwrap();
    let order = tester.trade(1, 1, 9).take_orders()[0];
    tester.accept(&order).command(StrategyAct::PAUSE, "").trade(1, 5, 9);
    assert_eq!(tester.take_cancels()[0].quantity.get(), 1);
}

#[test]
fn parameters_that_an_operator_sets_hold_from_the_next_event_on() {
    let mut tester = hand();
    let size = |tester: &mut StrategyTester| tester.trade(1, 1, 9).take_orders()[0].quantity.get();
    assert_eq!(size(&mut tester), 1);
    tester.command(StrategyAct::SET_PARAMETERS, "size = 7\n");
    let at = tester.sequence();
    assert_eq!(size(&mut tester), 7);
    let hosted = tester.strategy();
    assert_eq!((hosted.standing.parameters.as_str(), hosted.standing.parameters_at), ("size = 7\n", at));
    assert_eq!((hosted.standing.definition.as_str(), hosted.record.parameters().integer("size")), ("", 7));
    assert_eq!(tester.host().ignored_commands(), 0);
}

#[test]
fn a_command_that_does_not_apply_changes_nothing_and_is_counted() {
    let mut tester = hand();
    let before = tester.strategy().standing.clone();
    let ignored = |tester: &StrategyTester| tester.host().ignored_commands();
    tester.command(StrategyAct::RESUME, "");
    assert_eq!(ignored(&tester), 1);
    for (count, wrong) in (2..).zip(["size = 0", "size = x", "sise = 1", "size =", "size = 8"]) {
        tester.command(StrategyAct::SET_PARAMETERS, wrong);
        assert_eq!(ignored(&tester), count, "{wrong}");
    }
    tester.command(StrategyAct(99), "");
    let superseded = StrategyCommand {
        strategy: U16::new(TEST_STRATEGY),
        act: StrategyAct::SET_PARAMETERS,
        ..StrategyCommand::NULL
    };
    feed(&mut tester, &superseded, "size = 5");
    let unknown = StrategyCommand {
        strategy: U16::new(TEST_STRATEGY + 1),
        act: StrategyAct::PAUSE,
        ..StrategyCommand::NULL
    };
    feed(&mut tester, &unknown, "");
    assert_eq!(ignored(&tester), 9);
    assert_eq!(*tester.strategy().standing, before);
    assert_eq!(tester.trade(1, 1, 9).take_orders()[0].quantity.get(), 1);
    tester.command(StrategyAct::PAUSE, "");
    let paused = tester.strategy().standing.paused_at;
    tester.command(StrategyAct::PAUSE, "");
    assert_eq!((ignored(&tester), tester.strategy().standing.paused_at), (10, paused));
}

/// Feeds a command as it is.
fn feed(tester: &mut StrategyTester, command: &StrategyCommand, parameters: &str) {
    let mut body = [0; 128];
    let body = command.encode(&mut body, parameters.as_bytes(), b"why").unwrap();
    tester.body(StrategyCommand::TEMPLATE_ID, StrategyCommand::BLOCK_LENGTH, body);
}

#[test]
fn a_strategy_takes_no_other_parameters_unless_it_says_how() {
    let mut tester = StrategyTester::of(RIGID, "").unwrap();
    tester.command(StrategyAct::SET_PARAMETERS, "size = 2");
    assert_eq!(tester.host().ignored_commands(), 1);
    assert_eq!(tester.strategy().record.parameters().integer("size"), 1);
    assert_eq!(RIGID.check_change("", "size = 2"), Err(ParameterError::NotWhileRunning));
    assert!(matches!(RIGID.check_change("", "size = 20"), Err(ParameterError::Range { .. })));
}

#[test]
fn a_strategy_that_panics_at_other_parameters_has_failed() {
    let mut tester = hand();
    tester.command(StrategyAct::SET_PARAMETERS, "size = 9");
    assert_eq!(tester.strategy().state, StrategyState::Failed);
    assert!(tester.host().failures()[0].reason.contains("9 is far too many"));
    assert_eq!((tester.take_others().len(), tester.host().ignored_commands()), (1, 1));
    tester.command(StrategyAct::SET_PARAMETERS, "size = 2");
    assert_eq!(tester.host().ignored_commands(), 2, "it has failed");
}

#[test]
fn a_pause_holds_over_the_session_and_over_a_new_instance() {
    let mut tester = hand();
    tester.command(StrategyAct::PAUSE, "");
    let paused = tester.strategy().standing.paused_at;
    tester.begin_session(Epoch(2)).define_strategy("hand", "", true).trade(1, 1, 9);
    assert_eq!((tester.take_orders().len(), suppressed(&tester)), (0, 1), "it was resumed as it was");
    tester.begin_session(Epoch(3)).define_strategy("hand", "size = 3", false).trade(1, 1, 9);
    assert_eq!((tester.take_orders().len(), suppressed(&tester)), (0, 1), "it is another instance");
    assert_eq!(tester.strategy().standing.paused_at, paused);
    tester.command(StrategyAct::RESUME, "").trade(1, 1, 9);
    assert_eq!(tester.take_orders()[0].quantity.get(), 3);
}

#[test]
fn parameters_of_an_operator_hold_until_the_configuration_changes() {
    let mut tester = StrategyTester::of(HAND, "size = 2").unwrap();
    tester.trade(1, 1, 9).take_orders();
    tester.command(StrategyAct::SET_PARAMETERS, "size = 5");
    let set_at = tester.strategy().standing.parameters_at;
    let size = |tester: &mut StrategyTester| tester.trade(1, 1, 9).take_orders()[0].quantity.get();
    tester.begin_session(Epoch(2)).define_strategy("hand", "size = 2", true);
    assert_eq!((size(&mut tester), tester.strategy().standing.parameters_at), (5, set_at));
    // The configuration adopts them, and is then changed back.
    tester.begin_session(Epoch(3)).define_strategy("hand", "size = 5", true);
    assert_eq!(size(&mut tester), 5);
    assert!(tester.strategy().standing.parameters_at > set_at);
    assert!(!tester.strategy().standing.is_resumed_by("hand", "size = 2"));
    tester.begin_session(Epoch(4)).define_strategy("hand", "size = 2", false);
    assert_eq!(size(&mut tester), 2);
    assert!(tester.host().failures().is_empty());
}

/// A market of two instruments that moves up and down, from `step` on.
fn move_market(tester: &mut StrategyTester, from: i64, to: i64) -> Vec<NewOrder> {
    let mut sent = Vec::new();
    for step in from..to {
        let wave = (step * step * 7 + step * 13) % 40 - 20 + (step / 25 % 2) * 90;
        let (first, second) = (20_000 + 5 * wave, 10_000 - 3 * wave);
        let depth = 5 + (step * 31 % 17) as u64;
        tester.quote(1, (first - 1, depth), (first + 1, 22 - depth));
        tester.quote(2, (second - 1, 22 - depth), (second + 1, depth));
        tester.trade(1, first, 3).trade(2, second, 3).advance(Nanos(120_000_000));
        for order in tester.take_orders() {
            tester.accept(&order).fill(&order, order.limit_price.get(), order.quantity.get());
            sent.push(order);
        }
    }
    sent
}

/// Other values for every parameter of a built-in strategy that it can change while it runs.
fn others(kind: &StrategyKind) -> Vec<&'static str> {
    match kind.name {
        "ma-cross" => vec!["fast = 3\nslow = 7\n", "quantity = 4\nmax-position = 3\n", "price = \"mid\"\n"],
        "dip-buyer" => vec!["window = 4\n", "window = 900\n", "fall-percent = 0.001\nquantity = 3\n"],
        "lead-lag" => vec!["move-percent = 0.01\n", "quantity = 2\nmax-position = 3\n"],
        "market-maker" => vec!["risk-aversion = 0.2\nspan = 3\n", "quantity = 5\nhorizon = \"2s\"\n"],
        "pairs" => vec!["window = 5\n", "width = 0.5\nquantity = 2\n", "ratio = 2\n"],
        "twap" => vec!["quantity = 400\n", "duration = \"7s\"\nslices = 3\n"],
        "vwap" => vec!["quantity = 400\n", "duration = \"7s\"\nprofile = \"1 2\"\n"],
        "flow-momentum" => vec!["enter = 0.2\nexit = 0.1\n", "interval = \"300ms\"\nquantity = 2\n"],
        other => panic!("add other values for the new strategy {other}"),
    }
}

/// What the orders ask for.
fn terms(orders: &[NewOrder]) -> Vec<(u32, Side, u64, i64)> {
    let each = orders.iter();
    each.map(|it| (it.instrument.get(), it.side, it.quantity.get(), it.limit_price.get())).collect()
}

#[test]
fn every_built_in_strategy_takes_other_parameters_and_continues_from_its_snapshot() {
    for kind in Registry::built_in().kinds() {
        let mut has_differed = false;
        for wanted in others(kind) {
            let run = |is_set: bool, is_restored: bool| {
                let mut tester = StrategyTester::start(kind.name, "").unwrap();
                tester.define(1, "A").define(2, "B");
                move_market(&mut tester, 0, 60);
                if is_set {
                    tester.command(StrategyAct::SET_PARAMETERS, wanted);
                    assert_eq!(tester.host().ignored_commands(), 0, "{} {wanted}", kind.name);
                }
                if is_restored {
                    let mut state = Vec::new();
                    tester.host().snapshot(&mut state);
                    tester.host_mut().restore(&state).unwrap();
                    let mut again = Vec::new();
                    tester.host().snapshot(&mut again);
                    assert_eq!(state, again, "{}", kind.name);
                }
                let sent = move_market(&mut tester, 60, 200);
                let mut state = Vec::new();
                tester.host().snapshot(&mut state);
                (sent, state)
            };
            let (live, restored) = (run(true, false), run(true, true));
            assert_eq!(live, restored, "{} {wanted}", kind.name);
            has_differed |= terms(&run(false, false).0) != terms(&live.0);
            assert!(kind.check_change("", wanted).is_ok(), "{} {wanted}", kind.name);
        }
        assert!(has_differed, "{}: other parameters made no difference", kind.name);
    }
}

#[test]
fn a_built_in_strategy_refuses_another_instrument_while_it_runs() {
    let fixed = [
        ("ma-cross", "symbol"),
        ("dip-buyer", "symbol"),
        ("lead-lag", "leader"),
        ("lead-lag", "follower"),
        ("market-maker", "symbol"),
        ("pairs", "first"),
        ("pairs", "second"),
        ("twap", "symbol"),
        ("vwap", "symbol"),
        ("flow-momentum", "symbol"),
    ];
    for (name, parameter) in fixed {
        let registry = Registry::built_in();
        let error = registry.find(name).unwrap().check_change("", &format!("{parameter} = \"ZZZ\""));
        assert!(matches!(error, Err(ParameterError::Fixed { name, .. }) if name == parameter), "{error:?}");
    }
    let sold = Registry::built_in().find("twap").unwrap().check_change("", "side = \"sell\"").unwrap_err();
    let text =
        "parameter `side` is `buy` and cannot change while the strategy runs: set it in the configuration";
    assert_eq!(sold.to_string(), text);
}
