//! Changes of limits, credit and kill switches: only by events, and by two different people where that is
//! required.

use crate::checks::saturated;
use crate::credit::Allotment;
use crate::ledger::holding_key;
use crate::limits;
use crate::limits::{NONE, Pair, Pending, Set, Target, place};
use crate::proposals::{Proposal, as_limit};
use crate::rate::Rate;
use crate::risk::Risk;
use crate::sequenced::SequencedEvent;
use stele_wire::Nanos;
use stele_wire::messages::{
    Check, CreditAllotment, Decision, KillSwitch, LimitProposed, OperatorCancel, PublisherReset,
    RiskDecision, RiskLimit, SwitchState,
};
use zerocopy::FromBytes;

/// Returns whether [`Risk::check_control`] checks messages of this template.
#[inline]
pub fn is_checked_change(template_id: u16) -> bool {
    matches!(
        template_id,
        RiskLimit::TEMPLATE_ID
            | KillSwitch::TEMPLATE_ID
            | CreditAllotment::TEMPLATE_ID
            | LimitProposed::TEMPLATE_ID
            | OperatorCancel::TEMPLATE_ID
            | PublisherReset::TEMPLATE_ID
    )
}

/// Whether the change was made by two different people.
fn are_two(one: u32, other: u32) -> bool {
    one != 0 && other != 0 && one != other
}

impl Risk {
    /// Checks whether a change of the controls themselves may be logged. `body` contains at least the root
    /// block of the message. Messages of other templates pass.
    ///
    /// # Errors
    /// The refusal, which is logged instead of the change. It contains the check to change, as limit the
    /// requested one, and as value the one in force. A change is refused when its scope or unit does not
    /// exist (`MALFORMED`), when there is no room for it, when `four_eyes` requires two different people and
    /// it does not have them (RTS 6 Art. 15(6); SEC 15c3-5(d)), or when it would allot more than the firm's
    /// credit (SEC 15c3-5(c)(1)(i); limit: the firm's credit, value: the sum).
    ///
    /// A limit that approves a proposal is refused when the proposal does not exist, has expired or was used,
    /// when it has other terms, when the limit in force has changed since, or when proposer and approver are
    /// not two people and two verified users of the operating system. A proposal is refused when its scope
    /// does not exist (`MALFORMED`), when the limit in force is not the previous one that it states, or when
    /// there is no room for it (`CAPACITY`). An operator's cancel is refused when the order is not open
    /// (`UNKNOWN_ORDER`).
    pub fn check_control(&mut self, template_id: u16, body: &[u8], now: Nanos) -> Result<(), RiskDecision> {
        self.take_effect(now.0);
        const LONG: &str = "the body contains the block";
        match template_id {
            RiskLimit::TEMPLATE_ID => self.check_limit(RiskLimit::ref_from_prefix(body).expect(LONG).0, now),
            LimitProposed::TEMPLATE_ID => {
                self.check_proposal(LimitProposed::ref_from_prefix(body).expect(LONG).0, now)
            }
            OperatorCancel::TEMPLATE_ID => {
                self.check_operator_cancel(OperatorCancel::ref_from_prefix(body).expect(LONG).0)
            }
            CreditAllotment::TEMPLATE_ID => {
                self.check_allotment(CreditAllotment::ref_from_prefix(body).expect(LONG).0)
            }
            KillSwitch::TEMPLATE_ID => {
                self.check_release_of(KillSwitch::ref_from_prefix(body).expect(LONG).0)
            }
            PublisherReset::TEMPLATE_ID => {
                self.check_reset(PublisherReset::ref_from_prefix(body).expect(LONG).0)
            }
            _ => Ok(()),
        }
    }

    /// A reset lets submissions pass that were taken for duplicates, so it needs two people where four eyes
    /// are required.
    fn check_reset(&self, reset: &PublisherReset) -> Result<(), RiskDecision> {
        if !self.four_eyes || are_two(reset.party.get(), reset.approved_by.get()) {
            return Ok(());
        }
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Err(RiskDecision {
            limit: number(reset.new_number.get()).into(),
            value: number(reset.last_number.get()).into(),
            authorised_by: reset.approved_by,
            verified_by: reset.party,
            check: Check::DUPLICATE,
            decision: Decision::REFUSED,
            reason: reset.reason,
            ..RiskDecision::NULL
        })
    }

