//! A seeded order flow, for the demonstration, for load tests, and for users without market data.
//!
//! The actions of each instrument arrive by a self-exciting process. An action is a limit order, a modify, a
//! cancel, or a market order with its executions and trades. What it does depends on the book that the
//! earlier actions made, so every order that is cancelled, modified or executed is in the book. The same
//! [`GeneratorConfig`] gives the same flow on every machine.
//!
//! The statistics that the flow aims at. A test checks each row, for 2 million messages of 8 instruments at
//! 100,000 messages a second:
//!
//! | statistic | aim | source |
//! |---|---|---|
//! | branching ratio of the arrivals | 0.7 | V. Filimonov, D. Sornette, "Quantifying reflexivity in financial markets", Phys. Rev. E 85, 2012: 0.6 to 0.8 since 2007 |
//! | messages a second | as configured, ±5 % | |
//! | adds, cancels, executions of all book messages | 0.44 to 0.50, 0.40 to 0.46, 0.05 to 0.09 | most limit orders are cancelled: J. Hasbrouck, G. Saar, "Technology and liquidity provision", J. Financial Markets 12, 2009 |
//! | spread in ticks, mean | 1.1 to 1.5 | a large-tick stock: Z. Eisler, J.-P. Bouchaud, J. Kockelkoren, "The price impact of order book events", Quantitative Finance 12, 2012 |
//! | levels of each side | 10 or more at every moment | |
//! | distance of limit orders from the best price | power law of exponent 1.6 | J.-P. Bouchaud, M. Mézard, M. Potters, "Statistical properties of stock order books", Quantitative Finance 2, 2002, equation 1 |
//! | sizes in lots | power law, cumulative exponent 1.7 | P. Gopikrishnan et al., "Statistical properties of share volume traded in financial markets", Phys. Rev. E 62, 2000 |
//! | market order's side after a buy | buys in 0.55 to 0.8 | F. Lillo, J. D. Farmer, "The long memory of the efficient market", Studies in Nonlinear Dynamics & Econometrics 8, 2004 |
//! | next change of the middle follows the imbalance of the touch | 0.55 to 0.9 | M. Gould, J. Bonart, "Queue imbalance as a one-tick-ahead price predictor in a limit order book", Market Microstructure and Liquidity 2, 2016 |
//! | change of the middle over 1,000 messages of one instrument, standard deviation | 1.5 to 3 ticks | |
//!
//! Otherwise the price moves freely. A pull towards its beginning, of one part in eight when the price has
//! doubled, keeps it positive over any number of messages.

mod book;
mod flow;
mod hawkes;
mod random;
mod tables;
mod tuning;

pub use flow::{ACTION_MESSAGES_MAX, Flow, FlowKind, FlowRecord};

use crate::counts::Counts;
use crate::instruments::symbol_field;
use stele_feed::{Batch, Feed, FeedError, FeedReport, FeedStep, SourceDescription};
use stele_wire::messages::*;
use stele_wire::units::Nanos;

/// The configuration of the generator.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GeneratorConfig {
    /// The seed of all random numbers.
    pub seed: u64,
    /// The number of instruments, 1 to [`INSTRUMENTS_MAX`].
    pub instruments: u16,
    /// Messages a second of the flow's own time, of all instruments together; above 0 and at most 1e9.
    pub events_per_second: f64,
    /// The time of the flow's first message.
    pub start: Nanos,
    /// The number of messages; without end if `None`.
    pub events: Option<u64>,
    /// The duration in the flow's own time; without end if `None`.
    pub duration: Option<Nanos>,
    /// The source's number on the log.
    pub source: u16,
}

/// The greatest number of instruments of a generator.
pub const INSTRUMENTS_MAX: u16 = 1_000;

impl Default for GeneratorConfig {
    /// 8 instruments at 100,000 messages a second from 2026-01-05 14:30 UTC, without end.
    fn default() -> Self {
        Self {
            seed: 1,
            instruments: 8,
            events_per_second: 100_000.0,
            start: Nanos(1_767_623_400_000_000_000),
            events: None,
            duration: None,
            source: 1,
        }
    }
}

/// What is wrong with a [`GeneratorConfig`].
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
pub enum GeneratorConfigError {
    /// There are no instruments, or too many.
    #[error("{0} instruments: give 1 to {INSTRUMENTS_MAX}")]
    Instruments(u16),
    /// The rate is not above 0, or too high.
    #[error("{0} events a second: give a number above 0 and up to 1e9")]
    Rate(f64),
}

impl GeneratorConfig {
    /// Checks the configuration.
    ///
    /// # Errors
    /// [`GeneratorConfigError`].
    pub fn check(&self) -> Result<(), GeneratorConfigError> {
        if !(1..=INSTRUMENTS_MAX).contains(&self.instruments) {
            return Err(GeneratorConfigError::Instruments(self.instruments));
        }
        if !(self.events_per_second > 0.0 && self.events_per_second <= 1e9) {
            return Err(GeneratorConfigError::Rate(self.events_per_second));
        }
        Ok(())
    }
}

/// Returns the symbol of the instrument with this index.
pub fn symbol(instrument: u16) -> String {
    format!("GEN{:03}", instrument + 1)
}

