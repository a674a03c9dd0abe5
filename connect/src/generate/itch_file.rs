//! Writes the flow as ITCH 5.0.

use super::{Failure, GeneratedFile, does_not_fit};
use crate::generator::{Flow, FlowKind, FlowRecord, GeneratorConfig, symbol};
use crate::itch::day;
use crate::itch::layout::*;
use jiff::Timestamp as Moment;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::io::Write;
use stele_wire::units::Nanos;

/// The first number of the orders that got a new number by a modify; the flow's own numbers are lower.
const CHANGED_FIRST: u64 = 1 << 40;

/// Units of 1e-9 in one of four decimals.
const FOUR_DECIMALS: i64 = 100_000;

struct File<'a, W> {
    into: &'a mut W,
    midnight: u64,
    records: u64,
    /// The present numbers, in the file, of the orders that were modified.
    changed: BTreeMap<u64, u64>,
    next_changed: u64,
}

pub(super) fn write(
    config: &GeneratorConfig,
    mut flow: Flow,
    into: &mut impl Write,
) -> Result<GeneratedFile, Failure> {
    let (midnight, day) = day_of(config.start)
        .ok_or_else(|| does_not_fit("the flow's start", 0, "begin between 1970 and 2100"))?;
    let (records, changed) = (0, BTreeMap::new());
    let mut file = File { into, midnight, records, changed, next_changed: CHANGED_FIRST };
    file.begin(config)?;
    let mut written = GeneratedFile { day, last: config.start, ..GeneratedFile::default() };
    loop {
        let records = flow.next_action();
        let Some(last) = records.last() else { break };
        written.last = Nanos(last.time);
        written.flow_messages += records.len() as u64;
        for record in records {
            file.put(record)?;
        }
    }
    file.end(written.last.0)?;
    Ok(GeneratedFile { records: file.records, ..written })
}

/// The midnight, US Eastern, before `moment`, and its date as `YYYYMMDD`.
fn day_of(moment: Nanos) -> Option<(u64, u32)> {
    let zone = TimeZone::posix(day::EASTERN).ok()?;
    let date = Moment::from_nanosecond(moment.0.into()).ok()?.to_zoned(zone).date();
    let number = i32::from(date.year()) * 10_000 + i32::from(date.month()) * 100 + i32::from(date.day());
    Some((day::midnight(date)?.0, u32::try_from(number).ok()?))
}

impl<W: Write> File<'_, W> {
    fn head(&self, letter: u8, locate: u16, time: u64, message: u64) -> Result<Head, Failure> {
        let since = time - self.midnight;
        if since >= 1 << 48 {
            return Err(does_not_fit("the time of day", message, "make the flow shorter than three days"));
        }
        Ok(Head { letter, locate: locate.into(), tracking: 0.into(), time: Timestamp::new(since) })
    }

    fn message(&mut self, message: &impl Layout) -> Result<(), Failure> {
        let bytes = message.as_bytes();
        self.into.write_all(&(bytes.len() as u16).to_be_bytes())?;
        self.into.write_all(bytes)?;
        self.records += 1;
        Ok(())
    }

    fn system_event(&mut self, event: u8, time: u64) -> Result<(), Failure> {
        let head = self.head(SystemEvent::LETTER, 0, time, 0)?;
        self.message(&SystemEvent { head, event })
    }

    fn begin(&mut self, config: &GeneratorConfig) -> Result<(), Failure> {
        let time = config.start.0;
        self.system_event(b'O', time)?;
        for instrument in 0..config.instruments {
            let stock = stock(instrument);
            let head = self.head(StockDirectory::LETTER, instrument + 1, time, 0)?;
            self.message(&StockDirectory {
                head,
                stock,
                market_category: b'Q',
                financial_status: b'N',
                round_lot: 100.into(),
                round_lots_only: b'N',
                classification: b'C',
                sub_type: *b"Z ",
                authenticity: b'T',
                short_sale_threshold: b'N',
                ipo: b'N',
                luld_tier: b'1',
                etp: b'N',
                etp_leverage: 0.into(),
                inverse: b'N',
            })?;
            let head = self.head(TradingAction::LETTER, instrument + 1, time, 0)?;
            self.message(&TradingAction { head, stock, state: b'T', reserved: b' ', reason: *b"    " })?;
        }
        self.system_event(b'S', time)?;
        self.system_event(b'Q', time)
    }

    fn end(&mut self, time: u64) -> Result<(), Failure> {
        b"MEC".iter().try_for_each(|event| self.system_event(*event, time))
    }

    fn put(&mut self, record: &FlowRecord) -> Result<(), Failure> {
        let locate = record.instrument + 1;
        let shares = u32::try_from(record.quantity)
            .map_err(|_| does_not_fit("the quantity", record.sequence, "use another seed"))?;
        let price = u32::try_from(record.price / FOUR_DECIMALS)
            .ok()
            .filter(|_| record.price % FOUR_DECIMALS == 0)
            .ok_or_else(|| does_not_fit("the price", record.sequence, "use another seed"))?;
        let order = self.changed.get(&record.order_id).copied().unwrap_or(record.order_id).into();
        let head = |letter| self.head(letter, locate, record.time, record.sequence);
        match record.kind {
            FlowKind::Add => {
                let side = if record.is_bid { b'B' } else { b'S' };
                let (head, stock) = (head(AddOrder::LETTER)?, stock(record.instrument));
                self.message(&AddOrder {
                    head,
                    order,
                    side,
                    shares: shares.into(),
                    stock,
                    price: price.into(),
                })
            }
            FlowKind::Modify => {
                let (head, new_order) = (head(OrderReplace::LETTER)?, self.next_changed.into());
                self.changed.insert(record.order_id, self.next_changed);
                self.next_changed += 1;
                self.message(&OrderReplace {
                    head,
                    order,
                    new_order,
                    shares: shares.into(),
                    price: price.into(),
                })
            }
            FlowKind::Cancel { left: 0 } => {
                let head = head(OrderDelete::LETTER)?;
                self.changed.remove(&record.order_id);
                self.message(&OrderDelete { head, order })
            }
            FlowKind::Cancel { .. } => {
                let head = head(OrderCancel::LETTER)?;
                self.message(&OrderCancel { head, order, shares: shares.into() })
            }
            FlowKind::Execute { .. } => {
                let (head, match_number) = (head(Executed::LETTER)?, record.trade_id.into());
                self.message(&Executed { head, order, shares: shares.into(), match_number })
            }
            FlowKind::Trade => Ok(()),
        }
    }
}

fn stock(instrument: u16) -> [u8; 8] {
    let mut stock = [b' '; 8];
    let symbol = symbol(instrument);
    stock[..symbol.len()].copy_from_slice(symbol.as_bytes());
    stock
}
