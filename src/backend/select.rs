//! The device for an ensemble: which one a request means, what it needs there, and its start.

mod footprint;
// Both have the same functions: of graphics devices, or of their absence from this build.
#[cfg_attr(not(feature = "gpu"), path = "select/gpu_absent.rs")]
mod gpu;

use std::fmt;

use self::footprint::CpuMemory;
use super::cpu::Cpu;
use super::{Backend, BackendChoice, BackendError, DeviceRequest, Ensemble, Precision};
use crate::host::memory::NotEnough;
use crate::remedy::{Remedy, Setting};

/// An ensemble on its device.
pub struct SelectedDevice {
    /// The device, with every chain at a draw from the prior.
    pub backend: Box<dyn Backend>,
    /// One line on why this device was taken, where the request left the choice open.
    pub note: Option<String>,
}

/// Starts every chain of `ensemble` at a draw from the prior on the requested device.
///
/// [`BackendChoice::Auto`] takes a hardware GPU if one answers, else the CPU. A software device is
/// slower than the CPU backend and is only taken on request.
///
/// # Errors
/// If the requested device does not exist, fails, or cannot hold the ensemble.
pub fn select(request: &DeviceRequest, ensemble: &Ensemble) -> Result<SelectedDevice, BackendError> {
    match (request.backend, request.precision) {
        (BackendChoice::Gpu, _) => Ok(SelectedDevice { backend: gpu::start(request, ensemble)?, note: None }),
        (BackendChoice::Cpu, _) | (_, Precision::F64) => {
            Ok(SelectedDevice { backend: cpu(request.precision, ensemble)?, note: None })
        }
        (BackendChoice::Auto, precision) => Ok(match gpu::start_on_hardware(request, ensemble) {
            Ok(backend) => {
                let note = format!("running on {}", backend.device().name);
                SelectedDevice { backend, note: Some(note) }
            }
            Err(reason) => {
                let note = format!("running on the CPU: {reason}");
                SelectedDevice { backend: cpu(precision, ensemble)?, note: Some(note) }
            }
        }),
    }
}

fn cpu(precision: Precision, ensemble: &Ensemble) -> Result<Box<dyn Backend>, BackendError> {
    Ok(match precision {
        Precision::F64 => Box::new(Cpu::<f64>::new(ensemble.clone())),
        Precision::F32 => Box::new(Cpu::<f32>::new(ensemble.clone())),
        Precision::F16 => Box::new(Cpu::<f32>::with_half_storage(ensemble.clone())),
        Precision::F16Matrix => return Err(no_matrices()),
    })
}

/// Why the CPU does not run in [`Precision::F16Matrix`].
fn no_matrices() -> BackendError {
    let set = |setting, value: &str| Remedy::set(setting, value);
    BackendError::Unsupported {
        reason: "the CPU has no float16 matrix products: f16-matrix needs a graphics device with cooperative matrices"
            .into(),
        remedies: vec![set(Setting::Backend, "gpu"), set(Setting::Precision, "f32"), set(Setting::Precision, "f16")],
    }
}

/// Returns why the requested device does not support the requested precision, or `None` if it does.
///
/// # Errors
/// If the requested device does not exist.
pub fn unsupported_reason(request: &DeviceRequest) -> Result<Option<String>, BackendError> {
    match request.precision {
        // Cooperative matrices are the one feature that some graphics devices lack.
        Precision::F16Matrix => gpu::unsupported_reason(request),
        _ => Ok(None),
    }
}

/// Times the tilings of matrix products on the graphics device that would run the ensemble, and
/// keeps the fastest in [`DeviceRequest::cache`] for later runs. Returns one line on what was
/// found; `None` if the CPU or cooperative matrices would run the ensemble.
///
/// # Errors
/// If the requested device does not exist or fails.
pub fn tune(request: &DeviceRequest, ensemble: &Ensemble) -> Result<Option<String>, BackendError> {
    match (request.backend, request.precision) {
        // Cooperative matrices have a single tiling.
        (_, Precision::F16Matrix) => Ok(None),
        (BackendChoice::Gpu, _) => gpu::tune(request, ensemble).map(Some),
        (BackendChoice::Auto, Precision::F32 | Precision::F16) if gpu::has_hardware() => {
            gpu::tune(request, ensemble).map(Some)
        }
        _ => Ok(None),
    }
}

/// The memory that an ensemble needs on a device.
pub struct MemoryNeed {
    text: String,
    /// The need of the CPU backend in this machine's own memory.
    cpu: Option<CpuMemory>,
}

impl MemoryNeed {
    /// Checks that this machine has the memory. What a graphics device cannot hold, [`memory_plan`]
    /// refuses itself.
    ///
    /// # Errors
    /// [`NotEnough`], with the numbers and the settings to change.
    pub fn check(&self) -> Result<(), NotEnough> {
        self.cpu.as_ref().map_or(Ok(()), CpuMemory::check)
    }
}

impl fmt::Display for MemoryNeed {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Returns the memory that the ensemble and `draws` draws of it need on the requested device.
///
/// # Errors
/// If the requested device does not exist or cannot hold the ensemble.
pub fn memory_plan(request: &DeviceRequest, ensemble: &Ensemble, draws: usize) -> Result<MemoryNeed, BackendError> {
    let on_gpu = || Ok(MemoryNeed { text: gpu::memory(request, ensemble)?, cpu: None });
    match (request.backend, request.precision) {
        (BackendChoice::Gpu, _) => on_gpu(),
        (BackendChoice::Auto, Precision::F32 | Precision::F16 | Precision::F16Matrix) if gpu::has_hardware() => {
            on_gpu()
        }
        (_, Precision::F16Matrix) => Err(no_matrices()),
        _ => {
            let cpu = CpuMemory::new(request.precision, ensemble, draws);
            Ok(MemoryNeed { text: cpu.to_string(), cpu: Some(cpu) })
        }
    }
}
