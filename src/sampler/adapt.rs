//! Warm-up that needs no hand: mass, step length and trajectory length of every temperature, learnt
//! from all its chains together.
//!
//! Four stages: chains settle while the step length follows the acceptance; the mass takes in the
//! pooled variance and the step length follows again; trajectory lengths are tried out; the step
//! length settles for the chosen one. Then everything is frozen.

use serde::{Deserialize, Serialize};

use super::mass::PooledVariance;
use super::schedule::{self, Tuning};
use super::tempering::Ladder;
use super::{SamplerError, SamplerPlan};
use crate::backend::{Backend, IntegratorParams, Measurement, Observation, Outcome, Round, Transition};
use crate::sampler::{Readout, SamplerKind};

/// Ends of the stages as fractions of the warm-up.
const SETTLED: f64 = 0.35;
const MASS_ADAPTED: f64 = 0.5;
const LENGTH_CHOSEN: f64 = 0.8;

/// Durations hL that are tried. With a mass of inverse variances a free coordinate has the period
/// 2π, so this spans trajectories from a small fraction to all of it.
const DURATIONS: [f64; 8] = [0.2, 0.35, 0.6, 1.0, 1.6, 2.5, 4.0, 6.3];

/// Duration before one is chosen.
const FIRST_DURATION: f64 = 1.0;

/// Longest trajectory, in steps: while settling, and at all.
const FIRST_MAX_STEPS: u32 = 24;
const MAX_STEPS: u32 = 256;

/// Longest step beside an integrated readout: a quarter turn under the prior, which forgets the
/// position. A half turn would bring it back with its sign changed, and nothing measured of an odd
/// activation would have moved.
const QUARTER_TURN: f64 = std::f64::consts::FRAC_PI_2;

/// Fewest rounds in which a length is tried: one jump needs two.
const LEAST_BLOCK: usize = 2;

/// Cost of a trajectory beside its gradients (momentum, acceptance, measurement), in gradients.
const OVERHEAD: f64 = 1.0;

