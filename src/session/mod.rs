//! The whole job, from an [`Experiment`] to its [`Document`]: data, theory, samples, comparison.

mod account;
mod arrays;
#[cfg(fuzzing)]
pub mod fuzz;
mod live;
mod signatures;

use std::error::Error;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::backend::{self, Accumulated, Backend, BackendError, Ensemble, Opened, lacking, memory_plan, open};
use crate::config::{ConfigError, Experiment, SamplerConfig};
use crate::data::{self, DataError};
use crate::host::memory::{self, NotEnough};
use crate::model::{Problem, ProblemError};
use crate::numerics::histogram::reach;
use crate::observables::{self, Recorded, Recorder, TestSet};
use crate::remedy::{Remedies, Remedy};
use crate::results::{Document, Signatures, Timing};
use crate::sampler::{
    Course, Phase, Plan, Progress, Readout, SamplerError, SamplerKind, Snapshots, Tuning, informed_mass, snapshots,
    superchains,
};
use crate::stats::ShapeError;
use crate::theory::unit::{self, UnitPrediction};
use crate::theory::{self, Kind, Prediction, Theory, TheoryError, failure_messages};

pub use arrays::ChainDraws;
pub use live::{Live, live};

/// Batches into which a chain's test predictions are accumulated, at most; from the fortieth draw on there are half as many at least.
const BATCHES: usize = 40;

/// Step length that warm-up starts from; it finds the right one within a few trajectories.
const FIRST_STEP_SIZE: f64 = 0.3;

/// Updates of `ula` between draws without `--steps`.
pub(crate) const ULA_STEPS: usize = 10;

