//! Backtests over a market of a few events, checked by hand, and over random markets, checked by a model.

use super::*;
use crate::fixture::{START, add, cancel, definition, definition_body, execute};
use proptest::prelude::*;
use std::collections::BTreeMap;
use stele_feed::{Batch, FeedError, FeedReport, FeedStep, SourceDescription};
use stele_strategies::{
    Context, Money, Order, OrderReport, ReportKind, RestoreError, Strategy, StrategyKind,
};
use stele_venue::paper_exchange::{Delay, FeeRate, FeeSchedule};
use stele_wire::codec::Message;
use stele_wire::messages::{InstrumentDefinition, Side, SourceKind};
use stele_wire::{Price, Quantity};

const SECOND: u64 = 1_000_000_000;
const DOLLAR: i64 = Price::SCALE;

/// A message of the market, `due` nanoseconds after the start.
#[derive(Clone, Debug)]
struct Scripted {
    due: u64,
    template_id: u16,
    body: Vec<u8>,
}

fn at<M: Message>(due: u64, message: &M) -> Scripted {
    Scripted { due, template_id: M::TEMPLATE_ID, body: message.as_bytes().to_vec() }
}

/// A feed that plays the given messages, `batch` at a time.
struct Script {
    messages: Vec<Scripted>,
    next: usize,
    batch: usize,
    fails: bool,
}

impl Feed for Script {
    fn describe(&self) -> SourceDescription {
        SourceDescription {
            source: 1,
            kind: SourceKind::GENERATOR,
            vendor_publisher: 0,
            channel: u16::MAX,
            mic: [0; 4],
            dataset: String::new(),
            name: "script".into(),
            description: String::new(),
        }
    }

    fn fill(&mut self, batch: &mut Batch) -> Result<FeedStep, FeedError> {
        for _ in 0..self.batch {
            let Some(Scripted { due, template_id, body }) = self.messages.get(self.next) else {
                return if self.fails {
                    Err(FeedError {
                        source: "script".into(),
                        good_records: self.next as u64,
                        offset: 0,
                        fault: "torn".into(),
                        advice: "get another",
                    })
                } else {
                    Ok(FeedStep::End)
                };
            };
            if !batch.has_room() {
                break;
            }
            push(batch, Nanos(START + due), *template_id, body);
            self.next += 1;
        }
        Ok(FeedStep::More)
    }

    fn records(&self) -> u64 {
        self.next as u64
    }

    fn report(&self) -> FeedReport {
        FeedReport::default()
    }
}

fn push(batch: &mut Batch, due: Nanos, template_id: u16, body: &[u8]) {
    use stele_wire::messages::{BookAdd, BookCancel, BookExecute};
    let write = |place: &mut [u8]| {
        place[..body.len()].copy_from_slice(body);
        body.len()
    };
    macro_rules! one_of {
        ($($message:ident),*) => {
            match template_id {
                $($message::TEMPLATE_ID => batch.push_with::<$message>(due, |place| {
                    let length = write(&mut *place);
                    Ok(&place[..length])
                }),)*
                other => panic!("template {other} is in no script"),
            }
        };
    }
    one_of!(InstrumentDefinition, BookAdd, BookCancel, BookExecute).expect("it has room");
}

/// Returns the market of instrument 1: its definition, a bid of 99 and an offer of 101 dollars, then
/// `more`.
fn market(more: impl IntoIterator<Item = Scripted>) -> Script {
    assert_eq!(definition(1).instrument.get(), 1);
    let defined =
        Scripted { due: 0, template_id: InstrumentDefinition::TEMPLATE_ID, body: definition_body(1) };
    let mut messages = vec![
        defined,
        at(SECOND, &add(1, 1, Side::BUY, 99 * DOLLAR, 100)),
        at(SECOND + 1, &add(1, 2, Side::SELL, 101 * DOLLAR, 100)),
    ];
    messages.extend(more);
    Script { messages, next: 0, batch: 512, fails: false }
}

/// Moves the bid to `bid` and the offer to `offer` dollars, as orders `id` and `id + 1`.
fn quote(due: u64, id: u64, bid: i64, offer: i64) -> Vec<Scripted> {
    vec![
        at(due, &cancel(1, id - 2, 100)),
        at(due, &cancel(1, id - 1, 100)),
        at(due, &add(1, id, Side::BUY, bid * DOLLAR, 100)),
        at(due, &add(1, id + 1, Side::SELL, offer * DOLLAR, 100)),
    ]
}

