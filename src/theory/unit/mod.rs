//! The theories of one hidden unit in the mean field of all others: right to order 1/N1 at fixed P without assuming that features are Gaussian.
//!
//! The formulas of the proportional limit ([`saddle`](super::saddle)) take the features φ as Gaussian. On real data their fourth cumulants enter
//! at the same order 1/N1 as the effects predicted, and feature learning is underestimated. Here one unit keeps its exact law given a force a and
//! a stiffness B that stand for all others:
//!
//! ```text
//! p(w) ∝ p0(w) (1+q)^{−1/2} exp( m²/(2(1+q)) ),     q = φᵀBφ/(λ1N1),     m = φ·a/√(λ1N1)
//! ```
//!
//! * **single-unit** takes a and B = A⁻¹ from the saddle point;
//! * **adaptive** solves for both: T a + √N1⟨vφ⟩ = y, B = (T + ⟨v²φφᵀ⟩ − ⟨vφ⟩⟨vφ⟩ᵀ)⁻¹.
//!
//! Averages are Monte Carlo, with errors of their own: importance sampling of prior draws, or Markov chains on the measure itself where the weights
//! have lost their effective sample size. There one force and one stiffness no longer stand for all others, since some of these fit the data almost alone and exclude
//! each other: the adaptive theory then has a mixture of fields, whose derivation is in `collective.rs`. Derived for this project; neighbours are Seroussi, Naveh, Ringel, Nat. Commun. 14, 908 (2023), Rubin et al.,
//! arXiv 2502.03210, and Göring et al., arXiv 2510.15174.

mod adaptive;
mod anderson;
mod chain;
mod collective;
mod descent;
mod domain;
mod draws;
mod estimate;
mod fit;
mod measure;
mod mixture;
mod observe;
mod population;
mod predictor;
#[cfg(test)]
mod tests;
mod vector;

use faer::Mat;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Kind, Prediction, Theory, TheoryError};
use crate::numerics::estimate::Estimate;
use crate::numerics::histogram::Density;
pub use chain::ChainParams;
use descent::Descent;
pub use domain::doubt;
use draws::Draws;
use measure::Measure;

/// How the measure of one unit is sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Params {
    /// Prior draws of the single-unit theory.
    pub draws: usize,
    /// Markov chains where those lose their effective sample size.
    pub chain: ChainParams,
    /// Independent sets of draws, each of [`Params::adaptive_draws`] from the prior or of [`Params::adaptive_chain`], with which the adaptive theory is solved: their spread is its error.
    pub sets: usize,
    /// Prior draws of one set, at least: forty per training point are taken where that is more.
    pub adaptive_draws: usize,
    /// Markov chains of one set where prior draws fail the adaptive theory: so long at every temperature on the way, and at one that is asked for.
    pub adaptive_chain: ChainParams,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            draws: 16_384,
            chain: ChainParams { chains: 128, warmup: 60, draws: 150 },
            sets: 8,
            adaptive_draws: 8192,
            adaptive_chain: ChainParams { chains: 512, warmup: 80, draws: 400 },
        }
    }
}

/// Bytes that the draws of `kind` take at once beside what [`memory`](super::memory) counts, for `points` training points: of every draw φ and w', one for each
/// point at most; and what is summed up of them at `tests` test points.
pub fn memory(kind: Kind, points: usize, tests: usize) -> u64 {
    let Params { draws, chain, sets, adaptive_draws, adaptive_chain } = Params::default();
    let together = sets.min(rayon::current_num_threads());
    let draws = match kind {
        Kind::Nngp | Kind::Saddle => 0,
        Kind::SingleUnit => draws.max(chain.chains * chain.draws),
        Kind::Adaptive => prior_draws(adaptive_draws, points).max(together * population::kept(&adaptive_chain)),
    };
    let sums =
        if kind == Kind::Adaptive { predictor::memory(points, tests).saturating_mul(together as u64) } else { 0 };
    (draws as u64).saturating_mul(points as u64).saturating_mul(2 * 8).saturating_add(sums)
}

/// Prior draws of one set of the adaptive theory.
fn prior_draws(least: usize, points: usize) -> usize {
    least.max(points.saturating_mul(40))
}

/// Where the draws came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Reweighted draws of the prior.
    Importance,
    /// Markov chains.
    Chain,
}

