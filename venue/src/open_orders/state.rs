//! Snapshots of the open orders of a trail.

use super::{LastIds, OpenOrder, OpenOrders, OpenState};
use crate::releases::Releases;
use stele_strategies::{RestoreError, SnapshotReader, SnapshotWrite};
use stele_wire::messages::Side;

impl OpenOrders {
    /// The version of the layout that [`OpenOrders::snapshot`] writes.
    pub const STATE_VERSION: u32 = 2;

    /// Appends the whole state to `out`.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        [self.numbers.order, self.numbers.execution].into_iter().for_each(|value| out.put_u64(value));
        self.releases.snapshot(out);
        out.put_u64(self.orders.len() as u64);
        for order in self.orders.values() {
            let OpenOrder { sequence, strategy, account, instrument, side, client_order_id, .. } = *order;
            let OpenOrder { venue_order_id, replaced_order_id, limit, quantity, .. } = *order;
            let OpenOrder { cumulative, leaves, state, cancel, departure, .. } = *order;
            debug_assert!(departure.is_none(), "this is known only at the end");
            [sequence, strategy.into(), account.into(), instrument.into(), side.0.into(), client_order_id]
                .into_iter()
                .for_each(|value| out.put_u64(value));
            [venue_order_id, replaced_order_id].into_iter().for_each(|value| out.put_u64(value));
            out.put_i64(limit);
            [quantity, cumulative, leaves, (state == OpenState::Working).into(), cancel.is_some().into()]
                .into_iter()
                .for_each(|value| out.put_u64(value));
            if let Some((sequence, id)) = cancel {
                out.put_u64(sequence);
                out.put_u64(id);
            }
        }
    }

    /// Restores the state that [`OpenOrders::snapshot`] wrote.
    ///
    /// # Errors
    /// [`RestoreError`] when the bytes are not such a snapshot.
    pub fn restore(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let numbers = LastIds { order: reader.u64()?, execution: reader.u64()? };
        let mut open = Self { numbers, releases: Releases::restore(reader)?, ..Self::default() };
        for _ in 0..reader.count("open orders")? {
            let order = OpenOrder {
                sequence: reader.u64()?,
                strategy: reader.at_most("strategy", u16::MAX.into())? as u16,
                account: reader.at_most("account", u32::MAX.into())? as u32,
                instrument: reader.at_most("instrument", u32::MAX.into())? as u32,
                side: Side(reader.at_most("side", u8::MAX.into())? as u8),
                client_order_id: reader.u64()?,
                venue_order_id: reader.u64()?,
                replaced_order_id: reader.u64()?,
                limit: reader.i64()?,
                quantity: reader.u64()?,
                cumulative: reader.u64()?,
                leaves: reader.u64()?,
                state: [OpenState::Pending, OpenState::Working][reader.at_most("state", 1)? as usize],
                departure: None,
                cancel: match reader.at_most("truth value", 1)? {
                    0 => None,
                    _ => Some((reader.u64()?, reader.u64()?)),
                },
            };
            open.orders.insert((order.strategy, order.account, order.client_order_id), order);
        }
        Ok(open)
    }
}
