//! What the bus needs to know about each message: its class, the length of its root block, whether it waits
//! for a release watermark, and whether the sequencer writes the time since its receipt into it.

use stele_wire::messages;

/// The classes of messages, in the order in which they are refused. Each leaves some headroom on the ring.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum MessageClass {
    /// A message from a data source. Without room it waits in its publisher's ring.
    MarketData,
    /// An order, a replacement or a quote. Without room it is refused by an event.
    NewOrder,
    /// A cancel, which reduces risk. It finds room where new orders do not.
    OrderCancel,
    /// A venue's report about an order. Without room it waits and is never dropped.
    Report,
    /// A message that controls the bus or describes other messages. It is refused last.
    Control,
}

/// What the bus needs to know about one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Template {
    /// The class that it is admitted in.
    pub class: MessageClass,
    /// The bytes of the root block that this build writes.
    pub block_length: u16,
    /// Whether it waits for a release watermark, so that its batch closes at once.
    pub waits_for_release: bool,
    /// Whether it begins with the common prefix of messages from outside: the sequencer writes
    /// `receivedDelta` at byte [`RECEIVED_DELTA_OFFSET`].
    pub stamped: bool,
}

impl Template {
    /// The template of a message of another schema: market data of which only the block's length is known.
    pub(crate) const fn foreign(block_length: u16) -> Self {
        Self { class: MessageClass::MarketData, block_length, waits_for_release: false, stamped: false }
    }
}

/// The offset of `receivedDelta` (u32) in the body of a stamped message.
pub const RECEIVED_DELTA_OFFSET: usize = 16;

/// One more than the highest template id.
const TEMPLATE_IDS: usize = 600;

static TEMPLATES: [Option<Template>; TEMPLATE_IDS] = table();

/// Returns what the bus needs to know about the message with this SBE template id; none when it is not in
/// Stele's schema.
#[inline]
pub fn template(template_id: u16) -> Option<Template> {
    *TEMPLATES.get(template_id as usize)?
}

macro_rules! templates {
    ($($name:ident $class:ident $stamp:ident $release:ident,)*) => {
        const fn table() -> [Option<Template>; TEMPLATE_IDS] {
            let mut table = [None; TEMPLATE_IDS];
            $({
                let id = messages::$name::TEMPLATE_ID as usize;
                assert!(table[id].is_none(), "two messages of one id");
                table[id] = Some(Template {
                    class: MessageClass::$class,
                    block_length: messages::$name::BLOCK_LENGTH,
                    waits_for_release: templates!(@release $release),
                    stamped: templates!(@stamp $name $stamp),
                });
            })*
            table
        }
    };
    (@release waits) => { true };
    (@release flows) => { false };
    (@stamp $name:ident stamped) => {{
        assert!(std::mem::offset_of!(messages::$name, received_delta) == RECEIVED_DELTA_OFFSET);
        true
    }};
    (@stamp $name:ident as_is) => { false };
}

templates! {
    BookAdd MarketData stamped flows,
    BookModify MarketData stamped flows,
    BookReplace MarketData stamped flows,
    BookCancel MarketData stamped flows,
    BookExecute MarketData stamped flows,
    BookClear MarketData stamped flows,
    BookLevel MarketData stamped flows,
    BookSnapshot MarketData stamped flows,
    TopOfBook MarketData stamped flows,
    BookDepth MarketData stamped flows,
    Trade MarketData stamped flows,
    TradeBreak MarketData stamped flows,
    TradingStatus MarketData stamped flows,
    AuctionImbalance MarketData stamped flows,
    PriceBands MarketData stamped flows,
    Statistic MarketData stamped flows,
    Bar MarketData stamped flows,
    News MarketData stamped flows,
    VenueNotice MarketData stamped flows,
    InstrumentDefinition MarketData as_is flows,
    SourceDefinition MarketData as_is flows,
    AccountDefinition Control as_is flows,
    PartyDefinition Control as_is flows,
    AlgorithmDefinition Control as_is flows,
    DeskDefinition Control as_is flows,
    StrategyDefinition Control as_is flows,
    CodeDefinition Control as_is flows,
    SchemaText Control as_is flows,
    NewOrder NewOrder as_is waits,
    ReplaceOrder NewOrder as_is waits,
    CancelOrder OrderCancel as_is waits,
    MassCancel OrderCancel as_is waits,
    Quote NewOrder as_is waits,
    QuoteCancel OrderCancel as_is waits,
    OrderAccepted Report stamped flows,
    OrderRejected Report stamped flows,
    OrderCancelled Report stamped flows,
    OrderReplaced Report stamped flows,
    OrderTriggered Report stamped flows,
    OrderSuspended Report stamped flows,
    OrderRestated Report stamped flows,
    OrderFilled Report stamped flows,
    OrderExpired Report stamped flows,
    TradeBusted Report stamped flows,
    TradeCorrected Report stamped flows,
    CancelRejected Report stamped flows,
    ReplaceRejected Report stamped flows,
    OrderReleased Report as_is flows,
    OrderRouted Report stamped flows,
    RouteRejected Report stamped flows,
    VenueOrderCode Report as_is flows,
    RefusedOrder Control as_is flows,
    CancelReleased Report as_is flows,
    OrderDropped Report as_is flows,
    SessionStart Control as_is waits,
    SessionEnd Control as_is waits,
    FeedStatus MarketData as_is flows,
    RiskLimit Control as_is waits,
    RiskDecision Control as_is waits,
    KillSwitch Control as_is waits,
    TimerSet Control as_is flows,
    TimerFired Control as_is flows,
    ClockStatus Control as_is flows,
    PublisherProgress Control as_is flows,
    Communication Control as_is flows,
    Alert Control as_is flows,
    AlertAction Control as_is flows,
    LegalHold Control as_is waits,
    OpeningPosition Control as_is waits,
    SnapshotTaken Control as_is flows,
    AccessRecorded Control as_is waits,
    RetentionAct Control as_is flows,
    RecoveryReport Control as_is flows,
    SubmissionRefused Control as_is flows,
    KeyRotated Control as_is waits,
    CreditAllotment Control as_is waits,
    Forwarded MarketData as_is flows,
    StrategyCommand Control as_is waits,
    LimitProposed Control as_is waits,
    OperatorCancel Control as_is waits,
    PublisherGrant Control as_is flows,
    PublisherReset Control as_is waits,
    EmergencyCancel Control as_is waits,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_messages_of_the_schema_have_a_class() {
        for id in 0..=u16::MAX {
            assert_eq!(template(id).is_some(), messages::message_name(id).is_some(), "template {id}");
        }
    }

    #[test]
    fn what_waits_for_release_is_never_in_the_class_of_market_data() {
        for id in 0..TEMPLATE_IDS as u16 {
            let Some(known) = template(id) else { continue };
            assert!(!known.waits_for_release || known.class > MessageClass::MarketData, "template {id}");
        }
    }
}
