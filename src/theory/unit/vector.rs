//! ⟨v w⟩ as a vector: how readout and weights of one unit go together, in every rotated direction.
//!
//! ```text
//! ⟨v w⟩ = ⟨μ w⟩,     ⟨s⟩ = 0,     s = Zᵀ[σ'(h)∘(⟨v²|w⟩ a/√N1 − ⟨v³|w⟩ Bφ/N1)] − λ0 μ w,     h = Z w
//! ⟨v²|w⟩ = μ² + τ,     ⟨v³|w⟩ = μ³ + 3μτ,     v | w ~ N(μ, τ)
//! ```
//!
//! Every draw of μ w has noise in all r directions, and together they would be as long as what is looked for. s is what integration by parts over w
//! leaves of v times the slope of the log density (Stein's identity): its mean is zero under the measure of the unit itself, reweighted draws or chains, and it
//! knows that noise. So the part of μ w that goes with s is taken out, direction by direction, by regression over groups of draws that are independent. At
//! high temperature nothing is left of the noise but that of ⟨σ'⟩.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use rayon::prelude::*;

use super::draws::{Block, Draws};
use super::estimate::Weights;
use super::measure::Measure;
use super::observe::PARTS;
use crate::numerics::estimate::Estimate;
use crate::numerics::linalg::dot;
use crate::theory::Theory;

/// Draws of the prior in one group.
const TOGETHER: usize = 64;

/// Sums over the draws of every group, a column each.
struct Sums {
    /// Σ p μ w and Σ p s, (r, groups).
    product: Mat<f64>,
    stein: Mat<f64>,
    /// Σ p.
    weight: Vec<f64>,
}

/// ⟨v w⟩ under `measure` in the rotated basis, (r), from draws with normalised `weights`.
pub(super) fn correlation(theory: &Theory, draws: &Draws, measure: &Measure, weights: &Weights) -> Vec<Estimate> {
    // Single draws of the prior are independent, but there are too many of them to keep apart.
    let (groups, together) =
        if draws.from_prior { (draws.groups.div_ceil(TOGETHER), TOGETHER) } else { (draws.groups, 1) };
    let mut first = 0;
    let blocks: Vec<(usize, &Block)> = (draws.blocks.iter())
        .map(|block| {
            first += block.along.len();
            (first - block.along.len(), block)
        })
        .collect();
    let parts: Vec<Sums> = blocks
        .par_chunks(blocks.len().div_ceil(PARTS).max(1))
        .map(|part| {
            let rank = theory.problem.rank();
            let (product, stein) = (Mat::zeros(rank, groups), Mat::zeros(rank, groups));
            let mut sums = Sums { product, stein, weight: vec![0.0; groups] };
            for &(first, block) in part {
                sums.add(theory, block, measure, &weights.values[first..], |k| (first + k) / together % groups);
            }
            sums
        })
        .collect();
    (0..theory.problem.rank())
        .map(|j| {
            let total = |value: &dyn Fn(&Sums, usize) -> f64| -> Vec<f64> {
                (0..groups).map(|group| parts.iter().map(|part| value(part, group)).sum()).collect()
            };
            let product = total(&|part, group| part.product[(j, group)]);
            let (weight, stein) =
                (total(&|part, group| part.weight[group]), total(&|part, group| part.stein[(j, group)]));
            regressed(&product, &stein, &weight)
        })
        .collect()
}

/// The ratio Σ product/Σ weight without what `stein`, whose mean is zero, explains of it.
fn regressed(product: &[f64], stein: &[f64], weight: &[f64]) -> Estimate {
    let groups = product.len() as f64;
    let ratio: f64 = product.iter().sum::<f64>() / weight.iter().sum::<f64>();
    let middle = stein.iter().sum::<f64>() / groups;
    let influence: Vec<f64> = product.iter().zip(weight).map(|(x, p)| x - ratio * p).collect();
    let centred: Vec<f64> = stein.iter().map(|s| s - middle).collect();
    let spread = dot(&centred, &centred);
    let beta = if spread > 0.0 { dot(&influence, &centred) / spread } else { 0.0 };
    let values: Vec<f64> = influence.iter().zip(stein).map(|(f, s)| ratio + groups * (f - beta * s)).collect();
    Estimate::of_independent(&values)
}

impl Sums {
    /// Adds the draws of `block`; draw k of it has weight `weights[k]` and belongs to group `group(k)`.
    fn add(
        &mut self,
        theory: &Theory,
        block: &Block,
        measure: &Measure,
        weights: &[f64],
        group: impl Fn(usize) -> usize,
    ) {
        let (problem, network) = (&theory.problem, &theory.network);
        let mut pull = Mat::new();
        let tilts = measure.tilts_of(block, &mut pull);
        let h = &problem.z_train * &block.weights;
        let mut readouts = Vec::with_capacity(tilts.len());
        for (k, ((tilt, h), pull)) in tilts.iter().zip(h.col_iter()).zip(pull.col_iter_mut()).enumerate() {
            let force = measure.force_of(block, k);
            let (mean, variance) = tilt.readout(measure.lambda1);
            let second = (mean * mean + variance) / measure.width.sqrt();
            let third = mean * (mean * mean + 3.0 * variance) / measure.width;
            // `pull` holds Bφ.
            for ((pull, h), a) in pull.iter_mut().zip(h.iter()).zip(&*force) {
                *pull = network.activation.sigma_prime(*h) * (second * a - third * *pull);
            }
            readouts.push(mean);
        }
        let mut slopes = Mat::zeros(problem.rank(), tilts.len());
        matmul(slopes.as_mut(), Accum::Replace, problem.z_train.transpose(), pull.as_ref(), 1.0, Par::Seq);
        for (k, (mean, p)) in readouts.iter().zip(weights).enumerate() {
            let group = group(k);
            self.weight[group] += p;
            for (j, (w, slope)) in block.weights.col(k).iter().zip(slopes.col(k).iter()).enumerate() {
                self.product[(j, group)] += p * mean * w;
                self.stein[(j, group)] += p * (slope - network.lambda0 * mean * w);
            }
        }
    }
}
