use super::*;
use crate::tester::StrategyTester;
use proptest::prelude::*;
use stele_wire::Nanos;

fn in_units(amount: f64) -> i64 {
    libm::round(amount * ONE as f64) as i64
}

/// The mean spread over the horizon: `γσ²T/2` plus the constant term.
fn mean_spread(gamma: f64, k: f64, sigma: f64) -> f64 {
    let model = Model::new(in_units(gamma), in_units(k));
    let variance = i128::from(in_units(sigma)).pow(2);
    let mean = |left: u64| (model.risk(variance, left) + model.liquidity) as f64 / ONE as f64;
    (0..=200).map(|step| mean(SECOND / 200 * step)).sum::<f64>() / 201.0
}

#[test]
fn the_spreads_are_those_of_the_paper() {
    // Tables 1 and 2: σ = 2, T = 1, k = 1.5.
    assert_eq!(format!("{:.2}", mean_spread(0.1, 1.5, 2.0)), "1.49");
    assert_eq!(format!("{:.2}", mean_spread(0.01, 1.5, 2.0)), "1.35");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn quotes_agree_with_the_formulas_in_floating_point(
        mid in 1.0f64..1_000.0, position in -50i64..50, quantity in 1u64..5,
        gamma in 0.001f64..5.0, k in 0.1f64..500.0, sigma in 0.0f64..3.0, left in 0.0f64..60.0,
    ) {
        let model = Model::new(in_units(gamma), in_units(k));
        let risk = model.risk(i128::from(in_units(sigma)).pow(2), in_units(left) as u64);
        let (bid, ask) = model.quotes(Price(in_units(mid)), position, quantity, risk);
        let q = position as f64 / quantity as f64;
        let reservation = mid - q * gamma * sigma * sigma * left;
        let half = (gamma * sigma * sigma * left + 2.0 / gamma * (1.0 + gamma / k).ln()) / 2.0;
        let near = |found: i128, wanted: f64| {
            (found as f64 / 1e9 - wanted).abs() <= 1e-6 * (1.0 + wanted.abs() + q.abs() * half)
        };
        prop_assert!(near(bid, reservation - half), "{bid} {}", reservation - half);
        prop_assert!(near(ask, reservation + half), "{ask} {}", reservation + half);
    }

    #[test]
    fn the_variance_is_the_weighted_average_of_squared_moves(moves in prop::collection::vec(-50i64..50, 2..60)) {
        let (mut measured, mut naive, mut mid) = (Mid::default(), None::<f64>, 1_000i64);
        measured.measure(SECOND, Price(mid), SECOND, 9);
        for (step, change) in moves.iter().enumerate() {
            mid += change * 1_000_000;
            measured.measure(SECOND * (step as u64 + 2), Price(mid), SECOND, 9);
            let squared = (*change as f64 * 1e6).powi(2);
            naive = Some(naive.map_or(squared, |average| average + (squared - average) * 0.2));
        }
        prop_assert!((measured.variance.unwrap() as f64 - naive.unwrap()).abs() < 1e3);
    }
}

const SETTINGS: &str =
    "risk-aversion = 0.1\narrival-decay = 100\nsample = \"1s\"\nhorizon = \"60s\"\nmax-position = 2";
const CENT: i64 = ONE / 100;

/// A tester after two mids, in ticks of 0.01, a second apart: the quotes are sent.
fn quoting(mids: [i64; 2]) -> StrategyTester {
    let mut tester = StrategyTester::start("market-maker", SETTINGS).unwrap();
    tester.define(1, "A");
    show(&mut tester, mids[0]);
    assert!(tester.take_orders().is_empty(), "nothing is known of the variance");
    tester.advance(Nanos(SECOND));
    show(&mut tester, mids[1]);
    tester
}

fn show(tester: &mut StrategyTester, mid: i64) {
    tester.quote(1, ((mid - 5) * CENT, 9), ((mid + 5) * CENT, 9));
}

