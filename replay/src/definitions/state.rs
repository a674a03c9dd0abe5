//! Snapshots of the definitions of a trail.

use super::{DefinedInstrument, DefinedSource, Definitions, OriginProgress};
use stele_strategies::{RestoreError, SnapshotReader, SnapshotWrite};
use stele_wire::messages::SourceKind;

impl Definitions {
    /// The version of the layout that [`Definitions::snapshot`] writes.
    pub const STATE_VERSION: u32 = 2;

    /// Appends the whole state to `out`.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.instruments.len() as u64);
        for (id, known) in &self.instruments {
            [(*id).into(), known.source.into(), known.venue_instrument_id]
                .into_iter()
                .for_each(|value| out.put_u64(value));
            out.put_bytes(known.symbol.as_bytes());
        }
        out.put_u64(self.sources.len() as u64);
        for (id, known) in &self.sources {
            [(*id).into(), known.publisher.into(), known.kind.0.into()]
                .into_iter()
                .for_each(|value| out.put_u64(value));
            out.put_bytes(known.name.as_bytes());
        }
        out.put_u64(self.schemas.hashes.len() as u64);
        self.schemas.hashes.iter().for_each(|hash| out.put_bytes(hash));
        out.put_u64(self.schemas.partial.is_some().into());
        if let Some((hash, next)) = &self.schemas.partial {
            out.put_bytes(hash);
            out.put_u64((*next).into());
        }
        out.put_u64(self.numbers.last.len() as u64);
        for (publisher, last) in &self.numbers.last {
            out.put_u64((*publisher).into());
            out.put_u64(*last);
        }
        out.put_u64(self.numbers.announced.unwrap_or(0).into());
        out.put_u64(self.configured.len() as u64);
        for (check, limit) in &self.configured {
            out.put_u64((*check).into());
            out.put_i64(*limit);
        }
        out.put_u64(self.origins.len() as u64);
        for (shard, origin) in &self.origins {
            [(*shard).into(), origin.last_sequence, origin.instruments.len() as u64]
                .into_iter()
                .for_each(|value| out.put_u64(value));
            for (instrument, symbol) in &origin.instruments {
                out.put_u64((*instrument).into());
                out.put_bytes(symbol.as_bytes());
            }
        }
    }

    /// Restores the state that [`Definitions::snapshot`] wrote.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes are not such a snapshot.
    pub fn restore(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut known = Self::default();
        for _ in 0..reader.count("instruments")? {
            let id = reader.at_most("instrument", u32::MAX.into())? as u32;
            let source = reader.at_most("source", u16::MAX.into())? as u16;
            let venue_instrument_id = reader.u64()?;
            let symbol = string(reader)?;
            known.instruments.insert(id, DefinedInstrument { source, venue_instrument_id, symbol });
        }
        for _ in 0..reader.count("sources")? {
            let id = reader.at_most("source", u16::MAX.into())? as u16;
            let publisher = reader.at_most("publisher", u16::MAX.into())? as u16;
            let kind = SourceKind(reader.at_most("kind of source", u8::MAX.into())? as u8);
            known.sources.insert(id, DefinedSource { publisher, kind, name: string(reader)? });
        }
        for _ in 0..reader.count("schemas")? {
            known.schemas.hashes.insert(hash(reader)?);
        }
        if reader.at_most("truth value", 1)? == 1 {
            let (hash, part) = (hash(reader)?, reader.at_most("part", u16::MAX.into())? as u16);
            known.schemas.partial = Some((hash, part));
        }
        for _ in 0..reader.count("publishers")? {
            let publisher = reader.at_most("publisher", u16::MAX.into())? as u16;
            known.numbers.last.insert(publisher, reader.u64()?);
        }
        let announced = reader.at_most("publisher", u16::MAX.into())? as u16;
        known.numbers.announced = Some(announced).filter(|publisher| *publisher != 0);
        for _ in 0..reader.count("limits")? {
            let check = reader.at_most("check", u8::MAX.into())? as u8;
            known.configured.insert(check, reader.i64()?);
        }
        for _ in 0..reader.count("other shards")? {
            let shard = reader.at_most("shard", u32::MAX.into())? as u32;
            let mut origin = OriginProgress { last_sequence: reader.u64()?, ..OriginProgress::default() };
            for _ in 0..reader.count("instruments of another shard")? {
                let instrument = reader.at_most("instrument", u32::MAX.into())? as u32;
                origin.instruments.insert(instrument, string(reader)?);
            }
            known.origins.insert(shard, origin);
        }
        Ok(known)
    }
}

fn string(reader: &mut SnapshotReader<'_>) -> Result<String, RestoreError> {
    let bytes = reader.bytes()?;
    let wrong = RestoreError::Value { what: "length of an invalid text", found: bytes.len() as u64 };
    str::from_utf8(bytes).map(str::to_owned).map_err(|_| wrong)
}

fn hash(reader: &mut SnapshotReader<'_>) -> Result<[u8; 32], RestoreError> {
    let bytes = reader.bytes()?;
    bytes.try_into().map_err(|_| RestoreError::Value { what: "length of a hash", found: bytes.len() as u64 })
}
