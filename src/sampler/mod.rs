//! The loop over an ensemble of chains: warm-up with adaptation, then draws; knows nothing of the
//! device it drives.

mod adapt;
mod batches;
mod kind;
mod mass;
mod schedule;
pub mod snapshots;
mod tempering;

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::adapt::WarmUp;
use self::tempering::Ladder;
use crate::backend::{Backend, BackendError, IntegratorParams, Measurement, Observation, Outcome, Round, Transition};

pub use self::kind::{Readout, SamplerKind};
pub use self::mass::informed_mass;
pub use self::schedule::Tuning;
pub use self::snapshots::{Snapshot, Snapshots};
pub use self::tempering::ExchangeReport;

/// What the loop is asked to do.
#[derive(Debug, Clone)]
pub struct SamplerPlan {
    pub kind: SamplerKind,
    /// What an adjusted sampler does with v.
    pub readout: Readout,
    /// 1/T of every temperature, in the ensemble's order; 0 samples the prior.
    pub betas: Vec<f64>,
    pub warmup: usize,
    pub draws: usize,
    /// Most batches of consecutive draws, for the test predictions; as in the ensemble.
    pub batches: usize,
    /// Start of every temperature's tuning. With `adapt_*` off it is also the end.
    pub initial: Vec<Tuning>,
    pub adapt_step_size: bool,
    pub adapt_steps: bool,
    pub tempering: bool,
    /// Groups of consecutive replicas that start from one point, see [`superchains`].
    pub superchains: usize,
    /// Whether ⟨G⟩ and ⟨w wᵀ⟩ are accumulated, the latter over every [`WEIGHTS_EVERY`]th draw.
    pub gram: bool,
    /// Whether the warm-up is measured in every trajectory, and not only where it learns from that.
    /// It changes no result.
    pub observe_warmup: bool,
    /// Snapshots of the weights that are wanted; the loop stops for each, see [`snapshots`].
    pub snapshots: usize,
}

/// One trajectory of every chain, as a recorder is shown it.
#[derive(Debug, Clone, Copy)]
pub struct RoundResult<'a> {
    pub phase: Phase,
    /// How the chains of every temperature moved.
    pub moves: &'a [IntegratorParams],
    pub round: &'a Round,
    pub outcome: &'a Outcome,
}

/// Where the loop stands, for a progress display.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub phase: Phase,
    /// Trajectories played in this phase, of `total`.
    pub done: usize,
    pub total: usize,
    /// Gradients of one chain evaluated so far, summed over chains.
    pub gradients: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    WarmUp,
    Sampling,
}

/// Why a run could not be finished.
#[derive(Debug, Error)]
pub enum SamplerError {
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("ula has no acceptance to adapt a step length to: set adapt_step_size to false")]
    NothingToAdapt,
    #[error(
        "{lost} of {chains} chains at T = {temperature} ran away, more than the tenth that may be left out, \
         at the step size {step_size}"
    )]
    Diverged { lost: usize, chains: usize, temperature: f64, step_size: f64 },
}

/// Fraction of lost chains above which a run fails.
pub const LOST_FRACTION: f64 = 0.1;

/// How the chains of one temperature fared over the draws.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainReport {
    /// The frozen tuning.
    pub tuning: Tuning,
    pub acceptance_rate: f64,
    /// Root mean square of the energy error over the trajectories that did not diverge: one
    /// divergence would drown the others.
    pub energy_error: f64,
    /// Trajectories whose energy error was not finite or enormous.
    pub divergences: usize,
    /// Chains left out because they were lost.
    pub lost_chains: usize,
}

/// What the loop leaves beside the measurements handed to its recorder.
#[derive(Debug, Clone)]
pub struct RunReport {
    pub chains: Vec<ChainReport>,
    pub exchange: Option<ExchangeReport>,
    /// Draws recorded; fewer than planned when interrupted.
    pub draws: usize,
    pub interrupted: bool,
    /// Gradients of one chain, over the whole run and over its draws.
    pub gradients: u64,
    pub sampling_gradients: u64,
}

