//! Why the measure of one unit gives no prediction.

use thiserror::Error;

use crate::theory::kind::TheoryKind;

/// Why the measure of one unit gives no prediction.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum UnitError {
    #[error(
        "the {} theory loses stability near T = {near:.3e}: a unit begins to fit the data alone, so there is no prediction at T = {temperature:.3e}; \
         stay above it, or widen the network", kind.name()
    )]
    Unstable { kind: TheoryKind, temperature: f64, near: f64 },
    #[error(
        "the {} theory is lost at T = {lost_at:.3e}, so there is no prediction at T = {temperature:.3e} below", kind.name()
    )]
    Below { kind: TheoryKind, temperature: f64, lost_at: f64 },
    #[error(
        "the draws of the adaptive theory at T = {temperature:.3e} do not know the measure of a unit, as too few of them count: raise the temperature, or widen the network"
    )]
    TooFewDraws { temperature: f64 },
    #[error(
        "the chains of the {} theory at T = {temperature} still drift: their halves differ by {drift:.1} standard errors", kind.name()
    )]
    Unsettled { kind: TheoryKind, temperature: f64, drift: f64 },
    #[error(
        "the adaptive theory at T = {temperature} is only solved to {residual:e}: it is near the end of its branch"
    )]
    NotConverged { temperature: f64, residual: f64 },
    #[error(
        "the {} theory at T = {temperature} is lost in its Monte Carlo error: λ1⟨v²⟩ is known to {relative:.2} of its value only", kind.name()
    )]
    Undersampled { kind: TheoryKind, temperature: f64, relative: f64 },
}

impl UnitError {
    /// Why there is none at a `temperature` below one that failed with this.
    pub(super) fn below(&self, kind: TheoryKind, lost_at: f64, temperature: f64) -> Self {
        match *self {
            Self::Unstable { near, .. } => Self::Unstable { kind, temperature, near },
            _ => Self::Below { kind, temperature, lost_at },
        }
    }
}
