//! An agent: one job, done in turns. Who calls it decides on thread, core and idling: a [`crate::Core`] or, by
//! hand, an [`Invoker`].

use std::fmt;

/// One job of a running system.
///
/// `do_work` never blocks and, after `on_start`, neither allocates nor locks if it is on the hot path.
pub trait Agent: Send {
    /// The name in counters, logs and errors.
    fn name(&self) -> &str;

    /// Called once, on the thread that will call `do_work`.
    ///
    /// # Errors
    /// What keeps the agent from starting.
    fn on_start(&mut self) -> Result<(), AgentError> {
        Ok(())
    }

    /// One duty cycle. Returns how much was done, 0 when there was nothing to do.
    ///
    /// # Errors
    /// What keeps the agent from going on; it is not called again but for `on_stop`.
    fn do_work(&mut self) -> Result<usize, AgentError>;

    /// Called once at the end, also after an error.
    ///
    /// # Errors
    /// What could not be brought to an end.
    fn on_stop(&mut self) -> Result<(), AgentError> {
        Ok(())
    }

    /// Appends the agent's state to `into`; nothing when it has none.
    ///
    /// # Errors
    /// When the state cannot be told at the moment.
    fn snapshot(&self, into: &mut Vec<u8>) -> Result<(), AgentError> {
        let _ = into;
        Ok(())
    }

    /// Takes the state that `snapshot` told, before `on_start`.
    ///
    /// # Errors
    /// When `state` is not one of this agent's.
    fn restore(&mut self, state: &[u8]) -> Result<(), AgentError> {
        if state.is_empty() {
            Ok(())
        } else {
            Err(AgentError::new(format!("a state of {} bytes for an agent that has none", state.len())))
        }
    }
}

/// Why an agent cannot go on: what, where, and what to do.
#[derive(Debug)]
pub struct AgentError {
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl AgentError {
    /// An error of its own.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// An error that follows from `source`.
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

/// Drives one agent by hand, on the caller's thread: for tests, tools and the simulator.
#[derive(Debug)]
pub struct Invoker<A: Agent> {
    agent: A,
}

impl<A: Agent> Invoker<A> {
    /// Starts the agent.
    ///
    /// # Errors
    /// The agent's own.
    pub fn start(mut agent: A) -> Result<Self, AgentError> {
        agent.on_start()?;
        Ok(Self { agent })
    }

    /// One duty cycle.
    ///
    /// # Errors
    /// The agent's own.
    pub fn invoke(&mut self) -> Result<usize, AgentError> {
        self.agent.do_work()
    }

    /// Duty cycles until one finds nothing to do, at most `cycles`. Returns the work done.
    ///
    /// # Errors
    /// The agent's own.
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

    /// The agent itself.
    pub fn agent(&mut self) -> &mut A {
        &mut self.agent
    }

    /// Stops the agent and gives it back.
    ///
    /// # Errors
    /// The agent's own.
    pub fn stop(mut self) -> Result<A, AgentError> {
        self.agent.on_stop()?;
        Ok(self.agent)
    }
}
