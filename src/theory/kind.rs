//! The theories by name.

use serde::{Deserialize, Serialize};

/// Which theory a prediction comes from; the names are those of the JSON output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum TheoryKind {
    /// Infinite width: Q = 0, Q̄ = 1.
    Nngp,
    /// The saddle point of the proportional limit.
    Saddle,
    /// One unit in the field of the saddle point ([`mod@super::unit`]).
    SingleUnit,
    /// One unit in a self-consistent field ([`mod@super::unit`]).
    Adaptive,
}

impl TheoryKind {
    /// Every theory, from the crudest.
    pub const ALL: [Self; 4] = [Self::Nngp, Self::Saddle, Self::SingleUnit, Self::Adaptive];
    /// The theories that are a Gaussian process over the outputs, with a predictor and an evidence.
    pub const PROCESSES: [Self; 2] = [Self::Nngp, Self::Saddle];
    /// The theories of one hidden unit in the mean field of all others.
    pub const UNITS: [Self; 2] = [Self::SingleUnit, Self::Adaptive];

    /// The machine-readable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nngp => "nngp",
            Self::Saddle => "saddle",
            Self::SingleUnit => "single-unit",
            Self::Adaptive => "adaptive",
        }
    }
}
