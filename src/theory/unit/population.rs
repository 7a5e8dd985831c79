//! The self-consistent field on Markov chains that move on while it is sought, for temperatures at
//! which reweighted prior draws no longer know the measure of one unit.
//!
//! Chains move one trajectory in the field, and the field a little towards what they answer
//! (stochastic approximation: Robbins & Monro, Ann. Math. Stat. 22, 400, 1951):
//!
//! ```text
//! a ← a + γ(T + C)⁻¹(y − T a − √N1⟨vφ⟩_k)        C ← C + ¼γ(C_k − C)        γ = 0.3 (1 + k/20)^−0.8
//! ```
//!
//! so that the field makes up for what the chains do not know, and nothing is solved on draws that
//! may have no solution. Chains hold a w ⟨v²⟩ times as often as the measure does, so that C_k is
//! their plain mean, to which a few units far out give as much as all others. The field is the
//! mixture of [`collective`](super::collective), whose law is tallied along. From a solution known
//! of prior draws, temperature is lowered in small steps, each from the chains and the field
//! before, which keeps to the branch that is continuous from high temperature; a ⟨v²⟩ that jumps
//! ends it. Draws are those of the second half of the time at a temperature, and the field is its
//! mean over it (Polyak & Juditsky, SIAM J. Control Optim. 30, 838, 1992). Several populations that
//! know nothing of each other give the error.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};

use super::adaptive::{Field, FieldError, MOST_GROWTH};
use super::block::Block;
use super::chain::{ChainParams, Chains, Target};
use super::collective::{CavityField, ProjectedLaw, ProjectedTally, Split};
use super::draws::Draws;
use super::fit::Fit;
use super::measure::Measure;
use super::mixture::Mixture;
use super::predictor::Projection;
use crate::host::stop::{Stop, Stopped};
use crate::model::Network;
use crate::numerics::linalg::{dot, inverse_of_positive, multiply};
use crate::theory::Theory;
use crate::theory::process::Process;

/// γ of a and of the law after so many trajectories, and γ of C over it. a answers first, so that
/// units that begin to fit the data alone lower it before they soften the others' resolvent, and C
/// is a mean over many more draws than it has rows.
fn gain(trajectory: usize) -> f64 {
    0.3 / (1.0 + trajectory as f64 / 20.0).powf(0.8)
}
const SLOWER: f64 = 0.25;

/// Of so many trajectories one is kept, of a longer time fewer in proportion: a chain remembers the
/// others.
const THINNING: usize = 4;

/// Draws that a population keeps of its time at a temperature.
pub(super) fn kept(params: &ChainParams) -> usize {
    params.chains * params.draws.div_ceil(2 * THINNING)
}

/// Largest step in ln T.
const STEP: f64 = 0.2;

/// Chains and the field that they and it have come to.
pub(super) struct Population<'a> {
    theory: &'a Theory,
    params: ChainParams,
    stop: &'a Stop,
    chains: Chains,
    law: ProjectedLaw,
    temperature: f64,
    /// a.
    dual_field: Vec<f64>,
    /// C.
    spread: Mat<f64>,
    second_moment: f64,
    /// Trajectories at the temperature so far.
    stayed: usize,
}

/// What the second half of the time at a temperature gave.
pub(super) struct Solution {
    pub draws: Draws,
    pub measure: Measure,
    pub projection: Projection,
    pub fit: Fit,
    /// ‖y − T a − √N1⟨vφ⟩‖/‖y‖ of the means.
    pub residual: f64,
    /// ⟨v²⟩ in the first and in the second half of it.
    pub halves: [f64; 2],
    /// Trajectories at the temperature.
    pub trajectories: usize,
}

/// Sums over the trajectories of the second half.
struct Sums {
    dual_field: Vec<f64>,
    resolvent: Mat<f64>,
    field_response: Vec<f64>,
    output: Vec<f64>,
    /// Var t.
    variance: f64,
    fit: Fit,
    second_moments: Vec<f64>,
    blocks: Vec<Block>,
}

/// The field at one step.
struct Step {
    measure: Measure,
    mixture: Mixture,
    /// b.
    along: f64,
    /// Var t.
    variance: f64,
    /// Tr of −∂² ln Z: Tr B, less what the mixture varies.
    curvature: f64,
    /// (T + C)⁻¹ = B − s Be(Be)ᵀ: the s.
    softening: f64,
}

