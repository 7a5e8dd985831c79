//! The effective action and the evidence.
//!
//! ```text
//! S(Q, Q̄) = −Q Q̄ + ln(1+Q) + (1/N1)[ ln det A + yᵀA⁻¹y ]        ln p(y) ≈ −(N1/2) S − (P/2) ln 2π
//! ```
//!
//! On a solution T² d ln p(y)/dT = ⟨L⟩ − PT/2, exactly, because S is stationary.

use super::spectrum::{Resolvent, Spectrum};

/// S(Q, Q̄).
pub(super) fn effective_action(spectrum: &Spectrum, resolvent: &Resolvent, q: f64, q_bar: f64) -> f64 {
    -q * q_bar + q.ln_1p() + (resolvent.log_determinant() + resolvent.labels_form()) / spectrum.width
}

/// ln p(y).
pub(super) fn log_evidence(spectrum: &Spectrum, effective_action: f64) -> f64 {
    -0.5 * (spectrum.width * effective_action + spectrum.points() as f64 * std::f64::consts::TAU.ln())
}