    fn check_limit(&self, change: &RiskLimit, now: Nanos) -> Result<(), RiskDecision> {
        let limit = change.limit.get();
        let Some(target) = Target::of(change).filter(|target| target.takes(change.check) && limit >= 0)
        else {
            return Err(refused_limit(change, Check::MALFORMED, NONE));
        };
        let in_force = self.limit_of(target, change.check);
        let proposal = change.proposal.get();
        if proposal != 0 {
            let proposal = self.proposals.get(proposal);
            let is_approved = proposal.is_some_and(|proposal| {
                proposal.is_approved_by(change, now.0) && proposal.previous == in_force
            });
            let is_let = is_approved && self.has_room_for(target);
            return if is_let { Ok(()) } else { Err(refused_limit(change, change.check, in_force)) };
        }
        let is_pending = |other: &Pending| (other.target, other.check) == (target, change.check);
        if in_force == limit && !self.limits.pending.iter().any(is_pending) {
            return Ok(());
        }
        let is_let = !self.four_eyes || are_two(change.changed_by.get(), change.approved_by.get());
        if is_let && self.has_room_for(target) {
            Ok(())
        } else {
            Err(refused_limit(change, change.check, in_force))
        }
    }

    fn check_proposal(&self, event: &LimitProposed, now: Nanos) -> Result<(), RiskDecision> {
        let limit = as_limit(event);
        let proposal = Proposal::of(event, 0)
            .filter(|proposal| proposal.target.takes(proposal.check) && proposal.limit >= 0);
        let Some(proposal) = proposal.filter(|proposal| proposal.proposed_by != 0) else {
            return Err(refused_limit(&limit, Check::MALFORMED, NONE));
        };
        if !self.proposals.has_room(now.0) {
            return Err(refused_limit(&limit, Check::CAPACITY, NONE));
        }
        let in_force = self.limit_of(proposal.target, proposal.check);
        if proposal.previous != in_force || proposal.expires <= now.0 {
            return Err(refused_limit(&limit, proposal.check, in_force));
        }
        Ok(())
    }

    fn check_operator_cancel(&self, request: &OperatorCancel) -> Result<(), RiskDecision> {
        let order = request.order_sequence;
        if order.get() != 0 && self.ledger.orders.find_sequence(order.get()).is_some() {
            return Ok(());
        }
        Err(RiskDecision {
            order_sequence: order,
            limit: 0.into(),
            value: saturated(order.get().into()).into(),
            authorised_by: request.approved_by,
            verified_by: request.party,
            check: Check::UNKNOWN_ORDER,
            decision: Decision::REFUSED,
            reason: request.reason,
            ..RiskDecision::NULL
        })
    }

    fn has_room_for(&self, target: Target) -> bool {
        let (ledger, limits) = (&self.ledger, &self.limits);
        let has_set = |number: Option<u16>, is_full: bool| match number {
            None => !is_full && limits.has_set(),
            Some(0) => limits.has_set(),
            Some(_) => true,
        };
        let has_place = match target {
            Target::All => true,
            Target::Account(id) => {
                has_set(ledger.accounts.get(id).map(|account| account.limits), ledger.accounts.is_full())
            }
            Target::Instrument(id) => {
                let instruments = &self.market.instruments;
                has_set(instruments.get(id).map(|instrument| instrument.limits), instruments.is_full())
            }
            Target::Strategy(id) => {
                let strategies = &ledger.strategies;
                has_set(strategies.get(id.into()).map(|strategy| strategy.limits), strategies.is_full())
            }
            Target::AccountInstrument(account, instrument) => {
                let key = holding_key(account, instrument);
                !limits.of_accounts.is_full() || limits.of_accounts.slot(key).is_some()
            }
            Target::StrategyInstrument(strategy, instrument) => {
                let key = holding_key(strategy.into(), instrument);
                !limits.of_strategies.is_full() || limits.of_strategies.slot(key).is_some()
            }
        };
        has_place && !limits.is_pending_full()
    }

