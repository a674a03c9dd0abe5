//! The exchange that orders are sent to: `[venue]`.

use super::page::Page;
use crate::failure::{Failure, nearest};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use stele_bus::Watermark;
use stele_venue::matching::{Phase, SelfTrade};
use stele_venue::paper_exchange::{
    Counterparty, Delay, FeeRate, FeeSchedule, PaperOptions, QueueModel, ScheduledPhase,
};

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct VenueConfig {
    pub(crate) maker_fee_bp: f64,
    pub(crate) taker_fee_bp: f64,
    pub(crate) release: String,
    pub(crate) counterparty: String,
    pub(crate) queue: String,
    pub(crate) self_trade: String,
    pub(crate) order_delay_us: u64,
    pub(crate) order_jitter_us: u64,
    pub(crate) report_delay_us: u64,
    pub(crate) report_jitter_us: u64,
    pub(crate) seed: u64,
    pub(crate) phase: Vec<PhaseConfig>,
}

/// A scheduled trading phase: `[[venue.phase]]`.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct PhaseConfig {
    pub(crate) after_seconds: f64,
    pub(crate) phase: String,
}

impl Default for VenueConfig {
    fn default() -> Self {
        Self {
            maker_fee_bp: 0.0,
            taker_fee_bp: 0.5,
            release: "durable".into(),
            counterparty: "market".into(),
            queue: "conservative".into(),
            self_trade: "allowed".into(),
            order_delay_us: 0,
            order_jitter_us: 0,
            report_delay_us: 0,
            report_jitter_us: 0,
            seed: 1,
            phase: Vec::new(),
        }
    }
}

const RELEASES: [(&str, Watermark); 3] =
    [("published", Watermark::Published), ("written", Watermark::Written), ("durable", Watermark::Durable)];
const COUNTERPARTIES: [(&str, Counterparty); 2] =
    [("market", Counterparty::Replayed), ("own-book", Counterparty::OwnBook)];
const QUEUES: [(&str, QueueModel); 3] = [
    ("conservative", QueueModel::Conservative),
    ("proportional", QueueModel::Proportional),
    ("by-order", QueueModel::ByOrder),
];
const SELF_TRADES: [(&str, SelfTrade); 5] = [
    ("allowed", SelfTrade::Allowed),
    ("cancel-newest", SelfTrade::CancelNewest),
    ("cancel-oldest", SelfTrade::CancelOldest),
    ("cancel-both", SelfTrade::CancelBoth),
    ("decrement", SelfTrade::Decrement),
];
const PHASES: [(&str, Phase); 4] = [
    ("continuous", Phase::Continuous),
    ("auction", Phase::Auction),
    ("halted", Phase::Halted),
    ("closed", Phase::Closed),
];

/// The range of delays: up to ten seconds.
const DELAYS_US: RangeInclusive<u64> = 0..=10_000_000;
const FEES_BP: RangeInclusive<f64> = -1_000.0..=1_000.0;
/// The range of a phase's start: up to one day.
const AFTER_SECONDS: RangeInclusive<f64> = 0.0..=86_400.0;

/// Returns the item of `known` that `value` names.
fn named<T: Copy>(key: &str, value: &str, known: &[(&str, T)]) -> Result<T, Failure> {
    let found = known.iter().find(|(name, _)| *name == value).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let names = known.iter().map(|(name, _)| *name);
        let all = format!("one of {}", names.clone().collect::<Vec<_>>().join(", "));
        let help = match nearest(value, names) {
            near if near.starts_with("did you mean") => format!("{near} {all}"),
            _ => all,
        };
        Failure::usage(format!("[venue] {key} is `{value}`")).help(help)
    })
}

fn within<T: PartialOrd + std::fmt::Display>(
    key: &str,
    value: T,
    range: &RangeInclusive<T>,
) -> Result<T, Failure> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(Failure::usage(format!("[venue] {key} is {value}")).help(format!(
        "give a number from {} to {}",
        range.start(),
        range.end()
    )))
}

