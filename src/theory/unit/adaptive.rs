//! The self-consistent field of one unit: dual field a and resolvent B that the units themselves
//! produce.
//!
//! ```text
//! T a + √N1⟨vφ⟩ = y        B = (T·1 + C)⁻¹,  C = ⟨v²φφᵀ⟩ − ⟨vφ⟩⟨vφ⟩ᵀ        ⟨L⟩ = ½[T²‖a‖² + T P − T² Tr B]
//! ```
//!
//! Since C is also the derivative of √N1⟨vφ⟩ with respect to a, the step a ← a + η B(y − T a −
//! √N1⟨vφ⟩), B ← B + η((T + C)⁻¹ − B) is Newton's in a at η = 1, and converges in a few iterations
//! where the solution is stable; η is halved whenever the residual grows.
//!
//! Averages are over a fixed set of draws, so that the iteration is deterministic. Where these are
//! of the prior, their own error in its kernel is taken out: C and √N1⟨vφ⟩ get ⟨v²⟩(K − K̂) and
//! ⟨v²⟩(K − K̂)a, which is exact for Gaussian features. It reduces to the saddle point for them at
//! large N1.
//!
//! The physical solution is the one continuous from high temperature, where it is the saddle point.
//! A strong tilt gives the measure of one unit a second mode far out, in which the unit fits the
//! data alone, and lets an unguarded iteration run away to it. So temperature is lowered in steps,
//! each from the solution before; a step on which the iteration does not converge, or ⟨v²⟩ or the
//! spread of the weights jumps, is halved, and when that no longer helps
//! [`population`](super::population)s of Markov chains go on from there; where they do not help
//! either, the branch is reported as unstable. (Derived for this project.)

use faer::Mat;
use rayon::prelude::*;

use super::anderson::Anderson;
use super::block::Block;
use super::draws::Draws;
use super::error::UnitError;
use super::estimate::Weights;
use super::fit::Fit;
use super::measure::Measure;
use super::params;
use super::reweight::{actions, log_weights, prior_weights, weighted_gram};
use crate::host::stop::{Stop, Stopped};
use crate::numerics::linalg::{dot, inverse_of_positive, multiply};
use crate::theory::process::Process;
use crate::theory::{Theory, TheoryError, TheoryKind};

/// Relative residual at which a solution counts as found: far below its Monte Carlo error.
const TOLERANCE: f64 = 1e-6;

/// Iterations before a step counts as failed.
const MOST_ITERATIONS: usize = 60;

/// Smallest η.
const LEAST_DAMPING: f64 = 0.1;

/// ⟨v²⟩ over that of the solution before, or of the saddle point if that is less, beyond which it
/// has jumped.
pub(super) const MOST_GROWTH: f64 = 1.5;

/// Effective fraction of the draws below which they no longer know the measure.
const LEAST_EFFECTIVE: f64 = 0.02;

/// Draws with what does not change while the field does.
pub(super) struct Sample {
    pub draws: Draws,
    /// K − K̂ with K̂ the kernel of the draws, where they are of the prior.
    excess: Option<Mat<f64>>,
}

impl Sample {
    fn new(theory: &Theory, draws: Draws, stop: &Stop) -> Result<Self, Stopped> {
        let kernel = || Ok(&theory.kernels.train - weighted_gram(&draws, &prior_weights(&draws), stop)?);
        let excess = draws.from_prior.then(kernel).transpose()?;
        Ok(Self { draws, excess })
    }
}

/// What the measure of one unit gives back to the field.
struct Response {
    /// √N1⟨vφ⟩, the mean output.
    output: Vec<f64>,
    /// C.
    spread: Mat<f64>,
    /// ⟨v²⟩.
    second_moment: f64,
    effective_fraction: f64,
}

/// A solution at one temperature.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub measure: Measure,
    pub second_moment: f64,
    pub residual: f64,
    pub iterations: usize,
    /// Of the draws, under the measure found.
    pub effective_fraction: f64,
}

impl Field {
    pub fn fit(&self, temperature: f64) -> Fit {
        let Measure { dual_field, resolvent, .. } = &self.measure;
        Fit::new(dual_field, resolvent.diagonal().column_vector().iter().sum(), temperature)
    }
}

/// Why a step gave no solution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum FieldError {
    /// The residual it was left with.
    NotConverged(f64),
    /// ⟨v²⟩ has left what is known of it, or T + C and the law of the others' output have ceased to
    /// be any.
    RanAway,
    /// The draws do not know the measure any more.
    Undersampled,
    /// The work was stopped by a request.
    Stopped,
}

