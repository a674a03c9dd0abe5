//! Sends the events of a feed to the shards of its instruments.
//!
//! Each instrument is in one shard. The router learns in which one from the instrument's definition, by the
//! venue's symbol, and sends every event to the shard of its instrument. An event without an instrument, such
//! as the status of the feed or of the whole market, goes to every shard. A shard also gets the definitions
//! of the instruments to which its own instruments refer (underlyings, legs), before theirs. Each shard keeps
//! the order of the source; there is no order between shards.

use crate::feed::PendingMessage;
use crate::instruments::{DENSE, InstrumentFields};
use std::collections::{BTreeMap, BTreeSet};
use stele_bus::{Publisher, Refusal};
use stele_wire::Nanos;
use stele_wire::codec::{View, text};
use stele_wire::messages::{InstrumentDefinition, SCHEMA_VERSION};

/// The place where a player puts messages: a publisher, or a router to the publishers of several shards.
pub trait Outlet: Send {
    /// The publisher's id in the messages, the same in every shard.
    fn id(&self) -> u16;

    /// Prepares one message for the next [`Outlet::commit`].
    ///
    /// # Errors
    /// [`OutletError`]. If it [is transient](OutletError::is_transient), offer the same message again before
    /// any other.
    fn stage(&mut self, message: PendingMessage<'_>, received: Nanos) -> Result<(), OutletError>;

    /// Submits everything staged.
    fn commit(&mut self);

    /// Ends: no message follows.
    fn finish(&mut self);
}

/// Why an outlet did not take a message.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OutletError {
    /// A sequencer refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its instrument is in no shard.
    #[error(
        "instrument {instrument}{symbol} is in no shard: name it in one, or give one shard instruments = \"rest\""
    )]
    NoShard {
        /// The instrument's number on the log.
        instrument: u32,
        /// The instrument's symbol in parentheses, if it is known.
        symbol: String,
    },
}

impl OutletError {
    /// Whether the same message may be taken later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_transient())
    }
}

impl Outlet for Publisher {
    fn id(&self) -> u16 {
        Self::id(self)
    }

    #[inline]
    fn stage(&mut self, message: PendingMessage<'_>, received: Nanos) -> Result<(), OutletError> {
        Ok(Self::stage(self, message.template_id, message.body, received)?)
    }

    #[inline]
    fn commit(&mut self) {
        Self::commit(self);
    }

    fn finish(&mut self) {
        Self::finish(self);
    }
}

/// The instruments of a shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ShardInstruments {
    /// These, by the venue's symbols.
    Symbols(Vec<String>),
    /// All that no other shard has.
    Rest,
}

/// Where a shard runs.
#[derive(Debug)]
pub enum ShardLocation {
    /// In this process; it gets events by this publisher.
    Local(Publisher),
    /// In another process, which reads the feed itself.
    Remote,
}

/// The shard of an instrument: the index of a publisher, or one of these.
type Home = u8;
const ELSEWHERE: Home = u8::MAX;
const UNKNOWN: Home = u8::MAX - 1;
const _: () = assert!(crate::bounds::SHARDS_MAX < UNKNOWN as usize);

/// Routes one feed to the shards of its instruments.
///
/// It is as fast as the slowest shard: while a shard has no room for the next message, all later ones wait. A
/// queue for each shard would only postpone that.
#[derive(Debug)]
pub struct Router {
    publishers: Vec<Publisher>,
    by_symbol: BTreeMap<String, Home>,
    rest: Home,
    fields: InstrumentFields,
    dense: Box<[Home]>,
    sparse: BTreeMap<u32, Home>,
    /// The newest definition of each instrument, and the shards that have it; empty if one shard has
    /// everything.
    definitions: BTreeMap<u32, Definition>,
    /// The publishers that have staged the current message, one bit each.
    staged: u32,
}

#[derive(Debug)]
struct Definition {
    body: Box<[u8]>,
    sent: u32,
}

impl Router {
    /// Creates a router to these shards. If there is one shard only, and it has all instruments, the router
    /// does not inspect the messages.
    ///
    /// # Panics
    /// If there is no publisher, or more than [`crate::bounds::SHARDS_MAX`], or if their ids differ.
    pub fn new(shards: impl IntoIterator<Item = (ShardInstruments, ShardLocation)>) -> Self {
        let (mut publishers, mut by_symbol, mut rest) = (Vec::new(), BTreeMap::new(), UNKNOWN);
        for (share, destination) in shards {
            let home = match destination {
                ShardLocation::Local(publisher) => {
                    publishers.push(publisher);
                    (publishers.len() - 1) as Home
                }
                ShardLocation::Remote => ELSEWHERE,
            };
            match share {
                ShardInstruments::Rest => rest = home,
                ShardInstruments::Symbols(symbols) => {
                    by_symbol.extend(symbols.into_iter().map(|symbol| (symbol, home)))
                }
            }
        }
        assert!(
            (1..=crate::bounds::SHARDS_MAX).contains(&publishers.len()),
            "{} publishers",
            publishers.len()
        );
        assert!(publishers.iter().all(|one| one.id() == publishers[0].id()), "one feed is one publisher");
        Self {
            publishers,
            by_symbol,
            rest,
            fields: InstrumentFields::default(),
            dense: vec![UNKNOWN; DENSE as usize].into(),
            sparse: BTreeMap::new(),
            definitions: BTreeMap::new(),
            staged: 0,
        }
    }

