//! The ensemble on a graphics device: the whole sampler as compute shaders.
//!
//! Every stage is a kernel in `shaders/`, twin of the file of the same name in `backend/cpu/`. The
//! host turns rounds into a list of dispatches ([`schedule`]), submits it in chunks of about 50 ms
//! ([`engine`]) and reads results back once for many rounds. All arithmetic is float32; sums over
//! many terms that are later subtracted or averaged (losses, energies, predictions, Gram matrices)
//! are double-single. Only forces within a trajectory can be had from products of float16 operands
//! ([`Tiling::Cooperative`]): reversible and volume-preserving like any function of position, they
//! leave the law that float32 energies accept by. A trajectory's last force, from which the next
//! one starts, is float32 too: forwards and backwards the sequence is the same. With the readout
//! integrated out ([`Scheme::Marginal`]) every gradient also factorises one matrix per chain, in
//! float32 like the CPU's; a GPU plays it at all temperatures or at none. Sums are taken in an
//! order that depends on the shapes alone, so a chain's bits do not depend on how many others run
//! beside it.

pub mod adapter;
pub mod device;
pub mod engine;
pub mod integrator;
pub mod layout;
pub mod memory;
pub mod panic_guard;
mod programs;
mod results;
mod saved;
pub mod schedule;
pub mod shader;
pub mod slots;
mod submission;
pub mod tiling;
pub mod tuning;

pub use self::adapter::{AdapterChoice, AdapterInfo, adapters, find};
use self::engine::{Edit, Engine};
use self::integrator::GpuIntegrator;
use self::layout::Layout;
use self::memory::{DeviceLimits, MemoryPlan};
use self::schedule::{Command, Energy, Schedule};
use self::tiling::Tiling;
use self::tuning::Tilings;
use super::{
    Accumulated, Backend, BackendError, Device, Ensemble, IntegratorParams, Moments, Outcome, Round, Scheme, StageTime,
    UnitHistogram, Weights,
};
use crate::host::stop::Stop;
use crate::remedy::{Remedy, Setting};

/// A binding of the one bind group that all kernels share.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// Name in shaders/bindings.wgsl.
    pub name: &'static str,
    /// Whether a storage buffer is only read; `None` for the uniform.
    pub read_only: Option<bool>,
}

/// The bindings in order.
pub const BINDINGS: [Binding; 9] = [
    Binding { name: "call", read_only: None },
    Binding { name: "data", read_only: Some(true) },
    Binding { name: "state", read_only: Some(false) },
    Binding { name: "features", read_only: Some(false) },
    Binding { name: "scratch", read_only: Some(false) },
    Binding { name: "accumulators", read_only: Some(false) },
    Binding { name: "results", read_only: Some(false) },
    Binding { name: "systems", read_only: Some(false) },
    Binding { name: "operands", read_only: Some(false) },
];

/// Choices that are otherwise made for the device.
#[derive(Debug, Clone, Copy, Default)]
pub struct GpuOptions {
    /// How matrix products are divided.
    pub tiling: Option<Tiling>,
    /// Store activations and slopes in float16: half the memory and traffic of the largest buffers,
    /// at a relative error of 5e-4 in each feature. The energy error is then that of the rounded
    /// network, so acceptance falls and results shift in the fourth digit.
    ///
    /// Halves are packed in pairs into words, which every device can do, and not held in arrays of
    /// `f16`: arithmetic is float32 either way, both move the same bytes, and one path for all
    /// devices means one set of bits.
    pub half: bool,
    /// Bytes of a buffer that a kernel may see, where less than the device allows.
    pub binding_bytes: Option<u64>,
    /// Use no optional feature of the device, only what WebGPU promises.
    pub core: bool,
    /// Spoils kernels, for tests that must notice.
    #[doc(hidden)]
    pub edit: Option<Edit>,
}

/// The GPU backend.
#[derive(Debug)]
pub struct Gpu {
    ensemble: Ensemble,
    options: GpuOptions,
    /// Where the tiling is from.
    origin: &'static str,
    engine: Engine,
    /// By what energy chains moved last, of which their gradients are.
    energy: Energy,
    /// Gram matrices added, per temperature and block.
    gram_draws: Vec<usize>,
    /// The same of second moments of the weights.
    weight_draws: Vec<usize>,
    /// Predictions added, per chain and batch.
    predictive_draws: Vec<usize>,
    /// Draws whose units were counted, per chain.
    histogram_draws: Vec<usize>,
}

