//! Opens the feed that a configuration names, and parses its pace and its date.

use crate::config::Config;
use crate::failure::Failure;
use crate::numbering::sources;
use stele_connect::instruments::InstrumentIds;
use stele_connect::spec::{FeedOptions, FeedSpec, OpenError};
use stele_feed::{Feed, Pace};
use stele_replay::{Definitions, TrailFeed};

/// Parses the feed that the configuration names.
pub(crate) fn spec(config: &Config) -> Result<FeedSpec, Failure> {
    FeedSpec::parse(&config.feed.spec).map_err(Failure::usage)
}

/// Opens the feed. An instrument that a continued trail has keeps its number: `known` has what those trails
/// define.
pub(crate) fn open<'a>(
    spec: &FeedSpec,
    config: &Config,
    known: impl Iterator<Item = &'a Definitions>,
) -> Result<Box<dyn Feed>, Failure> {
    if let FeedSpec::Trail(path) = spec {
        let feed = TrailFeed::open(path, sources::FEED);
        let feed = feed.map_err(|error| Failure::environment(error).help("name a trail's directory"))?;
        return Ok(Box::new(feed));
    }
    let options = FeedOptions {
        source: sources::FEED,
        ids: instrument_ids(known),
        date: if spec.needs_date() { config.feed.date.as_deref().map(parse_date).transpose()? } else { None },
        events_per_second: config.feed.events_per_second as f64,
        ..FeedOptions::default()
    };
    spec.open(options).map_err(|error| match error {
        OpenError::Generator(error) => Failure::usage(error),
        error => Failure::environment(error),
    })
}

/// Parses a pace: `fast`, `real-time`, or a multiple of real time such as `10x`.
pub(crate) fn pace(text: &str) -> Result<Pace, Failure> {
    let times = || {
        let factor: f64 = text.strip_suffix('x')?.parse().ok()?;
        (factor.is_finite() && factor > 0.0).then_some(Pace::Times(factor))
    };
    match text {
        "fast" => Ok(Pace::Fast),
        "real-time" => Ok(Pace::RealTime),
        _ => times().ok_or_else(|| {
            Failure::usage(format!("`{text}` is not a pace"))
                .help("write fast, real-time, or a multiple such as 10x")
        }),
    }
}

fn parse_date(text: &str) -> Result<jiff::civil::Date, Failure> {
    text.parse().map_err(|error| {
        Failure::usage(format!("`{text}` is not a date: {error}")).help("write it as YYYY-MM-DD")
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
