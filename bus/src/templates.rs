//! What the bus needs to know about each message: its class, the length of its root block, the group of the
//! publishers that may submit it, whether it waits for a release watermark, and what the sequencer writes
//! into it: the time since its receipt, or the identity of its publisher.

use stele_wire::messages::{self, GrantGroups};

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

/// The fields of a message that identify its publisher. The sequencer writes them, whatever was submitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OriginFields {
    /// The message has no such field, or it is the sequencer's own.
    None,
    /// `publisherSequence` at byte 0 and `publisher` at byte 8: orders and cancels.
    Order,
    /// `publisherSequence` at byte 24 and `publisher` at byte 32: timers.
    Timer,
    /// `gateway` at byte 28: `OrderReleased`.
    OrderReleased,
    /// `gateway` at byte 32: `CancelReleased`.
    CancelReleased,
    /// `gateway` at byte 26: `OrderDropped`.
    OrderDropped,
}

impl OriginFields {
    /// The byte offsets of the publisher's number (u64) and of its id (u16) in the body. The number is at the
    /// beginning of a word, and the id within one.
    pub(crate) const fn offsets(self) -> (Option<usize>, Option<usize>) {
        match self {
            Self::None => (None, None),
            Self::Order => (Some(0), Some(8)),
            Self::Timer => (Some(24), Some(32)),
            Self::OrderReleased => (None, Some(28)),
            Self::CancelReleased => (None, Some(32)),
            Self::OrderDropped => (None, Some(26)),
        }
    }

    /// Whether the message carries its publisher's number.
    pub const fn has_number(self) -> bool {
        self.offsets().0.is_some()
    }
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
    /// The group of messages that a publisher must have been granted to submit it; empty for messages that
    /// only the sequencer writes.
    pub group: GrantGroups,
    /// The fields that identify its publisher.
    pub origin: OriginFields,
}

impl Template {
    /// The template of a message of another schema: market data of which only the block's length is known.
    pub(crate) const fn foreign(block_length: u16) -> Self {
        Self {
            class: MessageClass::MarketData,
            block_length,
            waits_for_release: false,
            stamped: false,
            group: GrantGroups::MARKET,
            origin: OriginFields::None,
        }
    }
}

const _: () = assert!(size_of::<Option<Template>>() == 8, "admission loads a template as one word");

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
    ($($name:ident $class:ident $group:ident $stamp:ident $release:ident,)*) => {
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
                    group: templates!(@group $group),
                    origin: templates!(@origin $name $stamp),
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
    (@stamp $name:ident $other:ident) => { false };
    (@group SEQUENCER) => { GrantGroups::EMPTY };
    (@group $group:ident) => { GrantGroups::$group };
    (@origin $name:ident order) => { templates!(@numbered $name Order) };
    (@origin $name:ident timer) => { templates!(@numbered $name Timer) };
    (@origin $name:ident gateway) => {{
        let (_, gateway) = OriginFields::$name.offsets();
        assert!(gateway.unwrap() == std::mem::offset_of!(messages::$name, gateway));
        OriginFields::$name
    }};
    (@origin $name:ident $other:ident) => { OriginFields::None };
    (@numbered $name:ident $fields:ident) => {{
        let (number, publisher) = OriginFields::$fields.offsets();
        assert!(number.unwrap() == std::mem::offset_of!(messages::$name, publisher_sequence));
        assert!(publisher.unwrap() == std::mem::offset_of!(messages::$name, publisher));
        OriginFields::$fields
    }};
}

