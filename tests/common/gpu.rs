//! The device that tests of the GPU backend run on, opened once in a process.

use std::sync::{LazyLock, Mutex, PoisonError};

use featherm::backend::gpu::device::Device;
use featherm::backend::gpu::tiling::Tiling;
use featherm::backend::gpu::{AdapterChoice, AdapterInfo, Gpu, GpuOptions, adapters};
use featherm::backend::{BackendError, Ensemble};

/// The device named by `FEATHERM_GPU`, else the first hardware GPU or else a software one, if there
/// is any.
pub fn info() -> Option<&'static AdapterInfo> {
    static INFO: LazyLock<Option<AdapterInfo>> = LazyLock::new(|| {
        let found = adapters();
        let wanted = std::env::var("FEATHERM_GPU").ok().map(|text| match text.parse() {
            Ok(choice) => choice,
            Err(never) => match never {},
        });
        let info = match &wanted {
            Some(AdapterChoice::Index(index)) => found.get(*index),
            Some(AdapterChoice::Name(name)) => {
                found.iter().find(|info| info.name.to_lowercase().contains(&name.to_lowercase()))
            }
            Some(AdapterChoice::Auto) | None => found.iter().find(|info| !info.is_software()).or(found.first()),
        };
        info.cloned()
    });
    INFO.as_ref()
}

/// The device by its number.
pub fn choice() -> AdapterChoice {
    info().map_or(AdapterChoice::Auto, |info| AdapterChoice::Index(info.index))
}

/// An ensemble on the device that all tests share, which compiles every kernel of a shape once.
pub fn on_device(ensemble: Ensemble, options: GpuOptions) -> Result<Gpu, BackendError> {
    /// Whether optional features were left out, and the tiling.
    type Key = (bool, Option<Tiling>);
    /// One for each tiling: software devices compile in a thread of the device.
    static OPEN: Mutex<Vec<(Key, Device)>> = Mutex::new(Vec::new());
    let key = (options.core, options.tiling);
    let device = {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        match open.iter().find(|(of, _)| *of == key) {
            Some((_, device)) => device.clone(),
            None => {
                let device = Device::open(&choice(), options.core, options.tiling == Some(Tiling::Cooperative))?;
                open.push((key, device.clone()));
                device
            }
        }
    };
    Gpu::on_device(device, ensemble, options)
}

/// An ensemble on a device of its own, for tests that break it.
pub fn on_own_device(ensemble: Ensemble, options: GpuOptions) -> Result<Gpu, BackendError> {
    Gpu::new(&choice(), ensemble, options)
}
