//! `vwap`: buys or sells a quantity over a period, in parts proportional to the market's expected volume.
//!
//! It aims at the volume-weighted average price of its duration (Berkowitz, Logue and Noser, The total cost
//! of transactions on the NYSE, Journal of Finance 43, 1988), which an order has if its parts follow the
//! volume of the market. The volume profile is given in advance, as one weight per slice (Konishi, Optimal
//! slice of a VWAP trade, Journal of Financial Markets 5, 2002, derives it from past volume), not measured
//! during the run: the quantity due at any time follows from the parameters alone, and an execution ends on
//! time. [`crate::execution`] describes how the parts are executed.

use crate::execution::SlicedExecution;
use crate::parameters::{Parameter, ParameterError, Parameters};
use crate::registry::StrategyKind;

/// Name, parameters and constructor of the strategy.
pub const KIND: StrategyKind = StrategyKind {
    name: "vwap",
    about: "executes a quantity in parts that follow a volume profile of the market",
    parameters: &[
        Parameter::choice("side", &["buy", "sell"], "side of the parent order"),
        Parameter::integer("quantity", 100, (1, 1_000_000_000_000), "quantity of the parent order"),
        Parameter::duration(
            "duration",
            10_000_000_000,
            (1_000_000, 86_400_000_000_000),
            "duration, from the first book on",
        ),
        Parameter::text(
            "profile",
            "9 7 6 5 4 4 4 4 5 6 7 9",
            "expected relative volume of each slice, in whole numbers",
        ),
        Parameter::integer("orders-per-second", 50, (1, 100_000), "limit on child orders per second"),
        Parameter::text("symbol", "", "instrument to trade; empty for the instrument of the first book"),
    ],
    make: |parameters| {
        let of_profile = |parameters: &Parameters| profile(parameters.text("profile"));
        Ok(Box::new(SlicedExecution::new(parameters, of_profile)?))
    },
};

/// The number of slices of a profile.
const SLICES_MAX: usize = 10_000;
/// The largest weight.
const WEIGHT_MAX: u64 = 1_000_000_000;

fn profile(text: &str) -> Result<Vec<u64>, ParameterError> {
    let weights: Option<Vec<u64>> = text
        .split([' ', ','])
        .filter(|word| !word.is_empty())
        .map(|word| word.parse().ok().filter(|weight| *weight <= WEIGHT_MAX))
        .collect();
    weights.filter(|weights| weights.len() <= SLICES_MAX && weights.iter().any(|weight| *weight > 0)).ok_or_else(|| {
        ParameterError::Together(format!(
            "parameter `profile` is `{text}`, but must be 1 to {SLICES_MAX} whole numbers from 0 to {WEIGHT_MAX}, not all of \
             them 0"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tester::StrategyTester;
    use stele_wire::Nanos;

    #[test]
    fn parts_are_proportional_to_the_profile() {
        let settings = "quantity = 100\nduration = \"4s\"\nprofile = \"5 1, 0 4\"";
        let mut tester = StrategyTester::start("vwap", settings).unwrap();
        let mut parts = Vec::new();
        for _ in 0..6 {
            tester.quote(1, (100, 500), (102, 500));
            for order in tester.take_orders() {
                parts.push(order.quantity.get());
                tester.fill(&order, 100, order.quantity.get());
            }
            tester.advance(Nanos(1_000_000_000));
            for order in tester.take_orders() {
                parts.push(order.quantity.get());
                tester.fill(&order, 100, order.quantity.get());
            }
        }
        assert_eq!(parts, [50, 10, 40], "nothing in the third slice");
        assert_eq!(tester.position(1), 100);
    }

    #[test]
    fn an_invalid_profile_is_refused() {
        for wrong in ["", "0 0", "1 -1", "1 x", "1000000001"] {
            let error = KIND.start(&format!("profile = \"{wrong}\"")).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("1 to 10000 whole numbers from 0 to 1000000000"), "{error}");
        }
        assert_eq!(profile("1,2 3 ,4").unwrap(), [1, 2, 3, 4]);
    }
}