/// Why the measure of one unit gives no prediction.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum UnitError {
    #[error(
        "the {} theory loses stability near T = {near:.3e}: a unit begins to fit the data alone, so there is no prediction at T = {temperature:.3e}; \
         stay above it, or widen the network", kind.name()
    )]
    Unstable { kind: Kind, temperature: f64, near: f64 },
    #[error(
        "the {} theory is lost at T = {lost_at:.3e}, so there is no prediction at T = {temperature:.3e} below", kind.name()
    )]
    Below { kind: Kind, temperature: f64, lost_at: f64 },
    #[error(
        "the draws of the adaptive theory at T = {temperature:.3e} do not know the measure of a unit, as too few of them count: raise the temperature, or widen the network"
    )]
    TooFewDraws { temperature: f64 },
    #[error(
        "the chains of the {} theory at T = {temperature} still drift: their halves differ by {drift:.1} standard errors", kind.name()
    )]
    Unsettled { kind: Kind, temperature: f64, drift: f64 },
    #[error(
        "the adaptive theory at T = {temperature} is only solved to {residual:e}: it is near the end of its branch"
    )]
    NotConverged { temperature: f64, residual: f64 },
    #[error(
        "the {} theory at T = {temperature} is lost in its Monte Carlo error: λ1⟨v²⟩ is known to {relative:.2} of its value only", kind.name()
    )]
    Undersampled { kind: Kind, temperature: f64, relative: f64 },
}

impl UnitError {
    /// What a solution for `temperature` that failed at the temperature `near`, on the way there, means.
    fn from_failure(failure: adaptive::Failure, temperature: f64, near: f64) -> Self {
        match failure {
            adaptive::Failure::NotConverged(residual) => Self::NotConverged { temperature, residual },
            adaptive::Failure::Undersampled => Self::TooFewDraws { temperature },
            adaptive::Failure::RanAway => Self::Unstable { kind: Kind::Adaptive, temperature, near },
        }
    }

    /// Why there is none at a `temperature` below one that failed with this.
    fn below(&self, kind: Kind, lost_at: f64, temperature: f64) -> Self {
        match *self {
            Self::Unstable { near, .. } => Self::Unstable { kind, temperature, near },
            _ => Self::Below { kind, temperature, lost_at },
        }
    }
}

/// What a single-unit theory predicts at one temperature; what it does not predict is `None`.
#[derive(Debug, Clone)]
pub struct UnitPrediction {
    pub kind: Kind,
    pub temperature: f64,
    pub method: Method,
    /// Effective fraction of the draws: below one by the spread of the weights.
    pub effective_fraction: f64,
    /// ⟨L⟩/P, of the adaptive theory.
    pub train_loss: Option<Estimate>,
    /// Σ_μ Var f_μ/T, of the adaptive theory: the effective number of parameters, between zero and P.
    pub effective_parameters: Option<Estimate>,
    /// Σ (⟨f*⟩ − y*)²/P*, Σ Var f*/P* and their sum, of the adaptive theory where there are test points.
    pub test_bias_squared: Option<Estimate>,
    pub test_variance: Option<Estimate>,
    pub test_mse: Option<Estimate>,
    /// ⟨f*⟩ and Var f* of every test point, of the adaptive theory; empty of the single-unit theory, whose force is not known to order 1/N1.
    pub predictive_mean: Vec<Estimate>,
    pub predictive_variance: Vec<Estimate>,
    pub readout_second_moment: Estimate,
    pub readout_mean: Estimate,
    pub readout_fourth_moment: Estimate,
    /// ⟨v w·û⟩, ⟨(w·û)²⟩ and ⟨(w·û)⁴⟩, with the û of the saddle point; `None` where the labels name no direction.
    pub readout_weight_correlation: Option<Estimate>,
    pub weight_second_moment_along_u: Option<Estimate>,
    pub weight_fourth_moment_along_u: Option<Estimate>,
    /// ⟨v w⟩ in the rotated basis, (r).
    pub readout_weight_vector: Vec<Estimate>,
    /// D²_ab of the class pairs (0,1), (0,2), …, (1,2), …
    pub centroid_distance_sq: Vec<Estimate>,
    /// R²_a of every class.
    pub gyration_radius_sq: Vec<Estimate>,
    /// The same of the test points; empty unless every class has two of them or more.
    pub centroid_distance_sq_test: Vec<Estimate>,
    pub gyration_radius_sq_test: Vec<Estimate>,
    /// ⟨G⟩ on the training points.
    pub gram: Mat<f64>,
    /// The marginal densities of v and of w·û.
    pub readout_density: Density,
    pub weight_density_along_u: Option<Density>,
    /// How the field was found; of the saddle point's, nothing is left to solve.
    pub solution: UnitSolution,
}

