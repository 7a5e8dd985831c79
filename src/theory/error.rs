//! Why there is no prediction.

use thiserror::Error;

use super::kind::TheoryKind;
use super::saddle::SaddleError;
use super::unit::UnitError;
use crate::host::stop::Stopped;

/// Why a prediction could not be made.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum TheoryError {
    #[error("temperature {temperature} has no theory: give a positive, finite number")]
    Temperature { temperature: f64 },
    #[error(
        "network with {width} hidden units, lambda0 = {lambda0}, lambda1 = {lambda1}: all three must be positive and finite"
    )]
    Network { width: usize, lambda0: f64, lambda1: f64 },
    #[error("class `{class}` has no training point, so its manifold has no centroid: add points or drop the class")]
    EmptyClass { class: String },
    #[error("the kernel of the inputs or the labels are not finite: check the data for NaN or huge values")]
    Data,
    #[error("the eigendecomposition of the {points}×{points} kernel did not converge")]
    Eigen { points: usize },
    #[error("the {} prediction at temperature {temperature} is not finite: rescale the data or raise the temperature", kind.name())]
    NonFinite { kind: TheoryKind, temperature: f64 },
    #[error("the theory was stopped on request")]
    Stopped,
    #[error(transparent)]
    Saddle(#[from] SaddleError),
    #[error(transparent)]
    Unit(#[from] UnitError),
}

impl From<Stopped> for TheoryError {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl TheoryError {
    /// Parts a request to stop, which ends all work, from a failure, which ends one prediction.
    pub(super) fn part_stop<T>(result: Result<T, Self>) -> Result<Result<T, Self>, Stopped> {
        if matches!(result, Err(Self::Stopped)) { Err(Stopped) } else { Ok(result) }
    }
}

/// Refuses a temperature that is not positive and finite.
pub(super) fn check_temperature(temperature: f64) -> Result<(), TheoryError> {
    if temperature > 0.0 && temperature.is_finite() { Ok(()) } else { Err(TheoryError::Temperature { temperature }) }
}