impl Gpu {
    /// Starts every chain at a draw from the prior. A tiling that `options` leave open is chosen by
    /// rule.
    ///
    /// # Errors
    /// When there is no such device, the ensemble does not fit or the device fails.
    pub fn new(adapter: &AdapterChoice, ensemble: Ensemble, options: GpuOptions) -> Result<Self, BackendError> {
        Self::with_tilings(adapter, ensemble, options, &Tilings::in_cache(None))
    }

    /// The same with the tiling that was measured for this shape, if there is one in `tilings`.
    ///
    /// # Errors
    /// As [`Gpu::new`].
    pub fn with_tilings(
        adapter: &AdapterChoice,
        ensemble: Ensemble,
        options: GpuOptions,
        tilings: &Tilings,
    ) -> Result<Self, BackendError> {
        let device = device::Device::open(adapter, options.core, options.tiling == Some(Tiling::Cooperative))?;
        if options.tiling.is_some() {
            return Self::on_device(device, ensemble, options);
        }
        let tiling = tilings.known(&device.info, &ensemble, options.half);
        Self::on(device, ensemble, GpuOptions { tiling, ..options }, "measured")
    }

    /// The same on a device that is open: ensembles of the same shape then share their compiled
    /// kernels.
    ///
    /// # Errors
    /// When the ensemble does not fit or the device fails.
    pub fn on_device(device: device::Device, ensemble: Ensemble, options: GpuOptions) -> Result<Self, BackendError> {
        Self::on(device, ensemble, options, "asked for")
    }

    /// The ensemble on an open device; a tiling that is not given is chosen by rule.
    fn on(
        device: device::Device,
        ensemble: Ensemble,
        options: GpuOptions,
        origin: &'static str,
    ) -> Result<Self, BackendError> {
        let allowed = device.info.limits();
        let binding_bytes =
            options.binding_bytes.map_or(allowed.binding_bytes, |bytes| bytes.min(allowed.binding_bytes));
        let limits = DeviceLimits { binding_bytes, ..allowed };
        let plan = MemoryPlan::new(&ensemble, &limits, options.tiling, options.half)?;
        let engine = Engine::new(device, plan, options.edit)?;
        let gram_draws = vec![0; ensemble.temperatures * ensemble.gram_blocks()];
        let weight_draws = gram_draws.clone();
        let predictive_draws = vec![0; ensemble.chains() * ensemble.batches];
        let histogram_draws = vec![0; ensemble.chains()];
        let energy = Energy::Loss;
        let origin = if options.tiling.is_some() { origin } else { "by rule" };
        let gpu = Self {
            ensemble,
            options,
            origin,
            engine,
            energy,
            gram_draws,
            weight_draws,
            predictive_draws,
            histogram_draws,
        };
        let fixed = gpu.layout().fixed_data(&gpu.ensemble);
        gpu.write(&gpu.engine.data, 0, &fixed)?;
        gpu.start(true)?;
        Ok(gpu)
    }

    /// How the ensemble is laid out on the device.
    pub fn plan(&self) -> &MemoryPlan {
        &self.engine.plan
    }

