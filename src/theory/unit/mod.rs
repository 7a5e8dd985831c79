//! The theories of one hidden unit in the mean field of all others: right to order 1/N1 at fixed P
//! without assuming that features are Gaussian.
//!
//! The formulas of the proportional limit ([`saddle`](super::saddle)) take the features φ as
//! Gaussian. On real data their fourth cumulants enter at the same order 1/N1 as the effects
//! predicted, and feature learning is underestimated. Here one unit keeps its exact law given a
//! dual field a and a resolvent B that stand for all others:
//!
//! ```text
//! p(w) ∝ p0(w) (1+q)^{−1/2} exp( m²/(2(1+q)) ),     q = φᵀBφ/(λ1N1),     m = φ·a/√(λ1N1)
//! ```
//!
//! * **single-unit** takes a and B = A⁻¹ from the saddle point;
//! * **adaptive** solves for both: T a + √N1⟨vφ⟩ = y, B = (T + ⟨v²φφᵀ⟩ − ⟨vφ⟩⟨vφ⟩ᵀ)⁻¹.
//!
//! Averages are Monte Carlo, with errors of their own: importance sampling of prior draws, or
//! Markov chains on the measure itself where the weights have lost their effective sample size.
//! There one dual field and one resolvent no longer stand for all others, since some of these fit
//! the data almost alone and exclude each other: the adaptive theory then has a mixture of fields,
//! whose derivation is in `collective.rs`. Derived for this project; neighbours are Seroussi,
//! Naveh, Ringel, Nat. Commun. 14, 908 (2023), Rubin et al., arXiv 2502.03210, and Göring et al.,
//! arXiv 2510.15174.

mod adaptive;
mod anderson;
mod block;
mod chain;
mod collective;
mod continuation;
mod details;
mod draws;
mod error;
mod estimate;
mod fit;
mod ladder;
mod log_weights;
mod measure;
mod memory;
mod mixture;
mod observe;
mod params;
mod population;
mod predictor;
mod reliability;
mod reweight;
mod single_unit;
#[cfg(test)]
mod tests;
mod vector;

pub use chain::ChainParams;
pub use details::{Method, UnitDetails, UnitSolution};
pub use error::UnitError;
pub(super) use ladder::solve;
pub use memory::memory;
pub use params::Params;
pub use reliability::reliability_warning;
