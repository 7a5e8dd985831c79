//! The samplers by name, and what they do with the readout.

use serde::{Deserialize, Serialize};

/// The sampler: a named case of one family of trajectories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum SamplerKind {
    /// Metropolis-adjusted Langevin trajectories (Riou-Durand & Vogrinc 2022).
    Malt,
    /// Hamiltonian Monte Carlo: no friction, jittered trajectory length.
    Hmc,
    /// Metropolis-adjusted Langevin algorithm: one step per trajectory.
    Mala,
    /// Unadjusted underdamped Langevin, BAOAB splitting; biased at order h².
    Baoab,
    /// Unadjusted overdamped Langevin, the update of the field's scripts; biased at order h.
    Ula,
}

impl SamplerKind {
    /// Whether trajectories are accepted or rejected, so that draws are exact.
    pub fn adjusted(self) -> bool {
        matches!(self, Self::Malt | Self::Hmc | Self::Mala)
    }

    /// Whether warm-up chooses the number of steps of a trajectory: `mala` has one by definition,
    /// and for `ula` steps between draws are mere thinning.
    pub fn tunes_steps(self) -> bool {
        matches!(self, Self::Malt | Self::Hmc | Self::Baoab)
    }
}

/// What an adjusted sampler does with the readout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Readout {
    /// v is integrated out of the energy that moves W, and drawn from its exact law given W after
    /// every trajectory.
    Integrated,
    /// v moves beside W.
    Sampled,
}
