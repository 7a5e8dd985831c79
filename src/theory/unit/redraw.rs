//! The self-consistent field on draws of Markov chains, for temperatures at which reweighted prior draws no longer know the measure of one unit.
//!
//! Chains draw from the measure of a field that is nearly a solution, and the equations are solved on these draws, reweighted, as far as they carry; then chains
//! are drawn anew at the field found. That ends when a solution's measure is that of its own chains up to their noise.
//!
//! Its error is Monte Carlo, by the jackknife over R independent sets of chains: solved on all of them, x, and on all but each, x_r, the prediction is
//! R x − (R − 1)⟨x_r⟩, from which the bias that goes as one over the number of draws (an inverse is not linear) is gone, with the error √((R−1)/R Σ(x_r − ⟨x_r⟩)²),
//! in which there is all that a chain remembers.

use super::adaptive::{self, Failure, Field, Sample, Steps};
use super::chain::{self, ChainParams};
use super::draws::Draws;
use super::measure::Measure;
use super::observe;
use crate::theory::{Prediction, Theory};

/// Where a field is followed only as far as its draws carry, a full step easily leads out of that.
const SHORT_STEPS: Steps = Steps { iterations: 150, damping: 0.5, least_effective: 0.3, retreats: 12 };

/// Effective fraction from which on draws are those of the solution itself.
const SAME: f64 = 0.8;

/// Times that chains are drawn before a solution counts as not found.
const MOST_ROUNDS: u32 = 6;

/// Sets from this number on are for looking for the solution: the prediction is from others.
const FIRST_ROUND: u32 = 1024;

/// Solves at the temperature of `saddle` from `start`; `known` is the ⟨v²⟩ from which a jump is judged.
pub(super) fn solve(
    theory: &Theory,
    saddle: &Prediction,
    start: &Measure,
    known: f64,
    params: &ChainParams,
) -> Result<Field, Failure> {
    let direction = theory.reduced_direction(saddle);
    let labels = &theory.problem.y_train;
    let mut measure = start.clone();
    let mut failure = Failure::Undersampled;
    for round in 0..MOST_ROUNDS {
        let draws = draw(theory, &measure, &direction, params, FIRST_ROUND + round)?;
        let sample = Sample::new(theory, draws);
        match adaptive::iterate(&sample, labels, saddle.temperature, &measure, known, &SHORT_STEPS) {
            Ok(field) if field.effective_fraction > SAME => return Ok(field),
            Ok(field) => measure = field.measure,
            Err(stop) => {
                failure = stop.failure;
                measure = stop.known.half_way(&stop.tried);
            }
        }
    }
    Err(failure)
}

/// Of so many trajectories one is kept: a chain remembers the others.
const THINNING: usize = 4;

/// Set `set` of the draws on which a prediction rests: of the measure of `field`.
pub(super) fn sample(
    theory: &Theory,
    saddle: &Prediction,
    field: &Field,
    params: &ChainParams,
    set: u32,
) -> Result<Sample, Failure> {
    let direction = theory.reduced_direction(saddle);
    Ok(Sample::new(theory, draw(theory, &field.measure, &direction, params, set)?))
}

/// Solves on several [`sample`]s together.
pub(super) fn solve_on(sample: &Sample, labels: &[f64], temperature: f64, field: &Field) -> Result<Field, Failure> {
    adaptive::iterate(sample, labels, temperature, &field.measure, field.second_moment, &SHORT_STEPS)
        .map_err(|stop| stop.failure)
}

fn draw(
    theory: &Theory,
    measure: &Measure,
    direction: &[f64],
    params: &ChainParams,
    set: u32,
) -> Result<Draws, Failure> {
    let mut draws = chain::sample(&theory.problem, &theory.network, measure, direction, params, set);
    let drift = observe::drift(&mut draws, measure);
    // A NaN must not pass.
    if drift.is_nan() || drift > super::MOST_DRIFT {
        return Err(Failure::Unsettled(drift));
    }
    let together = draws.groups / draws.blocks.first().map_or(1, |block| block.along.len());
    let mut index = 0;
    draws.blocks.retain(|_| {
        index += 1;
        ((index - 1) / together.max(1)).is_multiple_of(THINNING)
    });
    Ok(draws)
}
