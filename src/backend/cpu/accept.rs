//! Stage accept: what becomes of a proposed trajectory.

use crate::backend::{DIVERGENCE, Transition};

/// Metropolis rule: accepted when u < min(1, exp(−ΔE)). A trajectory with a non-finite or enormous energy error is rejected and marked.
pub fn metropolis(energy_error: f64, uniform: f64) -> (bool, Transition) {
    if !energy_error.is_finite() || energy_error > DIVERGENCE {
        return (false, Transition { acceptance: 0.0, energy_error, diverged: true });
    }
    let acceptance = (-energy_error).exp().min(1.0);
    (uniform < acceptance, Transition { acceptance, energy_error, diverged: false })
}
