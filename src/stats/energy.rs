//! Bayesian fraction of missing information: does refreshing the momentum move the energy as far as
//! its distribution is wide?

use super::{Chains, moments};

/// E-BFMI of every chain (Betancourt, arXiv 1604.00695): mean squared jump of the energy between
/// draws over its variance.
///
/// `energies` holds the Hamiltonian at the start of every trajectory. Independent energies give
/// about 2; below 0.3 the momentum refresh is too timid for the energy's tails. NaN for non-finite
/// energies, fewer than two draws, or a constant energy.
pub fn bfmi(energies: Chains) -> Vec<f64> {
    let fraction = |chain: &[f64]| {
        let jumps = chain.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum::<f64>();
        let (_, variance) = moments(chain);
        jumps / (chain.len() as f64 - 1.0) / variance
    };
    energies.iter().map(|chain| if chain.iter().all(|e| e.is_finite()) { fraction(chain) } else { f64::NAN }).collect()
}

/// E-BFMI of all chains together: mean squared jump of the energy over its variance about the mean
/// of all chains.
///
/// One number for many short chains, where the smallest of [`bfmi`] is mostly chance, and where a
/// chain's own variance misses what it had no time to visit. NaN as there.
pub fn bfmi_pooled(energies: Chains) -> f64 {
    if !energies.are_finite() {
        return f64::NAN;
    }
    let jumps: f64 = energies.iter().flat_map(|chain| chain.windows(2)).map(|pair| (pair[1] - pair[0]).powi(2)).sum();
    let count = energies.chains() * energies.draws().saturating_sub(1);
    let (_, variance) = moments(energies.values());
    jumps / count as f64 / variance
}
