//! Requests for a graphics device.

use crate::backend::gpu::memory::MemoryPlan;
use crate::backend::gpu::tiling::Tiling;
use crate::backend::gpu::tuning::{self, Tilings};
use crate::backend::gpu::{AdapterChoice, Gpu, GpuOptions, adapters, find};
use crate::backend::{Backend, BackendChoice, BackendError, DeviceRequest, Ensemble, Precision};

/// Starts the ensemble on the requested device.
///
/// # Errors
/// If the device does not exist, fails, or cannot hold the ensemble.
pub fn start(request: &DeviceRequest, ensemble: &Ensemble) -> Result<Box<dyn Backend>, BackendError> {
    let gpu = Gpu::with_tilings(&adapter(request), ensemble.clone(), options(request), &tilings(request))?;
    Ok(Box::new(gpu))
}

/// Starts the ensemble on a hardware GPU.
///
/// # Errors
/// With the reason why none runs it.
pub fn start_on_hardware(request: &DeviceRequest, ensemble: &Ensemble) -> Result<Box<dyn Backend>, String> {
    if !has_hardware() {
        return Err("no hardware GPU answers".into());
    }
    start(request, ensemble).map_err(|error| error.to_string())
}

/// Returns true if a hardware GPU answers.
pub fn has_hardware() -> bool {
    adapters().iter().any(|info| !info.is_software())
}

/// Returns why the requested device has no cooperative matrices, or `None` if it has.
///
/// # Errors
/// If the device does not exist.
pub fn unsupported_reason(request: &DeviceRequest) -> Result<Option<String>, BackendError> {
    let device = find(&adapter(request))?;
    let reason = || format!("{device} has no cooperative matrices of 16 × 16 with float16 inputs; use f32 or f16");
    Ok((!device.cooperative).then(reason))
}

/// Times the tilings on the requested device and keeps the fastest; one line on what was found.
///
/// # Errors
/// If the device does not exist or fails.
pub fn tune(request: &DeviceRequest, ensemble: &Ensemble) -> Result<String, BackendError> {
    let tuned = tuning::tune(&adapter(request), ensemble, options(request).half, &tilings(request))?;
    Ok(tuned.to_string())
}

/// Returns a table of the memory that the ensemble needs on the requested device.
///
/// # Errors
/// If the device does not exist or cannot hold the ensemble.
pub fn memory(request: &DeviceRequest, ensemble: &Ensemble) -> Result<String, BackendError> {
    let device = find(&adapter(request))?;
    let options = options(request);
    let tiling = options.tiling.or_else(|| tilings(request).known(&device, ensemble, options.half));
    let plan = MemoryPlan::new(ensemble, &device.limits(), tiling, options.half)?;
    Ok(format!("memory on {device}\n{plan}\n"))
}

/// The named device. Without a name it is a hardware GPU, or where there is none and a GPU was
/// requested, any device.
fn adapter(request: &DeviceRequest) -> AdapterChoice {
    match request.adapter.as_deref() {
        _ if request.backend == BackendChoice::Auto => AdapterChoice::Auto,
        Some(name) => name.parse().unwrap_or_default(),
        None if has_hardware() => AdapterChoice::Auto,
        None => AdapterChoice::Index(0),
    }
}

fn options(request: &DeviceRequest) -> GpuOptions {
    let tiling = (request.precision == Precision::F16Matrix).then_some(Tiling::Cooperative);
    GpuOptions { half: request.precision == Precision::F16, tiling, ..GpuOptions::default() }
}

fn tilings(request: &DeviceRequest) -> Tilings {
    Tilings::in_cache(request.cache.as_deref())
}
