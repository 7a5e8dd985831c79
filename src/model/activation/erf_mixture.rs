//! Kernels of sigmoids that are mixtures of error functions, σ(x) = Σ_i w_i erf(x/s_i): erf itself
//! and tanh.
//!
//! Every Gaussian average of such a σ is a finite sum of the closed forms of erf (Williams 1996):
//!
//! ```text
//! E[σ(x)σ(y)] = (2/π) Σ_ij w_i w_j arcsin( 2c / √((s_i² + 2a)(s_j² + 2b)) ),     E[σ'(x)] = Σ_i 2w_i/√(π(s_i² + 2a))
//! ```
//!
//! for x, y of variances a, b and covariance c. tanh(x) = 2F(2x) − 1 with F the logistic
//! distribution, and the logistic variable is 2tZ with Z normal and t Kolmogorov-distributed
//! (Andrews & Mallows 1974): tanh(x) = ∫ g(t) erf(x/(√2 t)) dt. In u = ln t the density g decays
//! doubly exponentially on both sides and is analytic for |Im u| < π/4, so the trapezoidal rule
//! converges exponentially in 1/h: twenty error functions give tanh to 1e-11 relative, hence K to
//! 2e-11, whatever the variances and correlations.

use std::f64::consts::{FRAC_2_PI, FRAC_2_SQRT_PI, FRAC_PI_2, PI};
use std::sync::LazyLock;

use crate::numerics::simd::vectorize;
use faer::Mat;
use faer::prelude::Reborrow;
use rayon::prelude::*;

/// σ(x) = Σ_i w_i erf(x/s_i).
pub struct ErfMixture {
    /// s_i².
    scales_squared: Vec<f64>,
    weights: Vec<f64>,
    /// (i, j, w_i w_j) of every pair of terms that counts.
    pairs: Vec<(usize, usize, f64)>,
}

/// Contributions to σ, σ' and K below this are dropped: together they stay below the error of the
/// trapezoidal rule.
const NEGLIGIBLE: f64 = 1e-13;

/// Step in ln t of the trapezoidal rule.
const STEP: f64 = 0.155;

impl ErfMixture {
    /// erf: one term.
    pub fn erf() -> &'static Self {
        static ERF: LazyLock<ErfMixture> = LazyLock::new(|| ErfMixture::new(vec![1.0], vec![1.0]));
        &ERF
    }

    /// tanh, to 1e-11 relative.
    pub fn tanh() -> &'static Self {
        static TANH: LazyLock<ErfMixture> = LazyLock::new(|| {
            let (scales_squared, weights) = (-30..30)
                .map(|k| (STEP * f64::from(k)).exp())
                .map(|t| (2.0 * t * t, STEP * t * kolmogorov_density(t)))
                .filter(|&(s2, w)| w * (1.0 / s2.sqrt()).max(1.0) > NEGLIGIBLE)
                .unzip();
            ErfMixture::new(scales_squared, weights)
        });
        &TANH
    }

    fn new(scales_squared: Vec<f64>, weights: Vec<f64>) -> Self {
        let terms = scales_squared.len();
        let pairs = (0..terms * terms)
            .map(|k| (k / terms, k % terms, weights[k / terms] * weights[k % terms]))
            .filter(|&(i, j, w)| w * (1.0 / (scales_squared[i] * scales_squared[j]).sqrt()).max(1.0) > NEGLIGIBLE)
            .collect();
        Self { scales_squared, weights, pairs }
    }

    /// E[σ'(h)], h ~ N(0, variance).
    pub fn mean_derivative(&self, variance: f64) -> f64 {
        let terms = self.weights.iter().zip(&self.scales_squared);
        FRAC_2_SQRT_PI * terms.map(|(w, s2)| w / (s2 + 2.0 * variance).sqrt()).sum::<f64>()
    }

    /// The block E[σ(x_μ)σ(y_ν)], columns in parallel, in vector registers along each column.
    pub fn kernel(&self, mut covariance: Mat<f64>, rows: &[f64], columns: &[f64]) -> Mat<f64> {
        let inverse_root = |variance: f64| self.scales_squared.iter().map(move |s2| 1.0 / (s2 + 2.0 * variance).sqrt());
        let by_term: Vec<Vec<f64>> =
            self.scales_squared.iter().map(|s2| rows.iter().map(|a| 1.0 / (s2 + 2.0 * a).sqrt()).collect()).collect();
        covariance.par_col_iter_mut().zip(columns).for_each(|(column, &b)| {
            let twice: Vec<f64> = column.rb().iter().map(|c| 2.0 * c).collect();
            let mut sum = vec![0.0; twice.len()];
            let right: Vec<f64> = inverse_root(b).collect();
            for &(i, j, weight) in &self.pairs {
                add_arcsines(&mut sum, weight, &twice, &by_term[i], right[j]);
            }
            for (k, sum) in column.iter_mut().zip(sum) {
                *k = FRAC_2_PI * sum;
            }
        });
        covariance
    }
}

