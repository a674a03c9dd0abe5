//! The definitions so far: instruments, sources, strategies, accounts.

use super::plan::{Kind, Plan};
use super::{CheckCounts, Rule, Verdict, breach, field};
use stele_wire::messages::{AccountDefinition, InstrumentDefinition, SourceDefinition, StrategyDefinition};
use stele_wire::{Frame, Sequence};

/// The number of ids in one page of an [`IdSet`].
const PAGE: usize = 1 << 16;

/// A set of ids: one bit each, in pages that are allocated when one of their ids is added.
#[derive(Debug, Default)]
struct IdSet {
    pages: Vec<Option<Box<[u64]>>>,
}

impl IdSet {
    #[inline]
    fn contains(&self, id: u32) -> bool {
        let at = id as usize;
        let page = self.pages.get(at / PAGE).and_then(Option::as_ref);
        page.is_some_and(|page| page[at % PAGE / 64] & 1 << (at % 64) != 0)
    }

    fn insert(&mut self, id: u32) {
        let at = id as usize;
        if self.pages.len() <= at / PAGE {
            self.pages.resize_with(at / PAGE + 1, || None);
        }
        let page = self.pages[at / PAGE].get_or_insert_with(|| vec![0; PAGE / 64].into());
        page[at % PAGE / 64] |= 1 << (at % 64);
    }
}

#[derive(Debug, Default)]
pub(super) struct Definitions {
    known: [IdSet; 4],
    undefined_in_orders: u64,
    before_the_trail: u64,
}

impl Definitions {
    #[inline]
    pub(super) fn on_event(
        &mut self,
        plan: &Plan,
        block: &[u8],
        frame: &Frame<'_>,
        first: Sequence,
        counts: &mut CheckCounts,
    ) -> Verdict {
        if plan.references.is_empty() {
            return Ok(());
        }
        self.define(plan, block);
        for reference in &plan.references {
            let id = match reference.kind {
                Kind::Instrument | Kind::Account => {
                    field(block, reference.offset).map_or(0, u32::from_le_bytes)
                }
                Kind::Source | Kind::Strategy => {
                    field(block, reference.offset).map_or(0, |bytes| u16::from_le_bytes(bytes).into())
                }
            };
            self.refer(reference.kind, id, plan, first, counts)?;
        }
        if plan.id == InstrumentDefinition::TEMPLATE_ID
            && let Some(definition) = frame.message::<InstrumentDefinition>()
        {
            for leg in definition.legs() {
                self.refer(Kind::Instrument, leg.instrument.get(), plan, first, counts)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn define(&mut self, plan: &Plan, block: &[u8]) {
        let kind = match plan.id {
            InstrumentDefinition::TEMPLATE_ID => Kind::Instrument,
            SourceDefinition::TEMPLATE_ID => Kind::Source,
            StrategyDefinition::TEMPLATE_ID => Kind::Strategy,
            AccountDefinition::TEMPLATE_ID => Kind::Account,
            _ => return,
        };
        // The definition's own id is the first id of its kind in the block.
        let own = plan.references.iter().find(|reference| reference.kind == kind);
        let own = own.expect("a definition has an id").offset;
        let id = match kind {
            Kind::Instrument | Kind::Account => field(block, own).map_or(0, u32::from_le_bytes),
            Kind::Source | Kind::Strategy => {
                field(block, own).map_or(0, |bytes| u16::from_le_bytes(bytes).into())
            }
        };
        self.known[kind as usize].insert(id);
    }

    #[inline]
    fn refer(
        &mut self,
        kind: Kind,
        id: u32,
        plan: &Plan,
        first: Sequence,
        counts: &mut CheckCounts,
    ) -> Verdict {
        if id == 0 {
            return Ok(());
        }
        counts.add(Rule::DefinedBefore);
        if self.known[kind as usize].contains(id) {
            return Ok(());
        }
        if plan.is_claim && matches!(kind, Kind::Instrument | Kind::Account) {
            self.undefined_in_orders += 1;
            return Ok(());
        }
        if first > Sequence(1) {
            self.before_the_trail += 1;
            return Ok(());
        }
        let name = match kind {
            Kind::Instrument => "instrument",
            Kind::Source => "source",
            Kind::Strategy => "strategy",
            Kind::Account => "account",
        };
        breach(Rule::DefinedBefore, format!("an earlier definition of {name} {id}"), "none")
    }

    pub(super) fn undefined_in_orders(&self) -> u64 {
        self.undefined_in_orders
    }

    pub(super) fn before_the_trail(&self) -> u64 {
        self.before_the_trail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_in_the_set_once_it_was_added() {
        let mut set = IdSet::default();
        for id in [0, 63, 64, 65_535, 65_536, 1 << 31, u32::MAX] {
            assert!(!set.contains(id));
            set.insert(id);
            assert!(set.contains(id) && !set.contains(id ^ 1));
        }
    }
}
