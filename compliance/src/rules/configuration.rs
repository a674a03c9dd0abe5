//! What the configuration of a session, which is on the log, says about its pre-trade checks.

use serde::Deserialize;
use stele_risk::RiskLimits;
use stele_wire::{Price, Quantity};

#[derive(Deserialize)]
struct Page {
    risk: Option<RiskSection>,
}

/// The keys of `[risk]` that the checks depend on.
#[derive(Deserialize)]
struct RiskSection {
    order_quantity_max: Option<u64>,
    order_notional_max: Option<u64>,
    #[serde(default)]
    four_eyes: bool,
}

/// The limits that a session began with, as far as its configuration states them. An order that waits to be
/// sealed passes, because the configuration does not say whether there was a sealer.
pub(super) fn limits(configuration: &[u8]) -> RiskLimits {
    let page = std::str::from_utf8(configuration).ok().and_then(|text| toml::from_str::<Page>(text).ok());
    let known = RiskLimits { has_sealer: true, ..RiskLimits::default() };
    let Some(risk) = page.and_then(|page| page.risk) else { return known };
    let notional = |units: u64| i64::try_from(units).unwrap_or(i64::MAX).saturating_mul(Price::SCALE);
    RiskLimits {
        order_quantity_max: risk.order_quantity_max.map(Quantity),
        order_notional_max: risk.order_notional_max.map(notional),
        four_eyes: risk.four_eyes,
        ..known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_and_four_eyes_are_read_from_the_section_risk() {
        let text =
            b"[market]\nx = 1\n[risk]\norder_quantity_max = 7\norder_notional_max = 3\nfour_eyes = true\n";
        let limits = limits(text);
        assert_eq!(limits.order_quantity_max, Some(Quantity(7)));
        assert_eq!(limits.order_notional_max, Some(3 * Price::SCALE));
        assert!(limits.four_eyes && limits.has_sealer);
    }

    #[test]
    fn a_configuration_that_does_not_state_them_leaves_them_unknown() {
        for text in [b"".as_slice(), b"command = 'expire'", b"not toml", b"\xff", b"[risk]\nfour_eyes = 3"] {
            let limits = limits(text);
            assert_eq!(limits, RiskLimits { has_sealer: true, ..RiskLimits::default() });
        }
    }
}
