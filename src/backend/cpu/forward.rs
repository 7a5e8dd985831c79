//! Stage forward: pre-activations H = W′Zᵀ, and the network's output from its features.

use faer::{Accum, Mat};

use super::product::RightFactor;
use super::scalar::Scalar;
use crate::numerics::simd::vectorize;

/// Inputs in the rotated basis, `count` points of `rank` coordinates, as the factor of products
/// from either side.
#[derive(Debug, Clone)]
pub struct Inputs<S> {
    pub count: usize,
    pub rank: usize,
    /// Zᵀ, (rank, count).
    forth: RightFactor<S>,
    /// Z.
    pub back: RightFactor<S>,
}

impl<S: Scalar> Inputs<S> {
    /// From Z, (count, rank).
    pub fn new(z: &Mat<f64>) -> Self {
        let (count, rank) = (z.nrows(), z.ncols());
        let forth = RightFactor::new(rank, count, |j, i| S::round(z[(i, j)]));
        let back = RightFactor::new(count, rank, |i, j| S::round(z[(i, j)]));
        Self { count, rank, forth, back }
    }
}

/// H = W′Zᵀ, or H += W′Zᵀ, shape (units, points), row-major.
pub fn preactivations<S: Scalar>(weights: &[S], inputs: &Inputs<S>, h: &mut [S], accum: Accum) {
    inputs.forth.product(weights, h, accum);
}

/// f = (1/√N1) Σ_i v_i φ_i.
pub fn combine<S: Scalar>(readout: &[S], features: &[S], output: &mut [S]) {
    let scale = S::round(1.0 / (readout.len() as f64).sqrt());
    vectorize!({
        output.fill(S::default());
        for (&v, row) in readout.iter().zip(features.chunks_exact(output.len())) {
            let v = v * scale;
            for (f, &phi) in output.iter_mut().zip(row) {
                *f += v * phi;
            }
        }
    })
}
