//! The exact finite-width posterior of a linear network, by one-dimensional quadrature, and the
//! same means from any backend.
//!
//! For σ = identity and q = λ1‖v‖²/N1 (derivation: given v, f is Gaussian with covariance qC/λ1,
//! and ‖v‖² is χ² under the prior):
//!
//!     p(q | y) ∝ q^{N1/2 − 1} e^{−N1 q/2} N(y; 0, A),   A = T·1 + qC/λ1,   C = X Xᵀ/(λ0 N0)
//!     f | q ~ N(m, Σ),   m = (qC/λ1) a,   Σ = (qC/λ1) − (qC/λ1) A⁻¹ (qC/λ1),   a = A⁻¹ y
//!     ⟨v²⟩ = ⟨q⟩/λ1        ⟨G⟩ = ((N1 − 1)/N1) C + (λ1/N1) ⟨(m mᵀ + Σ)/q⟩
//!
//! Units are exchangeable and every statistic is a function of f, q and G: with w along an axis û
//! of the rotated basis, ⟨v w·û⟩ = E[f-part]/√N1, read off from f = Z (Wᵀv)/√N1 where Z has full
//! column rank.

use faer::linalg::solvers::{Llt, Solve};
use faer::{Mat, Side};
use featherm::backend::{Backend, Ensemble, Measurement};
use featherm::compare::predictive_rows;
use featherm::model::{Activation, Network, Problem};
use featherm::stats::Summary;

use super::{MIN_ESS, Setting, Target, ensemble, run, summary, task};

const LAMBDA0: f64 = 0.8;
const LAMBDA1: f64 = 1.3;
pub const TEMPERATURE: f64 = 0.3;

/// Nine training and four test points in four dimensions.
pub fn problem() -> Problem {
    let entry = |i: usize, j: usize| (((i * 37 + j * 101 + i * j * 17) % 29) as f64 - 14.0) / 9.0;
    let inputs =
        |range: std::ops::Range<usize>| range.map(|i| (0..4).map(|j| entry(i, j)).collect()).collect::<Vec<_>>();
    let y: Vec<f64> = (0..9).map(|i| if entry(i, 0) + 0.5 * entry(i, 1) > 0.1 { 1.0 } else { -1.0 }).collect();
    Problem::new(&task(&inputs(0..9), &y, &inputs(20..24))).unwrap()
}

/// Everything that the posterior of the linear network says, exactly.
pub struct Exact {
    readout_second_moment: f64,
    train_loss: f64,
    centroid_distance_sq: f64,
    mean_square_norm: [f64; 2],
    /// The same of the test points.
    test_centroid_distance_sq: f64,
    test_mean_square_norm: [f64; 2],
    /// ⟨v w·û⟩ and ⟨(w·û)²⟩ along the first input axis.
    readout_weight_along_u: f64,
    weight_along_u_squared: f64,
    weight_second_moment: f64,
    /// ⟨w wᵀ⟩ in the rotated basis.
    weight_moment: Mat<f64>,
    predictive_mean: Vec<f64>,
    predictive_variance: Vec<f64>,
}

/// Moments of the linear predictor β = Wᵀv/√N1 ∈ R^r at given q: the regression y = Zβ + noise with
/// β ~ N(0, q/(λ0 λ1)).
fn regression(problem: &Problem, q: f64, temperature: f64) -> (f64, Mat<f64>, Mat<f64>) {
    let z = &problem.z_train;
    let (points, rank) = (z.nrows(), z.ncols());
    let variance = q / (LAMBDA0 * LAMBDA1);
    let a = z * z.transpose() * faer::Scale(variance) + Mat::<f64>::identity(points, points) * faer::Scale(temperature);
    let llt = Llt::new(a.as_ref(), Side::Lower).unwrap();
    let y = Mat::from_fn(points, 1, |i, _| problem.y_train[i]);
    let dual = llt.solve(&y);
    let log_determinant: f64 = 2.0 * (0..points).map(|i| llt.L()[(i, i)].ln()).sum::<f64>();
    let log_likelihood = -0.5 * (log_determinant + (y.transpose() * &dual)[(0, 0)]);
    let mean = z.transpose() * &dual * faer::Scale(variance);
    let covariance = Mat::<f64>::identity(rank, rank) * faer::Scale(variance)
        - z.transpose() * llt.solve(z) * faer::Scale(variance * variance);
    (log_likelihood, mean, covariance)
}

/// Values of q for the trapezoidal rule in ln q, where the integrand is smooth and dies at both
/// ends.
fn grid() -> Vec<f64> {
    (0..6001).map(|k| (-22.0 + 26.0 * k as f64 / 6000.0f64).exp()).collect()
}