impl<'a> Population<'a> {
    /// From a solution at `temperature`, whose measure it comes to.
    pub fn start(
        theory: &'a Theory,
        temperature: f64,
        field: &Field,
        saddle: &Process,
        params: ChainParams,
        set: u32,
        stop: &'a Stop,
    ) -> Result<Self, FieldError> {
        let measure = &field.measure;
        let mut spread = inverse_of_positive(measure.resolvent.as_ref()).ok_or(FieldError::RanAway)?;
        (0..measure.dual_field.len()).for_each(|k| spread[(k, k)] -= temperature);
        let direction = saddle.reduced_direction(theory);
        let (problem, network) = (&theory.problem, &theory.network);
        let target = Target { problem, network, measure, mixture: None, direction: &direction, stop };
        let mut chains = Chains::start(&target, params.chains, set)?;
        let mut law = ProjectedLaw::new(&measure.dual_field, &problem.y_train, &spread);
        let split = law.split(&spread);
        let (_, field_response) = resolvent_and_response(&split, temperature)?;
        let others = CavityField::gaussian(dot(&split.axis, &field_response), split.variance);
        for trajectory in 0..params.warmup {
            chains.adapt(&target, trajectory)?;
            if trajectory >= params.warmup / 2 {
                let units = Response::of(&chains, measure, &law, stop)?.along;
                law.add(&units, &measure.dual_field, 2.0 / (2 * trajectory + 2 - params.warmup) as f64, &others);
            }
        }
        let (dual_field, second_moment) = (measure.dual_field.clone(), field.second_moment);
        Ok(Self { theory, params, stop, chains, law, temperature, dual_field, spread, second_moment, stayed: 0 })
    }

    /// Where it is.
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// Goes down to `temperature` and stays there.
    pub fn predict(&mut self, temperature: f64, saddle: &Process) -> Result<Solution, FieldError> {
        let direction = saddle.reduced_direction(self.theory);
        let steps = ((self.temperature / temperature).ln() / STEP).ceil().max(1.0);
        let factor = (temperature / self.temperature).powf(1.0 / steps);
        for _ in 1..steps as usize {
            self.temperature *= factor;
            self.stay(&direction, 0..self.params.warmup, false)?;
        }
        self.temperature = temperature;
        self.stayed = self.params.draws;
        self.stay(&direction, 0..self.stayed, true)
    }

    /// Stays where it is for as long again.
    pub fn predict_on(&mut self, saddle: &Process) -> Result<Solution, FieldError> {
        let direction = saddle.reduced_direction(self.theory);
        let before = self.stayed;
        self.stayed *= 2;
        self.stay(&direction, before..self.stayed, true)
    }

    /// These trajectories of the time at the temperature, with the draws of the second half of all
    /// of it if they are to be kept.
    fn stay(&mut self, direction: &[f64], trajectories: Range<usize>, keep: bool) -> Result<Solution, FieldError> {
        let Self { theory, temperature, stop, .. } = *self;
        let (problem, network) = (&theory.problem, &theory.network);
        let labels = &problem.y_train;
        let points = labels.len();
        let mut sums = Sums::new(points);
        let end = trajectories.end;
        let second_half = end / 2;
        let thinning = THINNING * end.div_ceil(self.params.draws).max(1);
        for trajectory in trajectories {
            let step = self.field()?;
            let target =
                Target { problem, network, measure: &step.measure, mixture: Some(&step.mixture), direction, stop };
            self.chains.enter(&target)?;
            if trajectory < second_half {
                self.chains.adapt(&target, trajectory)?;
            } else {
                self.chains.advance(&target)?;
            }
            let response = Response::of(&self.chains, &step.measure, &self.law, stop)?;
            let gain = gain(trajectory);
            let miss: Vec<f64> = (labels.iter().zip(&self.dual_field).zip(&response.output))
                .map(|((y, a), f)| y - temperature * a - f)
                .collect();
            if trajectory >= second_half {
                sums.add(&step, &response, temperature);
                if keep && (trajectory - second_half).is_multiple_of(thinning) {
                    sums.blocks.extend(self.chains.record(&target)?);
                }
            }
            let others = CavityField { mixture: Some(&step.mixture), stiffness: step.along };
            self.law.add(&response.along, &self.dual_field, gain, &others);
            let measure = &step.measure;
            let newton = multiply(measure.resolvent.as_ref(), &miss);
            let along = step.softening * dot(&measure.field_response, &miss);
            for ((a, step), field_response) in self.dual_field.iter_mut().zip(&newton).zip(&measure.field_response) {
                *a += gain * (step - along * field_response);
            }
            self.spread += (&response.spread - &self.spread) * faer::Scale(SLOWER * gain);
        }
        let Split { variance: spread, axis, .. } = self.law.split(&self.spread);
        let projection = Projection { direction: self.law.direction.clone(), spread, axis, variance: 0.0 };
        let found = sums.mean(&self.chains, (labels, temperature), network, projection, end, stop)?;
        let second_moment = 0.5 * (found.halves[0] + found.halves[1]);
        let growth = second_moment / self.second_moment;
        // A NaN must not pass.
        if growth.is_nan() || growth > MOST_GROWTH {
            return Err(FieldError::RanAway);
        }
        self.second_moment = second_moment;
        Ok(found)
    }

