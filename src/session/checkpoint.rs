//! The state of a run between two trajectories, as bytes that another process goes on from.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{KeepError, RunError};
use crate::backend::{Backend, BackendError};
use crate::observables::{Recorded, Recorder};
use crate::sampler::{SamplerPlan, SamplerState, Snapshots};

/// How a run keeps its state, and what it goes on from.
pub struct Checkpoints<'a> {
    /// The state that an earlier process kept.
    pub from: Option<Vec<u8>>,
    /// Time between two; zero keeps only the one at the end or at an interruption.
    pub every: Duration,
    pub keep: &'a mut (dyn FnMut(&[u8]) -> Result<(), KeepError> + Send),
}

/// A run between two trajectories, beside the state of its backend.
#[derive(Deserialize)]
struct Saved {
    sampler_state: SamplerState,
    recorded: Recorded,
    snapshots: Snapshots,
    seconds: Seconds,
}

/// Time spent on trajectories, over all processes that had a part in the run.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Seconds {
    pub warm_up: f64,
    pub sampling: f64,
}

/// The state of a run as bytes: its own, then the backend's.
pub(super) fn save(
    backend: &dyn Backend,
    sampler_state: &SamplerState,
    (recorder, snapshots): (&Recorder, &Snapshots),
    seconds: Seconds,
) -> Result<Vec<u8>, RunError> {
    let saved = (sampler_state, recorder.recorded(), snapshots, seconds);
    let mut bytes = postcard::to_stdvec(&saved).map_err(|source| BackendError::Encoding { source })?;
    backend.save(&mut bytes)?;
    Ok(bytes)
}

/// Takes up what [`save`] wrote; nothing has changed where that is not of this run.
pub(super) fn resume(
    state: &[u8],
    backend: &mut dyn Backend,
    plan: &SamplerPlan,
    recorder: &mut Recorder,
) -> Result<(SamplerState, Snapshots, Seconds), RunError> {
    let not_ours = || RunError::Saved("what it holds is not the state of this run".into());
    let (saved, rest) = postcard::take_from_bytes::<Saved>(state).map_err(|_| not_ours())?;
    let Saved { sampler_state, recorded, snapshots, seconds } = saved;
    if sampler_state.draws() > plan.draws {
        let (taken, asked) = (sampler_state.draws(), plan.draws);
        return Err(RunError::Saved(format!("{taken} draws are taken already, and only {asked} are asked for")));
    }
    if !backend.restore(rest)? {
        return Err(not_ours());
    }
    recorder.resume(recorded);
    Ok((sampler_state, snapshots, seconds))
}