/// Draws between two that ⟨w wᵀ⟩ is accumulated from: r²N1 operations for a chain, beside 4PrN1 for
/// every gradient of a trajectory.
pub const WEIGHTS_EVERY: usize = 4;

/// Draws handed to the backend at once: long enough to keep a device busy, short enough to answer
/// an interrupt. It changes no result.
const CHUNK: usize = 8;

/// Warms up, freezes the tuning and draws. Every draw's measurements go to `record`; `progress` may
/// stop the run.
///
/// # Errors
/// When `ula` is asked to adapt its step length, when the device fails, or when more than
/// [`LOST_FRACTION`] of the chains of a temperature are lost.
pub fn sample(
    backend: &mut dyn Backend,
    plan: &SamplerPlan,
    mut record: impl FnMut(&[Measurement]),
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<RunReport, SamplerError> {
    let mut state = SamplerState::start(backend, plan)?;
    let mut draws = |result: RoundResult| {
        if result.phase == Phase::Sampling {
            record(&result.outcome.measurements);
        }
    };
    while !state.finished(plan) && progress(state.advance(backend, plan, &mut draws)?).is_continue() {}
    Ok(state.report(plan))
}

/// How far a run has come: all that the loop carries from one trajectory to the next. With the
/// state of the backend it is the whole run, so saving both between two calls of
/// [`SamplerState::advance`] and going on from them changes no bit of the result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SamplerState {
    /// Trajectories played, which number the noise.
    trajectory: u32,
    gradients: u64,
    ladder: Ladder,
    stage: PhaseState,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum PhaseState {
    WarmUp(WarmUp),
    Draws(Draws),
}

/// The stretch with frozen tuning.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Draws {
    tunings: Vec<Tuning>,
    tallies: Vec<Tally>,
    taken: usize,
    /// Gradients before the first.
    warmup_gradients: u64,
}

impl SamplerState {
    /// The beginning; the members of every superchain are moved together.
    ///
    /// # Errors
    /// When `ula` is asked to adapt its step length or the device fails.
    pub fn start(backend: &mut dyn Backend, plan: &SamplerPlan) -> Result<Self, SamplerError> {
        if plan.kind == SamplerKind::Ula && plan.adapt_step_size {
            return Err(SamplerError::NothingToAdapt);
        }
        gather(backend, plan)?;
        let stage = PhaseState::WarmUp(WarmUp::new(plan));
        let mut state = Self { trajectory: 0, gradients: 0, ladder: Ladder::new(plan), stage };
        state.freeze(plan);
        Ok(state)
    }

    /// Goes over to the draws once the warm-up is done.
    fn freeze(&mut self, plan: &SamplerPlan) {
        if let PhaseState::WarmUp(warm_up) = &self.stage
            && warm_up.done() >= plan.warmup
        {
            self.stage = PhaseState::Draws(Draws {
                tunings: warm_up.clone().freeze(plan),
                tallies: vec![Tally::default(); plan.betas.len()],
                taken: 0,
                warmup_gradients: self.gradients,
            });
        }
    }

    /// Draws taken.
    pub fn draws(&self) -> usize {
        match &self.stage {
            PhaseState::WarmUp(_) => 0,
            PhaseState::Draws(draws) => draws.taken,
        }
    }

    /// Whether all draws of the plan are taken.
    pub fn finished(&self, plan: &SamplerPlan) -> bool {
        matches!(&self.stage, PhaseState::Draws(draws) if draws.taken >= plan.draws)
    }

