//! The chains of a session: from the theories to an ensemble, through the sampler, to a run.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checkpoint::{Checkpoints, Seconds, resume, save};
use super::live::live;
use super::memory::require_precision;
use super::watch::{Listener, Report, attended};
use super::{Event, KeepError, Live, RunError, Solved, solve};
use crate::backend::{Accumulated, Backend, BackendError, DeviceRequest, Ensemble, SelectedDevice, select};
use crate::config::Experiment;
use crate::host::stop::Stop;
use crate::model::Problem;
use crate::numerics::histogram::reach;
use crate::observables::{self, Entry, Recorded, Recorder, TestSet};
use crate::remedy::{Remedy, Setting};
use crate::results::{Document, Signatures, Timing};
use crate::sampler::{
    Phase, Progress, Readout, SamplerError, SamplerKind, SamplerPlan, SamplerState, Snapshots, Tuning, informed_mass,
    snapshots, superchains,
};
use crate::theory::{Prediction, ProcessDetails, TheoryKind};

/// Batches into which a chain's test predictions are accumulated, at most; from the fortieth draw
/// on there are half as many at least.
const BATCHES: usize = 40;

/// Step length that warm-up starts from; it finds the right one within a few trajectories.
const FIRST_STEP_SIZE: f64 = 0.3;

/// Updates of `ula` between draws where none are asked for.
pub const ULA_STEPS: usize = 10;

/// Time between two evaluations of the draws for the listener, at least; and the inverse of the
/// part of the time that they may take.
const LIVE_EVERY: Duration = Duration::from_secs(1);
const LIVE_COST: u32 = 100;

/// Time of a round beyond which the state before it is kept, so that the round can be given up.
const LONG_ROUND: Duration = Duration::from_millis(50);

/// The result of a run: the document, and the Gram matrices that are too large for it.
pub struct Run {
    /// The account of the run.
    pub document: Document,
    /// The theories of the problem.
    pub solved: Solved,
    /// What the device summed over the draws.
    pub accumulated: Accumulated,
    /// Every chain, draw by draw.
    pub recorded: Recorded,
    /// Networks of some draws.
    pub snapshots: Snapshots,
    /// For every temperature whether there is a direction û along which its weights were measured.
    pub directed: Vec<bool>,
    /// Whether the last checkpoint could be written: if not, the result is whole nevertheless.
    pub kept: Result<(), KeepError>,
}

/// An experiment with its theories solved, on its way through the sampler.
pub struct Job {
    pub(super) experiment: Experiment,
    pub(super) solved: Solved,
    pub(super) ensemble: Ensemble,
    theory_s: f64,
}