impl From<Stopped> for FieldError {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl FieldError {
    /// What it means where a solution for `temperature` failed at the temperature `near`, on the
    /// way there.
    pub fn on_the_way(self, temperature: f64, near: f64) -> TheoryError {
        let kind = TheoryKind::Adaptive;
        match self {
            Self::NotConverged(residual) => UnitError::NotConverged { temperature, residual }.into(),
            Self::Undersampled => UnitError::TooFewDraws { temperature }.into(),
            Self::RanAway => UnitError::Unstable { kind, temperature, near }.into(),
            Self::Stopped => TheoryError::Stopped,
        }
    }
}

fn respond(sample: &Sample, measure: &Measure, stop: &Stop) -> Result<Response, Stopped> {
    let actions = actions(&sample.draws, measure, stop)?;
    let Weights { values, effective_fraction } = Weights::new(&log_weights(&sample.draws, &actions));
    let (mut means, mut squares) = (Vec::with_capacity(values.len()), Vec::with_capacity(values.len()));
    for (p, action) in values.iter().zip(&actions) {
        let (mu, tau) = action.readout(measure.lambda1);
        means.push(p * mu);
        squares.push(p * (mu * mu + tau));
    }
    let second_moment: f64 = squares.iter().sum();
    let of_block = |(start, block): &(usize, &Block)| {
        stop.check()?;
        Ok(multiply(block.features.as_ref(), &means[*start..start + block.along.len()]))
    };
    let parts: Vec<Vec<f64>> = sample.draws.numbered().par_iter().map(of_block).collect::<Result<_, _>>()?;
    let mut moment = vec![0.0; measure.dual_field.len()];
    for part in &parts {
        moment.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
    }
    let mut spread = weighted_gram(&sample.draws, &squares, stop)?;
    let root = measure.width.sqrt();
    let mut output: Vec<f64> = moment.iter().map(|x| root * x).collect();
    if let Some(excess) = &sample.excess {
        let correction = multiply(excess.as_ref(), &measure.dual_field);
        output.iter_mut().zip(&correction).for_each(|(f, c)| *f += second_moment * c);
        spread += excess * faer::Scale(second_moment);
    }
    for (column, c) in spread.col_iter_mut().zip(&output) {
        column.iter_mut().zip(&output).for_each(|(x, r)| *x -= r * c / measure.width);
    }
    Ok(Response { output, spread, second_moment, effective_fraction })
}

/// Solves on prior draws at `temperature` from `start`; `known` is the ⟨v²⟩ from which a jump is
/// judged.
pub(super) fn solve(
    sample: &Sample,
    labels: &[f64],
    temperature: f64,
    start: &Measure,
    known: f64,
    stop: &Stop,
) -> Result<Field, FieldError> {
    let points = labels.len();
    let size = dot(labels, labels).sqrt().max(f64::MIN_POSITIVE);
    let mut measure = start.clone();
    let (mut damping, mut before) = (1.0, f64::INFINITY);
    let scales = Scales::new(start);
    let mut anderson = Anderson::default();
    for iteration in 1..=MOST_ITERATIONS {
        let response = respond(sample, &measure, stop)?;
        // A NaN must not pass either check.
        if response.effective_fraction.is_nan() || response.effective_fraction < LEAST_EFFECTIVE {
            return Err(FieldError::Undersampled);
        }
        let growth = response.second_moment / known;
        if growth.is_nan() || growth > MOST_GROWTH {
            return Err(FieldError::RanAway);
        }
        let mut inverse = response.spread;
        for k in 0..points {
            inverse[(k, k)] += temperature;
        }
        // Noise can leave a matrix that is not positive where there are too few draws.
        let resolvent = inverse_of_positive(inverse.as_ref()).ok_or(FieldError::NotConverged(before))?;
        let miss: Vec<f64> = (labels.iter().zip(&measure.dual_field).zip(&response.output))
            .map(|((y, a), f)| y - temperature * a - f)
            .collect();
        let change = &resolvent - &measure.resolvent;
        let residual = (dot(&miss, &miss).sqrt() / size).max(change.norm_l2() / resolvent.norm_l2());
        if residual < TOLERANCE {
            let Response { second_moment, effective_fraction, .. } = response;
            return Ok(Field { measure, second_moment, residual, iterations: iteration, effective_fraction });
        }
        if residual > 2.0 * before {
            damping = (0.5f64 * damping).max(LEAST_DAMPING);
            anderson.forget();
        }
        before = residual;
        let step = multiply(resolvent.as_ref(), &miss);
        measure = scales.unpack(
            anderson.next(scales.pack(&measure.dual_field, &measure.resolvent), scales.pack(&step, &change), damping),
            &measure,
        );
    }
    Err(FieldError::NotConverged(before))
}

/// Steps of the continuation, in ln T.
const LARGEST_STEP: f64 = std::f64::consts::LN_2;
const SMALLEST_STEP: f64 = 0.02;

/// The branch of solutions continuous from high temperature, at the lowest temperature reached so
/// far.
pub(super) struct Branch<'a> {
    theory: &'a Theory,
    count: usize,
    stop: &'a Stop,
    temperature: f64,
    field: Field,
    /// The coldest solution so far that the draws know well, and its temperature: where chains take
    /// over.
    trusted: (f64, Field),
}

