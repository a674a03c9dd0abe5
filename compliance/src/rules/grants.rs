//! What publishers may send, as their grants on the log state it, and resets of their numbering.

use super::{CheckCounts, Rule, Setting, Site, Verdict, breach};
use std::collections::BTreeMap;
use stele_bus::{MessageClass, template};
use stele_risk::OrderTerms;
use stele_wire::Frame;
use stele_wire::messages::{
    CancelOrder, CancelReleased, CancelScope, GrantGroups, MassCancel, OrderDropped, OrderReleased,
    PublisherGrant, PublisherReset, QuoteCancel, TimerSet,
};

/// A grant, until the publisher gets another one or the epoch ends.
#[derive(Debug)]
struct Grant {
    groups: GrantGroups,
    /// Where it may act: kind and id.
    scopes: Vec<(CancelScope, u32)>,
}

/// An event by its publisher.
#[derive(Clone, Copy)]
struct Submitted {
    publisher: u16,
    number: u64,
    group: GrantGroups,
    /// None where the message states none.
    strategy: Option<u16>,
    account: Option<u32>,
    /// Only the sequencer's own events have no publisher.
    may_be_own: bool,
}

#[derive(Debug, Default)]
pub(super) struct Grants {
    /// The grants of this epoch, by publisher.
    grants: BTreeMap<u16, Grant>,
    /// The highest number of each publisher on the log, over all epochs.
    numbers: BTreeMap<u16, u64>,
}

impl Grants {
    pub(super) fn on_epoch(&mut self) {
        self.grants.clear();
    }

    pub(super) fn on_grant(&mut self, frame: &Frame<'_>) {
        let Some(grant) = frame.message::<PublisherGrant>() else { return };
        let scopes = grant.scopes().map(|scope| (scope.kind, scope.id.get())).collect();
        self.grants.insert(grant.publisher.get(), Grant { groups: grant.groups, scopes });
    }

    /// Returns the publisher and the number after which it continues.
    pub(super) fn on_reset(
        &mut self,
        site: &Site<'_>,
        counts: &mut CheckCounts,
    ) -> Result<(u16, u64), Box<super::Breach>> {
        counts.add(Rule::NumberReset);
        let Some(reset) = site.frame.message::<PublisherReset>() else {
            return breach(Rule::NumberReset, "a PublisherReset that decodes", "one that does not decode")
                .map(|()| (0, 0));
        };
        let (publisher, last, new) = (reset.publisher.get(), reset.last_number.get(), reset.new_number.get());
        let known = self.numbers.insert(publisher, new).unwrap_or(0);
        if last < known {
            let expected = format!("publisher {publisher} at {known} or beyond as its last number");
            breach(Rule::NumberReset, expected, last.to_string())?;
        }
        Ok((publisher, new))
    }

    /// Checks an event that names its publisher; others pass.
    pub(super) fn on_submitted(
        &mut self,
        site: &Site<'_>,
        setting: &Setting,
        counts: &mut CheckCounts,
    ) -> Verdict {
        let Some(submitted) = submitted(&site.frame) else { return Ok(()) };
        let Submitted { publisher, number, .. } = submitted;
        if publisher != 0 && number != u64::MAX {
            let last = self.numbers.entry(publisher).or_default();
            *last = number.max(*last);
        }
        if self.grants.is_empty() || !setting.judges(Rule::Granted) {
            return Ok(());
        }
        counts.add(Rule::Granted);
        if publisher == 0 && submitted.may_be_own {
            return Ok(());
        }
        let Some(grant) = self.grants.get(&publisher) else {
            let expected = format!("a PublisherGrant of publisher {publisher} before its first event");
            return breach(Rule::Granted, expected, "none in this epoch");
        };
        if !grant.groups.contains(submitted.group) {
            let expected = format!("a grant of publisher {publisher} for {}", submitted.group);
            return breach(Rule::Granted, expected, format!("one for {}", grant.groups));
        }
        grant.covers(publisher, CancelScope::STRATEGY, submitted.strategy.map(u32::from))?;
        grant.covers(publisher, CancelScope::ACCOUNT, submitted.account)
    }
}

impl Grant {
    fn covers(&self, publisher: u16, kind: CancelScope, id: Option<u32>) -> Verdict {
        let Some(id) = id else { return Ok(()) };
        let mut ids = self.scopes.iter().filter(|scope| scope.0 == kind).map(|scope| scope.1).peekable();
        if ids.peek().is_none() || ids.any(|granted| granted == id) {
            return Ok(());
        }
        let expected = format!("a grant of publisher {publisher} for {kind} {id}");
        breach(Rule::Granted, expected, "one for others only")
    }
}

fn submitted(frame: &Frame<'_>) -> Option<Submitted> {
    macro_rules! cancel {
        ($message:ident) => {{
            let request = frame.message::<$message>()?;
            Submitted {
                publisher: request.publisher.get(),
                number: request.publisher_sequence.get(),
                group: GrantGroups::ORDERS,
                strategy: Some(request.strategy.get()),
                account: Some(request.account.get()),
                may_be_own: true,
            }
        }};
    }
    macro_rules! release {
        ($message:ident) => {
            Submitted {
                publisher: frame.message::<$message>()?.gateway.get(),
                number: u64::MAX,
                group: GrantGroups::RELEASE,
                strategy: None,
                account: None,
                may_be_own: false,
            }
        };
    }
    Some(match frame.template_id() {
        CancelOrder::TEMPLATE_ID => cancel!(CancelOrder),
        MassCancel::TEMPLATE_ID => cancel!(MassCancel),
        QuoteCancel::TEMPLATE_ID => cancel!(QuoteCancel),
        OrderReleased::TEMPLATE_ID => release!(OrderReleased),
        CancelReleased::TEMPLATE_ID => release!(CancelReleased),
        OrderDropped::TEMPLATE_ID => release!(OrderDropped),
        TimerSet::TEMPLATE_ID => {
            let set = frame.message::<TimerSet>()?;
            Submitted {
                publisher: set.publisher.get(),
                number: set.publisher_sequence.get(),
                group: GrantGroups::STRATEGY_OWN,
                strategy: Some(set.strategy.get()),
                account: None,
                may_be_own: false,
            }
        }
        id if template(id).is_some_and(|template| template.class == MessageClass::NewOrder) => {
            let terms = OrderTerms::read(id, frame.body())?;
            Submitted {
                publisher: terms.publisher,
                number: terms.publisher_sequence,
                group: GrantGroups::ORDERS,
                strategy: Some(terms.owner.strategy),
                account: Some(terms.owner.account),
                may_be_own: false,
            }
        }
        _ => return None,
    })
}
