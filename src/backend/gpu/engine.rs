//! Buffers and pipelines of one ensemble on one device, and the submission of commands in chunks of
//! about 50 ms.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Instant;

use super::device::Device;
use super::layout::Call;
use super::memory::MemoryPlan;
use super::schedule::Command;
use super::shader::{Kernel, Source};
use super::submission::{CALL_STRIDE, CALLS, CommandChunk, SubmissionBudget};
use crate::backend::BackendError;
use crate::host::stop::Stop;

/// Commands that are timed in one submission: WebGPU promises room for 4096 times, and each takes
/// two.
const TIMED: usize = 2048;

/// Changes the source of a kernel before it is compiled, to prove that tests see a wrong kernel.
pub type Edit = fn(Kernel, &mut String);

/// An ensemble's memory and programs on a device.
#[derive(Debug)]
pub struct Engine {
    pub device: Device,
    pub plan: MemoryPlan,
    edit: Option<Edit>,
    pipelines: RefCell<HashMap<Kernel, wgpu::ComputePipeline>>,
    pub data: wgpu::Buffer,
    /// One per shard.
    pub state: Vec<wgpu::Buffer>,
    pub features: wgpu::Buffer,
    pub scratch: wgpu::Buffer,
    /// One per shard.
    pub predictions: Vec<wgpu::Buffer>,
    pub gram: Vec<wgpu::Buffer>,
    /// As many as of Gram sums.
    pub weight_moments: Vec<wgpu::Buffer>,
    pub results: wgpu::Buffer,
    calls: wgpu::Buffer,
    /// For each shard the group with its predictions, then one with each buffer of Gram sums, then
    /// one with each of sums of the weights.
    bind_groups: Vec<Vec<wgpu::BindGroup>>,
    /// How fast the device has shown itself to be.
    budget: Cell<SubmissionBudget>,
    /// Between two submissions work ends where this is requested.
    pub stop: Stop,
}

impl Engine {
    /// Reserves the planned memory.
    ///
    /// # Errors
    /// When the device has not got it.
    pub fn new(device: Device, plan: MemoryPlan, edit: Option<Edit>) -> Result<Self, BackendError> {
        let storage = |name| device.storage(name, plan.bytes(name));
        let several = |name, count| (0..count).map(|_| storage(name)).collect::<Result<Vec<_>, _>>();
        let (data, features, scratch) = (storage("data")?, storage("features")?, storage("scratch")?);
        let (systems, results, operands) = (storage("systems")?, storage("results")?, storage("operands")?);
        let (state, predictions) = (several("state", plan.shards)?, several("predictions", plan.shards)?);
        let gram = several("Gram sums", plan.gram_buffers)?;
        let weight_moments = several("weight sums", plan.gram_buffers)?;
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let calls = device.buffer("arguments", (CALLS * CALL_STRIDE) as u64, usage)?;

        let call =
            wgpu::BufferBinding { buffer: &calls, offset: 0, size: wgpu::BufferSize::new(size_of::<Call>() as u64) };
        let bind_groups = device.guarded("binding its buffers", || {
            let group = |shard: usize, accumulators: &wgpu::Buffer| {
                let buffers = [&data, &state[shard], &features, &scratch, accumulators, &results, &systems, &operands];
                let buffers = buffers.map(wgpu::Buffer::as_entire_binding);
                let resources = std::iter::once(wgpu::BindingResource::Buffer(call.clone())).chain(buffers);
                let entries: Vec<_> = (0..)
                    .zip(resources)
                    .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
                    .collect();
                let layout = &device.programs.bind_group_layout;
                let descriptor = wgpu::BindGroupDescriptor { label: None, layout, entries: &entries };
                device.device.create_bind_group(&descriptor)
            };
            let sums = || gram.iter().chain(&weight_moments);
            let groups = |shard| std::iter::once(&predictions[shard]).chain(sums()).map(move |b| (shard, b));
            (0..plan.shards).map(|s| groups(s).map(|(s, b)| group(s, b)).collect()).collect()
        })?;
        let (pipelines, budget) = (RefCell::default(), Cell::default());
        Ok(Self {
            device,
            plan,
            edit,
            pipelines,
            data,
            state,
            features,
            scratch,
            predictions,
            gram,
            weight_moments,
            results,
            calls,
            bind_groups,
            budget,
            stop: Stop::default(),
        })
    }

    /// Runs commands in order. The next submission is prepared while the last one runs.
    ///
    /// # Errors
    /// When the device fails; [`BackendError::Stopped`] on request, once the device is idle.
    pub fn run(&self, commands: &[Command]) -> Result<(), BackendError> {
        for command in commands {
            self.compile(command.kernel)?;
        }
        let mut rest = commands;
        let mut running = None;
        let mut submissions = 0;
        let mut mark = Instant::now();
        while !rest.is_empty() {
            if self.stop.is_requested() {
                self.device.wait(None)?;
                return Err(BackendError::Stopped);
            }
            let chunk = CommandChunk::cut(rest, self.budget.get().operations(submissions));
            submissions += 1;
            rest = &rest[chunk.commands.len()..];
            let submission = self.submit(&chunk)?;
            if let Some((before, cost)) = running.replace((submission, chunk.cost)) {
                self.finish(before, cost, &mut mark)?;
            }
        }
        running.map_or(Ok(()), |(last, cost)| self.finish(last, cost, &mut mark))
    }

