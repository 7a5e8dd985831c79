//! What is reported of one observable at one temperature.

use super::ess::{TAILS, ess, ess_of_quantile, ess_of_rank_normalised};
use super::mcse::mcse_of_quantile;
use super::order::Order;
use super::rhat::HalfMoments;
use super::{Chains, drift, moments};

/// The probabilities whose quantiles are reported: the tails of [`ess_tail`](super::ess_tail), and
/// the median between them.
pub const QUANTILES: [f64; 3] = [TAILS[0], 0.5, TAILS[1]];

/// A quantile of all draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// Type 7 of Hyndman and Fan, in the unit of the draws.
    pub value: f64,
    /// Monte Carlo standard error of `value`.
    pub mcse: f64,
}

/// Estimate, error and convergence of one scalar. Sorting and rank normalisation, the costly steps,
/// are shared.
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
    /// At the probabilities [`QUANTILES`].
    pub quantiles: [Quantile; 3],
    pub rhat: f64,
    pub nested_rhat: f64,
    /// See [`drift`](fn@super::drift).
    pub drift: f64,
}

impl Summary {
    /// What is said of draws of which nothing can be said: NaN throughout.
    pub const UNDEFINED: Self = {
        let nan = f64::NAN;
        Self {
            mean: nan,
            sd: nan,
            mcse: nan,
            ess_bulk: nan,
            ess_tail: nan,
            quantiles: [Quantile { value: nan, mcse: nan }; 3],
            rhat: nan,
            nested_rhat: nan,
            drift: nan,
        }
    };

    /// `superchains` equal groups of consecutive chains enter [`nested_rhat`](super::nested_rhat);
    /// with fewer than two it is NaN.
    pub fn new(chains: Chains, superchains: usize) -> Self {
        if !chains.are_finite() {
            return Self::UNDEFINED;
        }
        let (mean, variance) = moments(chains.values());
        let sd = variance.sqrt();
        if !chains.are_valid() {
            return Self { mean, sd, ..Self::UNDEFINED };
        }
        let order = Order::new(chains);
        let z = order.rank_normalised();
        let halves = HalfMoments::new(&order, &z, chains.half());
        let ess_of_quantiles = QUANTILES.map(|probability| ess_of_quantile(chains, &order, probability));
        let quantile = |k: usize| Quantile {
            value: order.quantile(QUANTILES[k]),
            mcse: mcse_of_quantile(&order, QUANTILES[k], ess_of_quantiles[k]),
        };
        let [low, _, high] = ess_of_quantiles;
        Self {
            mean,
            sd,
            mcse: sd / ess(&chains.halves(), |x| x).sqrt(),
            ess_bulk: ess_of_rank_normalised(&z, chains.half()),
            ess_tail: low.min(high),
            quantiles: [quantile(0), quantile(1), quantile(2)],
            rhat: halves.rhat(),
            nested_rhat: halves.nested_rhat(superchains),
            drift: drift(chains),
        }
    }
}
