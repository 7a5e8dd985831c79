//! Float64 theory of the proportional limit: order parameters and everything that follows from them; knows nothing of samples.
//!
//! The limit is P, N1 → ∞ at fixed α = P/N1 (Corti, Pacelli, Rotondo, Gherardi, arXiv 2508.20989; Li & Sompolinsky, PRX 11, 031059;
//! Pacelli et al., Nat. Mach. Intell. 5, 1497). The posterior over readouts and weights is a Gaussian process whose kernel is
//! rescaled by the order parameters Q, Q̄ of the saddle point ([`saddle`]), while features and weights move by amounts of order
//! 1/N1 and 1/√N1 that the same resolvent gives:
//!
//! ```text
//! A(Q, Q̄) = T·1 + (Q̄/λ1) K̃ + M/(λ1(1+Q))      a = A⁻¹y      B = A⁻¹ − a aᵀ
//! ```
//!
//! with K the kernel of the prior, m its mean feature, M = m mᵀ and K̃ = K − M. Everything is computed in the eigenbasis of K̃
//! ([`spectrum`]): one eigendecomposition in [`Theory::new`] serves all temperatures, each of which then costs O(P) for the order
//! parameters and O(P²) for what needs the eigenvectors (`projections`); only the Gram matrices, made on demand, cost O(P³).
//!
//! That theory takes the features as Gaussian. The theories of [`mod@unit`] do not: they average over the measure of one hidden unit by Monte Carlo.

mod evidence;
mod failures;
mod features;
pub mod kernels;
mod nngp;
mod predictor;
mod prior;
mod projections;
pub mod saddle;
pub mod spectrum;
pub mod unit;
mod weights;

#[cfg(test)]
pub(crate) mod tests;

use faer::Mat;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::{Network, Problem};
use crate::numerics::histogram::reach;
use crate::numerics::linalg::{self, multiply};
pub use failures::messages as failure_messages;
use features::{Manifolds, TestManifolds};
use kernels::Kernels;
pub use prior::PriorLoss;
use projections::{Projected, Projections};
use saddle::{SaddleError, Solution};
use spectrum::{Resolvent, Spectrum};
use unit::UnitError;

/// Which theory a prediction comes from; the names are those of the JSON output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Infinite width: Q = 0, Q̄ = 1.
    Nngp,
    /// The saddle point of the proportional limit.
    Saddle,
    /// One unit in the field of the saddle point ([`mod@unit`]).
    SingleUnit,
    /// One unit in a self-consistent field ([`mod@unit`]).
    Adaptive,
}

impl Kind {
    /// Every theory, from the crudest.
    pub const ALL: [Self; 4] = [Self::Nngp, Self::Saddle, Self::SingleUnit, Self::Adaptive];
    /// The theories that are a Gaussian process over the outputs, with a predictor and an evidence: those of [`Theory::ladder`].
    pub const PROCESSES: [Self; 2] = [Self::Nngp, Self::Saddle];
    /// The theories of one unit: those of [`Theory::unit_ladder`].
    pub const UNITS: [Self; 2] = [Self::SingleUnit, Self::Adaptive];

    /// The machine-readable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nngp => "nngp",
            Self::Saddle => "saddle",
            Self::SingleUnit => "single-unit",
            Self::Adaptive => "adaptive",
        }
    }
}

/// P×P float64 matrices alive at once while a theory is prepared: K, its centred copy, the eigenvectors, and the work space of the
/// decomposition.
const MATRICES: u64 = 6;

/// Bytes that [`Theory::new`] takes for `points` training points, about.
pub fn memory(points: usize) -> u64 {
    (points as u64).saturating_mul(points as u64).saturating_mul(8 * MATRICES)
}

