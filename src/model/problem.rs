//! The posterior's data: inputs, labels and classes in the rotated, rank-reduced basis where both theory and sampler start.

use faer::Mat;
use thiserror::Error;

use super::Activation;
use crate::model::Task;
use crate::numerics::linalg::{Svd, singular_values};

/// The one-hidden-layer network f(x) = (1/√N1) Σ_i v_i σ(w_i·x/√N0) with Gaussian priors w ~ N(0, 1/λ0), v ~ N(0, 1/λ1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Network {
    /// Hidden units N1.
    pub width: usize,
    pub activation: Activation,
    /// Prior precision of the first-layer weights, λ0.
    pub lambda0: f64,
    /// Prior precision of the readout, λ1.
    pub lambda1: f64,
}

/// Why a task cannot become a [`Problem`].
#[derive(Debug, Error)]
pub enum ProblemError {
    #[error("the training inputs are all zero: there is nothing for the network to see")]
    ZeroInputs,
    #[error("the singular value decomposition of the {points}×{dimension} training inputs did not converge")]
    Svd { points: usize, dimension: usize },
}

/// Data in both bases: the original inputs for the theory, and the rotated, rank-reduced ones for the sampler.
///
/// With the thin SVD X = U S Vᵀ of rank r ≤ min(P, N0), the likelihood sees the weights only through W' = W V (N1×r), whose
/// prior is the same isotropic Gaussian; h = Z W'ᵀ with Z = X V/√N0 = U S/√N0. A test point has
/// h* = W' z* + W⊥ z*⊥ with z* = Vᵀx*/√N0: the part W⊥ (N1×k) of the weights outside the data's span keeps its prior N(0, 1/λ0), so
/// that over units the second term has covariance X*⊥X*⊥ᵀ/(λ0 N0) (exact at any width and temperature).
#[derive(Debug, Clone)]
pub struct Problem {
    /// Training inputs X, (P, N0).
    pub x_train: Mat<f64>,
    pub y_train: Vec<f64>,
    /// Class index of every training point, into `class_names`.
    pub class_train: Vec<usize>,
    /// Test inputs, (P*, N0).
    pub x_test: Mat<f64>,
    pub y_test: Vec<f64>,
    pub class_test: Vec<usize>,
    pub class_names: Vec<String>,
    /// Where the data came from.
    pub name: String,
    /// Z = U S/√N0, (P, r).
    pub z_train: Mat<f64>,
    /// X* V/√N0, (P*, r).
    pub z_test: Mat<f64>,
    /// V, (N0, r): column j is the j-th principal direction of the inputs.
    pub basis: Mat<f64>,
    /// Singular values s_1 ≥ … ≥ s_r of X.
    pub singular_values: Vec<f64>,
    /// (P*, k): the test inputs outside the span of the training inputs, in an orthonormal basis of what they span there and divided
    /// by √N0.
    pub z_complement: Mat<f64>,
}

impl Problem {
    /// Rotates and rank-reduces a task. Singular values below max(P, N0)·ε·s_1 count as zero.
    ///
    /// # Errors
    /// [`ProblemError`] when the inputs are all zero or the decomposition fails.
    pub fn new(task: &Task) -> Result<Self, ProblemError> {
        let (points, dimension) = task.x_train.dim();
        let x_train = Mat::from_fn(points, dimension, |i, j| task.x_train[[i, j]]);
        let x_test = Mat::from_fn(task.x_test.nrows(), dimension, |i, j| task.x_test[[i, j]]);
        let Svd { u, s: all, v } = singular_values(x_train.as_ref()).ok_or(ProblemError::Svd { points, dimension })?;
        let largest = all.first().copied().unwrap_or(0.0);
        if largest.is_nan() || largest <= 0.0 {
            return Err(ProblemError::ZeroInputs);
        }
        let threshold = points.max(dimension) as f64 * f64::EPSILON * largest;
        let rank = all.iter().take_while(|&&s| s > threshold).count();
        let scale = 1.0 / (dimension as f64).sqrt();
        let basis = v.subcols(0, rank).to_owned();
        let z_train = Mat::from_fn(points, rank, |i, j| u[(i, j)] * all[j] * scale);
        let projection = &x_test * &basis;
        let outside = &x_test - &(&projection * basis.transpose());
        let z_complement = complement(outside, &x_test, scale)?;
        Ok(Self {
            x_train,
            y_train: task.y_train.to_vec(),
            class_train: task.class_train.clone(),
            x_test,
            y_test: task.y_test.to_vec(),
            class_test: task.class_test.clone(),
            class_names: task.class_names.clone(),
            name: task.name.clone(),
            z_train,
            z_test: projection * faer::Scale(scale),
            basis,
            singular_values: all[..rank].to_vec(),
            z_complement,
        })
    }

    /// Directions k outside the span of the training inputs that the test points need.
    pub fn complement_rank(&self) -> usize {
        self.z_complement.ncols()
    }

