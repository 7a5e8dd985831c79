//! Stage forward: pre-activations H = W′Zᵀ, features Φ = σ(H) and the network's output.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};

use super::scalar::Scalar;
use crate::simd::vectorize;

/// Inputs in the rotated basis: `count` rows of length `rank`.
#[derive(Debug, Clone)]
pub struct Inputs<S> {
    pub rows: Vec<S>,
    pub count: usize,
    pub rank: usize,
}

impl<S: Scalar> Inputs<S> {
    pub fn new(z: &Mat<f64>) -> Self {
        let (count, rank) = (z.nrows(), z.ncols());
        let rows = (0..count).flat_map(|i| (0..rank).map(move |j| S::round(z[(i, j)]))).collect();
        Self { rows, count, rank }
    }

    pub fn as_mat(&self) -> MatRef<'_, S> {
        MatRef::from_row_major_slice(&self.rows, self.count, self.rank)
    }
}

/// H = W′Zᵀ, or H += W′Zᵀ, shape (units, points), row-major.
pub fn preactivations<S: Scalar>(weights: &[S], inputs: &Inputs<S>, h: &mut [S], accum: Accum) {
    let units = h.len() / inputs.count;
    matmul(
        MatMut::from_row_major_slice_mut(h, units, inputs.count),
        accum,
        MatRef::from_row_major_slice(weights, units, inputs.rank),
        inputs.as_mat().transpose(),
        S::round(1.0),
        Par::Seq,
    );
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