impl VenueConfig {
    /// Returns the watermark that an order waits for before it leaves.
    pub(crate) fn release(&self) -> Result<Watermark, Failure> {
        named("release", &self.release, &RELEASES)
    }

    /// Returns the options of the paper exchange; its reports have the number `source`.
    pub(crate) fn paper(&self, source: u16) -> Result<PaperOptions, Failure> {
        let delay = |name: &str, base: u64, jitter: u64| -> Result<Delay, Failure> {
            let base = within(&format!("{name}_delay_us"), base, &DELAYS_US)?;
            let jitter = within(&format!("{name}_jitter_us"), jitter, &DELAYS_US)?;
            Ok(Delay { base: base * 1_000, jitter: jitter * 1_000 })
        };
        let fees = FeeSchedule {
            maker: rate("maker_fee_bp", self.maker_fee_bp)?,
            taker: rate("taker_fee_bp", self.taker_fee_bp)?,
        };
        Ok(PaperOptions {
            source,
            fees,
            counterparty: named("counterparty", &self.counterparty, &COUNTERPARTIES)?,
            queue: named("queue", &self.queue, &QUEUES)?,
            self_trade: named("self_trade", &self.self_trade, &SELF_TRADES)?,
            order_delay: delay("order", self.order_delay_us, self.order_jitter_us)?,
            report_delay: delay("report", self.report_delay_us, self.report_jitter_us)?,
            seed: self.seed,
            schedule: self.schedule()?,
            ..PaperOptions::default()
        })
    }

    fn schedule(&self) -> Result<Vec<ScheduledPhase>, Failure> {
        let phases = self.phase.iter().map(|PhaseConfig { after_seconds, phase }| {
            let seconds = within("phase.after_seconds", *after_seconds, &AFTER_SECONDS)?;
            let phase = named("phase.phase", phase, &PHASES)?;
            Ok(ScheduledPhase { after: (seconds * 1e9) as u64, phase })
        });
        let phases = phases.collect::<Result<Vec<_>, Failure>>()?;
        match phases.windows(2).find(|pair| pair[0].after > pair[1].after) {
            Some(pair) => {
                let [first, second] = [pair[0], pair[1]].map(|phase| phase.after as f64 / 1e9);
                Err(Failure::usage(format!(
                    "[[venue.phase]] after {second} s is listed after the one after {first} s"
                ))
                .help("list them in the order in which they begin"))
            }
            None => Ok(phases),
        }
    }

    pub(super) fn render(&self, page: &mut Page<'_>) {
        page.section("venue", "The paper exchange (docs/paper-exchange.md)");
        page.key("maker_fee_bp", self.maker_fee_bp, "basis points of the amount; negative is a rebate");
        page.key("taker_fee_bp", self.taker_fee_bp, "basis points of the amount");
        let release = "an order leaves when it is: published, written, durable";
        page.key("release", &self.release, release);
        let counterparty = "market: the replayed market; own-book: the strategies trade with one another";
        page.key("counterparty", &self.counterparty, counterparty);
        let queue = "how cancels in the market shorten the queue: conservative, proportional, by-order";
        page.key("queue", &self.queue, queue);
        let self_trade = "default of an order: allowed, cancel-newest, cancel-oldest, cancel-both, decrement";
        page.key("self_trade", &self.self_trade, self_trade);
        page.key("order_delay_us", self.order_delay_us, "least delay of an order to the exchange");
        page.key("order_jitter_us", self.order_jitter_us, "largest random addition to it");
        page.key("report_delay_us", self.report_delay_us, "least delay of a report from the exchange");
        page.key("report_jitter_us", self.report_jitter_us, "largest random addition to it");
        page.key("seed", self.seed, "the seed of the random additions");
        if self.phase.is_empty() {
            page.example(
                "[[venue.phase]]",
                "",
                "a trading phase of every instrument that begins at a set time",
            );
            page.example("after_seconds", "1.5", "after the first market event");
            page.example("phase", "\"auction\"", "continuous, auction, halted, closed");
        }
        for PhaseConfig { after_seconds, phase } in &self.phase {
            page.list("venue.phase");
            page.key("after_seconds", *after_seconds, "after the first market event");
            page.key("phase", phase, "continuous, auction, halted, closed");
        }
    }
}

