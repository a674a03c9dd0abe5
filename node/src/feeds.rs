//! Feeds as a configuration names them: parsed, opened, paced.

use crate::config::Config;
use crate::failure::Failure;
use crate::numbering::sources;
use stele_connect::binance::{self, BinanceFeed};
use stele_connect::dbn::csv::CsvFeed;
use stele_connect::dbn::{self, DbnFeed};
use stele_connect::generator::{self, Generator};
use stele_connect::instruments::InstrumentIds;
use stele_connect::itch::{self, ItchFeed};
use stele_connect::lobster::{self, LobsterFeed};
use stele_connect::spec::FeedSpec;
use stele_feed::{Feed, Pace};
use stele_replay::{Definitions, TrailFeed};

/// The feed that the configuration names.
pub(crate) fn spec(config: &Config) -> Result<FeedSpec, Failure> {
    FeedSpec::parse(&config.feed.spec).map_err(Failure::usage)
}

/// Opens the feed. Trails that are continued keep their instruments' numbers: `known` are those they have.
pub(crate) fn open<'a>(
    spec: &FeedSpec,
    config: &Config,
    known: impl Iterator<Item = &'a Definitions>,
) -> Result<Box<dyn Feed>, Failure> {
    let ids = instrument_ids(known);
    let feed: Box<dyn Feed> = match spec {
        FeedSpec::Dbn(path) => {
            let options = dbn::Options { source: sources::FEED, ids };
            Box::new(DbnFeed::open(path, options).map_err(Failure::environment)?)
        }
        FeedSpec::DatabentoCsv(path) => {
            let options = dbn::Options { source: sources::FEED, ids };
            Box::new(CsvFeed::open(path, options).map_err(Failure::environment)?)
        }
        FeedSpec::Itch { path, date } => {
            let options = itch::Options { source: sources::FEED, date: day(*date, config)?, ids };
            Box::new(ItchFeed::open(path, options).map_err(Failure::environment)?)
        }
        FeedSpec::Lobster { path, symbol, date } => {
            let (symbol, date) = (symbol.clone(), day(*date, config)?);
            let options = lobster::Options { source: sources::FEED, symbol, date, ids };
            Box::new(LobsterFeed::open(path, options).map_err(Failure::environment)?)
        }
        FeedSpec::Binance { path, symbol } => {
            let options = binance::Options { source: sources::FEED, symbol: symbol.clone(), ids };
            Box::new(BinanceFeed::open(path, options).map_err(Failure::environment)?)
        }
        FeedSpec::Generator { seed } => {
            let options = generator::Config {
                seed: *seed,
                events_per_second: config.feed.events_per_second as f64,
                source: sources::FEED,
                ..generator::Config::default()
            };
            Box::new(Generator::new(options).map_err(Failure::usage)?)
        }
        FeedSpec::Trail(path) => {
            let feed = TrailFeed::open(path, sources::FEED);
            Box::new(feed.map_err(|error| Failure::environment(error).help("name a trail's directory"))?)
        }
    };
    Ok(feed)
}

/// The trading day that the feed's text names, or else the configuration.
fn day(named: Option<jiff::civil::Date>, config: &Config) -> Result<Option<jiff::civil::Date>, Failure> {
    Ok(named.or(config.feed.date.as_deref().map(parse_date).transpose()?))
}

/// `fast`, `real-time`, or a multiple such as `10x`.
pub(crate) fn pace(text: &str) -> Result<Pace, Failure> {
    let times = || {
        let factor: f64 = text.strip_suffix('x')?.parse().ok()?;
        (factor.is_finite() && factor > 0.0).then_some(Pace::Times(factor))
    };
    match text {
        "fast" => Ok(Pace::Fast),
        "real-time" => Ok(Pace::RealTime),
        _ => times().ok_or_else(|| {
            Failure::usage(format!("`{text}` is no pace"))
                .help("give fast, real-time, or a multiple such as 10x")
        }),
    }
}

fn parse_date(text: &str) -> Result<jiff::civil::Date, Failure> {
    text.parse().map_err(|error| {
        Failure::usage(format!("`{text}` is no date: {error}")).help("write it as YYYY-MM-DD")
    })
}

fn instrument_ids<'a>(known: impl Iterator<Item = &'a Definitions>) -> InstrumentIds {
    let mut ids = InstrumentIds::default();
    let instruments = known.flat_map(|known| &known.instruments);
    for (id, instrument) in instruments.filter(|(_, instrument)| instrument.source < sources::VENUE) {
        ids.seed(instrument.venue_instrument_id, &instrument.symbol, *id);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_fast_real_time_or_a_multiple_above_zero() {
        assert_eq!(pace("fast").unwrap(), Pace::Fast);
        assert_eq!(pace("2.5x").unwrap(), Pace::Times(2.5));
        for wrong in ["0x", "-1x", "x", "quick", "infx"] {
            assert!(pace(wrong).is_err(), "{wrong}");
        }
    }
}
