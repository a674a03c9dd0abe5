//! Agents: jobs that are done in duty cycles. The caller decides on which thread and core an agent runs and
//! how it idles. The caller is a [`crate::Core`], or an [`Invoker`] that drives the agent by hand.

use std::fmt;

/// One job of a running system.
///
/// `do_work` never blocks. On the hot path it neither allocates nor locks after `on_start`.
pub trait Agent: Send {
    /// Returns the agent's name in counters, logs and errors.
    fn name(&self) -> &str;

    /// Prepares the agent. It is called once, on the thread that will call `do_work`.
    ///
    /// # Errors
    /// Why the agent cannot start.
    fn on_start(&mut self) -> Result<(), AgentError> {
        Ok(())
    }

    /// Runs one duty cycle. Returns the amount of work done, 0 when there was nothing to do.
    ///
    /// # Errors
    /// Why the agent cannot continue. After an error only `on_stop` is called.
    fn do_work(&mut self) -> Result<usize, AgentError>;

    /// Ends the agent's work. It is called once, also after an error.
    ///
    /// # Errors
    /// Why the work could not be ended in order.
    fn on_stop(&mut self) -> Result<(), AgentError> {
        Ok(())
    }

    /// Appends the agent's state to `into`; appends nothing when it has none.
    ///
    /// # Errors
    /// When the state cannot be written at the moment.
    fn snapshot(&self, into: &mut Vec<u8>) -> Result<(), AgentError> {
        let _ = into;
        Ok(())
    }

    /// Restores the state that `snapshot` wrote. It is called before `on_start`.
    ///
    /// # Errors
    /// When `state` is not a state of this agent.
    fn restore(&mut self, state: &[u8]) -> Result<(), AgentError> {
        if state.is_empty() {
            Ok(())
        } else {
            Err(AgentError::new(format!("got a state of {} bytes for an agent without state", state.len())))
        }
    }
}

/// Why an agent cannot continue. The message says what failed, where, and what to do.
#[derive(Debug)]
pub struct AgentError {
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl AgentError {
    /// An error without a source.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// An error that was caused by `source`.
    pub fn caused_by(
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { message: message.into(), source: Some(source.into()) }
    }
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for AgentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Drives one agent on the caller's thread, for tests, tools and the simulator.
#[derive(Debug)]
pub struct Invoker<A: Agent> {
    agent: A,
}

impl<A: Agent> Invoker<A> {
    /// Starts the agent.
    ///
    /// # Errors
    /// The error of [`Agent::on_start`].
    pub fn start(mut agent: A) -> Result<Self, AgentError> {
        agent.on_start()?;
        Ok(Self { agent })
    }

    /// Runs one duty cycle. Returns the work done.
    ///
    /// # Errors
    /// The error of [`Agent::do_work`].
    pub fn invoke(&mut self) -> Result<usize, AgentError> {
        self.agent.do_work()
    }

    /// Runs duty cycles until one finds nothing to do, at most `cycles`. Returns the work done.
    ///
    /// # Errors
    /// The error of [`Agent::do_work`].
    pub fn invoke_until_idle(&mut self, cycles: usize) -> Result<usize, AgentError> {
        let mut total = 0;
        for _ in 0..cycles {
            match self.agent.do_work()? {
                0 => break,
                work => total += work,
            }
        }
        Ok(total)
    }

    /// Returns the agent.
    pub fn agent(&mut self) -> &mut A {
        &mut self.agent
    }

    /// Stops the agent and returns it.
    ///
    /// # Errors
    /// The error of [`Agent::on_stop`].
    pub fn stop(mut self) -> Result<A, AgentError> {
        self.agent.on_stop()?;
        Ok(self.agent)
    }
}
