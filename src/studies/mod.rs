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
use crate::sampler::Progress;
use crate::session::{self, Prepared, Run, RunError};

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
            _ => Vec::new(),
        }
    }
}

/// Loads the data of a setup.
///
/// # Errors
/// [`StudyError`] when the data are refused.
pub fn load(setup: &Setup) -> Result<Arc<Problem>, StudyError> {
    let task = data::load(setup.data(), setup.experiment().sampler().seed)?;
    Ok(Arc::new(Problem::new(&task)?))
}

/// Loads the data of a setup and builds what its theories need.
///
/// # Errors
/// [`StudyError`] when the data are refused, or their kernel does not fit into memory or cannot be decomposed.
pub fn prepare(setup: &Setup) -> Result<Prepared, StudyError> {
    Ok(Prepared::new(setup.experiment(), load(setup)?)?)
}

/// Runs a setup: one session on its data and device. What was measured until `progress` stops it is returned.
///
/// # Errors
/// [`StudyError`] when the data are refused, or as [`session::run`].
pub fn run(setup: &Setup, progress: impl FnMut(Progress) -> ControlFlow<()>) -> Result<Run, StudyError> {
    Ok(session::run(setup.experiment(), load(setup)?, setup.device(), progress)?)
}

/// The document of a run that is of no use when stopped half-way: [`RunError::Interrupted`] then.
///
/// # Errors
/// As [`run`].
fn run_to_completion(setup: &Setup, progress: impl FnMut(Progress) -> ControlFlow<()>) -> Result<Document, StudyError> {
    let document = run(setup, progress)?.document;
    if document.interrupted { Err(RunError::Interrupted.into()) } else { Ok(document) }
}