/// The flow as a feed. Instrument `i` of the flow, counted from 0, is instrument `i + 1` on the log.
///
/// ```
/// use stele_connect::generator::{Generator, GeneratorConfig};
/// use stele_feed::{Batch, Feed};
///
/// let config = GeneratorConfig { seed: 7, events: Some(500), ..GeneratorConfig::default() };
/// let mut generator = Generator::new(config)?;
/// let mut batch = Batch::new();
/// generator.fill(&mut batch)?;
///
/// // The same seed gives the same events.
/// let (mut again, mut same) = (Generator::new(config)?, Batch::new());
/// again.fill(&mut same)?;
/// assert!(!batch.is_empty() && batch.iter().eq(same.iter()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Generator {
    config: GeneratorConfig,
    flow: Flow,
    defined: u16,
    counts: Counts,
}

impl Generator {
    /// Creates a generator.
    ///
    /// # Errors
    /// [`GeneratorConfigError`].
    pub fn new(config: GeneratorConfig) -> Result<Self, GeneratorConfigError> {
        config.check()?;
        Ok(Self { config, flow: Flow::new(&config), defined: 0, counts: Counts::default() })
    }

    fn define(&mut self, batch: &mut Batch) {
        let definition = InstrumentDefinition {
            venue_time: self.config.start.0.into(),
            instrument: (u32::from(self.defined) + 1).into(),
            source: self.config.source.into(),
            action: UpdateAction::ADD,
            instrument_class: InstrumentClass::EQUITY,
            venue_instrument_id: (u64::from(self.defined) + 1).into(),
            price_notation: PriceNotation::MONETARY,
            quantity_notation: QuantityNotation::UNITS,
            price_exponent: -2,
            quantity_exponent: 0,
            option_kind: OptionKind::NONE,
            exercise_style: ExerciseStyle::NONE,
            currency: *b"USD",
            tick: tuning::TICK.into(),
            lot_size: tuning::LOT.into(),
            venue_symbol: symbol_field(&symbol(self.defined)),
            ..InstrumentDefinition::NULL
        };
        self.defined += 1;
        let written = self.counts.push_with::<InstrumentDefinition>(batch, self.config.start, |buffer| {
            definition.encode(buffer, [])
        });
        written.expect("a definition without legs fits");
    }
}

impl Feed for Generator {
    fn describe(&self) -> SourceDescription {
        let GeneratorConfig { seed, instruments, events_per_second, source, .. } = self.config;
        SourceDescription {
            source,
            kind: SourceKind::GENERATOR,
            vendor_publisher: 0,
            channel: u16::MAX,
            mic: [0; 4],
            dataset: "generator".into(),
            name: format!("generator:{seed}"),
            description: format!(
                "seeded order flow: seed {seed}, {instruments} instruments, {events_per_second} messages a second"
            ),
        }
    }

    fn fill(&mut self, batch: &mut Batch) -> Result<FeedStep, FeedError> {
        while batch.has_room() {
            if self.defined < self.config.instruments {
                self.define(batch);
                continue;
            }
            let records = self.flow.next_action();
            if records.is_empty() {
                return Ok(FeedStep::End);
            }
            for record in records {
                put(record, self.config.source, &mut self.counts, batch);
            }
        }
        Ok(FeedStep::More)
    }

    fn records(&self) -> u64 {
        self.counts.total()
    }

    fn report(&self) -> FeedReport {
        self.counts.report(record_kind, |_| "")
    }
}

/// The name of a kind of record, as counted.
fn record_kind(kind: u8) -> String {
    ["add", "modify", "cancel", "execute", "trade"].get(usize::from(kind)).map_or("", |name| name).into()
}

#[inline]
fn put(record: &FlowRecord, source: u16, counts: &mut Counts, batch: &mut Batch) {
    let due = Nanos(record.time);
    let side = if record.is_bid { Side::BUY } else { Side::SELL };
    let mut flags = MarketFlags::EMPTY;
    if record.is_last {
        flags |= MarketFlags::LAST;
    }
    if record.is_snapshot {
        flags |= MarketFlags::SNAPSHOT;
    }
    macro_rules! message {
        ($kind:expr, $name:ident { $($field:ident: $value:expr),* $(,)? }) => {{
            counts.record($kind);
            counts.push(batch, due, &$name {
                venue_time: record.time.into(),
                instrument: (u32::from(record.instrument) + 1).into(),
                venue_sequence: (record.sequence as u32).into(),
                source: source.into(),
                flags,
                side,
                order_id: record.order_id.into(),
                price: record.price.into(),
                quantity: record.quantity.into(),
                $($field: $value,)*
                ..$name::NULL
            })
        }};
    }
    match record.kind {
        FlowKind::Add => message!(0, BookAdd {}),
        FlowKind::Modify => message!(1, BookModify {}),
        FlowKind::Cancel { .. } => message!(2, BookCancel {}),
        FlowKind::Execute { .. } => message!(
            3,
            BookExecute {
                trade_id: record.trade_id.into(),
                attributes: ExecuteAttributes::NON_PRINTABLE,
                book_effect: Boolean::TRUE,
            }
        ),
        FlowKind::Trade => message!(
            4,
            Trade { trade_id: record.trade_id.into(), attributes: TradeAttributes::EMPTY, depth: 0 }
        ),
    }
}

#[cfg(test)]
mod tests;