/// Why a state could not be kept, in the words of whoever keeps it.
pub type KeepError = Box<dyn Error + Send + Sync>;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Problem(#[from] ProblemError),
    #[error(transparent)]
    Theory(#[from] TheoryError),
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Shape(#[from] ShapeError),
    #[error(transparent)]
    Memory(#[from] NotEnough),
    #[error("{0}")]
    Checkpoint(#[source] KeepError),
    #[error("{0}")]
    Saved(String),
    #[error("interrupted before four draws were taken")]
    Interrupted,
}

impl Remedies for RunError {
    fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::Data(error) => error.remedies(),
            Self::Problem(error) => error.remedies(),
            _ => Vec::new(),
        }
    }
}

impl RunError {
    /// Whether the user's input is at fault, rather than the run.
    pub fn is_bad_input(&self) -> bool {
        let theory = |error: &TheoryError| {
            matches!(error, TheoryError::EmptyClass { .. } | TheoryError::Data | TheoryError::Network { .. })
        };
        match self {
            Self::Config(_) | Self::Data(_) | Self::Problem(_) | Self::Memory(_) => true,
            Self::Theory(error) => theory(error),
            Self::Saved(_) => true,
            _ => false,
        }
    }
}

/// A problem with its theory, ready to be sampled.
pub struct Prepared {
    pub problem: Arc<Problem>,
    pub theory: Theory,
}

/// Loads the data and builds what the theory needs.
///
/// # Errors
/// [`RunError`] when the data is refused, its kernel does not fit into memory or cannot be decomposed.
pub fn prepare(experiment: &Experiment) -> Result<Prepared, RunError> {
    Prepared::new(experiment, load(experiment)?)
}

/// Loads the data.
///
/// # Errors
/// [`RunError`] when it is refused.
pub fn load(experiment: &Experiment) -> Result<Arc<Problem>, RunError> {
    Ok(Arc::new(data::load(&experiment.data, experiment.sampler.seed)?))
}

impl Prepared {
    /// Builds what the theory needs.
    ///
    /// # Errors
    /// [`RunError`] when the kernel does not fit into memory or cannot be decomposed.
    pub fn new(experiment: &Experiment, problem: Arc<Problem>) -> Result<Self, RunError> {
        let points = problem.points();
        // One theory is solved after the other.
        let of = |&kind| theory::unit::memory(kind, points, problem.test_points());
        let draws = experiment.theories.iter().map(of).max().unwrap_or(0);
        let needed = theory::memory(points).saturating_add(draws);
        let what = format!("the theory of {points} training points");
        memory::require(&what, needed, "--train, or name fewer --theories")?;
        let theory = Theory::new(&problem, &experiment.network)?;
        Ok(Self { problem, theory })
    }
}

/// Refuses a precision that the chosen device has not got.
fn require_precision(sampler: &SamplerConfig) -> Result<(), RunError> {
    match lacking(sampler.adapter.as_deref(), sampler.precision)? {
        Some(reason) => Err(ConfigError::impossible("precision", "f16-matrix", reason).into()),
        None => Ok(()),
    }
}

/// What an experiment would take of a device's memory, as text, and whether the machine has it.
///
/// # Errors
/// When the chosen device is not there or cannot hold the ensemble.
pub fn memory_need(
    experiment: &Experiment,
    problem: &Arc<Problem>,
) -> Result<(String, Result<(), NotEnough>), RunError> {
    let sampler = &experiment.sampler;
    require_precision(sampler)?;
    let ensemble = ensemble(experiment, problem, &[]);
    let kept = sampler.draws.saturating_add(if experiment.save_warmup { sampler.warmup } else { 0 });
    let need = memory_plan(sampler.backend, sampler.adapter.as_deref(), sampler.precision, &ensemble, kept)?;
    let kept = snapshots_need(experiment, problem);
    let mut text = need.to_string();
    if kept > 0 {
        // A String takes what is written to it.
        let _ = writeln!(text, "{:12} {:10.2} MiB of host memory beside that", "snapshots", kept as f64 / 1048576.0);
    }
    let fits =
        need.check().and_then(|()| memory::require("the snapshots of the weights", kept, "--save-weights or --chains"));
    Ok((text, fits))
}

/// Times the ways to divide the experiment's matrix products on a GPU, and keeps the fastest for later runs; `None` where it would run on the CPU.
///
/// # Errors
/// When the data is refused, or the device is not there or fails.
pub fn tune(experiment: &Experiment) -> Result<Option<String>, RunError> {
    let problem = load(experiment)?;
    let sampler = &experiment.sampler;
    let ensemble = ensemble(experiment, &problem, &[]);
    Ok(backend::tune(sampler.backend, sampler.adapter.as_deref(), sampler.precision, &ensemble)?)
}

/// Bytes of the snapshots of the weights: held in float32, and once more where a checkpoint is made of them and where it is written.
fn snapshots_need(experiment: &Experiment, problem: &Problem) -> u64 {
    let [wanted, chains, temperatures, width, rank] = [
        snapshots::most(experiment.save_weights),
        experiment.sampler.chains,
        experiment.temperatures.len(),
        experiment.network.width,
        problem.rank(),
    ]
    .map(|n| n as f64);
    (3.0 * 4.0 * wanted * chains * temperatures * width * (rank + 1.0)) as u64
}

/// The chains of an experiment, measuring weights as the theories' `predictions` at every temperature say.
fn ensemble(experiment: &Experiment, problem: &Arc<Problem>, predictions: &[Vec<Prediction>]) -> Ensemble {
    let network = &experiment.network;
    let prior = [network.lambda1, network.lambda0].map(|lambda| reach(1.0 / lambda));
    Ensemble {
        problem: Arc::clone(problem),
        network: experiment.network,
        seed: experiment.sampler.seed,
        temperatures: experiment.temperatures.len(),
        replicas: experiment.sampler.chains,
        directions: predictions.iter().map(|at| rotated_direction(problem, at)).collect(),
        reaches: predictions.iter().map(|at| best(at).map_or(prior, Prediction::density_reaches)).collect(),
        batches: BATCHES,
    }
}

/// The result of a run: the document, and the Gram matrices that are too large for it.
#[derive(Debug)]
pub struct Run {
    pub document: Document,
    pub accumulated: Accumulated,
    /// Every chain, draw by draw.
    pub recorded: Recorded,
    pub snapshots: Snapshots,
    /// For every temperature whether there is a direction û along which its weights were measured.
    pub directed: Vec<bool>,
    /// For every temperature the predictions of each theory.
    pub predictions: Vec<Vec<Prediction>>,
    pub units: Vec<Vec<UnitPrediction>>,
    /// Whether the last checkpoint could be written: if not, the result is whole nevertheless.
    pub kept: Result<(), KeepError>,
}

/// Samples an experiment and compares it with the theory.
///
/// `progress` is called every few trajectories and may stop the run; what was measured until then is returned.
///
/// # Errors
/// [`RunError`] when the data is refused, the device or the sampler fails, or the run is stopped before four draws were taken.
///
/// # Examples
/// See `examples/library.rs`.
pub fn run(experiment: &Experiment, mut progress: impl FnMut(Progress) -> ControlFlow<()>) -> Result<Run, RunError> {
    let problem = load(experiment)?;
    // Before the theory, whose cost grows as P³.
    memory_need(experiment, &problem)?.1?;
    let prepared = Prepared::new(experiment, problem)?;
    let job = Job::new(experiment, &prepared);
    let mut opened = job.open()?;
    job.sample(opened.backend.as_mut(), |state, _| progress(state), None)
}

/// How a run keeps its state, and what it goes on from.
pub struct Checkpoints<'a> {
    /// The state that an earlier process kept.
    pub from: Option<Vec<u8>>,
    /// Time between two; zero keeps only the one at the end or at an interruption.
    pub every: Duration,
    pub keep: &'a mut dyn FnMut(&[u8]) -> Result<(), KeepError>,
}

/// A run between two trajectories, beside the state of its backend.
#[derive(Deserialize)]
struct Saved {
    course: Course,
    recorded: Recorded,
    snapshots: Snapshots,
    seconds: Seconds,
}

/// Time spent on trajectories, over all processes that had a part in the run.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Seconds {
    warm_up: f64,
    sampling: f64,
}

