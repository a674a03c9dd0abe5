//! The rules about trading: what was allowed when it was sent, and what venues reported about it.

use super::acts::Acts;
use super::checks::Checks;
use super::grants::Grants;
use super::orders::Orders;
use super::origins::Origins;
use super::plan::{Plan, Role};
use super::proposals::Proposals;
use super::releases::Releases;
use super::reports::{Judge, Reports};
use super::timers::TimerOrder;
use super::working::{Found, Named};
use super::{CheckCounts, EpochSummary, Setting, Site, Verdict};
use std::collections::BTreeSet;
use stele_wire::messages::{OrderDropped, OrderRejected, Side};

#[derive(Debug, Default)]
pub(super) struct Trading {
    checks: Checks,
    proposals: Proposals,
    grants: Grants,
    timers: TimerOrder,
    reports: Reports,
    acts: Acts,
    /// The kill switches on the log, engaged or released.
    switches: BTreeSet<u64>,
}

/// The state of other rules that these rules use.
pub(super) struct Shared<'a> {
    pub(super) orders: &'a mut Orders,
    pub(super) releases: &'a mut Releases,
    pub(super) origins: &'a mut Origins,
    pub(super) epochs: &'a [EpochSummary],
}

impl Trading {
    pub(super) fn on_epoch(&mut self) {
        self.grants.on_epoch();
    }

    /// Judges an event that is not market data.
    pub(super) fn on_event(
        &mut self,
        plan: &Plan,
        site: &Site<'_>,
        setting: &Setting,
        shared: &mut Shared<'_>,
        counts: &mut CheckCounts,
    ) -> Verdict {
        let frame = &site.frame;
        if plan.names_publisher {
            self.grants.on_submitted(site, setting, counts)?;
        }
        if plan.is_timer {
            self.timers.on_event(site, setting, counts)?;
        }
        match plan.role {
            Role::SessionStart => self.checks.on_session(frame, setting),
            Role::Request => self.on_request(site, setting, shared.orders, counts)?,
            Role::Report => self.on_report(site, setting, shared.orders, counts)?,
            Role::Refused => self.checks.on_refused(site),
            Role::CancelReleased => shared.releases.on_cancel_released(site, shared.orders, counts)?,
            Role::Dropped => self.on_dropped(site, setting, shared, counts)?,
            Role::Limit => {
                self.proposals.on_limit(site, setting, counts)?;
                self.checks.on_change(site, setting, counts)?;
            }
            Role::Allotment => self.checks.on_change(site, setting, counts)?,
            Role::Switch => {
                self.checks.on_change(site, setting, counts)?;
                self.switches.insert(site.sequence().0);
            }
            Role::Proposal => {
                self.checks.on_change(site, setting, counts)?;
                self.proposals.on_proposed(site);
            }
            Role::Grant => self.grants.on_grant(frame),
            Role::Reset => {
                let (publisher, number) = self.grants.on_reset(site, counts)?;
                shared.origins.on_reset(publisher, number);
            }
            Role::OperatorCancel => {
                self.acts.on_operator_cancel(site, setting, shared.orders, counts)?;
                self.checks.on_change(site, setting, counts)?;
            }
            Role::Emergency => self.acts.on_emergency(site, shared.epochs, setting, counts)?,
            _ => {}
        }
        Ok(())
    }

    /// Takes an event that changes the state of the pre-trade checks, after it was judged.
    #[inline]
    pub(super) fn follow(&mut self, site: &Site<'_>) {
        self.checks.follow(&site.frame);
    }

    fn on_request(
        &mut self,
        site: &Site<'_>,
        setting: &Setting,
        orders: &Orders,
        counts: &mut CheckCounts,
    ) -> Verdict {
        self.checks.on_order(site, setting, counts)?;
        self.acts.on_cancel(site, setting, &self.reports.working, orders, counts)?;
        self.reports.working.on_request(&site.frame);
        Ok(())
    }

    fn on_report(
        &mut self,
        site: &Site<'_>,
        setting: &Setting,
        orders: &Orders,
        counts: &mut CheckCounts,
    ) -> Verdict {
        if site.frame.template_id() == OrderRejected::TEMPLATE_ID {
            self.checks.on_rejected(site, setting);
        }
        self.reports.on_report(site, &mut Judge { setting, orders, counts })
    }

    fn on_dropped(
        &mut self,
        site: &Site<'_>,
        setting: &Setting,
        shared: &mut Shared<'_>,
        counts: &mut CheckCounts,
    ) -> Verdict {
        let Some(dropped) = site.frame.message::<OrderDropped>() else { return Ok(()) };
        let sequence = dropped.order_sequence.get();
        let named = Named { sequence, account: 0, client_order_id: 0, side: Side::NONE };
        let working = &self.reports.working;
        let order = match working.find(&named, setting, shared.orders) {
            Found::Works(id) => working.get(id),
            _ => None,
        };
        shared.releases.on_dropped(site, shared.orders, order, &self.switches, counts)
    }

    /// The number of refusals that the limits on the log do not explain.
    pub(super) fn unexplained_refusals(&self) -> u64 {
        self.checks.unexplained()
    }

    pub(super) fn before_the_trail(&self) -> u64 {
        self.proposals.before_the_trail()
    }
}