    /// Plays the next few trajectories and shows each to `record`.
    ///
    /// # Errors
    /// When the device fails or too many chains of a temperature are lost.
    pub fn advance(
        &mut self,
        backend: &mut dyn Backend,
        plan: &SamplerPlan,
        mut record: impl FnMut(RoundResult),
    ) -> Result<Progress, SamplerError> {
        match &mut self.stage {
            PhaseState::WarmUp(warm_up) => {
                let (moves, rounds) = warm_up.next_rounds(plan, self.trajectory, &mut self.ladder);
                let outcomes = backend.run(&moves, &rounds)?;
                self.trajectory += rounds.len() as u32;
                self.gradients += rounds.iter().map(|round| gradients_of(plan, &round.steps, &outcomes)).sum::<u64>();
                self.ladder.record(&outcomes, false);
                warm_up.learn(plan, &outcomes, backend)?;
                for (round, outcome) in rounds.iter().zip(&outcomes) {
                    record(RoundResult { phase: Phase::WarmUp, moves: &moves, round, outcome });
                }
                let (phase, done, total) = (Phase::WarmUp, warm_up.done(), plan.warmup);
                self.freeze(plan);
                Ok(Progress { phase, done, total, gradients: self.gradients })
            }
            PhaseState::Draws(draws) => {
                let rounds = draws.rounds(plan, self.trajectory, &mut self.ladder);
                if batches::merges(draws.taken, plan.batches) {
                    backend.merge_batches()?;
                }
                let moves = draws.moves(plan);
                let outcomes = backend.run(&moves, &rounds)?;
                self.trajectory += rounds.len() as u32;
                self.gradients += rounds.iter().map(|round| gradients_of(plan, &round.steps, &outcomes)).sum::<u64>();
                self.ladder.record(&outcomes, true);
                for (round, outcome) in rounds.iter().zip(&outcomes) {
                    record(RoundResult { phase: Phase::Sampling, moves: &moves, round, outcome });
                }
                draws.take(plan, &outcomes)?;
                let (phase, done, total) = (Phase::Sampling, draws.taken, plan.draws);
                Ok(Progress { phase, done, total, gradients: self.gradients })
            }
        }
    }

    /// The account of what was done so far.
    pub fn report(self, plan: &SamplerPlan) -> RunReport {
        let draws = match self.stage {
            PhaseState::Draws(draws) => draws,
            PhaseState::WarmUp(warm_up) => Draws {
                tunings: warm_up.freeze(plan),
                tallies: vec![Tally::default(); plan.betas.len()],
                taken: 0,
                warmup_gradients: self.gradients,
            },
        };
        let chains = draws.tallies.into_iter().zip(draws.tunings).map(|(tally, tuning)| tally.report(tuning)).collect();
        RunReport {
            chains,
            exchange: self.ladder.report(),
            draws: draws.taken,
            interrupted: draws.taken < plan.draws,
            gradients: self.gradients,
            sampling_gradients: self.gradients - draws.warmup_gradients,
        }
    }
}

impl Draws {
    fn moves(&self, plan: &SamplerPlan) -> Vec<IntegratorParams> {
        let tunings = self.tunings.iter().zip(&plan.betas);
        tunings.map(|(t, &beta)| t.integrator(plan.kind, plan.readout, beta)).collect()
    }

    /// The next few rounds, up to where batches must be merged.
    fn rounds(&self, plan: &SamplerPlan, trajectory: u32, ladder: &mut Ladder) -> Vec<Round> {
        let planned = self.taken..plan.draws.min(self.taken + CHUNK);
        planned
            .take_while(|&draw| {
                draw == self.taken || !batches::merges(draw, plan.batches) && !snapshots::due(draw, plan.snapshots)
            })
            .map(|draw| {
                let batch = Some(batches::batch(draw, plan.batches));
                let weights = plan.gram && draw.is_multiple_of(WEIGHTS_EVERY);
                let observe = Observation { batch, gram: plan.gram, weights };
                let trajectory = trajectory + (draw - self.taken) as u32;
                schedule::round(plan.kind, &self.tunings, trajectory, ladder, Some(observe))
            })
            .collect()
    }

