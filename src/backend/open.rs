//! From the wish for a device to an ensemble running on one.

mod footprint;

use self::footprint::CpuMemory;
use super::cpu::Cpu;
use super::{Backend, BackendError, Ensemble};
use crate::backend::{BackendChoice, Precision};
use crate::host::memory::NotEnough;

/// An ensemble on its device.
pub struct Opened {
    pub backend: Box<dyn Backend>,
    /// One line on why this device was taken, where the user left the choice open.
    pub note: Option<String>,
}

/// Starts every chain of `ensemble` at a draw from the prior on the chosen device.
///
/// `auto` takes a hardware GPU if one answers, else the CPU: a software device, slower than the CPU backend, is never taken unasked.
///
/// # Errors
/// When the chosen device is not there, fails, or cannot hold the ensemble.
pub fn open(
    choice: BackendChoice,
    adapter: Option<&str>,
    precision: Precision,
    ensemble: &Ensemble,
) -> Result<Opened, BackendError> {
    match (choice, precision) {
        (BackendChoice::Gpu, _) => Ok(Opened { backend: gpu(adapter, precision, ensemble)?, note: None }),
        (BackendChoice::Cpu, _) | (_, Precision::F64) => Ok(Opened { backend: cpu(precision, ensemble)?, note: None }),
        (BackendChoice::Auto, _) => Ok(match hardware_gpu(precision, ensemble) {
            Ok(backend) => {
                let note = format!("running on {}", backend.device().name);
                Opened { backend, note: Some(note) }
            }
            Err(reason) => {
                Opened { backend: cpu(precision, ensemble)?, note: Some(format!("running on the CPU: {reason}")) }
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
    BackendError(
        "the CPU has no float16 matrix products: f16-matrix needs a graphics device with cooperative matrices; \
         use backend gpu, or precision f32 or f16"
            .into(),
    )
}

#[cfg(feature = "gpu")]
fn gpu(adapter: Option<&str>, precision: Precision, ensemble: &Ensemble) -> Result<Box<dyn Backend>, BackendError> {
    Ok(Box::new(super::gpu::Gpu::new(&choose(adapter), ensemble.clone(), options(precision))?))
}

/// What a precision is to the GPU backend.
#[cfg(feature = "gpu")]
fn options(precision: Precision) -> super::gpu::GpuOptions {
    use super::gpu::tiling::Tiling;

    let tiling = (precision == Precision::F16Matrix).then_some(Tiling::Cooperative);
    super::gpu::GpuOptions { half: precision == Precision::F16, tiling, ..Default::default() }
}

/// What keeps the chosen graphics device from computing in `precision`, if anything does.
///
/// # Errors
/// When there is no such device.
#[cfg(feature = "gpu")]
pub fn lacking(adapter: Option<&str>, precision: Precision) -> Result<Option<String>, BackendError> {
    if precision != Precision::F16Matrix {
        return Ok(None);
    }
    let device = super::gpu::find(&choose(adapter))?;
    let lacks = || format!("{device} has no cooperative matrices of 16 × 16 with float16 inputs; use f32 or f16");
    Ok((!device.cooperative).then(lacks))
}

/// What keeps the chosen graphics device from computing in `precision`: without any, that is said where one is opened.
#[cfg(not(feature = "gpu"))]
pub fn lacking(_: Option<&str>, _: Precision) -> Result<Option<String>, BackendError> {
    Ok(None)
}

/// The named device; without a name a hardware GPU, else whatever there is, since a GPU was asked for.
#[cfg(feature = "gpu")]
fn choose(adapter: Option<&str>) -> super::gpu::AdapterChoice {
    use super::gpu::AdapterChoice;

    match adapter {
        Some(wish) => wish.parse().unwrap_or_default(),
        None if has_hardware_gpu() => AdapterChoice::Auto,
        None => AdapterChoice::Index(0),
    }
}

#[cfg(feature = "gpu")]
fn hardware_gpu(precision: Precision, ensemble: &Ensemble) -> Result<Box<dyn Backend>, String> {
    use super::gpu::{AdapterChoice, Gpu};

    if !has_hardware_gpu() {
        return Err("no hardware GPU answers".into());
    }
    let gpu = Gpu::new(&AdapterChoice::Auto, ensemble.clone(), options(precision));
    gpu.map(|gpu| Box::new(gpu) as Box<dyn Backend>).map_err(|error| error.to_string())
}

#[cfg(not(feature = "gpu"))]
fn gpu(_: Option<&str>, _: Precision, _: &Ensemble) -> Result<Box<dyn Backend>, BackendError> {
    Err(BackendError(
        "this featherm was built without GPU support: build it with the feature `gpu`, or use --backend cpu".into(),
    ))
}

#[cfg(not(feature = "gpu"))]
fn hardware_gpu(_: Precision, _: &Ensemble) -> Result<Box<dyn Backend>, String> {
    Err("built without GPU support".into())
}

/// Times the ways to divide matrix products on the graphics device that would run the ensemble, and keeps the fastest for later runs: one line on
/// what was found; `None` where the CPU or cooperative matrices would run it.
///
/// # Errors
/// When the chosen device is not there or fails.
pub fn tune(
    choice: BackendChoice,
    adapter: Option<&str>,
    precision: Precision,
    ensemble: &Ensemble,
) -> Result<Option<String>, BackendError> {
    match (choice, precision) {
        // Cooperative matrices are divided in one way only.
        (_, Precision::F16Matrix) => Ok(None),
        (BackendChoice::Gpu, _) => gpu_tune(adapter, precision, ensemble).map(Some),
        (BackendChoice::Auto, Precision::F32 | Precision::F16) if has_hardware_gpu() => {
            gpu_tune(None, precision, ensemble).map(Some)
        }
        _ => Ok(None),
    }
}

#[cfg(feature = "gpu")]
fn gpu_tune(adapter: Option<&str>, precision: Precision, ensemble: &Ensemble) -> Result<String, BackendError> {
    use super::gpu::tuning::{Tilings, tune};

    Ok(tune(&choose(adapter), ensemble, options(precision).half, &Tilings::of_user())?.to_string())
}

#[cfg(not(feature = "gpu"))]
fn gpu_tune(adapter: Option<&str>, precision: Precision, ensemble: &Ensemble) -> Result<String, BackendError> {
    gpu(adapter, precision, ensemble).map(|_| String::new())
}

/// What the ensemble would take on a device.
pub struct MemoryNeed {
    text: String,
    /// The machine's own memory, where that is what it takes.
    cpu: Option<CpuMemory>,
}

impl MemoryNeed {
    /// Whether the machine has the memory; a graphics device has refused already what it cannot hold.
    ///
    /// # Errors
    /// With the numbers and what to change.
    pub fn check(&self) -> Result<(), NotEnough> {
        self.cpu.as_ref().map_or(Ok(()), CpuMemory::check)
    }
}

impl std::fmt::Display for MemoryNeed {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// What the ensemble and `draws` draws of it would take on the chosen device.
///
/// # Errors
/// When the chosen device is not there or cannot hold the ensemble; the message has the numbers and what to change.
pub fn memory_plan(
    choice: BackendChoice,
    adapter: Option<&str>,
    precision: Precision,
    ensemble: &Ensemble,
    draws: usize,
) -> Result<MemoryNeed, BackendError> {
    let on_gpu = |text| Ok(MemoryNeed { text, cpu: None });
    match (choice, precision) {
        (BackendChoice::Gpu, _) => on_gpu(gpu_plan(adapter, precision, ensemble)?),
        (BackendChoice::Auto, Precision::F32 | Precision::F16 | Precision::F16Matrix) if has_hardware_gpu() => {
            on_gpu(gpu_plan(None, precision, ensemble)?)
        }
        (_, Precision::F16Matrix) => Err(no_matrices()),
        _ => {
            let cpu = CpuMemory::new(precision, ensemble, draws);
            Ok(MemoryNeed { text: cpu.to_string(), cpu: Some(cpu) })
        }
    }
}

#[cfg(feature = "gpu")]
fn has_hardware_gpu() -> bool {
    super::gpu::adapters().iter().any(|info| !info.is_software())
}

#[cfg(not(feature = "gpu"))]
fn has_hardware_gpu() -> bool {
    false
}

#[cfg(feature = "gpu")]
fn gpu_plan(adapter: Option<&str>, precision: Precision, ensemble: &Ensemble) -> Result<String, BackendError> {
    use super::gpu::memory::MemoryPlan;
    use super::gpu::tuning::Tilings;

    let device = super::gpu::find(&choose(adapter))?;
    let options = options(precision);
    let tiling = options.tiling.or_else(|| Tilings::of_user().known(&device, ensemble, options.half));
    let plan = MemoryPlan::new(ensemble, &device.limits(), tiling, options.half)?;
    Ok(format!("memory on {device}\n{plan}\n"))
}

#[cfg(not(feature = "gpu"))]
fn gpu_plan(adapter: Option<&str>, precision: Precision, ensemble: &Ensemble) -> Result<String, BackendError> {
    gpu(adapter, precision, ensemble).map(|_| String::new())
}