    fn check_allotment(&self, allotment: &CreditAllotment) -> Result<(), RiskDecision> {
        let (account, shard) = (allotment.account.get(), allotment.shard.get());
        let (amount, firm) = (allotment.amount.get(), allotment.firm_limit.get());
        let refusal = |limit: i64, value: i64| RiskDecision {
            account: account.into(),
            limit: limit.into(),
            value: value.into(),
            authorised_by: allotment.approved_by,
            verified_by: allotment.changed_by,
            check: Check::CREDIT,
            decision: Decision::REFUSED,
            ..RiskDecision::NULL
        };
        let sum = self.allotments.sum_with(allotment);
        if amount < 0 || amount == NONE || firm == NONE || sum > firm.into() {
            return Err(refusal(firm, i64::try_from(sum).unwrap_or(i64::MAX)));
        }
        let is_let = !self.four_eyes || are_two(allotment.changed_by.get(), allotment.approved_by.get());
        let accounts = &self.ledger.accounts;
        let has_room = self.allotments.has_room(account, shard)
            && (account == 0 || !accounts.is_full() || accounts.slot(account).is_some());
        if is_let && has_room {
            return Ok(());
        }
        Err(refusal(amount, self.allotments.amount(account, shard).unwrap_or(NONE)))
    }

    /// Anyone may engage a switch. A release needs two people where four eyes are required (RTS 6 Art. 12 and
    /// 15(3): "until re-enabled by a designated staff member").
    fn check_release_of(&self, switch: &KillSwitch) -> Result<(), RiskDecision> {
        let is_engaged = self.switches.is_engaged(switch.scope, switch.scope_id.get());
        let is_release = switch.state == SwitchState::RELEASED && is_engaged;
        if !self.four_eyes || !is_release || are_two(switch.party.get(), switch.approved_by.get()) {
            return Ok(());
        }
        Err(RiskDecision {
            limit: i64::from(SwitchState::RELEASED.0).into(),
            value: i64::from(SwitchState::ENGAGED.0).into(),
            authorised_by: switch.approved_by,
            verified_by: switch.party,
            check: Check::KILL_SWITCH,
            decision: Decision::REFUSED,
            reason: switch.reason,
            ..RiskDecision::NULL
        })
    }

    /// The limit that is set for the scope itself.
    pub(crate) fn limit_of(&self, target: Target, check: Check) -> i64 {
        let of_set = |number: Option<u16>| self.limits.set(number.unwrap_or(0))[place(check)];
        let of_pair = |pair: Option<&Pair>| pair.map_or(NONE, |pair| pair.get(check));
        match target {
            Target::All => self.limits.all[place(check)],
            Target::Account(id) => of_set(self.ledger.accounts.get(id).map(|account| account.limits)),
            Target::Instrument(id) => of_set(self.market.instruments.get(id).map(|known| known.limits)),
            Target::Strategy(id) => {
                of_set(self.ledger.strategies.get(id.into()).map(|strategy| strategy.limits))
            }
            Target::AccountInstrument(account, instrument) => {
                of_pair(self.limits.of_accounts.get(holding_key(account, instrument)))
            }
            Target::StrategyInstrument(strategy, instrument) => {
                of_pair(self.limits.of_strategies.get(holding_key(strategy.into(), instrument)))
            }
        }
    }

    /// The limit in force for the scope, instrument and check that `change` names; `i64::MAX` where there is
    /// none, or where limits have no such scope.
    pub fn limit_in_force(&self, change: &RiskLimit) -> i64 {
        let target = Target::of(change).filter(|target| target.takes(change.check));
        target.map_or(NONE, |target| self.limit_of(target, change.check))
    }

    /// Applies the pending changes that are effective by now.
    #[inline]
    pub(crate) fn take_effect(&mut self, now: u64) {
        if self.limits.next_effective <= now {
            self.apply_due(now);
        }
    }

    #[cold]
    fn apply_due(&mut self, now: u64) {
        while let Some(Pending { target, check, limit, .. }) = self.limits.due(now) {
            self.apply(target, check, limit);
        }
    }

    /// Handles a proposed limit on the log.
    #[cold]
    pub(crate) fn on_proposal(&mut self, proposed: &LimitProposed, event: &SequencedEvent<'_>) {
        let proposal = Proposal::of(proposed, event.sequence.0);
        let proposal = proposal.filter(|proposal| proposal.target.takes(proposal.check));
        proposal.into_iter().for_each(|proposal| self.proposals.add(proposal, event.timestamp.0));
    }

    /// Handles a limit on the log.
    #[cold]
    pub(crate) fn on_limit(&mut self, change: &RiskLimit, now: u64) {
        if change.proposal.get() != 0 {
            self.proposals.remove(change.proposal.get());
        }
        let Some(target) = Target::of(change) else { return };
        let (check, limit, effective) = (change.check, change.limit.get(), change.effective.get());
        if !target.takes(check) || limit < 0 {
            return;
        }
        let is_later = effective != u64::MAX && effective > now;
        if !is_later {
            self.apply(target, check, limit);
        } else if !self.limits.is_pending_full() {
            self.limits.put_off(Pending { effective, target, check, limit });
        }
    }