impl Job {
    /// As [`Session::solve`](super::Session::solve).
    pub(super) fn new(
        experiment: Experiment,
        problem: Arc<Problem>,
        listener: impl FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<Self, RunError> {
        let start = Instant::now();
        let asked = |kind: &TheoryKind| TheoryKind::PROCESSES.contains(kind) || experiment.theories().contains(kind);
        let kinds: Vec<TheoryKind> = TheoryKind::ALL.into_iter().filter(asked).collect();
        let solved = solve(&problem, experiment.network(), &kinds, experiment.temperatures(), listener)?;
        let ensemble = ensemble(&experiment, &problem, &solved.predictions);
        let theory_s = start.elapsed().as_secs_f64();
        Ok(Self { experiment, solved, ensemble, theory_s })
    }

    /// Starts the ensemble on a device.
    ///
    /// # Errors
    /// When that device is not there or cannot hold the ensemble.
    pub fn open(&self, device: &DeviceRequest) -> Result<SelectedDevice, RunError> {
        require_precision(device)?;
        Ok(select(device, &self.ensemble)?)
    }

    /// The problem with its theories.
    pub fn solved(&self) -> &Solved {
        &self.solved
    }

    /// The chains that will be sampled.
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// The plan for a backend that can or cannot integrate the readout out.
    pub(super) fn plan(&self, integrates_readout: bool) -> Result<SamplerPlan, BackendError> {
        let sampler = self.experiment.sampler();
        let readout = match sampler.readout {
            Some(Readout::Integrated) if !integrates_readout => {
                return Err(BackendError::Unsupported {
                    reason: "this device cannot integrate the readout out".into(),
                    remedies: vec![Remedy::omit(Setting::Readout), Remedy::set(Setting::Backend, "cpu")],
                });
            }
            Some(readout) => readout,
            None if integrates_readout && sampler.kind.adjusted() => Readout::Integrated,
            None => Readout::Sampled,
        };
        let betas: Vec<f64> = self.experiment.temperatures().iter().map(|t| 1.0 / t).collect();
        let adapt_steps = sampler.steps.is_none() && sampler.kind.tunes_steps();
        let steps = match (sampler.kind, sampler.steps) {
            (SamplerKind::Mala, _) => 1,
            (SamplerKind::Ula, None) => ULA_STEPS,
            (_, steps) => steps.unwrap_or(1),
        };
        let initial = betas
            .iter()
            .zip(&self.solved.predictions)
            .map(|(&beta, at)| {
                let prior = 1.0 / self.experiment.network().lambda1;
                let second_moment = best(at).map_or(prior, |(best, _)| best.readout_second_moment.value);
                Tuning {
                    step_size: sampler.step_size.unwrap_or(FIRST_STEP_SIZE),
                    steps: steps as u32,
                    mass: informed_mass(&self.solved.problem, self.experiment.network(), beta, second_moment),
                }
            })
            .collect();
        Ok(SamplerPlan {
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
            observe_warmup: self.experiment.save_warmup(),
            snapshots: self.experiment.save_weights(),
        })
    }

    /// Samples on a backend that holds [`Job::ensemble`], and compares.
    ///
    /// # Errors
    /// As [`Session::run`](super::Session::run); also when what is to be gone on from is not of
    /// this run, or a checkpoint cannot be written.
    pub fn sample(
        self,
        backend: &mut dyn Backend,
        mut listener: impl FnMut(&Event) -> ControlFlow<()>,
        checkpoints: Option<Checkpoints>,
    ) -> Result<Run, RunError> {
        let stop = Stop::default();
        let listener: &mut Listener = &mut listener;
        attended(&stop, listener, |report| self.sample_here(backend, &stop, report, checkpoints))
    }

    fn sample_here(
        self,
        backend: &mut dyn Backend,
        stop: &Stop,
        report: &mut Report,
        mut checkpoints: Option<Checkpoints>,
    ) -> Result<Run, RunError> {
        let problem = &self.solved.problem;
        let plan = self.plan(backend.integrates_readout())?;
        let entries = observables::entries(&problem.class_names, TestSet::of(problem));
        let mut chains = Chains::new(&self, &entries, &plan);
        if let Some(state) = checkpoints.as_mut().and_then(|c| c.from.take()) {
            chains.resume(&state, backend)?;
        }
        let mut last = Instant::now();
        while !chains.finished() {
            let Some(progress) = chains.advance(backend, stop)? else { break };
            let live = chains.live(progress, self.experiment.temperatures());
            let Progress { phase, done, total, gradients } = progress;
            if report(Event { phase: phase.into(), done, total, gradients, live }).is_break() {
                break;
            }
            let due = |c: &&mut Checkpoints| !c.every.is_zero() && last.elapsed() >= c.every;
            if let Some(checkpoints) = checkpoints.as_mut().filter(due).filter(|_| !chains.finished()) {
                (checkpoints.keep)(&chains.save(backend)?).map_err(RunError::Checkpoint)?;
                last = Instant::now();
            }
        }
        let kept = match &mut checkpoints {
            Some(checkpoints) => (checkpoints.keep)(&chains.save(backend)?),
            None => Ok(()),
        };
        if chains.draws() < 4 {
            kept.map_err(RunError::Checkpoint)?;
            return Err(RunError::Interrupted);
        }
        let Chains { sampler_state, recorder, snapshots, seconds, .. } = chains;
        let Some(sampler_state) = sampler_state else { return Err(RunError::Interrupted) };
        let (report, rank, width) = (sampler_state.report(&plan), problem.rank(), self.experiment.network().width);
        let flops = 4.0 * (problem.points() * rank * width) as f64;
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
        let directed = (0..sampled.len()).map(|t| self.has_direction(t)).collect();
        Ok(Run { document, solved: self.solved, accumulated, recorded, snapshots, directed, kept })
    }
}

/// The chains between two rounds, beside the state of their backend.
struct Chains<'a> {
    plan: &'a SamplerPlan,
    /// `None` before the first round.
    sampler_state: Option<SamplerState>,
    recorder: Recorder,
    snapshots: Snapshots,
    seconds: Seconds,
    /// How long the last round took.
    round: Duration,
    /// When the draws were last evaluated for the listener, and how long that took.
    evaluated: Option<(Instant, Duration)>,
}