/// The document of a run that is of no use when stopped half-way: [`RunError::Interrupted`] then.
///
/// # Errors
/// As [`run`].
pub fn run_to_completion(
    experiment: &Experiment,
    progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Document, RunError> {
    let document = run(experiment, progress)?.document;
    if document.interrupted { Err(RunError::Interrupted) } else { Ok(document) }
}

/// An experiment with its theory, on its way through the sampler.
pub struct Job<'a> {
    experiment: &'a Experiment,
    prepared: &'a Prepared,
    /// For every temperature, the theories that have a solution there.
    predictions: Vec<Vec<Prediction>>,
    units: Vec<Vec<UnitPrediction>>,
    failures: Vec<String>,
    ensemble: Ensemble,
    theory_s: f64,
}

impl<'a> Job<'a> {
    /// Solves the theories at every temperature. Where one has no solution the run goes on without it, with a warning.
    ///
    /// Infinite width and the saddle point are solved whether asked for or not: they name û and what the evidence is integrated from.
    pub fn new(experiment: &'a Experiment, prepared: &'a Prepared) -> Self {
        let start = Instant::now();
        let Prepared { problem, theory } = prepared;
        let temperatures = &experiment.temperatures;
        let mut predictions: Vec<Vec<Prediction>> = vec![Vec::new(); temperatures.len()];
        let mut failures = Vec::new();
        for kind in Kind::PROCESSES {
            for (at, prediction) in predictions.iter_mut().zip(theory.ladder(kind, temperatures)) {
                match prediction {
                    Ok(prediction) => at.push(prediction),
                    Err(error) => failures.push(error),
                }
            }
        }
        let mut units: Vec<Vec<UnitPrediction>> = vec![Vec::new(); temperatures.len()];
        for kind in Kind::UNITS.into_iter().filter(|kind| experiment.theories.contains(kind)) {
            let ladder = theory.unit_ladder(kind, temperatures, &unit::Params::default());
            for (at, prediction) in units.iter_mut().zip(ladder) {
                match prediction {
                    Ok(prediction) => at.push(prediction),
                    Err(error) => failures.push(error),
                }
            }
        }
        let mut failures = failure_messages(&failures);
        failures.extend(unit::doubt(experiment.network.width, units.iter().flatten()));
        let ensemble = ensemble(experiment, problem, &predictions);
        let theory_s = start.elapsed().as_secs_f64();
        Self { experiment, prepared, predictions, units, failures, ensemble, theory_s }
    }

    /// Starts the ensemble on the device that the experiment asks for.
    ///
    /// # Errors
    /// When that device is not there or cannot hold the ensemble.
    pub fn open(&self) -> Result<Opened, RunError> {
        let sampler = &self.experiment.sampler;
        require_precision(sampler)?;
        Ok(open(sampler.backend, sampler.adapter.as_deref(), sampler.precision, &self.ensemble)?)
    }

