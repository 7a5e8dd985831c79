//! What is reported of one observable at one temperature.

use super::ess::{ess, ess_of_rank_normalised, ess_of_tails};
use super::order::Order;
use super::rhat::HalfMoments;
use super::{Chains, moments};

/// Estimate, error and convergence of one scalar. Sorting and rank normalisation, the costly steps, are shared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Mean of all draws.
    pub mean: f64,
    /// Standard deviation of all draws (divisor n − 1).
    pub sd: f64,
    /// Monte Carlo standard error of the mean.
    pub mcse: f64,
    pub ess_bulk: f64,
    pub ess_tail: f64,
    pub rhat: f64,
    pub nested_rhat: f64,
}

impl Summary {
    /// `superchains` equal groups of consecutive chains enter [`nested_rhat`](super::nested_rhat); with fewer than two it is NaN.
    pub fn new(chains: Chains, superchains: usize) -> Self {
        let nan = f64::NAN;
        let undefined =
            Self { mean: nan, sd: nan, mcse: nan, ess_bulk: nan, ess_tail: nan, rhat: nan, nested_rhat: nan };
        if !chains.are_finite() {
            return undefined;
        }
        let (mean, variance) = moments(chains.values());
        let sd = variance.sqrt();
        if !chains.are_valid() {
            return Self { mean, sd, ..undefined };
        }
        let order = Order::new(chains);
        let z = order.rank_normalised();
        let halves = HalfMoments::new(&order, &z, chains.half());
        Self {
            mean,
            sd,
            mcse: sd / ess(&chains.halves(), |x| x).sqrt(),
            ess_bulk: ess_of_rank_normalised(&z, chains.half()),
            ess_tail: ess_of_tails(chains, &order),
            rhat: halves.rhat(),
            nested_rhat: halves.nested_rhat(superchains),
        }
    }
}