/// The exact ln p(y) at width N1: ln of the mean of N(y; 0, A(q)) over q ~ χ²(N1)/N1.
pub fn log_evidence(problem: &Problem, width: usize, temperature: f64) -> f64 {
    let n1 = width as f64;
    let grid = grid();
    let log_prior: Vec<f64> = grid.iter().map(|q| 0.5 * n1 * (q.ln() - q)).collect();
    let log_joint: Vec<f64> =
        grid.iter().zip(&log_prior).map(|(&q, prior)| prior + regression(problem, q, temperature).0).collect();
    let log_sum = |logs: &[f64]| {
        let top = logs.iter().copied().fold(f64::MIN, f64::max);
        top + logs.iter().map(|l| (l - top).exp()).sum::<f64>().ln()
    };
    log_sum(&log_joint) - log_sum(&log_prior) - 0.5 * problem.points() as f64 * std::f64::consts::TAU.ln()
}

/// The exact posterior at width N1.
pub fn exact(problem: &Problem, width: usize) -> Exact {
    let n1 = width as f64;
    let (rank, points) = (problem.rank(), problem.points());
    let grid = grid();
    let at: Vec<_> = grid.iter().map(|&q| regression(problem, q, TEMPERATURE)).collect();
    let log_weights: Vec<f64> =
        grid.iter().zip(&at).map(|(q, (ll, _, _))| 0.5 * n1 * q.ln() - 0.5 * n1 * q + ll).collect();
    let top = log_weights.iter().copied().fold(f64::MIN, f64::max);
    let weights: Vec<f64> = log_weights.iter().map(|l| (l - top).exp()).collect();
    let norm: f64 = weights.iter().sum();
    assert!(weights[0] / norm < 1e-12 && weights[6000] / norm < 1e-12, "the grid covers the posterior");

    let mut q_mean = 0.0;
    let mut mean = Mat::<f64>::zeros(rank, 1);
    let mut second = Mat::<f64>::zeros(rank, rank);
    let mut second_over_q = Mat::<f64>::zeros(rank, rank);
    for ((q, weight), (_, m, covariance)) in grid.iter().zip(&weights).zip(&at) {
        let p = weight / norm;
        let moment = m * m.transpose() + covariance;
        q_mean += p * q;
        mean += m * faer::Scale(p);
        second += &moment * faer::Scale(p);
        second_over_q += &moment * faer::Scale(p / q);
    }
    // ⟨w wᵀ⟩ per unit: the part of W orthogonal to v keeps its prior, the part along v is √N1
    // β/‖v‖.
    let unit = Mat::<f64>::identity(rank, rank) * faer::Scale((n1 - 1.0) / (n1 * LAMBDA0))
        + &second_over_q * faer::Scale(LAMBDA1 / n1);
    assert_eq!(problem.complement_rank(), 0, "test points see what training points see");
    // D² of both classes, and the mean squared norm of each.
    let manifolds = |z: &Mat<f64>, classes: &[usize]| {
        let gram = z * &unit * z.transpose();
        let class = |a: usize| (0..classes.len()).filter(|&i| classes[i] == a).collect::<Vec<_>>();
        let block = |a: usize, b: usize| {
            let (a, b) = (class(a), class(b));
            let sum: f64 = a.iter().flat_map(|&i| b.iter().map(move |&j| (i, j))).map(|(i, j)| gram[(i, j)]).sum();
            sum / (a.len() * b.len()) as f64
        };
        let norm_of = |a: usize| class(a).iter().map(|&i| gram[(i, i)]).sum::<f64>() / class(a).len() as f64;
        (block(0, 0) + block(1, 1) - 2.0 * block(0, 1), [norm_of(0), norm_of(1)])
    };
    let (centroid_distance_sq, mean_square_norm) = manifolds(&problem.z_train, &problem.class_train);
    let (test_centroid_distance_sq, test_mean_square_norm) = manifolds(&problem.z_test, &problem.class_test);
    let f = &problem.z_train * &second * problem.z_train.transpose();
    let f_mean = &problem.z_train * &mean;
    let loss: f64 =
        (0..points).map(|i| problem.y_train[i].powi(2) - 2.0 * problem.y_train[i] * f_mean[(i, 0)] + f[(i, i)]).sum();
    let u = Mat::from_fn(rank, 1, |j, _| problem.basis[(0, j)]);
    let along = |m: &Mat<f64>| (u.transpose() * m)[(0, 0)];
    let test_mean = &problem.z_test * &mean;
    let test_second = &problem.z_test * &second * problem.z_test.transpose();
    Exact {
        readout_second_moment: q_mean / LAMBDA1,
        train_loss: 0.5 * loss / points as f64,
        centroid_distance_sq,
        mean_square_norm,
        test_centroid_distance_sq,
        test_mean_square_norm,
        readout_weight_along_u: along(&mean) / n1.sqrt(),
        weight_along_u_squared: (u.transpose() * &unit * &u)[(0, 0)],
        weight_second_moment: (0..rank).map(|j| unit[(j, j)]).sum::<f64>() / rank as f64,
        weight_moment: unit,
        predictive_mean: (0..test_mean.nrows()).map(|i| test_mean[(i, 0)]).collect(),
        predictive_variance: (0..test_mean.nrows()).map(|i| test_second[(i, i)] - test_mean[(i, 0)].powi(2)).collect(),
    }
}

