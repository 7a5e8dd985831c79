//! Stage backward: the gradient of the loss with respect to readout and rotated weights.

use faer::Accum;

use super::forward::Inputs;
use super::scalar::Scalar;
use crate::numerics::simd::vectorize;

/// ∂L/∂v_i = (1/√N1) Σ_μ e_μ φ_iμ; `slope` holds σ′(H), (N1, P), and is overwritten by g_iμ =
/// ∂L/∂h_iμ = e_μ v_i σ′(h_iμ)/√N1.
pub fn backward<S: Scalar>(readout: &[S], residual: &[S], features: &[S], slope: &mut [S], gradient_readout: &mut [S]) {
    let (units, points) = (readout.len(), residual.len());
    let scale = S::round(1.0 / (units as f64).sqrt());
    vectorize!({
        for i in 0..units {
            let row = i * points..(i + 1) * points;
            gradient_readout[i] = scale * dot(&features[row.clone()], residual);
            let v = readout[i] * scale;
            for (g, &e) in slope[row].iter_mut().zip(residual) {
                *g *= v * e;
            }
        }
    });
}

/// ∂L/∂W′ = g Z: from the gradient by H, (N1, P), to that by W′, (N1, r).
pub fn pull_back<S: Scalar>(g: &[S], inputs: &Inputs<S>, gradient_weights: &mut [S]) {
    inputs.back.product(g, gradient_weights, Accum::Replace);
}

/// Dot product in sixteen partial sums: a fixed order that vectorises.
#[inline(always)]
pub fn dot<S: Scalar>(a: &[S], b: &[S]) -> S {
    const LANES: usize = 16;
    let mut sums = [S::default(); LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: S = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(&x, &y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for l in 0..LANES {
            sums[l] += x[l] * y[l];
        }
    }
    // Halves onto halves: a chain of sixteen additions would take longer than the products.
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            let other = sums[l + half];
            sums[l] += other;
        }
        half /= 2;
    }
    sums[0] + tail
}
