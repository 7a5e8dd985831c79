//! Several runs that answer one question, each from its [`Setup`].

pub mod bias;
pub mod descent;
pub mod scaling;
pub mod speed;

use std::ops::ControlFlow;
use std::sync::Arc;

use thiserror::Error;

use crate::config::{ConfigError, Setup};
use crate::data::{self, DataError};
use crate::model::{Problem, ProblemError};
use crate::remedy::{Remedies, Remedy};
use crate::results::Document;
use crate::session::{Event, Run, RunError, Session};

/// Why a study has no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StudyError {
    /// A setting is impossible.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data cannot be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The data are no problem.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// A run failed or was stopped.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl StudyError {
    /// Whether the user's input is at fault, rather than the run.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Run(error) => error.is_bad_input(),
            _ => true,
        }
    }
}

impl Remedies for StudyError {
    fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::Config(error) => error.remedies(),
            Self::Data(error) => error.remedies(),
            Self::Problem(error) => error.remedies(),
            Self::Run(error) => error.remedies(),
        }
    }
}

/// Loads the data of a setup.
///
/// # Errors
/// [`StudyError`] when the data are refused.
pub fn load(setup: &Setup) -> Result<Arc<Problem>, StudyError> {
    let problem = data::load(setup.data(), setup.experiment().sampler().seed)?;
    Ok(Arc::new(problem))
}

/// Runs a setup: one session on its data and device. What was measured until `listener` stops it is
/// returned.
///
/// # Errors
/// [`StudyError`] when the data are refused, or as [`Session::run`].
pub fn run(setup: &Setup, listener: impl FnMut(&Event) -> ControlFlow<()>) -> Result<Run, StudyError> {
    Ok(Session::new(setup.experiment(), load(setup)?)?.run(setup.device(), listener)?)
}

/// The document of a run that is of no use when stopped half-way: [`RunError::Interrupted`] then.
///
/// # Errors
/// As [`run`].
fn run_to_completion(setup: &Setup, listener: impl FnMut(&Event) -> ControlFlow<()>) -> Result<Document, StudyError> {
    let document = run(setup, listener)?.document;
    if document.interrupted { Err(RunError::Interrupted.into()) } else { Ok(document) }
}
