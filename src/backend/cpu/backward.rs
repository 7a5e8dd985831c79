//! Stage backward: the gradient of the loss with respect to readout and rotated weights.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Arch;

use super::forward::Inputs;

/// ∂L/∂v_i = (1/√N1) Σ_μ e_μ φ_iμ and ∂L/∂W′ = g Z with g_iμ = e_μ v_i σ′(h_iμ)/√N1; `slope` holds σ′(H) and is overwritten by g.
pub fn backward(
    readout: &[f32],
    inputs: &Inputs,
    residual: &[f32],
    features: &[f32],
    slope: &mut [f32],
    gradient_readout: &mut [f32],
    gradient_weights: &mut [f32],
) {
    let (units, points) = (readout.len(), inputs.count);
    let scale = 1.0 / (units as f32).sqrt();
    Arch::new().dispatch(|| {
        for i in 0..units {
            let row = i * points..(i + 1) * points;
            gradient_readout[i] = scale * dot(&features[row.clone()], residual);
            let v = readout[i] * scale;
            for (g, &e) in slope[row].iter_mut().zip(residual) {
                *g *= v * e;
            }
        }
    });
    matmul(
        MatMut::from_row_major_slice_mut(gradient_weights, units, inputs.rank),
        Accum::Replace,
        MatRef::from_row_major_slice(slope, units, points),
        inputs.as_mat(),
        1.0,
        Par::Seq,
    );
}

/// Dot product in sixteen partial sums: a fixed order that vectorises.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for l in 0..LANES {
            sums[l] += x[l] * y[l];
        }
    }
    sums.iter().sum::<f32>() + tail
}
