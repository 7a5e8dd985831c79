//! ⟨v w⟩ as a vector: how readout and weights of one unit go together, in every rotated direction.
//!
//! ```text
//! ⟨v w⟩ = ⟨μ w⟩,     ⟨s⟩ = 0,     s = Zᵀ[σ'(h)∘(⟨v²|w⟩ a/√N1 − ⟨v³|w⟩ Bφ/N1)] − λ0 μ w,     h = Z w
//! ⟨v²|w⟩ = μ² + τ,     ⟨v³|w⟩ = μ³ + 3μτ,     v | w ~ N(μ, τ)
//! ```
//!
//! Every draw of μ w has noise in all r directions, and together they would be as long as what is
//! looked for. s is what integration by parts over w leaves of v times the slope of the log density
//! (Stein's identity): its mean is zero under the measure of the unit itself, reweighted draws or
//! chains, and it knows that noise. So the part of μ w that goes with s is taken out, direction by
//! direction, by regression over groups of draws that are independent. At high temperature nothing
//! is left of the noise but that of ⟨σ'⟩.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use rayon::prelude::*;

use super::block::Block;
use super::draws::Draws;
use super::estimate::Weights;
use super::measure::Measure;
use super::reweight::PARTS;
use crate::host::stop::{Stop, Stopped};
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
///
/// # Errors
/// [`Stopped`] on request.
pub(super) fn correlation(
    theory: &Theory,
    draws: &Draws,
    measure: &Measure,
    weights: &Weights,
    stop: &Stop,
) -> Result<Vec<Estimate>, Stopped> {
    // Single draws of the prior are independent, but there are too many of them to keep apart.
    let (groups, together) =
        if draws.from_prior { (draws.groups.div_ceil(TOGETHER), TOGETHER) } else { (draws.groups, 1) };
    let blocks = draws.numbered();
    let parts: Vec<Sums> = blocks
        .par_chunks(blocks.len().div_ceil(PARTS).max(1))
        .map(|part| {
            let rank = theory.problem.rank();
            let (product, stein) = (Mat::zeros(rank, groups), Mat::zeros(rank, groups));
            let mut sums = Sums { product, stein, weight: vec![0.0; groups] };
            for &(first, block) in part {
                stop.check()?;
                sums.add(theory, block, measure, &weights.values[first..], |k| (first + k) / together % groups);
            }
            Ok(sums)
        })
        .collect::<Result<_, _>>()?;
    (0..theory.problem.rank())
        .map(|j| {
            stop.check()?;
            let total = |value: &dyn Fn(&Sums, usize) -> f64| -> Vec<f64> {
                (0..groups).map(|group| parts.iter().map(|part| value(part, group)).sum()).collect()
            };
            let product = total(&|part, group| part.product[(j, group)]);
            let (weight, stein) =
                (total(&|part, group| part.weight[group]), total(&|part, group| part.stein[(j, group)]));
            Ok(regressed(&product, &stein, &weight))
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
    /// Adds the draws of `block`; draw k of it has weight `weights[k]` and belongs to group
    /// `group(k)`.
    fn add(
        &mut self,
        theory: &Theory,
        block: &Block,
        measure: &Measure,
        weights: &[f64],
        group: impl Fn(usize) -> usize,
    ) {
        let (problem, network) = (&theory.problem, &theory.network);
        let mut image = Mat::new();
        let actions = measure.actions_of(block, &mut image);
        let h = &problem.z_train * &block.weights;
        let mut readouts = Vec::with_capacity(actions.len());
        for (k, ((action, h), image)) in actions.iter().zip(h.col_iter()).zip(image.col_iter_mut()).enumerate() {
            let dual_field = measure.dual_field_of(block, k);
            let (mean, variance) = action.readout(measure.lambda1);
            let second = (mean * mean + variance) / measure.width.sqrt();
            let third = mean * (mean * mean + 3.0 * variance) / measure.width;
            // `image` holds Bφ.
            for ((image, h), a) in image.iter_mut().zip(h.iter()).zip(&*dual_field) {
                *image = network.activation.sigma_prime(*h) * (second * a - third * *image);
            }
            readouts.push(mean);
        }
        let mut slopes = Mat::zeros(problem.rank(), actions.len());
        matmul(slopes.as_mut(), Accum::Replace, problem.z_train.transpose(), image.as_ref(), 1.0, Par::Seq);
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
