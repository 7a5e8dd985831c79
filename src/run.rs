//! The whole job, from an [`Experiment`] to its [`Document`]: data, theory, samples, comparison.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use thiserror::Error;

use crate::backend::{Accumulated, Backend, BackendError, Ensemble, Opened, memory_plan, open};
use crate::compare::{self, DistanceCurve, LogEvidence, Losses, Row};
use crate::config::{Experiment, Readout, SamplerKind};
use crate::data::{self, DataError};
use crate::memory::{self, NotEnough};
use crate::model::{Problem, ProblemError};
use crate::observables::{self, Observable, Recorder, SampledTemperature, class_pairs};
use crate::report::verdict::{judge, warnings};
use crate::report::{DataSummary, Document, LogEvidenceReport, SCHEMA, SamplerReport, TemperatureReport, Timing};
use crate::sampler::{self, Phase, Plan, Progress, RunReport, SamplerError, Tuning, informed_mass, superchains};
use crate::stats::ShapeError;
use crate::theory::unit::{self, UnitPrediction};
use crate::theory::{self, Kind, Prediction, Theory, TheoryError};

/// Batches into which a chain's test predictions are accumulated, at most.
const BATCHES: usize = 20;

/// Step length that warm-up starts from; it finds the right one within a few trajectories.
const FIRST_STEP_SIZE: f64 = 0.3;

/// Updates of `ula` between draws without `--steps`.
const ULA_STEPS: usize = 10;

/// Temperatures of the fine grid on which the theory's maximum is sought.
const THEORY_GRID: usize = 121;

/// Why there is no result.
#[derive(Debug, Error)]
pub enum RunError {
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
    #[error("interrupted before four draws were taken: nothing was kept")]
    Interrupted,
}

