//! Stage readout: the readout integrated out given the features, and drawn from its exact
//! conditional law.
//!
//! Given Φ, (N1, P), the posterior of v is Gaussian. With M = 1 + cΦΦᵀ and A = 1 + cΦᵀΦ, c = β/(λ1
//! N1),
//!
//! ```text
//! K = M⁻¹Φ = ΦA⁻¹      v̄ = β/(λ1√N1) K y      e = Φᵀv̄/√N1 − y
//! V(Φ) = −ln ∫ N(v; 0, 1/λ1) e^{−βL} dv = ½β‖e‖² + ½λ1‖v̄‖² + ½ ln det M
//! ∂V/∂Φ = cK + β/√N1 v̄eᵀ
//! v = v0 + β/(λ1√N1) K (y − Φᵀv0/√N1 − ξ/√β)      v0 ~ N(0, 1/λ1), ξ ~ N(0, 1)
//! ```
//!
//! det M = det A, and of the two the smaller is factorised. The last line is Matheron's rule: it
//! conditions a draw from the prior on data drawn with it. At the minimum v̄ of a quadratic form V
//! depends on an error of v̄ in second order only, so float32 serves.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{LltParams, LltRegularization, cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, MatMut, MatRef, Par, Spec};

use super::cholesky::Cholesky;
use super::forward::combine;
use super::residual::residual;
use super::scalar::Scalar;
use super::update::sum_of_squares;
use crate::model::Network;
use crate::numerics::simd::{has_fma, vectorize};

/// Side up to which our factor stays in the second cache of most processors while columns pass:
/// larger ones are left to the library, block by block.
const LARGEST: usize = 256;

/// Buffers of one thread.
pub struct ReadoutScratch<S> {
    /// M or A, column-major; of its lower triangle only.
    factor: Vec<S>,
    /// K, (N1, P).
    solved: Vec<S>,
    /// v̄.
    mean: Vec<S>,
    /// e, then what the draw is conditioned on.
    data: Vec<S>,
    stack: MemBuffer,
    /// In float32, where the processor and the size suit it, in place of `factor`.
    cholesky: Option<Cholesky>,
}

impl<S> std::fmt::Debug for ReadoutScratch<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadoutScratch").finish_non_exhaustive()
    }
}

impl<S: Scalar> ReadoutScratch<S> {
    pub fn new(units: usize, points: usize) -> Self {
        let side = units.min(points);
        let own = S::singles(&[]).is_some() && has_fma() && side <= LARGEST;
        Self {
            factor: vec![S::default(); if own { 0 } else { side * side }],
            solved: vec![S::default(); units * points],
            mean: vec![S::default(); units],
            data: vec![S::default(); points],
            stack: MemBuffer::new(cholesky_in_place_scratch::<S>(side, Par::Seq, Spec::<LltParams, S>::default())),
            cholesky: own.then(|| Cholesky::new(units, points)),
        }
    }

    /// Factorises M or A and leaves K; returns ½ ln det M, not a number if that fails.
    fn solve(&mut self, features: &[S], coupling: f64) -> f64 {
        if let (Some(cholesky), Some(features)) = (&mut self.cholesky, S::singles(features))
            && let Some(solved) = S::singles_mut(&mut self.solved)
        {
            let half_log_determinant = cholesky.factorize(features, coupling);
            cholesky.solve(features, solved);
            return half_log_determinant;
        }
        let (units, points) = (self.mean.len(), self.data.len());
        let side = units.min(points);
        let phi = MatRef::from_row_major_slice(features, units, points);
        let tall = if units <= points { phi } else { phi.transpose() };
        let mut factor = MatMut::from_column_major_slice_mut(&mut self.factor, side, side);
        matmul(
            factor.as_mut(),
            BlockStructure::TriangularLower,
            Accum::Replace,
            tall,
            BlockStructure::Rectangular,
            tall.transpose(),
            BlockStructure::Rectangular,
            S::round(coupling),
            Par::Seq,
        );
        for i in 0..side {
            factor[(i, i)] += S::round(1.0);
        }
        let stack = MemStack::new(&mut self.stack);
        if cholesky_in_place(factor.as_mut(), LltRegularization::default(), Par::Seq, stack, Spec::default()).is_err() {
            return f64::NAN;
        }
        let half_log_determinant = (0..side).map(|i| Into::<f64>::into(factor[(i, i)]).ln()).sum();
        let factor = MatRef::from_column_major_slice(&self.factor, side, side);
        self.solved.copy_from_slice(features);
        let solved = MatMut::from_row_major_slice_mut(&mut self.solved, units, points);
        let mut solved = if units <= points { solved } else { solved.transpose_mut() };
        solve_lower_triangular_in_place(factor, solved.as_mut(), Par::Seq);
        solve_upper_triangular_in_place(factor.transpose(), solved, Par::Seq);
        half_log_determinant
    }
}

