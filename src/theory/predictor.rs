//! Predictions on test and training points: a Gaussian process whose prior is rescaled by the order
//! parameters.
//!
//! ```text
//! ⟨f*⟩ = R_*ᵀa      Var f* = R_** − R_*ᵀA⁻¹R_*      R_* = (Q̄/λ1)(K_* − M_*) + M_*/(λ1(1+Q))
//! ⟨L⟩ = ½[ T²‖a‖² + T P − T² Tr A⁻¹ ]
//! ```

use super::Theory;
use super::spectrum::Resolvent;
use crate::host::stop::{Stop, Stopped};
use crate::numerics::linalg::dot;

/// ⟨f*⟩ and Var f* of every test point.
pub(super) fn predictive(theory: &Theory, resolvent: &Resolvent, stop: &Stop) -> Result<(Vec<f64>, Vec<f64>), Stopped> {
    let (covariance_gain, mean_gain) = (resolvent.covariance_gain(), resolvent.mean_gain);
    let mean_train = &theory.spectrum.mean;
    (0..theory.problem.test_points())
        .map(|j| {
            stop.check()?;
            let mean_test = theory.kernels.mean_test[j];
            let response: Vec<f64> = (theory.cross.col(j).iter().zip(mean_train))
                .map(|(k, m)| covariance_gain * k + mean_gain * m * mean_test)
                .collect();
            let prior = covariance_gain * (theory.kernels.test_diagonal[j] - mean_test * mean_test)
                + mean_gain * mean_test * mean_test;
            // Rounding may push the variance of a point that the training set determines below
            // zero.
            let variance = (prior - resolvent.quadratic_form(&response)).max(0.0);
            Ok((dot(&response, &resolvent.dual), variance))
        })
        .collect()
}

/// (⟨f*⟩ − y*)² and Var f*, averaged over the test points.
pub(super) fn test_error(labels: &[f64], mean: &[f64], variance: &[f64]) -> Option<(f64, f64)> {
    let count = labels.len() as f64;
    let bias: f64 = labels.iter().zip(mean).map(|(y, f)| (f - y).powi(2)).sum();
    (!labels.is_empty()).then(|| (bias / count, variance.iter().sum::<f64>() / count))
}

/// ⟨L⟩/P.
pub(super) fn train_loss(resolvent: &Resolvent) -> f64 {
    let temperature = resolvent.temperature();
    let squares: f64 = resolvent.dual.iter().map(|a| (temperature * a).powi(2)).sum();
    0.5 * (squares + temperature * resolvent.fitted_directions()) / resolvent.dual.len() as f64
}
