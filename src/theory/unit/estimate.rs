//! Weighted averages over draws, with their Monte Carlo errors.
//!
//! ```text
//! R = Σ p_i g_i,  Σ p_i = 1        f_i = n p_i (g_i − R)        R ± sd of the group means of f / √groups
//! ```
//!
//! f is the influence of a draw on the ratio (the delta method); groups are independent, single
//! draws of an importance sample or whole chains. Where averages c_k under the prior are known
//! exactly, the draws' own error in them is taken out: R − β·mean(c), with β the regression of f on
//! the centred c. At high temperature, where the measure is nearly the prior, that removes most of
//! the error; anywhere it removes some.

use faer::{Mat, Side};

use crate::numerics::estimate::Estimate;
use crate::numerics::linalg::{dot, multiply};

/// Normalised weights p.
pub(super) struct Weights {
    pub values: Vec<f64>,
    /// (Σp)²/(n Σp²): the effective fraction of the draws.
    pub effective_fraction: f64,
}

impl Weights {
    pub fn new(log: &[f64]) -> Self {
        let most = log.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let raw: Vec<f64> = log.iter().map(|l| (l - most).exp()).collect();
        let total: f64 = raw.iter().sum();
        let values: Vec<f64> = raw.iter().map(|x| x / total).collect();
        let squares: f64 = dot(&values, &values);
        Self { effective_fraction: 1.0 / (squares * values.len() as f64), values }
    }
}

/// Quantities whose mean over the draws is known to be zero.
pub(super) struct Controls {
    /// Centred by their sample mean and of unit variance.
    columns: Vec<Vec<f64>>,
    /// Sample means in units of the deviation: what to take out.
    means: Vec<f64>,
    /// Pseudo-inverse of their correlation matrix.
    inverse: Mat<f64>,
}

/// Correlated so far, controls say the same.
const COLLINEAR: f64 = 1e-9;

impl Controls {
    /// `None` where there is nothing to regress on.
    pub fn new(columns: Vec<Vec<f64>>) -> Option<Self> {
        let n = columns.first()?.len() as f64;
        let (columns, means): (Vec<Vec<f64>>, Vec<f64>) = columns
            .into_iter()
            .filter_map(|mut column| {
                let mean = column.iter().sum::<f64>() / n;
                let deviation = (column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
                column.iter_mut().for_each(|x| *x = (*x - mean) / deviation);
                (deviation > 0.0 && deviation.is_finite()).then(|| (column, mean / deviation))
            })
            .unzip();
        if columns.is_empty() {
            return None;
        }
        let k = columns.len();
        let correlation = Mat::from_fn(k, k, |i, j| if i >= j { dot(&columns[i], &columns[j]) / n } else { 0.0 });
        let eigen = correlation.self_adjoint_eigen(Side::Lower).ok()?;
        let values: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
        let scaled =
            Mat::from_fn(
                k,
                k,
                |i, j| {
                    if values[j] > COLLINEAR * k as f64 { eigen.U()[(i, j)] / values[j] } else { 0.0 }
                },
            );
        Some(Self { inverse: &scaled * eigen.U().transpose(), columns, means })
    }

    /// Takes the part of `influence` that the controls explain out of it, and returns what that was
    /// on average.
    fn remove(&self, influence: &mut [f64]) -> f64 {
        let n = influence.len() as f64;
        let overlaps: Vec<f64> = self.columns.iter().map(|column| dot(column, influence) / n).collect();
        let beta = multiply(self.inverse.as_ref(), &overlaps);
        for (column, beta) in self.columns.iter().zip(&beta) {
            influence.iter_mut().zip(column).for_each(|(f, c)| *f -= beta * c);
        }
        dot(&beta, &self.means)
    }
}

/// Everything that turns a column of values into an [`Estimate`].
pub(super) struct Estimator {
    pub weights: Weights,
    pub groups: usize,
    pub controls: Option<Controls>,
}

impl Estimator {
    /// The average of `values`, one per draw.
    pub fn mean(&self, values: &[f64]) -> Estimate {
        let p = &self.weights.values;
        let ratio = dot(p, values);
        let n = values.len() as f64;
        let mut influence: Vec<f64> = p.iter().zip(values).map(|(p, g)| n * p * (g - ratio)).collect();
        let removed = self.controls.as_ref().map_or(0.0, |controls| controls.remove(&mut influence));
        let mut means = vec![0.0; self.groups];
        for row in influence.chunks(self.groups) {
            means.iter_mut().zip(row).for_each(|(sum, f)| *sum += f);
        }
        means.iter_mut().for_each(|sum| *sum *= self.groups as f64 / n);
        Estimate { value: ratio - removed, error: Estimate::of_independent(&means).error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::unit::block::address;

    fn normals(count: usize, set: u32) -> Vec<f64> {
        let mut values = vec![0.0f64; count];
        address(set, 0, 77).normals(&mut values);
        values
    }

    /// E x² under N(1, 1) from draws of N(0, 1): the estimate is within its error, the error is
    /// that of repetitions, and controls shrink both.
    #[test]
    fn errors_are_those_of_repetitions() {
        let run = |set: u32, with_controls: bool| {
            let x = normals(2048, set);
            let log: Vec<f64> = x.iter().map(|x| 0.3 * x).collect();
            let squares: Vec<f64> = x.iter().map(|x| x * x).collect();
            let controls = with_controls
                .then(|| Controls::new(vec![x.clone(), squares.iter().map(|s| s - 1.0).collect(), vec![0.0; 2048]]))
                .flatten();
            Estimator { weights: Weights::new(&log), groups: 2048, controls }.mean(&squares)
        };
        for with_controls in [false, true] {
            let runs: Vec<Estimate> = (0..200).map(|set| run(set, with_controls)).collect();
            let scatter = (runs.iter().map(|r| (r.value - 1.09).powi(2)).sum::<f64>() / 200.0).sqrt();
            let claimed = (runs.iter().map(|r| r.error.powi(2)).sum::<f64>() / 200.0).sqrt();
            assert!((scatter / claimed - 1.0).abs() < 0.2, "{with_controls}: {scatter} for {claimed}");
            let bound = if with_controls { 0.022 } else { 0.05 };
            assert!(claimed < bound && claimed > 0.2 * bound, "{claimed}");
        }
    }

    /// Draws that repeat within a group count once.
    #[test]
    fn groups_and_not_draws_are_independent() {
        let x = normals(64, 0);
        let repeated: Vec<f64> = (0..10).flat_map(|_| x.clone()).collect();
        let estimate = |groups: usize| {
            Estimator { weights: Weights::new(&vec![0.0; 640]), groups, controls: None }.mean(&repeated)
        };
        let honest = Estimate::of_independent(&x);
        assert!((estimate(64).error / honest.error - 1.0).abs() < 1e-9);
        assert!(estimate(640).error < 0.4 * honest.error, "counting every draw must be seen as too small");
    }

    #[test]
    fn effective_fractions_are_those_of_the_weights() {
        assert!((Weights::new(&[3.0; 7]).effective_fraction - 1.0).abs() < 1e-12);
        assert!((Weights::new(&[0.0, -800.0, -800.0, -800.0]).effective_fraction - 0.25).abs() < 1e-12);
    }
}
