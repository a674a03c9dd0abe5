//! The messages of NASDAQ TotalView-ITCH 5.0, byte for byte.
//!
//! Big-endian, no padding; text is ASCII, left-justified, filled up with blanks. Every message begins with a
//! [`Head`]. Layouts and letters are those of "Nasdaq TotalView-ITCH 5.0", the sections that each type names.

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Nanoseconds since midnight, US Eastern.
#[repr(transparent)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timestamp(pub [u8; 6]);

impl Timestamp {
    /// Returns the nanoseconds.
    #[inline]
    pub fn get(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// Creates the timestamp of the low 48 bits of `nanos`.
    pub fn new(nanos: u64) -> Self {
        let [_, _, a, b, c, d, e, f] = nanos.to_be_bytes();
        Self([a, b, c, d, e, f])
    }
}

macro_rules! layouts {
    ($($(#[$about:meta])* $name:ident = $letter:literal, $length:literal { $($field:ident: $type:ty,)* })*) => {
        $(
            $(#[$about])*
            #[repr(C)]
            #[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, PartialEq, Eq, Debug)]
            #[expect(missing_docs, reason = "the fields have the specification's names")]
            pub struct $name {
                pub head: Head,
                $(pub $field: $type,)*
            }

            const _: () = assert!(size_of::<$name>() == $length);

            impl Layout for $name {
                const LETTER: u8 = $letter;
            }
        )*

        /// Returns the length of a message of this type in bytes, or `None` if ITCH 5.0 has no such type.
        #[inline]
        pub fn length_of(letter: u8) -> Option<usize> {
            match letter {
                $($letter => Some($length),)*
                _ => None,
            }
        }

        /// The letters of all types.
        pub const LETTERS: &[u8] = &[$($letter),*];
    };
}

/// A message type.
pub trait Layout: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy {
    /// The letter of the type.
    const LETTER: u8;
}

/// The fields with which every message begins.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// The message type.
    pub letter: u8,
    /// The number of the stock on this day; 0 for the whole market.
    pub locate: U16,
    /// NASDAQ's internal tracking number.
    pub tracking: U16,
    /// The time of the message.
    pub time: Timestamp,
}

layouts! {
    /// Section 1.1, system event.
    SystemEvent = b'S', 12 { event: u8, }
    /// Section 1.2.1, stock directory.
    StockDirectory = b'R', 39 {
        stock: [u8; 8], market_category: u8, financial_status: u8, round_lot: U32, round_lots_only: u8,
        classification: u8, sub_type: [u8; 2], authenticity: u8, short_sale_threshold: u8, ipo: u8, luld_tier: u8,
        etp: u8, etp_leverage: U32, inverse: u8,
    }
    /// Section 1.2.2, stock trading action.
    TradingAction = b'H', 25 { stock: [u8; 8], state: u8, reserved: u8, reason: [u8; 4], }
    /// Section 1.2.3, Reg SHO short sale price test restriction.
    RegSho = b'Y', 20 { stock: [u8; 8], action: u8, }
    /// Section 1.2.4, market participant position.
    ParticipantPosition = b'L', 26 {
        participant: [u8; 4], stock: [u8; 8], is_primary: u8, mode: u8, state: u8,
    }
    /// Section 1.2.5.1, MWCB decline levels; prices with eight decimals.
    DeclineLevels = b'V', 35 { levels: [U64; 3], }
    /// Section 1.2.5.2, MWCB status.
    DeclineStatus = b'W', 12 { level: u8, }
    /// Section 1.2.6, IPO quoting period update.
    IpoQuotingPeriod = b'K', 28 { stock: [u8; 8], release_seconds: U32, qualifier: u8, price: U32, }
    /// Section 1.2.7, limit up, limit down auction collar.
    AuctionCollar = b'J', 35 { stock: [u8; 8], reference: U32, upper: U32, lower: U32, extension: U32, }
    /// Section 1.2.8, operational halt.
    OperationalHalt = b'h', 21 { stock: [u8; 8], market: u8, action: u8, }
    /// Section 1.3.1, add order without attribution.
    AddOrder = b'A', 36 { order: U64, side: u8, shares: U32, stock: [u8; 8], price: U32, }
    /// Section 1.3.2, add order with attribution.
    AddAttributed = b'F', 40 {
        order: U64, side: u8, shares: U32, stock: [u8; 8], price: U32, attribution: [u8; 4],
    }
    /// Section 1.4.1, order executed.
    Executed = b'E', 31 { order: U64, shares: U32, match_number: U64, }
    /// Section 1.4.2, order executed with price.
    ExecutedAtPrice = b'C', 36 { order: U64, shares: U32, match_number: U64, printable: u8, price: U32, }
    /// Section 1.4.3, order cancel.
    OrderCancel = b'X', 23 { order: U64, shares: U32, }
    /// Section 1.4.4, order delete.
    OrderDelete = b'D', 19 { order: U64, }
    /// Section 1.4.5, order replace.
    OrderReplace = b'U', 35 { order: U64, new_order: U64, shares: U32, price: U32, }
    /// Section 1.5.1, trade that is not a cross.
    HiddenTrade = b'P', 44 {
        order: U64, side: u8, shares: U32, stock: [u8; 8], price: U32, match_number: U64,
    }
    /// Section 1.5.2, cross trade.
    CrossTrade = b'Q', 40 { shares: U64, stock: [u8; 8], price: U32, match_number: U64, cross_type: u8, }
    /// Section 1.5.3, broken trade.
    BrokenTrade = b'B', 19 { match_number: U64, }
    /// Section 1.6, net order imbalance indicator.
    Imbalance = b'I', 50 {
        paired: U64, imbalance: U64, direction: u8, stock: [u8; 8], far_price: U32, near_price: U32,
        reference_price: U32, cross_type: u8, variation: u8,
    }
    /// Section 1.7, retail price improvement indicator.
    RetailInterest = b'N', 20 { stock: [u8; 8], interest: u8, }
    /// Section 1.8, direct listing with capital raise price discovery.
    DirectListing = b'O', 48 {
        stock: [u8; 8], is_open_eligible: u8, lowest_allowed: U32, highest_allowed: U32, near_price: U32,
        near_time: U64, lower_collar: U32, upper_collar: U32,
    }
}
