//! How long records are kept: `[retention]`.

use super::Config;
use super::page::Page;
use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Seven years: SEC 17a-4(a) requires six; MiFID II Art. 16(7) requires five, and two more if the authority
/// requests it.
const KEEP_DAYS: u64 = 2557;

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RetentionConfig {
    pub(crate) keep_days: u64,
    pub(crate) market_data_days: Option<u64>,
    pub(crate) reference_days: Option<u64>,
    pub(crate) orders_days: Option<u64>,
    pub(crate) control_days: Option<u64>,
    pub(crate) size_max_gib: Option<u64>,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            keep_days: KEEP_DAYS,
            market_data_days: None,
            reference_days: None,
            orders_days: None,
            control_days: None,
            size_max_gib: None,
        }
    }
}

impl RetentionConfig {
    pub(super) fn render(&self, page: &mut Page<'_>) {
        page.section("retention", "How long records are kept before `stele expire` may remove them");
        page.key("keep_days", self.keep_days, "days from the time of the record; 2557 are seven years");
        page.optional("market_data_days", &self.market_data_days, KEEP_DAYS, "for market data");
        page.optional("reference_days", &self.reference_days, KEEP_DAYS, "for definitions");
        page.optional("orders_days", &self.orders_days, KEEP_DAYS, "for orders and reports");
        page.optional("control_days", &self.control_days, KEEP_DAYS, "for all other events");
        page.optional(
            "size_max_gib",
            &self.size_max_gib,
            1024u64,
            "a larger trail is reported; only records that are old enough are removed",
        );
    }
}

impl Config {
    /// Returns the retention that the file configures, or the default without a file.
    pub(crate) fn retention(path: Option<&Path>) -> Result<RetentionConfig, Failure> {
        match path {
            Some(path) => Ok(Self::load(path)?.retention),
            None => Ok(RetentionConfig::default()),
        }
    }
}
