//! Writes the market into a snapshot and reads it back.

use super::numbering::OtherShards;
use super::{Market, TradePrint};
use crate::account::ContractScale;
use crate::book::{Book, BookSide};
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use stele_wire::{Nanos, Price, Quantity};

impl Market {
    /// Appends the whole state.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        self.foreign.snapshot(out);
        out.put_u64(self.sources.len() as u64);
        for (source, sets_last) in &self.sources {
            out.put_u64((*source).into());
            out.put_u64((*sets_last).into());
        }
        out.put_u64(self.instruments.iter().count() as u64);
        for (id, known) in self.instruments.iter() {
            out.put_u64(id.into());
            out.put_bytes(&known.symbol);
            [known.tick.0, known.scale.multiplier, known.scale.quantity_exponent.into()]
                .into_iter()
                .for_each(|value| out.put_i64(value));
            out.put_u64(known.is_touched.into());
            known.book.snapshot(out);
            out.put_u64(known.last_trade.is_some().into());
            if let Some(trade) = &known.last_trade {
                out.put_i64(trade.price.0);
                let resting = trade.resting.map_or(2, |side| side as u64);
                let venue_time = trade.venue_time.map_or(u64::MAX, |time| time.0);
                [trade.quantity.0, resting, trade.trade_id, venue_time]
                    .into_iter()
                    .for_each(|v| out.put_u64(v));
            }
        }
    }

    /// Reads the market that [`Market::snapshot`] wrote.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes were not written by [`Market::snapshot`].
    pub fn restore(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut market = Self { foreign: OtherShards::restore(reader)?, ..Self::default() };
        for _ in 0..reader.count("sources")? {
            let source = reader.at_most("source", u16::MAX.into())? as u16;
            market.sources.push((source, reader.at_most("truth value", 1)? == 1));
        }
        for _ in 0..reader.count("instruments")? {
            let id = reader.id("instrument")?;
            let known = market.known(id).ok_or(RestoreError::Value { what: "instrument", found: 0 })?;
            let symbol = reader.bytes()?;
            let wrong_length = RestoreError::Value { what: "length of a symbol", found: symbol.len() as u64 };
            known.symbol = symbol.try_into().map_err(|_| wrong_length)?;
            known.tick = Price(reader.i64()?);
            known.scale = ContractScale { multiplier: reader.i64()?, quantity_exponent: reader.i64()? as i8 };
            known.is_touched = reader.at_most("truth value", 1)? == 1;
            known.book = std::mem::replace(&mut known.book, Book::small()).restore(reader)?;
            if reader.at_most("truth value", 1)? == 1 {
                known.last_trade = Some(TradePrint {
                    instrument: id,
                    price: Price(reader.i64()?),
                    quantity: Quantity(reader.u64()?),
                    resting: [Some(BookSide::Bid), Some(BookSide::Ask), None]
                        [reader.at_most("side", 2)? as usize],
                    trade_id: reader.u64()?,
                    venue_time: Some(Nanos(reader.u64()?)).filter(|time| time.0 != u64::MAX),
                });
            }
        }
        Ok(market)
    }
}
