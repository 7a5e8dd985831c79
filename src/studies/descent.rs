//! Noiseless gradient descent from prior draws: how class manifolds move along training, beside
//! where equilibrium puts them.

mod inversion;

use std::ops::ControlFlow;
use std::time::Instant;

use serde::Serialize;
use thiserror::Error;

use super::{StudyError, load};
use crate::backend::{Backend, Ensemble, IntegratorParams, Mass, Observation, Round, Scheme, select};
use crate::config::Setup;
use crate::model::{Network, Problem};
use crate::observables::{Entry, Observable, TestSet, entries};
use crate::remedy::{Remedies, Remedy, Setting};
use crate::session::{RunError, Solved, solve};
use crate::theory::kernels::Kernels;
use crate::theory::{Prediction, TheoryKind};
use inversion::PeakTracker;
pub use inversion::{Inversion, MeanPeak, Peak};

/// Learning rate over the one at which descent in the largest eigenvalue of the tangent kernel at
/// the start would become unstable: small enough to stay near the gradient flow, also where that
/// eigenvalue grows by some as features are learnt.
const CAUTION: f64 = 0.1;

/// A step may raise a loss by this fraction of it before descent is called unstable: rounding of
/// float32.
const ROUNDING: f64 = 1e-4;

/// What descent is asked to do beside the experiment, whose chains are the starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// η; when `None`, a tenth of 2/λ_max for a bound on the largest eigenvalue of the tangent
    /// kernel at the start.
    pub learning_rate: Option<f64>,
    /// Steps in all.
    pub steps: u32,
    /// Moments that are recorded, at most: the start, and log-spaced steps to the last.
    pub records: usize,
}

/// Why there is no descent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DescentError {
    /// The problem, its theory or its device failed.
    #[error(transparent)]
    Study(#[from] StudyError),
    #[error(
        "the loss of start {start} rose from {before:.6} to {after:.6} between steps {from} and {to}: descent is unstable at \
         learning rate {rate:.3e}"
    )]
    Unstable {
        /// The start, from 0.
        start: usize,
        /// Its loss before.
        before: f64,
        /// Its loss after.
        after: f64,
        /// Steps done before.
        from: u32,
        /// Steps done after.
        to: u32,
        /// η.
        rate: f64,
    },
}

impl Remedies for DescentError {
    fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::Study(error) => error.remedies(),
            Self::Unstable { .. } => vec![Remedy::lower(Setting::LearningRate)],
        }
    }
}

/// An observable over the starts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub mean: f64,
    /// Standard deviation over the starts, and standard error of the mean; `null` with one start.
    pub sd: Option<f64>,
    pub error: Option<f64>,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let sd =
            (values.len() > 1).then(|| (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt());
        Self { mean, sd, error: sd.map(|sd| sd / n.sqrt()) }
    }
}

/// One observable along the path.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Track {
    pub observable: String,
    /// Which element, of an observable that is an array.
    pub element: Option<usize>,
    /// One per record.
    pub values: Vec<Spread>,
}

/// A point of the equilibrium curve of a theory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Equilibrium {
    pub theory: &'static str,
    pub temperature: f64,
    /// ⟨L⟩/P.
    pub train_loss: f64,
    /// D² of every pair of classes.
    pub centroid_distance_sq: Vec<f64>,
    /// Monte Carlo errors of both; zero where there are none.
    pub train_loss_error: f64,
    pub centroid_distance_sq_error: Vec<f64>,
}

impl Equilibrium {
    /// `None` where the theory says nothing of ⟨L⟩.
    fn of(p: &Prediction) -> Option<Self> {
        let loss = p.train_loss?;
        Some(Self {
            theory: p.kind.name(),
            temperature: p.temperature,
            train_loss: loss.value,
            centroid_distance_sq: p.centroid_distance_sq.iter().map(|d| d.value).collect(),
            train_loss_error: loss.error,
            centroid_distance_sq_error: p.centroid_distance_sq.iter().map(|d| d.error).collect(),
        })
    }
}

/// The paths of all starts, and the equilibrium beside them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Descent {
    pub learning_rate: f64,
    pub starts: usize,
    /// Steps done at every record, and the time η·step of the gradient flow.
    pub step: Vec<u32>,
    pub time: Vec<f64>,
    pub tracks: Vec<Track>,
    /// Whether D² rises and falls again: of every pair of classes, at the training points and at
    /// the test points.
    pub inversion: Vec<Inversion>,
    /// The theories asked for, at the temperatures at which they have a solution.
    pub equilibrium: Vec<Equilibrium>,
    /// Theories asked for that cannot stand beside descent.
    pub notes: Vec<String>,
    /// Why there is no equilibrium at some temperatures.
    pub warnings: Vec<String>,
    pub seconds: f64,
    /// Stopped before the last record.
    pub interrupted: bool,
}

