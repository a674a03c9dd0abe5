//! A strategy on a bus on one thread: a feed of messages of any schema, and alerts on the log.
//!
//! ```text
//! feed ──> sequencer ──> ring ──> strategy ──> alerts ──> sequencer
//!                          └────> journal ──> trail
//! ```
//! A program that must be fast uses threads ([`Bus::start`]), as `stele run` does; the parts and the trail
//! are the same.

use std::path::Path;
use stele_bus::session::{SchemaDocument, StrategyStart};
use stele_bus::{Grants, Publisher, UtcClock};
use stele_embed::{Bus, BusOptions};
use stele_strategies::{AgentOptions, Host, Registry, StrategyAgent};
use stele_wire::codec::{Message, text_field};
use stele_wire::messages::{AccountDefinition, CodeDefinition, CodeDomain, GrantGroups};

pub(crate) type Error = Box<dyn std::error::Error>;

/// Every decision needs an account, although nothing is traded.
const ACCOUNT: u32 = 1;

/// A session on a new trail.
pub(crate) struct Session {
    bus: Bus,
    feed: Publisher,
}

/// The strategy to run: its registered name, its registry, and the codes of the patterns in its alerts.
pub(crate) struct Rules<'a> {
    pub(crate) name: &'a str,
    pub(crate) registry: Registry,
    pub(crate) patterns: &'a [(u16, &'a str)],
}

impl Session {
    /// Begins a trail in the new folder `directory`, with `schema` for the messages of the feed, and starts
    /// the strategy.
    pub(crate) fn begin(
        directory: &Path,
        schema: SchemaDocument<'static>,
        rules: Rules<'_>,
    ) -> Result<Self, Error> {
        let options = BusOptions { schemas: vec![schema], ..BusOptions::default() };
        let mut bus = Bus::open(directory, options)?;
        let (feed, alerts) = (
            bus.publisher("feed", Grants::market())?,
            bus.publisher("strategies", GrantGroups::STRATEGY_OWN)?,
        );
        let (order_publisher, consumer) = (alerts.id(), bus.gating_consumer("strategies")?);
        let host = Host::for_publisher(rules.registry, order_publisher);
        bus.add_agent(StrategyAgent::new(AgentOptions::default(), host, consumer, alerts, UtcClock::new()));
        let mut control = bus.control();
        for (code, text) in rules.patterns {
            let definition = CodeDefinition {
                code: (*code).into(),
                domain: CodeDomain::PATTERN,
                text: text_field(text).ok_or("a pattern's text is too long")?,
                ..CodeDefinition::NULL
            };
            control.publish(&definition, |_| Ok(()))?;
        }
        let account = AccountDefinition { account: ACCOUNT.into(), ..AccountDefinition::NULL };
        control.publish(&account, |_| Ok(()))?;
        control.start_strategy(&StrategyStart {
            id: 1,
            order_publisher,
            account: ACCOUNT,
            name: rules.name,
            version: env!("CARGO_PKG_VERSION"),
            seed: 0,
            parameters: "",
            is_resumed: false,
        })?;
        drop(control);
        Ok(Self { bus, feed })
    }

    /// Publishes a message of any schema; waits while there is no room.
    pub(crate) fn publish<M: Message>(&mut self, message: &M) -> Result<(), Error> {
        self.bus.publish(&mut self.feed, message)?;
        Ok(())
    }

    /// Ends the session in order: everything is on the trail and durable.
    pub(crate) fn end(self) -> Result<(), Error> {
        Ok(self.bus.stop()?)
    }
}
