//! Snapshots of the comparison, without its host, which writes its own.

use super::{Regeneration, Tally};
use crate::submission::StrategySubmission;
use std::collections::VecDeque;
use stele_strategies::registry::Registry;
use stele_strategies::{Host, RestoreError, SnapshotReader, SnapshotWrite};

impl Regeneration {
    /// The version of the layout that [`Regeneration::snapshot`] writes.
    pub const STATE_VERSION: u32 = 4;

    /// Returns the host in its present state.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Appends the whole state except the host's: unmatched submissions and the tallies.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        let Self { events, last_sequence, last_timestamp, alive_at, .. } = *self;
        [self.epoch.into(), self.has_ended.into(), events, last_sequence, last_timestamp, alive_at]
            .into_iter()
            .for_each(|value| out.put_u64(value));
        out.put_u64(self.waiting.len() as u64);
        for (strategy, waiting) in &self.waiting {
            out.put_u64((*strategy).into());
            out.put_u64(waiting.len() as u64);
            for StrategySubmission { strategy, template_id, cause, body, epoch } in waiting {
                [(*strategy).into(), (*template_id).into(), *cause, (*epoch).into()]
                    .into_iter()
                    .for_each(|value| out.put_u64(value));
                out.put_bytes(body);
            }
        }
        out.put_u64(self.tallies.len() as u64);
        for (strategy, (name, tally)) in &self.tallies {
            let Tally { orders, timers, alerts, refused, in_flight } = *tally;
            out.put_u64((*strategy).into());
            out.put_bytes(name.as_bytes());
            [orders, timers, alerts, refused, in_flight].into_iter().for_each(|value| out.put_u64(value));
        }
        out.put_u64(self.resumed.len() as u64);
        for (strategy, since) in &self.resumed {
            out.put_u64((*strategy).into());
            out.put_u64(*since);
        }
        out.put_u64(self.ahead.len() as u64);
        for (publisher, ahead) in &self.ahead {
            out.put_u64((*publisher).into());
            out.put_i64(*ahead);
        }
    }

    /// Restores the state that [`Regeneration::snapshot`] wrote, with a host that was restored before.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes are not such a snapshot.
    pub fn restore(
        registry: Registry,
        host: Host,
        reader: &mut SnapshotReader<'_>,
    ) -> Result<Self, RestoreError> {
        let mut engine = Self {
            host,
            epoch: reader.at_most("epoch", u32::MAX.into())? as u32,
            has_ended: reader.at_most("truth value", 1)? == 1,
            events: reader.u64()?,
            last_sequence: reader.u64()?,
            last_timestamp: reader.u64()?,
            alive_at: reader.u64()?,
            ..Self::new(registry)
        };
        for _ in 0..reader.count("strategies")? {
            let strategy = number(reader)?;
            let count = reader.count("submissions")?;
            let waiting: Result<VecDeque<_>, _> = (0..count).map(|_| submission(reader)).collect();
            engine.waiting.insert(strategy, waiting?);
        }
        for _ in 0..reader.count("strategies")? {
            let strategy = number(reader)?;
            let name = String::from_utf8_lossy(reader.bytes()?).into_owned();
            let [orders, timers, alerts, refused, in_flight] =
                [reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?];
            engine.tallies.insert(strategy, (name, Tally { orders, timers, alerts, refused, in_flight }));
        }
        for _ in 0..reader.count("strategies")? {
            let strategy = number(reader)?;
            engine.resumed.insert(strategy, reader.u64()?);
        }
        for _ in 0..reader.count("publishers")? {
            let publisher = number(reader)?;
            engine.ahead.insert(publisher, reader.i64()?);
        }
        Ok(engine)
    }
}

fn number(reader: &mut SnapshotReader<'_>) -> Result<u16, RestoreError> {
    reader.at_most("strategy", u16::MAX.into()).map(|strategy| strategy as u16)
}

fn submission(reader: &mut SnapshotReader<'_>) -> Result<StrategySubmission, RestoreError> {
    Ok(StrategySubmission {
        strategy: number(reader)?,
        template_id: reader.at_most("template", u16::MAX.into())? as u16,
        cause: reader.u64()?,
        epoch: reader.at_most("epoch", u32::MAX.into())? as u32,
        body: reader.bytes()?.to_vec(),
    })
}
