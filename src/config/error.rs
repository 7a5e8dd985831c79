//! Why a description of a run is refused.

use thiserror::Error;

/// A setting that cannot be used; the message names it, its value and what would be accepted.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ConfigError {
    #[error("{setting} is missing: give {example}")]
    Missing { setting: &'static str, example: &'static str },
    #[error("{setting} = {value} is impossible: {requirement}")]
    Impossible { setting: &'static str, value: String, requirement: String },
    #[error("there is no preset '{name}': choose one of {known}")]
    UnknownPreset { name: String, known: String },
    #[error("there is no case '{name}' in these settings: the cases are {known}")]
    UnknownCase { name: String, known: String },
    #[error(
        "these settings are of several runs ({known}): choose one with --case NAME, or let `featherm run` take them all"
    )]
    SeveralCases { known: String },
    #[error("{origin}: {message}")]
    Syntax { origin: String, message: String },
}

impl ConfigError {
    pub(crate) fn impossible(setting: &'static str, value: impl ToString, requirement: impl Into<String>) -> Self {
        Self::Impossible { setting, value: value.to_string(), requirement: requirement.into() }
    }
}
