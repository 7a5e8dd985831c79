//! The device that tests of the GPU backend run on.

use featherm::backend::gpu::{AdapterChoice, AdapterInfo, adapters};

/// The device named by `FEATHERM_GPU`, else the first hardware GPU or else a software one, if there is any.
pub fn device() -> Option<AdapterInfo> {
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
}
