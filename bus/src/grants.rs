//! What a publisher may submit: groups of messages, and the strategies, accounts and venues that it may name.
//!
//! The sequencer checks grants when it admits a submission. Without scopes that is one comparison of the
//! template's group with the publisher's groups (`Grants::mask`). Everything else is off the hot path.

use crate::bounds::{GRANT_SCOPES_MAX, NUMBER_STEP_MAX_DEFAULT};
use crate::templates::Template;
use std::sync::LazyLock;
use stele_wire::layout::BlockLayout;
use stele_wire::messages::{CancelScope, GrantGroups, KillSwitch, PublisherGrantScopes, SCHEMA, SwitchState};
use zerocopy::FromBytes;

/// What a publisher may submit. Every publisher has grants, they are on the log before its first event
/// (`PublisherGrant`), and what is not granted is refused.
///
/// ```
/// use stele_bus::Grants;
/// use stele_wire::messages::GrantGroups;
///
/// // A desk that trades for two accounts, and nothing else.
/// let desk = Grants::from(GrantGroups::ORDERS).for_accounts([1, 2]);
/// assert!(!desk.groups().contains(GrantGroups::OPERATOR));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grants {
    groups: GrantGroups,
    scopes: Vec<(CancelScope, u32)>,
    number_step_max: u64,
}

/// Why a submission is not granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ungranted {
    /// The publisher has no grant for the group of the message.
    Group,
    /// The message names this strategy, account or venue, which is not in the publisher's scopes.
    Scope(u32),
}

impl From<GrantGroups> for Grants {
    /// These groups, everywhere.
    fn from(groups: GrantGroups) -> Self {
        Self { groups, scopes: Vec::new(), number_step_max: NUMBER_STEP_MAX_DEFAULT }
    }
}

impl Grants {
    /// Market data, messages of other schemas, and the definitions of instruments, sources and codes that
    /// they refer to: what a feed needs.
    pub fn market() -> Self {
        Self::from(GrantGroups::MARKET | GrantGroups::DEFINITIONS)
    }

    /// What begins and ends a session, all definitions, and the controls of an operator: what the main thread
    /// of a program needs.
    pub fn session() -> Self {
        Self::from(GrantGroups::SESSION | GrantGroups::DEFINITIONS | GrantGroups::OPERATOR)
    }

    /// Reports about orders, and the phases of the market: what a venue needs.
    pub fn venue() -> Self {
        Self::from(GrantGroups::REPORTS | GrantGroups::MARKET)
    }

    /// Every group: for a program with a single publisher, and for tests.
    pub fn all() -> Self {
        let groups = [
            GrantGroups::MARKET,
            GrantGroups::DEFINITIONS,
            GrantGroups::ORDERS,
            GrantGroups::STRATEGY_OWN,
            GrantGroups::REPORTS,
            GrantGroups::RELEASE,
            GrantGroups::OPERATOR,
            GrantGroups::SESSION,
        ];
        Self::from(groups.into_iter().fold(GrantGroups::EMPTY, GrantGroups::with))
    }

    /// Limits the publisher to messages of these strategies.
    ///
    /// # Panics
    /// With more than [`GRANT_SCOPES_MAX`] scopes in all.
    #[must_use]
    pub fn for_strategies(self, strategies: impl IntoIterator<Item = u16>) -> Self {
        self.within(CancelScope::STRATEGY, strategies.into_iter().map(u32::from))
    }

    /// Limits the publisher to messages of these accounts.
    ///
    /// # Panics
    /// As [`Grants::for_strategies`].
    #[must_use]
    pub fn for_accounts(self, accounts: impl IntoIterator<Item = u32>) -> Self {
        self.within(CancelScope::ACCOUNT, accounts)
    }

    /// Limits the publisher to messages of these venues, by the number of the source of their reports and
    /// market data.
    ///
    /// # Panics
    /// As [`Grants::for_strategies`].
    #[must_use]
    pub fn for_venues(self, sources: impl IntoIterator<Item = u16>) -> Self {
        self.within(CancelScope::VENUE, sources.into_iter().map(u32::from))
    }

    /// Sets how far ahead of the publisher's last number a submission may be; none: any distance. The default
    /// is [`NUMBER_STEP_MAX_DEFAULT`].
    #[must_use]
    pub fn with_number_step_max(mut self, step: Option<u64>) -> Self {
        self.number_step_max = step.unwrap_or(u64::MAX);
        self
    }

