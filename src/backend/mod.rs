//! Where an ensemble of chains lives and moves: the interface that every device implements, and the
//! devices.
//!
//! Noise is shared by all backends. A normal is named by seed, [`Ensemble::chain_id`], trajectory,
//! purpose, step and index ([`crate::numerics::noise::Address`]); blocks of weights take two steps,
//! 2·slot for v (N1 normals) and 2·slot + 1 for W′ (N1·r, row-major):
//!
//! | purpose | trajectory | slot |
//! |---|---|---|
//! | `Prior` | 0 | 0 |
//! | `Momentum` | its number | 0 |
//! | `Friction` | its number | the step, from 0, *after* whose second B (OBABO), in whose middle (BAOAB) or at whose start (ULA) it acts |
//! | `Complement` | its number | step 0, index i·k + j for unit i and complement direction j |
//! | `Sign` | its number | step 0, index i: the sign of the normal, for odd σ (see [`Measurement::readout_mean`]) |
//! | `Readout` | its number | step 0 for the prior draw of v (N1), step 1 for the noise of the labels (P): see [`Scheme::Marginal`] |
//! | `Accept`, `Exchange` | its number | step 0, one uniform; an exchange is named by the chain at the lower index |

mod choice;
pub mod cpu;
pub mod doctor;
mod error;
#[cfg(feature = "gpu")]
pub mod gpu;

mod histogram;
mod saved;
mod select;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::host::stop::Stop;
use crate::model::{Network, Problem};

pub use self::choice::{BackendChoice, DeviceRequest, Precision};
pub use self::error::BackendError;
pub use self::histogram::{CELLS, UnitHistogram};
pub use self::select::{MemoryNeed, SelectedDevice, memory_plan, select, tune, unsupported_reason};

/// Chains of one temperature are accumulated in at most this many independent blocks, whose spread
/// is the error of ⟨G⟩.
pub const GRAM_BLOCKS: usize = 8;

/// Energy errors above this count as divergences, as in Stan.
pub const DIVERGENCE: f64 = 1000.0;

/// An unadjusted chain with a weight further from zero than this many standard deviations of its
/// prior, 1/√λ, has run away. A loss does not show it where the activation is bounded: at ηTλ0 > 2
/// the step of ULA magnifies W′ without end, and erf of it stays 1. No posterior is there, and
/// fourth powers are still finite in float32.
pub const RUNAWAY: f64 = 1e6;

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
    /// For each temperature the unit vector û in the rotated basis (length r) on which weights are
    /// projected.
    pub projection_axes: Vec<Vec<f64>>,
    /// For each temperature the range R of the histograms of v and of w·û, from −R to R: see
    /// [`UnitHistogram`].
    pub histogram_ranges: Vec<[f64; 2]>,
    /// Most batches of consecutive draws into which the test predictions of one chain are
    /// accumulated.
    pub batches: usize,
}

impl Ensemble {
    /// Chains in all.
    pub fn chains(&self) -> usize {
        self.temperatures * self.replicas
    }

    /// The name under which a chain draws its noise. It does not change when replicas or
    /// temperatures are added, so a chain's draws do not depend on how many others run beside it.
    pub fn chain_id(temperature: usize, replica: usize) -> u32 {
        (temperature as u32) << 20 | replica as u32
    }

    /// Whether these are weights of this ensemble's chains.
    ///
    /// # Errors
    /// With both shapes, when they are not.
    pub fn check_shapes(&self, weights: &[Weights]) -> Result<(), BackendError> {
        let (units, rank) = (self.network.width, self.problem.rank());
        let fits = |w: &Weights| w.readout.len() == units && w.rotated.len() == units * rank;
        if weights.len() == self.chains() && weights.iter().all(fits) {
            return Ok(());
        }
        let chains = self.chains();
        Err(BackendError::Invalid(format!(
            "weights must be given for {chains} chains, with {units} readout and {units}×{rank} rotated values each"
        )))
    }

    /// Blocks into which the replicas of one temperature are divided for the error of ⟨G⟩.
    pub fn gram_blocks(&self) -> usize {
        self.replicas.min(GRAM_BLOCKS)
    }

    /// Block of a replica: consecutive replicas share one.
    pub fn gram_block(&self, replica: usize) -> usize {
        replica * self.gram_blocks() / self.replicas
    }
}

