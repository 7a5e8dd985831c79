//! Have the chains forgotten where they started? Split R̂ and nested R̂, both rank-normalised.

use super::order::Order;
use super::{Chains, mean, moments};

/// Rank-normalised split R̂: the larger of the bulk and the folded one (Vehtari et al., eqs. 1–4,
/// 14, 15).
///
/// Every chain is cut in two halves; with the within-half variance W, the variance B/n of the half
/// means and n draws per half, R̂² = (n − 1)/n + (B/n)/W. Many short chains fail it even when
/// exactly stationary: see [`nested_rhat`]. Needs two chains.
pub fn rhat(chains: Chains) -> f64 {
    if chains.are_valid() { HalfMoments::of(&Order::new(chains), chains.half()).rhat() } else { f64::NAN }
}

/// Nested R̂ of chains in `superchains` equal groups of consecutive chains, each group started from
/// one point (Margossian et al., Bayesian Analysis 2024, eqs. 4–8), on rank-normalised half-chains,
/// the larger of the bulk and the folded one, as ArviZ has it.
///
/// R̂² = 1 + B/W, B the variance of the superchain means, W the mean over superchains of
/// within-chain variance plus variance of the chain means. However short the chains, many of them
/// in a superchain bring it to one once they have forgotten their common start.
pub fn nested_rhat(chains: Chains, superchains: usize) -> f64 {
    if chains.are_valid() {
        HalfMoments::of(&Order::new(chains), chains.half()).nested_rhat(superchains)
    } else {
        f64::NAN
    }
}

/// Mean and variance of every rank-normalised half-chain: all that either R̂ needs to know of the
/// draws.
pub(super) struct HalfMoments {
    draws: usize,
    bulk: Vec<(f64, f64)>,
    folded: Vec<(f64, f64)>,
}

impl HalfMoments {
    fn of(order: &Order, half: usize) -> Self {
        Self::new(order, &order.rank_normalised(), half)
    }

    /// For a caller who has the rank-normalised half-chains already.
    pub(super) fn new(order: &Order, rank_normalised: &[f64], half: usize) -> Self {
        let of_rows = |z: &[f64]| z.chunks_exact(half).map(moments).collect();
        Self { draws: half, bulk: of_rows(rank_normalised), folded: of_rows(&order.folded_rank_normalised()) }
    }

    pub(super) fn rhat(&self) -> f64 {
        // One chain has two halves, but their agreement says nothing about other starting points.
        if self.bulk.len() < 4 {
            return f64::NAN;
        }
        // Folding makes a constant of draws with two values, and 0/0 of its R̂: `max` then keeps the
        // bulk.
        scale_reduction(&self.bulk, self.draws).max(scale_reduction(&self.folded, self.draws))
    }

    pub(super) fn nested_rhat(&self, superchains: usize) -> f64 {
        if superchains < 2 || !(self.bulk.len() / 2).is_multiple_of(superchains) {
            return f64::NAN;
        }
        nested_scale_reduction(&self.bulk, superchains).max(nested_scale_reduction(&self.folded, superchains))
    }
}

/// √((n − 1)/n + (B/n)/W) of rows of n draws with the given means and variances.
pub(super) fn scale_reduction(rows: &[(f64, f64)], draws: usize) -> f64 {
    let (_, between) = moments_of_means(rows);
    let within = rows.iter().map(|row| row.1).sum::<f64>() / rows.len() as f64;
    let n = draws as f64;
    ((n - 1.0) / n + between / within).sqrt()
}

fn nested_scale_reduction(rows: &[(f64, f64)], superchains: usize) -> f64 {
    let size = rows.len() / superchains;
    let mean_and_within = |group: &[(f64, f64)]| {
        let (mean, between_chains) = moments_of_means(group);
        (mean, between_chains + group.iter().map(|row| row.1).sum::<f64>() / size as f64)
    };
    let (means, within): (Vec<f64>, Vec<f64>) = rows.chunks_exact(size).map(mean_and_within).unzip();
    (1.0 + moments(&means).1 / mean(&within)).sqrt()
}

fn moments_of_means(rows: &[(f64, f64)]) -> (f64, f64) {
    moments(&rows.iter().map(|row| row.0).collect::<Vec<_>>())
}
