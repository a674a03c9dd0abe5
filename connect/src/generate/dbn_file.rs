//! Writes the flow as DBN, schema mbo.

use super::{Failure, GeneratedFile};
use crate::generator::{Flow, FlowKind, FlowRecord, GeneratorConfig, symbol};
use dbn::encode::EncodeRecord;
use dbn::{
    Action, FlagSet, MappingInterval, MboMsg, Metadata, RecordHeader, SType, Schema, Side, SymbolMapping,
    rtype,
};
use std::ffi::c_char;
use std::io::Write;
use stele_wire::units::Nanos;

/// The name of the data set in the metadata, which no vendor uses.
const DATASET: &str = "STELE.GENERATOR";

pub(super) fn write(
    config: &GeneratorConfig,
    mut flow: Flow,
    into: &mut impl Write,
) -> Result<GeneratedFile, Failure> {
    let metadata = metadata(config);
    let start = metadata.start().date();
    let day =
        start.year() as u32 * 10_000 + u32::from(u8::from(start.month())) * 100 + u32::from(start.day());
    let mut encoder = dbn::encode::dbn::Encoder::new(into, &metadata)?;
    let mut written = GeneratedFile { day, last: config.start, ..GeneratedFile::default() };
    loop {
        let records = flow.next_action();
        let Some(last) = records.last() else { return Ok(written) };
        written.last = Nanos(last.time);
        written.flow_messages += records.len() as u64;
        for record in records {
            let (action, is_execution) = match record.kind {
                FlowKind::Add => (Action::Add, false),
                FlowKind::Modify => (Action::Modify, false),
                FlowKind::Cancel { .. } => (Action::Cancel, false),
                FlowKind::Trade => (Action::Trade, false),
                FlowKind::Execute { .. } => (Action::Fill, true),
            };
            encoder.encode_record(&message(record, action, record.is_last && !is_execution))?;
            written.records += 1;
            if is_execution {
                encoder.encode_record(&message(record, Action::Cancel, record.is_last))?;
                written.records += 1;
            }
        }
    }
}

fn message(record: &FlowRecord, action: Action, is_last: bool) -> MboMsg {
    let mut flags = FlagSet::empty();
    if is_last {
        flags.set_last();
    }
    if record.is_snapshot {
        flags.set_snapshot();
    }
    let side = if record.is_bid { Side::Bid } else { Side::Ask };
    MboMsg {
        hd: RecordHeader::new::<MboMsg>(rtype::MBO, 0, u32::from(record.instrument) + 1, record.time),
        order_id: record.order_id,
        price: record.price,
        size: record.quantity as u32,
        flags,
        channel_id: 0,
        action: action as u8 as c_char,
        side: side as u8 as c_char,
        ts_recv: record.time,
        ts_in_delta: 0,
        sequence: record.sequence as u32,
    }
}

/// Metadata that give each instrument its symbol from the flow's first day on.
fn metadata(config: &GeneratorConfig) -> Metadata {
    let symbols: Vec<String> = (0..config.instruments).map(symbol).collect();
    let mut metadata = Metadata::builder()
        .dataset(DATASET.to_owned())
        .schema(Some(Schema::Mbo))
        .start(config.start.0)
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .symbols(symbols.clone())
        .build();
    let first = metadata.start().date();
    let end = first.replace_year(first.year() + 1).unwrap_or(first);
    metadata.mappings = symbols
        .into_iter()
        .zip(1..)
        .map(|(raw_symbol, number): (String, u32)| SymbolMapping {
            raw_symbol,
            intervals: vec![MappingInterval { start_date: first, end_date: end, symbol: number.to_string() }],
        })
        .collect();
    metadata
}