fn rate(key: &str, basis_points: f64) -> Result<FeeRate, Failure> {
    let basis_points = within(key, basis_points, &FEES_BP)?;
    Ok(match (basis_points * FeeRate::BASIS_POINT as f64).round() as i64 {
        0 => FeeRate::Free,
        rate => FeeRate::OfValue(rate),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn refused(change: impl FnOnce(&mut VenueConfig)) -> String {
        let mut venue = VenueConfig::default();
        change(&mut venue);
        let failure = venue.paper(1).map(|_| ()).and_then(|()| venue.release().map(|_| ())).unwrap_err();
        failure.to_string()
    }

    #[test]
    fn the_default_is_the_replayed_market_without_delay() {
        let paper = VenueConfig::default().paper(7).unwrap();
        let fees = FeeSchedule { maker: FeeRate::Free, taker: FeeRate::OfValue(FeeRate::BASIS_POINT / 2) };
        assert_eq!(paper, PaperOptions { source: 7, fees, seed: 1, ..PaperOptions::default() });
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_its_range() {
        let table = [
            (refused(|venue| venue.maker_fee_bp = 1_000.5), "maker_fee_bp is 1000.5", "from -1000 to 1000"),
            (refused(|venue| venue.taker_fee_bp = f64::NAN), "taker_fee_bp is NaN", "from -1000 to 1000"),
            (
                refused(|venue| venue.order_delay_us = 10_000_001),
                "order_delay_us is 10000001",
                "from 0 to 10000000",
            ),
            (refused(|venue| venue.report_jitter_us = u64::MAX), "report_jitter_us", "from 0 to 10000000"),
            (
                refused(|venue| venue.queue = "by-ordr".into()),
                "queue is `by-ordr`",
                "did you mean `by-order`?",
            ),
            (
                refused(|venue| venue.release = "soon".into()),
                "release is `soon`",
                "one of published, written, durable",
            ),
            (
                refused(|venue| venue.counterparty = "".into()),
                "counterparty is ``",
                "one of market, own-book",
            ),
            (refused(|venue| venue.self_trade = "none".into()), "self_trade is `none`", "one of allowed"),
            (
                refused(|venue| {
                    venue.phase = vec![PhaseConfig { after_seconds: -1.0, phase: "closed".into() }]
                }),
                "phase.after_seconds is -1",
                "from 0 to 86400",
            ),
            (
                refused(|venue| {
                    venue.phase = vec![PhaseConfig { after_seconds: 1.0, phase: "close".into() }]
                }),
                "phase.phase is `close`",
                "did you mean `closed`?",
            ),
            (
                refused(|venue| {
                    let phase = |after_seconds| PhaseConfig { after_seconds, phase: "halted".into() };
                    venue.phase = vec![phase(2.0), phase(1.5)];
                }),
                "after 1.5 s is listed after the one after 2 s",
                "in the order in which they begin",
            ),
        ];
        for (message, what, help) in table {
            assert!(message.contains(what) && message.contains(help), "{message}");
        }
    }

    #[test]
    fn phases_are_printed_and_read_back() {
        let phase = PhaseConfig { after_seconds: 0.5, phase: "auction".into() };
        let venue = VenueConfig { phase: vec![phase.clone(), phase], seed: 9, ..VenueConfig::default() };
        let config = Config { venue, ..Config::default() };
        assert_eq!(Config::parse(&config.render()).unwrap(), config);
    }
}
