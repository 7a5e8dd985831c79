//! The theories of one unit down a ladder of temperatures: where one is lost, it is lost at all
//! lower ones.

use super::continuation::Continuation;
use super::error::UnitError;
use super::params::Params;
use super::single_unit;
use crate::host::stop::{Stop, Stopped};
use crate::theory::error::check_temperature;
use crate::theory::process::{self, Process};
use crate::theory::{Prediction, Theory, TheoryError, TheoryKind};

/// One of [`TheoryKind::UNITS`] at many temperatures, taken from the highest to the lowest; results
/// in the order given. `done` hears of the number of temperatures done.
///
/// # Errors
/// [`Stopped`] on request.
pub(in crate::theory) fn solve(
    theory: &Theory,
    kind: TheoryKind,
    temperatures: &[f64],
    params: &Params,
    stop: &Stop,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Result<Prediction, TheoryError>>, Stopped> {
    let mut order: Vec<usize> = (0..temperatures.len()).collect();
    order.sort_by(|&i, &j| temperatures[j].total_cmp(&temperatures[i]));
    let descending: Vec<f64> = order.iter().map(|&index| temperatures[index]).collect();
    let results = match kind {
        TheoryKind::Adaptive => adaptive(theory, &descending, params, stop, done)?,
        _ => single_units(theory, &descending, params, stop, done)?,
    };
    let mut indexed: Vec<(usize, _)> = order.into_iter().zip(results).collect();
    indexed.sort_by_key(|(index, _)| *index);
    Ok(indexed.into_iter().map(|(_, result)| result).collect())
}

/// The temperature at which a theory was lost first, and why.
#[derive(Default)]
struct Lost(Option<(f64, UnitError)>);

impl Lost {
    /// Refuses a temperature below the one at which the theory was lost.
    fn check(&self, kind: TheoryKind, temperature: f64) -> Result<(), TheoryError> {
        match &self.0 {
            Some((at, error)) => Err(error.below(kind, *at, temperature).into()),
            None => Ok(()),
        }
    }

    /// Remembers the temperature if the theory was lost there.
    fn record(&mut self, temperature: f64, result: &Result<Prediction, TheoryError>) {
        if let (None, Err(TheoryError::Unit(error))) = (&self.0, result) {
            self.0 = Some((temperature, error.clone()));
        }
    }
}

fn single_units(
    theory: &Theory,
    descending: &[f64],
    params: &Params,
    stop: &Stop,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Result<Prediction, TheoryError>>, Stopped> {
    let (mut known, mut lost) = (None, Lost::default());
    let mut predict = |saddle: Result<Process, TheoryError>| {
        let saddle = saddle?;
        let temperature = saddle.values.temperature;
        lost.check(TheoryKind::SingleUnit, temperature)?;
        let mut result = single_unit::predict(theory, &saddle, params, stop);
        match (&mut result, known) {
            (Ok(_), _) => known = Some(temperature),
            (Err(TheoryError::Unit(UnitError::Unstable { near, .. })), Some(known)) => {
                *near = single_unit::ends_near(theory, known, temperature, params, stop)?;
            }
            _ => {}
        }
        lost.record(temperature, &result);
        result
    };
    let saddles = process::solve(theory, TheoryKind::Saddle, descending, stop)?;
    let mut results = Vec::new();
    for saddle in saddles {
        results.push(TheoryError::part_stop(predict(saddle))?);
        done(results.len());
    }
    Ok(results)
}

fn adaptive(
    theory: &Theory,
    descending: &[f64],
    params: &Params,
    stop: &Stop,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Result<Prediction, TheoryError>>, Stopped> {
    let hottest = descending.iter().copied().find(|&temperature| check_temperature(temperature).is_ok());
    let mut continuation = match hottest {
        Some(hottest) => TheoryError::part_stop(Continuation::start(theory, hottest, params, stop))?,
        None => Err(TheoryError::Temperature { temperature: f64::NAN }),
    };
    let mut lost = Lost::default();
    let mut predict = |temperature| {
        check_temperature(temperature)?;
        lost.check(TheoryKind::Adaptive, temperature)?;
        let result = continuation.as_mut().map_err(|error| error.clone())?.predict(temperature);
        lost.record(temperature, &result);
        result
    };
    let mut results = Vec::new();
    for &temperature in descending {
        results.push(TheoryError::part_stop(predict(temperature))?);
        done(results.len());
    }
    Ok(results)
}
