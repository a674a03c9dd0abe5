//! Letters and numbers of DBN as values of the schema, and the names of its kinds of records.

use super::records::OHLCV_OLD;
use dbn::{Schema, rtype};
use std::ffi::c_char;
use stele_wire::messages::{BookAction, Boolean, TradingPhase, TradingState};

pub(super) fn book_action(letter: c_char) -> BookAction {
    match letter as u8 {
        b'A' => BookAction::ADD,
        b'M' => BookAction::MODIFY,
        b'C' => BookAction::DELETE,
        b'R' => BookAction::CLEAR,
        b'T' => BookAction::TRADE,
        b'F' => BookAction::FILL,
        _ => BookAction::NONE,
    }
}

pub(super) fn boolean(letter: c_char) -> Boolean {
    match letter as u8 {
        b'Y' => Boolean::TRUE,
        b'N' => Boolean::FALSE,
        _ => Boolean::UNKNOWN,
    }
}

/// The vendor's number of a reason, as decimal digits; empty where there is none.
pub(super) fn digits(reason: u16) -> [u8; 4] {
    let mut digits = [0; 4];
    if reason > 0 {
        let shown = reason.min(9_999).to_string();
        digits[..shown.len()].copy_from_slice(shown.as_bytes());
    }
    digits
}

/// The state and the phase of a status action, Databento's `StatusAction`.
pub(super) fn state(action: u16) -> (TradingState, TradingPhase) {
    match action {
        1 => (TradingState::PRE_OPEN, TradingPhase::OUT_OF_MAIN_SESSION),
        2 | 4 | 5 | 6 => (TradingState::PRE_OPEN, TradingPhase::UNSCHEDULED_AUCTION),
        3 => (TradingState::QUOTATION_ONLY, TradingPhase::UNKNOWN),
        7 => (TradingState::TRADING, TradingPhase::CONTINUOUS),
        8 => (TradingState::HALTED, TradingPhase::UNKNOWN),
        9 => (TradingState::PAUSED, TradingPhase::UNKNOWN),
        10 => (TradingState::SUSPENDED, TradingPhase::UNKNOWN),
        11 => (TradingState::TRADING, TradingPhase::CLOSING_AUCTION),
        12 => (TradingState::CLOSED, TradingPhase::UNKNOWN),
        13 => (TradingState::POST_CLOSE, TradingPhase::OUT_OF_MAIN_SESSION),
        15 => (TradingState::NOT_AVAILABLE, TradingPhase::UNKNOWN),
        _ => (TradingState::UNKNOWN, TradingPhase::UNKNOWN),
    }
}

/// The length of a bar's interval in nanoseconds, by its type or, in old files, by the schema.
pub(super) fn interval(kind: u8, schema: Option<Schema>) -> Option<u64> {
    const SECOND: u64 = 1_000_000_000;
    match (kind, schema) {
        (rtype::OHLCV_1S, _) | (OHLCV_OLD, Some(Schema::Ohlcv1S)) => Some(SECOND),
        (rtype::OHLCV_1M, _) | (OHLCV_OLD, Some(Schema::Ohlcv1M)) => Some(60 * SECOND),
        (rtype::OHLCV_1H, _) | (OHLCV_OLD, Some(Schema::Ohlcv1H)) => Some(3_600 * SECOND),
        (rtype::OHLCV_1D | rtype::OHLCV_EOD, _) | (OHLCV_OLD, Some(Schema::Ohlcv1D | Schema::OhlcvEod)) => {
            Some(86_400 * SECOND)
        }
        _ => None,
    }
}

/// The schema's name of a kind of record, as Databento writes it.
pub(super) fn kind_name(kind: u8, schema: Option<Schema>) -> String {
    let name = match kind {
        rtype::MBO => "mbo",
        rtype::MBP_0 => "trades",
        rtype::MBP_1 if schema == Some(Schema::Tbbo) => "tbbo",
        rtype::MBP_1 => "mbp-1",
        rtype::MBP_10 => "mbp-10",
        rtype::BBO_1S => "bbo-1s",
        rtype::BBO_1M => "bbo-1m",
        rtype::CMBP_1 => "cmbp-1",
        rtype::TCBBO => "tcbbo",
        rtype::CBBO_1S => "cbbo-1s",
        rtype::CBBO_1M => "cbbo-1m",
        rtype::OHLCV_1S => "ohlcv-1s",
        rtype::OHLCV_1M => "ohlcv-1m",
        rtype::OHLCV_1H => "ohlcv-1h",
        rtype::OHLCV_1D => "ohlcv-1d",
        rtype::OHLCV_EOD => "ohlcv-eod",
        OHLCV_OLD => "ohlcv",
        rtype::STATUS => "status",
        rtype::INSTRUMENT_DEF => "definition",
        rtype::IMBALANCE => "imbalance",
        rtype::STATISTICS => "statistics",
        rtype::SYMBOL_MAPPING => "symbol-mapping",
        rtype::ERROR => "error",
        rtype::SYSTEM => "system",
        _ => return format!("0x{kind:02x}"),
    };
    name.into()
}