/// Residual and iterations of the self-consistent field, the largest over the sets of draws. By chains the residual is that of the mean field and the mean output,
/// which is Monte Carlo, and the iterations are trajectories.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct UnitSolution {
    pub residual: f64,
    pub iterations: usize,
}

/// Effective fraction of the prior draws below which Markov chains take over.
const LEAST_EFFECTIVE: f64 = 0.1;

/// Factor between ⟨v²⟩ of the single-unit theory and of the saddle point beyond which it is no correction to it any more. Above, a far mode holds part of
/// the measure; below, the saddle point lies on such a mode itself.
const MOST_EXCESS: f64 = 1.5;

/// Standard errors by which the halves of the chains may differ.
const MOST_DRIFT: f64 = 5.0;

/// ln T to which the temperature is found at which the single-unit theory is lost.
const NEAR: f64 = 0.05;

/// Relative error of ⟨v²⟩ beyond which a prediction is none.
const MOST_ERROR: f64 = 0.05;

impl Theory {
    /// One of [`Kind::UNITS`] at many temperatures, in the order given; for any other kind every result is [`TheoryError::Family`].
    ///
    /// Temperatures are taken from the highest to the lowest. Where a theory loses its stability, it has lost it at all lower ones.
    pub fn unit_ladder(
        &self,
        kind: Kind,
        temperatures: &[f64],
        params: &Params,
    ) -> Vec<Result<UnitPrediction, TheoryError>> {
        let mut order: Vec<usize> = (0..temperatures.len()).collect();
        order.sort_by(|&i, &j| temperatures[j].total_cmp(&temperatures[i]));
        let descending: Vec<f64> = order.iter().map(|&index| temperatures[index]).collect();
        let results = match kind {
            Kind::SingleUnit => self.single_unit_ladder(&descending, params),
            Kind::Adaptive => self.adaptive_ladder(&descending, params),
            Kind::Nngp | Kind::Saddle => descending.iter().map(|_| Err(TheoryError::Family { kind })).collect(),
        };
        let mut indexed: Vec<(usize, _)> = order.into_iter().zip(results).collect();
        indexed.sort_by_key(|(index, _)| *index);
        indexed.into_iter().map(|(_, result)| result).collect()
    }

    fn single_unit_ladder(&self, descending: &[f64], params: &Params) -> Vec<Result<UnitPrediction, TheoryError>> {
        let (mut known, mut lost) = (None, None::<(f64, UnitError)>);
        (self.saddle_ladder(descending).into_iter())
            .map(|saddle| {
                let saddle = saddle?;
                let temperature = saddle.temperature;
                if let Some((at, error)) = &lost {
                    return Err(error.below(Kind::SingleUnit, *at, temperature).into());
                }
                let mut prediction = self.single_unit(&saddle, params);
                match (&mut prediction, known) {
                    (Ok(_), _) => known = Some(temperature),
                    (Err(TheoryError::Unit(error)), known) => {
                        if let (UnitError::Unstable { near, .. }, Some(known)) = (&mut *error, known) {
                            *near = self.single_unit_ends_near(known, temperature, params);
                        }
                        lost = Some((temperature, error.clone()));
                    }
                    _ => {}
                }
                prediction
            })
            .collect()
    }

    /// The temperature at which the single-unit theory is lost, between one at which it is `known` and one at which it is not.
    fn single_unit_ends_near(&self, mut known: f64, mut lost: f64, params: &Params) -> f64 {
        while (known / lost).ln() > NEAR {
            let middle = (known * lost).sqrt();
            match self.saddle(middle).and_then(|saddle| self.single_unit(&saddle, params)) {
                Ok(_) => known = middle,
                Err(_) => lost = middle,
            }
        }
        lost
    }

    fn single_unit(&self, saddle: &Prediction, params: &Params) -> Result<UnitPrediction, TheoryError> {
        let (kind, temperature) = (Kind::SingleUnit, saddle.temperature);
        let measure = self.measure(saddle);
        let direction = self.reduced_direction(saddle);
        let prior = self.nngp(temperature)?;
        let draws = Draws::from_prior(&self.problem, &self.network, &direction, params.draws, 0);
        let mut observed = observe::observe(self, &draws, &measure, &prior, &direction, saddle.density_reaches());
        if observed.effective_fraction < LEAST_EFFECTIVE {
            let mut draws = chain::sample(&self.problem, &self.network, &measure, &direction, &params.chain, 0);
            let drift = observe::drift(&mut draws, &measure);
            if drift.is_nan() || drift > MOST_DRIFT {
                return Err(UnitError::Unsettled { kind, temperature, drift }.into());
            }
            observed = observe::observe(self, &draws, &measure, &prior, &direction, saddle.density_reaches());
        }
        let found = observed.readout_second_moment;
        let excess = found.value / saddle.readout_second_moment;
        if !(1.0 / MOST_EXCESS..=MOST_EXCESS).contains(&excess) {
            return Err(UnitError::Unstable { kind, temperature, near: temperature }.into());
        }
        UnitPrediction::new(kind, temperature, observed)?.sampled_well()
    }

