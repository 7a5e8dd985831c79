//! Where an ensemble of chains lives and moves: the interface that every device implements, and the CPU's implementation.

pub mod cpu;

use std::sync::Arc;

use thiserror::Error;

use crate::model::{Network, Problem};

/// Chains of one temperature are accumulated in at most this many independent blocks, whose spread is the error of ⟨G⟩.
pub const GRAM_BLOCKS: usize = 8;

/// The ensemble a backend holds: every replica of every temperature, all on the same data.
#[derive(Debug, Clone)]
pub struct Ensemble {
    pub problem: Arc<Problem>,
    pub network: Network,
    pub seed: u64,
    /// Number of temperatures.
    pub temperatures: usize,
    /// Chains per temperature.
    pub replicas: usize,
    /// For each temperature the unit vector û in the rotated basis (length r) along which weights are measured.
    pub directions: Vec<Vec<f64>>,
    /// Consecutive batches into which the test predictions of one chain are accumulated.
    pub batches: usize,
    /// Whether ⟨G⟩ is accumulated.
    pub gram: bool,
}

/// Diagonal mass: one value per rotated input direction, shared by all units, and one for the readout.
#[derive(Debug, Clone, PartialEq)]
pub struct Mass {
    pub weights: Vec<f32>,
    pub readout: f32,
}

/// How one step of length h is composed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scheme {
    /// O–B–A–B–O: velocity Verlet between partial momentum refreshments with friction γ. With `metropolis` the trajectory's
    /// accumulated energy error is accepted or rejected: MALT (Riou-Durand & Vogrinc 2022); γ = 0 is HMC, one step MALA.
    Obabo { friction: f64, metropolis: bool },
    /// B–A–O–A–B, unadjusted (Leimkuhler & Matthews 2013).
    Baoab { friction: f64 },
    /// θ ← (1 − ηTλ)θ − η∇L + √(2ηT) ξ, unadjusted, with h as the learning rate η; the mass is not used.
    Ula,
}

/// One trajectory of all chains of one temperature.
#[derive(Debug, Clone)]
pub struct Move {
    /// 1/T; 0 samples the prior.
    pub beta: f64,
    pub scheme: Scheme,
    /// Step length h.
    pub step_size: f64,
    /// Steps, each one gradient.
    pub steps: u32,
    pub mass: Mass,
}

/// What a trajectory did to one chain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transition {
    /// min(1, exp(−energy error)); 1 for unadjusted schemes.
    pub acceptance: f64,
    pub energy_error: f64,
    /// The energy error was not finite or above [`DIVERGENCE`] (adjusted: the move was rejected), or the state itself is no longer
    /// finite (unadjusted: the chain is lost and stays where it was last finite).
    pub diverged: bool,
}

/// Energy errors above this count as divergences, as in Stan.
pub const DIVERGENCE: f64 = 1000.0;

/// Primitive statistics of one chain, from which the observables are formed.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// L = ½ Σ_μ (y − f)².
    pub loss: f64,
    /// (1/N1) Σ_i v_i.
    pub readout_mean: f64,
    /// (1/N1) Σ_i v_i².
    pub readout_second_moment: f64,
    /// (1/N1) Σ_i v_i w_i·û.
    pub readout_weight_along_u: f64,
    /// (1/N1) Σ_i (w_i·û)².
    pub weight_along_u_squared: f64,
    /// (1/(N1 r)) Σ_ij W'_ij².
    pub weight_second_moment: f64,
    /// (1/N1) Σ_i c_i^a c_i^b with c_i^a the mean of φ_i over class a: the Gram matrix of the class centroids, row-major.
    pub centroid_gram: Vec<f64>,
    /// For each class the mean of G_μμ over its points.
    pub mean_square_norm: Vec<f64>,
    /// (1/P*) Σ (f* − y*)² over the test points.
    pub test_squared_error: Option<f64>,
    /// The chain was lost (see [`Transition::diverged`]) and must not be averaged.
    pub lost: bool,
}

/// Sums of f* and f*² over the draws of one batch of one chain, per test point.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictiveBatch {
    pub draws: usize,
    pub sum: Vec<f64>,
    pub sum_of_squares: Vec<f64>,
}

/// What a backend accumulated over all observed draws.
#[derive(Debug, Clone)]
pub struct Accumulated {
    /// For each temperature, for each block of chains, the mean Gram matrix (P×P, row-major); empty when not asked for.
    pub gram: Vec<Vec<Vec<f64>>>,
    /// For each temperature and replica, its batches.
    pub predictive: Vec<Vec<Vec<PredictiveBatch>>>,
}

/// Which device ran.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Device {
    pub backend: String,
    pub name: String,
}

/// A device failed; the message says which and how.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct BackendError(pub String);

/// An ensemble on a device. Results are ordered by temperature, then replica.
pub trait Backend {
    fn device(&self) -> Device;

    /// Moves every chain by one trajectory; `moves` has one entry per temperature, `trajectory` numbers the call.
    ///
    /// # Errors
    /// When the device fails.
    fn advance(&mut self, moves: &[Move], trajectory: u32) -> Result<Vec<Transition>, BackendError>;

    /// Measures every chain where it stands and adds ⟨G⟩ and the predictions to the accumulators of `batch`.
    ///
    /// # Errors
    /// When the device fails.
    fn observe(&mut self, trajectory: u32, batch: usize) -> Result<Vec<Measurement>, BackendError>;

    /// The accumulators so far.
    ///
    /// # Errors
    /// When the device fails.
    fn accumulated(&self) -> Result<Accumulated, BackendError>;
}
