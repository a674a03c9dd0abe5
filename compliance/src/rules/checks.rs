//! The pre-trade checks, run again over the log: what they refuse may not be on it.
//!
//! [`stele_risk::Risk`] follows the log as the sequencer's own does. Each order is checked before it is
//! handled, at the time of its event. So a limit, a switch or a pause that an order passed although it stood
//! is found, whatever the program that wrote the log held to be in force.

use super::{CheckCounts, Rule, Setting, Site, Verdict, breach, configuration};
use stele_risk::{Breach, OrderTerms, Risk, RiskLimits, is_checked_change};
use stele_wire::Frame;
use stele_wire::messages::{Check, OrderRejected, RefusedOrder, RiskDecision, SessionStart};

#[derive(Debug, Default)]
pub(super) struct Checks {
    /// None before the first event that it follows.
    risk: Option<Risk>,
    has_session: bool,
    /// What the checks say about the refused order whose refusal is the next event.
    refused: Option<Result<(), Breach>>,
    unexplained: u64,
}

/// Checks whose meaning is the same in every version of the schema and does not depend on the state of
/// orders, accounts and markets.
const SINCE_VERSION_1: [Check; 2] = [Check::ORDER_QUANTITY, Check::RESTRICTED];

impl Checks {
    /// A session begins: its configuration states limits that may not be on the log as events.
    pub(super) fn on_session(&mut self, frame: &Frame<'_>, setting: &Setting) {
        let Some(start) = frame.message::<SessionStart>() else { return };
        let limits = configuration::limits(start.configuration());
        let is_first = !std::mem::replace(&mut self.has_session, true) && setting.has_beginning();
        match &mut self.risk {
            Some(risk) if !is_first => risk.judge_session(&limits),
            unknown => *unknown = Some(Risk::judge(limits)),
        }
    }

    fn risk(&mut self) -> &mut Risk {
        let unknown = RiskLimits { has_sealer: true, ..RiskLimits::default() };
        self.risk.get_or_insert_with(|| Risk::judge(unknown))
    }

    /// Checks an order, replacement or quote; other requests pass.
    pub(super) fn on_order(
        &mut self,
        site: &Site<'_>,
        setting: &Setting,
        counts: &mut CheckCounts,
    ) -> Verdict {
        let frame = &site.frame;
        let Some(terms) = OrderTerms::read(frame.template_id(), frame.body()) else { return Ok(()) };
        let verdict = self.risk().check(&terms, frame.timestamp());
        let found = verdict.err().map(|failed| (rule_of(failed.check), failed));
        for rule in [Rule::OrderUnderSwitch, Rule::OrderOfPaused, Rule::OrderWithinLimits] {
            if !setting.judges(rule) || setting.is_partial {
                continue;
            }
            counts.add(rule);
            if let Some((broken, failed)) = found
                && broken == rule
                && failed.check != Check::CAPACITY
                && (setting.version >= 2
                    || rule == Rule::OrderUnderSwitch
                    || SINCE_VERSION_1.contains(&failed.check))
            {
                return describe(rule, &terms, failed);
            }
        }
        Ok(())
    }

    /// Notes what the checks say about a refused order.
    pub(super) fn on_refused(&mut self, site: &Site<'_>) {
        let terms = site
            .frame
            .message::<RefusedOrder>()
            .and_then(|refused| OrderTerms::read(refused.template_id.get(), refused.body()));
        self.refused = terms.map(|terms| self.risk().check(&terms, site.frame.timestamp()));
    }

    /// Compares the refusal of an order with what the checks say.
    pub(super) fn on_rejected(&mut self, site: &Site<'_>, setting: &Setting) {
        let Some(verdict) = self.refused.take() else { return };
        let Some(rejected) = site.frame.message::<OrderRejected>() else { return };
        // The state of the ring, of the sealer, of the grants and of the tables is not known here.
        let elsewhere = [Check::BUS_BEHIND, Check::RELEASE_HELD, Check::NOT_GRANTED, Check::CAPACITY];
        let is_judged =
            setting.has_beginning() && setting.version >= 2 && !elsewhere.contains(&rejected.check);
        let is_same = verdict.is_err_and(|failed| failed.check == rejected.check);
        self.unexplained += u64::from(is_judged && !is_same);
    }

    /// Checks a change of the controls.
    pub(super) fn on_change(
        &mut self,
        site: &Site<'_>,
        setting: &Setting,
        counts: &mut CheckCounts,
    ) -> Verdict {
        let (frame, rule) = (&site.frame, Rule::ChangeAllowed);
        if !is_checked_change(frame.template_id()) || !setting.judges(rule) {
            return Ok(());
        }
        counts.add(rule);
        match self.risk().check_control(frame.template_id(), frame.body(), frame.timestamp()) {
            Ok(()) => Ok(()),
            Err(refusal) => {
                let RiskDecision { check, limit, value, authorised_by, verified_by, .. } = refusal;
                let found = format!(
                    "{check}: asked for {limit}, in force {value}, by {verified_by}, approved by {authorised_by}"
                );
                breach(rule, "a change that the checks of this moment allow", found)
            }
        }
    }

    /// Takes an event that changes the state of the checks, after it was judged.
    #[inline]
    pub(super) fn follow(&mut self, frame: &Frame<'_>) {
        self.risk().on_event(frame);
    }

    /// The number of refusals that the limits on the log do not explain.
    pub(super) fn unexplained(&self) -> u64 {
        self.unexplained
    }
}

fn rule_of(check: Check) -> Rule {
    match check {
        Check::KILL_SWITCH => Rule::OrderUnderSwitch,
        Check::PAUSED => Rule::OrderOfPaused,
        _ => Rule::OrderWithinLimits,
    }
}

fn describe(rule: Rule, terms: &OrderTerms, failed: Breach) -> Verdict {
    let Breach { check, limit, value } = failed;
    let owner = &terms.owner;
    let expected = match rule {
        Rule::OrderUnderSwitch => "no order that an engaged kill switch covers".to_owned(),
        Rule::OrderOfPaused => format!("no order of strategy {}, which is paused", owner.strategy),
        _ => format!("an order that passes {check}, whose limit is {limit}"),
    };
    let found = format!(
        "order {} of account {}, strategy {}, instrument {}: {check}, value {value}",
        terms.client_order_id, owner.account, owner.strategy, owner.instrument
    );
    breach(rule, expected, found)
}