    fn adaptive_ladder(&self, descending: &[f64], params: &Params) -> Vec<Result<UnitPrediction, TheoryError>> {
        let valid: Vec<f64> = descending.iter().copied().filter(|&t| super::check_temperature(t).is_ok()).collect();
        let mut descent = match valid.first() {
            Some(&hottest) => Descent::start(self, hottest, params),
            None => Err(TheoryError::Temperature { temperature: f64::NAN }),
        };
        let mut lost = None::<(f64, UnitError)>;
        (descending.iter())
            .map(|&temperature| {
                super::check_temperature(temperature)?;
                if let Some((at, error)) = &lost {
                    return Err(error.below(Kind::Adaptive, *at, temperature).into());
                }
                let prediction = descent.as_mut().map_err(|error| error.clone())?.predict(temperature);
                if let Err(TheoryError::Unit(error)) = &prediction {
                    lost = Some((temperature, error.clone()));
                }
                prediction
            })
            .collect()
    }

    fn measure(&self, saddle: &Prediction) -> Measure {
        let resolvent = self.resolvent(saddle.temperature, &saddle.solution);
        Measure::at_saddle(self.eigenvectors.as_ref(), &resolvent, self.network.lambda1, self.spectrum.width)
    }

    /// û' = Vᵀû. û lies in the span of the inputs, so nothing is lost.
    fn reduced_direction(&self, saddle: &Prediction) -> Vec<f64> {
        self.problem.rotated(&saddle.direction)
    }
}

impl UnitPrediction {
    fn new(kind: Kind, temperature: f64, observed: observe::Observed) -> Result<Self, TheoryError> {
        let (along, density) = observed.along.map_or((None, None), |along| {
            (Some([along.correlation, along.second_moment, along.fourth_moment]), Some(along.density))
        });
        let prediction = Self {
            kind,
            temperature,
            method: observed.method,
            effective_fraction: observed.effective_fraction,
            train_loss: None,
            effective_parameters: None,
            test_bias_squared: None,
            test_variance: None,
            test_mse: None,
            predictive_mean: Vec::new(),
            predictive_variance: Vec::new(),
            readout_second_moment: observed.readout_second_moment,
            readout_mean: observed.readout_mean,
            readout_fourth_moment: observed.readout_fourth_moment,
            readout_weight_correlation: along.map(|[x, ..]| x),
            weight_second_moment_along_u: along.map(|[_, x, _]| x),
            weight_fourth_moment_along_u: along.map(|[.., x]| x),
            readout_weight_vector: observed.readout_weight_vector,
            centroid_distance_sq: observed.centroid_distance_sq,
            gyration_radius_sq: observed.gyration_radius_sq,
            centroid_distance_sq_test: observed.centroid_distance_sq_test,
            gyration_radius_sq_test: observed.gyration_radius_sq_test,
            gram: observed.gram,
            readout_density: observed.readout_density,
            weight_density_along_u: density,
            solution: UnitSolution::default(),
        };
        if !prediction.is_finite() {
            return Err(TheoryError::NonFinite { kind, temperature });
        }
        Ok(prediction)
    }

    /// An error where ⟨v²⟩ is not known well enough.
    fn sampled_well(self) -> Result<Self, TheoryError> {
        let Estimate { value, error } = self.readout_second_moment;
        if error > MOST_ERROR * value {
            let (kind, temperature) = (self.kind, self.temperature);
            return Err(UnitError::Undersampled { kind, temperature, relative: error / value }.into());
        }
        Ok(self)
    }

