//! The kernel in the eigenbasis of its centred part K̃ = U diag(k) Uᵀ, where the resolvent A⁻¹ is
//! diagonal plus rank one.
//!
//! With D = T + (Q̄/λ1) k, g = 1/(λ1(1+Q)) and m̃ = Uᵀm, Sherman–Morrison gives
//!
//! ```text
//! A = D + g m̃ m̃ᵀ      A⁻¹ = D⁻¹ − g D⁻¹m̃ m̃ᵀD⁻¹/(1 + g s)      s = m̃ᵀD⁻¹m̃
//! ```
//!
//! so that every trace, determinant and quadratic form costs O(P). Vectors here are in the
//! eigenbasis.

use crate::model::Network;
use crate::numerics::linalg::{dot, sum_of};

/// The problem as the order parameters see it.
#[derive(Debug, Clone)]
pub struct Spectrum {
    /// Eigenvalues k ≥ 0 of K̃.
    pub eigenvalues: Vec<f64>,
    /// Uᵀy.
    pub labels: Vec<f64>,
    /// m̃ = Uᵀm; zero for odd σ.
    pub mean: Vec<f64>,
    pub lambda1: f64,
    /// N1.
    pub width: f64,
}

impl Spectrum {
    /// Eigenvalues below P·ε·k_max are rounding and count as zero: a rank-deficient kernel stays
    /// exactly so as T → 0.
    pub fn new(eigenvalues: Vec<f64>, labels: Vec<f64>, mean: Vec<f64>, network: &Network) -> Self {
        let largest = eigenvalues.iter().fold(0.0, |m, &k| f64::max(m, k));
        let rounding = eigenvalues.len() as f64 * f64::EPSILON * largest;
        let eigenvalues = eigenvalues.into_iter().map(|k| if k > rounding { k } else { 0.0 }).collect();
        Self { eigenvalues, labels, mean, lambda1: network.lambda1, width: network.width as f64 }
    }

    /// Training points P.
    pub fn points(&self) -> usize {
        self.labels.len()
    }

    /// Whether m̃ is not zero.
    pub fn has_mean(&self) -> bool {
        self.mean.iter().any(|&m| m != 0.0)
    }
}

/// The part of A that depends on Q̄ alone: D, and how the mean feature and the labels overlap
/// through D⁻¹.
pub struct Bare<'a> {
    spectrum: &'a Spectrum,
    temperature: f64,
    q_bar: f64,
    /// D⁻¹.
    inverse: Vec<f64>,
    /// s = m̃ᵀD⁻¹m̃.
    pub mean_mean: f64,
    /// t = m̃ᵀD⁻¹ỹ.
    pub mean_labels: f64,
}

impl<'a> Bare<'a> {
    pub fn new(spectrum: &'a Spectrum, temperature: f64, q_bar: f64) -> Self {
        let gain = q_bar / spectrum.lambda1;
        let inverse: Vec<f64> = spectrum.eigenvalues.iter().map(|k| 1.0 / (temperature + gain * k)).collect();
        let mean_mean = weighted(&inverse, &spectrum.mean, &spectrum.mean);
        let mean_labels = weighted(&inverse, &spectrum.mean, &spectrum.labels);
        Self { spectrum, temperature, q_bar, inverse, mean_mean, mean_labels }
    }

    /// The full resolvent, given 1/(1+Q).
    pub fn resolvent(self, inverse_one_plus_q: f64) -> Resolvent<'a> {
        let gain = inverse_one_plus_q / self.spectrum.lambda1;
        let screened = 1.0 + gain * self.mean_mean;
        let projection = gain * self.mean_labels / screened;
        let dual = (self.inverse.iter().zip(&self.spectrum.labels).zip(&self.spectrum.mean))
            .map(|((inverse, y), m)| inverse * (y - projection * m))
            .collect();
        Resolvent { mean_gain: gain, screened, dual, bare: self }
    }
}

