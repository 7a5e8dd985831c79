//! Activations σ with their derivatives and Gaussian averages, each formula once.

use serde::{Deserialize, Serialize};

/// The activation σ of the hidden layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    Erf,
    Relu,
    Tanh,
    Identity,
    Gelu,
}

impl Activation {
    /// σ(x).
    pub fn sigma(self, x: f64) -> f64 {
        match self {
            Self::Erf => libm::erf(x),
            Self::Relu => x.max(0.0),
            Self::Tanh => x.tanh(),
            Self::Identity => x,
            Self::Gelu => x * 0.5 * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        }
    }

    /// σ′(x).
    pub fn sigma_prime(self, x: f64) -> f64 {
        match self {
            Self::Erf => std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp(),
            Self::Relu => f64::from(u8::from(x > 0.0)),
            Self::Tanh => 1.0 - x.tanh().powi(2),
            Self::Identity => 1.0,
            Self::Gelu => {
                0.5 * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))
                    + x * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
            }
        }
    }
}