    /// The field that a, C and the law make.
    fn field(&mut self) -> Result<Step, FieldError> {
        let network = &self.theory.network;
        let labels = &self.theory.problem.y_train;
        let split = self.law.split(&self.spread);
        let (resolvent, field_response) = resolvent_and_response(&split, self.temperature)?;
        let along = dot(&split.axis, &field_response);
        let left: f64 = (labels.iter().zip(&self.dual_field).zip(&self.law.direction))
            .map(|((y, a), g)| g * (y - self.temperature * a))
            .sum();
        let mixture = self.law.mixture(network.width.saturating_sub(1), left, along);
        if mixture.offsets.is_empty() || mixture.log_weights.iter().any(|log| log.is_nan()) {
            return Err(FieldError::RanAway);
        }
        let trace: f64 = resolvent.diagonal().column_vector().iter().sum();
        let variance = mixture.variance();
        let curvature = trace - variance * dot(&field_response, &field_response);
        let softening = 1.0 / (1.0 / split.variance + along);
        let (dual_field, width) = (self.dual_field.clone(), network.width as f64);
        let measure = Measure { dual_field, resolvent, field_response, lambda1: network.lambda1, width };
        Ok(Step { measure, mixture, along, variance, curvature, softening })
    }
}

/// B and Be.
fn resolvent_and_response(split: &Split, temperature: f64) -> Result<(Mat<f64>, Vec<f64>), FieldError> {
    let mut inverse = split.rest.clone();
    (0..inverse.nrows()).for_each(|k| inverse[(k, k)] += temperature);
    let resolvent = inverse_of_positive(inverse.as_ref()).ok_or(FieldError::RanAway)?;
    let field_response = multiply(resolvent.as_ref(), &split.axis);
    Ok((resolvent, field_response))
}

/// What the chains answer to a field.
struct Response {
    /// √N1⟨vφ⟩.
    output: Vec<f64>,
    /// C.
    spread: Mat<f64>,
    second_moment: f64,
    along: Vec<ProjectedTally>,
}

impl Response {
    /// Chains hold a w ⟨v²⟩ times as often as the measure does, so that in C all of them count
    /// alike.
    fn of(chains: &Chains, measure: &Measure, law: &ProjectedLaw, stop: &Stop) -> Result<Self, Stopped> {
        let count = chains.count() as f64;
        let (lambda1, root) = (measure.lambda1, measure.width.sqrt());
        let inverse: f64 = chains.units().flat_map(|(_, tilts)| tilts).map(|tilt| 1.0 / tilt.square).sum();
        let second_moment = count / inverse / lambda1;
        let mut output = vec![0.0; measure.dual_field.len()];
        let mut spread = Mat::<f64>::zeros(output.len(), output.len());
        let mut along = Vec::with_capacity(chains.count());
        for (state, tilts) in chains.units() {
            stop.check()?;
            for (k, (phi, tilt)) in state.features.col_iter().zip(tilts).enumerate() {
                let probability = 1.0 / (tilt.square * inverse);
                let mean = tilt.mean / lambda1.sqrt();
                output.iter_mut().zip(phi.iter()).for_each(|(f, phi)| *f += root * probability * mean * phi);
                let direction = phi.iter().zip(&law.direction).map(|(phi, g)| phi * g).sum::<f64>();
                let direction = direction / measure.scale().sqrt();
                let log = probability.ln() - tilt.log_total;
                along.push(ProjectedTally { log, action: state.actions[k], response: state.responses[k], direction });
            }
            let share = second_moment / count;
            let features = state.features.as_ref();
            matmul(spread.as_mut(), Accum::Add, features, features.transpose(), share, Par::Seq);
        }
        for (column, c) in spread.col_iter_mut().zip(&output) {
            column.iter_mut().zip(&output).for_each(|(x, r)| *x -= r * c / measure.width);
        }
        Ok(Self { output, spread, second_moment, along })
    }
}

