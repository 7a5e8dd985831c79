//! Collective signatures: the posterior Gram matrix of the features and the geometry of the class
//! manifolds.
//!
//! ```text
//! ⟨G⟩ = K − [1/(λ1 N1 (1+Q))] ( K B K − M B M )
//! D²_ab = uᵀG u,  u_μ = 1/P_a on class a, −1/P_b on class b        R²_a = Tr G_aa/P_a − 1ᵀG_aa 1/P_a²
//! ```
//!
//! For train–test and test–test blocks the outer K and M are the cross blocks. The formula treats
//! the features as Gaussian with covariance K: on real data their fourth cumulants enter at the
//! same order 1/N1. The geometry needs forms and traces only: O(P) per temperature beside the
//! products in [`super::projections`].

use faer::Mat;

use super::kernels::Kernels;
use super::projections::Projected;
use super::spectrum::{Resolvent, Spectrum};
use super::{Prediction, ProcessDetails, Theory, TheoryError};
use crate::host::stop::{Stop, Stopped};
use crate::model::Problem;
use crate::numerics::linalg::{dot, multiply};

/// The class manifolds, in the eigenbasis of K̃.
pub(super) struct Manifolds {
    members: Vec<Vec<usize>>,
    /// Uᵀ1_a/P_a of every class.
    centroids: Vec<Vec<f64>>,
    /// m·1_a/P_a of every class.
    means: Vec<f64>,
    /// Σ_{μ∈a} (KU)²_μi of every class, over eigenvectors i.
    squares: Vec<Vec<f64>>,
}

impl Manifolds {
    pub fn new(
        problem: &Problem,
        kernels: &Kernels,
        eigenvectors: &Mat<f64>,
        spectrum: &Spectrum,
    ) -> Result<Self, TheoryError> {
        let mut members = vec![Vec::new(); problem.classes()];
        for (point, &class) in problem.class_train.iter().enumerate() {
            members[class].push(point);
        }
        if let Some(class) = members.iter().position(Vec::is_empty) {
            return Err(TheoryError::EmptyClass { class: problem.class_names[class].clone() });
        }
        let (centroids, means) = members
            .iter()
            .map(|members| {
                let mut indicator = vec![0.0; problem.points()];
                for &point in members {
                    indicator[point] = 1.0 / members.len() as f64;
                }
                (multiply(eigenvectors.transpose(), &indicator), dot(&indicator, &kernels.mean_train))
            })
            .unzip();
        let mut squares = vec![vec![0.0; problem.points()]; members.len()];
        let pairs = spectrum.eigenvalues.iter().zip(&spectrum.mean);
        for (i, (column, (k, m))) in eigenvectors.col_iter().zip(pairs).enumerate() {
            let rows = column.iter().zip(&kernels.mean_train).zip(&problem.class_train);
            for ((u, mean), &class) in rows {
                squares[class][i] += (u * k + mean * m).powi(2);
            }
        }
        Ok(Self { members, centroids, means, squares })
    }

    /// The training points of every class.
    pub fn members(&self) -> &[Vec<usize>] {
        &self.members
    }
}

/// The class manifolds of the test points.
pub(super) struct TestManifolds {
    members: Vec<Vec<usize>>,
    /// Uᵀ K_* 1_a/P*_a of every class.
    images: Vec<Vec<f64>>,
    /// m_*·1_a/P*_a of every class.
    means: Vec<f64>,
    /// 1_aᵀK_**1_b/(P*_a P*_b): the Gram matrix of the centroids under the prior.
    prior: Mat<f64>,
}

impl TestManifolds {
    /// `None` where some class has no manifold at the test points. `cross` is UᵀK̃_* and `mean`
    /// Uᵀm.
    pub fn new(
        problem: &Problem,
        kernels: &Kernels,
        cross: &Mat<f64>,
        mean: &[f64],
        stop: &Stop,
    ) -> Result<Option<Self>, Stopped> {
        if !problem.has_test_manifolds() {
            return Ok(None);
        }
        let mut members = vec![Vec::new(); problem.classes()];
        problem.class_test.iter().enumerate().for_each(|(point, &class)| members[class].push(point));
        let (images, means) = members
            .iter()
            .map(|members| {
                let mut indicator = vec![0.0; problem.test_points()];
                members.iter().for_each(|&point| indicator[point] = 1.0 / members.len() as f64);
                let own = dot(&indicator, &kernels.mean_test);
                let image = multiply(cross.as_ref(), &indicator).into_iter().zip(mean).map(|(k, m)| k + m * own);
                (image.collect(), own)
            })
            .unzip();
        Ok(Some(Self { members, images, means, prior: kernels.test_class_means(problem, stop)? }))
    }
}

