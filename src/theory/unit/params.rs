//! How the measure of one unit is sampled.

use super::chain::ChainParams;

/// How the measure of one unit is sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Params {
    /// Prior draws of the single-unit theory.
    pub draws: usize,
    /// Markov chains where those lose their effective sample size.
    pub chain: ChainParams,
    /// Independent sets of draws, each of [`Params::adaptive_draws`] from the prior or of
    /// [`Params::adaptive_chain`], with which the adaptive theory is solved: their spread is its
    /// error.
    pub sets: usize,
    /// Prior draws of one set, at least: forty per training point are taken where that is more.
    pub adaptive_draws: usize,
    /// Markov chains of one set where prior draws fail the adaptive theory: so long at every
    /// temperature on the way, and at one that is asked for.
    pub adaptive_chain: ChainParams,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            draws: 16_384,
            chain: ChainParams { chains: 128, warmup: 60, draws: 150 },
            sets: 8,
            adaptive_draws: 8192,
            adaptive_chain: ChainParams { chains: 512, warmup: 80, draws: 400 },
        }
    }
}

/// Prior draws of one set of the adaptive theory.
pub(super) fn prior_draws(least: usize, points: usize) -> usize {
    least.max(points.saturating_mul(40))
}

/// Effective fraction of the prior draws below which Markov chains take over.
pub(super) const LEAST_EFFECTIVE: f64 = 0.1;

/// Standard errors by which the halves of the chains may differ.
pub(super) const MOST_DRIFT: f64 = 5.0;