    /// Training points P.
    pub fn points(&self) -> usize {
        self.y_train.len()
    }

    /// Test points P*.
    pub fn test_points(&self) -> usize {
        self.y_test.len()
    }

    /// Whether the classes have manifolds at the test points too: two points or more of each.
    pub fn has_test_manifolds(&self) -> bool {
        let count = |class: usize| self.class_test.iter().filter(|&&own| own == class).count();
        (0..self.classes()).all(|class| count(class) >= 2)
    }

    /// Input dimension N0.
    pub fn dimension(&self) -> usize {
        self.x_train.ncols()
    }

    /// Rank r of the training inputs.
    pub fn rank(&self) -> usize {
        self.singular_values.len()
    }

    /// Vᵀ x of a vector in input space, (N0) to (r): what the training inputs see of it.
    pub fn rotated(&self, x: &[f64]) -> Vec<f64> {
        (0..self.rank()).map(|j| (0..self.dimension()).map(|i| self.basis[(i, j)] * x[i]).sum()).collect()
    }

    /// V w of a vector in the rotated basis, (r) to (N0).
    pub fn in_input_space(&self, w: &[f64]) -> Vec<f64> {
        (0..self.dimension()).map(|i| (0..self.rank()).map(|j| self.basis[(i, j)] * w[j]).sum()).collect()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }
}

/// Coordinates of the rows of `outside` in an orthonormal basis of their span, times `scale`. Singular values of the size of the
/// rounding in `x_test` are dropped: points that lie in the training span have no complement.
fn complement(outside: Mat<f64>, x_test: &Mat<f64>, scale: f64) -> Result<Mat<f64>, ProblemError> {
    let (points, dimension) = (outside.nrows(), outside.ncols());
    if points == 0 {
        return Ok(Mat::zeros(0, 0));
    }
    let Svd { u, s, .. } = singular_values(outside.as_ref()).ok_or(ProblemError::Svd { points, dimension })?;
    let threshold = 10.0 * points.max(dimension) as f64 * f64::EPSILON * x_test.norm_l2();
    let rank = s.iter().take_while(|&&s| s > threshold).count();
    Ok(Mat::from_fn(points, rank, |i, j| u[(i, j)] * s[j] * scale))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};

    use super::*;

    fn task(train: usize, test: usize, dimension: usize) -> Task {
        let entry = |i: usize, j: usize| ((i * 7 + j * 13 + i * j * 5 + 3) % 17) as f64 / 4.0 - 2.0;
        Task {
            name: "fixed".into(),
            x_train: Array2::from_shape_fn((train, dimension), |(i, j)| entry(i, j)),
            y_train: Array1::from_shape_fn(train, |i| if i % 2 == 0 { 1.0 } else { -1.0 }),
            class_train: (0..train).map(|i| i % 2).collect(),
            x_test: Array2::from_shape_fn((test, dimension), |(i, j)| entry(i + train, 3 * j)),
            y_test: Array1::ones(test),
            class_test: vec![0; test],
            class_names: vec!["a".into(), "b".into()],
        }
    }

    /// The rotated basis must reproduce every inner product that pre-activations depend on.
    #[test]
    fn rotated_inputs_have_the_inner_products_of_the_original_ones() {
        for (train, test, dimension) in [(5, 4, 12), (12, 3, 5), (6, 20, 9)] {
            let mut task = task(train, test, dimension);
            let twin = task.x_train.row(0).to_owned();
            task.x_train.row_mut(1).assign(&twin);
            let problem = Problem::new(&task).unwrap();
            assert!(problem.rank() <= train.min(dimension));
            let n0 = dimension as f64;
            let close = |a: &Mat<f64>, b: &Mat<f64>| (a - b).norm_max() < 1e-12;
            let (x, xt) = (&problem.x_train, &problem.x_test);
            let (z, zt, zc) = (&problem.z_train, &problem.z_test, &problem.z_complement);
            assert!(close(&(x * x.transpose() * faer::Scale(1.0 / n0)), &(z * z.transpose())));
            assert!(close(&(xt * x.transpose() * faer::Scale(1.0 / n0)), &(zt * z.transpose())));
            let whole = xt * xt.transpose() * faer::Scale(1.0 / n0);
            assert!(close(&whole, &(zt * zt.transpose() + zc * zc.transpose())));
            if train >= dimension {
                assert_eq!(problem.complement_rank(), 0, "the training inputs span everything");
            } else {
                assert!(!close(&whole, &(zt * zt.transpose())), "without the complement the test block is wrong");
            }
        }
    }

    #[test]
    fn zero_inputs_are_refused() {
        let mut task = task(3, 0, 4);
        task.x_train.fill(0.0);
        assert!(matches!(Problem::new(&task), Err(ProblemError::ZeroInputs)));
    }
}
