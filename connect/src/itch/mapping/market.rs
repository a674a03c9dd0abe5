//! Messages about the market and its auctions: status, limits, imbalances.

use super::{DECLINE_LEVEL_1, LAST, Mapping, price_or_none, side};
use crate::instruments::fixed;
use crate::itch::layout::*;
use stele_feed::Batch;
use stele_wire::messages::{
    AuctionImbalance, Boolean, MarketFlags, PriceBands, Side, Statistic, TradingPhase, TradingState,
    TradingStatus, UpdateAction,
};
use stele_wire::units::Nanos;

impl Mapping {
    pub(super) fn imbalance(&mut self, message: &Imbalance, batch: &mut Batch) {
        let instrument = self.instrument(&message.head, &message.stock, batch);
        let unpaired = side(message.direction);
        event!(
            self,
            batch,
            message.head,
            instrument,
            LAST,
            AuctionImbalance {
                side: unpaired,
                reference_price: price_or_none(message.reference_price.get()),
                continuous_clearing_price: price_or_none(message.near_price.get()),
                auction_clearing_price: price_or_none(message.far_price.get()),
                paired_quantity: message.paired.get().into(),
                imbalance_quantity: message.imbalance.get().into(),
                auction_type: message.cross_type,
                unpaired_side: unpaired,
                price_variation: message.variation,
                direction: message.direction,
            }
        );
    }

    pub(super) fn collar(&mut self, message: &AuctionCollar, batch: &mut Batch) {
        let instrument = self.instrument(&message.head, &message.stock, batch);
        event!(
            self,
            batch,
            message.head,
            instrument,
            LAST,
            PriceBands {
                reference_price: price_or_none(message.reference.get()),
                upper_price: price_or_none(message.upper.get()),
                lower_price: price_or_none(message.lower.get()),
                extension: message.extension.get().into(),
                indicator: b'J',
            }
        );
    }

    pub(super) fn direct_listing(&mut self, message: &DirectListing, bytes: &[u8], batch: &mut Batch) {
        let instrument = self.instrument(&message.head, &message.stock, batch);
        event!(
            self,
            batch,
            message.head,
            instrument,
            MarketFlags::EMPTY,
            PriceBands {
                reference_price: price_or_none(message.near_price.get()),
                upper_price: price_or_none(message.upper_collar.get()),
                lower_price: price_or_none(message.lower_collar.get()),
                extension: 0.into(),
                indicator: b'O',
            }
        );
        self.notice(&message.head, &message.stock, bytes, batch);
    }

    /// Puts the levels, which are prices with eight decimals; [`level_that_does_not_fit`] has checked them.
    pub(super) fn decline_levels(&mut self, message: &DeclineLevels, batch: &mut Batch) {
        for (index, level) in message.levels.iter().enumerate() {
            let flags = if index == 2 { LAST } else { MarketFlags::EMPTY };
            event!(
                self,
                batch,
                message.head,
                0,
                flags,
                Statistic {
                    price: (level.get() as i64 * 10).into(),
                    statistic_type: (DECLINE_LEVEL_1 + index as u16).into(),
                    action: UpdateAction::ADD,
                    statistic_flags: 0,
                }
            );
        }
    }

    pub(super) fn system_event(&mut self, message: &SystemEvent, batch: &mut Batch) {
        let (state, phase) = match message.event {
            b'O' | b'S' => (TradingState::PRE_OPEN, TradingPhase::OUT_OF_MAIN_SESSION),
            b'Q' => (TradingState::TRADING, TradingPhase::CONTINUOUS),
            b'M' => (TradingState::POST_CLOSE, TradingPhase::OUT_OF_MAIN_SESSION),
            b'E' | b'C' => (TradingState::CLOSED, TradingPhase::UNKNOWN),
            _ => (TradingState::UNKNOWN, TradingPhase::UNKNOWN),
        };
        event!(
            self,
            batch,
            message.head,
            0,
            LAST,
            TradingStatus { state: state, phase: phase, event_code: message.event }
        );
    }

    pub(super) fn trading_action(&mut self, message: &TradingAction, batch: &mut Batch) {
        let instrument = self.instrument(&message.head, &message.stock, batch);
        let (state, trades, quotes) = match message.state {
            b'T' => (TradingState::TRADING, Boolean::TRUE, Boolean::TRUE),
            b'Q' => (TradingState::QUOTATION_ONLY, Boolean::FALSE, Boolean::TRUE),
            b'P' => (TradingState::PAUSED, Boolean::FALSE, Boolean::UNKNOWN),
            b'H' => (TradingState::HALTED, Boolean::FALSE, Boolean::UNKNOWN),
            _ => (TradingState::UNKNOWN, Boolean::UNKNOWN, Boolean::UNKNOWN),
        };
        event!(
            self,
            batch,
            message.head,
            instrument,
            LAST,
            TradingStatus {
                state: state,
                phase: TradingPhase::UNKNOWN,
                venue_reason: fixed(&message.reason),
                is_trading: trades,
                is_quoting: quotes,
                event_code: message.state,
            }
        );
    }

    pub(super) fn operational_halt(&mut self, message: &OperationalHalt, batch: &mut Batch) {
        let instrument = self.instrument(&message.head, &message.stock, batch);
        let (state, trades) = match message.action {
            b'H' => (TradingState::HALTED, Boolean::FALSE),
            b'T' => (TradingState::TRADING, Boolean::TRUE),
            _ => (TradingState::UNKNOWN, Boolean::UNKNOWN),
        };
        event!(
            self,
            batch,
            message.head,
            instrument,
            LAST,
            TradingStatus {
                state: state,
                phase: TradingPhase::UNKNOWN,
                venue_reason: [b'h', message.market, 0, 0],
                is_trading: trades,
                event_code: message.action,
            }
        );
    }

    pub(super) fn reg_sho(&mut self, message: &RegSho, batch: &mut Batch) {
        let instrument = self.instrument(&message.head, &message.stock, batch);
        let restricted = match message.action {
            b'0' => Boolean::FALSE,
            b'1' | b'2' => Boolean::TRUE,
            _ => Boolean::UNKNOWN,
        };
        event!(
            self,
            batch,
            message.head,
            instrument,
            LAST,
            TradingStatus {
                state: TradingState::UNKNOWN,
                phase: TradingPhase::UNKNOWN,
                is_short_sale_restricted: restricted,
                event_code: message.action,
            }
        );
    }

    pub(super) fn ipo(&mut self, message: &IpoQuotingPeriod, bytes: &[u8], batch: &mut Batch) {
        let instrument = self.instrument(&message.head, &message.stock, batch);
        event!(
            self,
            batch,
            message.head,
            instrument,
            MarketFlags::EMPTY,
            TradingStatus {
                state: TradingState::QUOTATION_ONLY,
                phase: TradingPhase::UNKNOWN,
                venue_reason: *b"IPO\0",
                event_code: message.qualifier,
            }
        );
        self.notice(&message.head, &message.stock, bytes, batch);
    }

    pub(super) fn decline_status(&mut self, message: &DeclineStatus, batch: &mut Batch) {
        event!(
            self,
            batch,
            message.head,
            0,
            LAST,
            TradingStatus {
                state: TradingState::HALTED,
                phase: TradingPhase::UNKNOWN,
                venue_reason: *b"MWCB",
                event_code: message.level,
            }
        );
    }
}