/// Every observable of the temperature in place `temperature` beside its exact value.
pub fn targets(
    problem: &Problem,
    network: Network,
    setting: &Setting,
    temperature: usize,
    exact: &Exact,
    backend: impl Fn(Ensemble) -> Box<dyn Backend>,
) -> Vec<Target> {
    let mut direction = vec![0.0; problem.dimension()];
    direction[0] = 1.0;
    let ensemble = ensemble(problem, network, setting, &direction);
    let mut backend = backend(ensemble.clone());
    let (draws, _) = run(backend.as_mut(), &ensemble, setting);
    let points = problem.points() as f64;
    let target = |name: &str, mean: f64, value: &dyn Fn(&Measurement) -> f64| Target {
        name: name.into(),
        mean,
        mcse: 0.0,
        sampled: summary(&draws, setting, temperature, value),
    };
    let mut targets = vec![
        target("⟨v²⟩", exact.readout_second_moment, &|m| m.readout_second_moment),
        target("⟨v⟩", 0.0, &|m| m.readout_mean),
        target("loss", exact.train_loss, &|m| m.loss / points),
        target("D²", exact.centroid_distance_sq, &|m| {
            m.centroid_gram[0] + m.centroid_gram[3] - 2.0 * m.centroid_gram[1]
        }),
        target("norm 0", exact.mean_square_norm[0], &|m| m.mean_square_norm[0]),
        target("norm 1", exact.mean_square_norm[1], &|m| m.mean_square_norm[1]),
        target("D² test", exact.test_centroid_distance_sq, &|m| {
            let (gram, _) = m.test_manifolds.as_ref().unwrap();
            gram[0] + gram[3] - 2.0 * gram[1]
        }),
        target("norm 0 test", exact.test_mean_square_norm[0], &|m| m.test_manifolds.as_ref().unwrap().1[0]),
        target("norm 1 test", exact.test_mean_square_norm[1], &|m| m.test_manifolds.as_ref().unwrap().1[1]),
        target("⟨v w·û⟩", exact.readout_weight_along_u, &|m| m.readout_weight_along_u),
        target("⟨(w·û)²⟩", exact.weight_along_u_squared, &|m| m.weight_along_u_squared),
        target("⟨w²⟩", exact.weight_second_moment, &|m| m.weight_second_moment),
    ];
    let accumulated = backend.accumulated().unwrap();
    targets.extend(weight_moments(&accumulated.weights[temperature], &exact.weight_moment));
    let rows = predictive_rows(&accumulated.predictive[temperature], &[], 1).unwrap();
    for (row, exact) in rows.iter().zip([&exact.predictive_mean, &exact.predictive_variance]) {
        for (cell, &mean) in row.cells.iter().zip(exact) {
            // Batches are few; their number says nothing of the draws behind them.
            let sampled = Summary { ess_bulk: MIN_ESS, ..cell.summary };
            targets.push(Target { name: row.name.clone(), mean, mcse: 0.0, sampled });
        }
    }
    targets
}

/// The entries of ⟨w wᵀ⟩ from independent blocks of chains. Few blocks say little of the error of
/// one entry, so its size is pooled over all: of samples of Gaussian w it is (M_jj M_kk + M_jk²)/n.
fn weight_moments(blocks: &[Vec<f64>], exact: &Mat<f64>) -> Vec<Target> {
    let (rank, n) = (exact.nrows(), blocks.len() as f64);
    assert!(n >= 8.0 && blocks.iter().all(|block| block.len() == rank * rank));
    let pairs: Vec<(usize, usize)> = (0..rank).flat_map(|j| (0..=j).map(move |k| (j, k))).collect();
    let mean = |j: usize, k: usize| blocks.iter().map(|block| block[j * rank + k]).sum::<f64>() / n;
    let square = |block: &Vec<f64>, (j, k): (usize, usize)| (block[j * rank + k] - mean(j, k)).powi(2);
    let size = |(j, k): (usize, usize)| mean(j, j) * mean(k, k) + mean(j, k).powi(2);
    let spread: f64 = pairs.iter().flat_map(|&pair| blocks.iter().map(move |block| square(block, pair))).sum();
    let relative = spread / (n - 1.0) / n / pairs.iter().map(|&pair| size(pair)).sum::<f64>();
    let target = |&(j, k): &(usize, usize)| Target {
        name: format!("⟨w{j} w{k}⟩"),
        mean: exact[(j, k)],
        mcse: 0.0,
        sampled: Summary {
            mean: mean(j, k),
            mcse: (relative * size((j, k))).sqrt(),
            ess_bulk: MIN_ESS,
            ..Summary::UNDEFINED
        },
    };
    pairs.iter().map(target).collect()
}

pub fn network(width: usize) -> Network {
    Network { width, activation: Activation::Identity, lambda0: LAMBDA0, lambda1: LAMBDA1 }
}
