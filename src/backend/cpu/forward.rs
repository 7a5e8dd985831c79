//! Stage forward: pre-activations H = W′Zᵀ, features Φ = σ(H) and the network's output.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Arch;

use super::activation::activate;
use crate::model::Activation;

/// Inputs in the rotated basis: `count` rows of length `rank`.
#[derive(Debug, Clone)]
pub struct Inputs {
    pub rows: Vec<f32>,
    pub count: usize,
    pub rank: usize,
}

impl Inputs {
    pub fn as_mat(&self) -> MatRef<'_, f32> {
        MatRef::from_row_major_slice(&self.rows, self.count, self.rank)
    }
}

/// H = W′Zᵀ, shape (units, points), row-major.
pub fn preactivations(weights: &[f32], inputs: &Inputs, h: &mut [f32]) {
    let units = weights.len() / inputs.rank;
    matmul(
        MatMut::from_row_major_slice_mut(h, units, inputs.count),
        Accum::Replace,
        MatRef::from_row_major_slice(weights, units, inputs.rank),
        inputs.as_mat().transpose(),
        1.0,
        Par::Seq,
    );
}

/// On return `features` holds Φ, `h` holds σ′(H), both (units, points), and `output` the network's f = (1/√N1) Σ_i v_i φ_i.
pub fn forward(
    activation: Activation,
    weights: &[f32],
    readout: &[f32],
    inputs: &Inputs,
    h: &mut [f32],
    features: &mut [f32],
    output: &mut [f32],
) {
    preactivations(weights, inputs, h);
    activate(activation, h, features);
    combine(readout, features, output);
}

/// f = (1/√N1) Σ_i v_i φ_i.
pub fn combine(readout: &[f32], features: &[f32], output: &mut [f32]) {
    let scale = 1.0 / (readout.len() as f32).sqrt();
    Arch::new().dispatch(|| {
        output.fill(0.0);
        for (&v, row) in readout.iter().zip(features.chunks_exact(output.len())) {
            let v = v * scale;
            for (f, &phi) in output.iter_mut().zip(row) {
                *f += v * phi;
            }
        }
    });
}
