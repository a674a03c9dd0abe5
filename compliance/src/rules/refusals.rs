//! Refused orders: each is recorded in full and followed by its refusal, and no publisher's number is used
//! twice.

use super::{CheckCounts, Rule, Verdict, breach};
use stele_risk::OrderTerms;
use stele_wire::Frame;
use stele_wire::messages::{OrderRejected, RefusedOrder};

/// The refused order, by the sender's ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Refused {
    client_order_id: u64,
    account: u32,
    strategy: u16,
}

#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// The refused order whose refusal must be the next event.
    open: Option<Refused>,
}

impl Refusals {
    pub(super) fn on_epoch(&mut self) {
        self.open = None;
    }

    /// Checks any event, before the other rules.
    #[inline]
    pub(super) fn on_event(&mut self, frame: &Frame<'_>, counts: &mut CheckCounts) -> Verdict {
        match self.open.take() {
            None => Ok(()),
            Some(refused) => is_answered(refused, frame, counts),
        }
    }

    pub(super) fn on_refused(&mut self, frame: &Frame<'_>, counts: &mut CheckCounts) -> Verdict {
        counts.add(Rule::RefusalWhole);
        let terms = frame
            .message::<RefusedOrder>()
            .and_then(|refused| OrderTerms::read(refused.template_id.get(), refused.body()));
        let Some(terms) = terms else {
            return breach(Rule::RefusalWhole, "an order, replacement or quote", "another message");
        };
        self.open = Some(Refused {
            client_order_id: terms.client_order_id,
            account: terms.owner.account,
            strategy: terms.owner.strategy,
        });
        Ok(())
    }
}

#[cold]
fn is_answered(refused: Refused, frame: &Frame<'_>, counts: &mut CheckCounts) -> Verdict {
    counts.add(Rule::RefusalWhole);
    let Some(rejected) = frame.message::<OrderRejected>() else {
        return breach(
            Rule::RefusalWhole,
            "the OrderRejected for the refused order before it",
            "another event",
        );
    };
    let found = Refused {
        client_order_id: rejected.client_order_id.get(),
        account: rejected.account.get(),
        strategy: rejected.strategy.get(),
    };
    if found != refused || rejected.order_sequence.get() != 0 {
        let id = |refused: &Refused| format!("the refusal of order {}", refused.client_order_id);
        return breach(Rule::RefusalWhole, id(&refused), id(&found));
    }
    Ok(())
}
