//! The theories that are a Gaussian process over the outputs: order parameters, then everything
//! that follows from them.

use rayon::prelude::*;

use super::error::check_temperature;
use super::projections::{Projected, Projections};
use super::saddle::{self, Solution};
use super::spectrum::Resolvent;
use super::{
    Prediction, ProcessDetails, Theory, TheoryError, TheoryKind, evidence, features, nngp, predictor, weights,
};
use crate::host::stop::{Stop, Stopped};
use crate::numerics::estimate::Estimate;
use crate::numerics::histogram::reach;

/// The prediction of a process, whose details are always there.
pub(super) struct Process {
    /// The prediction without its details.
    pub values: Prediction,
    pub details: ProcessDetails,
}

impl From<Process> for Prediction {
    fn from(Process { values, details }: Process) -> Self {
        Self { process: Some(details), ..values }
    }
}

impl Process {
    /// One of [`TheoryKind::PROCESSES`] at one temperature.
    ///
    /// # Errors
    /// [`TheoryError`] if the temperature is not positive, the branch of the saddle point is lost,
    /// the prediction is not finite, or the work was stopped.
    pub fn at(theory: &Theory, kind: TheoryKind, temperature: f64, stop: &Stop) -> Result<Self, TheoryError> {
        solve(theory, kind, &[temperature], stop)?.pop().unwrap_or(Err(TheoryError::Temperature { temperature }))
    }

    /// û' = Vᵀû. û lies in the span of the inputs, so nothing is lost.
    pub fn reduced_direction(&self, theory: &Theory) -> Vec<f64> {
        theory.problem.rotated(&self.details.direction)
    }
}

/// One of [`TheoryKind::PROCESSES`] at many temperatures, in the order given.
///
/// The saddle point is followed in one continuation from the highest temperature to the lowest, and
/// the eigenvectors are read for all temperatures at once.
///
/// # Errors
/// [`Stopped`] on request.
pub(super) fn solve(
    theory: &Theory,
    kind: TheoryKind,
    temperatures: &[f64],
    stop: &Stop,
) -> Result<Vec<Result<Process, TheoryError>>, Stopped> {
    let solved = order_parameters(theory, kind, temperatures, stop)?;
    let known: Vec<(f64, Solution)> = (temperatures.iter().zip(&solved))
        .filter_map(|(&temperature, solution)| Some((temperature, solution.clone().ok()?)))
        .collect();
    let resolvents: Vec<Resolvent> =
        known.iter().map(|(temperature, solution)| theory.resolvent(*temperature, solution)).collect();
    let projections = Projections::new(theory, &resolvents, stop)?;
    let predicted: Vec<_> = (known.into_par_iter().zip(&resolvents).zip(projections.each()))
        .map(|(((temperature, solution), resolvent), at)| {
            TheoryError::part_stop(predict(theory, kind, temperature, solution, (resolvent, at), stop))
        })
        .collect::<Result<_, _>>()?;
    let mut predicted = predicted.into_iter();
    let next = |(&temperature, solution): (&f64, Result<Solution, TheoryError>)| {
        solution.and_then(|_| predicted.next().unwrap_or(Err(TheoryError::Temperature { temperature })))
    };
    Ok(temperatures.iter().zip(solved).map(next).collect())
}

/// Q and Q̄ at every temperature.
fn order_parameters(
    theory: &Theory,
    kind: TheoryKind,
    temperatures: &[f64],
    stop: &Stop,
) -> Result<Vec<Result<Solution, TheoryError>>, Stopped> {
    if kind == TheoryKind::Nngp {
        let solve = |&temperature: &f64| check_temperature(temperature).map(|()| nngp::solution());
        return Ok(temperatures.iter().map(solve).collect());
    }
    let valid: Vec<f64> = temperatures.iter().copied().filter(|&t| check_temperature(t).is_ok()).collect();
    let mut solutions = saddle::ladder(&theory.spectrum, &valid, &saddle::Params::default(), stop)?.into_iter();
    let solve = |&temperature: &f64| {
        check_temperature(temperature)?;
        Ok(solutions.next().ok_or(TheoryError::Temperature { temperature })??)
    };
    Ok(temperatures.iter().map(solve).collect())
}

/// What follows from the order parameters at one temperature.
fn predict(
    theory: &Theory,
    kind: TheoryKind,
    temperature: f64,
    solution: Solution,
    (resolvent, at): (&Resolvent, Projected),
    stop: &Stop,
) -> Result<Process, TheoryError> {
    let exact = |values: Vec<f64>| values.into_iter().map(Estimate::exact).collect::<Vec<_>>();
    let inverse_width = theory.inverse_width(kind);
    let effective_action = evidence::effective_action(&theory.spectrum, resolvent, solution.q, solution.q_bar);
    let (mean, variance) = predictor::predictive(theory, resolvent, stop)?;
    let test_error = predictor::test_error(&theory.problem.y_test, &mean, &variance);
    let (centroid_distance_sq, gyration_radius_sq) = features::geometry(theory, resolvent, at, inverse_width);
    stop.check()?;
    let (centroid_distance_sq_test, gyration_radius_sq_test) =
        features::test_geometry(theory, resolvent, inverse_width, stop)?;
    let weights = weights::weights(theory, resolvent, at, inverse_width);
    let (readout, along) = (solution.q_bar / theory.network.lambda1, weights.second_moment_along_u);
    // A weight is Gaussian at infinite width; the saddle point says nothing of its fourth moment.
    let fourth = |second: f64| (kind == TheoryKind::Nngp).then_some(Estimate::exact(3.0 * second * second));
    let values = Prediction {
        kind,
        temperature,
        train_loss: Some(Estimate::exact(predictor::train_loss(resolvent))),
        test_bias_squared: test_error.map(|(bias, _)| Estimate::exact(bias)),
        test_variance: test_error.map(|(_, variance)| Estimate::exact(variance)),
        test_mse: test_error.map(|(bias, variance)| Estimate::exact(bias + variance)),
        predictive_mean: exact(mean),
        predictive_variance: exact(variance),
        readout_second_moment: Estimate::exact(readout),
        readout_mean: Estimate::exact(weights.readout_mean),
        readout_fourth_moment: fourth(readout),
        readout_weight_correlation: Some(Estimate::exact(weights.correlation_norm)),
        weight_second_moment_along_u: Some(Estimate::exact(along)),
        weight_fourth_moment_along_u: fourth(along),
        centroid_distance_sq: exact(centroid_distance_sq),
        gyration_radius_sq: exact(gyration_radius_sq),
        centroid_distance_sq_test: exact(centroid_distance_sq_test),
        gyration_radius_sq_test: exact(gyration_radius_sq_test),
        process: None,
        unit: None,
    };
    let details = ProcessDetails {
        log_evidence: evidence::log_evidence(&theory.spectrum, effective_action),
        effective_action,
        readout_weight_vector: weights.correlation,
        direction: weights.direction,
        density_reaches: [readout, along].map(reach),
        solution,
    };
    if !details.is_finite() {
        return Err(TheoryError::NonFinite { kind, temperature });
    }
    Ok(Process { values: values.finite()?, details })
}
