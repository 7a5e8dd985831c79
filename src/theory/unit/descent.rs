//! The adaptive theory down a ladder of temperatures: on prior draws as long as these know the measure of one unit, by populations of chains below.

use rayon::prelude::*;

use super::adaptive::{self, Branch, Failure, Field};
use super::draws::Draws;
use super::fit::Fit;
use super::measure::Measure;
use super::population::{Found, Population};
use super::predictor::Outputs;
use super::{MOST_DRIFT, Params, UnitError, UnitPrediction, UnitSolution, observe, prior_draws};
use crate::numerics::estimate::Estimate;
use crate::theory::predictor::test_error;
use crate::theory::{Kind, Prediction, Theory, TheoryError};

/// Standard errors between the halves of the populations' time beyond which they stay for as long again, and how often they do.
const SETTLED: f64 = 3.0;
const MOST_DOUBLINGS: usize = 3;

/// Where the theory has come to.
pub(super) struct Descent<'a> {
    theory: &'a Theory,
    params: Params,
    /// Prior draws of one set.
    count: usize,
    branch: Branch<'a>,
    /// One for every set, once prior draws have failed.
    populations: Vec<Population<'a>>,
}

impl<'a> Descent<'a> {
    pub fn start(theory: &'a Theory, hottest: f64, params: &Params) -> Result<Self, TheoryError> {
        let params = Params { sets: params.sets.max(2), ..*params };
        let count = prior_draws(params.adaptive_draws, theory.points());
        let branch = Branch::start(theory, hottest, count)?;
        Ok(Self { theory, params, count, branch, populations: Vec::new() })
    }

    /// The prediction at `temperature`, no higher than any before.
    pub fn predict(&mut self, temperature: f64) -> Result<UnitPrediction, TheoryError> {
        if self.populations.is_empty() {
            match self.by_prior_draws(temperature) {
                Err(TheoryError::Unit(_)) => self.take_chains()?,
                prediction => return prediction,
            }
        }
        self.by_chains(temperature)
    }

    fn by_prior_draws(&mut self, temperature: f64) -> Result<UnitPrediction, TheoryError> {
        let saddle = self.theory.saddle(temperature)?;
        let labels = &self.theory.problem.y_train;
        let field = self.branch.solve_at(temperature)?.clone();
        let predict = |set| {
            let sample = adaptive::sample(self.theory, &saddle, self.count, set);
            let Field { measure, second_moment, .. } = &field;
            let solved = adaptive::solve(&sample, labels, temperature, measure, *second_moment)
                .map_err(|failure| UnitError::from_failure(failure, temperature, temperature))?;
            let observed = observe(self.theory, &saddle, &sample.draws, &solved.measure)?;
            let outputs = Outputs::new(self.theory, &sample.draws, &solved.measure, None, temperature);
            let solution = UnitSolution { residual: solved.residual, iterations: solved.iterations };
            prediction(self.theory, temperature, observed, solved.fit(temperature), &outputs, solution)?.sampled_well()
        };
        let predictions = (0..self.params.sets as u32).map(predict).collect::<Result<Vec<_>, _>>()?;
        UnitPrediction::combined(&predictions)
    }

    /// Goes on by chains from the last solution that prior draws know well.
    pub fn take_chains(&mut self) -> Result<(), TheoryError> {
        let (temperature, field) = self.branch.trusted();
        let saddle = self.theory.saddle(temperature)?;
        let start = |set| {
            Population::start(self.theory, temperature, field, &saddle, self.params.adaptive_chain, set)
                .map_err(|failure| UnitError::from_failure(failure, temperature, temperature).into())
        };
        self.populations =
            (0..self.params.sets as u32).into_par_iter().map(start).collect::<Result<Vec<_>, TheoryError>>()?;
        Ok(())
    }

    /// Where the populations still drift, all stay for as long again.
    fn by_chains(&mut self, temperature: f64) -> Result<UnitPrediction, TheoryError> {
        let saddle = self.theory.saddle(temperature)?;
        let (mut predictions, mut drift) =
            self.ask(temperature, &saddle, |population| population.predict(temperature, &saddle))?;
        for _ in 0..MOST_DOUBLINGS {
            if drift < SETTLED {
                break;
            }
            (predictions, drift) = self.ask(temperature, &saddle, |population| population.predict_on(&saddle))?;
        }
        // A NaN must not pass.
        if drift.is_nan() || drift > MOST_DRIFT {
            return Err(UnitError::Unsettled { kind: Kind::Adaptive, temperature, drift }.into());
        }
        UnitPrediction::combined(&predictions)?.sampled_well()
    }

    /// What every population finds, and by how many standard errors the halves of it differ.
    fn ask(
        &mut self,
        temperature: f64,
        saddle: &Prediction,
        find: impl Fn(&mut Population<'a>) -> Result<Found, Failure> + Sync,
    ) -> Result<(Vec<UnitPrediction>, f64), TheoryError> {
        let theory = self.theory;
        // The draws of a population are dropped before the next one's are taken.
        let predict = |population: &mut Population<'a>| -> Result<_, TheoryError> {
            let Found { draws, measure, beyond, fit, residual, halves, trajectories } = find(population)
                .map_err(|failure| UnitError::from_failure(failure, temperature, population.temperature()))?;
            let observed = observe(theory, saddle, &draws, &measure)?;
            let outputs = Outputs::new(theory, &draws, &measure, Some(&beyond), temperature);
            let solution = UnitSolution { residual, iterations: trajectories };
            Ok((prediction(theory, temperature, observed, fit, &outputs, solution)?, halves[1] - halves[0]))
        };
        let found: Vec<(UnitPrediction, f64)> =
            self.populations.par_iter_mut().map(predict).collect::<Vec<_>>().into_iter().collect::<Result<_, _>>()?;
        let (predictions, drifts): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let Estimate { value, error } = Estimate::of_independent(&drifts);
        Ok((predictions, value.abs() / error))
    }
}

fn observe(
    theory: &Theory,
    saddle: &Prediction,
    draws: &Draws,
    measure: &Measure,
) -> Result<observe::Observed, TheoryError> {
    let (direction, prior) = (theory.reduced_direction(saddle), theory.nngp(saddle.temperature)?);
    Ok(observe::observe(theory, draws, measure, &prior, &direction, saddle.density_reaches()))
}

fn prediction(
    theory: &Theory,
    temperature: f64,
    observed: observe::Observed,
    fit: Fit,
    outputs: &Outputs,
    solution: UnitSolution,
) -> Result<UnitPrediction, TheoryError> {
    let exact = |values: &[f64]| -> Vec<Estimate> { values.iter().copied().map(Estimate::exact).collect() };
    let test_error = test_error(&theory.problem.y_test, &outputs.mean, &outputs.variance);
    let mut prediction = UnitPrediction::new(Kind::Adaptive, temperature, observed)?;
    prediction.train_loss = Some(Estimate::exact(fit.loss / theory.points() as f64));
    prediction.effective_parameters = Some(Estimate::exact(fit.effective_parameters));
    prediction.predictive_mean = exact(&outputs.mean);
    prediction.predictive_variance = exact(&outputs.variance);
    prediction.test_bias_squared = test_error.map(|(bias, _)| Estimate::exact(bias));
    prediction.test_variance = test_error.map(|(_, variance)| Estimate::exact(variance));
    prediction.test_mse = test_error.map(|(bias, variance)| Estimate::exact(bias + variance));
    prediction.solution = solution;
    Ok(prediction)
}
