//! Stage accept: what becomes of a proposed trajectory.

use crate::backend::{DIVERGENCE, Transition};

/// Metropolis rule: kept when u < min(1, exp(−ΔE)). A trajectory with a non-finite or enormous
/// energy error is rejected and marked.
pub fn metropolis(proposed: Transition, uniform: f64) -> (bool, Transition) {
    let error = proposed.energy_error;
    if !error.is_finite() || error > DIVERGENCE {
        return (false, Transition { acceptance: 0.0, diverged: true, ..proposed });
    }
    let acceptance = (-error).exp().min(1.0);
    (uniform < acceptance, Transition { acceptance, diverged: false, ..proposed })
}

/// Exchange of two states at inverse temperatures β_a, β_b: accepted when u < min(1, exp((β_a −
/// β_b)(L_a − L_b))).
pub fn exchange(beta: [f64; 2], loss: [f64; 2], uniform: f64) -> bool {
    uniform < ((beta[0] - beta[1]) * (loss[0] - loss[1])).exp()
}