    /// The set of limits of the scope itself, which is created if there is room.
    fn own_set(&mut self, target: Target) -> Option<&mut Set> {
        let number = match target {
            Target::Account(id) => &mut self.ledger.accounts.entry(id)?.limits,
            Target::Instrument(id) => &mut self.market.instruments.entry(id)?.limits,
            Target::Strategy(id) => &mut self.ledger.strategies.entry(id.into())?.limits,
            _ => return None,
        };
        if *number == 0 {
            *number = self.limits.take_set()?;
        }
        Some(self.limits.set_mut(*number))
    }

    pub(crate) fn apply(&mut self, target: Target, check: Check, limit: i64) {
        let rate = Rate::per_second(limit);
        match target {
            Target::All => self.limits.all[place(check)] = limit,
            Target::AccountInstrument(account, instrument) => {
                let pair = self.limits.of_accounts.entry(holding_key(account, instrument));
                pair.into_iter().for_each(|pair| pair.set(check, limit));
            }
            Target::StrategyInstrument(strategy, instrument) => {
                let pair = self.limits.of_strategies.entry(holding_key(strategy.into(), instrument));
                pair.into_iter().for_each(|pair| pair.set(check, limit));
            }
            _ => self.own_set(target).into_iter().for_each(|set| set[place(check)] = limit),
        }
        if check == Check::MESSAGE_RATE {
            match target {
                Target::Account(id) => {
                    self.ledger.accounts.entry(id).into_iter().for_each(|it| it.rate = rate)
                }
                Target::Strategy(id) => {
                    self.ledger.strategies.entry(id.into()).into_iter().for_each(|it| it.rate = rate);
                }
                _ => self.rate = rate,
            }
        }
        self.limits.derive(self.allotments.iter().len() > 0);
    }

    /// Handles an allotment on the log.
    #[cold]
    pub(crate) fn on_allotment(&mut self, event: &CreditAllotment) {
        let (account, shard) = (event.account.get(), event.shard.get());
        self.allotments.set(Allotment { account, shard, amount: event.amount.get() });
        self.allot();
        self.limits.derive(true);
    }

    /// Sets which shard this is.
    pub(crate) fn set_shard(&mut self, shard: u32) {
        self.shard = shard;
        self.allot();
    }

    /// Sets the credit that each account and the shard may use: 0 where all of it is allotted to other
    /// shards.
    pub(crate) fn allot(&mut self) {
        self.ledger.accounts.values_mut().for_each(|account| account.allotted = limits::NONE);
        let shard = self.shard;
        self.allotted = None;
        for row in self.allotments.iter() {
            let own = if row.shard == shard { row.amount } else { 0 };
            // A shard has at most one row; the rows of others add nothing.
            let added = |before: i64| if before == limits::NONE { own } else { before + own };
            if row.account == 0 {
                self.allotted = Some(added(self.allotted.unwrap_or(limits::NONE)));
            } else if let Some(account) = self.ledger.accounts.entry(row.account) {
                account.allotted = added(account.allotted);
            }
        }
    }

    /// Handles a switch on the log.
    #[cold]
    pub(crate) fn on_switch(&mut self, event: &SequencedEvent<'_>) {
        if let Some(switch) = event.message::<KillSwitch>() {
            self.switches.on_event(&switch);
        }
    }
}

/// The refusal of a limit or of a proposal of it. `in_force` is the limit that stays.
fn refused_limit(change: &RiskLimit, check: Check, in_force: i64) -> RiskDecision {
    RiskDecision {
        account: limited_account(change).into(),
        instrument: change.instrument,
        limit: change.limit,
        value: in_force.into(),
        authorised_by: change.approved_by,
        verified_by: change.changed_by,
        check,
        decision: Decision::REFUSED,
        reason: change.reason,
        ..RiskDecision::NULL
    }
}

/// The account that a limit is for; 0 for none.
fn limited_account(change: &RiskLimit) -> u32 {
    match Target::of(change) {
        Some(Target::Account(account) | Target::AccountInstrument(account, _)) => account,
        _ => 0,
    }
}
