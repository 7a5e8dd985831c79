//! Why settings are refused.

use thiserror::Error;

use crate::remedy::{Remedies, Remedy, Setting};

/// A setting that cannot be used; the message names it, its value and what would be accepted.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting without a default was left out.
    #[error("{} is missing: {meaning}", setting.name())]
    Missing {
        /// What is missing.
        setting: Setting,
        /// What it says.
        meaning: &'static str,
        /// A value that would do.
        example: &'static str,
    },
    /// A setting has a value that it cannot have, alone or beside the others.
    #[error("{} = {value} is impossible: {requirement}", setting.name())]
    Impossible {
        /// Which setting.
        setting: Setting,
        /// Its value.
        value: String,
        /// What would be accepted.
        requirement: String,
        /// Changes of other settings that make it possible.
        remedies: Vec<Remedy>,
    },
    /// There is no preset of this name.
    #[error("there is no preset '{name}': choose one of {known}")]
    UnknownPreset {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// There is no case of this name.
    #[error("there is no case '{name}' in these settings: the cases are {known}")]
    UnknownCase {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A case has a name that cannot be that of a directory.
    #[error("case.name = \"{name}\" is impossible: {requirement}")]
    CaseName {
        /// The name that was given.
        name: String,
        /// What would be accepted.
        requirement: &'static str,
    },
    /// Settings of several runs stand where one run is wanted.
    #[error("these settings are of several runs ({known}): choose one case")]
    SeveralCases {
        /// The names of the cases.
        known: String,
    },
    /// A settings file is not TOML, or has keys or values that are not documented.
    #[error("{origin}: {message}")]
    Syntax {
        /// The file and line.
        origin: String,
        /// What the parser says.
        message: String,
    },
}

impl ConfigError {
    pub(crate) fn impossible(setting: Setting, value: impl ToString, requirement: impl Into<String>) -> Self {
        let (value, requirement) = (value.to_string(), requirement.into());
        Self::Impossible { setting, value, requirement, remedies: Vec::new() }
    }

    /// The same refusal with a change of settings that would lift it.
    #[must_use]
    pub(crate) fn or(mut self, remedy: Remedy) -> Self {
        if let Self::Impossible { remedies, .. } = &mut self {
            remedies.push(remedy);
        }
        self
    }
}

impl Remedies for ConfigError {
    fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::Missing { setting, example, .. } => vec![Remedy::set(*setting, example)],
            Self::Impossible { remedies, .. } => remedies.clone(),
            _ => Vec::new(),
        }
    }
}