/// Follows θ ← θ − η∇L, L = ½ Σ (y − f)², from draws of the prior, all starts at once on the
/// experiment's device.
///
/// Inputs' directions outside the span of the training points get no gradient, so a test point
/// keeps the share of its pre-activations that its start drew for them. `progress` gets the steps
/// done and may stop.
///
/// # Errors
/// [`DescentError::Unstable`] when a loss rises; otherwise as a run.
pub fn descend(
    setup: &Setup,
    plan: Plan,
    mut progress: impl FnMut(u32) -> ControlFlow<()>,
) -> Result<Descent, DescentError> {
    let clock = Instant::now();
    let problem = load(setup)?;
    let (experiment, device) = (setup.experiment(), setup.device());
    let placed = |kind: &TheoryKind| *kind != TheoryKind::SingleUnit;
    let kinds: Vec<TheoryKind> = experiment.theories().iter().copied().filter(placed).collect();
    // No step is done yet, and the answer may already be to stop.
    let solved = solve(&problem, experiment.network(), &kinds, experiment.temperatures(), |_| progress(0));
    let solved = solved.map_err(StudyError::from)?;
    let ensemble = Ensemble {
        problem: problem.clone(),
        network: *experiment.network(),
        seed: experiment.sampler().seed,
        temperatures: 1,
        replicas: experiment.sampler().chains,
        projection_axes: vec![vec![0.0; problem.rank()]],
        histogram_ranges: vec![[0.0; 2]],
        batches: 1,
    };
    let opened = select(device, &ensemble);
    let mut opened = opened.map_err(|error| StudyError::Run(error.into()))?;
    let stable = largest_stable_rate(solved.theory.kernels(), &problem, experiment.network());
    let learning_rate = plan.learning_rate.unwrap_or(CAUTION * stable);
    let equilibrium = equilibrium(&solved, &kinds);
    let unplaced = experiment.theories().contains(&TheoryKind::SingleUnit);
    let mut found = Descent {
        learning_rate,
        starts: ensemble.replicas,
        step: Vec::new(),
        time: Vec::new(),
        tracks: tracks(&problem),
        inversion: Vec::new(),
        equilibrium,
        notes: unplaced.then(|| UNPLACED.to_string()).into_iter().collect(),
        warnings: solved.warnings,
        seconds: 0.0,
        interrupted: false,
    };
    follow(opened.backend.as_mut(), &ensemble, &record_steps(plan), &mut found, &mut progress)?;
    found.seconds = clock.elapsed().as_secs_f64();
    Ok(found)
}

/// 2/λ_max for a bound on the largest eigenvalue of the tangent kernel at the start, Θ = K +
/// E[σ′σ′]∘XXᵀ/(λ1 N0) at infinite width: row sums bound that of K, and max σ′² · s_1²/(λ1 N0) that
/// of the product (Schur: a positive matrix times one with a diagonal of at most max σ′²).
fn largest_stable_rate(kernels: &Kernels, problem: &Problem, network: &Network) -> f64 {
    let points = problem.points();
    let row_sum = |i: usize| (0..points).map(|j| kernels.train[(i, j)].abs()).sum::<f64>();
    let of_features = (0..points).map(row_sum).fold(0.0, f64::max);
    // The slopes of all activations here are largest within a few units of the origin.
    let slope = (-80..=80).map(|k| network.activation.sigma_prime(0.05 * f64::from(k)).powi(2)).fold(0.0, f64::max);
    let largest = problem.singular_values[0].powi(2) / problem.dimension() as f64;
    2.0 / (of_features + slope * largest / network.lambda1)
}