impl<'a> Chains<'a> {
    fn new(job: &Job, entries: &[Entry], plan: &'a SamplerPlan) -> Self {
        let problem = &job.solved.problem;
        let observables = entries.iter().flat_map(|entry| entry.members.iter().copied()).collect();
        let shape = (problem.points(), problem.rank());
        let recorder = Recorder::new(observables, shape, *job.experiment.network(), plan.betas.len());
        let (snapshots, seconds) = (Snapshots::default(), Seconds::default());
        Self { plan, sampler_state: None, recorder, snapshots, seconds, round: Duration::MAX, evaluated: None }
    }

    fn resume(&mut self, state: &[u8], backend: &mut dyn Backend) -> Result<(), RunError> {
        let (sampler_state, snapshots, seconds) = resume(state, backend, self.plan, &mut self.recorder)?;
        (self.sampler_state, self.snapshots, self.seconds) = (Some(sampler_state), snapshots, seconds);
        Ok(())
    }

    fn finished(&self) -> bool {
        self.sampler_state.as_ref().is_some_and(|sampler_state| sampler_state.finished(self.plan))
    }

    fn draws(&self) -> usize {
        self.sampler_state.as_ref().map_or(0, SamplerState::draws)
    }

    /// Plays the next few trajectories; `None` where that was stopped, and nothing has changed.
    fn advance(&mut self, backend: &mut dyn Backend, stop: &Stop) -> Result<Option<Progress>, RunError> {
        if stop.is_requested() {
            return Ok(None);
        }
        let (plan, start) = (self.plan, Instant::now());
        let sampler_state = match &mut self.sampler_state {
            Some(sampler_state) => sampler_state,
            none => none.insert(SamplerState::start(backend, plan)?),
        };
        // A round that is given up leaves chains in the midst of a trajectory.
        let before = (self.round > LONG_ROUND).then(|| -> Result<_, RunError> {
            let mut bytes = Vec::new();
            backend.save(&mut bytes)?;
            Ok((sampler_state.clone(), bytes))
        });
        let before = before.transpose()?;
        backend.heed(if before.is_some() { stop.clone() } else { Stop::default() });
        let recorder = &mut self.recorder;
        let advanced = sampler_state.advance(backend, plan, |result| {
            if result.phase == Phase::Sampling || plan.observe_warmup {
                recorder.record(result);
            }
        });
        let progress = match (advanced, before) {
            (Err(SamplerError::Backend(BackendError::Stopped)), Some((sampler_state, bytes))) => {
                backend.restore(&bytes)?;
                self.sampler_state = Some(sampler_state);
                return Ok(None);
            }
            (advanced, _) => advanced?,
        };
        self.round = start.elapsed();
        let spent = match progress.phase {
            Phase::WarmUp => &mut self.seconds.warm_up,
            Phase::Sampling => &mut self.seconds.sampling,
        };
        *spent += self.round.as_secs_f64();
        if snapshots::due(sampler_state.draws(), plan.snapshots) {
            self.snapshots.take(sampler_state.draws(), plan.snapshots, &backend.weights()?);
        }
        Ok(Some(progress))
    }