/// Diagonal mass: one value per rotated input direction, shared by all units, and one for the
/// readout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mass {
    pub weights: Vec<f64>,
    pub readout: f64,
}

/// Returns the exact flow of one coordinate of mass m for time t under the prior ½λθ²: with
/// ω = √(λ/m), the numbers 1 − cos ωt, sin(ωt)/(mω) and mω sin(ωt).
///
/// What moves is added to what stays: a cosine near 1, rounded, would let the energy of all units
/// drift one way in every step.
fn harmonic_flow(m: f64, lambda: f64, time: f64) -> [f64; 3] {
    let omega = (lambda / m).sqrt();
    let sin = (omega * time).sin();
    [2.0 * (0.5 * omega * time).sin().powi(2), sin / (m * omega), sin * m * omega]
}

/// How one step of length h is composed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scheme {
    /// O–B–A–B–O: velocity Verlet between partial momentum refreshments with friction γ. With
    /// `metropolis` the trajectory's accumulated energy error is accepted or rejected: MALT
    /// (Riou-Durand & Vogrinc 2022); γ = 0 is HMC, one step MALA.
    Obabo { friction: f64, metropolis: bool },
    /// As `Obabo` with `metropolis`, of W′ alone: v is integrated out of the energy, and drawn
    /// given W′ at the end of every trajectory.
    ///
    /// The part of the energy that the data brings, V(W′) = −ln ∫ N(v; 0, 1/λ1) e^{−βL} dv, is far
    /// less stiff than βL at low T: what the readout can make good no longer counts against a move
    /// (repriorisation, Hron, Novak, Pennington & Sohl-Dickstein 2022).
    Marginal { friction: f64 },
    /// B–A–O–A–B, unadjusted (Leimkuhler & Matthews 2013).
    Baoab { friction: f64 },
    /// θ ← (1 − ηTλ)θ − η∇L + √(2ηT) ξ, unadjusted, with h as the learning rate η; the mass is not
    /// used.
    Ula,
    /// θ ← θ − η∇L with h as the learning rate η: gradient descent on the loss alone. Noise, prior,
    /// temperature and mass have no part in it.
    Descent,
}

/// The integrator of all chains of one temperature.
#[derive(Debug, Clone)]
pub struct IntegratorParams {
    /// 1/T; 0 samples the prior.
    pub beta: f64,
    pub scheme: Scheme,
    /// Step length h.
    pub step_size: f64,
    pub mass: Mass,
}

/// Which neighbours on the ladder try to exchange states: (0,1), (2,3), … or (1,2), (3,4), ….
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parity {
    Even,
    Odd,
}

impl Parity {
    /// The lower member of every pair on a ladder of `temperatures`.
    pub fn pairs(self, temperatures: usize) -> impl Iterator<Item = usize> {
        let first = match self {
            Self::Even => 0,
            Self::Odd => 1,
        };
        (first..temperatures.saturating_sub(1)).step_by(2)
    }
}

/// What is measured at the end of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// Batch that receives the test predictions; without one the test points and the histograms of
    /// units are left out, as warm-up needs nothing of them.
    pub batch: Option<usize>,
    /// Whether ⟨G⟩ is accumulated too.
    pub gram: bool,
    /// Whether ⟨w wᵀ⟩ is.
    pub weights: bool,
}

/// One round of the ensemble: a trajectory of every chain, then an exchange, then a measurement,
/// the last two if asked for.
#[derive(Debug, Clone)]
pub struct Round {
    /// Number of the trajectory in the run: with the chain it names the noise, so no two rounds may
    /// share it.
    pub trajectory: u32,
    /// Steps, each one gradient, of the chains of every temperature.
    pub steps: Vec<u32>,
    pub exchange: Option<Parity>,
    pub observe: Option<Observation>,
}

/// What a trajectory did to one chain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transition {
    /// min(1, exp(−energy error)); 1 for unadjusted schemes.
    pub acceptance: f64,
    /// Change of the Hamiltonian over the trajectory's deterministic parts; 0 for [`Scheme::Ula`]
    /// and [`Scheme::Descent`], which have none.
    pub energy_error: f64,
    /// The Hamiltonian βL + ½λ0‖W′‖² + ½λ1‖v‖² + ½ pᵀm⁻¹p at the start, after the full momentum
    /// refreshment, with V in place of βL + ½λ1‖v‖² and W′ alone moving for [`Scheme::Marginal`];
    /// NaN for [`Scheme::Ula`] and [`Scheme::Descent`].
    pub energy: f64,
    /// The energy error was not finite or above [`DIVERGENCE`] (adjusted: the move was rejected),
    /// or the loss is no longer finite or a weight beyond [`RUNAWAY`] (unadjusted: the chain is
    /// lost and stays where it was before).
    pub diverged: bool,
}