    /// Waits for a submission and learns from the time it took.
    fn finish(&self, submission: wgpu::SubmissionIndex, cost: f64, mark: &mut Instant) -> Result<(), BackendError> {
        self.device.wait(Some(submission))?;
        self.budget.set(self.budget.get().after(cost, mark.elapsed().as_secs_f64()));
        *mark = Instant::now();
        Ok(())
    }

    fn submit(&self, chunk: &CommandChunk) -> Result<wgpu::SubmissionIndex, BackendError> {
        self.device.guarded("submitting work", || {
            self.device.queue.write_buffer(&self.calls, 0, &chunk.arguments);
            let mut encoder = self.device.device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for (command, &call) in chunk.commands.iter().zip(&chunk.calls) {
                self.dispatch(&mut pass, command, call);
            }
            drop(pass);
            self.device.queue.submit([encoder.finish()])
        })
    }

    /// Encodes a command whose arguments are number `call`.
    fn dispatch(&self, pass: &mut wgpu::ComputePass, command: &Command, call: usize) {
        let accumulators = match command.kernel {
            Kernel::Gram => 1 + command.gram_buffer,
            Kernel::WeightMoment => 1 + self.gram.len() + command.gram_buffer,
            _ => 0,
        };
        if let Some(pipeline) = self.pipelines.borrow().get(&command.kernel) {
            pass.set_pipeline(pipeline);
        }
        let group = &self.bind_groups[command.shard][accumulators];
        pass.set_bind_group(0, group, &[(call * CALL_STRIDE) as u32]);
        let [x, y, z] = command.groups;
        pass.dispatch_workgroups(x, y, z);
    }

    /// Seconds that the device itself spends in each of the commands, which run one at a time;
    /// `None` where it has no clock.
    ///
    /// Every command is a pass of its own, the only place where all devices take the time, and many
    /// passes are one submission: what lies between two of them is not counted.
    ///
    /// # Errors
    /// When the device fails.
    pub fn profile(&self, commands: &[Command]) -> Result<Option<Vec<f64>>, BackendError> {
        let Device { device, queue, info, .. } = &self.device;
        if !info.timestamps {
            return Ok(None);
        }
        for command in commands {
            self.compile(command.kernel)?;
        }
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let stamps = self.device.buffer("timestamps", 16 * TIMED as u64, usage)?;
        let mut seconds = Vec::with_capacity(commands.len());
        while seconds.len() < commands.len() {
            let rest = &commands[seconds.len()..];
            let chunk = CommandChunk::cut(&rest[..rest.len().min(TIMED)], self.budget.get().full_operations());
            let count = 2 * chunk.commands.len() as u32;
            self.device.guarded("being timed", || {
                queue.write_buffer(&self.calls, 0, &chunk.arguments);
                let ty = wgpu::QueryType::Timestamp;
                let queries = device.create_query_set(&wgpu::QuerySetDescriptor { label: None, ty, count });
                let mut encoder = device.create_command_encoder(&Default::default());
                for ((command, &call), begin) in chunk.commands.iter().zip(&chunk.calls).zip((0..).step_by(2)) {
                    let timestamp_writes = Some(wgpu::ComputePassTimestampWrites {
                        query_set: &queries,
                        beginning_of_pass_write_index: Some(begin),
                        end_of_pass_write_index: Some(begin + 1),
                    });
                    let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
                    self.dispatch(&mut encoder.begin_compute_pass(&descriptor), command, call);
                }
                encoder.resolve_query_set(&queries, 0..count, &stamps, 0);
                queue.submit([encoder.finish()]);
            })?;
            let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&self.device.read(&stamps, 8 * u64::from(count))?);
            let period = 1e-9 * f64::from(queue.get_timestamp_period());
            seconds.extend(ticks.chunks_exact(2).map(|pass| pass[1].saturating_sub(pass[0]) as f64 * period));
        }
        Ok(Some(seconds))
    }

    /// Compiles a kernel when it is first needed.
    fn compile(&self, kernel: Kernel) -> Result<(), BackendError> {
        if self.pipelines.borrow().contains_key(&kernel) {
            return Ok(());
        }
        let mut source = kernel.source(&self.plan.layout);
        if let Some(edit) = self.edit {
            edit(kernel, &mut source.text);
        }
        let pipeline = self.pipeline(kernel, source)?;
        self.pipelines.borrow_mut().insert(kernel, pipeline);
        Ok(())
    }

    fn pipeline(&self, kernel: Kernel, source: Source) -> Result<wgpu::ComputePipeline, BackendError> {
        let Device { device, programs, .. } = &self.device;
        let entry = kernel.entry();
        if let Some(pipeline) = programs.get(entry, &source.text) {
            return Ok(pipeline);
        }
        let mut origin = None;
        let built = self.device.guarded(&format!("compiling the kernel `{entry}`"), || {
            programs.compile(device, entry, &source.text, |line| origin = Some(source.origin(line)))
        });
        let pipeline = built.map_err(|error| match origin {
            Some(origin) => BackendError::Kernel { origin, source: Box::new(error) },
            None => error,
        })?;
        programs.keep(entry, source.text, pipeline.clone());
        Ok(pipeline)
    }
}