    /// R̂ and ESS of D² now and then. Reading the draws changes no result.
    fn live(&mut self, progress: Progress, temperatures: &[f64]) -> Option<Vec<Live>> {
        let now = Instant::now();
        let due = self.evaluated.is_none_or(|(at, cost)| now - at >= LIVE_EVERY.max(cost * LIVE_COST));
        (due || progress.done == progress.total).then(|| {
            let found = live(&self.recorder, temperatures);
            self.evaluated = Some((Instant::now(), now.elapsed()));
            found
        })
    }

    fn save(&self, backend: &dyn Backend) -> Result<Vec<u8>, RunError> {
        let Some(sampler_state) = &self.sampler_state else { return Err(RunError::Interrupted) };
        save(backend, sampler_state, (&self.recorder, &self.snapshots), self.seconds)
    }
}

/// The chains of an experiment, measuring weights as the theories' `predictions` at every
/// temperature say.
pub(super) fn ensemble(experiment: &Experiment, problem: &Arc<Problem>, predictions: &[Vec<Prediction>]) -> Ensemble {
    let network = experiment.network();
    let prior = [network.lambda1, network.lambda0].map(|lambda| reach(1.0 / lambda));
    Ensemble {
        problem: Arc::clone(problem),
        network: *network,
        seed: experiment.sampler().seed,
        temperatures: experiment.temperatures().len(),
        replicas: experiment.sampler().chains,
        projection_axes: predictions.iter().map(|at| rotated_direction(problem, at)).collect(),
        histogram_ranges: predictions
            .iter()
            .map(|at| best(at).map_or(prior, |(_, best)| best.density_reaches))
            .collect(),
        batches: BATCHES,
    }
}

/// The most refined prediction of a process.
fn best(predictions: &[Prediction]) -> Option<(&Prediction, &ProcessDetails)> {
    predictions.iter().rev().find_map(|prediction| Some((prediction, prediction.process.as_ref()?)))
}

/// û of the most refined theory in the rotated basis. It lies in the span of the inputs, so nothing
/// is lost.
fn rotated_direction(problem: &Problem, predictions: &[Prediction]) -> Vec<f64> {
    let Some((_, best)) = best(predictions) else { return vec![0.0; problem.rank()] };
    problem.rotated(&best.direction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::BackendChoice;
    use crate::config::{Setup, preset};
    use crate::data;

    /// Where no theory names û, what is measured along it is left out with a warning; elsewhere it
    /// stays.
    #[test]
    fn without_a_theory_nothing_is_reported_along_its_direction() {
        let mut settings = preset("quick").unwrap();
        (settings.data.train, settings.data.test, settings.network.width) = (Some(20), Some(0), Some(5));
        settings.temperature.range = None;
        settings.temperature.values = Some(vec![1.0, 0.2]);
        let sampler = &mut settings.sampler;
        (sampler.chains, sampler.warmup, sampler.draws) = (Some(4), Some(20), Some(20));
        sampler.backend = Some(BackendChoice::Cpu);
        let setup = Setup::resolve(settings).unwrap();
        let problem = data::load(setup.data(), 1).unwrap();
        let go_on = |_: &Event| ControlFlow::Continue(());
        let mut job = Job::new(setup.experiment().clone(), Arc::new(problem), go_on).unwrap();
        job.solved.predictions[1].clear();
        job.ensemble.projection_axes[1].fill(0.0);
        let mut opened = job.open(setup.device()).unwrap();
        let run = job.sample(opened.backend.as_mut(), go_on, None).unwrap();
        let [hot, cold] = &run.document.temperatures[..] else { panic!("two temperatures") };
        for name in ["readout_weight_correlation_norm", "weight_second_moment_along_u"] {
            assert!(hot.observables.contains_key(name) && !cold.observables.contains_key(name), "{name}");
        }
        assert!(cold.observables["train_loss"].theory.is_empty() && cold.observables.contains_key("readout_mean"));
        let warned = |line: &&String| line.contains("direction") && line.contains("T = 0.2");
        assert_eq!(run.document.warnings.iter().filter(warned).count(), 1, "{:?}", run.document.warnings);
    }
}