/// sum_μ += weight · arcsin(twice_μ left_μ right).
fn add_arcsines(sum: &mut [f64], weight: f64, twice: &[f64], left: &[f64], right: f64) {
    vectorize!({
        for ((sum, twice), left) in sum.iter_mut().zip(twice).zip(left) {
            *sum += weight * asin(twice * (left * right));
        }
    });
}

/// arcsin on [−1, 1] without branches; FreeBSD's msun rational approximation, within 2 ulp;
/// arguments beyond ±1 count as ±1.
#[inline(always)]
fn asin(x: f64) -> f64 {
    const P: [f64; 6] = [
        1.666_666_666_666_666_5e-1,
        -3.255_658_186_224_009e-1,
        2.012_125_321_348_629_2e-1,
        -4.005_553_450_067_941e-2,
        7.915_349_942_898_145e-4,
        3.479_331_075_960_212e-5,
    ];
    const Q: [f64; 4] =
        [-2.403_394_911_734_414, 2.020_945_760_233_505_7, -6.882_839_716_054_533e-1, 7.703_815_055_590_193e-2];
    let size = x.abs();
    let size = if size > 1.0 { 1.0 } else { size };
    let central = size < 0.5;
    let z = if central { size * size } else { 0.5 * (1.0 - size) };
    let t = if central { size } else { z.sqrt() };
    let p = z * (P[0] + z * (P[1] + z * (P[2] + z * (P[3] + z * (P[4] + z * P[5])))));
    let q = 1.0 + z * (Q[0] + z * (Q[1] + z * (Q[2] + z * Q[3])));
    let arc = t + t * (p / q);
    (if central { arc } else { FRAC_PI_2 - 2.0 * arc }).copysign(x)
}

/// Density of the Kolmogorov distribution, by the series that converges fast on each side of t =
/// 0.8.
fn kolmogorov_density(t: f64) -> f64 {
    if t < 0.8 {
        let terms = (1..8).map(|k| f64::from((2 * k - 1) * (2 * k - 1)) * PI * PI / (8.0 * t * t));
        super::SQRT_TAU / (t * t) * terms.map(|e| (2.0 * e - 1.0) * (-e).exp()).sum::<f64>()
    } else {
        let terms = (1..8).map(|k| (if k % 2 == 1 { 1.0 } else { -1.0 }, f64::from(k * k)));
        8.0 * t * terms.map(|(sign, k2)| sign * k2 * (-2.0 * k2 * t * t).exp()).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixture_is_tanh_to_eleven_digits() {
        let mixture = ErfMixture::tanh();
        let worst = |shift: f64| {
            (-7000..1500).map(|i| (f64::from(i) * 2e-3).exp()).fold(0.0, |worst, x| {
                let terms = mixture.weights.iter().zip(&mixture.scales_squared);
                let sum: f64 = terms.map(|(w, s2)| w * libm::erf(x / s2.sqrt())).sum();
                f64::max(worst, (sum / (x * (1.0 + shift)).tanh() - 1.0).abs())
            })
        };
        assert!(worst(0.0) < 1e-11, "{:e}", worst(0.0));
        assert!(worst(2e-11) > 1e-11, "a relative shift of 2e-11 must be seen");
    }

    #[test]
    fn arcsine_is_accurate_to_two_units_in_the_last_place() {
        for i in -100_000..=100_000 {
            let x = f64::from(i) * 1e-5;
            let exact = libm::asin(x);
            assert!((asin(x) - exact).abs() <= 2.0 * f64::EPSILON * exact.abs(), "asin({x})");
        }
        assert_eq!(asin(1.0 + 1e-15), FRAC_PI_2);
        assert!(asin(f64::NAN).is_nan());
    }
}
