//! Microscopic signatures: how far the readout and the first-layer weights leave their prior.
//!
//! ```text
//! ⟨v⟩ = (m·a)/(λ1 √N1 (1+Q))        ⟨v w⟩ = c/(λ1 (1+Q) √N1),   c = Xᵀ(d∘a)/(λ0 √N0)
//! ⟨(w·û)²⟩ = 1/λ0 − pᵀBp/(λ1 N1 (1+Q)),   û = c/‖c‖,   p = d∘(Xû)/(λ0 √N0)
//! ```
//!
//! At infinite width ⟨v⟩ and ⟨v w⟩ vanish and ⟨(w·û)²⟩ is 1/λ0.

use super::Theory;
use super::projections::Projected;
use super::spectrum::Resolvent;

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
pub(super) fn weights(theory: &Theory, resolvent: &Resolvent, at: Projected, inverse_width: f64) -> Weights {
    let gain = resolvent.mean_gain * inverse_width.sqrt();
    let displaced = resolvent.connected_form(at.along);
    Weights {
        readout_mean: gain * resolvent.mean_dual(),
        correlation: at.direction.iter().map(|u| gain * at.correlation_norm * u).collect(),
        correlation_norm: gain * at.correlation_norm,
        direction: at.direction.to_vec(),
        second_moment_along_u: 1.0 / theory.network.lambda0 - resolvent.mean_gain * inverse_width * displaced,
    }
}
