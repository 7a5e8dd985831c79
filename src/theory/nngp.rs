//! The infinite-width limit: Q = 0, Q̄ = 1, so that A = T·1 + K/λ1 and the posterior is
//! Gaussian-process regression.
//!
//! Features and weights keep their prior: ⟨G⟩ = K, ⟨v²⟩ = 1/λ1, ⟨(w·û)²⟩ = 1/λ0, and ⟨v⟩ and ⟨v w⟩,
//! of order 1/√N1, vanish. For a σ that is not odd the two parts of A recombine, (K̃ + M)/λ1 = K/λ1.
//! The effective action is S(0, 1) at the network's own width, so that −(N1/2) S − (P/2) ln 2π is
//! the evidence of the Gaussian process, whatever that width.

use super::saddle::Solution;

/// The order parameters of the limit.
pub fn solution() -> Solution {
    Solution { q: 0.0, q_bar: 1.0, residual: 0.0, iterations: 0, other_roots: Vec::new() }
}

#[cfg(test)]
mod tests {
    use faer::linalg::solvers::{DenseSolveCore, Solve};
    use faer::{Mat, Side};

    use crate::theory::Theory;
    use crate::theory::tests::{ALL, network, problem, process, value};

    /// Mean, variance, evidence and loss of Gaussian-process regression with kernel K/λ1, by
    /// Cholesky.
    #[test]
    fn predictions_are_those_of_gaussian_process_regression() {
        let problem = problem();
        for activation in ALL {
            let network = network(activation);
            let theory = Theory::new(&problem, &network).unwrap();
            for temperature in [0.05, 2.0] {
                let prediction = theory.nngp(temperature).unwrap();
                let errors = |prior: f64| {
                    let kernels = theory.kernels();
                    let points = problem.points();
                    let a = &kernels.train * faer::Scale(prior)
                        + Mat::<f64>::identity(points, points) * faer::Scale(temperature);
                    let factor = a.llt(Side::Lower).unwrap();
                    let y = Mat::from_fn(points, 1, |i, _| problem.y_train[i]);
                    let cross = &kernels.cross * faer::Scale(prior);
                    let dual = factor.solve(&y);
                    let (mean, solved) = (cross.transpose() * &dual, factor.solve(&cross));
                    let determinant: f64 = (0..points).map(|i| 2.0 * factor.L()[(i, i)].ln()).sum();
                    let fit: f64 = (y.transpose() * &dual)[(0, 0)];
                    let evidence = -0.5 * (determinant + fit + points as f64 * std::f64::consts::TAU.ln());
                    let trace: f64 = factor.inverse().diagonal().column_vector().iter().sum();
                    let loss = 0.5
                        * temperature
                        * (temperature * dual.squared_norm_l2() + points as f64 - temperature * trace);
                    let test_errors = (0..problem.test_points()).flat_map(|j| {
                        let explained: f64 = (0..points).map(|i| cross[(i, j)] * solved[(i, j)]).sum();
                        let variance = prior * kernels.test_diagonal[j] - explained;
                        [mean[(j, 0)], variance]
                            .into_iter()
                            .zip([&prediction.predictive_mean, &prediction.predictive_variance])
                            .map(move |(x, found)| x - found[j].value)
                            .collect::<Vec<_>>()
                    });
                    test_errors
                        .chain([
                            evidence - process(&prediction).log_evidence,
                            loss / points as f64 - value(prediction.train_loss),
                        ])
                        .fold(0.0, |worst, error| f64::max(worst, error.abs()))
                };
                let error = errors(1.0 / network.lambda1);
                assert!(error < 1e-10, "{activation:?}: {error:e}");
                assert!(errors(1.0 / (1.001 * network.lambda1)) > 1e-5, "{activation:?}: λ1 off by 0.1 % must be seen");
                assert_eq!(value(prediction.weight_second_moment_along_u), 1.0 / network.lambda0);
                assert_eq!((prediction.readout_mean.value, value(prediction.readout_weight_correlation)), (0.0, 0.0));
                let length: f64 = process(&prediction).direction.iter().map(|u| u * u).sum();
                assert!((length - 1.0).abs() < 1e-12);
            }
        }
    }
}
