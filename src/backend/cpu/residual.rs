//! Stage residual: e = f − y and the loss of one chain.

/// Turns outputs f into residuals f − y and returns L = ½ Σ e² in float64.
pub fn residual(output: &mut [f32], labels: &[f32]) -> f64 {
    let mut loss = 0.0;
    for (f, &y) in output.iter_mut().zip(labels) {
        *f -= y;
        loss += f64::from(*f) * f64::from(*f);
    }
    0.5 * loss
}