    fn within(mut self, kind: CancelScope, ids: impl IntoIterator<Item = u32>) -> Self {
        self.scopes.extend(ids.into_iter().map(|id| (kind, id)));
        assert!(
            self.scopes.len() <= GRANT_SCOPES_MAX,
            "more than {GRANT_SCOPES_MAX} scopes of one publisher"
        );
        self
    }

    /// The groups of messages that are granted.
    pub fn groups(&self) -> GrantGroups {
        self.groups
    }

    /// How far ahead of the publisher's last number a submission may be; `u64::MAX` means any distance.
    pub fn number_step_max(&self) -> u64 {
        self.number_step_max
    }

    /// The groups that need no further check: all of them without scopes, otherwise none.
    pub(crate) fn mask(&self) -> u16 {
        if self.scopes.is_empty() { self.groups.bits() } else { 0 }
    }

    /// The scopes as they are logged.
    pub(crate) fn scopes(&self) -> impl ExactSizeIterator<Item = PublisherGrantScopes> {
        self.scopes.iter().map(|(kind, id)| PublisherGrantScopes {
            id: (*id).into(),
            kind: *kind,
            reserved: [0; 3],
        })
    }

    /// Prepares what [`Grants::check`] needs, so that no check does.
    pub(crate) fn prepare(&self) {
        LazyLock::force(&SCOPED_FIELDS);
    }

    /// Checks a submission that is not in [`Grants::mask`].
    pub(crate) fn check(&self, template_id: u16, template: &Template, body: &[u8]) -> Result<(), Ungranted> {
        if !self.groups.contains(template.group) || template.group.is_empty() {
            return self.check_own_switch(template_id, body);
        }
        if self.scopes.is_empty() {
            return Ok(());
        }
        let fields = SCOPED_FIELDS.get(usize::from(template_id)).map_or(&[][..], Vec::as_slice);
        fields.iter().try_for_each(|field| field.check(&self.scopes, body))
    }

    /// A strategy host may stop one of its strategies, which failed. It cannot let it trade again.
    fn check_own_switch(&self, template_id: u16, body: &[u8]) -> Result<(), Ungranted> {
        let switch = Some(body).filter(|_| template_id == KillSwitch::TEMPLATE_ID);
        let switch = switch.and_then(|body| KillSwitch::ref_from_prefix(body).ok());
        let (Some((switch, _)), true) = (switch, self.groups.contains(GrantGroups::STRATEGY_OWN)) else {
            return Err(Ungranted::Group);
        };
        if (switch.scope, switch.state) != (CancelScope::STRATEGY, SwitchState::ENGAGED) {
            return Err(Ungranted::Group);
        }
        is_named(&self.scopes, CancelScope::STRATEGY, switch.scope_id.get())
    }
}

/// A field of a message that scopes restrict.
#[derive(Debug)]
enum ScopedField {
    /// A strategy, account or source, of this kind and length in bytes.
    Named { kind: CancelScope, offset: usize, length: usize },
    /// What the message acts on, as a kind and an id: a mass cancel, a switch, a limit.
    Target { kind: usize, id: usize },
}

/// The restricted fields of each message, by template id.
static SCOPED_FIELDS: LazyLock<Vec<Vec<ScopedField>>> = LazyLock::new(|| {
    let last = SCHEMA.messages.iter().map(|message| message.id).max().unwrap_or(0);
    let mut fields: Vec<Vec<ScopedField>> = (0..=last).map(|_| Vec::new()).collect();
    for message in SCHEMA.messages.iter() {
        fields[usize::from(message.id)] = scoped_fields(&message.block);
    }
    fields
});

fn scoped_fields(block: &BlockLayout) -> Vec<ScopedField> {
    let offset_of =
        |name: &str| block.fields.iter().find(|field| field.name == name).map(|field| field.offset.into());
    let named = block.fields.iter().filter_map(|field| {
        let (kind, length) = match &*field.semantic {
            "Strategy" => (CancelScope::STRATEGY, 2),
            "Account" => (CancelScope::ACCOUNT, 4),
            "Source" => (CancelScope::VENUE, 2),
            _ => return None,
        };
        Some(ScopedField::Named { kind, offset: field.offset.into(), length })
    });
    let target = offset_of("scope").zip(offset_of("scopeId"));
    named.chain(target.map(|(kind, id)| ScopedField::Target { kind, id })).collect()
}