impl<'a> Branch<'a> {
    /// Starts at `hottest`, or where the labels tilt a unit by order one at most if that is higher.
    pub fn start(theory: &'a Theory, hottest: f64, count: usize, stop: &'a Stop) -> Result<Self, TheoryError> {
        let labels = &theory.problem.y_train;
        let temperature = hottest.max(dot(labels, labels) / theory.spectrum.width);
        let saddle = Process::at(theory, TheoryKind::Saddle, temperature, stop)?;
        let sample = sample(theory, &saddle, count, 0, stop)?;
        let known = saddle.values.readout_second_moment.value;
        let start = Measure::at_saddle(theory, &saddle, stop)?;
        let field = solve(&sample, labels, temperature, &start, known, stop)
            .map_err(|error| error.on_the_way(temperature, temperature))?;
        let trusted = (temperature, field.clone());
        Ok(Self { theory, count, stop, temperature, field, trusted })
    }

    /// The last solution that the draws know well, and its temperature.
    pub fn trusted(&self) -> (f64, &Field) {
        (self.trusted.0, &self.trusted.1)
    }

    /// The solution at `next`, from the one here.
    fn step(&self, next: f64) -> Result<Field, TheoryError> {
        let saddle = Process::at(self.theory, TheoryKind::Saddle, next, self.stop)?;
        let known = self.field.second_moment.min(saddle.values.readout_second_moment.value);
        let sample = sample(self.theory, &saddle, self.count, 0, self.stop)?;
        solve(&sample, &self.theory.problem.y_train, next, &self.field.measure, known, self.stop)
            .map_err(|error| error.on_the_way(next, next))
    }

    /// Follows the branch down to `temperature` and solves there.
    pub fn solve_at(&mut self, temperature: f64) -> Result<&Field, TheoryError> {
        let mut step = LARGEST_STEP;
        while self.temperature > temperature {
            let next = temperature.max(self.temperature * (-step).exp());
            let taken = (self.temperature / next).ln();
            match self.step(next) {
                Ok(field) => {
                    (self.temperature, self.field) = (next, field);
                    if self.field.effective_fraction > params::LEAST_EFFECTIVE {
                        self.trusted = (next, self.field.clone());
                    }
                    step = (2.0 * taken).min(LARGEST_STEP);
                }
                Err(TheoryError::Unit(_)) => {
                    step = 0.5 * taken;
                    if step < SMALLEST_STEP {
                        let near = self.temperature;
                        return Err(UnitError::Unstable { kind: TheoryKind::Adaptive, temperature, near }.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(&self.field)
    }
}

/// Set `set` of prior draws for the temperature of `saddle`.
pub(super) fn sample(
    theory: &Theory,
    saddle: &Process,
    count: usize,
    set: u32,
    stop: &Stop,
) -> Result<Sample, Stopped> {
    let direction = saddle.reduced_direction(theory);
    Sample::new(theory, Draws::from_prior(theory, &direction, count, set, stop)?, stop)
}

/// a and B as one vector, each in units of its size at the start.
struct Scales {
    dual_field: f64,
    resolvent: f64,
}

impl Scales {
    fn new(start: &Measure) -> Self {
        let positive = |x: f64| if x > 0.0 { x } else { 1.0 };
        let dual_field = dot(&start.dual_field, &start.dual_field).sqrt();
        Self { dual_field: positive(dual_field), resolvent: positive(start.resolvent.norm_l2()) }
    }

    fn pack(&self, dual_field: &[f64], resolvent: &Mat<f64>) -> Vec<f64> {
        let entries = resolvent.col_iter().flat_map(|column| column.iter());
        dual_field.iter().map(|a| a / self.dual_field).chain(entries.map(|b| b / self.resolvent)).collect()
    }

    fn unpack(&self, packed: Vec<f64>, like: &Measure) -> Measure {
        let points = like.dual_field.len();
        let (dual_field, resolvent) = packed.split_at(points);
        Measure {
            dual_field: dual_field.iter().map(|a| a * self.dual_field).collect(),
            resolvent: Mat::from_fn(points, points, |i, j| resolvent[j * points + i] * self.resolvent),
            field_response: Vec::new(),
            ..*like
        }
    }
}
