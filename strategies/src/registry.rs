//! The strategies that a program knows, by name.

use crate::parameters::{Parameter, ParameterError, Parameters, describe, nearest};
use crate::strategy::Strategy;

/// The maximum length of a strategy's name in bytes: the length of the name field of an event.
const NAME_LENGTH_MAX: usize = 32;

/// The name that the commands take as a request for the list of strategies.
const HELP: &str = "help";

/// A kind of strategy: its name, its parameters and how to make an instance.
#[derive(Clone, Copy)]
pub struct StrategyKind {
    /// The name: 1 to 32 lower-case letters, digits and hyphens, with a letter first. `help` is reserved.
    pub name: &'static str,
    /// What the strategy does, in one sentence.
    pub about: &'static str,
    /// The parameters that it takes.
    pub parameters: &'static [Parameter],
    /// Makes an instance. Fails when the values of the parameters contradict each other.
    pub make: fn(&Parameters) -> Result<Box<dyn Strategy>, ParameterError>,
}

impl StrategyKind {
    /// A text for people: name, description and the table of parameters.
    pub fn describe(&self) -> String {
        format!("{}: {}\n{}", self.name, self.about, describe(self.parameters))
    }

    /// Makes an instance with the parameters of a TOML text, and returns it with the complete parameters.
    ///
    /// # Errors
    /// [`ParameterError`] when a parameter is unknown, invalid or out of range, or when two of them
    /// contradict each other.
    pub fn start(&self, toml: &str) -> Result<(Parameters, Box<dyn Strategy>), ParameterError> {
        let parameters = Parameters::from_toml(self.parameters, toml)?;
        let strategy = (self.make)(&parameters)?;
        Ok((parameters, strategy))
    }

    /// Whether an instance that runs with the parameters `running` takes the parameters `wanted`, both as
    /// TOML. Returns `wanted` with the defaults of what it does not name.
    ///
    /// # Errors
    /// As [`StrategyKind::start`], and when the strategy does not change a parameter while it runs
    /// ([`Strategy::set_parameters`]).
    pub fn check_change(&self, running: &str, wanted: &str) -> Result<Parameters, ParameterError> {
        let (parameters, _) = self.start(wanted)?;
        let (_, mut strategy) = self.start(running)?;
        strategy.set_parameters(&parameters)?;
        Ok(parameters)
    }
}

/// A strategy cannot be registered under its name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RegisterError {
    /// The name is empty, too long, or has a character that is not allowed.
    #[error(
        "invalid name {name:?} for a strategy: use 1 to {NAME_LENGTH_MAX} lower-case letters, digits and \
         single hyphens between them, and start with a letter"
    )]
    BadName {
        /// The name that was given.
        name: String,
    },
    /// The commands use the name for something else.
    #[error(
        "the name `{name}` is reserved, because `--strategy {name}` lists the strategies: choose another name"
    )]
    Reserved {
        /// The name that was given.
        name: String,
    },
    /// A registered strategy already has the name.
    #[error("a strategy named `{name}` is already registered: choose another name")]
    Taken {
        /// The name that was given.
        name: String,
    },
}

/// No strategy has the given name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown strategy `{name}`{}; known strategies: {known}", nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
pub struct UnknownStrategy {
    /// The name that was given.
    pub name: String,
    /// The most similar name, if one is similar enough.
    pub nearest: Option<&'static str>,
    /// All names, separated by commas.
    pub known: String,
}

/// The strategies that a host can start.
///
/// # Examples
///
/// ```
/// use stele_strategies::Registry;
///
/// let registry = Registry::built_in();
/// let kind = registry.find("ma-cross").unwrap();
/// let (parameters, _strategy) = kind.start("fast = 5").unwrap();
/// assert_eq!((parameters.integer("fast"), parameters.integer("slow")), (5, 32));
///
/// let error = registry.find("ma-corss").map(|kind| kind.name).unwrap_err();
/// assert_eq!(error.nearest, Some("ma-cross"));
/// ```
#[derive(Clone)]
pub struct Registry {
    kinds: Vec<StrategyKind>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::built_in()
    }
}

impl Registry {
    /// The built-in strategies of this crate.
    pub fn built_in() -> Self {
        let kinds = vec![
            crate::moving_average_cross::KIND,
            crate::dip_buyer::KIND,
            crate::lead_lag::KIND,
            crate::market_maker::KIND,
            crate::pairs::KIND,
            crate::twap::KIND,
            crate::vwap::KIND,
            crate::flow_momentum::KIND,
        ];
        Self { kinds }
    }

    /// Adds a kind of strategy.
    ///
    /// # Errors
    /// [`RegisterError`] when the name is invalid, reserved or taken.
    pub fn register(&mut self, kind: StrategyKind) -> Result<(), RegisterError> {
        self.check_name(kind.name)?;
        self.kinds.push(kind);
        Ok(())
    }