    /// The mean of predictions from independent sets of draws, with the error from their spread.
    fn combined(all: &[Self]) -> Result<Self, TheoryError> {
        let first = &all[0];
        let sets = all.len() as f64;
        let over = |value: &dyn Fn(&Self) -> f64| Estimate::of_independent(&all.iter().map(value).collect::<Vec<_>>());
        let scalar = |field: &dyn Fn(&Self) -> Estimate| {
            let values = over(&|p| field(p).value);
            // What is exact in every set has no spread, but an error that rounding makes.
            if first.kind == Kind::Adaptive && all.iter().all(|p| field(p) == Estimate::exact(0.0)) {
                Estimate::exact(0.0)
            } else {
                values
            }
        };
        let optional = |field: &dyn Fn(&Self) -> Option<Estimate>| {
            field(first).map(|_| over(&|p| field(p).map_or(f64::NAN, |e| e.value)))
        };
        let array = |field: &dyn Fn(&Self) -> &[Estimate]| -> Vec<Estimate> {
            (0..field(first).len()).map(|k| over(&|p| field(p)[k].value)).collect()
        };
        let density = |field: &dyn Fn(&Self) -> Option<&Density>| -> Option<Density> {
            let grid = field(first)?.grid.clone();
            let at = |k: usize| over(&|p| field(p).map_or(f64::NAN, |d| d.value[k]));
            let (value, error) = (0..grid.len()).map(at).map(|e| (e.value, e.error)).unzip();
            Some(Density { grid, value, error })
        };
        let mut gram = first.gram.clone();
        all[1..].iter().for_each(|p| gram += &p.gram);
        gram *= faer::Scale(1.0 / sets);
        let predictive_mean = array(&|p| &p.predictive_mean);
        // The square of a set's own error is no bias of the predictor.
        let noise = predictive_mean.iter().map(|f| sets * f.error * f.error).sum::<f64>();
        let noise = noise / predictive_mean.len().max(1) as f64;
        let unbiased = |bias: Estimate| Estimate { value: bias.value - noise, ..bias };
        let combined = Self {
            kind: first.kind,
            temperature: first.temperature,
            method: first.method,
            effective_fraction: over(&|p| p.effective_fraction).value,
            train_loss: optional(&|p| p.train_loss),
            effective_parameters: optional(&|p| p.effective_parameters),
            test_bias_squared: optional(&|p| p.test_bias_squared).map(unbiased),
            test_variance: optional(&|p| p.test_variance),
            test_mse: optional(&|p| p.test_mse).map(unbiased),
            predictive_variance: array(&|p| &p.predictive_variance),
            predictive_mean,
            readout_second_moment: scalar(&|p| p.readout_second_moment),
            readout_mean: scalar(&|p| p.readout_mean),
            readout_fourth_moment: scalar(&|p| p.readout_fourth_moment),
            readout_weight_correlation: optional(&|p| p.readout_weight_correlation),
            weight_second_moment_along_u: optional(&|p| p.weight_second_moment_along_u),
            weight_fourth_moment_along_u: optional(&|p| p.weight_fourth_moment_along_u),
            readout_weight_vector: array(&|p| &p.readout_weight_vector),
            centroid_distance_sq: array(&|p| &p.centroid_distance_sq),
            gyration_radius_sq: array(&|p| &p.gyration_radius_sq),
            centroid_distance_sq_test: array(&|p| &p.centroid_distance_sq_test),
            gyration_radius_sq_test: array(&|p| &p.gyration_radius_sq_test),
            gram,
            readout_density: density(&|p| Some(&p.readout_density)).unwrap_or_else(|| first.readout_density.clone()),
            weight_density_along_u: density(&|p| p.weight_density_along_u.as_ref()),
            solution: UnitSolution {
                residual: all.iter().map(|p| p.solution.residual).fold(0.0, f64::max),
                iterations: all.iter().map(|p| p.solution.iterations).max().unwrap_or(0),
            },
        };
        if combined.is_finite() {
            Ok(combined)
        } else {
            Err(TheoryError::NonFinite { kind: first.kind, temperature: first.temperature })
        }
    }

    fn is_finite(&self) -> bool {
        let scalars = [self.readout_second_moment, self.readout_mean, self.readout_fourth_moment];
        let optional = [
            self.train_loss,
            self.effective_parameters,
            self.test_bias_squared,
            self.test_variance,
            self.test_mse,
            self.readout_weight_correlation,
            self.weight_second_moment_along_u,
            self.weight_fourth_moment_along_u,
        ];
        (scalars.into_iter().chain(optional.into_iter().flatten()))
            .chain(self.centroid_distance_sq.iter().chain(&self.gyration_radius_sq).copied())
            .chain(self.readout_weight_vector.iter().copied())
            .chain(self.predictive_mean.iter().chain(&self.predictive_variance).copied())
            .chain(self.centroid_distance_sq_test.iter().chain(&self.gyration_radius_sq_test).copied())
            .all(Estimate::is_finite)
    }
}
