//! Why a session has no result.

use std::error::Error;

use crate::backend::BackendError;
use crate::config::ConfigError;
use crate::host::memory::NotEnough;
use crate::remedy::{Remedies, Remedy, Setting};
use crate::sampler::SamplerError;
use crate::stats::ShapeError;
use crate::theory::TheoryError;

/// Why a state could not be kept, in the words of whoever keeps it.
pub type KeepError = Box<dyn Error + Send + Sync>;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The device cannot do what the experiment asks for.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The theory cannot be built.
    #[error(transparent)]
    Theory(#[from] TheoryError),
    /// The sampler failed.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// The device is not there or failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The draws do not have the shape of their chains.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The machine has not the memory for it.
    #[error(transparent)]
    Memory(#[from] NotEnough),
    /// A state could not be kept.
    #[error("{0}")]
    Checkpoint(#[source] KeepError),
    /// A state that was kept is not one of this run.
    #[error("{0}")]
    Saved(String),
    /// The listener stopped the run.
    #[error("interrupted before four draws were taken")]
    Interrupted,
}

impl RunError {
    /// Whether the input is at fault, rather than the run.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Config(_) | Self::Memory(_) | Self::Saved(_) => true,
            Self::Theory(error) => {
                matches!(error, TheoryError::EmptyClass { .. } | TheoryError::Data | TheoryError::Network { .. })
            }
            _ => false,
        }
    }
}

impl Remedies for RunError {
    fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::Config(error) => error.remedies(),
            Self::Sampler(SamplerError::Backend(error)) | Self::Backend(error) => error.remedies(),
            Self::Sampler(SamplerError::Diverged { .. }) => {
                vec![Remedy::lower(Setting::StepSize), Remedy::set(Setting::Sampler, "malt")]
            }
            Self::Memory(error) => error.remedies(),
            _ => Vec::new(),
        }
    }
}
