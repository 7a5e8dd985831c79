//! The posterior's data: inputs, labels and classes in the rotated, rank-reduced basis where both theory and sampler start.

use faer::Mat;
use faer::linalg::solvers::Svd;
use thiserror::Error;

use super::Activation;
use crate::data::Task;

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
/// h* = W' z* + ξ, z* = Vᵀx*/√N0, ξ ~ N(0, ‖x*_⊥‖²/(λ0 N0)) independent per unit: the part of W outside the data's span keeps its
/// prior (exact at any width and temperature).
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
    /// ‖x*_⊥‖²/N0 of every test point: the squared length outside the span of the training inputs.
    pub complement: Vec<f64>,
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
        let svd = Svd::new_thin(x_train.as_ref()).map_err(|_| ProblemError::Svd { points, dimension })?;
        let all: Vec<f64> = svd.S().column_vector().iter().copied().collect();
        let largest = all.first().copied().unwrap_or(0.0);
        if largest.is_nan() || largest <= 0.0 {
            return Err(ProblemError::ZeroInputs);
        }
        let threshold = points.max(dimension) as f64 * f64::EPSILON * largest;
        let rank = all.iter().take_while(|&&s| s > threshold).count();
        let scale = 1.0 / (dimension as f64).sqrt();
        let basis = svd.V().subcols(0, rank).to_owned();
        let z_train = Mat::from_fn(points, rank, |i, j| svd.U()[(i, j)] * all[j] * scale);
        let projection = &x_test * &basis;
        let parallel = &projection * basis.transpose();
        let complement = (0..x_test.nrows())
            .map(|i| {
                let outside: f64 = (0..dimension)
                    .map(|j| (x_test[(i, j)] - parallel[(i, j)]).powi(2))
                    .sum();
                let whole: f64 = (0..dimension).map(|j| x_test[(i, j)].powi(2)).sum();
                // Rounding leaves a residue of order ε² in points that lie in the span.
                let rounding = whole * (dimension as f64 * f64::EPSILON).powi(2);
                if outside <= rounding {
                    0.0
                } else {
                    outside / dimension as f64
                }
            })
            .collect();
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
            complement,
        })
    }

    /// Training points P.
    pub fn points(&self) -> usize {
        self.y_train.len()
    }

    /// Test points P*.
    pub fn test_points(&self) -> usize {
        self.y_test.len()
    }

    /// Input dimension N0.
    pub fn dimension(&self) -> usize {
        self.x_train.ncols()
    }

    /// Rank r of the training inputs.
    pub fn rank(&self) -> usize {
        self.singular_values.len()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }
}