/// D²_ab and R²_a as [`geometry`], of the test points; empty where some class has no manifold
/// there.
pub(super) fn test_geometry(
    theory: &Theory,
    resolvent: &Resolvent,
    inverse_width: f64,
    stop: &Stop,
) -> Result<(Vec<f64>, Vec<f64>), Stopped> {
    let Some(TestManifolds { members, images, means, prior }) = &theory.test_manifolds else {
        return Ok((Vec::new(), Vec::new()));
    };
    let classes = members.len();
    let form = |image: &[f64], mean: f64, prior: f64| {
        let moved = resolvent.connected_form(image) - mean * mean * resolvent.mean_connected();
        prior - resolvent.mean_gain * inverse_width * moved
    };
    let distances = (0..classes)
        .flat_map(|a| (a + 1..classes).map(move |b| (a, b)))
        .map(|(a, b)| {
            let difference: Vec<f64> = images[a].iter().zip(&images[b]).map(|(x, y)| x - y).collect();
            let apart = prior[(a, a)] + prior[(b, b)] - 2.0 * prior[(a, b)];
            form(&difference, means[a] - means[b], apart)
        })
        .collect();
    let norm = |&point: &usize| {
        stop.check()?;
        let mean = theory.kernels.mean_test[point];
        let row: Vec<f64> =
            theory.cross.col(point).iter().zip(&theory.spectrum.mean).map(|(k, m)| k + m * mean).collect();
        Ok(form(&row, mean, theory.kernels.test_diagonal[point]))
    };
    let radii = (0..classes).map(|a| {
        let norms = members[a].iter().map(norm).sum::<Result<f64, Stopped>>()?;
        Ok(norms / members[a].len() as f64 - form(&images[a], means[a], prior[(a, a)]))
    });
    Ok((distances, radii.collect::<Result<_, _>>()?))
}

/// D²_ab of all class pairs a < b in the order (0,1), (0,2), …, (1,2), …, and R²_a of all classes.
///
/// `inverse_width` is 1/N1, or zero at infinite width.
pub(super) fn geometry(
    theory: &Theory,
    resolvent: &Resolvent,
    at: Projected,
    inverse_width: f64,
) -> (Vec<f64>, Vec<f64>) {
    let Manifolds { members, centroids, means, squares } = &theory.manifolds;
    let classes = members.len();
    let form = |u: &[f64], mean: f64| gram_form(theory, resolvent, inverse_width, u, mean);
    let distances = (0..classes)
        .flat_map(|a| (a + 1..classes).map(move |b| (a, b)))
        .map(|(a, b)| {
            let difference: Vec<f64> = centroids[a].iter().zip(&centroids[b]).map(|(x, y)| x - y).collect();
            form(&difference, means[a] - means[b])
        })
        .collect();
    let radii = (0..classes)
        .map(|a| {
            let trace = gram_trace(theory, resolvent, at, inverse_width, (&members[a], &squares[a]));
            trace / members[a].len() as f64 - form(&centroids[a], means[a])
        })
        .collect();
    (distances, radii)
}

/// uᵀ⟨G⟩u, with `u` in the eigenbasis and `mean` = m·u.
fn gram_form(theory: &Theory, resolvent: &Resolvent, inverse_width: f64, u: &[f64], mean: f64) -> f64 {
    let spectrum = &theory.spectrum;
    // Uᵀ K u, and uᵀKu from the same eigenvalues.
    let image: Vec<f64> =
        (spectrum.eigenvalues.iter().zip(&spectrum.mean).zip(u)).map(|((k, m), u)| k * u + m * mean).collect();
    let prior = (spectrum.eigenvalues.iter().zip(u)).map(|(k, u)| k * u * u).sum::<f64>() + mean * mean;
    let moved = resolvent.connected_form(&image) - mean * mean * resolvent.mean_connected();
    prior - resolvent.mean_gain * inverse_width * moved
}

/// Tr ⟨G⟩_aa over the points of a class: Σ_μ (KBK)_μμ is a sum over eigenvectors less the squares
/// of two vectors.
fn gram_trace(
    theory: &Theory,
    resolvent: &Resolvent,
    at: Projected,
    inverse_width: f64,
    (members, squares): (&[usize], &[f64]),
) -> f64 {
    let over_members = |value: &dyn Fn(usize) -> f64| members.iter().map(|&point| value(point)).sum::<f64>();
    let overlap = at.overlap.map_or(0.0, |overlap| over_members(&|point| overlap[point].powi(2)));
    let connected = dot(squares, resolvent.inverse_diagonal())
        - resolvent.rank_one_factor() * overlap
        - over_members(&|point| at.response[point].powi(2));
    let means = over_members(&|point| theory.kernels.mean_train[point].powi(2));
    let prior = over_members(&|point| theory.kernels.train[(point, point)]);
    prior - resolvent.mean_gain * inverse_width * (connected - means * resolvent.mean_connected())
}

