//! Convergence diagnostics and Monte Carlo errors of chains of scalars; knows nothing of networks.
//!
//! Definitions follow Vehtari, Gelman, Simpson, Carpenter and Bürkner (Bayesian Analysis 16, 667,
//! 2021; "Vehtari et al." below) and agree with ArviZ (arviz-stats 1.3) on its own ground. Where
//! ArviZ has no answer there is a defined one here, never a panic:
//!
//! | input | answer |
//! |---|---|
//! | a number that is not finite (ArviZ ranks infinities) | NaN |
//! | fewer than 4 draws | NaN, except [`bfmi`], [`bfmi_pooled`], and the mean and sd of [`Summary`] |
//! | one chain | R̂ is NaN, the rest is defined |
//! | all draws equal | ESS is the number of draws, MCSE of mean and quantiles 0, of the sd NaN, R̂ NaN |
//! | every chain constant, at different values | R̂ is infinite |
//! | groups of chains that are fewer than two or of unequal size | nested R̂ is NaN |
//!
//! A quantity that is kept only as means over batches of draws is judged by the same functions with
//! its batch means as draws: mean, R̂ and the MCSE of the mean keep their meaning, while the sd and
//! the quantiles become those of a batch mean.
//!
//! ```
//! use featherm::stats::{Chains, Summary, ess_bulk, rhat};
//!
//! // Four chains of 100 draws, one after the other.
//! let draws: Vec<f64> = (0..400).map(|k| (2.4 * k as f64).sin()).collect();
//! let chains = Chains::new(&draws, 4)?;
//! assert!(rhat(chains) < 1.01 && ess_bulk(chains) > 100.0);
//! let Summary { mean, mcse, .. } = Summary::new(chains, 1);
//! assert!(mean.abs() < 4.0 * mcse);
//! # Ok::<(), featherm::stats::ShapeError>(())
//! ```

mod drift;
mod energy;
mod ess;
mod inverse;
mod jackknife;
mod kolmogorov;
mod mcse;
mod order;
mod rhat;
mod summary;

pub use drift::drift;
pub use energy::{bfmi, bfmi_pooled};
pub use ess::{ess_bulk, ess_mean, ess_quantile, ess_tail};
pub use jackknife::jackknife;
pub use kolmogorov::ks_p_value;
pub use mcse::{mcse_mean, mcse_quantile, mcse_sd};
pub use rhat::{nested_rhat, rhat};
pub use summary::{QUANTILES, Quantile, Summary};

/// A view of the draws of one scalar: row-major, one row per chain, all rows equally long.
#[derive(Debug, Clone, Copy)]
pub struct Chains<'a> {
    values: &'a [f64],
    chains: usize,
    draws: usize,
}

/// The values cannot be shared out evenly among the chains.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{values} draws cannot be shared out among {chains} chains: give every chain the same number of draws")]
pub struct ShapeError {
    /// Draws of all chains together.
    pub values: usize,
    /// Chains.
    pub chains: usize,
}

impl<'a> Chains<'a> {
    /// Draw t of chain c is `values[c * draws + t]`.
    pub fn new(values: &'a [f64], chains: usize) -> Result<Self, ShapeError> {
        match values.len().checked_rem(chains) {
            Some(0) => Ok(Self { values, chains, draws: values.len() / chains }),
            _ => Err(ShapeError { values: values.len(), chains }),
        }
    }

    pub fn chains(&self) -> usize {
        self.chains
    }

    pub fn draws(&self) -> usize {
        self.draws
    }

    /// All draws, chain after chain.
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// The chains one after the other.
    pub fn iter(&self) -> impl Iterator<Item = &'a [f64]> + use<'a> {
        let Self { values, chains, draws } = *self;
        (0..chains).map(move |c| &values[c * draws..(c + 1) * draws])
    }

    /// Length of a half-chain.
    fn half(&self) -> usize {
        self.draws / 2
    }

    /// First and last half of every chain, neighbours in the list; the middle one of an odd number
    /// of draws belongs to neither.
    fn halves(&self) -> Vec<&'a [f64]> {
        let half = self.half();
        self.iter().flat_map(|chain| [&chain[..half], &chain[chain.len() - half..]]).collect()
    }

    /// Enough finite numbers to say anything about their autocorrelation.
    fn are_valid(&self) -> bool {
        self.draws >= 4 && self.are_finite()
    }

    fn are_finite(&self) -> bool {
        self.values.iter().all(|x| x.is_finite())
    }
}

/// Mean of a row. Deviations are summed from the first element, so that a constant row has exactly
/// its own mean and a far-off origin costs no digits.
fn mean(row: &[f64]) -> f64 {
    let origin = row.first().copied().unwrap_or(f64::NAN);
    origin + row.iter().map(|x| x - origin).sum::<f64>() / row.len() as f64
}

/// Mean and variance (divisor n − 1) of a row.
fn moments(row: &[f64]) -> (f64, f64) {
    let mean = mean(row);
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (row.len() as f64 - 1.0);
    (mean, variance)
}

#[cfg(test)]
mod tests;
