//! Stage update: the elementary moves of an integrator on one block of coordinates, and float64
//! sums of squares.
//!
//! Coordinates come in rows that share one vector of masses: the N1 units of W′, or the readout as
//! one row.

use super::scalar::{Scalar, rounded};
use crate::backend::harmonic_flow;
use crate::numerics::simd::vectorize;

/// Mass of every coordinate of a row, with what the moves need of it.
#[derive(Debug, Clone)]
pub struct RowMass<S> {
    pub inverse: Vec<S>,
    pub root: Vec<S>,
}

impl<S: Scalar> RowMass<S> {
    pub fn new(mass: &[f64]) -> Self {
        Self { inverse: rounded(mass.iter().map(|m| 1.0 / m)), root: rounded(mass.iter().map(|m| m.sqrt())) }
    }
}

/// B: p ← p − t (β ∂L + λ θ).
pub fn kick<S: Scalar>(momentum: &mut [S], position: &[S], gradient: &[S], time: f64, beta: f64, lambda: f64) {
    let (force, prior) = (S::round(time * beta), S::round(time * lambda));
    vectorize!({
        for ((p, &x), &g) in momentum.iter_mut().zip(position).zip(gradient) {
            *p -= force * g + prior * x;
        }
    })
}

/// A: θ ← θ + t p/m.
pub fn drift<S: Scalar>(position: &mut [S], momentum: &[S], mass: &RowMass<S>, time: f64) {
    let time = S::round(time);
    let row = mass.inverse.len();
    vectorize!({
        for (x, p) in position.chunks_exact_mut(row).zip(momentum.chunks_exact(row)) {
            for ((x, &p), &inverse) in x.iter_mut().zip(p).zip(&mass.inverse) {
                *x += time * (p * inverse);
            }
        }
    })
}

/// Exact flow of a row of coordinates for one step under the prior, ½ λ θ² + ½ p²/m: a rotation
/// with frequency ω = √(λ/m).
#[derive(Debug, Clone)]
pub struct RowRotation<S> {
    /// 1 − cos ωh.
    turn: Vec<S>,
    /// sin(ωh)/(mω) and mω sin(ωh).
    forth: Vec<S>,
    back: Vec<S>,
}

impl<S: Scalar> RowRotation<S> {
    pub fn new(mass: &[f64], lambda: f64, time: f64) -> Self {
        let of = |k: usize| rounded(mass.iter().map(|m| harmonic_flow(*m, lambda, time)[k]));
        Self { turn: of(0), forth: of(1), back: of(2) }
    }
}

/// A beside the prior: θ and p turn about each other.
pub fn rotate<S: Scalar>(position: &mut [S], momentum: &mut [S], rotation: &RowRotation<S>) {
    let row = rotation.turn.len();
    vectorize!({
        for (x, p) in position.chunks_exact_mut(row).zip(momentum.chunks_exact_mut(row)) {
            let turns = rotation.turn.iter().zip(&rotation.forth).zip(&rotation.back);
            for ((x, p), ((&turn, &forth), &back)) in x.iter_mut().zip(p).zip(turns) {
                let (x0, p0) = (*x, *p);
                *x += forth * p0 - turn * x0;
                *p -= back * x0 + turn * p0;
            }
        }
    })
}

/// p ← √m ξ, the full refreshment. What p held before is not read: a diverged trajectory may have
/// left anything there.
pub fn draw<S: Scalar>(momentum: &mut [S], noise: &[S], mass: &RowMass<S>) {
    let row = mass.root.len();
    vectorize!({
        for (p, xi) in momentum.chunks_exact_mut(row).zip(noise.chunks_exact(row)) {
            for ((p, &xi), &root) in p.iter_mut().zip(xi).zip(&mass.root) {
                *p = root * xi;
            }
        }
    })
}

/// O: p ← keep·p + √(1 − keep²) √m ξ.
pub fn refresh<S: Scalar>(momentum: &mut [S], noise: &[S], mass: &RowMass<S>, keep: f64) {
    let row = mass.root.len();
    let (keep, fresh) = (S::round(keep), S::round((1.0 - keep * keep).sqrt()));
    vectorize!({
        for (p, xi) in momentum.chunks_exact_mut(row).zip(noise.chunks_exact(row)) {
            for ((p, &xi), &root) in p.iter_mut().zip(xi).zip(&mass.root) {
                *p = keep * *p + fresh * (root * xi);
            }
        }
    })
}

/// ½ Σ p²/m in float64.
pub fn kinetic<S: Scalar>(momentum: &[S], mass: &RowMass<S>) -> f64 {
    let row = mass.inverse.len();
    vectorize!({
        let (mut sums, mut tail) = ([0f64; LANES], 0.0);
        for p in momentum.chunks_exact(row) {
            let (chunks, inverse_chunks) = (p.chunks_exact(LANES), mass.inverse.chunks_exact(LANES));
            for (&x, &w) in chunks.remainder().iter().zip(inverse_chunks.remainder()) {
                tail += square(x) * w.into();
            }
            for (x, w) in chunks.zip(inverse_chunks) {
                for l in 0..LANES {
                    sums[l] += square(x[l]) * w[l].into();
                }
            }
        }
        0.5 * (sums.iter().sum::<f64>() + tail)
    })
}

/// Σ x² in float64.
pub fn sum_of_squares<S: Scalar>(values: &[S]) -> f64 {
    vectorize!({
        let mut sums = [0f64; LANES];
        let chunks = values.chunks_exact(LANES);
        let tail: f64 = chunks.remainder().iter().map(|&x| square(x)).sum();
        for x in chunks {
            for l in 0..LANES {
                sums[l] += square(x[l]);
            }
        }
        sums.iter().sum::<f64>() + tail
    })
}

/// Whether a value is further from zero than `bound`, or no number.
pub fn strays<S: Scalar>(values: &[S], bound: f64) -> bool {
    let bound = S::round(bound);
    vectorize!({ !values.iter().fold(true, |within, &x| within & (x <= bound) & (-x <= bound)) })
}

/// Partial sums that a reduction keeps: a fixed order that vectorises.
const LANES: usize = 8;

#[inline(always)]
fn square<S: Scalar>(x: S) -> f64 {
    let x: f64 = x.into();
    x * x
}

/// θ ← θ − η ∂L.
pub fn descend<S: Scalar>(position: &mut [S], gradient: &[S], eta: f64) {
    let eta = S::round(eta);
    vectorize!({
        for (x, &g) in position.iter_mut().zip(gradient) {
            *x -= eta * g;
        }
    })
}

/// One Euler–Maruyama step of the overdamped dynamics in the field's convention: θ ← (1 − ηTλ)θ − η
/// ∂L + √(2ηT) ξ.
pub fn euler_maruyama<S: Scalar>(
    position: &mut [S],
    gradient: &[S],
    noise: &[S],
    eta: f64,
    temperature: f64,
    lambda: f64,
) {
    let shrink = S::round(1.0 - eta * temperature * lambda);
    let amplitude = S::round((2.0 * eta * temperature).sqrt());
    let eta = S::round(eta);
    vectorize!({
        for ((x, &g), &xi) in position.iter_mut().zip(gradient).zip(noise) {
            *x = shrink * *x - eta * g + amplitude * xi;
        }
    })
}
