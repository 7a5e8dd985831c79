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