    /// The chains that will be sampled.
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// The plan for a backend that can or cannot integrate the readout out.
    fn plan(&self, integrates_readout: bool) -> Result<Plan, BackendError> {
        let sampler = &self.experiment.sampler;
        let readout = match sampler.readout {
            Some(Readout::Integrated) if !integrates_readout => {
                let message = "this device cannot integrate the readout out: leave --readout out, or use --backend cpu";
                return Err(BackendError(message.into()));
            }
            Some(readout) => readout,
            None if integrates_readout && sampler.kind.adjusted() => Readout::Integrated,
            None => Readout::Sampled,
        };
        let betas: Vec<f64> = self.experiment.temperatures.iter().map(|t| 1.0 / t).collect();
        let adapt_steps = sampler.steps.is_none() && sampler.kind.tunes_steps();
        let steps = match (sampler.kind, sampler.steps) {
            (SamplerKind::Mala, _) => 1,
            (SamplerKind::Ula, None) => ULA_STEPS,
            (_, steps) => steps.unwrap_or(1),
        };
        let initial = betas
            .iter()
            .zip(&self.predictions)
            .map(|(&beta, at)| {
                let second_moment = best(at).map_or(1.0 / self.experiment.network.lambda1, |p| p.readout_second_moment);
                Tuning {
                    step_size: sampler.step_size.unwrap_or(FIRST_STEP_SIZE),
                    steps: steps as u32,
                    mass: informed_mass(&self.prepared.problem, &self.experiment.network, beta, second_moment),
                }
            })
            .collect();
        Ok(Plan {
            kind: sampler.kind,
            readout,
            betas,
            warmup: sampler.warmup,
            draws: sampler.draws,
            batches: self.ensemble.batches,
            initial,
            adapt_step_size: sampler.step_size.is_none(),
            adapt_steps,
            tempering: sampler.tempering,
            superchains: superchains(sampler.chains),
            gram: true,
            observe_warmup: self.experiment.save_warmup,
            snapshots: self.experiment.save_weights,
        })
    }

    /// Samples on a backend that holds [`Job::ensemble`], and compares. `progress` sees the draws taken so far, too.
    ///
    /// # Errors
    /// As [`run`]; also when what is to be gone on from is not of this run, or a checkpoint cannot be written.
    pub fn sample(
        mut self,
        backend: &mut dyn Backend,
        mut progress: impl FnMut(Progress, &Recorder) -> ControlFlow<()>,
        mut checkpoints: Option<Checkpoints>,
    ) -> Result<Run, RunError> {
        let problem = &self.prepared.problem;
        let plan = self.plan(backend.integrates_readout())?;
        let entries = observables::entries(&problem.class_names, TestSet::of(problem));
        let observables = entries.iter().flat_map(|entry| entry.members.iter().copied()).collect();
        let shape = (problem.points(), problem.rank());
        let mut recorder = Recorder::new(observables, shape, self.experiment.network, plan.betas.len());
        let (mut course, mut snapshots, mut seconds) = match checkpoints.as_mut().and_then(|c| c.from.take()) {
            Some(state) => resume(&state, backend, &plan, &mut recorder)?,
            None => (Course::start(backend, &plan)?, Snapshots::default(), Seconds::default()),
        };
        let mut last = Instant::now();
        while !course.finished(&plan) {
            let start = Instant::now();
            let state = course.advance(backend, &plan, |played| {
                if played.phase == Phase::Sampling || plan.observe_warmup {
                    recorder.record(played);
                }
            })?;
            let spent = match state.phase {
                Phase::WarmUp => &mut seconds.warm_up,
                Phase::Sampling => &mut seconds.sampling,
            };
            *spent += start.elapsed().as_secs_f64();
            if snapshots::due(course.draws(), plan.snapshots) {
                snapshots.take(course.draws(), plan.snapshots, &backend.weights()?);
            }
            if progress(state, &recorder).is_break() {
                break;
            }
            let due = |c: &&mut Checkpoints| !c.every.is_zero() && last.elapsed() >= c.every;
            if let Some(checkpoints) = checkpoints.as_mut().filter(due).filter(|_| !course.finished(&plan)) {
                let state = save(backend, &course, (&recorder, &snapshots), seconds)?;
                (checkpoints.keep)(&state).map_err(RunError::Checkpoint)?;
                last = Instant::now();
            }
        }
        let kept = match &mut checkpoints {
            Some(checkpoints) => (checkpoints.keep)(&save(backend, &course, (&recorder, &snapshots), seconds)?),
            None => Ok(()),
        };
        if course.draws() < 4 {
            kept.map_err(RunError::Checkpoint)?;
            return Err(RunError::Interrupted);
        }
        let report = course.report(&plan);
        let flops = 4.0 * (problem.points() * problem.rank() * self.experiment.network.width) as f64;
        let timing = Timing {
            theory_s: self.theory_s,
            warmup_s: seconds.warm_up,
            sampling_s: seconds.sampling,
            gradients: report.gradients,
            gflops: report.sampling_gradients as f64 * flops / seconds.sampling / 1e9,
        };
        let sampled = recorder.sampled();
        let recorded = recorder.into_recorded();
        let accumulated = backend.accumulated()?;
        let signatures: Vec<Signatures> = (0..sampled.len()).map(|t| self.signatures_at(t, &accumulated)).collect();
        let rows = self.rows(&entries, &sampled, &accumulated, &signatures)?;
        let document = self.document(&plan, &report, backend, timing, rows, (&sampled, &recorded, signatures));
        let (predictions, units) = (std::mem::take(&mut self.predictions), std::mem::take(&mut self.units));
        let directed = (0..sampled.len()).map(|t| self.has_direction(t)).collect();
        Ok(Run { document, accumulated, recorded, snapshots, directed, predictions, units, kept })
    }
}