impl RunError {
    /// Whether the user's input is at fault, rather than the run.
    pub fn is_bad_input(&self) -> bool {
        let theory = |error: &TheoryError| {
            matches!(error, TheoryError::EmptyClass { .. } | TheoryError::Data | TheoryError::Network { .. })
        };
        match self {
            Self::Data(_) | Self::Problem(_) | Self::Memory(_) => true,
            Self::Theory(error) => theory(error),
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
    let task = data::load(&experiment.data, experiment.sampler.seed)?;
    Ok(Arc::new(Problem::new(&task)?))
}

impl Prepared {
    /// Builds what the theory needs.
    ///
    /// # Errors
    /// [`RunError`] when the kernel does not fit into memory or cannot be decomposed.
    pub fn new(experiment: &Experiment, problem: Arc<Problem>) -> Result<Self, RunError> {
        let points = problem.points();
        memory::require(&format!("the theory of {points} training points"), theory::memory(points), "--train")?;
        let theory = Theory::new(&problem, &experiment.network)?;
        Ok(Self { problem, theory })
    }
}

/// What an experiment would take of a device's memory, as text, and whether the machine has it.
///
/// # Errors
/// When the chosen device is not there or cannot hold the ensemble.
pub fn memory_need(
    experiment: &Experiment,
    problem: &Arc<Problem>,
) -> Result<(String, Result<(), NotEnough>), BackendError> {
    let sampler = &experiment.sampler;
    let ensemble = ensemble(experiment, problem, Vec::new());
    let need = memory_plan(sampler.backend, sampler.adapter.as_deref(), sampler.precision, &ensemble, sampler.draws)?;
    Ok((need.to_string(), need.check()))
}

/// The chains of an experiment, measuring weights along `directions`.
fn ensemble(experiment: &Experiment, problem: &Arc<Problem>, directions: Vec<Vec<f64>>) -> Ensemble {
    Ensemble {
        problem: Arc::clone(problem),
        network: experiment.network,
        seed: experiment.sampler.seed,
        temperatures: experiment.temperatures.len(),
        replicas: experiment.sampler.chains,
        directions,
        batches: BATCHES.min(experiment.sampler.draws),
    }
}

/// The result of a run: the document, and the Gram matrices that are too large for it.
#[derive(Debug)]
pub struct Run {
    pub document: Document,
    pub accumulated: Accumulated,
    /// For every temperature the predictions of each theory.
    pub predictions: Vec<Vec<Prediction>>,
    pub units: Vec<Vec<UnitPrediction>>,
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
pub fn run(experiment: &Experiment, progress: impl FnMut(Progress) -> ControlFlow<()>) -> Result<Run, RunError> {
    let problem = load(experiment)?;
    // Before the theory, whose cost grows as P³.
    memory_need(experiment, &problem)?.1?;
    let prepared = Prepared::new(experiment, problem)?;
    let job = Job::new(experiment, &prepared);
    let mut opened = job.open()?;
    job.sample(opened.backend.as_mut(), progress)
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
                    Err(error) => failures.push(error.to_string()),
                }
            }
        }
        let mut units: Vec<Vec<UnitPrediction>> = vec![Vec::new(); temperatures.len()];
        for kind in Kind::UNITS.into_iter().filter(|kind| experiment.theories.contains(kind)) {
            let ladder = theory.unit_ladder(kind, temperatures, &unit::Params::default());
            for (at, prediction) in units.iter_mut().zip(ladder) {
                match prediction {
                    Ok(prediction) => at.push(prediction),
                    Err(error) => failures.push(error.to_string()),
                }
            }
        }
        let directions = predictions.iter().map(|at| rotated_direction(problem, at)).collect();
        let ensemble = ensemble(experiment, problem, directions);
        let theory_s = start.elapsed().as_secs_f64();
        Self { experiment, prepared, predictions, units, failures, ensemble, theory_s }
    }

    /// Starts the ensemble on the device that the experiment asks for.
    ///
    /// # Errors
    /// When that device is not there or cannot hold the ensemble.
    pub fn open(&self) -> Result<Opened, BackendError> {
        let sampler = &self.experiment.sampler;
        open(sampler.backend, sampler.adapter.as_deref(), sampler.precision, &self.ensemble)
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
        })
    }

    /// Samples on a backend that holds [`Job::ensemble`], and compares.
    ///
    /// # Errors
    /// As [`run`].
    pub fn sample(
        mut self,
        backend: &mut dyn Backend,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Run, RunError> {
        let problem = &self.prepared.problem;
        let plan = self.plan(backend.integrates_readout())?;
        let entries = observables::entries(&problem.class_names, problem.test_points() > 0);
        let observables = entries.iter().flat_map(|entry| entry.members.iter().copied()).collect();
        let mut recorder = Recorder::new(observables, problem.points(), plan.betas.len());
        let start = Instant::now();
        let mut sampling_start = start;
        let report = sampler::sample(
            backend,
            &plan,
            |measurements| recorder.record(measurements),
            |state| {
                if state.phase == Phase::WarmUp {
                    sampling_start = Instant::now();
                }
                progress(state)
            },
        )?;
        if report.draws < 4 {
            return Err(RunError::Interrupted);
        }
        let sampling_s = sampling_start.elapsed().as_secs_f64();
        let flops = 4.0 * (problem.points() * problem.rank() * self.experiment.network.width) as f64;
        let timing = Timing {
            theory_s: self.theory_s,
            warmup_s: (sampling_start - start).as_secs_f64(),
            sampling_s,
            gradients: report.gradients,
            gflops: report.sampling_gradients as f64 * flops / sampling_s / 1e9,
        };
        let sampled = recorder.finish();
        let accumulated = backend.accumulated()?;
        let rows = self.rows(&entries, &sampled, &accumulated)?;
        let document = self.document(&plan, &report, backend, timing, rows, &sampled);
        let (predictions, units) = (std::mem::take(&mut self.predictions), std::mem::take(&mut self.units));
        Ok(Run { document, accumulated, predictions, units })
    }

    fn rows(
        &self,
        entries: &[observables::Entry],
        sampled: &[SampledTemperature],
        accumulated: &Accumulated,
    ) -> Result<Vec<Vec<Row>>, RunError> {
        let mut rows = Vec::new();
        for (t, sampled) in sampled.iter().enumerate() {
            let predictions = &self.predictions[t];
            let superchains = self.judged_superchains(sampled);
            let mut at = compare::scalar_rows(entries, sampled, predictions, &self.units[t], superchains)?;
            if !self.has_direction(t) {
                // Measured along a û of length zero they read 0, which is no measurement.
                at.retain(|row| !entries.iter().any(|e| e.name == row.name && e.members.iter().any(|o| o.along_u())));
            }
            at.extend(compare::predictive_rows(&accumulated.predictive[t], predictions, superchains)?);
            rows.push(at);
        }
        Ok(rows)
    }

    /// Superchains that the nested R̂ can tell apart: without its lost chains an ensemble no longer falls into those it started in.
    fn judged_superchains(&self, sampled: &SampledTemperature) -> usize {
        if sampled.chains == self.ensemble.replicas { superchains(sampled.chains) } else { 1 }
    }

    /// Whether some theory names a direction û at this temperature: none does where all fail, or where the labels are zero.
    fn has_direction(&self, temperature: usize) -> bool {
        self.ensemble.directions[temperature].iter().any(|&u| u != 0.0)
    }

    /// ln p(y) along the ladder from the draws of the loss.
    fn log_evidence(&self, sampled: &[SampledTemperature]) -> Option<Vec<LogEvidence>> {
        let problem = &self.prepared.problem;
        let all = Observable::all(problem.classes(), problem.test_points() > 0);
        let column = all.iter().position(|&o| o == Observable::TrainLoss)?;
        let points = problem.points() as f64;
        let losses: Vec<Losses> = sampled
            .iter()
            .map(|s| Losses { values: s.draws[column].iter().map(|x| points * x).collect(), chains: s.chains })
            .collect();
        compare::log_evidence(&self.prepared.theory, &self.experiment.temperatures, &losses)
    }

    fn document(
        &self,
        plan: &Plan,
        report: &RunReport,
        backend: &dyn Backend,
        timing: Timing,
        rows: Vec<Vec<Row>>,
        sampled: &[SampledTemperature],
    ) -> Document {
        let (experiment, problem) = (self.experiment, &self.prepared.problem);
        let signatures = self.signatures(&rows, sampled);
        let ladder = &experiment.temperatures;
        let evidence = self.log_evidence(sampled);
        let mut temperatures: Vec<TemperatureReport> = rows
            .iter()
            .enumerate()
            .map(|(t, rows)| {
                let (chains, predictions) = (&report.chains[t], &self.predictions[t]);
                let found = evidence.as_ref().and_then(|evidence| evidence.get(t));
                TemperatureReport {
                    temperature: ladder[t],
                    converged: false,
                    advice: Vec::new(),
                    sampler: SamplerReport::new(
                        chains,
                        plan,
                        (experiment.sampler.chains, self.judged_superchains(&sampled[t])),
                        report.draws,
                        (t, report.exchange.as_ref()),
                    ),
                    observables: rows.iter().map(|row| (row.name.clone(), row.into())).collect(),
                    log_evidence: found.map(|found| LogEvidenceReport::new(found, predictions)),
                    theory: predictions.iter().map(|p| (p.kind.name().to_string(), p.into())).collect(),
                    units: self.units[t].iter().map(|p| (p.kind.name().to_string(), p.into())).collect(),
                }
            })
            .collect();
        for (t, at) in temperatures.iter_mut().enumerate() {
            at.advice = judge(at, &experiment.sampler, t.checked_sub(1).map(|hotter| ladder[hotter]));
            at.converged = at.advice.is_empty();
        }
        let mut warnings = warnings(&temperatures, experiment.sampler.kind.adjusted());
        warnings.extend(self.failures.iter().cloned());
        warnings.extend((0..ladder.len()).filter(|&t| !self.has_direction(t)).map(|t| {
            format!(
                "no theory names a direction û at T = {}: the two observables along it are left out there",
                ladder[t]
            )
        }));
        if evidence.is_none() {
            warnings.push("no theory has a solution at every temperature, so the log evidence is left out".into());
        }
        Document {
            schema: SCHEMA.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            config: experiment.settings(),
            device: backend.device(),
            data: DataSummary {
                name: problem.name.clone(),
                classes: problem.class_names.clone(),
                train_points: problem.points(),
                test_points: problem.test_points(),
                dimension: problem.dimension(),
                rank: problem.rank(),
            },
            timing,
            interrupted: report.interrupted,
            temperatures,
            exchange: report.exchange.clone(),
            signatures,
            warnings,
        }
    }

    /// The maximum of D²(T) for every pair of classes.
    fn signatures(
        &self,
        rows: &[Vec<Row>],
        sampled: &[SampledTemperature],
    ) -> BTreeMap<String, compare::CentroidDistanceMaximum> {
        let problem = &self.prepared.problem;
        let temperatures = &self.experiment.temperatures;
        let all = Observable::all(problem.classes(), problem.test_points() > 0);
        let fine: Vec<Prediction> = self
            .prepared
            .theory
            .ladder(Kind::Saddle, &fine_grid(temperatures))
            .into_iter()
            .filter_map(Result::ok)
            .collect();
        let mut maxima = BTreeMap::new();
        for (pair, (a, b)) in class_pairs(problem.classes()).enumerate() {
            let observable = Observable::CentroidDistanceSq(a, b);
            let Some(column) = all.iter().position(|&o| o == observable) else { continue };
            let suffix = if problem.classes() > 2 {
                format!("[{},{}]", problem.class_names[a], problem.class_names[b])
            } else {
                String::new()
            };
            let name = format!("{}{suffix}", observable.name());
            let cells: Vec<_> =
                rows.iter().filter_map(|rows| rows.iter().find(|row| row.name == name)?.cells.first()).collect();
            let Some(infinite_width) = cells.first().and_then(|cell| cell.predicted(Kind::Nngp)) else { continue };
            let curve = DistanceCurve {
                temperatures,
                chain_means: sampled.iter().map(|s| s.chain_means(column)).collect(),
                mcse: cells.iter().map(|cell| cell.summary.mcse).collect(),
                infinite_width,
                theory: fine.iter().map(|p| (p.temperature, p.centroid_distance_sq[pair])).collect(),
            };
            if let Some(found) = compare::centroid_distance_maximum(&curve, self.experiment.sampler.seed, pair as u32) {
                maxima.insert(format!("centroid_distance_maximum{suffix}"), found);
            }
        }
        maxima
    }
}

