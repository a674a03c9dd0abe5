//! The list of all rules: name, sentence, the version from which each is judged, and what it needs.

use std::fmt;

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident $name:literal since $since:literal $reach:ident $sentence:literal;)*) => {
        /// A rule, by its name in messages.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// All rules, in the order of reports.
            pub const ALL: &'static [Self] = &[$(Self::$rule),*];

            /// The name of the rule.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$rule => $name,)*
                }
            }

            /// The rule in one sentence.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$rule => $sentence,)*
                }
            }

            /// The first version of the schema whose events are judged by it.
            pub const fn since(self) -> u16 {
                match self {
                    $(Self::$rule => $since,)*
                }
            }

            /// What a trail without its beginning leaves of the rule.
            pub const fn reach(self) -> Reach {
                match self {
                    $(Self::$rule => Reach::$reach,)*
                }
            }
        }
    };
}

/// What is judged by a rule on a trail whose first segments have expired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Everything: the rule needs nothing from before the trail.
    Everything,
    /// What refers to events that are on the trail.
    WhatIsKnown,
    /// Nothing: the state that the rule needs begins with the first event.
    Nothing,
}

rules! {
    /// Messages of Stele's schema in a known version have the block length of that version, and all groups
    /// and data are within the frame. Messages of other schemas and later versions are counted, not checked.
    MessageWhole "message-whole" since 1 Everything "messages of Stele's schema decode completely";
    /// The first event of an epoch, apart from the sequencer's records of publishers' numbering, is the
    /// `SessionStart` of that epoch and shard, with the last sequence of the previous epoch. There is one per
    /// epoch.
    SessionBegins "session-begins" since 1 Everything "every epoch begins with its SessionStart";
    /// Nothing follows `SessionEnd` in its epoch, and it states the number of events of the epoch, including
    /// itself.
    SessionEnds "session-ends" since 1 Everything "nothing follows SessionEnd, and it counts the events";
    /// The trail has the text of the schema whose SHA-256 is in the segment's header, before the first event
    /// of the epoch that is not control.
    SchemaOnTrail "schema-on-trail" since 1 WhatIsKnown "the schema's text is on the trail and is the one named";
    /// Instruments, sources, strategies and accounts are defined before they are referred to; 0 means none.
    /// An order, cancel or quote, and the refusal of one, may name an undefined instrument or account: that
    /// is the submitter's mistake, which the log records as it was submitted. It is counted.
    DefinedBefore "defined-before" since 1 WhatIsKnown "what an event refers to was defined before it";
    /// A publisher's numbering, as recorded by its `PublisherProgress` events, never decreases within an
    /// epoch, and no two orders of an epoch have the same number from the same publisher, so that a retry is
    /// recognised.
    OriginNumbering "origin-numbering" since 1 Everything "publishers' numbering never goes back in an epoch";
    /// A refused order is on the log in full, and the next event of the epoch is the refusal of that order.
    RefusalWhole "refusal-whole" since 1 Everything "a refused order is recorded in full, followed by its refusal";
    /// The parts of the credit that are allotted to shards, each until it is replaced, are together at most
    /// the credit that the latest allotment states for the account or the firm.
    CreditAllotted "credit-allotted" since 1 WhatIsKnown "the credit allotted to shards does not exceed the firm's";
    /// Causes, and all other sequences that an event names, are earlier than the event. What an auditor asks
    /// for may be anywhere.
    CauseEarlier "cause-earlier" since 1 Everything "causes and other sequences named are earlier";
    /// The event that a report names as the one it answers is an order, replacement, cancel or quote.
    AnswersOrder "answers-order" since 1 WhatIsKnown "reports answer orders that are on the log";
    /// A release covers only orders of its epoch and gateway, each once, and not more than there are. The
    /// order up to which it releases is one of them, is before the release, and increases.
    ReleaseOrder "release-order" since 1 WhatIsKnown "releases cover orders before them, and only grow";
    /// The watermark of a release is at or after the end of the last order it releases, never decreases, and
    /// is not after the release itself.
    ReleaseWatermark "release-watermark" since 1 WhatIsKnown "an order left when its watermark had passed";
    /// No venue answers an order before its release watermark has passed. Releases are recorded late, so two
    /// things can be checked. First, where a release of kind durable or later covers all orders of its range,
    /// the padding after an answer records the order as durable: the venue received it after the journal
    /// reported it durable, and the sequencer, which received the answer, saw the watermark at least there.
    /// Second, in an epoch that ended in order, no answered order is after the last release. A refusal by the
    /// member before the order left is not an answer.
    ReportAfterRelease "report-after-release" since 1 WhatIsKnown "no venue answered an order before its release";
    /// No order, replacement or quote is on the log that a pre-trade check of its moment refuses. The checks
    /// run again over the log, with the limits that the configuration of the session and the events before
    /// the order set. Of the events of version 1, the checks whose meaning has not changed since are judged:
    /// order quantity and restricted. Where an order waits to be sealed, the log does not say whether there
    /// was a sealer, and the sizes of the tables of the checks (check `CAPACITY`) are not judged.
    OrderWithinLimits "order-within-limits" since 1 Nothing "no order passed a check that refuses it";
    /// No order, replacement or quote is on the log that an engaged kill switch covers: RTS 6 Art. 12(1).
    OrderUnderSwitch "order-under-switch" since 1 WhatIsKnown "no order passed an engaged kill switch";
    /// No order, replacement or quote of a strategy is on the log after its pause and before it was resumed.
    OrderOfPaused "order-of-paused" since 2 WhatIsKnown "no order of a paused strategy passed";
    /// A change of a limit or of credit, its proposal, the release of a kill switch and an operator's cancel
    /// pass the checks of their moment: the scope or the order exists, and a change has the two people that
    /// the session's configuration requires (RTS 6 Art. 15(6)).
    ChangeAllowed "change-allowed" since 2 Nothing "changes of limits, credit and switches were allowed";
    /// A limit that names a proposal has the terms of that proposal, was proposed by one person and approved
    /// by another, both with their own user of the operating system where that is known, before the proposal
    /// expired, once, and while the limit in force was the one that the proposal states.
    LimitApproved "limit-approved" since 2 WhatIsKnown "proposed limits were approved by another person, once";
    /// In an epoch whose publishers have grants, the publisher that an event names has one for its group of
    /// messages, and for its strategy and account. Only the sequencer's own cancels name no publisher.
    Granted "granted" since 2 Everything "publishers sent only what they were granted";
    /// A reset of a publisher's numbering states a last number that is not before the last one on the log.
    NumberReset "number-reset" since 2 WhatIsKnown "a reset of a publisher's numbering states its last number";
    /// A timer fires once, not before it is due, and in order: the timer that is due first, and of two the
    /// one that was set first. Only a timer that was set and not cancelled fires.
    TimerInOrder "timer-in-order" since 1 WhatIsKnown "timers fired when due, in order, and only those set";
    /// A `CancelReleased` names a cancel of its epoch and gateway that had not left and was not dropped. Its
    /// watermark is not after the event itself and, where it is durable, at or after the end of the cancel.
    CancelLeft "cancel-left" since 2 WhatIsKnown "only cancels left before earlier orders, each once, once durable";
    /// An `OrderDropped` names an order or a cancel that had not left, once, and its cause is a cancel or a
    /// kill switch. No venue reports about it afterwards: only its end by the member follows.
    DroppedStays "dropped-stays" since 2 WhatIsKnown "nothing dropped had left, and nothing dropped left later";
    /// An execution is of an order that works: it is on the log, has the instrument and side that the
    /// execution states, and had not ended.
    FillOfWorking "fill-of-working" since 2 WhatIsKnown "every execution is of an order that works";
    /// An execution is not larger than what was left of its order.
    FillWithinQuantity "fill-within-quantity" since 1 WhatIsKnown "no execution exceeds what was left of its order";
    /// The price of an execution is not worse than the limit of its order: not above that of a buy, and not
    /// below that of a sell.
    FillWithinLimit "fill-within-limit" since 1 WhatIsKnown "no execution is beyond the limit price of its order";
    /// An execution id occurs once for each account, instrument, side and trade date. Busts and corrections
    /// refer to it.
    ExecutionOnce "execution-once" since 2 WhatIsKnown "no execution is reported twice";
    /// The cumulative quantity that a report states is the sum of the order's executions, and the quantity
    /// left is the order's quantity without it, 0 once the order is done.
    QuantitiesAddUp "quantities-add-up" since 1 WhatIsKnown "cumulative quantities and those left add up";
    /// An `EmergencyCancel` is of an epoch of the trail, was answered after it was requested, and was
    /// recorded after that.
    EmergencyRecorded "emergency-recorded" since 2 WhatIsKnown "an emergency cancel is recorded after it happened";
    /// An `OperatorCancel` names an order on the log, and the cancel that follows from it names the same one.
    OperatorCancels "operator-cancels" since 2 WhatIsKnown "an operator's cancel names an order on the log";
    /// Padding records the last event before it and a durable watermark. The watermark never decreases, is
    /// not after the padding, and is at or after that of any earlier release of kind durable or later.
    DurableRecorded "durable-recorded" since 1 Everything "padding records a possible durable watermark";
    /// A trail whose first segment is not segment 1 has a `RetentionAct` event of kind `Expired` that names
    /// all earlier segments: its beginning was not merely lost.
    ExpirySaid "expiry-said" since 1 Everything "a trail without its beginning records its expiry";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