/// 0 and log-spaced steps to the last.
fn record_steps(plan: Plan) -> Vec<u32> {
    let last = f64::from(plan.steps.max(1));
    let intervals = plan.records.saturating_sub(2).max(1) as f64;
    let mut steps = vec![0];
    steps.extend((0..plan.records.saturating_sub(1)).map(|k| last.powf(k as f64 / intervals).round() as u32));
    steps.push(plan.steps);
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// What is followed: everything that is not measured along the direction of a theory.
fn followed(problem: &Problem) -> impl Iterator<Item = Entry> {
    entries(&problem.class_names, TestSet::of(problem))
        .into_iter()
        .filter(|entry| !entry.members.iter().any(|member| member.along_u()))
}

fn tracks(problem: &Problem) -> Vec<Track> {
    let of = |entry: Entry| {
        let array = entry.array;
        (0..entry.members.len()).map(move |k| Track {
            observable: entry.name.clone(),
            element: array.then_some(k),
            values: Vec::new(),
        })
    };
    followed(problem).flat_map(of).collect()
}

/// What is said of a theory that has no place on the curve.
const UNPLACED: &str =
    "single-unit says nothing of the training loss, so it has no place beside descent; `featherm theory` has its D²(T)";

/// D²(T) against ⟨L⟩(T) by the theories asked for, and where they have no solution or are not to be
/// relied on; of `single-unit` nothing, as it has no ⟨L⟩.
fn equilibrium(solved: &Solved, kinds: &[TheoryKind]) -> Vec<Equilibrium> {
    let of_kind = |kind: TheoryKind| solved.predictions.iter().flatten().filter(move |p| p.kind == kind);
    kinds.iter().flat_map(|&kind| of_kind(kind)).filter_map(Equilibrium::of).collect()
}

/// Plays the steps between records and measures at each.
fn follow(
    backend: &mut dyn Backend,
    ensemble: &Ensemble,
    steps: &[u32],
    found: &mut Descent,
    progress: &mut impl FnMut(u32) -> ControlFlow<()>,
) -> Result<(), DescentError> {
    let problem = &ensemble.problem;
    let members: Vec<_> = followed(problem).flat_map(|entry| entry.members).collect();
    let is_distance = |member: &Observable| {
        matches!(member, Observable::CentroidDistanceSq(..) | Observable::TestCentroidDistanceSq(..))
    };
    let mut trackers: Vec<(usize, PeakTracker)> = (members.iter().zip(&found.tracks).enumerate())
        .filter(|(_, (member, _))| is_distance(member))
        .map(|(k, (_, track))| (k, PeakTracker::new(&track.observable)))
        .collect();
    let rate = found.learning_rate;
    let mass = Mass { weights: vec![1.0; problem.rank()], readout: 1.0 };
    let moves = [IntegratorParams { beta: 1.0, scheme: Scheme::Descent, step_size: rate, mass }];
    let mut losses: Vec<f64> = Vec::new();
    let mut done = 0;
    for &step in steps {
        // One number for all rounds: the noise of a trajectory is what a start drew for the
        // directions outside the data.
        let round = Round {
            trajectory: 1,
            steps: vec![step - done],
            exchange: None,
            observe: Some(Observation { batch: Some(0), gram: false, weights: false }),
        };
        let outcomes = backend.run(&moves, &[round]).map_err(|error| StudyError::Run(RunError::from(error)))?;
        let measurements = &outcomes[0].measurements;
        for (start, (measurement, &before)) in measurements.iter().zip(&losses).enumerate() {
            // A lost chain stays where it was last finite.
            let after = if measurement.lost { f64::INFINITY } else { measurement.loss };
            if after.is_nan() || after > before * (1.0 + ROUNDING) {
                return Err(DescentError::Unstable { start, before, after, from: done, to: step, rate });
            }
        }
        losses = measurements.iter().map(|measurement| measurement.loss).collect();
        let values_of = |observable: Observable| -> Vec<f64> {
            measurements.iter().map(|m| observable.measure(m, problem.points())).collect()
        };
        for (track, &observable) in found.tracks.iter_mut().zip(&members) {
            track.values.push(Spread::of(&values_of(observable)));
        }
        let per_point = values_of(Observable::TrainLoss);
        for (k, tracker) in &mut trackers {
            tracker.push(step, &per_point, &values_of(members[*k]));
        }
        found.step.push(step);
        found.time.push(rate * f64::from(step));
        done = step;
        if progress(done).is_break() && Some(&step) != steps.last() {
            found.interrupted = true;
            break;
        }
    }
    found.inversion = trackers.into_iter().filter_map(|(_, tracker)| tracker.finish()).collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_begin_at_the_start_and_end_at_the_last_step() {
        let steps = record_steps(Plan { learning_rate: None, steps: 1000, records: 10 });
        assert_eq!((steps[0], steps[1], *steps.last().unwrap()), (0, 1, 1000));
        assert!(steps.len() <= 10 && steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
        assert_eq!(record_steps(Plan { learning_rate: None, steps: 1, records: 2 }), [0, 1]);
    }
}
