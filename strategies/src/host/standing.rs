//! What the log says about a strategy from outside: its kind, its parameters, and whether it is paused.
//!
//! Pure: it follows from definitions and commands alone, so a reader of the log needs no running strategy for
//! it. The host keeps one for each strategy. A command that would not apply is refused by the same code
//! before it is logged.

use crate::parameters::ParameterError;
use crate::snapshot::{RestoreError, SnapshotReader, SnapshotWrite};
use stele_wire::Sequence;
use stele_wire::codec::View;
use stele_wire::messages::{StrategyAct, StrategyCommand};

/// The standing of a strategy.
///
/// - A pause holds for the strategy's number until an operator resumes it: over the end of the session, a
///   restart, and a new instance.
/// - Parameters that an operator set hold while the configuration of the strategy stays as it was. A
///   definition with other parameters replaces them.
///
/// # Examples
///
/// ```
/// use stele_strategies::Standing;
/// use stele_wire::Sequence;
///
/// let standing = Standing::begin("ma-cross", "fast = 5\n", Sequence(9), None);
/// assert_eq!((standing.parameters_at, standing.paused_at), (Sequence(9), None));
/// assert!(standing.is_resumed_by("ma-cross", "fast = 5\n"));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Name of the kind of strategy.
    pub name: String,
    /// The parameters of its newest definition, as TOML: those of the configuration.
    pub definition: String,
    /// The parameters that it runs with, as TOML: those of the definition, until an operator sets others.
    pub parameters: String,
    /// The `StrategyDefinition` or `StrategyCommand` that set the parameters that it runs with.
    pub parameters_at: Sequence,
    /// The `StrategyCommand` that paused it; none while it is not paused.
    pub paused_at: Option<Sequence>,
}

/// Why a command of an operator does not apply to a strategy.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IgnoredCommand {
    /// It is paused already.
    #[error("it is paused already, since event {since}")]
    Paused {
        /// The command that paused it.
        since: Sequence,
    },
    /// It is not paused.
    #[error("it is not paused")]
    NotPaused,
    /// Its parameters were changed after the operator read them.
    #[error("its parameters are those of event {since}, and the command replaces those of event {expected}")]
    Superseded {
        /// The event that set the parameters that it runs with.
        since: Sequence,
        /// The event that the command names.
        expected: Sequence,
    },
    /// It does not take the parameters.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    /// It has failed, and does not run until a definition starts it again.
    #[error("it has failed, and does not run until a session starts it again")]
    Failed,
    /// The act is not one that this program knows.
    #[error("{act} is not an act that this program knows")]
    UnknownAct {
        /// The act's value on the wire.
        act: u8,
    },
}

impl Standing {
    /// The standing of a new instance that the definition at `sequence` starts. `before` is that of the
    /// instance that it replaces, whose pause holds.
    pub fn begin(name: &str, parameters: &str, sequence: Sequence, before: Option<&Self>) -> Self {
        Self {
            name: name.into(),
            definition: parameters.into(),
            parameters: parameters.into(),
            parameters_at: sequence,
            paused_at: before.and_then(|before| before.paused_at),
        }
    }

    /// Whether a definition with this name and these parameters can resume the instance: they are those of
    /// its last definition, or those that it runs with.
    pub fn is_resumed_by(&self, name: &str, parameters: &str) -> bool {
        self.name == name && [&*self.definition, &*self.parameters].contains(&parameters)
    }

    /// Follows the definition at `sequence`, which resumes the instance.
    pub fn resume(&mut self, parameters: &str, sequence: Sequence) {
        self.definition = parameters.into();
        if self.parameters == parameters {
            self.parameters_at = sequence;
        }
    }

    /// Applies the command at `sequence`. `set` sets the parameters of the strategy itself, or checks whether
    /// it would take them.
    ///
    /// # Errors
    /// [`IgnoredCommand`]: the command does not apply. The standing is then unchanged.
    pub fn apply(
        &mut self,
        command: &View<'_, StrategyCommand>,
        sequence: Sequence,
        set: impl FnOnce(&str) -> Result<(), IgnoredCommand>,
    ) -> Result<(), IgnoredCommand> {
        match (command.act, self.paused_at) {
            (StrategyAct::PAUSE, Some(since)) => return Err(IgnoredCommand::Paused { since }),
            (StrategyAct::PAUSE, None) => self.paused_at = Some(sequence),
            (StrategyAct::RESUME, None) => return Err(IgnoredCommand::NotPaused),
            (StrategyAct::RESUME, Some(_)) => self.paused_at = None,
            (StrategyAct::SET_PARAMETERS, _) => {
                let (since, expected) = (self.parameters_at, Sequence(command.previous.get()));
                if since != expected {
                    return Err(IgnoredCommand::Superseded { since, expected });
                }
                let wanted = str::from_utf8(command.parameters())
                    .map_err(|error| ParameterError::Toml(error.to_string()))?;
                set(wanted)?;
                (self.parameters, self.parameters_at) = (wanted.into(), sequence);
            }
            (act, _) => return Err(IgnoredCommand::UnknownAct { act: act.0 }),
        }
        Ok(())
    }

    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        let Self { name, definition, parameters, parameters_at, paused_at } = self;
        [name, definition, parameters].into_iter().for_each(|text| out.put_bytes(text.as_bytes()));
        out.put_u64(parameters_at.0);
        out.put_u64(paused_at.unwrap_or_default().0);
    }

    pub(super) fn restore(reader: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut text = || Ok(String::from_utf8_lossy(reader.bytes()?).into_owned());
        let (name, definition, parameters) = (text()?, text()?, text()?);
        Ok(Self {
            name,
            definition,
            parameters,
            parameters_at: Sequence(reader.u64()?),
            paused_at: Some(Sequence(reader.u64()?)).filter(|paused| paused.0 != 0),
        })
    }
}
