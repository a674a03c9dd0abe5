//! The numbering of publishers, as described in `docs/decisions/0002-origin-numbering.md`.

use super::{CheckCounts, Rule, Verdict, breach};
use std::collections::BTreeMap;
use stele_risk::OrderTerms;
use stele_wire::Frame;
use stele_wire::messages::PublisherProgress;

#[derive(Debug, Default)]
pub(super) struct Origins {
    reached: BTreeMap<u16, u64>,
    /// The number of the last order, by publisher.
    orders: BTreeMap<u16, u64>,
}

impl Origins {
    pub(super) fn on_epoch(&mut self) {
        self.reached.clear();
        self.orders.clear();
    }

    /// A person reset the numbering of a publisher, which continues after `number`.
    pub(super) fn on_reset(&mut self, publisher: u16, number: u64) {
        self.reached.insert(publisher, number);
        self.orders.insert(publisher, number);
    }

    /// Messages that reduce risk are numbered too, but trails of earlier program versions may repeat those
    /// numbers.
    pub(super) fn on_order(&mut self, frame: &Frame<'_>, counts: &mut CheckCounts) -> Verdict {
        let Some(terms) = OrderTerms::read(frame.template_id(), frame.body()) else { return Ok(()) };
        let (publisher, number) = (terms.publisher, terms.publisher_sequence);
        if publisher == 0 || matches!(number, 0 | u64::MAX) {
            return Ok(());
        }
        counts.add(Rule::OriginNumbering);
        let last = self.orders.entry(publisher).or_default();
        if number <= *last {
            let expected = format!("an order of publisher {publisher} with a number above {last}");
            return breach(Rule::OriginNumbering, expected, format!("number {number} again"));
        }
        *last = number;
        Ok(())
    }

    pub(super) fn on_progress(&mut self, frame: &Frame<'_>, counts: &mut CheckCounts) -> Verdict {
        counts.add(Rule::OriginNumbering);
        let Some(progress) = frame.message::<PublisherProgress>() else {
            return breach(
                Rule::OriginNumbering,
                "a PublisherProgress that decodes",
                "one that does not decode",
            );
        };
        let (publisher, found) = (progress.publisher.get(), progress.publisher_sequence.get());
        let reached = self.reached.entry(publisher).or_insert(found);
        if found < *reached {
            let expected = format!("publisher {publisher} at {reached} or beyond");
            return breach(Rule::OriginNumbering, expected, found.to_string());
        }
        *reached = found;
        Ok(())
    }
}