/// Acceptance that the step length is steered to.
fn target_acceptance(kind: SamplerKind) -> f64 {
    match kind {
        SamplerKind::Malt | SamplerKind::Hmc => 0.8,
        // Roberts & Rosenthal 1998.
        SamplerKind::Mala => 0.574,
        // What the unadjusted scheme would have if it were adjusted: keeps its energy error, hence
        // its bias, small.
        SamplerKind::Baoab | SamplerKind::Ula => 0.95,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AdaptationStage {
    Settle,
    AdaptMass,
    ChooseLength,
    Finish,
}

/// Warm-up of all temperatures in lockstep.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WarmUp {
    done: usize,
    tunings: Vec<Tuning>,
    /// Duration hL that the steps of every temperature follow.
    durations: Vec<f64>,
    /// Updates of the step length since the stage began.
    updates: usize,
    /// Log step lengths of the last stage, summed from its second third on.
    log_step_sum: Vec<f64>,
    averaged: usize,
    variance: Vec<PooledVariance>,
    lengths: Option<LengthSearch>,
}

impl WarmUp {
    pub fn new(plan: &SamplerPlan) -> Self {
        let temperatures = plan.initial.len();
        let mut warm_up = Self {
            done: 0,
            tunings: plan.initial.clone(),
            durations: vec![FIRST_DURATION; temperatures],
            updates: 0,
            log_step_sum: vec![0.0; temperatures],
            averaged: 0,
            variance: vec![PooledVariance::default(); temperatures],
            lengths: None,
        };
        warm_up.follow_durations(plan, FIRST_MAX_STEPS);
        warm_up
    }

    /// Sets the steps that the durations ask for, unless they are fixed.
    fn follow_durations(&mut self, plan: &SamplerPlan, most: u32) {
        if plan.adapt_steps {
            for (tuning, &duration) in self.tunings.iter_mut().zip(&self.durations) {
                tuning.steps = steps_for(duration, tuning.step_size, most);
            }
        }
    }

    /// Trajectories played.
    pub fn done(&self) -> usize {
        self.done
    }

    fn stage(&self, plan: &SamplerPlan) -> AdaptationStage {
        if self.done < boundary(plan, SETTLED) {
            AdaptationStage::Settle
        } else if self.done < boundary(plan, MASS_ADAPTED) {
            AdaptationStage::AdaptMass
        } else if self.done < boundary(plan, LENGTH_CHOSEN) && self.chooses_length(plan) {
            AdaptationStage::ChooseLength
        } else {
            AdaptationStage::Finish
        }
    }

    /// Whether there are lengths still to be tried. A warm-up too short to try them all tries none:
    /// the first ones are the shortest.
    fn chooses_length(&self, plan: &SamplerPlan) -> bool {
        let available = boundary(plan, LENGTH_CHOSEN) - boundary(plan, MASS_ADAPTED);
        plan.adapt_steps
            && available >= LEAST_BLOCK * DURATIONS.len()
            && self.lengths.as_ref().is_none_or(|lengths| lengths.current < DURATIONS.len())
    }

    /// The next few rounds, all with the same moves.
    pub fn next_rounds(
        &mut self,
        plan: &SamplerPlan,
        trajectory: u32,
        ladder: &mut Ladder,
    ) -> (Vec<IntegratorParams>, Vec<Round>) {
        let stage = self.stage(plan);
        let rounds = match stage {
            AdaptationStage::ChooseLength => {
                let available = boundary(plan, LENGTH_CHOSEN) - self.done;
                let lengths = self.lengths.get_or_insert_with(|| LengthSearch::new(&self.tunings, available));
                lengths.apply(&mut self.tunings);
                lengths.block
            }
            _ => 1,
        };
        let moves = self
            .tunings
            .iter()
            .zip(&plan.betas)
            .map(|(t, &beta)| t.integrator(plan.kind, plan.readout, beta))
            .collect();
        let observed = stage == AdaptationStage::ChooseLength || plan.observe_warmup;
        let observe = observed.then_some(Observation { batch: None, gram: false, weights: false });
        let rounds = (0..rounds as u32)
            .map(|k| schedule::round(plan.kind, &self.tunings, trajectory + k, ladder, observe))
            .collect();
        (moves, rounds)
    }

    /// Learns from the rounds just played.
    ///
    /// # Errors
    /// When the device fails.
    pub fn learn(
        &mut self,
        plan: &SamplerPlan,
        outcomes: &[Outcome],
        backend: &dyn Backend,
    ) -> Result<(), SamplerError> {
        let stage = self.stage(plan);
        match stage {
            AdaptationStage::ChooseLength => {
                if let Some(lengths) = &mut self.lengths {
                    lengths.learn(outcomes);
                }
            }
            AdaptationStage::Settle | AdaptationStage::AdaptMass | AdaptationStage::Finish => {
                self.steer_step_size(plan, stage, outcomes)
            }
        }
        // The first half of the settling is forgotten: chains still come in from the prior.
        if stage == AdaptationStage::Settle && 2 * self.done >= boundary(plan, SETTLED) {
            for (variance, moments) in self.variance.iter_mut().zip(backend.moments()?) {
                variance.add(&moments);
            }
        }
        self.done += outcomes.len();
        let next = self.stage(plan);
        if next != stage {
            self.leave(stage);
            self.updates = 0;
        }
        Ok(())
    }

    fn leave(&mut self, stage: AdaptationStage) {
        match stage {
            AdaptationStage::Settle => {
                for (tuning, variance) in self.tunings.iter_mut().zip(&self.variance) {
                    if let Some(mass) = variance.mass() {
                        tuning.mass = mass.between(&tuning.mass);
                    }
                }
            }
            AdaptationStage::ChooseLength => {
                if let Some(lengths) = &self.lengths {
                    lengths.choose(&mut self.tunings);
                    self.durations = self.tunings.iter().map(Tuning::duration).collect();
                }
            }
            AdaptationStage::AdaptMass | AdaptationStage::Finish => {}
        }
    }

    /// Robbins–Monro on log h with the acceptance averaged over the chains of a temperature.
    fn steer_step_size(&mut self, plan: &SamplerPlan, stage: AdaptationStage, outcomes: &[Outcome]) {
        if !plan.adapt_step_size {
            return;
        }
        let Some(outcome) = outcomes.last() else { return };
        let replicas = outcome.transitions.len() / self.tunings.len();
        let target = target_acceptance(plan.kind);
        let longest = match plan.readout {
            Readout::Integrated => QUARTER_TURN,
            Readout::Sampled => f64::INFINITY,
        };
        let gain = 1.5 / (self.updates as f64 + 1.0).powf(0.6);
        let remaining = plan.warmup - boundary(plan, LENGTH_CHOSEN);
        let average = stage == AdaptationStage::Finish && 3 * self.updates >= remaining;
        for (t, (tuning, transitions)) in
            self.tunings.iter_mut().zip(outcome.transitions.chunks_exact(replicas)).enumerate()
        {
            let acceptance = transitions.iter().map(pseudo_acceptance).sum::<f64>() / replicas as f64;
            tuning.step_size = (tuning.step_size * (gain * (acceptance - target)).exp()).min(longest);
            if average {
                self.log_step_sum[t] += tuning.step_size.ln();
            }
        }
        self.averaged += usize::from(average);
        self.updates += 1;
        self.follow_durations(plan, if stage == AdaptationStage::Finish { MAX_STEPS } else { FIRST_MAX_STEPS });
    }

    /// The tuning for the draws.
    pub fn freeze(mut self, plan: &SamplerPlan) -> Vec<Tuning> {
        if self.averaged > 0 {
            for (tuning, sum) in self.tunings.iter_mut().zip(&self.log_step_sum) {
                tuning.step_size = (sum / self.averaged as f64).exp();
            }
            self.follow_durations(plan, MAX_STEPS);
        }
        self.tunings
    }
}

/// The trajectory at which a stage ends.
fn boundary(plan: &SamplerPlan, fraction: f64) -> usize {
    (fraction * plan.warmup as f64).round() as usize
}

/// min(1, e^{−ΔE}), 0 when the error is not a number or the chain is lost: that it stands still is
/// no sign of a good step length.
fn pseudo_acceptance(transition: &Transition) -> f64 {
    let Transition { energy_error, energy, .. } = *transition;
    if energy.is_nan() || energy_error.is_nan() { 0.0 } else { (-energy_error).exp().min(1.0) }
}

fn steps_for(duration: f64, step_size: f64, most: u32) -> u32 {
    (duration / step_size).round().clamp(1.0, f64::from(most)) as u32
}

/// Tries trajectory lengths and keeps, for every temperature, the one with the largest expected
/// squared jump per gradient (Pasarica & Gelman 2010; the criterion that ChEES-HMC, Hoffman, Radul
/// & Sountsov 2021, maximises for one observable and many chains). Jumps are taken in the measured
/// observables themselves, and the slowest of them decides.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct LengthSearch {
    /// Rounds per length.
    block: usize,
    current: usize,
    /// Steps tried, per length and temperature.
    steps: Vec<Vec<u32>>,
    jumps: Vec<Vec<[f64; CRITERIA]>>,
    spread: Vec<Spread>,
}