/// V of the features; `slope` holds σ′(H) and is overwritten by ∂V/∂H.
pub fn integrate<S: Scalar>(
    network: &Network,
    beta: f64,
    labels: &[S],
    features: &[S],
    slope: &mut [S],
    scratch: &mut ReadoutScratch<S>,
) -> f64 {
    let units = network.width as f64;
    let coupling = beta / (network.lambda1 * units);
    let log_volume = scratch.solve(features, coupling);
    let ReadoutScratch { solved, mean, data, .. } = scratch;
    project(solved, labels, beta / (network.lambda1 * units.sqrt()), mean);
    combine(mean, features, data);
    let loss = residual(data, labels);
    let (coupling, scale) = (S::round(coupling), S::round(beta / units.sqrt()));
    vectorize!({
        for ((&v, slope), solved) in
            mean.iter().zip(slope.chunks_exact_mut(labels.len())).zip(solved.chunks_exact(labels.len()))
        {
            let v = v * scale;
            for ((g, &k), &e) in slope.iter_mut().zip(solved).zip(data.iter()) {
                *g *= coupling * k + v * e;
            }
        }
    });
    beta * loss + 0.5 * network.lambda1 * sum_of_squares(mean) + log_volume
}

/// Draws v given the features that [`integrate`] saw last with the same β; `readout` holds N1
/// standard normals, `noise` P of them. Returns L at (W′, v).
pub fn draw_readout<S: Scalar>(
    network: &Network,
    beta: f64,
    labels: &[S],
    features: &[S],
    readout: &mut [S],
    noise: &[S],
    scratch: &mut ReadoutScratch<S>,
) -> f64 {
    let ReadoutScratch { solved, mean, data, .. } = scratch;
    let deviation = S::round(1.0 / network.lambda1.sqrt());
    readout.iter_mut().for_each(|v| *v *= deviation);
    combine(readout, features, data);
    // β times the data's part, so that β = 0 draws from the prior.
    let (weight, spread) = (S::round(beta), S::round(beta.sqrt()));
    for ((d, &y), &xi) in data.iter_mut().zip(labels).zip(noise) {
        *d = weight * (y - *d) - spread * xi;
    }
    project(solved, data, 1.0 / (network.lambda1 * (network.width as f64).sqrt()), mean);
    readout.iter_mut().zip(mean.iter()).for_each(|(v, &shift)| *v += shift);
    combine(readout, features, data);
    residual(data, labels)
}

/// out ← scale · K x.
fn project<S: Scalar>(solved: &[S], x: &[S], scale: f64, out: &mut [S]) {
    let scale = S::round(scale);
    vectorize!({
        for (out, row) in out.iter_mut().zip(solved.chunks_exact(x.len())) {
            *out = scale * super::backward::dot(row, x);
        }
    });
}

#[cfg(test)]
mod tests {
    use faer::Mat;
    use faer::linalg::solvers::Solve;

    use super::*;
    use crate::model::Activation;
    use crate::numerics::noise::{Address, Purpose};

    const BETA: f64 = 2.5;

    fn network(width: usize) -> Network {
        Network { width, activation: Activation::Erf, lambda0: 1.0, lambda1: 1.7 }
    }

    fn normals(chain: u32, count: usize) -> Vec<f64> {
        let mut out = vec![0.0; count];
        Address { seed: 5, chain, trajectory: 0, step: 0, purpose: Purpose::Data }.normals(&mut out);
        out
    }

    /// V and ∂V/∂Φ in precision S.
    fn value_and_gradient<S: Scalar>(units: usize, points: usize, phi: &[f64], y: &[f64]) -> (f64, Vec<f64>) {
        let mut slope = vec![S::round(1.0); phi.len()];
        let mut scratch = ReadoutScratch::<S>::new(units, points);
        let (phi, y): (Vec<S>, Vec<S>) =
            (phi.iter().map(|&x| S::round(x)).collect(), y.iter().map(|&x| S::round(x)).collect());
        let value = integrate(&network(units), BETA, &y, &phi, &mut slope, &mut scratch);
        (value, slope.into_iter().map(Into::into).collect())
    }

    /// −ln ∫ N(v; 0, 1/λ1) e^{−βL} dv from the Gaussian law of y: y ~ N(0, 1/β + ΦᵀΦ/(λ1 N1)).
    fn direct(units: usize, points: usize, phi: &[f64], y: &[f64]) -> f64 {
        let covariance = Mat::from_fn(points, points, |a, b| {
            let g: f64 = (0..units).map(|i| phi[i * points + a] * phi[i * points + b]).sum();
            g / (1.7 * units as f64) + f64::from(u8::from(a == b)) / BETA
        });
        let labels = Mat::from_fn(points, 1, |a, _| y[a]);
        let llt = covariance.llt(faer::Side::Lower).unwrap();
        let log_det: f64 = (0..points).map(|a| 2.0 * llt.L()[(a, a)].ln()).sum();
        let quadratic = (labels.transpose() * llt.solve(&labels))[(0, 0)];
        0.5 * (quadratic + log_det + points as f64 * BETA.ln())
    }

