//! What is done with closed segments while a run goes on: `[at_rest]`.

use super::page::Page;
use crate::keeper::KeepPlan;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AtRestConfig {
    pub(crate) immutable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) copy_to: Option<PathBuf>,
}

impl AtRestConfig {
    pub(super) fn render(&self, page: &mut Page<'_>) {
        page.section("at_rest", "Closed segments, while the run goes on and at its end (docs/compliance.md)");
        page.key("immutable", self.immutable, "give them the flag of chattr +i: takes root");
        let shown = self.copy_to.as_ref().map(|path| path.display().to_string());
        let meaning = "copy them there too, such as to a mounted store with object lock; without it, nowhere";
        page.optional("copy_to", &shown, "/mnt/locked".to_owned(), meaning);
    }

    /// What to do.
    pub(crate) fn plan(&self) -> KeepPlan {
        KeepPlan { immutable: self.immutable, copy_to: self.copy_to.clone() }
    }
}