/// Observables whose jumps are followed: loss, ⟨v²⟩, v w·û, (w·û)², the summed squared distances
/// between class centroids.
const CRITERIA: usize = 5;

fn criteria(m: &Measurement) -> [f64; CRITERIA] {
    let classes = m.mean_square_norm.len();
    let trace: f64 = (0..classes).map(|a| m.centroid_gram[a * (classes + 1)]).sum();
    let distances = classes as f64 * trace - m.centroid_gram.iter().sum::<f64>();
    [m.loss, m.readout_second_moment, m.readout_weight_along_u, m.weight_along_u_squared, distances]
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Spread {
    count: f64,
    sum: [f64; CRITERIA],
    squares: [f64; CRITERIA],
}

impl LengthSearch {
    fn new(tunings: &[Tuning], available: usize) -> Self {
        let steps = DURATIONS
            .iter()
            .map(|&d| tunings.iter().map(|tuning| steps_for(d, tuning.step_size, MAX_STEPS)).collect())
            .collect();
        Self {
            block: (available / DURATIONS.len()).max(LEAST_BLOCK),
            current: 0,
            steps,
            jumps: Vec::new(),
            spread: vec![Spread::default(); tunings.len()],
        }
    }

    fn apply(&self, tunings: &mut [Tuning]) {
        for (tuning, &steps) in tunings.iter_mut().zip(&self.steps[self.current]) {
            tuning.steps = steps;
        }
    }

    /// Mean squared jumps of the block just played. Jumps stay within a temperature: an exchange
    /// between two draws counts as a move, as it does for the estimates.
    fn learn(&mut self, outcomes: &[Outcome]) {
        let temperatures = self.spread.len();
        let mut jumps = vec![[0.0; CRITERIA]; temperatures];
        for (k, outcome) in outcomes.iter().enumerate() {
            let replicas = outcome.measurements.len() / temperatures;
            for (chain, measurement) in outcome.measurements.iter().enumerate().filter(|(_, m)| !m.lost) {
                let temperature = chain / replicas;
                let now = criteria(measurement);
                let spread = &mut self.spread[temperature];
                spread.count += 1.0;
                for ((sum, squares), x) in spread.sum.iter_mut().zip(&mut spread.squares).zip(now) {
                    *sum += x;
                    *squares += x * x;
                }
                if k > 0 {
                    let before = criteria(&outcomes[k - 1].measurements[chain]);
                    let pairs = ((outcomes.len() - 1) * replicas) as f64;
                    for ((jump, x), y) in jumps[temperature].iter_mut().zip(now).zip(before) {
                        *jump += (x - y).powi(2) / pairs;
                    }
                }
            }
        }
        self.jumps.push(jumps);
        self.current += 1;
    }

    fn choose(&self, tunings: &mut [Tuning]) {
        for (t, (tuning, spread)) in tunings.iter_mut().zip(&self.spread).enumerate() {
            let efficiency = |length: usize| {
                let worst = (0..CRITERIA)
                    .map(|c| {
                        let mean = spread.sum[c] / spread.count;
                        let variance = spread.squares[c] / spread.count - mean * mean;
                        // Half the squared jump over the variance is 1 − ρ with ρ the
                        // autocorrelation at lag one.
                        let decay = (0.5 * self.jumps[length][t][c] / variance).clamp(0.0, 1.5);
                        decay / (2.0 - decay)
                    })
                    .fold(f64::INFINITY, f64::min);
                worst / (f64::from(self.steps[length][t]) + OVERHEAD)
            };
            let best = (0..self.jumps.len())
                .map(|l| (efficiency(l), l))
                .filter(|(e, _)| e.is_finite())
                .max_by(|a, b| a.0.total_cmp(&b.0));
            if let Some((_, length)) = best {
                tuning.steps = self.steps[length][t];
            }
        }
    }
}
