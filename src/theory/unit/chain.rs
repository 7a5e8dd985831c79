//! Markov chains on the measure of one unit, for tilts so strong that reweighted prior draws have lost their effective sample size.
//!
//! In the coordinates x = √λ0 w' the prior is the standard Gaussian and the rest of the potential is Ψ(x) = −ln of the tilt. Hamiltonian trajectories are
//! split so that the prior part is solved exactly, whatever the dimension (Beskos et al., Stoch. Proc. Appl. 121, 2201, 2011):
//!
//! ```text
//! p ← p − (h/2)∇Ψ        (x, p) ← rotation by the angle h        p ← p − (h/2)∇Ψ
//! ```
//!
//! and are accepted with probability min(1, e^{−Δ(Ψ + ½‖x‖² + ½‖p‖²)}). Chains start from the prior, one prior draw each, and so find the mode that is
//! continuous with it. All chains move together, so that a gradient is a few matrix products.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use rayon::prelude::*;

use super::draws::{Block, Draws, address, tested};
use super::measure::{Measure, Tilt};
use crate::model::{Network, Problem};

/// How many chains, how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChainParams {
    pub chains: usize,
    /// Trajectories before any is kept.
    pub warmup: usize,
    /// Trajectories kept.
    pub draws: usize,
}

/// Chains that move in one matrix.
const TOGETHER: usize = 32;

/// Acceptance rate that warm-up aims at.
const TARGET: f64 = 0.85;

/// Angle of a trajectory: a quarter turn exchanges position and momentum of the prior.
const ANGLE: f64 = std::f64::consts::FRAC_PI_2;

/// Largest step, in radians.
const LARGEST_STEP: f64 = 0.8;

/// A bundle of chains, one per column.
struct Bundle {
    index: u32,
    /// x.
    position: Mat<f64>,
    state: State,
    accepted: f64,
}

/// What depends on the position.
#[derive(Clone)]
struct State {
    features: Mat<f64>,
    /// Ψ.
    potential: Vec<f64>,
    /// ∇Ψ.
    gradient: Mat<f64>,
    tilts: Vec<Tilt>,
}

struct Target<'a> {
    problem: &'a Problem,
    network: &'a Network,
    measure: &'a Measure,
    direction: &'a [f64],
    set: u32,
}

/// Draws from the measure. Each chain is one group of [`Draws`]; their `log_base` makes their weights under this very measure
/// equal.
pub(super) fn sample(
    problem: &Problem,
    network: &Network,
    measure: &Measure,
    direction: &[f64],
    params: &ChainParams,
    set: u32,
) -> Draws {
    let target = Target { problem, network, measure, direction, set };
    let count = params.chains.div_ceil(TOGETHER).max(1) as u32;
    let mut bundles: Vec<Bundle> = (0..count).into_par_iter().map(|index| target.start(index)).collect();
    let mut step: f64 = 0.3;
    for trajectory in 0..params.warmup as u32 {
        let rate = target.advance(&mut bundles, step, trajectory);
        // Robbins–Monro in ln h: fast at first, then averaging.
        let gain = 2.0 / (1.0 + f64::from(trajectory)).powf(0.6);
        step = (step * (gain * (rate - TARGET)).exp()).clamp(1e-4, LARGEST_STEP);
    }
    let mut blocks = Vec::new();
    for trajectory in 0..params.draws as u32 {
        let trajectory = params.warmup as u32 + trajectory;
        target.advance(&mut bundles, step, trajectory);
        let recorded = bundles.par_iter().map(|bundle| target.record(bundle, trajectory));
        blocks.extend(recorded.collect::<Vec<_>>());
    }
    Draws { blocks, groups: count as usize * TOGETHER, from_prior: false }
}

