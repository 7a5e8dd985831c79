//! The prior kernels of a problem: K, m and d of train, cross and test blocks.
//!
//! ```text
//! C = X Xᵀ/(λ0 N0)        K_μν = E[σ(h^μ)σ(h^ν)]        m_μ = E[σ(h^μ)]        d_μ = E[σ'(h^μ)],        h ~ N(0, C)
//! ```

use faer::{Mat, MatRef};
use rayon::prelude::*;

use crate::host::stop::{Stop, Stopped};
use crate::model::{Activation, Network, Problem};

/// The blocks that every temperature shares.
#[derive(Debug, Clone)]
pub struct Kernels {
    activation: Activation,
    /// 1/(λ0 N0).
    scale: f64,
    /// K, (P, P).
    pub train: Mat<f64>,
    /// K_*, (P, P*).
    pub cross: Mat<f64>,
    /// Diagonal of K_**.
    pub test_diagonal: Vec<f64>,
    /// m of the training and test points; zero for odd σ.
    pub mean_train: Vec<f64>,
    pub mean_test: Vec<f64>,
    /// d of the training points.
    pub derivative_train: Vec<f64>,
}

impl Kernels {
    pub fn new(problem: &Problem, network: &Network) -> Self {
        let activation = network.activation;
        let scale = 1.0 / (network.lambda0 * problem.dimension() as f64);
        let (x, x_test) = (problem.x_train.as_ref(), problem.x_test.as_ref());
        let (train, test) = (variances(x, scale), variances(x_test, scale));
        Self {
            activation,
            scale,
            train: activation.kernel(covariance(x, x, scale), &train, &train),
            cross: activation.kernel(covariance(x, x_test, scale), &train, &test),
            test_diagonal: test.iter().map(|&v| activation.second_moment(v)).collect(),
            mean_train: train.iter().map(|&v| activation.mean(v)).collect(),
            mean_test: test.iter().map(|&v| activation.mean(v)).collect(),
            derivative_train: train.iter().map(|&v| activation.mean_derivative(v)).collect(),
        }
    }

    /// K_**, (P*, P*): made when asked for.
    pub fn test(&self, problem: &Problem) -> Mat<f64> {
        let x = problem.x_test.as_ref();
        let variances = variances(x, self.scale);
        self.activation.kernel(covariance(x, x, self.scale), &variances, &variances)
    }

    /// The means of K_** over the pairs of points of two classes, (classes, classes), without
    /// holding more of it than some rows at a time.
    pub(super) fn test_class_means(&self, problem: &Problem, stop: &Stop) -> Result<Mat<f64>, Stopped> {
        const ROWS: usize = 128;
        let x = problem.x_test.as_ref();
        let variances = variances(x, self.scale);
        let (points, classes, class) = (x.nrows(), problem.classes(), &problem.class_test);
        let starts: Vec<usize> = (0..points).step_by(ROWS).collect();
        let sums: Vec<Mat<f64>> = starts
            .into_par_iter()
            .map(|start| {
                stop.check()?;
                let rows = ROWS.min(points - start);
                // By symmetry only what lies on the diagonal or to the right of it.
                let right = x.subrows(start, points - start);
                let covariance = covariance(x.subrows(start, rows), right, self.scale);
                let kernel = self.activation.kernel(covariance, &variances[start..start + rows], &variances[start..]);
                let mut sum = Mat::<f64>::zeros(classes, classes);
                for (j, column) in kernel.col_iter().enumerate() {
                    for (i, k) in column.iter().take(j + 1).enumerate() {
                        let share = if i == j { 0.5 * k } else { *k };
                        sum[(class[start + i], class[start + j])] += share;
                    }
                }
                Ok(sum)
            })
            .collect::<Result<_, _>>()?;
        let total = sums.iter().fold(Mat::<f64>::zeros(classes, classes), |total, sum| total + sum);
        let size = |a: usize| class.iter().filter(|&&own| own == a).count() as f64;
        Ok(Mat::from_fn(classes, classes, |a, b| (total[(a, b)] + total[(b, a)]) / (size(a) * size(b))))
    }

    /// K̃ = K − m mᵀ.
    pub fn centred_train(&self) -> Mat<f64> {
        centred(&self.train, &self.mean_train, &self.mean_train)
    }

    /// K̃_* = K_* − m m_*ᵀ.
    pub fn centred_cross(&self) -> Mat<f64> {
        centred(&self.cross, &self.mean_train, &self.mean_test)
    }
}

fn centred(kernel: &Mat<f64>, rows: &[f64], columns: &[f64]) -> Mat<f64> {
    Mat::from_fn(rows.len(), columns.len(), |i, j| kernel[(i, j)] - rows[i] * columns[j])
}

fn covariance(x: MatRef<'_, f64>, z: MatRef<'_, f64>, scale: f64) -> Mat<f64> {
    x * z.transpose() * faer::Scale(scale)
}

fn variances(x: MatRef<'_, f64>, scale: f64) -> Vec<f64> {
    x.row_iter().map(|row| row.squared_norm_l2() * scale).collect()
}
