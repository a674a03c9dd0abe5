//! HTTP requests that this process sends: bounded in time and size, and never on a hot thread.

use std::time::Duration;
use ureq::Agent;

/// The time limit of a request, from the look-up of the host's name to the last byte of the response.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a response that are read.
const ANSWER_LENGTH_MAX: u64 = 64 << 10;

/// An HTTP client.
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

    /// Posts `body` with the content type `kind`; returns the status and the body of the response.
    ///
    /// # Errors
    /// A message, where there was no response. A response with an error status is not an error.
    pub(crate) fn post(&self, url: &str, kind: &str, body: &[u8]) -> Result<(u16, Vec<u8>), String> {
        let what = |error: ureq::Error| format!("{url}: {error}");
        let mut answer = self.agent.post(url).header("Content-Type", kind).send(body).map_err(what)?;
        let bytes = answer.body_mut().with_config().limit(ANSWER_LENGTH_MAX).read_to_vec().map_err(what)?;
        Ok((answer.status().as_u16(), bytes))
    }
}

/// Whether `text` is an `http://` or `https://` URL, as far as its form shows.
pub(crate) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(|letter: char| letter.is_whitespace()))
}