    /// The device's buffers and programs.
    #[doc(hidden)]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn layout(&self) -> &Layout {
        &self.engine.plan.layout
    }

    /// Writes `values` behind the first `vectors` vectors of a buffer.
    fn write(&self, buffer: &wgpu::Buffer, vectors: usize, values: &[f32]) -> Result<(), BackendError> {
        self.engine.device.guarded("receiving data", || {
            self.engine.device.queue.write_buffer(buffer, 16 * vectors as u64, bytemuck::cast_slice(values));
        })
    }

    /// Loss and gradient at the chains' positions, which are drawn from the prior first if asked
    /// for.
    fn start(&self, prior: bool) -> Result<(), BackendError> {
        let frozen = vec![GpuIntegrator::frozen(self.layout().rank); self.ensemble.temperatures];
        let steps = std::iter::repeat_n(1, self.ensemble.temperatures);
        self.write(&self.engine.data, self.layout().integrator_start(), &self.layout().moving_data(&frozen, steps))?;
        let mut schedule = Schedule::new(&self.engine.plan);
        schedule.start(prior);
        self.engine.run(&schedule.commands)
    }

    /// By what energy the moves go, and what they are on the device.
    fn integrators(&self, moves: &[IntegratorParams]) -> (Energy, Vec<GpuIntegrator>) {
        let marginal = moves.iter().any(|m| matches!(m.scheme, Scheme::Marginal { .. }));
        let energy = if marginal { Energy::Marginal } else { Energy::Loss };
        (energy, moves.iter().map(|integrator| GpuIntegrator::new(integrator, self.layout().lambda)).collect())
    }

    /// Plays a round with every command timed by the device itself, one after the other; `None`
    /// where it has no clock.
    fn timed(
        &mut self,
        moves: &[IntegratorParams],
        round: &Round,
    ) -> Result<Option<Vec<(Command, f64)>>, BackendError> {
        self.check(moves, std::slice::from_ref(round))?;
        let (energy, integrators) = self.integrators(moves);
        let moving = self.layout().moving_data(&integrators, round.steps.iter().copied());
        self.write(&self.engine.data, self.layout().integrator_start(), &moving)?;
        let mut schedule = Schedule::of(&self.engine.plan, energy, self.energy);
        schedule.round(0, round);
        let (left, commands) = (schedule.left(), schedule.commands);
        let Some(seconds) = self.engine.profile(&commands)? else { return Ok(None) };
        self.energy = left;
        Ok(Some(commands.into_iter().zip(seconds).collect()))
    }

    /// The same ensemble on the same device, divided otherwise.
    fn with_tiling(&self, tiling: Tiling) -> Result<Self, BackendError> {
        let options = GpuOptions { tiling: Some(tiling), ..self.options };
        Self::on(self.engine.device.clone(), self.ensemble.clone(), options, "of its checkpoint")
    }

    /// Plays rounds whose results fit on the device together.
    fn play(
        &mut self,
        energy: Energy,
        integrators: &[GpuIntegrator],
        rounds: &[Round],
    ) -> Result<Vec<Outcome>, BackendError> {
        let layout = self.layout();
        let steps = rounds.iter().flat_map(|round| round.steps.iter().copied());
        self.write(&self.engine.data, layout.integrator_start(), &layout.moving_data(integrators, steps))?;
        let mut schedule = Schedule::of(&self.engine.plan, energy, self.energy);
        rounds.iter().enumerate().for_each(|(slot, round)| schedule.round(slot, round));
        let left = schedule.left();
        self.engine.run(&schedule.commands)?;
        let size = layout.results() * self.ensemble.chains();
        let results = self.engine.device.read(&self.engine.results, (4 * size * rounds.len()) as u64)?;
        let outcomes: Vec<_> = rounds
            .iter()
            .zip(results.chunks_exact(size))
            .map(|(r, results)| results::outcome(layout, r, results))
            .collect();
        self.energy = left;
        for (round, outcome) in rounds.iter().zip(&outcomes) {
            self.count(round, outcome);
        }
        Ok(outcomes)
    }

    /// Counts the draws that the device added to its sums.
    fn count(&mut self, round: &Round, outcome: &Outcome) {
        let Some(observation) = round.observe else { return };
        let (replicas, blocks) = (self.ensemble.replicas, self.ensemble.gram_blocks());
        for (chain, _) in outcome.measurements.iter().enumerate().filter(|(_, m)| !m.lost) {
            let pair = chain / replicas * blocks + self.ensemble.gram_block(chain % replicas);
            self.gram_draws[pair] += usize::from(observation.gram);
            self.weight_draws[pair] += usize::from(observation.weights);
            if let Some(batch) = observation.batch {
                self.histogram_draws[chain] += 1;
                if self.layout().test_points > 0 {
                    self.predictive_draws[chain * self.ensemble.batches + batch] += 1;
                }
            }
        }
    }

    /// The means of symmetric matrices of `size` rows over the draws that `draws` counts by
    /// temperature and block, from buffers of their sums of `vectors` vectors each; empty where
    /// nothing was added.
    fn means(
        &self,
        buffers: &[wgpu::Buffer],
        draws: &[usize],
        size: usize,
        vectors: usize,
    ) -> Result<Vec<Vec<Vec<f64>>>, BackendError> {
        let layout = self.layout();
        let mut means = vec![Vec::new(); layout.temperatures];
        let mut pairs = draws.iter().enumerate();
        for (buffer, draws) in buffers.iter().zip(draws.chunks(self.engine.plan.gram_pairs)) {
            if draws.iter().all(|&draws| draws == 0) {
                pairs.nth(draws.len() - 1);
                continue;
            }
            let sums = self.engine.device.read(buffer, (16 * vectors * draws.len()) as u64)?;
            for (sums, (pair, &draws)) in sums.chunks_exact(4 * vectors).zip(&mut pairs) {
                if draws > 0 {
                    means[pair / layout.gram_blocks].push(results::gram(size, sums, draws));
                }
            }
        }
        Ok(means)
    }

    /// Index of a shard's local chain among all.
    fn chain(&self, shard: usize, local: usize) -> usize {
        let (first, replicas) = self.engine.plan.shard(shard);
        local / replicas * self.ensemble.replicas + first + local % replicas
    }

    /// Reads a buffer of each shard and hands every chain its part of `size` numbers.
    fn each_chain(
        &self,
        size: usize,
        read: impl Fn(usize, u64) -> Result<Vec<f32>, BackendError>,
        mut take: impl FnMut(usize, &[f32]),
    ) -> Result<(), BackendError> {
        for shard in 0..self.engine.plan.shards {
            let chains = self.ensemble.temperatures * self.engine.plan.shard(shard).1;
            let values = read(shard, (4 * size * chains) as u64)?;
            values.chunks_exact(size.max(1)).enumerate().for_each(|(local, part)| take(self.chain(shard, local), part));
        }
        Ok(())
    }

    /// Refuses rounds and moves that do not belong to this ensemble.
    fn check(&self, moves: &[IntegratorParams], rounds: &[Round]) -> Result<(), BackendError> {
        let (temperatures, rank) = (self.ensemble.temperatures, self.layout().rank);
        let shape = moves.len() == temperatures
            && moves.iter().all(|m| m.mass.weights.len() == rank)
            && rounds.iter().all(|r| r.steps.len() == temperatures);
        if !shape {
            return Err(BackendError::Invalid(format!(
                "moves and steps must be given for {temperatures} temperatures, masses for {rank} directions"
            )));
        }
        let integrated = moves.iter().filter(|m| matches!(m.scheme, Scheme::Marginal { .. })).count();
        if integrated > 0 && !self.integrates_readout() {
            return Err(BackendError::Unsupported {
                reason: format!(
                    "the GPU backend cannot integrate out the readout of {} units given {} points",
                    self.layout().units,
                    self.layout().points
                ),
                remedies: vec![Remedy::set(Setting::Readout, "sampled")],
            });
        }
        if integrated % temperatures != 0 {
            return Err(BackendError::Invalid(
                "the GPU backend integrates the readout out at all temperatures or at none".into(),
            ));
        }
        if moves.iter().any(|m| m.scheme == Scheme::Ula && m.beta <= 0.0) {
            return Err(BackendError::Invalid("ULA needs a finite temperature: its noise is √(2ηT)".into()));
        }
        Ok(())
    }
}

