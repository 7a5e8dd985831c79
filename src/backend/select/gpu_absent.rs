//! Requests for a graphics device in a build without the feature `gpu`: each is refused.

use crate::backend::{Backend, BackendError, DeviceRequest, Ensemble};

pub fn start(_: &DeviceRequest, _: &Ensemble) -> Result<Box<dyn Backend>, BackendError> {
    Err(absent())
}

pub fn start_on_hardware(_: &DeviceRequest, _: &Ensemble) -> Result<Box<dyn Backend>, String> {
    Err("built without GPU support".into())
}

pub fn has_hardware() -> bool {
    false
}

pub fn unsupported_reason(_: &DeviceRequest) -> Result<Option<String>, BackendError> {
    Err(absent())
}

pub fn tune(_: &DeviceRequest, _: &Ensemble) -> Result<String, BackendError> {
    Err(absent())
}

pub fn memory(_: &DeviceRequest, _: &Ensemble) -> Result<String, BackendError> {
    Err(absent())
}

fn absent() -> BackendError {
    BackendError::unsupported("this featherm was built without GPU support, the feature `gpu`")
}