/// The state of a run as bytes: its own, then the backend's.
fn save(
    backend: &dyn Backend,
    course: &Course,
    (recorder, snapshots): (&Recorder, &Snapshots),
    seconds: Seconds,
) -> Result<Vec<u8>, RunError> {
    let saved = (course, recorder.recorded(), snapshots, seconds);
    let mut bytes = postcard::to_stdvec(&saved)
        .map_err(|error| BackendError(format!("the state of the run cannot be encoded: {error}")))?;
    backend.save(&mut bytes)?;
    Ok(bytes)
}

/// Takes up what [`save`] wrote; nothing has changed where that is not of this run.
fn resume(
    state: &[u8],
    backend: &mut dyn Backend,
    plan: &Plan,
    recorder: &mut Recorder,
) -> Result<(Course, Snapshots, Seconds), RunError> {
    let not_ours = || RunError::Saved("what it holds is not the state of this run".into());
    let (saved, rest) = postcard::take_from_bytes::<Saved>(state).map_err(|_| not_ours())?;
    let Saved { course, recorded, snapshots, seconds } = saved;
    if course.draws() > plan.draws {
        let (taken, asked) = (course.draws(), plan.draws);
        return Err(RunError::Saved(format!("{taken} draws are taken already, and only {asked} are asked for")));
    }
    if !backend.restore(rest)? {
        return Err(not_ours());
    }
    recorder.resume(recorded);
    Ok((course, snapshots, seconds))
}

/// The most refined prediction.
fn best(predictions: &[Prediction]) -> Option<&Prediction> {
    predictions.last()
}

/// û of the most refined theory in the rotated basis. It lies in the span of the inputs, so nothing is lost.
fn rotated_direction(problem: &Problem, predictions: &[Prediction]) -> Vec<f64> {
    let Some(prediction) = best(predictions) else { return vec![0.0; problem.rank()] };
    problem.rotated(&prediction.direction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::BackendChoice;
    use crate::config::preset;

    /// Where no theory names û, what is measured along it is left out with a warning; elsewhere it stays.
    #[test]
    fn without_a_theory_nothing_is_reported_along_its_direction() {
        let mut settings = preset("quick").unwrap();
        (settings.data.train, settings.data.test, settings.network.width) = (Some(20), Some(0), Some(5));
        settings.temperature.range = None;
        settings.temperature.values = Some(vec![1.0, 0.2]);
        let sampler = &mut settings.sampler;
        (sampler.chains, sampler.warmup, sampler.draws) = (Some(4), Some(20), Some(20));
        sampler.backend = Some(BackendChoice::Cpu);
        let experiment = Experiment::resolve(settings).unwrap();
        let prepared = prepare(&experiment).unwrap();
        let mut job = Job::new(&experiment, &prepared);
        job.predictions[1].clear();
        job.ensemble.directions[1].fill(0.0);
        let mut opened = job.open().unwrap();
        let run = job.sample(opened.backend.as_mut(), |_, _| ControlFlow::Continue(()), None).unwrap();
        let [hot, cold] = &run.document.temperatures[..] else { panic!("two temperatures") };
        for name in ["readout_weight_correlation_norm", "weight_second_moment_along_u"] {
            assert!(hot.observables.contains_key(name) && !cold.observables.contains_key(name), "{name}");
        }
        assert!(cold.observables["train_loss"].theory.is_empty() && cold.observables.contains_key("readout_mean"));
        let warned = |line: &&String| line.contains("direction") && line.contains("T = 0.2");
        assert_eq!(run.document.warnings.iter().filter(warned).count(), 1, "{:?}", run.document.warnings);
    }
}