impl Backend for Gpu {
    fn integrates_readout(&self) -> bool {
        self.layout().integrated
    }

    fn device(&self) -> Device {
        let info = &self.engine.device.info;
        Device {
            backend: "gpu".into(),
            name: format!("{} ({}, {})", info.name, info.kind, info.api),
            tiling: Some(format!("{}, {}", self.layout().tiling, self.origin)),
        }
    }

    fn heed(&mut self, stop: Stop) {
        self.engine.stop = stop;
    }

    fn run(&mut self, moves: &[IntegratorParams], rounds: &[Round]) -> Result<Vec<Outcome>, BackendError> {
        self.check(moves, rounds)?;
        let (energy, integrators) = self.integrators(moves);
        let mut outcomes = Vec::with_capacity(rounds.len());
        for rounds in rounds.chunks(self.engine.plan.rounds) {
            outcomes.extend(self.play(energy, &integrators, rounds)?);
        }
        Ok(outcomes)
    }

    fn stages(&mut self, moves: &[IntegratorParams], round: &Round) -> Result<Vec<StageTime>, BackendError> {
        // A step from the middle of a trajectory.
        let middle = round.steps.iter().copied().max().unwrap_or(1) / 2;
        let timed = self.timed(moves, round)?.unwrap_or_default();
        let step = timed.into_iter().filter(|(command, _)| command.call.step == middle);
        Ok(step.map(|(command, seconds)| StageTime { stage: command.kernel.entry().into(), seconds }).collect())
    }

    fn busy(&mut self, moves: &[IntegratorParams], round: &Round) -> Result<Option<f64>, BackendError> {
        let timed = self.timed(moves, round)?;
        Ok(timed.map(|commands| commands.iter().map(|(_, seconds)| seconds).sum()))
    }

