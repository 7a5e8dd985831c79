//! What needs the eigenvectors at every temperature, for all temperatures at once: then U is read a
//! few times in all and not at each of them.

use faer::Mat;
use rayon::prelude::*;

use super::Theory;
use super::product::product;
use super::spectrum::Resolvent;
use crate::host::stop::{Stop, Stopped};

/// One column per temperature in every matrix.
pub(super) struct Projections {
    /// K a on the training points.
    response: Mat<f64>,
    /// K D⁻¹m̃ on the training points; `None` for odd σ, whose m̃ is zero.
    overlap: Option<Mat<f64>>,
    /// û, in R^{N0}; zero if c is.
    direction: Mat<f64>,
    /// ‖c‖, c = Xᵀ(d∘a)/(λ0√N0).
    correlation_norm: Vec<f64>,
    /// Uᵀp, p = d∘(Xû)/(λ0√N0).
    along: Mat<f64>,
}

/// The columns of one temperature.
#[derive(Clone, Copy)]
pub(super) struct Projected<'a> {
    pub response: &'a [f64],
    pub overlap: Option<&'a [f64]>,
    pub direction: &'a [f64],
    pub correlation_norm: f64,
    pub along: &'a [f64],
}

impl Projections {
    /// # Errors
    /// [`Stopped`] on request.
    pub fn new(theory: &Theory, resolvents: &[Resolvent], stop: &Stop) -> Result<Self, Stopped> {
        let (problem, spectrum) = (&theory.problem, &theory.spectrum);
        let (points, count) = (spectrum.points(), resolvents.len());
        let eigenvectors = theory.eigenvectors.as_ref();
        let means = &theory.kernels.mean_train;
        let has_mean = spectrum.has_mean();
        // K = K̃ + m mᵀ on what is given in the eigenbasis of K̃.
        let kernel_times = |vector: &dyn Fn(usize, usize) -> f64| {
            let scaled = Mat::from_fn(points, count, |i, t| spectrum.eigenvalues[i] * vector(i, t));
            let mut image = product(eigenvectors, scaled.as_ref(), stop)?;
            if has_mean {
                for (t, column) in image.col_iter_mut().enumerate() {
                    let overlap: f64 = (0..points).map(|i| spectrum.mean[i] * vector(i, t)).sum();
                    column.iter_mut().zip(means).for_each(|(x, m)| *x += m * overlap);
                }
            }
            Ok(image)
        };
        let response = kernel_times(&|i, t| resolvents[t].dual[i])?;
        let tilted = |i: usize, t: usize| resolvents[t].inverse_diagonal()[i] * spectrum.mean[i];
        let overlap = has_mean.then(|| kernel_times(&tilted)).transpose()?;

        let scale = 1.0 / (theory.network.lambda0 * (problem.dimension() as f64).sqrt());
        let weigh = |mut columns: Mat<f64>| {
            for column in columns.col_iter_mut() {
                column.iter_mut().zip(&theory.kernels.derivative_train).for_each(|(x, d)| *x *= scale * d);
            }
            columns
        };
        let duals = Mat::from_fn(points, count, |i, t| resolvents[t].dual[i]);
        let duals = weigh(product(eigenvectors, duals.as_ref(), stop)?);
        let mut direction = product(problem.x_train.transpose(), duals.as_ref(), stop)?;
        let correlation_norm: Vec<f64> = direction
            .col_iter_mut()
            .map(|column| {
                let norm = column.norm_l2();
                column.iter_mut().for_each(|c| *c = if norm > 0.0 { *c / norm } else { 0.0 });
                norm
            })
            .collect();
        let along = weigh(product(problem.x_train.as_ref(), direction.as_ref(), stop)?);
        let along = product(eigenvectors.transpose(), along.as_ref(), stop)?;
        Ok(Self { response, overlap, direction, correlation_norm, along })
    }

    /// The columns of every temperature, in order.
    pub fn each(&self) -> impl IndexedParallelIterator<Item = Projected<'_>> {
        (0..self.correlation_norm.len()).into_par_iter().map(|t| Projected {
            response: self.response.col_as_slice(t),
            overlap: self.overlap.as_ref().map(|overlap| overlap.col_as_slice(t)),
            direction: self.direction.col_as_slice(t),
            correlation_norm: self.correlation_norm[t],
            along: self.along.col_as_slice(t),
        })
    }
}