#[test]
fn it_quotes_both_sides_at_the_distance_of_the_formula_without_taking() {
    let [bid, ask] = quoting([10_000, 10_000]).take_orders()[..] else { panic!("both sides") };
    // No variance: the spread is 20 ln(1.001) = 0.0199900066..., half of it on each side.
    assert_eq!((bid.side, bid.limit_price.get()), (Side::BUY, 99_990_004_997));
    assert_eq!((ask.side, ask.limit_price.get()), (Side::SELL, 100_009_995_003));
    for order in [bid, ask] {
        assert!(order.attributes.contains(stele_wire::messages::OrderAttributes::POST_ONLY));
    }
}

#[test]
fn inventory_moves_both_quotes_against_it_and_the_position_limit_holds() {
    let mut tester = quoting([10_000, 10_010]);
    let [bid, ask] = tester.take_orders()[..] else { panic!("both sides") };
    // A variance of 0.01 per second for 59 seconds: the risk of one order is 0.1 · 0.01 · 59 = 0.059.
    let spread = 59_000_000 + 19_990_006;
    assert_eq!(ask.limit_price.get() - bid.limit_price.get(), spread);
    tester.accept(&bid).accept(&ask).fill(&bid, bid.limit_price.get(), 1);
    let [next] = tester.take_orders()[..] else { panic!("another bid takes the place of the first") };
    let [moved] = tester.take_replacements()[..] else { panic!("the offer follows") };
    assert_eq!(bid.limit_price.get() - next.limit_price.get(), 59_000_000);
    assert_eq!(ask.limit_price.get() - moved.limit_price.get(), 59_000_000);
    tester.accept(&next).fill(&next, next.limit_price.get(), 1);
    show(&mut tester, 10_010);
    assert_eq!(tester.position(1), 2);
    assert!(tester.take_orders().is_empty(), "no room to buy more");
}

#[test]
fn a_quote_within_tolerance_or_with_a_pending_request_is_left_alone() {
    let mut tester = StrategyTester::start("market-maker", &format!("{SETTINGS}\ntolerance = 3")).unwrap();
    let tick = stele_wire::messages::InstrumentDefinition {
        instrument: 1.into(),
        tick: CENT.into(),
        ..stele_wire::messages::InstrumentDefinition::NULL
    };
    let mut body = [0; 512];
    let body = tick.encode(&mut body, []).unwrap();
    tester.body(
        stele_wire::messages::InstrumentDefinition::TEMPLATE_ID,
        stele_wire::messages::InstrumentDefinition::BLOCK_LENGTH,
        body,
    );
    show(&mut tester, 10_000);
    tester.advance(Nanos(SECOND));
    show(&mut tester, 10_000);
    let [bid, ask] = tester.take_orders()[..] else { panic!("both sides") };
    assert_eq!((bid.limit_price.get(), ask.limit_price.get()), (9_999 * CENT, 10_001 * CENT), "on the tick");
    show(&mut tester, 10_004);
    assert!(tester.take_replacements().is_empty(), "neither is answered");
    tester.accept(&bid).accept(&ask);
    show(&mut tester, 10_002);
    assert!(tester.take_replacements().is_empty());
    show(&mut tester, 10_003);
    let moved: Vec<_> = tester.take_replacements().iter().map(|order| order.limit_price.get()).collect();
    assert_eq!(moved, [10_002 * CENT, 10_004 * CENT]);
}

#[test]
fn a_quote_never_reaches_the_other_side() {
    let mut tester = quoting([10_000, 10_010]);
    let mut prices = Vec::new();
    for _ in 0..2 {
        let [bid, ask] = tester.take_orders()[..] else { panic!("both sides") };
        prices.push(bid.limit_price.get());
        tester.accept(&ask).cancelled(&bid).fill(&ask, ask.limit_price.get(), 1);
    }
    assert_eq!(tester.position(1), -2);
    let [bid] = tester.take_orders()[..] else { panic!("no room to sell more") };
    // The formula's bid is 0.118 - 0.0395 above the mid, the best offer 0.05.
    assert_eq!(bid.limit_price.get(), 10_015 * CENT - 1);
    assert_eq!(prices[1] - prices[0], 59_000_000);
}