    /// Adds a kind of strategy in place of the one with its name, if there is one.
    ///
    /// # Errors
    /// [`RegisterError`] when the name is invalid or reserved.
    pub fn replace(&mut self, kind: StrategyKind) -> Result<(), RegisterError> {
        check_form(kind.name)?;
        self.kinds.retain(|known| known.name != kind.name);
        self.kinds.push(kind);
        Ok(())
    }

    /// Checks whether a kind of strategy could be registered under this name.
    ///
    /// # Errors
    /// [`RegisterError`] when the name is invalid, reserved or taken.
    pub fn check_name(&self, name: &str) -> Result<(), RegisterError> {
        check_form(name)?;
        match self.kinds.iter().any(|kind| kind.name == name) {
            true => Err(RegisterError::Taken { name: name.into() }),
            false => Ok(()),
        }
    }

    /// All kinds of strategies.
    pub fn kinds(&self) -> &[StrategyKind] {
        &self.kinds
    }

    /// The kind with this name.
    ///
    /// # Errors
    /// [`UnknownStrategy`], with the most similar name.
    pub fn find(&self, name: &str) -> Result<&StrategyKind, UnknownStrategy> {
        self.kinds.iter().find(|kind| kind.name == name).ok_or_else(|| {
            let names = self.kinds.iter().map(|kind| kind.name);
            let nearest = nearest(name, names.clone());
            UnknownStrategy { name: name.into(), nearest, known: names.collect::<Vec<_>>().join(", ") }
        })
    }
}

/// Checks that a name is valid and not reserved.
fn check_form(name: &str) -> Result<(), RegisterError> {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let is_valid = name.len() <= NAME_LENGTH_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.split('-').all(is_part);
    match name {
        _ if !is_valid => Err(RegisterError::BadName { name: name.into() }),
        HELP => Err(RegisterError::Reserved { name: name.into() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_a_reserved_and_a_taken_name_are_refused() {
        let mut registry = Registry::built_in();
        let count = registry.kinds().len();
        let named = |name| StrategyKind { name, ..crate::dip_buyer::KIND };
        let long = "an-entirely-too-long-name-for-an-event";
        for bad in ["", "1st", "-a", "a-", "a--b", "my alpha", "Alpha", "a_b", "\u{e4}lpha", "a\nb", long] {
            assert_eq!(registry.register(named(bad)), Err(RegisterError::BadName { name: bad.into() }));
            assert!(registry.replace(named(bad)).is_err(), "{bad}");
        }
        let reserved = Err(RegisterError::Reserved { name: "help".into() });
        assert_eq!(registry.register(named("help")), reserved);
        assert_eq!(registry.replace(named("help")), reserved);
        assert_eq!(registry.register(named("alpha-2")), Ok(()));
        for taken in ["alpha-2", "ma-cross"] {
            assert_eq!(registry.register(named(taken)), Err(RegisterError::Taken { name: taken.into() }));
        }
        assert_eq!(registry.kinds().len(), count + 1);
    }

    #[test]
    fn a_kind_is_replaced_only_on_purpose() {
        let mut registry = Registry::built_in();
        let count = registry.kinds().len();
        let mine = StrategyKind { about: "Mine.", ..crate::dip_buyer::KIND };
        registry.replace(mine).unwrap();
        assert_eq!((registry.kinds().len(), registry.find("dip-buyer").unwrap().about), (count, "Mine."));
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_most_similar_one() {
        let registry = Registry::built_in();
        assert_eq!(registry.find("ma-cross").unwrap().name, "ma-cross");
        let error = registry.find("ma-corss").map(|kind| kind.name).unwrap_err();
        assert_eq!(error.nearest, Some("ma-cross"));
        let said = error.to_string();
        assert!(said.contains("did you mean `ma-cross`?; known strategies: ma-cross, dip-buyer, "), "{said}");
    }

    #[test]
    fn every_kind_starts_with_its_defaults_and_describes_itself() {
        for kind in Registry::built_in().kinds() {
            assert!(kind.start("").is_ok());
            assert_eq!(kind.describe().lines().count(), 1 + kind.parameters.len());
            assert!(kind.name.len() <= 32);
        }
    }

    #[test]
    fn every_kind_refuses_a_number_out_of_range_and_names_the_range() {
        use crate::parameters::Domain;
        for kind in Registry::built_in().kinds() {
            for parameter in kind.parameters {
                let wrong = match parameter.domain {
                    Domain::Integer { max, .. } => (max + 1).to_string(),
                    Domain::Decimal { min, .. } => stele_wire::Price(min - 1).to_string(),
                    Domain::Duration { min: 1.., .. } => "\"0ns\"".into(),
                    _ => continue,
                };
                let toml = format!("{} = {wrong}", parameter.name);
                let error = kind.start(&toml).map(|_| ()).unwrap_err().to_string();
                let range =
                    format!("parameter `{}` is {}, but must be", parameter.name, wrong.trim_matches('"'));
                assert!(error.starts_with(&range) && error.contains(" from "), "{}: {error}", kind.name);
            }
        }
    }
}
