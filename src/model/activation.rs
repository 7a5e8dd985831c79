//! Activations σ with their derivatives and Gaussian averages, each formula once.

mod erf_mixture;
mod kernel;

use faer::Mat;
use serde::{Deserialize, Serialize};

use erf_mixture::ErfMixture;

/// The activation σ of the hidden layer.
///
/// The averages are over a centred Gaussian pre-activation h (or a pair of them): K(C_μμ, C_νν,
/// C_μν) = E[σ(h^μ)σ(h^ν)], m(C_μμ) = E[σ(h^μ)], d(C_μμ) = E[σ'(h^μ)].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// The error function erf(x).
    Erf,
    /// max(x, 0).
    Relu,
    Tanh,
    Identity,
    /// x Φ(x) with Φ the normal cumulative distribution (the exact form, not its tanh
    /// approximation).
    Gelu,
}

const SQRT_TAU: f64 = 2.506_628_274_631_000_7;

impl Activation {
    /// σ(x).
    pub fn sigma(self, x: f64) -> f64 {
        match self {
            Self::Erf => libm::erf(x),
            Self::Relu => x.max(0.0) + 0.0 * x,
            Self::Tanh => x.tanh(),
            Self::Identity => x,
            Self::Gelu => x * normal_cdf(x),
        }
    }

    /// σ'(x); the ReLU's is 0 at 0.
    pub fn sigma_prime(self, x: f64) -> f64 {
        match self {
            Self::Erf => std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp(),
            Self::Relu => f64::from(x > 0.0) + 0.0 * x,
            Self::Tanh => 1.0 - x.tanh().powi(2),
            Self::Identity => 1.0 + 0.0 * x,
            Self::Gelu => normal_cdf(x) + x * (-0.5 * x * x).exp() / SQRT_TAU,
        }
    }

    /// Whether σ(−x) = −σ(x): then m = 0 and the theory has one order parameter.
    pub fn is_odd(self) -> bool {
        match self {
            Self::Erf | Self::Tanh | Self::Identity => true,
            Self::Relu | Self::Gelu => false,
        }
    }

    /// m = E[σ(h)], h ~ N(0, variance): √(v/2π) for ReLU, v/√(2π(1+v)) for GELU, zero for odd σ.
    pub fn mean(self, variance: f64) -> f64 {
        match self {
            Self::Erf | Self::Tanh | Self::Identity => 0.0,
            Self::Relu => variance.sqrt() / SQRT_TAU,
            Self::Gelu => variance / (SQRT_TAU * (1.0 + variance).sqrt()),
        }
    }

    /// d = E[σ'(h)], h ~ N(0, variance): 2/√(π(1+2v)) for erf, ½ for ReLU and GELU.
    pub fn mean_derivative(self, variance: f64) -> f64 {
        match self {
            Self::Erf | Self::Tanh => self.erf_mixture().mean_derivative(variance),
            Self::Relu | Self::Gelu => 0.5,
            Self::Identity => 1.0,
        }
    }

    /// E[σ(h)²], h ~ N(0, variance): the diagonal of the kernel.
    pub fn second_moment(self, variance: f64) -> f64 {
        self.kernel(Mat::full(1, 1, variance), &[variance], &[variance])[(0, 0)]
    }

    /// The block K_μν = E[σ(h^μ)σ(h^ν)] from the block of covariances C_μν and the variances of its
    /// rows and columns.
    ///
    /// Serves train, cross and test blocks alike. Correlations of ±1 (the diagonal, duplicate
    /// points) and zero variances are regular points of every formula; a covariance that exceeds
    /// √(C_μμ C_νν) by rounding is harmless.
    pub fn kernel(self, covariance: Mat<f64>, rows: &[f64], columns: &[f64]) -> Mat<f64> {
        debug_assert_eq!((covariance.nrows(), covariance.ncols()), (rows.len(), columns.len()));
        match self {
            Self::Identity => covariance,
            Self::Erf | Self::Tanh => self.erf_mixture().kernel(covariance, rows, columns),
            Self::Relu => kernel::entrywise(covariance, rows, columns, kernel::relu),
            Self::Gelu => kernel::entrywise(covariance, rows, columns, kernel::gelu),
        }
    }

    fn erf_mixture(self) -> &'static ErfMixture {
        match self {
            Self::Tanh => ErfMixture::tanh(),
            _ => ErfMixture::erf(),
        }
    }
}

/// Φ(x), accurate in both tails.
fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests;