/// The most refined prediction.
fn best(predictions: &[Prediction]) -> Option<&Prediction> {
    predictions.last()
}

/// û of the most refined theory in the rotated basis. It lies in the span of the inputs, so nothing is lost.
fn rotated_direction(problem: &Problem, predictions: &[Prediction]) -> Vec<f64> {
    let Some(prediction) = best(predictions) else { return vec![0.0; problem.rank()] };
    let u = &prediction.direction;
    (0..problem.rank()).map(|j| (0..problem.dimension()).map(|i| problem.basis[(i, j)] * u[i]).sum()).collect()
}

/// Log-spaced temperatures over the range of the ladder.
fn fine_grid(temperatures: &[f64]) -> Vec<f64> {
    let (Some(&high), Some(&low)) = (temperatures.first(), temperatures.last()) else { return Vec::new() };
    let step = (low / high).ln() / (THEORY_GRID - 1) as f64;
    (0..THEORY_GRID).map(|k| high * (step * k as f64).exp()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BackendChoice, preset};

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
        let run = job.sample(opened.backend.as_mut(), |_| ControlFlow::Continue(())).unwrap();
        let [hot, cold] = &run.document.temperatures[..] else { panic!("two temperatures") };
        for name in ["readout_weight_correlation_norm", "weight_second_moment_along_u"] {
            assert!(hot.observables.contains_key(name) && !cold.observables.contains_key(name), "{name}");
        }
        assert!(cold.observables["train_loss"].theory.is_empty() && cold.observables.contains_key("readout_mean"));
        let warned = |line: &&String| line.contains("direction") && line.contains("T = 0.2");
        assert_eq!(run.document.warnings.iter().filter(warned).count(), 1, "{:?}", run.document.warnings);
    }
}
