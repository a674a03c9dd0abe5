//! The numbers that instruments and sources of other shards have in this shard.

use crate::book::IdIndex;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use std::mem::offset_of;
use stele_bus::{MessageClass, template};
use stele_wire::ShardId;
use stele_wire::bounds::{BODY_LENGTH_MAX, FRAME_LENGTH_MAX, FRAME_VERSION, HEADER_LENGTH};
use stele_wire::codec::View;
use stele_wire::frame::{FrameHeader, frame_length};
use stele_wire::messages::{BookAdd, FeedStatus, Forwarded, InstrumentDefinition};
use zerocopy::IntoBytes;

/// The lowest number of an instrument of another shard.
pub const FORWARDED_INSTRUMENT_MIN: u32 = 1 << 31;
/// The lowest number of a source of another shard.
pub const FORWARDED_SOURCE_MIN: u16 = 62_000;

/// The shard that an instrument was forwarded from, and its number there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InstrumentOrigin {
    /// The shard.
    pub shard: ShardId,
    /// The instrument's number in that shard.
    pub instrument: u32,
}

/// Assigns and looks up the numbers of other shards' instruments and sources.
#[derive(Clone, Debug)]
pub(super) struct OtherShards {
    instruments: Vec<InstrumentOrigin>,
    pub(super) index: IdIndex,
    sources: Vec<(ShardId, u16)>,
    /// Buffer for one unwrapped event.
    pub(super) frame: Box<[u64]>,
}

impl Default for OtherShards {
    fn default() -> Self {
        Self {
            instruments: Vec::new(),
            index: IdIndex::with_capacity(1),
            sources: Vec::new(),
            frame: vec![0; FRAME_LENGTH_MAX / 8].into(),
        }
    }
}

pub(super) fn key(origin: InstrumentOrigin) -> u64 {
    u64::from(origin.shard.0) << 32 | u64::from(origin.instrument)
}

impl OtherShards {
    /// The instrument's number in this shard, assigned at its first mention; 0 remains the whole market.
    fn instrument(&mut self, origin: InstrumentOrigin) -> u32 {
        if origin.instrument == 0 {
            return 0;
        }
        let slot = self.index.get(key(origin)).unwrap_or_else(|| {
            let slot = self.instruments.len() as u32;
            self.index.insert(key(origin), slot);
            self.instruments.push(origin);
            slot
        });
        FORWARDED_INSTRUMENT_MIN + slot
    }

    fn source(&mut self, shard: ShardId, source: u16) -> u16 {
        let known = self.sources.iter().position(|known| *known == (shard, source));
        let slot = known.unwrap_or_else(|| {
            self.sources.push((shard, source));
            self.sources.len() - 1
        });
        FORWARDED_SOURCE_MIN.saturating_add(slot as u16)
    }

    pub(super) fn origin(&self, instrument: u32) -> Option<InstrumentOrigin> {
        let slot = instrument.checked_sub(FORWARDED_INSTRUMENT_MIN)?;
        self.instruments.get(slot as usize).copied()
    }

    /// Whether a source and an instrument belong to the same shard.
    pub(super) fn are_of_one_shard(&self, source: u16, instrument: u32) -> bool {
        let slot = source.checked_sub(FORWARDED_SOURCE_MIN).map(usize::from);
        let of_source = slot.and_then(|slot| self.sources.get(slot)).map(|(shard, _)| *shard);
        of_source == self.origin(instrument).map(|origin| origin.shard)
    }

    /// Writes the event that `forwarded` carries into the buffer as a frame with this shard's numbers, and
    /// returns its length. Returns `None` for an event that is not about the market.
    pub(super) fn unwrap(&mut self, forwarded: &View<'_, Forwarded>) -> Option<usize> {
        let template_id = forwarded.template_id.get();
        let known = template(template_id)?;
        let body = forwarded.body();
        let is_market = known.stamped && known.class == MessageClass::MarketData;
        let (instrument_at, source_at) = match template_id {
            InstrumentDefinition::TEMPLATE_ID => {
                (Some(offset_of!(InstrumentDefinition, instrument)), offset_of!(InstrumentDefinition, source))
            }
            FeedStatus::TEMPLATE_ID => (None, offset_of!(FeedStatus, source)),
            _ if is_market => (Some(offset_of!(BookAdd, instrument)), offset_of!(BookAdd, source)),
            _ => return None,
        };
        let shard = ShardId(forwarded.origin_shard.get());
        let length = frame_length(body.len());
        if body.len() > BODY_LENGTH_MAX || length > FRAME_LENGTH_MAX {
            return None;
        }
        let source = u16::from_le_bytes(*body.get(source_at..)?.first_chunk()?);
        let source = self.source(shard, source);
        let instrument = match instrument_at {
            None => None,
            Some(at) => {
                let instrument = u32::from_le_bytes(*body.get(at..)?.first_chunk()?);
                Some((at, self.instrument(InstrumentOrigin { shard, instrument })))
            }
        };
        let header = FrameHeader {
            crc: 0.into(),
            length: (length as u16).into(),
            flags: 0,
            version: FRAME_VERSION,
            sequence: forwarded.origin_sequence,
            timestamp: forwarded.origin_timestamp,
            block_length: forwarded.block_length,
            template_id: forwarded.template_id,
            schema_id: forwarded.schema_id,
            schema_version: forwarded.schema_version,
        };
        let frame = &mut self.frame.as_mut_bytes()[..length];
        frame[..HEADER_LENGTH].copy_from_slice(header.as_bytes());
        frame[HEADER_LENGTH..][..body.len()].copy_from_slice(body);
        frame[HEADER_LENGTH + body.len()..].fill(0);
        let place = &mut frame[HEADER_LENGTH..];
        place[source_at..source_at + 2].copy_from_slice(&source.to_le_bytes());
        if let Some((at, instrument)) = instrument {
            place[at..at + 4].copy_from_slice(&instrument.to_le_bytes());
        }
        Some(length)
    }
}

impl OtherShards {
    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64(self.instruments.len() as u64);
        self.instruments.iter().for_each(|origin| out.put_u64(key(*origin)));
        out.put_u64(self.sources.len() as u64);
        for (shard, source) in &self.sources {
            out.put_u64(u64::from(shard.0) << 16 | u64::from(*source));
        }
    }

    pub(super) fn restore(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut foreign = Self::default();
        for _ in 0..reader.count("instruments of other shards")? {
            let key = reader.u64()?;
            foreign
                .instrument(InstrumentOrigin { shard: ShardId((key >> 32) as u32), instrument: key as u32 });
        }
        for _ in 0..reader.count("sources of other shards")? {
            let key = reader.at_most("source of another shard", (1 << 48) - 1)?;
            foreign.source(ShardId((key >> 16) as u32), key as u16);
        }
        Ok(foreign)
    }
}