impl Sums {
    fn new(points: usize) -> Self {
        Self {
            dual_field: vec![0.0; points],
            resolvent: Mat::zeros(points, points),
            field_response: vec![0.0; points],
            output: vec![0.0; points],
            variance: 0.0,
            fit: Fit::default(),
            second_moments: Vec::new(),
            blocks: Vec::new(),
        }
    }

    fn add(&mut self, step: &Step, response: &Response, temperature: f64) {
        let Measure { dual_field, resolvent, field_response, .. } = &step.measure;
        for (sum, new) in [
            (&mut self.dual_field, dual_field),
            (&mut self.field_response, field_response),
            (&mut self.output, &response.output),
        ] {
            sum.iter_mut().zip(new).for_each(|(sum, x)| *sum += x);
        }
        self.resolvent += resolvent;
        self.variance += step.variance;
        self.fit += Fit::new(dual_field, step.curvature, temperature);
        self.second_moments.push(response.second_moment);
    }

    /// The draws count alike: they are of the fields that were passed through, and stand for that
    /// of the mean.
    fn mean(
        self,
        chains: &Chains,
        (labels, temperature): (&[f64], f64),
        network: &Network,
        projection: Projection,
        trajectories: usize,
        stop: &Stop,
    ) -> Result<Solution, Stopped> {
        let count = self.second_moments.len() as f64;
        let over = |sum: Vec<f64>| -> Vec<f64> { sum.into_iter().map(|x| x / count).collect() };
        let (dual_field, field_response, output) =
            (over(self.dual_field), over(self.field_response), over(self.output));
        let miss: Vec<f64> =
            labels.iter().zip(&dual_field).zip(&output).map(|((y, a), f)| y - temperature * a - f).collect();
        let size = dot(labels, labels).sqrt().max(f64::MIN_POSITIVE);
        let half = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (first, second) = self.second_moments.split_at(self.second_moments.len() / 2);
        let resolvent = self.resolvent * faer::Scale(1.0 / count);
        let measure =
            Measure { dual_field, resolvent, field_response, lambda1: network.lambda1, width: network.width as f64 };
        let projection = Projection { variance: self.variance / count, ..projection };
        Ok(Solution {
            projection,
            draws: Draws::from_chains(self.blocks, chains.count(), &measure, stop)?,
            fit: self.fit.over(count),
            residual: dot(&miss, &miss).sqrt() / size,
            halves: [half(first), half(second)],
            trajectories,
            measure,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Activation;
    use crate::theory::tests::{network, problem};
    use crate::theory::unit::adaptive;
    use crate::theory::unit::tests::saddle_of;

    /// A ⟨v²⟩ far above the one before it is a branch that was left, and no prediction.
    #[test]
    fn a_population_stays_on_and_a_jump_is_an_error() {
        const TEMPERATURE: f64 = 0.5;
        let theory = Theory::new(&problem(), &network(Activation::Erf)).unwrap();
        let (saddle, stop) = (saddle_of(&theory, TEMPERATURE), Stop::default());
        let sample = adaptive::sample(&theory, &saddle, 4096, 0, &stop).unwrap();
        let known = saddle.values.readout_second_moment.value;
        let measure = Measure::at_saddle(&theory, &saddle, &stop).unwrap();
        let labels = &theory.problem.y_train;
        let field = adaptive::solve(&sample, labels, TEMPERATURE, &measure, known, &stop).unwrap();
        let params = ChainParams { chains: 64, warmup: 40, draws: 60 };
        let mut population = Population::start(&theory, TEMPERATURE, &field, &saddle, params, 0, &stop).unwrap();
        let found = population.predict(TEMPERATURE, &saddle).unwrap();
        assert!(found.residual < 0.05 && found.fit.loss > 0.0, "{}", found.residual);
        // For as long again, from where they are, and with as many draws.
        let count = |found: &Solution| found.draws.blocks.iter().map(|block| block.features.ncols()).sum::<usize>();
        assert_eq!((found.trajectories, count(&found)), (params.draws, kept(&params)));
        let on = population.predict_on(&saddle).unwrap();
        assert_eq!((on.trajectories, count(&on)), (2 * params.draws, kept(&params)));
        assert!(on.residual < 0.05 && on.fit.loss != found.fit.loss, "{}", on.residual);
        population.second_moment /= 2.0 * MOST_GROWTH;
        assert_eq!(population.predict(TEMPERATURE, &saddle).map(|found| found.fit.loss), Err(FieldError::RanAway));
    }
}
