//! Requests over HTTP that go out of this process: bounded in time and size, and never on a hot thread.

use std::time::Duration;
use ureq::Agent;

/// From the first look-up of a name to the last byte of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of the longest answer that is read.
const ANSWER_LENGTH_MAX: u64 = 64 << 10;

/// Who asks.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
}

impl Client {
    pub(crate) fn new() -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("stele/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into() }
    }

    /// Posts `body`; gives the status and what came back.
    ///
    /// # Errors
    /// What went wrong, for a person. A status that says that something did is none.
    pub(crate) fn post(&self, url: &str, kind: &str, body: &[u8]) -> Result<(u16, Vec<u8>), String> {
        let what = |error: ureq::Error| format!("{url}: {error}");
        let mut answer = self.agent.post(url).header("Content-Type", kind).send(body).map_err(what)?;
        let bytes = answer.body_mut().with_config().limit(ANSWER_LENGTH_MAX).read_to_vec().map_err(what)?;
        Ok((answer.status().as_u16(), bytes))
    }
}

/// Whether it can be the address of something on the web.
pub(crate) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(|letter: char| letter.is_whitespace()))
}
