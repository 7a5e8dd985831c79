//! Microscopic signatures: how far the readout and the first-layer weights leave their prior.
//!
//! ```text
//! ⟨v⟩ = (m·a)/(λ1 √N1 (1+Q))        ⟨v w⟩ = c/(λ1 (1+Q) √N1),   c = Xᵀ(d∘a)/(λ0 √N0)
//! ⟨(w·û)²⟩ = 1/λ0 − pᵀBp/(λ1 N1 (1+Q)),   û = c/‖c‖,   p = d∘(Xû)/(λ0 √N0)
//! ```
//!
//! At infinite width ⟨v⟩ and ⟨v w⟩ vanish and ⟨(w·û)²⟩ is 1/λ0.

use super::Theory;
use super::spectrum::{Resolvent, dot, multiply};

pub(super) struct Weights {
    pub readout_mean: f64,
    /// ⟨v w⟩ and its norm.
    pub correlation: Vec<f64>,
    pub correlation_norm: f64,
    /// û; zero if c is.
    pub direction: Vec<f64>,
    pub second_moment_along_u: f64,
}

/// `inverse_width` is 1/N1, or zero at infinite width.
pub(super) fn weights(theory: &Theory, resolvent: &Resolvent, inverse_width: f64) -> Weights {
    let problem = &theory.problem;
    let derivative = &theory.kernels.derivative_train;
    let scale = 1.0 / (theory.network.lambda0 * (problem.dimension() as f64).sqrt());
    let dual = multiply(theory.eigenvectors.as_ref(), &resolvent.dual);
    let weighted: Vec<f64> = derivative.iter().zip(&dual).map(|(d, a)| scale * d * a).collect();
    let c = multiply(problem.x_train.transpose(), &weighted);
    let norm = dot(&c, &c).sqrt();
    let direction: Vec<f64> = c.iter().map(|c| if norm > 0.0 { c / norm } else { 0.0 }).collect();

    let gain = resolvent.mean_gain * inverse_width.sqrt();
    let along: Vec<f64> = multiply(problem.x_train.as_ref(), &direction);
    let p: Vec<f64> = derivative.iter().zip(&along).map(|(d, x)| scale * d * x).collect();
    let displaced = resolvent.connected_form(&multiply(theory.eigenvectors.transpose(), &p));
    Weights {
        readout_mean: gain * resolvent.mean_dual(),
        correlation: c.iter().map(|c| gain * c).collect(),
        correlation_norm: gain * norm,
        direction,
        second_moment_along_u: 1.0 / theory.network.lambda0 - resolvent.mean_gain * inverse_width * displaced,
    }
}
