//! Draws of one hidden unit: its features on the training points, their means over the classes of the test points, and its weight along û, with what is needed to reweight them.
//!
//! Everything lives in the reduced basis of [`Problem`](crate::model::Problem), w' = Vᵀw, where h = Z w' and û' = Vᵀû has unit length. Prior draws
//! keep their components orthogonal to û' and take w·û from a mixture in equal parts, a third of the draws each, of Gaussians of
//! [`WIDENINGS`] times the prior's variance: the tilt acts along û above all, and the part that is the prior keeps every ratio of densities below 3.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;

use super::measure::Measure;
use crate::model::{Activation, Network, Problem};
use crate::numerics::linalg::dot;
use crate::numerics::noise::{Address, Purpose};

/// Draws whose features stand in one matrix.
pub(super) const BLOCK: usize = 256;

/// Variances along û of the parts of the mixture over that of the prior.
pub(super) const WIDENINGS: [f64; 3] = [1.0, 3.0, 9.0];

/// Names the noise of the single-unit theories, with the number of the set: no chain of a run has these numbers.
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
    /// Of every class the mean of φ over its test points, then of every class that of φ², (2·classes, draws); empty without manifolds there.
    pub tested: Mat<f64>,
    /// Of what the test points see of w outside the span of the training inputs.
    pub outside: Address,
    /// w·û.
    pub along: Vec<f64>,
    /// ln of prior over proposal density, up to a constant; what a chain drew under another measure counts as its proposal. As a chain records it, −ln⟨v²⟩ given w.
    pub log_base: Vec<f64>,
    /// By how much t is off its mean in the field of each draw ([`collective`](super::collective)); empty where one field is that of all.
    pub offsets: Vec<f64>,
}

/// Draws in blocks of equal length; draw k of the whole belongs to group k mod `groups`, and groups are independent.
pub(super) struct Draws {
    pub blocks: Vec<Block>,
    pub groups: usize,
    /// Whether `log_base` is the logarithm of the exact ratio, so that averages under the prior, which are known, can be held against the draws.
    pub from_prior: bool,
}

impl Draws {
    /// `count` independent draws, rounded up to whole blocks, for the importance weights of any measure. `direction` is û' (zero where there is none).
    pub fn from_prior(problem: &Problem, network: &Network, direction: &[f64], count: usize, set: u32) -> Self {
        let deviation = 1.0 / network.lambda0.sqrt();
        let directed = dot(direction, direction) > 0.0;
        let blocks = (0..count.div_ceil(BLOCK) as u32)
            .into_par_iter()
            .map(|index| {
                let rank = problem.rank();
                let mut noise = vec![0.0f64; BLOCK * rank];
                address(set, index, 0).normals(&mut noise);
                let mut weights = Mat::from_fn(rank, BLOCK, |j, i| deviation * noise[i * rank + j]);
                let mut along = vec![0.0; BLOCK];
                let mut log_base = vec![0.0; BLOCK];
                if directed {
                    for (i, mut column) in weights.col_iter_mut().enumerate() {
                        let original: f64 = column.as_ref().iter().zip(direction).map(|(w, u)| w * u).sum();
                        along[i] = WIDENINGS[i % WIDENINGS.len()].sqrt() * original;
                        column.as_mut().iter_mut().zip(direction).for_each(|(w, u)| *w += (along[i] - original) * u);
                        log_base[i] = log_prior_over_widened(network.lambda0.sqrt() * along[i]);
                    }
                }
                let outside = address(set, index, 8);
                let tested = tested(problem, network, &weights, &outside);
                let features = features(problem, network.activation, &weights);
                Block { weights, features, tested, outside, along, log_base, offsets: Vec::new() }
            })
            .collect::<Vec<_>>();
        let groups = blocks.len() * BLOCK;
        Self { blocks, groups, from_prior: true }
    }

    /// What `groups` chains on `measure` recorded, each w ⟨v²⟩ times as often as it has it.
    pub fn from_chains(mut blocks: Vec<Block>, groups: usize, measure: &Measure) -> Self {
        let mut product = Mat::new();
        for block in &mut blocks {
            let tilts = measure.tilts_of(block, &mut product);
            block.log_base.iter_mut().zip(&tilts).for_each(|(log, tilt)| *log -= tilt.log_weight());
        }
        Self { blocks, groups, from_prior: false }
    }
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

/// φ of the test points `rows`, (rows, draws), of every column of `weights`. What a test point sees outside the span of the training inputs keeps its prior, and is drawn.
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