    fn moments(&self) -> Result<Vec<Moments>, BackendError> {
        let (layout, device) = (self.layout(), &self.engine.device);
        let empty = Moments {
            weight_mean: vec![0.0; layout.rank],
            weight_square: vec![0.0; layout.rank],
            readout_mean: 0.0,
            readout_square: 0.0,
        };
        let mut moments = vec![empty; layout.temperatures];
        let mut units = vec![0.0; layout.temperatures];
        let read = |shard, bytes| {
            let mut schedule = Schedule::new(&self.engine.plan);
            schedule.moments(shard);
            self.engine.run(&schedule.commands)?;
            device.read(&self.engine.scratch, bytes)
        };
        self.each_chain(layout.chain_moments(), read, |chain, sums| {
            let temperature = chain / layout.replicas;
            // The kernel leaves the mark of a lost chain behind the sums.
            if sums[sums.len() - 1] == 0.0 {
                results::add_moments(layout, sums, &mut moments[temperature]);
                units[temperature] += layout.units as f64;
            }
        })?;
        for (Moments { weight_mean, weight_square, readout_mean, readout_square }, units) in
            moments.iter_mut().zip(units)
        {
            weight_mean.iter_mut().chain(weight_square).chain([readout_mean, readout_square]).for_each(|m| *m /= units);
        }
        Ok(moments)
    }

    fn merge_batches(&mut self) -> Result<(), BackendError> {
        self.merge_predictions()
    }

    fn save(&self, saved: &mut Vec<u8>) -> Result<(), BackendError> {
        super::saved::append(&self.device_state()?, saved)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<bool, BackendError> {
        super::saved::read(saved).map_or(Ok(false), |state| self.restore_state(state))
    }

    fn accumulated(&self) -> Result<Accumulated, BackendError> {
        let (layout, device) = (self.layout(), &self.engine.device);
        let gram = self.means(&self.engine.gram, &self.gram_draws, layout.points, layout.gram_vectors())?;
        let (sums, vectors) = (&self.engine.weight_moments, layout.weight_moment_vectors());
        let weights = self.means(sums, &self.weight_draws, layout.rank, vectors)?;
        let mut predictive = vec![vec![Vec::new(); layout.replicas]; layout.temperatures];
        let batch = 4 * layout.test_points;
        let read = |shard: usize, bytes| device.read(&self.engine.predictions[shard], bytes);
        let mut units = vec![vec![UnitHistogram::new(layout.rank); layout.replicas]; layout.temperatures];
        self.each_chain(4 * layout.chain_sums(), read, |chain, sums| {
            let draws = &self.predictive_draws[chain * layout.batches..][..layout.batches];
            let (temperature, replica) = (chain / layout.replicas, chain % layout.replicas);
            let batches = (0..).zip(draws).map(|(k, &draws)| results::predictive(&sums[k * batch..][..batch], draws));
            predictive[temperature][replica] = batches.collect();
            units[temperature][replica] = results::histogram(layout, sums, self.histogram_draws[chain]);
        })?;
        Ok(Accumulated { gram, weights, predictive, units })
    }

    fn weights(&self) -> Result<Vec<Weights>, BackendError> {
        let (layout, device) = (self.layout(), &self.engine.device);
        let mut weights = vec![Weights { readout: Vec::new(), rotated: Vec::new() }; self.ensemble.chains()];
        let read = |shard: usize, bytes| device.read(&self.engine.state[shard], bytes);
        let widen = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
        self.each_chain(4 * layout.chain_state(), read, |chain, values| {
            let row = 4 * layout.rank_vectors();
            let (rows, readout) = values.split_at(layout.units * row);
            weights[chain] = Weights {
                readout: widen(&readout[..layout.units]),
                rotated: rows.chunks_exact(row).flat_map(|w| widen(&w[..layout.rank])).collect(),
            };
        })?;
        Ok(weights)
    }

    fn set_weights(&mut self, weights: &[Weights]) -> Result<(), BackendError> {
        let layout = self.layout();
        if weights.len() != self.ensemble.chains() {
            return Err(BackendError::Invalid(format!(
                "{} states given for {} chains",
                weights.len(),
                self.ensemble.chains()
            )));
        }
        for shard in 0..self.engine.plan.shards {
            let chains = self.ensemble.temperatures * self.engine.plan.shard(shard).1;
            let size = 4 * layout.chain_state();
            let mut values = vec![0f32; size * chains];
            for (local, state) in values.chunks_exact_mut(size).enumerate() {
                let Weights { readout, rotated } = &weights[self.chain(shard, local)];
                let (rows, rest) = state.split_at_mut(4 * layout.units * layout.rank_vectors());
                let rows = rows.chunks_exact_mut(4 * layout.rank_vectors()).zip(rotated.chunks_exact(layout.rank));
                let pairs = rows.flat_map(|(to, from)| to.iter_mut().zip(from)).chain(rest.iter_mut().zip(readout));
                pairs.for_each(|(to, from)| *to = *from as f32);
            }
            // Positions are the first section.
            self.write(&self.engine.state[shard], 0, &values)?;
        }
        self.start(false)?;
        self.energy = Energy::Loss;
        Ok(())
    }
}
