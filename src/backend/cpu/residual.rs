//! Stage residual: e = f − y and the loss of one chain.

use super::scalar::Scalar;

/// Turns outputs f into residuals f − y and returns L = ½ Σ e² in float64.
pub fn residual<S: Scalar>(output: &mut [S], labels: &[S]) -> f64 {
    let mut loss = 0.0;
    for (f, &y) in output.iter_mut().zip(labels) {
        *f -= y;
        let e: f64 = (*f).into();
        loss += e * e;
    }
    0.5 * loss
}
