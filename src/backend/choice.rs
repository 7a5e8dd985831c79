//! Which device runs the chains, and in what precision.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Which device runs the chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum BackendChoice {
    /// A hardware GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// A graphics device, software ones included if named or if there is no other.
    Gpu,
    Cpu,
}

/// Precision of the chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// float32 state and products, float64 energies and sums.
    #[default]
    F32,
    /// float64 throughout, to check float32 against; CPU only.
    F64,
    /// float32 with activations and slopes stored in float16: on a GPU half the memory and traffic
    /// of the largest buffers, on the CPU the same roundings, to check a GPU against, and slower.
    ///
    /// Rounded, to nearest and ties to even, are σ(h) and σ′(h) of the training points, σ(h) of the
    /// test points, and the weights outside the span of the training inputs. The output f = (1/√N1)
    /// Σ_i v_i σ(h_i) is summed before, from unrounded activations: with v sampled, energies and so
    /// the law of adjusted samplers are those of float32. With v integrated out, the energy is that
    /// of the rounded activations.
    F16,
    /// float32 with forces within a trajectory from products of float16 inputs on cooperative
    /// matrices (tensor cores); energies and the last force of a trajectory stay float32, so that
    /// the law stays exact. GPU only (the CPU refuses it), where wgpu's experimental feature is
    /// there.
    F16Matrix,
}

/// What is asked of the device that runs the chains.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceRequest {
    /// The kind of device.
    pub backend: BackendChoice,
    /// Name or number of the graphics device; any when `None`.
    pub adapter: Option<String>,
    /// The arithmetic of the chains.
    pub precision: Precision,
    /// Directory of the tilings that were measured on graphics devices: [`tune`](super::tune)
    /// writes there, and runs read. With `None` nothing is kept, and a rule chooses the tiling.
    pub cache: Option<PathBuf>,
}