/// What a strategy of these tests does; a function, so that it can be in a constant.
type Acts = fn(&mut Actor, &mut Context<'_>, Asked);

enum Asked {
    Start,
    Book,
    Timer,
    Report(ReportKind),
}

struct Actor {
    acts: Acts,
    calls: u64,
}

impl Strategy for Actor {
    fn on_start(&mut self, context: &mut Context<'_>) {
        (self.acts)(self, context, Asked::Start);
    }

    fn on_book(&mut self, _instrument: u32, context: &mut Context<'_>) {
        (self.acts)(self, context, Asked::Book);
    }

    fn on_timer(&mut self, _timer_id: u64, context: &mut Context<'_>) {
        (self.acts)(self, context, Asked::Timer);
    }

    fn on_report(&mut self, report: &OrderReport, context: &mut Context<'_>) {
        (self.acts)(self, context, Asked::Report(report.kind));
    }

    fn snapshot(&self, _out: &mut Vec<u8>) {}

    fn restore(&mut self, _state: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

macro_rules! kind {
    ($name:literal, $acts:expr) => {
        StrategyKind {
            name: $name,
            about: "of these tests",
            parameters: &[],
            make: |_| Ok(Box::new(Actor { acts: $acts, calls: 0 })),
        }
    };
}

fn has_touch(context: &Context<'_>) -> bool {
    context.book(1).is_some_and(|book| book.bid().is_some() && book.ask().is_some())
}

/// Buys ten at once as soon as there is a touch, and sells them five seconds later.
const IN_AND_OUT: StrategyKind = kind!("in-and-out", |actor, context, asked| match asked {
    Asked::Book if actor.calls == 0 && has_touch(context) => {
        actor.calls = 1;
        context.send(Order::market(1, Side::BUY, Quantity(10)));
        context.set_timer(Nanos(context.now().0 + 5 * SECOND));
    }
    Asked::Timer => {
        assert_eq!(context.now().0, START + 6 * SECOND + 1, "a timer fires at its own time");
        context.send(Order::market(1, Side::SELL, Quantity(10)));
    }
    _ => {}
});

const PANICS: StrategyKind = kind!("panics", |_, _, asked| if let Asked::Book = asked {
    panic!("of the test")
});

/// Sends an order that is cancelled at once, and another one for each cancelled one.
const RESTLESS: StrategyKind = kind!("restless", |_, context, asked| {
    let goes_on = match asked {
        Asked::Book => has_touch(context),
        Asked::Report(kind) => kind == ReportKind::Cancelled,
        Asked::Start | Asked::Timer => false,
    };
    if goes_on {
        context.send(Order::limit(1, Side::BUY, Quantity(1), Price(DOLLAR)).immediate_or_cancel());
    }
});

/// Randomly takes or quotes a side.
const RANDOM: StrategyKind = kind!("random", |actor, context, asked| {
    if !matches!(asked, Asked::Book) || !has_touch(context) {
        return;
    }
    actor.calls += 1;
    let side = if context.random().below(2) == 0 { Side::BUY } else { Side::SELL };
    let quantity = Quantity(1 + context.random().below(20));
    let mid = context.book(1).and_then(|book| book.mid()).expect("there is a touch");
    match context.random().below(4) {
        0 => drop(context.send(Order::market(1, side, quantity))),
        1 => {
            let away = context.random().below(3) as i64 * DOLLAR;
            let limit = if side == Side::BUY { mid.0 - away } else { mid.0 + away };
            context.send(Order::limit(1, side, quantity, Price(limit / DOLLAR * DOLLAR)));
        }
        _ => {}
    }
});

fn options(kind: &StrategyKind, order: u64, report: u64) -> BacktestOptions {
    BacktestOptions {
        strategy: kind.name.into(),
        parameters: String::new(),
        seed: 7,
        paper: PaperOptions {
            source: 9,
            fees: FeeSchedule { maker: FeeRate::Free, taker: FeeRate::OfValue(FeeRate::BASIS_POINT) },
            order_delay: Delay { base: order, jitter: 0 },
            report_delay: Delay { base: report, jitter: 0 },
            ..PaperOptions::default()
        },
        risk: RiskLimits::default(),
    }
}

fn registry() -> Registry {
    let mut registry = Registry::built_in();
    [IN_AND_OUT, PANICS, RESTLESS, RANDOM].into_iter().for_each(|kind| registry.register(kind).unwrap());
    registry
}

fn run(script: Script, options: BacktestOptions) -> BacktestOutcome {
    Backtest::new(Box::new(script), &registry(), options).unwrap().run().unwrap()
}

fn dollars(amount: f64) -> Money {
    Money((amount * 1e9).round() as i128)
}

fn is_near(value: Option<f64>, expected: f64) -> bool {
    value.is_some_and(|value| (value - expected).abs() < 1e-9)
}

/// The mid is 100 when it buys at 101, and 102 from a second later on; it sells at 101.
fn up_and_out() -> Script {
    market([quote(SECOND + SECOND / 2, 3, 101, 103), quote(20 * SECOND, 5, 101, 103)].into_iter().flatten())
}

#[test]
fn the_figures_of_a_purchase_and_a_sale_are_those_computed_by_hand() {
    let outcome = run(up_and_out(), options(&IN_AND_OUT, 0, 0));
    let figures = &outcome.figures;
    assert_eq!((figures.orders, figures.fills, figures.maker_fills, figures.rejected), (2, 2, 0, 0));
    assert_eq!(figures.fill_ratio, Some(1.0));
    assert_eq!(figures.realised, dollars(0.0), "bought at 101, sold at 101");
    assert_eq!(figures.unrealised, dollars(0.0));
    assert_eq!(figures.fees, dollars(2.0 * 1_010.0 / 10_000.0));
    assert_eq!(figures.net, dollars(-0.202));
    assert_eq!(figures.turnover, dollars(2_020.0));
    // 1 above a mid of 100, then 1 below a mid of 102: 20 dollars of 2,020.
    assert!(is_near(figures.slippage_bp, 20.0 / 2_020.0 * 10_000.0), "{:?}", figures.slippage_bp);
    // A second after the purchase the mid had risen by 2; after the sale it had not moved.
    assert!(is_near(figures.adverse_1s_bp, -20.0 / 2_020.0 * 10_000.0), "{:?}", figures.adverse_1s_bp);
    assert!(is_near(figures.adverse_10s_bp, -20.0 / 2_020.0 * 10_000.0), "{:?}", figures.adverse_10s_bp);
    // The highest value is before the sale: ten at a mid of 102, less the price and the first fee; the
    // lowest is right after the purchase.
    let highest: f64 = 20.0 - 10.0 - 0.101;
    let lowest_after: f64 = -0.202;
    assert_eq!(figures.drawdown_max, dollars((highest - lowest_after).max(10.0 + 0.101)));
    assert_eq!((outcome.first_time, outcome.last_time), (START, START + 20 * SECOND));
    assert_eq!(
        (outcome.records, outcome.market_events),
        (11, 11 + 3),
        "two notes of the feed's start, one of its end"
    );
}

#[test]
fn delays_are_the_time_from_an_order_to_its_report_and_decide_what_it_meets() {
    // The order is in flight while the market rises: it buys at 103.
    let outcome = run(up_and_out(), options(&IN_AND_OUT, SECOND, SECOND / 4));
    assert_eq!(outcome.figures.realised, dollars(-20.0));
    let latency = outcome.figures.order_to_report;
    assert_eq!(latency.count, 2);
    let expected = (SECOND + SECOND / 4) as f64;
    assert!((latency.p50 as f64 / expected - 1.0).abs() < 0.01, "{latency:?}");
    let bought = outcome.series.instruments[0].executions.points()[0];
    assert_eq!((bought.price, bought.is_buy), (103 * DOLLAR, true));
    assert_eq!(bought.time, START + SECOND + 1 + SECOND + SECOND / 4, "when its report is sequenced");
}

#[test]
fn messages_in_flight_when_the_market_ends_still_arrive() {
    let outcome = run(market([]), options(&IN_AND_OUT, SECOND, SECOND));
    assert_eq!((outcome.figures.orders, outcome.figures.fills), (1, 1));
    assert_eq!(outcome.last_time, START + 3 * SECOND + 1);
}

#[test]
fn a_strategy_that_panics_is_stopped_and_reported() {
    let outcome = run(up_and_out(), options(&PANICS, 0, 0));
    assert!(outcome.strategy_failure.as_deref().is_some_and(|reason| reason.contains("of the test")));
    assert_eq!(outcome.figures.orders, 0);
    assert_eq!(outcome.market_events, 14, "the market goes on");
}

#[test]
fn a_strategy_that_orders_without_end_fails_the_run_unless_orders_take_time() {
    let endless = Backtest::new(Box::new(market([])), &registry(), options(&RESTLESS, 0, 0)).unwrap().run();
    assert!(matches!(endless, Err(BacktestError::Endless(name)) if name == "restless"));
    let outcome = run(up_and_out(), options(&RESTLESS, SECOND / 10, SECOND / 10));
    assert!((50..200).contains(&outcome.figures.orders), "five a second: {}", outcome.figures.orders);
}

#[test]
fn after_a_feed_fails_what_was_played_still_counts() {
    let script = Script { fails: true, ..up_and_out() };
    let outcome = run(script, options(&IN_AND_OUT, 0, 0));
    assert!(outcome.feed_failure.as_deref().is_some_and(|failure| failure.contains("torn")));
    assert_eq!(outcome.figures.fills, 2);
}

#[test]
fn invalid_options_are_refused_before_anything_is_played() {
    let refused = |options| {
        let backtest = Backtest::new(Box::new(market([])), &registry(), options);
        backtest.map(|_| ()).unwrap_err().to_string()
    };
    let unknown = BacktestOptions { strategy: "ma-corss".into(), ..options(&RANDOM, 0, 0) };
    assert!(refused(unknown).contains("did you mean `ma-cross`?"));
    let strategy = "ma-cross".to_owned();
    let wrong = BacktestOptions { strategy, parameters: "fast = 0".into(), ..options(&RANDOM, 0, 0) };
    assert!(refused(wrong).contains("`fast` is 0, but must be"), "the range is named");
}

/// A market of random quotes and executions, a few a second.
fn random_market() -> impl Strategy_<Value = Vec<Scripted>> {
    let step = (1..SECOND, 95_i64..105, 1_i64..4, any::<bool>(), 1_u64..100);
    prop::collection::vec(step, 1..80).prop_map(|steps| {
        let (mut due, mut id, mut messages) = (SECOND + 1, 3, Vec::new());
        for (wait, bid, spread, trades, quantity) in steps {
            due += wait;
            messages.extend(quote(due, id, bid, bid + spread));
            if trades {
                messages.push(at(due + 1, &execute(1, id + quantity % 2, quantity)));
            }
            id += 2;
        }
        messages
    })
}

use proptest::strategy::Strategy as Strategy_;

proptest! {
    #[test]
    fn the_outcome_is_the_same_each_time_however_the_feed_is_read(
        messages in random_market(), batch in 1_usize..40, delay in 0..SECOND
    ) {
        let whole = run(market(messages.clone()), options(&RANDOM, delay, delay / 3));
        let again = run(Script { batch, ..market(messages) }, options(&RANDOM, delay, delay / 3));
        prop_assert_eq!(whole, again);
    }

    #[test]
    fn profit_is_what_the_executions_brought_and_what_is_held_is_worth(
        messages in random_market(), delay in 0..SECOND
    ) {
        let outcome = run(market(messages), options(&RANDOM, delay, 0));
        let figures = &outcome.figures;
        let (mut cash, mut held, mut turnover) = (0_i128, 0_i128, 0_i128);
        let mut makers = 0;
        let mut minutes = BTreeMap::<u64, u64>::new();
        for traded in &outcome.series.instruments {
            for done in traded.executions.points() {
                let sign = if done.is_buy { 1 } else { -1 };
                let value = i128::from(done.price) * i128::from(done.quantity);
                cash -= sign * value;
                held += sign * i128::from(done.quantity);
                turnover += value;
                makers += u64::from(done.is_maker);
                *minutes.entry(done.time).or_default() += 1;
            }
            let last = traded.quotes.points().last().expect("the end is quoted");
            prop_assert_eq!(i128::from(last.position), held);
            cash += held * i128::from(last.price);
        }
        prop_assert_eq!(figures.net, Money(cash) - figures.fees);
        prop_assert_eq!(figures.realised + figures.unrealised, Money(cash));
        prop_assert_eq!(figures.turnover, Money(turnover));
        prop_assert_eq!((figures.maker_fills, figures.fills), (makers, minutes.values().sum()));
        let equity = outcome.series.equity.points();
        prop_assert_eq!(equity.last().map(|sample| sample.equity), Some(figures.net));
        let deepest = equity.iter().map(|sample| Money(-sample.drawdown.0)).max();
        prop_assert!(deepest <= Some(figures.drawdown_max));
    }
}