impl Target<'_> {
    fn start(&self, index: u32) -> Bundle {
        let rank = self.problem.rank();
        let mut noise = vec![0.0f64; TOGETHER * rank];
        address(self.set, index, 1).normals(&mut noise);
        let position = Mat::from_fn(rank, TOGETHER, |j, i| noise[i * rank + j]);
        Bundle { index, state: self.state(&position), position, accepted: 0.0 }
    }

    /// One trajectory of every chain; returns the mean acceptance probability.
    fn advance(&self, bundles: &mut [Bundle], step: f64, trajectory: u32) -> f64 {
        // The same length for all, since they move together; its jitter breaks resonances.
        let jitter = 0.6 + 0.8 * address(self.set, trajectory, 4).uniform();
        let steps = (jitter * ANGLE / step).round().max(1.0) as usize;
        bundles.par_iter_mut().for_each(|bundle| self.trajectory(bundle, step, steps, trajectory));
        bundles.iter().map(|bundle| bundle.accepted).sum::<f64>() / bundles.len() as f64
    }

    fn trajectory(&self, bundle: &mut Bundle, step: f64, steps: usize, trajectory: u32) {
        let rank = self.problem.rank();
        let index = trajectory * 4096 + bundle.index;
        let mut noise = vec![0.0f64; TOGETHER * rank];
        address(self.set, index, 2).normals(&mut noise);
        let mut momentum = Mat::from_fn(rank, TOGETHER, |j, i| noise[i * rank + j]);
        let mut position = bundle.position.clone();
        let before = energies(&position, &momentum, &bundle.state);
        let (sin, cos) = step.sin_cos();
        let mut state = bundle.state.clone();
        for _ in 0..steps {
            momentum -= faer::Scale(0.5 * step) * &state.gradient;
            for (x, p) in position.col_iter_mut().zip(momentum.col_iter_mut()) {
                for (x, p) in x.iter_mut().zip(p.iter_mut()) {
                    (*x, *p) = (cos * *x + sin * *p, cos * *p - sin * *x);
                }
            }
            state = self.state(&position);
            momentum -= faer::Scale(0.5 * step) * &state.gradient;
        }
        let after = energies(&position, &momentum, &state);
        bundle.accepted = 0.0;
        for (k, (before, after)) in before.iter().zip(&after).enumerate() {
            let probability = (before - after).exp().min(1.0);
            // A NaN is never accepted.
            let uniform = address(self.set, index, 16 + k as u32).uniform();
            if uniform < probability {
                bundle.position.col_mut(k).copy_from(position.col(k));
                bundle.state.adopt(&state, k);
            }
            bundle.accepted += if probability.is_nan() { 0.0 } else { probability } / TOGETHER as f64;
        }
    }

    /// Ψ and its gradient: with s_q, s_m the slopes of ln of the tilt, ∇_φ = s_q 2Bφ/(λ1N1) + s_m a/√(λ1N1), and ∇_x = −Zᵀ(σ'(h)∘∇_φ)/√λ0.
    fn state(&self, position: &Mat<f64>) -> State {
        let Target { problem, network, measure, .. } = self;
        let deviation = 1.0 / network.lambda0.sqrt();
        let (points, chains) = (problem.points(), position.ncols());
        let mut h = Mat::zeros(points, chains);
        matmul(h.as_mut(), Accum::Replace, problem.z_train.as_ref(), position.as_ref(), deviation, Par::Seq);
        let mut features = h.clone();
        for column in features.col_iter_mut() {
            column.iter_mut().for_each(|h| *h = network.activation.sigma(*h));
        }
        let mut product = Mat::new();
        let tilts = measure.tilts(features.as_ref(), &mut product);
        let scale = measure.scale();
        for (k, tilt) in tilts.iter().enumerate() {
            let (slope_q, slope_m) = tilt.log_weight_slopes();
            let (on_product, on_force) = (2.0 * slope_q / scale, slope_m / scale.sqrt());
            let images = product.col_mut(k).iter_mut();
            for ((image, h), a) in images.zip(h.col(k).iter()).zip(&measure.force) {
                *image = network.activation.sigma_prime(*h) * (on_product * *image + on_force * a);
            }
        }
        let mut gradient = Mat::zeros(position.nrows(), chains);
        matmul(gradient.as_mut(), Accum::Replace, problem.z_train.transpose(), product.as_ref(), -deviation, Par::Seq);
        State { features, potential: tilts.iter().map(|tilt| -tilt.log_weight()).collect(), gradient, tilts }
    }

    fn record(&self, bundle: &Bundle, trajectory: u32) -> Block {
        let deviation = 1.0 / self.network.lambda0.sqrt();
        let along =
            |x: faer::ColRef<'_, f64>| -> f64 { x.iter().zip(self.direction).map(|(x, u)| deviation * x * u).sum() };
        let weights = &bundle.position * faer::Scale(deviation);
        let noise = address(self.set, trajectory * 4096 + bundle.index, 8);
        Block {
            features: bundle.state.features.clone(),
            tested: tested(self.problem, self.network, &weights, &noise),
            weights,
            along: bundle.position.col_iter().map(along).collect(),
            log_base: bundle.state.tilts.iter().map(|tilt| -tilt.log_weight()).collect(),
        }
    }
}

impl State {
    /// Takes over chain `k` of `other`.
    fn adopt(&mut self, other: &Self, k: usize) {
        self.features.col_mut(k).copy_from(other.features.col(k));
        self.gradient.col_mut(k).copy_from(other.gradient.col(k));
        self.potential[k] = other.potential[k];
        self.tilts[k] = other.tilts[k];
    }
}

/// Ψ + ½‖x‖² + ½‖p‖² of every chain.
fn energies(position: &Mat<f64>, momentum: &Mat<f64>, state: &State) -> Vec<f64> {
    let squares = |column: faer::ColRef<'_, f64>| column.squared_norm_l2();
    (state.potential.iter().zip(position.col_iter()).zip(momentum.col_iter()))
        .map(|((potential, x), p)| potential + 0.5 * (squares(x) + squares(p)))
        .collect()
}
