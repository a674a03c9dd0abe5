//! Metrics over HTTP: `[metrics]`.

use super::page::Page;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MetricsConfig {
    pub(crate) listen: Option<String>,
}

impl MetricsConfig {
    pub(super) fn render(&self, page: &mut Page<'_>) {
        page.section("metrics", "The counters for Prometheus, over HTTP, without encryption or password");
        let example = "127.0.0.1:9464".to_owned();
        page.optional("listen", &self.listen, example, "address and port of /metrics; default: no server");
    }
}
