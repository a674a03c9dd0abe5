//! Strategies by their names.

use crate::parameters::{Parameter, ParameterError, Parameters, describe, nearest};
use crate::strategy::Strategy;

/// A kind of strategy: what it is called, what it can be told, and how one is made.
#[derive(Clone, Copy)]
pub struct StrategyKind {
    /// The name, in kebab case, at most 32 bytes.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// Makes an instance, or says why the parameters do not fit each other.
    pub make: fn(&Parameters) -> Result<Box<dyn Strategy>, ParameterError>,
}

impl StrategyKind {
    /// Name, what it does and the table of its parameters, for a person.
    pub fn describe(&self) -> String {
        format!("{}: {}\n{}", self.name, self.about, describe(self.parameters))
    }

    /// An instance by a TOML text, with the parameters in full.
    ///
    /// # Errors
    /// [`ParameterError`].
    pub fn start(&self, toml: &str) -> Result<(Parameters, Box<dyn Strategy>), ParameterError> {
        let parameters = Parameters::from_toml(self.parameters, toml)?;
        let strategy = (self.make)(&parameters)?;
        Ok((parameters, strategy))
    }
}

/// No strategy has that name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no strategy `{name}`{}; there are: {known}", nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
pub struct UnknownStrategy {
    /// The name that was given.
    pub name: String,
    /// The name nearest to it, if one is near.
    pub nearest: Option<&'static str>,
    /// All names.
    pub known: String,
}

/// The strategies that a host can start.
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
    /// The strategies of this crate.
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

    /// Adds a kind, in place of one of the same name.
    ///
    /// # Panics
    /// When the name is empty or longer than the 32 bytes that an event has for it.
    pub fn register(&mut self, kind: StrategyKind) {
        assert!((1..=32).contains(&kind.name.len()), "`{}` does not fit an event", kind.name);
        self.kinds.retain(|known| known.name != kind.name);
        self.kinds.push(kind);
    }

    /// Every kind.
    pub fn kinds(&self) -> &[StrategyKind] {
        &self.kinds
    }

    /// The kind of that name.
    ///
    /// # Errors
    /// [`UnknownStrategy`], with the nearest name.
    pub fn find(&self, name: &str) -> Result<&StrategyKind, UnknownStrategy> {
        self.kinds.iter().find(|kind| kind.name == name).ok_or_else(|| {
            let names = self.kinds.iter().map(|kind| kind.name);
            let nearest = nearest(name, names.clone());
            UnknownStrategy { name: name.into(), nearest, known: names.collect::<Vec<_>>().join(", ") }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let registry = Registry::built_in();
        assert_eq!(registry.find("ma-cross").unwrap().name, "ma-cross");
        let error = registry.find("ma-corss").map(|kind| kind.name).unwrap_err();
        assert_eq!(error.nearest, Some("ma-cross"));
        let said = error.to_string();
        assert!(said.contains("did you mean `ma-cross`?; there are: ma-cross, dip-buyer, "), "{said}");
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
    fn a_number_out_of_its_range_is_refused_with_the_range_by_every_kind() {
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