/// The points on one side of a Gram block.
#[derive(Clone, Copy, PartialEq)]
enum Set {
    Train,
    Test,
}

impl Theory {
    /// Returns ⟨G⟩ on the training points, (P, P): O(P³) for the saddle point.
    pub fn gram(&self, prediction: &Prediction) -> Mat<f64> {
        let kernel = &self.kernels.train;
        match &prediction.process {
            Some(process) => self.gram_block(prediction, process, kernel.clone(), [Set::Train, Set::Train]),
            None => prediction.unit.as_ref().map_or_else(|| kernel.clone(), |unit| unit.gram.clone()),
        }
    }

    /// Returns ⟨G⟩ between training and test points, (P, P*); `None` where the theory is silent.
    pub fn gram_train_test(&self, prediction: &Prediction) -> Option<Mat<f64>> {
        let process = prediction.process.as_ref()?;
        Some(self.gram_block(prediction, process, self.kernels.cross.clone(), [Set::Train, Set::Test]))
    }

    /// Returns ⟨G⟩ on the test points, (P*, P*); `None` where the theory is silent.
    pub fn gram_test(&self, prediction: &Prediction) -> Option<Mat<f64>> {
        let process = prediction.process.as_ref()?;
        Some(self.gram_block(prediction, process, self.kernels.test(&self.problem), [Set::Test, Set::Test]))
    }

    /// K − g/N1 (L B Rᵀ − m_l (mᵀBm) m_rᵀ), with L and R the kernel between each side and the
    /// training points, in the eigenbasis.
    fn gram_block(
        &self,
        prediction: &Prediction,
        process: &ProcessDetails,
        kernel: Mat<f64>,
        [left, right]: [Set; 2],
    ) -> Mat<f64> {
        let factor = self.inverse_width(prediction.kind);
        if factor == 0.0 {
            return kernel;
        }
        let resolvent = self.resolvent(prediction.temperature, &process.solution);
        let factor = factor * resolvent.mean_gain;
        let (left_kernel, right_kernel) = (self.projected(left), self.projected(right));
        let mut scaled = right_kernel.clone();
        for (column, inverse) in scaled.col_iter_mut().zip(resolvent.inverse_diagonal()) {
            column.iter_mut().for_each(|x| *x *= factor * inverse);
        }
        let mut gram = kernel - &left_kernel * scaled.transpose();
        let tilted: Vec<f64> =
            self.spectrum.mean.iter().zip(resolvent.inverse_diagonal()).map(|(m, inverse)| m * inverse).collect();
        let rank_ones = [
            (
                resolvent.rank_one_factor(),
                multiply(left_kernel.as_ref(), &tilted),
                multiply(right_kernel.as_ref(), &tilted),
            ),
            (1.0, multiply(left_kernel.as_ref(), &resolvent.dual), multiply(right_kernel.as_ref(), &resolvent.dual)),
            (resolvent.mean_connected(), self.means(left).to_vec(), self.means(right).to_vec()),
        ];
        for (weight, row, column) in &rank_ones {
            for (target, c) in gram.col_iter_mut().zip(column) {
                target.iter_mut().zip(row).for_each(|(x, r)| *x += factor * weight * r * c);
            }
        }
        gram
    }

    /// The kernel between the points of a set and the training points, times U: (points, P).
    fn projected(&self, set: Set) -> Mat<f64> {
        let Self { spectrum, eigenvectors, cross, .. } = self;
        let means = self.means(set);
        match set {
            Set::Train => Mat::from_fn(means.len(), spectrum.points(), |point, i| {
                eigenvectors[(point, i)] * spectrum.eigenvalues[i] + means[point] * spectrum.mean[i]
            }),
            Set::Test => Mat::from_fn(means.len(), spectrum.points(), |point, i| {
                cross[(i, point)] + means[point] * spectrum.mean[i]
            }),
        }
    }

    fn means(&self, set: Set) -> &[f64] {
        match set {
            Set::Train => &self.kernels.mean_train,
            Set::Test => &self.kernels.mean_test,
        }
    }
}