    const SHAPES: [(usize, usize); 4] = [(3, 7), (7, 3), (5, 5), (1, 4)];

    #[test]
    fn the_marginal_energy_is_that_of_a_gaussian_process() {
        for (units, points) in SHAPES {
            let (phi, y) = (normals(1, units * points), normals(2, points));
            let expected = direct(units, points, &phi, &y);
            let (double, _) = value_and_gradient::<f64>(units, points, &phi, &y);
            assert!(
                (double - expected).abs() < 1e-12 * (1.0 + expected.abs()),
                "{units}×{points}: {double}, {expected}"
            );
            let (single, _) = value_and_gradient::<f32>(units, points, &phi, &y);
            assert!(
                (single - expected).abs() < 1e-5 * (1.0 + expected.abs()),
                "{units}×{points}: {single}, {expected}"
            );
        }
    }

    #[test]
    fn its_gradient_is_that_of_finite_differences() {
        for (units, points) in SHAPES {
            let (phi, y) = (normals(1, units * points), normals(2, points));
            let (_, gradient) = value_and_gradient::<f64>(units, points, &phi, &y);
            for k in 0..phi.len() {
                let shifted = |by: f64| {
                    let mut phi = phi.clone();
                    phi[k] += by;
                    direct(units, points, &phi, &y)
                };
                let difference = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
                assert!((gradient[k] - difference).abs() < 1e-7, "{units}×{points}, {k}: {} {difference}", gradient[k]);
                // The control: a gradient one per cent too strong is seen.
                assert!((1.01 * gradient[k] - difference).abs() > 1e-7 || gradient[k].abs() < 1e-4);
            }
        }
    }

    /// The mean of the draws is v̄ and their covariance M⁻¹/λ1.
    #[test]
    fn draws_of_the_readout_have_its_conditional_law() {
        const DRAWS: u32 = 20_000;
        for (units, points) in SHAPES {
            let (phi, y) = (normals(1, units * points), normals(2, points));
            let network = network(units);
            let mut scratch = ReadoutScratch::<f64>::new(units, points);
            integrate(&network, BETA, &y, &phi, &mut vec![1.0; phi.len()], &mut scratch);
            let precision = Mat::from_fn(units, units, |i, j| {
                let g: f64 = (0..points).map(|a| phi[i * points + a] * phi[j * points + a]).sum();
                BETA * g / units as f64 + if i == j { 1.7 } else { 0.0 }
            });
            let force = Mat::from_fn(units, 1, |i, _| {
                BETA * (0..points).map(|a| phi[i * points + a] * y[a]).sum::<f64>() / (units as f64).sqrt()
            });
            let llt = precision.llt(faer::Side::Lower).unwrap();
            let (mean, covariance) = (llt.solve(&force), llt.solve(Mat::<f64>::identity(units, units)));
            let (mut sum, mut squares) = (vec![0.0; units], Mat::<f64>::zeros(units, units));
            for draw in 0..DRAWS {
                let (mut v, noise) = (normals(2 * draw + 10, units), normals(2 * draw + 11, points));
                let loss = draw_readout(&network, BETA, &y, &phi, &mut v, &noise, &mut scratch);
                let residual = |a: usize| {
                    y[a] - (0..units).map(|i| v[i] * phi[i * points + a]).sum::<f64>() / (units as f64).sqrt()
                };
                assert!((loss - 0.5 * (0..points).map(|a| residual(a).powi(2)).sum::<f64>()).abs() < 1e-10);
                for i in 0..units {
                    sum[i] += v[i] / f64::from(DRAWS);
                    for j in 0..units {
                        squares[(i, j)] += (v[i] - mean[(i, 0)]) * (v[j] - mean[(j, 0)]) / f64::from(DRAWS);
                    }
                }
            }
            for i in 0..units {
                let error = (covariance[(i, i)] / f64::from(DRAWS)).sqrt();
                let z = (sum[i] - mean[(i, 0)]) / error;
                assert!(z.abs() < 4.5, "{units}×{points}: mean of v_{i} off by {z:.1}");
                for j in 0..units {
                    let (c, scale) = (covariance[(i, j)], (covariance[(i, i)] * covariance[(j, j)]).sqrt());
                    let z = (squares[(i, j)] - c) / scale / (2.0 / f64::from(DRAWS)).sqrt();
                    assert!(z.abs() < 4.5, "{units}×{points}: covariance ({i}, {j}) off by {z:.1}");
                    if i == j {
                        let control = (squares[(i, j)] - 1.1 * c) / scale / (2.0 / f64::from(DRAWS)).sqrt();
                        assert!(control.abs() > 4.5, "a covariance ten per cent too wide must be seen");
                    }
                }
            }
        }
    }
}
