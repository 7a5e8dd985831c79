//! Float64 theory of the proportional limit: order parameters and everything that follows from
//! them; knows nothing of samples.
//!
//! The limit is P, N1 → ∞ at fixed α = P/N1 (Corti, Pacelli, Rotondo, Gherardi, arXiv 2508.20989;
//! Li & Sompolinsky, PRX 11, 031059; Pacelli et al., Nat. Mach. Intell. 5, 1497). The posterior
//! over readouts and weights is a Gaussian process whose kernel is rescaled by the order parameters
//! Q, Q̄ of the saddle point ([`saddle`]), while features and weights move by amounts of order 1/N1
//! and 1/√N1 that the same resolvent gives:
//!
//! ```text
//! A(Q, Q̄) = T·1 + (Q̄/λ1) K̃ + M/(λ1(1+Q))      a = A⁻¹y      B = A⁻¹ − a aᵀ
//! ```
//!
//! with K the kernel of the prior, m its mean feature, M = m mᵀ and K̃ = K − M. Everything is
//! computed in the eigenbasis of K̃ ([`spectrum`]): one eigendecomposition in [`Theory::new`]
//! serves all temperatures, each of which then costs O(P) for the order parameters and O(P²) for
//! what needs the eigenvectors (`projections`); only the Gram matrices, made on demand, cost O(P³).
//!
//! That theory takes the features as Gaussian. The theories of [`mod@unit`] do not: they average
//! over the measure of one hidden unit by Monte Carlo.

mod error;
mod evidence;
mod failures;
mod features;
pub mod kernels;
mod kind;
pub mod ladder;
mod nngp;
mod prediction;
mod predictor;
mod prior;
mod process;
mod product;
mod projections;
pub mod saddle;
pub mod spectrum;
pub mod unit;
mod weights;

#[cfg(test)]
pub(crate) mod tests;

use faer::Mat;

use crate::host::stop::Stop;
use crate::model::{Network, Problem};
use crate::numerics::linalg::{self, multiply};
pub use error::TheoryError;
pub use failures::{Failure, messages as failure_messages};
use features::{Manifolds, TestManifolds};
use kernels::Kernels;
pub use kind::TheoryKind;
pub use prediction::{Prediction, ProcessDetails};
pub use prior::PriorLoss;
use process::Process;
use product::product;
use saddle::Solution;
use spectrum::{Resolvent, Spectrum};

/// P×P float64 matrices alive at once while a theory is prepared: K, its centred copy, the
/// eigenvectors, and the work space of the decomposition.
const MATRICES: u64 = 6;

/// Bytes that [`Theory::new`] takes for `points` training points, about.
pub fn memory(points: usize) -> u64 {
    (points as u64).saturating_mul(points as u64).saturating_mul(8 * MATRICES)
}

/// Everything of the theory that does not depend on the temperature.
pub struct Theory {
    problem: Problem,
    network: Network,
    kernels: Kernels,
    /// U of K̃ = U diag(k) Uᵀ.
    eigenvectors: Mat<f64>,
    spectrum: Spectrum,
    /// Uᵀ K̃_*, (P, P*).
    cross: Mat<f64>,
    manifolds: Manifolds,
    test_manifolds: Option<TestManifolds>,
}

impl Theory {
    /// Makes the kernels of the problem and the eigendecomposition of K̃: O(P³).
    ///
    /// # Errors
    /// [`TheoryError`] on a meaningless network, an empty class, or kernels that are not finite.
    pub fn new(problem: &Problem, network: &Network) -> Result<Self, TheoryError> {
        Self::new_until(problem, network, &Stop::default())
    }

    /// Does as [`Theory::new`] and heeds a request to stop: before and after the kernels and the
    /// eigendecomposition, each of which is done in one piece, and throughout the rest.
    ///
    /// # Errors
    /// As [`Theory::new`], and [`TheoryError::Stopped`].
    pub fn new_until(problem: &Problem, network: &Network, stop: &Stop) -> Result<Self, TheoryError> {
        let Network { width, lambda0, lambda1, .. } = *network;
        let positive = |x: f64| x > 0.0 && x.is_finite();
        if width == 0 || !positive(lambda0) || !positive(lambda1) {
            return Err(TheoryError::Network { width, lambda0, lambda1 });
        }
        stop.check()?;
        let kernels = Kernels::new(problem, network);
        stop.check()?;
        let labels_finite = problem.y_train.iter().all(|y| y.is_finite());
        if !labels_finite || !kernels.train.is_all_finite() || !kernels.cross.is_all_finite() {
            return Err(TheoryError::Data);
        }
        let points = problem.points();
        let (eigenvalues, eigenvectors) =
            linalg::eigen(kernels.centred_train().as_ref()).ok_or(TheoryError::Eigen { points })?;
        stop.check()?;
        let spectrum = Spectrum::new(
            eigenvalues,
            multiply(eigenvectors.transpose(), &problem.y_train),
            multiply(eigenvectors.transpose(), &kernels.mean_train),
            network,
        );
        let cross = product(eigenvectors.transpose(), kernels.centred_cross().as_ref(), stop)?;
        let manifolds = Manifolds::new(problem, &kernels, &eigenvectors, &spectrum)?;
        let test_manifolds = TestManifolds::new(problem, &kernels, &cross, &spectrum.mean, stop)?;
        let (problem, network) = (problem.clone(), *network);
        Ok(Self { problem, network, kernels, eigenvectors, spectrum, cross, manifolds, test_manifolds })
    }

    /// The kernels of the prior.
    pub fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    /// The loss under the prior, exact at any width.
    pub fn prior_loss(&self) -> PriorLoss {
        prior::prior_loss(self)
    }

    /// Training points P.
    pub fn points(&self) -> usize {
        self.problem.points()
    }

    /// Predicts infinite width at one temperature.
    ///
    /// # Errors
    /// [`TheoryError`] if the temperature is not positive or the prediction not finite.
    pub fn nngp(&self, temperature: f64) -> Result<Prediction, TheoryError> {
        Ok(Process::at(self, TheoryKind::Nngp, temperature, &Stop::default())?.into())
    }

    /// Predicts the saddle point at one temperature, followed from high temperature.
    ///
    /// # Errors
    /// [`TheoryError`] if the temperature is not positive, the branch from high temperature is
    /// lost, or the prediction not finite.
    pub fn saddle(&self, temperature: f64) -> Result<Prediction, TheoryError> {
        Ok(Process::at(self, TheoryKind::Saddle, temperature, &Stop::default())?.into())
    }

    /// The training points of every class.
    fn class_members(&self) -> &[Vec<usize>] {
        self.manifolds.members()
    }

    fn resolvent(&self, temperature: f64, solution: &Solution) -> Resolvent<'_> {
        Resolvent::new(&self.spectrum, temperature, solution.q_bar, 1.0 / (1.0 + solution.q))
    }

    /// 1/N1 as the corrections to features and weights see it.
    fn inverse_width(&self, kind: TheoryKind) -> f64 {
        match kind {
            TheoryKind::Nngp => 0.0,
            TheoryKind::Saddle | TheoryKind::SingleUnit | TheoryKind::Adaptive => 1.0 / self.spectrum.width,
        }
    }
}
