//! What a run would take of memory, and what its device can do, before anything is computed.

use std::fmt::Write;
use std::sync::Arc;

use super::RunError;
use super::sample::ensemble;
use crate::backend::{self, DeviceRequest, memory_plan, unsupported_reason};
use crate::config::{ConfigError, Experiment};
use crate::host::memory::{self, NotEnough};
use crate::model::Problem;
use crate::remedy::{Remedy, Setting};
use crate::sampler::snapshots;

/// Errors if the requested device does not support the requested precision.
pub(super) fn require_precision(device: &DeviceRequest) -> Result<(), RunError> {
    match unsupported_reason(device)? {
        Some(reason) => Err(ConfigError::impossible(Setting::Precision, "f16-matrix", reason).into()),
        None => Ok(()),
    }
}

/// What an experiment would take of a device's memory, as text, and whether the machine has it.
///
/// # Errors
/// When the chosen device is not there or cannot hold the ensemble.
pub fn memory_need(
    experiment: &Experiment,
    problem: &Arc<Problem>,
    device: &DeviceRequest,
) -> Result<(String, Result<(), NotEnough>), RunError> {
    let sampler = experiment.sampler();
    require_precision(device)?;
    let ensemble = ensemble(experiment, problem, &[]);
    let kept = sampler.draws.saturating_add(if experiment.save_warmup() { sampler.warmup } else { 0 });
    let need = memory_plan(device, &ensemble, kept)?;
    let kept = snapshots_need(experiment, problem);
    let mut text = need.to_string();
    if kept > 0 {
        // A String takes what is written to it.
        let _ = writeln!(text, "{:12} {:10.2} MiB of host memory beside that", "snapshots", kept as f64 / 1048576.0);
    }
    let fits = need.check().and_then(|()| {
        let remedies = [Setting::SaveWeights, Setting::Chains].map(Remedy::lower);
        memory::require("the snapshots of the weights", kept, &remedies)
    });
    Ok((text, fits))
}

/// Times the ways to divide the experiment's matrix products on a GPU, and keeps the fastest for
/// later runs; `None` where it would run on the CPU.
///
/// # Errors
/// When the device is not there or fails.
pub fn tune(
    experiment: &Experiment,
    problem: &Arc<Problem>,
    device: &DeviceRequest,
) -> Result<Option<String>, RunError> {
    let ensemble = ensemble(experiment, problem, &[]);
    Ok(backend::tune(device, &ensemble)?)
}

/// Bytes of the snapshots of the weights: held in float32, and once more where a checkpoint is made
/// of them and where it is written.
fn snapshots_need(experiment: &Experiment, problem: &Problem) -> u64 {
    let [wanted, chains, temperatures, width, rank] = [
        snapshots::most(experiment.save_weights()),
        experiment.sampler().chains,
        experiment.temperatures().len(),
        experiment.network().width,
        problem.rank(),
    ]
    .map(|n| n as f64);
    (3.0 * 4.0 * wanted * chains * temperatures * width * (rank + 1.0)) as u64
}
