//! The adaptive theory down a ladder of temperatures: on prior draws as long as these know the
//! measure of one unit, by populations of chains below.

use rayon::prelude::*;

use super::adaptive::{self, Branch, Field, FieldError};
use super::details::UnitSolution;
use super::error::UnitError;
use super::fit::Fit;
use super::observe::{Observer, sampled_well};
use super::params::{MOST_DRIFT, Params, prior_draws};
use super::population::{Population, Solution};
use super::predictor::Outputs;
use crate::host::stop::Stop;
use crate::numerics::estimate::Estimate;
use crate::theory::predictor::test_error;
use crate::theory::process::Process;
use crate::theory::{Prediction, Theory, TheoryError, TheoryKind};

/// Standard errors between the halves of the populations' time beyond which they stay for as long
/// again, and how often they do.
const SETTLED: f64 = 3.0;
const MOST_DOUBLINGS: usize = 3;

/// Where the theory has come to.
pub(super) struct Continuation<'a> {
    theory: &'a Theory,
    params: Params,
    stop: &'a Stop,
    /// Prior draws of one set.
    count: usize,
    branch: Branch<'a>,
    /// One for every set, once prior draws have failed.
    populations: Vec<Population<'a>>,
}

impl<'a> Continuation<'a> {
    pub fn start(theory: &'a Theory, hottest: f64, params: &Params, stop: &'a Stop) -> Result<Self, TheoryError> {
        let params = Params { sets: params.sets.max(2), ..*params };
        let count = prior_draws(params.adaptive_draws, theory.points());
        let branch = Branch::start(theory, hottest, count, stop)?;
        Ok(Self { theory, params, stop, count, branch, populations: Vec::new() })
    }

    /// The prediction at `temperature`, no higher than any before.
    pub fn predict(&mut self, temperature: f64) -> Result<Prediction, TheoryError> {
        if self.populations.is_empty() {
            match self.by_prior_draws(temperature) {
                Err(TheoryError::Unit(_)) => self.take_chains()?,
                prediction => return prediction,
            }
        }
        self.by_chains(temperature)
    }

    fn saddle(&self, temperature: f64) -> Result<Process, TheoryError> {
        Process::at(self.theory, TheoryKind::Saddle, temperature, self.stop)
    }

    fn by_prior_draws(&mut self, temperature: f64) -> Result<Prediction, TheoryError> {
        let saddle = self.saddle(temperature)?;
        let (theory, stop) = (self.theory, self.stop);
        let labels = &theory.problem.y_train;
        let field = self.branch.solve_at(temperature)?.clone();
        let observer = Observer::new(theory, &saddle, stop)?;
        let predict = |set| {
            let sample = adaptive::sample(theory, &saddle, self.count, set, stop)?;
            let Field { measure, second_moment, .. } = &field;
            let solved = adaptive::solve(&sample, labels, temperature, measure, *second_moment, stop)
                .map_err(|error| error.on_the_way(temperature, temperature))?;
            let observed = observer.observe(TheoryKind::Adaptive, &sample.draws, &solved.measure)?;
            let outputs = Outputs::new(theory, &sample.draws, &solved.measure, None, temperature, stop)?;
            let solution = UnitSolution { residual: solved.residual, iterations: solved.iterations };
            sampled_well(completed(theory, observed, solved.fit(temperature), &outputs, solution)?)
        };
        let predictions = (0..self.params.sets as u32).map(predict).collect::<Result<Vec<_>, _>>()?;
        Prediction::combined(predictions)
    }

    /// Goes on by chains from the last solution that prior draws know well.
    pub fn take_chains(&mut self) -> Result<(), TheoryError> {
        let (temperature, field) = self.branch.trusted();
        let saddle = self.saddle(temperature)?;
        let start = |set| {
            Population::start(self.theory, temperature, field, &saddle, self.params.adaptive_chain, set, self.stop)
                .map_err(|error| error.on_the_way(temperature, temperature))
        };
        self.populations =
            (0..self.params.sets as u32).into_par_iter().map(start).collect::<Result<Vec<_>, TheoryError>>()?;
        Ok(())
    }

    /// Where the populations still drift, all stay for as long again.
    fn by_chains(&mut self, temperature: f64) -> Result<Prediction, TheoryError> {
        let saddle = self.saddle(temperature)?;
        let observer = Observer::new(self.theory, &saddle, self.stop)?;
        let (mut predictions, mut drift) =
            self.ask(temperature, &observer, |population| population.predict(temperature, &saddle))?;
        for _ in 0..MOST_DOUBLINGS {
            if drift < SETTLED {
                break;
            }
            (predictions, drift) = self.ask(temperature, &observer, |population| population.predict_on(&saddle))?;
        }
        // A NaN must not pass.
        if drift.is_nan() || drift > MOST_DRIFT {
            return Err(UnitError::Unsettled { kind: TheoryKind::Adaptive, temperature, drift }.into());
        }
        sampled_well(Prediction::combined(predictions)?)
    }

    /// What every population finds, and by how many standard errors the halves of it differ.
    fn ask(
        &mut self,
        temperature: f64,
        observer: &Observer<'_>,
        find: impl Fn(&mut Population<'a>) -> Result<Solution, FieldError> + Sync,
    ) -> Result<(Vec<Prediction>, f64), TheoryError> {
        let (theory, stop) = (self.theory, self.stop);
        // The draws of a population are dropped before the next one's are taken.
        let predict = |population: &mut Population<'a>| -> Result<_, TheoryError> {
            let Solution { draws, measure, projection, fit, residual, halves, trajectories } =
                find(population).map_err(|error| error.on_the_way(temperature, population.temperature()))?;
            let observed = observer.observe(TheoryKind::Adaptive, &draws, &measure)?;
            let outputs = Outputs::new(theory, &draws, &measure, Some(&projection), temperature, stop)?;
            let solution = UnitSolution { residual, iterations: trajectories };
            Ok((completed(theory, observed, fit, &outputs, solution)?, halves[1] - halves[0]))
        };
        let found: Vec<(Prediction, f64)> =
            self.populations.par_iter_mut().map(predict).collect::<Vec<_>>().into_iter().collect::<Result<_, _>>()?;
        let (predictions, drifts): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let Estimate { value, error } = Estimate::of_independent(&drifts);
        Ok((predictions, value.abs() / error))
    }
}

/// What was observed of one set of draws, with what the field says of the outputs.
fn completed(
    theory: &Theory,
    observed: Prediction,
    fit: Fit,
    outputs: &Outputs,
    solution: UnitSolution,
) -> Result<Prediction, TheoryError> {
    let exact = |values: &[f64]| -> Vec<Estimate> { values.iter().copied().map(Estimate::exact).collect() };
    let test_error = test_error(&theory.problem.y_test, &outputs.mean, &outputs.variance);
    let mut prediction = observed.finite()?;
    prediction.train_loss = Some(Estimate::exact(fit.loss / theory.points() as f64));
    prediction.predictive_mean = exact(&outputs.mean);
    prediction.predictive_variance = exact(&outputs.variance);
    prediction.test_bias_squared = test_error.map(|(bias, _)| Estimate::exact(bias));
    prediction.test_variance = test_error.map(|(_, variance)| Estimate::exact(variance));
    prediction.test_mse = test_error.map(|(bias, variance)| Estimate::exact(bias + variance));
    if let Some(unit) = &mut prediction.unit {
        unit.effective_parameters = Some(Estimate::exact(fit.effective_parameters));
        unit.solution = solution;
    }
    Ok(prediction)
}
