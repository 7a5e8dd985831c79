//! Compiled kernels of an open device, each source compiled once: ensembles of the same shape on
//! one device share their pipelines.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::BINDINGS;

/// The bind group layout that all kernels share, and the pipelines that were compiled for it.
#[derive(Debug)]
pub struct Programs {
    pub bind_group_layout: wgpu::BindGroupLayout,
    layout: wgpu::PipelineLayout,
    /// By entry point and source: kernels whose texts are equal are one.
    compiled: Mutex<HashMap<(&'static str, String), wgpu::ComputePipeline>>,
}

impl Programs {
    pub fn new(device: &wgpu::Device) -> Self {
        let bind_group_layout = bind_group_layout(device);
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&bind_group_layout)],
            immediate_size: 0,
        });
        Self { bind_group_layout, layout, compiled: Mutex::default() }
    }

    /// The pipeline of a source, if it was compiled before.
    pub fn get(&self, entry: &'static str, source: &str) -> Option<wgpu::ComputePipeline> {
        let compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        compiled.get(&(entry, source.to_owned())).cloned()
    }

    /// Compiles a source; the driver's errors are left to the caller's error scope. `message` is
    /// told the line of the compiler's first message.
    pub fn compile(
        &self,
        device: &wgpu::Device,
        entry: &'static str,
        source: &str,
        message: impl FnOnce(usize),
    ) -> wgpu::ComputePipeline {
        let text = wgpu::ShaderSource::Wgsl(source.into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(entry), source: text });
        let messages = pollster::block_on(module.get_compilation_info()).messages;
        if let Some(location) = messages.first().and_then(|message| message.location) {
            message(location.line_number as usize);
        }
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(entry),
            layout: Some(&self.layout),
            module: &module,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Every workgroup variable is written before it is read.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        })
    }

    /// Keeps a pipeline that compiled without an error.
    pub fn keep(&self, entry: &'static str, source: String, pipeline: wgpu::ComputePipeline) {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner).insert((entry, source), pipeline);
    }
}

fn bind_group_layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    let entries: Vec<_> = (0..)
        .zip(&BINDINGS)
        .map(|(binding, described)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: described.read_only.map_or(wgpu::BufferBindingType::Uniform, |read_only| {
                    wgpu::BufferBindingType::Storage { read_only }
                }),
                has_dynamic_offset: described.read_only.is_none(),
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
}
