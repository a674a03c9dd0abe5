//! Definitions of instruments, as DBN gives them.

use crate::instruments::fixed;
use dbn::InstrumentDefMsg;
use std::ffi::c_char;
use stele_wire::messages::{
    ExerciseStyle, InstrumentClass, InstrumentDefinition, InstrumentDefinitionLegs, OptionKind,
    PriceNotation, QuantityNotation, Side, UpdateAction,
};

/// The greatest number of a spread's legs that are carried.
pub(super) const LEGS_MAX: usize = 128;

/// The definition of an instrument that the file names but does not define.
pub(super) fn named(symbol: &str) -> InstrumentDefinition {
    InstrumentDefinition {
        instrument_class: InstrumentClass::UNKNOWN,
        price_notation: PriceNotation::MONETARY,
        quantity_notation: QuantityNotation::UNITS,
        price_exponent: -9,
        quantity_exponent: 0,
        option_kind: OptionKind::NONE,
        exercise_style: ExerciseStyle::NONE,
        venue_symbol: fixed(symbol.as_bytes()),
        ..InstrumentDefinition::NULL
    }
}

/// The definition of a record, without the numbers and times on the log.
pub(super) fn defined(record: &InstrumentDefMsg) -> InstrumentDefinition {
    let (instrument_class, option_kind) = class(record.instrument_class);
    let exchange = bytes(&record.exchange);
    InstrumentDefinition {
        action: action(record.security_update_action),
        instrument_class,
        option_kind,
        currency: text(&record.currency),
        settlement_currency: text(&record.settl_currency),
        strike_currency: text(&record.strike_price_currency),
        cfi: text(&record.cfi),
        segment_mic: if exchange[4] == 0 { fixed(&exchange) } else { [0; 4] },
        security_type: text(&record.security_type),
        exchange: fixed(&exchange),
        security_group: text(&record.group),
        asset: text(&record.asset),
        channel: record.channel_id.into(),
        market_segment: u16::try_from(record.market_segment_id).unwrap_or(u16::MAX).into(),
        market_depth: u32::try_from(record.market_depth)
            .ok()
            .filter(|depth| *depth != i32::MAX as u32)
            .unwrap_or(u32::MAX)
            .into(),
        tick: record.min_price_increment.into(),
        display_factor: record.display_factor.into(),
        multiplier: record.unit_of_measure_qty.into(),
        increment_amount: record.min_price_increment_amount.into(),
        lot_size: signed_quantity(record.min_lot_size_round_lot).into(),
        minimum_quantity: quantity(record.min_trade_vol).into(),
        maximum_quantity: quantity(record.max_trade_vol).into(),
        minimum_block_quantity: signed_quantity(record.min_lot_size_block).into(),
        upper_limit_price: record.high_limit_price.into(),
        lower_limit_price: record.low_limit_price.into(),
        maximum_price_variation: record.max_price_variation.into(),
        strike: record.strike_price.into(),
        activation: record.activation.into(),
        expiry: record.expiration.into(),
        maturity_date: maturity(record).into(),
        venue_symbol: text(&record.raw_symbol),
        underlying_symbol: text(&record.underlying),
        ..named("")
    }
}

/// The leg that the record describes.
pub(super) fn leg(record: &InstrumentDefMsg, instrument: u32) -> InstrumentDefinitionLegs {
    InstrumentDefinitionLegs {
        instrument: instrument.into(),
        ratio_numerator: record.leg_ratio_qty_numerator.into(),
        ratio_denominator: record.leg_ratio_qty_denominator.into(),
        side: side(record.leg_side),
        instrument_class: class(record.leg_instrument_class).0,
        price: record.leg_price.into(),
        delta: record.leg_delta.into(),
        venue_instrument_id: u64::from(record.leg_instrument_id).into(),
        venue_symbol: text(&record.leg_raw_symbol),
        ..InstrumentDefinitionLegs::NULL
    }
}

pub(super) fn side(letter: c_char) -> Side {
    match letter as u8 {
        b'B' => Side::BUY,
        b'A' => Side::SELL,
        _ => Side::NONE,
    }
}

pub(super) fn quantity(size: u32) -> u64 {
    if size == dbn::UNDEF_ORDER_SIZE { u64::MAX } else { size.into() }
}

/// A text of the decoder as bytes.
pub(super) fn bytes<const N: usize>(text: &[c_char; N]) -> [u8; N] {
    text.map(|letter| letter as u8)
}

pub(super) fn text<const N: usize, const M: usize>(letters: &[c_char; N]) -> [u8; M] {
    fixed(&bytes(letters))
}

fn signed_quantity(size: i32) -> u64 {
    u64::try_from(size).ok().filter(|size| *size != i32::MAX as u64).unwrap_or(u64::MAX)
}

fn maturity(record: &InstrumentDefMsg) -> u32 {
    if record.maturity_year == u16::MAX || record.maturity_month == u8::MAX {
        return 0;
    }
    let day = if record.maturity_day == u8::MAX { 0 } else { record.maturity_day };
    u32::from(record.maturity_year) * 10_000 + u32::from(record.maturity_month) * 100 + u32::from(day)
}

fn action(letter: c_char) -> UpdateAction {
    match letter as u8 {
        b'A' => UpdateAction::ADD,
        b'M' => UpdateAction::MODIFY,
        b'D' => UpdateAction::DELETE,
        _ => UpdateAction::NONE,
    }
}

fn class(letter: c_char) -> (InstrumentClass, OptionKind) {
    let class = match letter as u8 {
        b'K' => InstrumentClass::EQUITY,
        b'F' => InstrumentClass::FUTURE,
        b'C' => return (InstrumentClass::OPTION, OptionKind::CALL),
        b'P' => return (InstrumentClass::OPTION, OptionKind::PUT),
        b'S' => InstrumentClass::FUTURE_SPREAD,
        b'T' => InstrumentClass::OPTION_SPREAD,
        b'M' => InstrumentClass::MIXED_SPREAD,
        b'B' => InstrumentClass::BOND,
        b'X' => InstrumentClass::FX_SPOT,
        b'I' => InstrumentClass::INDEX,
        b'Y' => InstrumentClass::COMMODITY,
        _ => InstrumentClass::UNKNOWN,
    };
    (class, OptionKind::NONE)
}