impl ScopedField {
    /// The body contains the message's block, and so the field.
    fn check(&self, scopes: &[(CancelScope, u32)], body: &[u8]) -> Result<(), Ungranted> {
        let number = |offset: usize, length: usize| {
            let mut bytes = [0; 4];
            bytes[..length].copy_from_slice(&body[offset..offset + length]);
            u32::from_le_bytes(bytes)
        };
        match *self {
            Self::Named { kind, offset, length } => is_named(scopes, kind, number(offset, length)),
            Self::Target { kind, id } => {
                let target = (CancelScope(body[kind]), number(id, 4));
                if scopes.contains(&target) { Ok(()) } else { Err(Ungranted::Scope(target.1)) }
            }
        }
    }
}

/// Without a scope of the kind, every id is granted.
fn is_named(scopes: &[(CancelScope, u32)], kind: CancelScope, id: u32) -> Result<(), Ungranted> {
    let mut of_kind = scopes.iter().filter(|scope| scope.0 == kind).peekable();
    let is_granted = of_kind.peek().is_none() || of_kind.any(|scope| scope.1 == id);
    if is_granted { Ok(()) } else { Err(Ungranted::Scope(id)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::templates::template;
    use stele_wire::codec::Message;
    use stele_wire::messages::{BookAdd, MassCancel, NewOrder, OrderFilled, SessionEnd};

    fn check<M: Message>(grants: &Grants, message: &M) -> Result<(), Ungranted> {
        grants.check(M::TEMPLATE_ID, &template(M::TEMPLATE_ID).unwrap(), message.as_bytes())
    }

    #[test]
    fn a_scope_restricts_every_field_of_its_kind_and_what_a_mass_cancel_acts_on() {
        let desk = Grants::from(GrantGroups::ORDERS).for_accounts([7, 9]).for_strategies([3]);
        let order = |account: u32, strategy: u16| NewOrder {
            account: account.into(),
            strategy: strategy.into(),
            ..NewOrder::NULL
        };
        assert_eq!(check(&desk, &order(7, 3)), Ok(()));
        assert_eq!(check(&desk, &order(8, 3)), Err(Ungranted::Scope(8)));
        assert_eq!(check(&desk, &order(9, 4)), Err(Ungranted::Scope(4)));
        assert_eq!(check(&desk, &order(0, 3)), Err(Ungranted::Scope(0)));
        let cancel = |scope, id: u32| MassCancel {
            account: 7.into(),
            strategy: 3.into(),
            scope,
            scope_id: id.into(),
            ..MassCancel::NULL
        };
        assert_eq!(check(&desk, &cancel(CancelScope::ACCOUNT, 9)), Ok(()));
        assert_eq!(check(&desk, &cancel(CancelScope::ACCOUNT, 1)), Err(Ungranted::Scope(1)));
        assert_eq!(check(&desk, &cancel(CancelScope::ALL, 0)), Err(Ungranted::Scope(0)));
    }

    #[test]
    fn a_venue_reports_only_for_itself() {
        let venue = Grants::from(GrantGroups::REPORTS).for_venues([5]);
        let fill = |source: u16| OrderFilled { source: source.into(), ..OrderFilled::NULL };
        assert_eq!(check(&venue, &fill(5)), Ok(()));
        assert_eq!(check(&venue, &fill(6)), Err(Ungranted::Scope(6)));
        assert_eq!(check(&venue, &BookAdd::NULL), Err(Ungranted::Group));
    }

    #[test]
    fn a_strategy_host_stops_its_own_strategy_and_releases_none() {
        let host = Grants::from(GrantGroups::ORDERS | GrantGroups::STRATEGY_OWN).for_strategies([3]);
        let switch =
            |scope, id: u32, state| KillSwitch { scope, scope_id: id.into(), state, ..KillSwitch::NULL };
        assert_eq!(check(&host, &switch(CancelScope::STRATEGY, 3, SwitchState::ENGAGED)), Ok(()));
        for refused in [
            switch(CancelScope::STRATEGY, 3, SwitchState::RELEASED),
            switch(CancelScope::STRATEGY, 4, SwitchState::ENGAGED),
            switch(CancelScope::ALL, 0, SwitchState::ENGAGED),
        ] {
            assert!(check(&host, &refused).is_err(), "{refused:?}");
        }
        let feed = Grants::market();
        assert!(check(&feed, &switch(CancelScope::STRATEGY, 3, SwitchState::ENGAGED)).is_err());
    }

    #[test]
    fn all_grants_are_not_those_of_the_sequencer() {
        let all = Grants::all();
        assert_eq!(check(&all, &SessionEnd::NULL), Ok(()));
        for id in 0..=600 {
            let Some(known) = template(id) else { continue };
            let is_granted = all.mask() & known.group.bits() != 0;
            assert_eq!(is_granted, !known.group.is_empty(), "template {id}");
        }
    }
}
