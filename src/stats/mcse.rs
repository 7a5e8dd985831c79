//! Monte Carlo standard errors: how far an estimate from these draws is from what infinitely many
//! would give.

use super::ess::{ess, ess_of_quantile};
use super::inverse::beta_quantile;
use super::order::Order;
use super::{Chains, moments};

/// Standard error of the mean: sd/√ESS, with the ESS of the mean.
pub fn mcse_mean(chains: Chains) -> f64 {
    if chains.are_valid() { moments(chains.values()).1.sqrt() / ess(&chains.halves(), |x| x).sqrt() } else { f64::NAN }
}

/// Standard error of the standard deviation, by the delta method on the variance: √((m₄ − m₂²)/(4
/// m₂ ESS)), with the ESS of the mean of (x − x̄)² and central moments m₂, m₄ over all draws.
pub fn mcse_sd(chains: Chains) -> f64 {
    if !chains.are_valid() {
        return f64::NAN;
    }
    let (mean, _) = moments(chains.values());
    let square = |x: f64| (x - mean) * (x - mean);
    let n = chains.values().len() as f64;
    let m2 = chains.values().iter().map(|&x| square(x)).sum::<f64>() / n;
    let m4 = chains.values().iter().map(|&x| square(x) * square(x)).sum::<f64>() / n;
    ((m4 - m2 * m2) / ess(&chains.halves(), square) / m2 / 4.0).sqrt()
}

/// Standard error of a quantile (Vehtari et al., section 4.4): half the distance of the order
/// statistics at the 16 % and 84 % points of the Beta(ESS p + 1, ESS (1 − p) + 1) that the
/// quantile's ESS leaves for the true probability. NaN for a probability outside of \[0, 1\].
pub fn mcse_quantile(chains: Chains, probability: f64) -> f64 {
    if !chains.are_valid() {
        return f64::NAN;
    }
    let order = Order::new(chains);
    mcse_of_quantile(&order, probability, ess_of_quantile(chains, &order, probability))
}

/// [`mcse_quantile`] for a caller who has the order statistics and the quantile's ESS already.
pub(super) fn mcse_of_quantile(order: &Order, probability: f64, ess: f64) -> f64 {
    // Φ(−1), Φ(1), to the digits that ArviZ has.
    const ONE_SIGMA: [f64; 2] = [0.158_655_3, 0.841_344_7];
    if ess.is_nan() {
        return f64::NAN;
    }
    let ascending = order.values();
    let last = ascending.len() - 1;
    let [low, high] = ONE_SIGMA.map(|level| {
        let within = beta_quantile(level, ess * probability + 1.0, ess * (1.0 - probability) + 1.0);
        within * ascending.len() as f64 - 1.0
    });
    // Casts saturate: what lies below the first draw is the first draw.
    (ascending[(high.ceil() as usize).min(last)] - ascending[low.floor() as usize]) / 2.0
}