/// Primitive statistics of one chain, from which the observables are formed.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// L = ½ Σ_μ (y − f)².
    pub loss: f64,
    /// (1/N1) Σ_i s_i v_i. For odd σ the posterior is unchanged when a unit's (v, w) changes sign,
    /// which chains do rarely at low temperature: a random sign s_i per unit and draw is the exact
    /// symmetry move, and every other statistic here is blind to it. Otherwise s_i = 1.
    pub readout_mean: f64,
    /// (1/N1) Σ_i v_i².
    pub readout_second_moment: f64,
    /// (1/N1) Σ_i v_i w_i·û.
    pub readout_weight_along_u: f64,
    /// (1/N1) Σ_i (w_i·û)².
    pub weight_along_u_squared: f64,
    /// (1/N1) Σ_i v_i⁴ and (1/N1) Σ_i (w_i·û)⁴.
    pub readout_fourth_moment: f64,
    pub weight_along_u_fourth: f64,
    /// (1/(N1 r)) Σ_ij W'_ij².
    pub weight_second_moment: f64,
    /// (1/N1) Σ_i c_i^a c_i^b with c_i^a the mean of φ_i over class a: the Gram matrix of the class
    /// centroids, row-major.
    pub centroid_gram: Vec<f64>,
    /// For each class the mean of G_μμ over its points.
    pub mean_square_norm: Vec<f64>,
    /// (1/P*) Σ (f* − y*)² over the test points, if they were predicted.
    pub test_squared_error: Option<f64>,
    /// `centroid_gram` and `mean_square_norm` of the test points, if they were predicted and
    /// [`Problem::has_test_manifolds`].
    pub test_manifolds: Option<(Vec<f64>, Vec<f64>)>,
    /// The chain was lost (see [`Transition::diverged`]) and must not be averaged.
    pub lost: bool,
}

/// What one round did. Chains are ordered by temperature, then replica.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub transitions: Vec<Transition>,
    /// For each attempted exchange whether it was accepted: pairs in the order of
    /// [`Parity::pairs`], then replica.
    pub exchanged: Vec<bool>,
    /// Empty when the round did not observe.
    pub measurements: Vec<Measurement>,
}

/// Moments of the weights of one temperature, pooled over chains and hidden units at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Mean of W'_ij for every rotated direction j.
    pub weight_mean: Vec<f64>,
    /// Mean of W'_ij².
    pub weight_square: Vec<f64>,
    pub readout_mean: f64,
    pub readout_square: f64,
}

/// The state of one chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// v, length N1.
    pub readout: Vec<f64>,
    /// W′, (N1, r) row-major.
    pub rotated: Vec<f64>,
}

/// Sums of f* and f*² over the draws of one batch of one chain, per test point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictiveBatch {
    pub draws: usize,
    pub sum: Vec<f64>,
    pub sum_of_squares: Vec<f64>,
}

impl PredictiveBatch {
    /// Whether both are of as many test points.
    pub(crate) fn same_shape(&self, other: &Self) -> bool {
        self.sum.len() == other.sum.len() && self.sum_of_squares.len() == other.sum_of_squares.len()
    }

    /// Merges batches two by two, in place; there are as many as before, the last ones empty.
    pub fn merge_pairs(batches: &mut [Self]) {
        for target in 0..batches.len() {
            let mut merged = Self { draws: 0, sum: Vec::new(), sum_of_squares: Vec::new() };
            let size = batches[target].sum.len();
            merged.sum.resize(size, 0.0);
            merged.sum_of_squares.resize(size, 0.0);
            for source in batches.iter_mut().skip(2 * target).take(2) {
                let add = |a: &mut [f64], b: &[f64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
                merged.draws += source.draws;
                add(&mut merged.sum, &source.sum);
                add(&mut merged.sum_of_squares, &source.sum_of_squares);
            }
            batches[target] = merged;
        }
    }
}

/// What a backend accumulated over all observed draws.
#[derive(Debug, Clone)]
pub struct Accumulated {
    /// For each temperature, for each block of chains, the mean Gram matrix (P×P, row-major); empty
    /// when never asked for.
    pub gram: Vec<Vec<Vec<f64>>>,
    /// The same of W′ᵀW′/N1, the second moment of the rotated weights pooled over hidden units
    /// (r×r, row-major).
    pub weights: Vec<Vec<Vec<f64>>>,
    /// For each temperature and replica, its batches.
    pub predictive: Vec<Vec<Vec<PredictiveBatch>>>,
    /// For each temperature and replica, the histogram of its hidden units.
    pub units: Vec<Vec<UnitHistogram>>,
}

/// Which device ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub backend: String,
    pub name: String,
    /// How a GPU divides matrix products, and why so: the order of all sums there, and with it the
    /// bits, follow from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiling: Option<String>,
}