templates! {
    BookAdd MarketData MARKET stamped flows,
    BookModify MarketData MARKET stamped flows,
    BookReplace MarketData MARKET stamped flows,
    BookCancel MarketData MARKET stamped flows,
    BookExecute MarketData MARKET stamped flows,
    BookClear MarketData MARKET stamped flows,
    BookLevel MarketData MARKET stamped flows,
    BookSnapshot MarketData MARKET stamped flows,
    TopOfBook MarketData MARKET stamped flows,
    BookDepth MarketData MARKET stamped flows,
    Trade MarketData MARKET stamped flows,
    TradeBreak MarketData MARKET stamped flows,
    TradingStatus MarketData MARKET stamped flows,
    AuctionImbalance MarketData MARKET stamped flows,
    PriceBands MarketData MARKET stamped flows,
    Statistic MarketData MARKET stamped flows,
    Bar MarketData MARKET stamped flows,
    News MarketData MARKET stamped flows,
    VenueNotice MarketData MARKET stamped flows,
    InstrumentDefinition MarketData DEFINITIONS as_is flows,
    SourceDefinition MarketData DEFINITIONS as_is flows,
    AccountDefinition Control SESSION as_is flows,
    PartyDefinition Control SESSION as_is flows,
    AlgorithmDefinition Control SESSION as_is flows,
    DeskDefinition Control SESSION as_is flows,
    StrategyDefinition Control SESSION as_is flows,
    CodeDefinition Control DEFINITIONS as_is flows,
    SchemaText Control DEFINITIONS as_is flows,
    NewOrder NewOrder ORDERS order waits,
    ReplaceOrder NewOrder ORDERS order waits,
    CancelOrder OrderCancel ORDERS order waits,
    MassCancel OrderCancel ORDERS order waits,
    Quote NewOrder ORDERS order waits,
    QuoteCancel OrderCancel ORDERS order waits,
    OrderAccepted Report REPORTS stamped flows,
    OrderRejected Report REPORTS stamped flows,
    OrderCancelled Report REPORTS stamped flows,
    OrderReplaced Report REPORTS stamped flows,
    OrderTriggered Report REPORTS stamped flows,
    OrderSuspended Report REPORTS stamped flows,
    OrderRestated Report REPORTS stamped flows,
    OrderFilled Report REPORTS stamped flows,
    OrderExpired Report REPORTS stamped flows,
    TradeBusted Report REPORTS stamped flows,
    TradeCorrected Report REPORTS stamped flows,
    CancelRejected Report REPORTS stamped flows,
    ReplaceRejected Report REPORTS stamped flows,
    OrderReleased Report RELEASE gateway flows,
    OrderRouted Report REPORTS stamped flows,
    RouteRejected Report REPORTS stamped flows,
    VenueOrderCode Report REPORTS as_is flows,
    RefusedOrder Control SEQUENCER as_is flows,
    CancelReleased Report RELEASE gateway flows,
    OrderDropped Report RELEASE gateway flows,
    SessionStart Control SESSION as_is waits,
    SessionEnd Control SESSION as_is waits,
    FeedStatus MarketData MARKET as_is flows,
    RiskLimit Control OPERATOR as_is waits,
    RiskDecision Control SEQUENCER as_is waits,
    KillSwitch Control OPERATOR as_is waits,
    TimerSet Control STRATEGY_OWN timer flows,
    TimerFired Control SEQUENCER as_is flows,
    ClockStatus Control SESSION as_is flows,
    PublisherProgress Control SEQUENCER as_is flows,
    Communication Control OPERATOR as_is flows,
    Alert Control STRATEGY_OWN as_is flows,
    AlertAction Control OPERATOR as_is flows,
    LegalHold Control OPERATOR as_is waits,
    OpeningPosition Control SESSION as_is waits,
    SnapshotTaken Control SESSION as_is flows,
    AccessRecorded Control OPERATOR as_is waits,
    RetentionAct Control OPERATOR as_is flows,
    RecoveryReport Control SESSION as_is flows,
    SubmissionRefused Control SEQUENCER as_is flows,
    KeyRotated Control OPERATOR as_is waits,
    CreditAllotment Control OPERATOR as_is waits,
    Forwarded MarketData MARKET as_is flows,
    StrategyCommand Control OPERATOR as_is waits,
    LimitProposed Control OPERATOR as_is waits,
    OperatorCancel Control OPERATOR as_is waits,
    PublisherGrant Control SEQUENCER as_is flows,
    PublisherReset Control OPERATOR as_is waits,
    EmergencyCancel Control SESSION as_is waits,
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
    fn a_message_has_one_group_except_those_that_only_the_sequencer_writes() {
        let mut sequencers = Vec::new();
        for id in 0..TEMPLATE_IDS as u16 {
            let Some(known) = template(id) else { continue };
            match known.group.bits().count_ones() {
                0 => sequencers.push(messages::message_name(id).unwrap()),
                groups => assert_eq!(groups, 1, "template {id}"),
            }
        }
        assert_eq!(
            sequencers,
            [
                "RefusedOrder",
                "RiskDecision",
                "TimerFired",
                "PublisherProgress",
                "SubmissionRefused",
                "PublisherGrant"
            ]
        );
    }

    #[test]
    fn every_message_that_can_be_submitted_with_a_publishers_id_of_its_own_is_stamped() {
        for layout in messages::SCHEMA.messages.iter() {
            let known = template(layout.id).unwrap();
            let carries = layout.block.fields.iter().any(|field| {
                field.name == "publisherSequence"
                    || field.name == "gateway" && layout.name != "EmergencyCancel"
            });
            let is_stamped = known.origin != OriginFields::None;
            assert_eq!(is_stamped, carries && !known.group.is_empty(), "{}", layout.name);
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