/// Why a prediction could not be made.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum TheoryError {
    #[error("temperature {temperature} has no theory: give a positive, finite number")]
    Temperature { temperature: f64 },
    #[error(
        "network with {width} hidden units, lambda0 = {lambda0}, lambda1 = {lambda1}: all three must be positive and finite"
    )]
    Network { width: usize, lambda0: f64, lambda1: f64 },
    #[error("class `{class}` has no training point, so its manifold has no centroid: add points or drop the class")]
    EmptyClass { class: String },
    #[error("the kernel of the inputs or the labels are not finite: check the data for NaN or huge values")]
    Data,
    #[error("the eigendecomposition of the {points}×{points} kernel did not converge")]
    Eigen { points: usize },
    #[error("the {} prediction at temperature {temperature} is not finite: rescale the data or raise the temperature", kind.name())]
    NonFinite { kind: Kind, temperature: f64 },
    #[error("{} is no theory of this family", kind.name())]
    Family { kind: Kind },
    #[error(transparent)]
    Saddle(#[from] SaddleError),
    #[error(transparent)]
    Unit(#[from] UnitError),
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

/// What one theory predicts at one temperature. Names are those of the JSON output.
#[derive(Debug, Clone)]
pub struct Prediction {
    pub kind: Kind,
    pub temperature: f64,
    pub q: f64,
    pub q_bar: f64,
    /// S(Q, Q̄).
    pub effective_action: f64,
    /// ln p(y).
    pub log_evidence: f64,
    /// ⟨L⟩/P.
    pub train_loss: f64,
    /// Squared bias plus variance, averaged over the test points; `None` without test points, as the two below.
    pub test_mse: Option<f64>,
    pub test_bias_squared: Option<f64>,
    pub test_variance: Option<f64>,
    /// ⟨v²⟩ = Q̄/λ1.
    pub readout_second_moment: f64,
    /// ⟨v⟩.
    pub readout_mean: f64,
    /// ⟨v w⟩, in R^{N0}.
    pub readout_weight_correlation: Vec<f64>,
    /// ‖⟨v w⟩‖ = ⟨v w·û⟩.
    pub readout_weight_correlation_norm: f64,
    /// û = c/‖c‖ in R^{N0}, c = Xᵀ(d∘a): also at infinite width, where ⟨v w⟩ itself vanishes. Zero if the labels are.
    pub direction: Vec<f64>,
    /// ⟨(w·û)²⟩.
    pub weight_second_moment_along_u: f64,
    /// D²_ab of the class pairs (0,1), (0,2), …, (1,2), …
    pub centroid_distance_sq: Vec<f64>,
    /// R²_a of every class.
    pub gyration_radius_sq: Vec<f64>,
    /// The same of the test points; empty unless every class has two of them or more.
    pub centroid_distance_sq_test: Vec<f64>,
    pub gyration_radius_sq_test: Vec<f64>,
    /// ⟨f*⟩ and Var f* of every test point.
    pub predictive_mean: Vec<f64>,
    pub predictive_variance: Vec<f64>,
    /// How the order parameters were found.
    pub solution: Solution,
}

impl Prediction {
    /// Reaches of the grids of v and w·û, on which all densities at this temperature are given.
    pub fn density_reaches(&self) -> [f64; 2] {
        [self.readout_second_moment, self.weight_second_moment_along_u].map(reach)
    }
}

impl Theory {
    /// Kernels of the problem and the eigendecomposition of K̃: O(P³).
    ///
    /// # Errors
    /// [`TheoryError`] on a meaningless network, an empty class, or kernels that are not finite.
    pub fn new(problem: &Problem, network: &Network) -> Result<Self, TheoryError> {
        let Network { width, lambda0, lambda1, .. } = *network;
        let positive = |x: f64| x > 0.0 && x.is_finite();
        if width == 0 || !positive(lambda0) || !positive(lambda1) {
            return Err(TheoryError::Network { width, lambda0, lambda1 });
        }
        let kernels = Kernels::new(problem, network);
        let labels_finite = problem.y_train.iter().all(|y| y.is_finite());
        if !labels_finite || !kernels.train.is_all_finite() || !kernels.cross.is_all_finite() {
            return Err(TheoryError::Data);
        }
        let points = problem.points();
        let (eigenvalues, eigenvectors) =
            linalg::eigen(kernels.centred_train().as_ref()).ok_or(TheoryError::Eigen { points })?;
        let spectrum = Spectrum::new(
            eigenvalues,
            multiply(eigenvectors.transpose(), &problem.y_train),
            multiply(eigenvectors.transpose(), &kernels.mean_train),
            network,
        );
        let cross = eigenvectors.transpose() * kernels.centred_cross();
        let manifolds = Manifolds::new(problem, &kernels, &eigenvectors, &spectrum)?;
        let test_manifolds = TestManifolds::new(problem, &kernels, &cross, &spectrum.mean);
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

    /// Infinite width at one temperature.
    ///
    /// # Errors
    /// [`TheoryError`] if the temperature is not positive or the prediction not finite.
    pub fn nngp(&self, temperature: f64) -> Result<Prediction, TheoryError> {
        self.alone(Kind::Nngp, temperature)
    }

    /// The saddle point at one temperature, followed from high temperature.
    ///
    /// # Errors
    /// [`TheoryError`] if the temperature is not positive, the branch from high temperature is lost, or the prediction not finite.
    pub fn saddle(&self, temperature: f64) -> Result<Prediction, TheoryError> {
        self.alone(Kind::Saddle, temperature)
    }

    fn alone(&self, kind: Kind, temperature: f64) -> Result<Prediction, TheoryError> {
        self.ladder(kind, &[temperature]).pop().unwrap_or(Err(TheoryError::Temperature { temperature }))
    }

    /// The saddle point at many temperatures with one continuation from the highest to the lowest; results in the order given.
    pub fn saddle_ladder(&self, temperatures: &[f64]) -> Vec<Result<Prediction, TheoryError>> {
        let valid: Vec<f64> = temperatures.iter().copied().filter(|&t| check_temperature(t).is_ok()).collect();
        let mut solutions = saddle::ladder(&self.spectrum, &valid, &saddle::Params::default()).into_iter();
        let solve = |&temperature: &f64| {
            check_temperature(temperature)?;
            Ok(solutions.next().ok_or(TheoryError::Temperature { temperature })??)
        };
        let solved = temperatures.iter().map(solve).collect();
        self.predict(Kind::Saddle, temperatures, solved)
    }

    /// One of [`Kind::PROCESSES`] at many temperatures, in the order given; for any other kind every result is [`TheoryError::Family`].
    pub fn ladder(&self, kind: Kind, temperatures: &[f64]) -> Vec<Result<Prediction, TheoryError>> {
        match kind {
            Kind::Nngp => {
                let solve = |&temperature: &f64| check_temperature(temperature).map(|()| nngp::solution());
                self.predict(kind, temperatures, temperatures.iter().map(solve).collect())
            }
            Kind::Saddle => self.saddle_ladder(temperatures),
            Kind::SingleUnit | Kind::Adaptive => {
                temperatures.iter().map(|_| Err(TheoryError::Family { kind })).collect()
            }
        }
    }

    /// The training points of every class.
    fn class_members(&self) -> &[Vec<usize>] {
        self.manifolds.members()
    }

    /// What follows from the order parameters, where there are any.
    fn predict(
        &self,
        kind: Kind,
        temperatures: &[f64],
        solved: Vec<Result<Solution, TheoryError>>,
    ) -> Vec<Result<Prediction, TheoryError>> {
        let resolvents: Vec<Resolvent> = (temperatures.iter().zip(&solved))
            .filter_map(|(&temperature, solution)| Some(self.resolvent(temperature, solution.as_ref().ok()?)))
            .collect();
        let projections = Projections::new(self, &resolvents);
        let known: Vec<(f64, Solution)> = (temperatures.iter().zip(&solved))
            .filter_map(|(&temperature, solution)| Some((temperature, solution.clone().ok()?)))
            .collect();
        let predicted: Vec<_> = (known.into_par_iter().zip(&resolvents).zip(projections.each()))
            .map(|(((temperature, solution), resolvent), at)| {
                self.predict_at(kind, temperature, solution, resolvent, at)
            })
            .collect();
        let mut predicted = predicted.into_iter();
        let next = |(&temperature, solution): (&f64, Result<Solution, TheoryError>)| {
            solution.and_then(|_| predicted.next().unwrap_or(Err(TheoryError::Temperature { temperature })))
        };
        temperatures.iter().zip(solved).map(next).collect()
    }

    fn predict_at(
        &self,
        kind: Kind,
        temperature: f64,
        solution: Solution,
        resolvent: &Resolvent,
        at: Projected,
    ) -> Result<Prediction, TheoryError> {
        let Solution { q, q_bar, .. } = solution;
        let inverse_width = self.inverse_width(kind);
        let effective_action = evidence::effective_action(&self.spectrum, resolvent, q, q_bar);
        let (predictive_mean, predictive_variance) = predictor::predictive(self, resolvent);
        let test_error = predictor::test_error(&self.problem.y_test, &predictive_mean, &predictive_variance);
        let (centroid_distance_sq, gyration_radius_sq) = features::geometry(self, resolvent, at, inverse_width);
        let (centroid_distance_sq_test, gyration_radius_sq_test) =
            features::test_geometry(self, resolvent, inverse_width);
        let weights = weights::weights(self, resolvent, at, inverse_width);
        let prediction = Prediction {
            kind,
            temperature,
            q,
            q_bar,
            effective_action,
            log_evidence: evidence::log_evidence(&self.spectrum, effective_action),
            train_loss: predictor::train_loss(resolvent),
            test_mse: test_error.map(|(bias, variance)| bias + variance),
            test_bias_squared: test_error.map(|(bias, _)| bias),
            test_variance: test_error.map(|(_, variance)| variance),
            readout_second_moment: q_bar / self.network.lambda1,
            readout_mean: weights.readout_mean,
            readout_weight_correlation: weights.correlation,
            readout_weight_correlation_norm: weights.correlation_norm,
            direction: weights.direction,
            weight_second_moment_along_u: weights.second_moment_along_u,
            centroid_distance_sq,
            gyration_radius_sq,
            centroid_distance_sq_test,
            gyration_radius_sq_test,
            predictive_mean,
            predictive_variance,
            solution,
        };
        if prediction.is_finite() { Ok(prediction) } else { Err(TheoryError::NonFinite { kind, temperature }) }
    }

    fn resolvent(&self, temperature: f64, solution: &Solution) -> Resolvent<'_> {
        Resolvent::new(&self.spectrum, temperature, solution.q_bar, 1.0 / (1.0 + solution.q))
    }

    /// 1/N1 as the corrections to features and weights see it.
    fn inverse_width(&self, kind: Kind) -> f64 {
        match kind {
            Kind::Nngp => 0.0,
            Kind::Saddle | Kind::SingleUnit | Kind::Adaptive => 1.0 / self.spectrum.width,
        }
    }
}

impl Prediction {
    fn is_finite(&self) -> bool {
        let scalars = [
            self.q,
            self.q_bar,
            self.effective_action,
            self.log_evidence,
            self.train_loss,
            self.readout_mean,
            self.readout_weight_correlation_norm,
            self.weight_second_moment_along_u,
        ];
        (scalars.iter().chain(&self.centroid_distance_sq).chain(&self.gyration_radius_sq))
            .chain(self.centroid_distance_sq_test.iter().chain(&self.gyration_radius_sq_test))
            .chain(self.predictive_mean.iter().chain(&self.predictive_variance))
            .all(|x| x.is_finite())
    }
}

fn check_temperature(temperature: f64) -> Result<(), TheoryError> {
    if temperature > 0.0 && temperature.is_finite() { Ok(()) } else { Err(TheoryError::Temperature { temperature }) }
}