/// A⁻¹, a = A⁻¹y and B = A⁻¹ − a aᵀ at one (T, Q, Q̄).
pub struct Resolvent<'a> {
    bare: Bare<'a>,
    /// g = 1/(λ1(1+Q)).
    pub mean_gain: f64,
    /// 1 + g s.
    screened: f64,
    /// a.
    pub dual: Vec<f64>,
}

impl<'a> Resolvent<'a> {
    pub fn new(spectrum: &'a Spectrum, temperature: f64, q_bar: f64, inverse_one_plus_q: f64) -> Self {
        Bare::new(spectrum, temperature, q_bar).resolvent(inverse_one_plus_q)
    }

    pub fn temperature(&self) -> f64 {
        self.bare.temperature
    }

    /// Q̄/λ1, the factor of K̃ in A.
    pub fn covariance_gain(&self) -> f64 {
        self.bare.q_bar / self.bare.spectrum.lambda1
    }

    /// The diagonal of D⁻¹.
    pub fn inverse_diagonal(&self) -> &[f64] {
        &self.bare.inverse
    }

    /// m̃.
    pub fn mean(&self) -> &[f64] {
        &self.bare.spectrum.mean
    }

    /// The factor g/(1 + g s) of the rank-one part of A⁻¹ = D⁻¹ − (…) D⁻¹m̃ m̃ᵀD⁻¹.
    pub fn rank_one_factor(&self) -> f64 {
        self.mean_gain / self.screened
    }

    /// m̃ᵀD⁻¹x.
    pub fn mean_overlap(&self, x: &[f64]) -> f64 {
        weighted(&self.bare.inverse, &self.bare.spectrum.mean, x)
    }

    /// xᵀA⁻¹x.
    pub fn quadratic_form(&self, x: &[f64]) -> f64 {
        weighted(&self.bare.inverse, x, x) - self.rank_one_factor() * self.mean_overlap(x).powi(2)
    }

    /// xᵀBx.
    pub fn connected_form(&self, x: &[f64]) -> f64 {
        self.quadratic_form(x) - dot(&self.dual, x).powi(2)
    }

    /// m·a.
    pub fn mean_dual(&self) -> f64 {
        self.bare.mean_labels / self.screened
    }

    /// mᵀBm = Tr(BM).
    pub fn mean_connected(&self) -> f64 {
        self.bare.mean_mean / self.screened - self.mean_dual().powi(2)
    }

    /// Tr(BK̃).
    pub fn covariance_trace(&self) -> f64 {
        let Spectrum { eigenvalues, mean, .. } = self.bare.spectrum;
        let factor = self.rank_one_factor();
        (eigenvalues.iter().zip(mean).zip(&self.bare.inverse).zip(&self.dual))
            .map(|(((k, m), inverse), a)| k * (inverse - factor * (m * inverse).powi(2) - a * a))
            .sum()
    }

    /// P − T Tr A⁻¹, without the cancellation at high temperature.
    pub fn fitted_directions(&self) -> f64 {
        let gain = self.covariance_gain();
        let Spectrum { eigenvalues, mean, .. } = self.bare.spectrum;
        (eigenvalues.iter().zip(mean).zip(&self.bare.inverse))
            .map(|((k, m), inverse)| {
                gain * k * inverse + self.bare.temperature * self.rank_one_factor() * (m * inverse).powi(2)
            })
            .sum()
    }

    /// ln det A.
    pub fn log_determinant(&self) -> f64 {
        self.screened.ln() - self.bare.inverse.iter().map(|inverse| inverse.ln()).sum::<f64>()
    }

    /// yᵀA⁻¹y.
    pub fn labels_form(&self) -> f64 {
        dot(&self.bare.spectrum.labels, &self.dual)
    }
}

fn weighted(weights: &[f64], x: &[f64], y: &[f64]) -> f64 {
    sum_of([weights, x, y], |[w, x, y]| w * x * y)
}
