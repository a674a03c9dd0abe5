//! How closed segments are protected while a run goes on: `[at_rest]`.

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
        page.section(
            "at_rest",
            "Protection of closed segments, during the run and at its end (docs/compliance.md)",
        );
        page.key("immutable", self.immutable, "set the immutable flag (chattr +i); needs root");
        let shown = self.copy_to.as_ref().map(|path| path.display().to_string());
        let meaning =
            "also copy them to this directory, such as a mounted store with object lock; default: no copy";
        page.optional("copy_to", &shown, "/mnt/locked".to_owned(), meaning);
    }

    /// Returns what is to be done with closed segments.
    pub(crate) fn plan(&self) -> KeepPlan {
        KeepPlan { immutable: self.immutable, copy_to: self.copy_to.clone() }
    }
}