/// What a stage takes of one step of the whole ensemble.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageTime {
    pub stage: String,
    pub seconds: f64,
}

/// An ensemble on a device, started from the prior.
///
/// Lists over chains are ordered by temperature, then replica. A backend runs the rounds it is
/// handed without coming back to the host in between, so that a device is never left waiting for
/// one.
pub trait Backend: Send {
    fn device(&self) -> Device;

    /// Takes a request to stop, in place of an earlier one. Once it is made, [`Backend::run`] gives
    /// up within a few steps of a chain and says so by an error; the state is then of no use until
    /// it is [restored](Backend::restore). Ignored where a backend cannot be stopped.
    fn heed(&mut self, _stop: Stop) {}

    /// Whether [`Scheme::Marginal`] can be played: on the CPU always, on a GPU up to a size
    /// (`gpu::layout`).
    fn integrates_readout(&self) -> bool;

    /// Plays the rounds in order; `moves` has one entry per temperature and holds for all of them.
    ///
    /// # Errors
    /// When the device fails.
    fn run(&mut self, moves: &[IntegratorParams], rounds: &[Round]) -> Result<Vec<Outcome>, BackendError>;

    /// What each stage takes of one step of the whole ensemble, with the same number of steps at
    /// all temperatures of the round; empty where a device has no clock. The ensemble's state is of
    /// no use afterwards.
    ///
    /// # Errors
    /// When the device fails.
    fn stages(&mut self, moves: &[IntegratorParams], round: &Round) -> Result<Vec<StageTime>, BackendError>;

    /// Seconds of its own time in which the device computes when it plays the round, all commands
    /// added up without what lies between them; `None` where it has no clock, or is the host. The
    /// ensemble's state is of no use afterwards.
    ///
    /// # Errors
    /// When the device fails.
    fn busy(&mut self, _moves: &[IntegratorParams], _round: &Round) -> Result<Option<f64>, BackendError> {
        Ok(None)
    }

    /// Pooled moments of the weights where they stand, one entry per temperature; lost chains are
    /// left out.
    ///
    /// # Errors
    /// When the device fails.
    fn moments(&self) -> Result<Vec<Moments>, BackendError>;

    /// Merges the batches of test predictions two by two: batch i becomes the sum of batches 2i and
    /// 2i + 1.
    ///
    /// # Errors
    /// When the device fails.
    fn merge_batches(&mut self) -> Result<(), BackendError>;

    /// Appends all that the ensemble carries from one call of [`Backend::run`] to the next,
    /// accumulators included, bit for bit.
    ///
    /// # Errors
    /// When the device fails.
    fn save(&self, saved: &mut Vec<u8>) -> Result<(), BackendError>;

    /// Takes up what [`Backend::save`] left on the same device for the same ensemble: what follows
    /// is what would have followed there. Returns whether `saved` is of this ensemble; if not,
    /// nothing has changed.
    ///
    /// # Errors
    /// When the device fails.
    fn restore(&mut self, saved: &[u8]) -> Result<bool, BackendError>;

    /// The accumulators so far.
    ///
    /// # Errors
    /// When the device fails.
    fn accumulated(&self) -> Result<Accumulated, BackendError>;

    /// The state of every chain.
    ///
    /// # Errors
    /// When the device fails.
    fn weights(&self) -> Result<Vec<Weights>, BackendError>;

    /// Replaces the state of every chain, rounded to the device's precision.
    ///
    /// # Errors
    /// When the device fails.
    fn set_weights(&mut self, weights: &[Weights]) -> Result<(), BackendError>;
}
