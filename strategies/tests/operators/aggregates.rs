//! Aggregates outside of windows.

use super::results;
use proptest::prelude::*;
use stele_strategies::TradePrint;
use stele_strategies::operators::*;
use stele_wire::{Price, Quantity};

#[test]
fn a_quantile_is_the_value_of_its_rank() {
    let of = |per_mille, values: &[i64]| {
        let mut quantile = Quantile::new(per_mille, 16);
        values.iter().for_each(|value| quantile.add(0, value));
        quantile.value()
    };
    let values = [15, 20, 35, 40, 50];
    let quantiles = [50, 300, 400, 500, 1_000, 0].map(|per_mille| of(per_mille, &values));
    assert_eq!(quantiles, [15, 20, 20, 35, 50, 15], "the nearest ranks of 5, 30, 40, 50 and 100 per cent");
    assert_eq!(of(500, &[7, -3]), -3);
}

#[test]
fn a_full_quantile_leaves_values_out_and_counts_them() {
    let mut stream = stream::<u64>().running(Quantile::new(1_000, 3));
    assert_eq!(results(&mut stream, [1, 2, 3, 9]), [1, 2, 3, 3]);
    assert_eq!(stream.drops(), DropCounts { crowded_out: 1, ..DropCounts::default() });
}

#[test]
fn a_mean_is_rounded_down_on_either_side_of_zero_and_never_overflows() {
    assert_eq!(results(&mut Running::new(Mean::<i64>::default()), [-1, 0]), [-1, -1]);
    assert_eq!(results(&mut Running::new(Mean::<i64>::default()), [1, 0]), [1, 0]);
    let most = [u64::MAX; 3];
    assert_eq!(results(&mut Running::new(Mean::<u64>::default()), most), most);
    let sums = results(&mut Running::new(Sum::default()), [i64::MIN, i64::MIN, i64::MAX]);
    assert_eq!(sums[2], i128::from(i64::MIN) - 1);
}

#[test]
fn several_parts_of_an_event_are_aggregated_at_once() {
    let volume = Sum::default().of(|print: &TradePrint| print.quantity);
    let high = Max::default().of(|print: &TradePrint| print.price);
    let print = |price, quantity| TradePrint {
        instrument: 1,
        price: Price(price),
        quantity: Quantity(quantity),
        resting: None,
        trade_id: 0,
        venue_time: None,
    };
    let given = results(&mut stream().running((Count::default(), volume, high)), [print(5, 2), print(3, 4)]);
    assert_eq!(given, [(1, 2, Price(5)), (2, 6, Price(5))]);
}

#[test]
fn only_changes_are_emitted() {
    assert_eq!(results(&mut stream().changed(), [0, 0, 1, 1, 0, 2, 2]), [0, 1, 0, 2]);
}

#[test]
fn filters_and_maps_do_as_iterators_do() {
    let mut pipeline =
        stream::<i64>().filter(|n| n % 2 == 0).map(|n| n * 10).filter_map(|n| (n > 20).then_some(n + 1));
    assert_eq!(results(&mut pipeline, 0..7), [41, 61]);
}

#[test]
fn both_branches_get_every_event() {
    let mut forked = stream::<i64>().fork(|s| s.filter(|n| *n > 1), |s| s.map(|n| n as u64));
    let given = results(&mut forked, [1, 2]);
    assert_eq!(given, [Either::Right(1), Either::Left(2), Either::Right(2)]);
    let mut zipped = stream::<i64>().zip(|s| s.recent(2, Sum::default()), |s| s.recent(1, Sum::default()));
    assert_eq!(results(&mut zipped, [1, 2, 3]), [(3, 2), (5, 3)]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_deviation_is_the_largest_number_whose_square_is_at_most_the_variance(
        values in prop::collection::vec(any::<i64>(), 1..40), shift in 20..60u32, count in 1..40usize,
    ) {
        let values: Vec<_> = values.iter().map(|value| value >> shift).collect();
        let given = results(&mut Recent::new(count, Deviation::<i64>::default()), values.iter().copied());
        let widest = values.windows(count).map(|window| {
            let n = window.len() as i128;
            let sum: i128 = window.iter().map(|value| i128::from(*value)).sum();
            // n² times the variance, by distances from the mean that are n times as long.
            window.iter().map(|value| (n * i128::from(*value) - sum).pow(2)).sum::<i128>() / n
        });
        let n = count as i128;
        for (given, variance) in given.into_iter().map(i128::from).zip(widest) {
            prop_assert!((given * n).pow(2) <= variance && variance < ((given + 1) * n).pow(2));
        }
    }
}

#[test]
fn a_deviation_of_the_largest_numbers_has_correct_leading_bits() {
    let given =
        results(&mut Running::new(Deviation::<i64>::default()), [i64::MIN, i64::MAX, i64::MIN, i64::MAX]);
    let exact = [0.0, 0.5, 2f64.sqrt() / 3.0, 0.5].map(|share| share * 2f64.powi(64));
    for (given, exact) in given.iter().zip(exact) {
        assert!((*given as f64 - exact).abs() <= exact * 1e-15, "{given} is not {exact}");
    }
    let mut moving = Recent::new(2, Deviation::<i64>::default());
    assert_eq!(
        results(&mut moving, [i64::MIN, i64::MAX, i64::MAX, 7, 9])[1..],
        [0, 4_611_686_018_427_387_900, 1]
    );
}
