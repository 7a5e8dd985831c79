//! Draws of one hidden unit that stand in one matrix: weights, features on the training points, and
//! means of these over the classes of the test points.
//!
//! Everything lives in the reduced basis of [`Problem`], w' = Vᵀw, where h = Z w' and û' = Vᵀû has
//! unit length.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use crate::model::{Activation, Network, Problem};
use crate::numerics::noise::{Address, Purpose};

/// Draws whose features stand in one matrix.
pub(super) const BLOCK: usize = 256;

/// Variances along û of the parts of the mixture over that of the prior.
pub(super) const WIDENINGS: [f64; 3] = [1.0, 3.0, 9.0];

/// Names the noise of the single-unit theories, with the number of the set: no chain of a run has
/// these numbers.
const STREAM: u32 = u32::MAX - 1;

/// The address of set `set`'s random numbers for one `step`: what they are for within it.
pub(super) fn address(set: u32, trajectory: u32, step: u32) -> Address {
    Address { seed: 0, chain: STREAM - set, trajectory, step, purpose: Purpose::Unit }
}

/// Some draws: column k of `features` and entry k of the others belong together.
pub(super) struct Block {
    /// w', (r, draws).
    pub weights: Mat<f64>,
    /// φ, (P, draws).
    pub features: Mat<f64>,
    /// Of every class the mean of φ over its test points, then of every class that of φ²,
    /// (2·classes, draws); empty without manifolds there.
    pub tested: Mat<f64>,
    /// Of what the test points see of w outside the span of the training inputs.
    pub outside: Address,
    /// w·û.
    pub along: Vec<f64>,
    /// ln of prior over proposal density, up to a constant; what a chain drew under another measure
    /// counts as its proposal. As a chain records it, −ln⟨v²⟩ given w.
    pub log_base: Vec<f64>,
    /// By how much t is off its mean in the field of each draw ([`collective`](super::collective));
    /// empty where one field is that of all.
    pub offsets: Vec<f64>,
}

/// ln of the density of √λ0 w·û = `along` under the prior over that under the mixture.
pub(super) fn log_prior_over_widened(along: f64) -> f64 {
    let x = 0.5 * along * along;
    let relative = WIDENINGS.map(|wide| (x - x / wide).exp() / wide.sqrt());
    -(relative.iter().sum::<f64>() / relative.len() as f64).ln()
}

/// σ(Z w') of every column of `weights`.
pub(super) fn features(problem: &Problem, activation: Activation, weights: &Mat<f64>) -> Mat<f64> {
    let mut h = Mat::zeros(problem.points(), weights.ncols());
    matmul(h.as_mut(), Accum::Replace, problem.z_train.as_ref(), weights.as_ref(), 1.0, Par::Seq);
    for column in h.col_iter_mut() {
        column.iter_mut().for_each(|h| *h = activation.sigma(*h));
    }
    h
}

/// φ of the test points `rows`, (rows, draws), of every column of `weights`. What a test point sees
/// outside the span of the training inputs keeps its prior, and is drawn.
pub(super) fn test_features(
    problem: &Problem,
    network: &Network,
    weights: &Mat<f64>,
    noise: &Address,
    rows: &Range<usize>,
) -> Mat<f64> {
    let (draws, outside) = (weights.ncols(), problem.complement_rank());
    let mut h = Mat::zeros(rows.len(), draws);
    let z_test = problem.z_test.as_ref().subrows(rows.start, rows.len());
    matmul(h.as_mut(), Accum::Replace, z_test, weights.as_ref(), 1.0, Par::Seq);
    if outside > 0 {
        let mut normals = vec![0.0f64; draws * outside];
        noise.normals(&mut normals);
        let normals = MatRef::from_column_major_slice(&normals, outside, draws);
        let deviation = 1.0 / network.lambda0.sqrt();
        let z_complement = problem.z_complement.as_ref().subrows(rows.start, rows.len());
        matmul(h.as_mut(), Accum::Add, z_complement, normals, deviation, Par::Seq);
    }
    for column in h.col_iter_mut() {
        column.iter_mut().for_each(|h| *h = network.activation.sigma(*h));
    }
    h
}

/// [`Block::tested`] of every column of `weights`.
pub(super) fn tested(problem: &Problem, network: &Network, weights: &Mat<f64>, noise: &Address) -> Mat<f64> {
    if !problem.has_test_manifolds() {
        return Mat::new();
    }
    let (draws, classes) = (weights.ncols(), problem.classes());
    let features = test_features(problem, network, weights, noise, &(0..problem.test_points()));
    let mut sizes = vec![0.0; classes];
    problem.class_test.iter().for_each(|&class| sizes[class] += 1.0);
    let mut tested = Mat::zeros(2 * classes, draws);
    for (mut means, column) in tested.col_iter_mut().zip(features.col_iter()) {
        for (phi, &class) in column.iter().zip(&problem.class_test) {
            means[class] += phi / sizes[class];
            means[classes + class] += phi * phi / sizes[class];
        }
    }
    tested
}