    fn take(&mut self, plan: &SamplerPlan, outcomes: &[Outcome]) -> Result<(), SamplerError> {
        for outcome in outcomes {
            let replicas = outcome.transitions.len() / self.tallies.len();
            let transitions = outcome.transitions.chunks_exact(replicas);
            let measurements = outcome.measurements.chunks_exact(replicas);
            for (tally, (transitions, measurements)) in self.tallies.iter_mut().zip(transitions.zip(measurements)) {
                tally.add(transitions, measurements);
            }
        }
        self.taken += outcomes.len();
        refuse_lost(plan, &self.tunings, outcomes)
    }
}

/// Superchains for a number of replicas; the replicas that are left over when they are shared out
/// belong to none.
///
/// The nested R̂ asks whether groups of chains that started at different points can still be told
/// apart, so the chains of a group start at the same one (Margossian et al. 2024). Groups of three
/// keep it below 1.01 once a chain holds some twenty effective draws.
pub fn superchains(replicas: usize) -> usize {
    match replicas {
        24.. => 8,
        12.. => 4,
        4.. => 2,
        _ => 1,
    }
}

/// Moves the members of every superchain to where its first member stands.
fn gather(backend: &mut dyn Backend, plan: &SamplerPlan) -> Result<(), BackendError> {
    if plan.superchains < 2 {
        return Ok(());
    }
    let mut weights = backend.weights()?;
    let replicas = weights.len() / plan.betas.len();
    let members = replicas / plan.superchains;
    for temperature in weights.chunks_exact_mut(replicas) {
        for superchain in temperature.chunks_exact_mut(members.max(1)).take(plan.superchains) {
            if let Some((first, others)) = superchain.split_first_mut() {
                others.iter_mut().for_each(|other| other.clone_from(first));
            }
        }
    }
    backend.set_weights(&weights)
}

/// Gradients of one chain in a round.
fn gradients_of(plan: &SamplerPlan, steps: &[u32], outcomes: &[Outcome]) -> u64 {
    let replicas = outcomes.first().map_or(0, |outcome| outcome.transitions.len() / plan.betas.len());
    steps.iter().map(|&steps| u64::from(steps) * replicas as u64).sum()
}

/// Fails the run once too many chains of one temperature are lost.
fn refuse_lost(plan: &SamplerPlan, tunings: &[Tuning], outcomes: &[Outcome]) -> Result<(), SamplerError> {
    let Some(last) = outcomes.last() else { return Ok(()) };
    let replicas = last.measurements.len() / plan.betas.len();
    for (t, measurements) in last.measurements.chunks_exact(replicas.max(1)).enumerate() {
        let lost = measurements.iter().filter(|m| m.lost).count();
        if lost as f64 > LOST_FRACTION * replicas as f64 {
            return Err(SamplerError::Diverged {
                lost,
                chains: replicas,
                temperature: 1.0 / plan.betas[t],
                step_size: tunings[t].step_size,
            });
        }
    }
    Ok(())
}

/// Running sums over the transitions of one temperature.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Tally {
    transitions: usize,
    acceptance: f64,
    squared_error: f64,
    divergences: usize,
    lost_chains: usize,
}

impl Tally {
    fn add(&mut self, transitions: &[Transition], measurements: &[Measurement]) {
        // A lost chain stays lost, so the last draw counts them all.
        self.lost_chains = measurements.iter().filter(|measurement| measurement.lost).count();
        for transition in transitions {
            self.transitions += 1;
            self.acceptance += transition.acceptance;
            if transition.diverged {
                self.divergences += 1;
            } else {
                self.squared_error += transition.energy_error.powi(2);
            }
        }
    }

    fn report(self, tuning: Tuning) -> ChainReport {
        let n = self.transitions.max(1) as f64;
        ChainReport {
            tuning,
            acceptance_rate: self.acceptance / n,
            energy_error: (self.squared_error / (n - self.divergences as f64).max(1.0)).sqrt(),
            divergences: self.divergences,
            lost_chains: self.lost_chains,
        }
    }
}
