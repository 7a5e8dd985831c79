//! The single-unit theory: one unit in the field of the saddle point.

use super::chain;
use super::draws::Draws;
use super::error::UnitError;
use super::measure::Measure;
use super::observe::{self, Observer, sampled_well};
use super::params::{LEAST_EFFECTIVE, MOST_DRIFT, Params};
use crate::host::stop::Stop;
use crate::theory::process::Process;
use crate::theory::{Prediction, Theory, TheoryError, TheoryKind};

/// Factor between ⟨v²⟩ of the single-unit theory and of the saddle point beyond which it is no
/// correction to it any more. Above, a far mode holds part of the measure; below, the saddle point
/// lies on such a mode itself.
const MOST_EXCESS: f64 = 1.5;

/// ln T to which the temperature is found at which the theory is lost.
const NEAR: f64 = 0.05;

/// The prediction at the temperature of `saddle`.
pub(super) fn predict(
    theory: &Theory,
    saddle: &Process,
    params: &Params,
    stop: &Stop,
) -> Result<Prediction, TheoryError> {
    let (kind, temperature) = (TheoryKind::SingleUnit, saddle.values.temperature);
    let measure = Measure::at_saddle(theory, saddle, stop)?;
    let direction = saddle.reduced_direction(theory);
    let observer = Observer::new(theory, saddle, stop)?;
    let draws = Draws::from_prior(theory, &direction, params.draws, 0, stop)?;
    let mut observed = observer.observe(kind, &draws, &measure)?;
    if observed.unit.as_ref().is_some_and(|unit| unit.effective_fraction < LEAST_EFFECTIVE) {
        let mut draws = chain::sample(theory, &measure, &direction, &params.chain, 0, stop)?;
        let drift = observe::drift(&mut draws, &measure, stop)?;
        if drift.is_nan() || drift > MOST_DRIFT {
            return Err(UnitError::Unsettled { kind, temperature, drift }.into());
        }
        observed = observer.observe(kind, &draws, &measure)?;
    }
    let excess = observed.readout_second_moment.value / saddle.values.readout_second_moment.value;
    if !(1.0 / MOST_EXCESS..=MOST_EXCESS).contains(&excess) {
        return Err(UnitError::Unstable { kind, temperature, near: temperature }.into());
    }
    sampled_well(observed.finite()?)
}

/// The temperature at which the theory is lost, between one at which it is `known` and one at which
/// it is not.
pub(super) fn ends_near(
    theory: &Theory,
    mut known: f64,
    mut lost: f64,
    params: &Params,
    stop: &Stop,
) -> Result<f64, TheoryError> {
    while (known / lost).ln() > NEAR {
        let middle = (known * lost).sqrt();
        let saddle = Process::at(theory, TheoryKind::Saddle, middle, stop);
        match saddle.and_then(|saddle| predict(theory, &saddle, params, stop)) {
            Ok(_) => known = middle,
            Err(TheoryError::Stopped) => return Err(TheoryError::Stopped),
            Err(_) => lost = middle,
        }
    }
    Ok(lost)
}