    fn takes_all(&self) -> bool {
        self.publishers.len() == 1 && self.by_symbol.is_empty() && self.rest == 0
    }

    #[inline]
    fn home(&self, instrument: u32) -> Home {
        let known = match self.dense.get(instrument as usize) {
            Some(home) => *home,
            None => self.sparse.get(&instrument).copied().unwrap_or(UNKNOWN),
        };
        // An instrument that was never defined has no symbol that a shard could name.
        if known == UNKNOWN { self.rest } else { known }
    }

    /// Stores a definition and sends it to the shard of its instrument.
    #[cold]
    fn define(&mut self, message: PendingMessage<'_>, received: Nanos) -> Result<(), OutletError> {
        let Some(definition) = definition(message.body) else {
            return self.stage_everywhere(message, received);
        };
        let instrument = definition.instrument.get();
        let symbol = text(&definition.venue_symbol);
        let home = self.by_symbol.get(symbol).copied().unwrap_or(self.rest);
        if home == UNKNOWN {
            return Err(OutletError::NoShard { instrument, symbol: format!(" ({symbol})") });
        }
        match self.dense.get_mut(instrument as usize) {
            Some(known) => *known = home,
            None => {
                self.sparse.insert(instrument, home);
            }
        }
        let known = self.definitions.get(&instrument);
        if known.is_none_or(|known| *known.body != *message.body) {
            self.definitions.insert(instrument, Definition { body: message.body.into(), sent: 0 });
        }
        if home == ELSEWHERE {
            return Ok(());
        }
        self.send_with_references(home, instrument, received)
    }

    /// Sends the definitions to which this one refers, unless the shard has them, then this one; the log
    /// repeats a definition if the source does.
    fn send_with_references(
        &mut self,
        home: Home,
        instrument: u32,
        received: Nanos,
    ) -> Result<(), OutletError> {
        for one in self.references_first(instrument) {
            let known = self.definitions.get_mut(&one).expect("it was found above");
            let bit = 1 << home;
            if one != instrument && known.sent & bit != 0 {
                continue;
            }
            let publisher = &mut self.publishers[usize::from(home)];
            publisher.stage(InstrumentDefinition::TEMPLATE_ID, &known.body, received)?;
            known.sent |= bit;
        }
        Ok(())
    }

    /// An instrument and those to which it refers, directly or not, each after those to which it refers
    /// itself.
    fn references_first(&self, instrument: u32) -> Vec<u32> {
        let (mut order, mut seen, mut open) = (Vec::new(), BTreeSet::new(), vec![(instrument, false)]);
        while let Some((next, is_expanded)) = open.pop() {
            if is_expanded {
                order.push(next);
                continue;
            }
            let Some(known) = self.definitions.get(&next).filter(|_| seen.insert(next)) else { continue };
            open.push((next, true));
            let Some(definition) = definition(&known.body) else { continue };
            open.push((definition.underlying_instrument.get(), false));
            open.extend(definition.legs().map(|leg| (leg.instrument.get(), false)));
        }
        order
    }

    #[cold]
    fn stage_everywhere(&mut self, message: PendingMessage<'_>, received: Nanos) -> Result<(), OutletError> {
        for (index, publisher) in self.publishers.iter_mut().enumerate() {
            if self.staged & 1 << index == 0 {
                publisher.stage(message.template_id, message.body, received)?;
                self.staged |= 1 << index;
            }
        }
        self.staged = 0;
        Ok(())
    }
}

impl Outlet for Router {
    fn id(&self) -> u16 {
        self.publishers[0].id()
    }

    #[inline]
    fn stage(&mut self, message: PendingMessage<'_>, received: Nanos) -> Result<(), OutletError> {
        let PendingMessage { template_id, body, .. } = message;
        if self.takes_all() {
            return Ok(self.publishers[0].stage(template_id, body, received)?);
        }
        if template_id == InstrumentDefinition::TEMPLATE_ID {
            return self.define(message, received);
        }
        let instrument = self.fields.of(template_id, body).unwrap_or(0);
        if instrument == 0 {
            return self.stage_everywhere(message, received);
        }
        match self.home(instrument) {
            ELSEWHERE => Ok(()),
            UNKNOWN => Err(OutletError::NoShard { instrument, symbol: String::new() }),
            home => Ok(self.publishers[usize::from(home)].stage(template_id, body, received)?),
        }
    }

    #[inline]
    fn commit(&mut self) {
        self.publishers.iter_mut().for_each(|publisher| {
            publisher.commit();
        });
    }

    fn finish(&mut self) {
        self.publishers.iter_mut().for_each(Publisher::finish);
    }
}

/// Reads a definition as a feed encodes it: in the newest version, with its whole block.
fn definition(body: &[u8]) -> Option<View<'_, InstrumentDefinition>> {
    View::read(InstrumentDefinition::BLOCK_LENGTH, SCHEMA_VERSION, body)
}
