//! Closed-form kernels of the rectifiers, entry by entry.

use std::f64::consts::TAU;

use faer::Mat;
use rayon::prelude::*;

/// Replaces every covariance c by `kernel(variance of the row, variance of the column, c)`, columns
/// in parallel.
pub fn entrywise(
    mut covariance: Mat<f64>,
    rows: &[f64],
    columns: &[f64],
    kernel: impl Fn(f64, f64, f64) -> f64 + Sync,
) -> Mat<f64> {
    covariance.par_col_iter_mut().zip(columns).for_each(|(column, &b)| {
        for (c, &a) in column.iter_mut().zip(rows) {
            *c = kernel(a, b, *c);
        }
    });
    covariance
}

/// ReLU: the arc-cosine kernel of order 1 (Cho & Saul 2009), K = [√(ab − c²) + c(π − θ)]/2π with
/// cos θ = c/√(ab).
///
/// The angle is taken as π − θ = atan2(√(ab − c²), −c), which keeps its digits at correlations near
/// ±1.
pub fn relu(a: f64, b: f64, c: f64) -> f64 {
    let sine = positive_part(a * b - c * c).sqrt();
    (sine + c * sine.atan2(-c)) / TAU
}

/// GELU: with Δ = (1+a)(1+b) − c², K = [c(π/2 + arcsin(c/√((1+a)(1+b)))) + (ab + c²(1 −
/// ab)/((1+a)(1+b)))/√Δ]/2π (Tsuchida, Pearce, van der Heide, Roosta, Gallagher 2021; two Gaussian
/// integrations by parts of E[xy Φ(x)Φ(y)]).
///
/// The angle is atan2(√Δ, −c), for the same reason as in [`relu`].
pub fn gelu(a: f64, b: f64, c: f64) -> f64 {
    let product = (1.0 + a) * (1.0 + b);
    let root = (1.0 + a + b + positive_part(a * b - c * c)).sqrt();
    (c * root.atan2(-c) + (a * b + c * c * (1.0 - a * b) / product) / root) / TAU
}

/// max(x, 0) that lets NaN through.
fn positive_part(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}
