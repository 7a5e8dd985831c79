//! The graphics devices of this machine: listing them and choosing one.

use std::fmt;
use std::str::FromStr;

use super::layout::LANES;
use super::memory::DeviceLimits;
use super::panic_guard::catch;
use super::tiling::MATRIX;
use crate::backend::BackendError;

/// What products on cooperative matrices need of a device: subgroups divide the tile of a workgroup
/// among themselves.
pub(super) const COOPERATIVE: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16).union(wgpu::Features::SUBGROUP);

/// Whether these are the matrices of shaders/product_cooperative.wgsl.
fn fits(matrices: &wgpu::CooperativeMatrixProperties) -> bool {
    use wgpu::CooperativeScalarType::{F16, F32};

    [matrices.m_size, matrices.n_size, matrices.k_size] == [MATRIX as u32; 3]
        && (matrices.ab_type, matrices.cr_type) == (F16, F32)
}

/// A graphics device as its driver presents it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct AdapterInfo {
    /// Place in the list, by which it can be chosen.
    pub index: usize,
    pub name: String,
    /// `discrete GPU`, `integrated GPU`, `virtual GPU`, `software` or `other`.
    pub kind: String,
    /// `Vulkan`, `Metal` or `Dx12`.
    pub api: String,
    pub driver: String,
    /// Largest part of a buffer that a kernel can see, in bytes.
    pub max_binding_bytes: u64,
    /// Largest buffer, in bytes.
    pub max_buffer_bytes: u64,
    pub max_workgroup_bytes: u32,
    pub max_workgroup_invocations: u32,
    /// Whether kernels can be timed on the device.
    pub timestamps: bool,
    /// Smallest number of invocations that run as one and can hand each other values; 0 where they
    /// cannot.
    pub subgroup: u32,
    /// Whether kernels could calculate in half precision. Only cooperative matrices use it: packing
    /// halves to store them needs no feature.
    pub f16: bool,
    /// Whether it has cooperative matrices of 16 × 16 with float16 operands and float32 sums, which
    /// `--precision f16-matrix` needs.
    pub cooperative: bool,
}

impl AdapterInfo {
    fn new(index: usize, adapter: &wgpu::Adapter) -> Self {
        let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
        Self {
            index,
            kind: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => "discrete GPU",
                wgpu::DeviceType::IntegratedGpu => "integrated GPU",
                wgpu::DeviceType::VirtualGpu => "virtual GPU",
                wgpu::DeviceType::Cpu => "software",
                wgpu::DeviceType::Other => "other",
            }
            .into(),
            api: format!("{:?}", info.backend),
            driver: format!("{} {}", info.driver, info.driver_info).trim().into(),
            max_binding_bytes: limits.max_storage_buffer_binding_size,
            max_buffer_bytes: limits.max_buffer_size,
            max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
            max_workgroup_invocations: limits.max_compute_invocations_per_workgroup,
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            subgroup: if features.contains(wgpu::Features::SUBGROUP) { info.subgroup_min_size } else { 0 },
            f16: features.contains(wgpu::Features::SHADER_F16),
            // A workgroup is to be whole subgroups.
            cooperative: features.contains(COOPERATIVE)
                && info.subgroup_max_size as usize <= LANES
                && adapter.cooperative_matrix_properties().iter().any(fits),
            name: info.name,
        }
    }

    /// What the device allows an ensemble.
    pub fn limits(&self) -> DeviceLimits {
        // Above 2 GiB indices of numbers would leave 32 bits in some compilers' hands as signed.
        DeviceLimits {
            binding_bytes: self.max_binding_bytes.min(self.max_buffer_bytes).min((1 << 31) - 256),
            workgroup_bytes: self.max_workgroup_bytes.min(wgpu::Limits::default().max_compute_workgroup_storage_size),
            workgroup_invocations: self.max_workgroup_invocations.min(256),
            software: self.is_software(),
            subgroup: self.subgroup,
            cooperative: self.cooperative,
        }
    }

    /// Leaves out what WebGPU does not promise.
    pub(super) fn forgo_optional_features(&mut self) {
        (self.timestamps, self.subgroup, self.f16, self.cooperative) = (false, 0, false, false);
    }

    /// Whether this is a program on the processor that pretends to be a GPU.
    pub fn is_software(&self) -> bool {
        self.kind == "software"
    }
}

impl fmt::Display for AdapterInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({}, {}, {})", self.index, self.name, self.kind, self.api, self.driver)
    }
}

/// Which device to run on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AdapterChoice {
    /// The first hardware GPU, discrete before integrated; never a software rasteriser, which is
    /// slower than the CPU backend.
    #[default]
    Auto,
    /// By place in [`adapters`].
    Index(usize),
    /// The first whose name contains this, in any case.
    Name(String),
}

impl FromStr for AdapterChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.parse() {
            Ok(index) => Self::Index(index),
            Err(_) if text == "auto" => Self::Auto,
            Err(_) => Self::Name(text.to_owned()),
        })
    }
}

/// Every graphics device that a driver offers; none where a driver crashes when asked.
pub fn adapters() -> Vec<AdapterInfo> {
    enumerate().map(|found| found.into_iter().map(|(_, info)| info).collect()).unwrap_or_default()
}

/// The chosen device, not yet opened.
///
/// # Errors
/// When there is none such; the message lists those there are.
pub fn find(choice: &AdapterChoice) -> Result<AdapterInfo, BackendError> {
    choose(choice).map(|(_, info)| info)
}

fn enumerate() -> Result<Vec<(wgpu::Adapter, AdapterInfo)>, BackendError> {
    catch(|| {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        let described = found.into_iter().enumerate().map(|(index, adapter)| {
            let info = AdapterInfo::new(index, &adapter);
            (adapter, info)
        });
        described.collect()
    })
    .map_err(|problem| BackendError::Drivers { problem })
}

/// The chosen device.
///
/// # Errors
/// When there is none such; the message lists those there are.
pub(super) fn choose(choice: &AdapterChoice) -> Result<(wgpu::Adapter, AdapterInfo), BackendError> {
    let mut found = enumerate()?;
    let infos: Vec<_> = found.iter().map(|(_, info)| info.clone()).collect();
    let best = match choice {
        AdapterChoice::Auto => ["discrete GPU", "integrated GPU", "virtual GPU", "other"]
            .iter()
            .find_map(|kind| infos.iter().position(|info| info.kind == *kind)),
        AdapterChoice::Index(index) => infos.get(*index).map(|info| info.index),
        AdapterChoice::Name(name) => {
            let name = name.to_lowercase();
            infos.iter().position(|info| info.name.to_lowercase().contains(&name))
        }
    };
    match best {
        Some(index) => Ok(found.swap_remove(index)),
        None => Err(refusal(choice, &infos)),
    }
}

fn refusal(choice: &AdapterChoice, infos: &[AdapterInfo]) -> BackendError {
    let wanted = match choice {
        AdapterChoice::Auto => "no hardware GPU found".to_owned(),
        AdapterChoice::Index(index) => format!("no GPU number {index}"),
        AdapterChoice::Name(name) => format!("no GPU whose name contains `{name}`"),
    };
    if infos.is_empty() {
        return BackendError::NoDriver { wanted };
    }
    BackendError::NotFound { wanted, found: infos.iter().map(ToString::to_string).collect() }
}
