//! An open device: every call that a driver can fail in is guarded here, so that each failure is
//! one message and no panic.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::adapter::{AdapterChoice, AdapterInfo, COOPERATIVE, choose};
use super::panic_guard::catch;
use super::programs::Programs;
use crate::backend::BackendError;

/// How long a submission may take before the device counts as hung; submissions aim at a twentieth
/// of a second.
const PATIENCE: Duration = Duration::from_secs(120);

/// A device and its queue; clones are of the same.
#[derive(Debug, Clone)]
pub struct Device {
    pub info: AdapterInfo,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub programs: Arc<Programs>,
    /// What went wrong outside of any guarded call.
    fault: Arc<Mutex<Option<String>>>,
}

impl Device {
    /// Opens the chosen device with default limits but for the sizes of buffers, and of the
    /// optional features those that are of use: timestamps and subgroups; with `cooperative`, where
    /// it has them, cooperative matrices too. With `core` it gets none.
    ///
    /// # Errors
    /// When there is no such device or its driver refuses.
    pub fn open(choice: &AdapterChoice, core: bool, cooperative: bool) -> Result<Self, BackendError> {
        let (adapter, mut info) = choose(choice)?;
        if core {
            info.forgo_optional_features();
        }
        let mut features = wgpu::Features::empty();
        features.set(wgpu::Features::TIMESTAMP_QUERY, info.timestamps);
        features.set(wgpu::Features::SUBGROUP, info.subgroup > 0);
        let cooperative = cooperative && info.cooperative;
        if cooperative {
            features |= COOPERATIVE;
        }
        let limits = wgpu::Limits {
            max_storage_buffer_binding_size: info.max_binding_bytes,
            max_buffer_size: info.max_buffer_bytes,
            ..wgpu::Limits::default()
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("featherm"),
            required_features: features,
            required_limits: limits,
            memory_hints: wgpu::MemoryHints::Performance,
            experimental_features: if cooperative { experimental() } else { wgpu::ExperimentalFeatures::disabled() },
            ..Default::default()
        };
        let opened = catch(|| {
            let opened = pollster::block_on(adapter.request_device(&descriptor));
            opened.map(|(device, queue)| (Arc::new(Programs::new(&device)), device, queue))
        });
        let (programs, device, queue) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return Err(failed(&info.name, &format!("cannot be opened: {error}"))),
            Err(panic) => return Err(failed(&info.name, &format!("cannot be opened: its driver crashed ({panic})"))),
        };
        let fault: Arc<Mutex<Option<String>>> = Arc::default();
        let note = |fault: &Arc<Mutex<Option<String>>>| {
            let fault = Arc::clone(fault);
            move |message: String| {
                fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(message);
            }
        };
        let (lost, uncaptured) = (note(&fault), note(&fault));
        device.set_device_lost_callback(move |reason, message| lost(format!("was lost ({reason:?}: {message})")));
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| uncaptured(describe(&error))));
        Ok(Self { info, device, queue, programs, fault })
    }

    /// Does something in which the driver may fail; `what` completes the sentence "the device
    /// failed while …".
    ///
    /// # Errors
    /// When the driver reports an error, runs out of memory, loses the device or panics.
    pub fn guarded<T>(&self, what: &str, action: impl FnOnce() -> T) -> Result<T, BackendError> {
        let filters = [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation];
        let (result, errors) = catch(|| {
            let scopes = filters.map(|filter| self.device.push_error_scope(filter));
            let result = action();
            // The last opened is closed first.
            let errors: Vec<_> = scopes.into_iter().rev().filter_map(|scope| pollster::block_on(scope.pop())).collect();
            (result, errors)
        })
        .map_err(|panic| self.failed(&format!("failed while {what}: its driver crashed ({panic})")))?;
        // What a lost device reports of single calls only follows from the loss.
        if let Some(fault) = self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Err(self.failed(&format!("failed while {what}: it {fault}")));
        }
        match errors.first() {
            Some(wgpu::Error::OutOfMemory { .. }) => {
                Err(BackendError::OutOfMemory { device: self.info.name.clone(), action: what.into() })
            }
            Some(error) => Err(self.failed(&format!("failed while {what}: {}", describe(error)))),
            None => Ok(result),
        }
    }

    /// A failure of this device.
    pub fn failed(&self, how: &str) -> BackendError {
        failed(&self.info.name, how)
    }

    /// Waits until a submission is done, or all of them.
    ///
    /// # Errors
    /// When the device hangs or is lost.
    pub fn wait(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<(), BackendError> {
        let poll = wgpu::PollType::Wait { submission_index: submission, timeout: Some(PATIENCE) };
        match self.guarded("computing", || self.device.poll(poll))? {
            Ok(_) => Ok(()),
            Err(wgpu::PollError::Timeout) => {
                Err(BackendError::TimedOut { device: self.info.name.clone(), seconds: PATIENCE.as_secs() })
            }
            Err(error) => Err(self.failed(&format!("failed while computing: {error}"))),
        }
    }

    /// A zeroed storage buffer.
    ///
    /// # Errors
    /// When the device has no memory for it.
    pub fn storage(&self, name: &str, bytes: u64) -> Result<wgpu::Buffer, BackendError> {
        use wgpu::BufferUsages as Usage;
        self.buffer(name, bytes.max(16), Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST)
    }

    /// A buffer.
    ///
    /// # Errors
    /// When the device has no memory for it.
    pub fn buffer(&self, name: &str, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer, BackendError> {
        let descriptor = wgpu::BufferDescriptor { label: Some(name), size, usage, mapped_at_creation: false };
        self.guarded(&format!("reserving {:.1} MiB for {name}", size as f64 / 1048576.0), || {
            self.device.create_buffer(&descriptor)
        })
    }

    /// The first `bytes` of a buffer as float32, when all work is done.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read(&self, buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<f32>, BackendError> {
        use wgpu::BufferUsages as Usage;
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let staging = self.buffer("read-back", bytes, Usage::MAP_READ | Usage::COPY_DST)?;
        self.guarded("copying results", || {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, bytes);
            self.queue.submit([encoder.finish()]);
            // What becomes of the mapping shows when the range is asked for.
            staging.slice(..).map_async(wgpu::MapMode::Read, |_| ());
        })?;
        self.wait(None)?;
        let values = self.guarded("reading results back", || {
            staging.slice(..).get_mapped_range().map(|range| bytemuck::pod_collect_to_vec(&range))
        })?;
        values.map_err(|error| self.failed(&format!("failed while reading results back: {error}")))
    }
}

/// Leave to ask for cooperative matrices, whose validation in wgpu is not complete.
fn experimental() -> wgpu::ExperimentalFeatures {
    // SAFETY: of the experimental features only this one is asked for. Its one kernel,
    // shaders/product_cooperative.wgsl, loads and stores whole blocks within the padded sides for
    // which `MemoryPlan` makes room.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

fn failed(name: &str, how: &str) -> BackendError {
    BackendError::Driver { device: name.into(), problem: how.into() }
}

fn describe(error: &wgpu::Error) -> String {
    // The chain of causes is spread over lines.
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
