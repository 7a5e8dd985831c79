//! What sampling costs: whole steps of the sampler beside the matrix products that they cannot do
//! without, their stages, and what draws are worth.

mod products;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

use serde::Serialize;

pub use self::products::Products;
use super::{StudyError, load, run_to_completion};
use crate::backend::{Backend, BackendError, Device, IntegratorParams, Mass, Precision, Round, Scheme, StageTime};
use crate::config::Setup;
use crate::host::memory;
use crate::model::Activation;
use crate::sampler::Readout;
use crate::session::{Event, Job, RunError, Session};

/// Steps of a timed trajectory: with ten of them the full refreshment at its start is shared as in
/// a run.
const STEPS: u32 = 10;

/// Short enough that nothing diverges; the time of a step does not depend on its length.
const STEP_SIZE: f64 = 1e-3;

const MIB: f64 = 1048576.0;

/// A whole step of MALT on one problem and device. One chain-step is one gradient of one chain and
/// all that goes with it; its flops are counted as 4·P·r·N1, those of the two products, whatever
/// else it does.
#[derive(Debug, Clone, Serialize)]
pub struct StepSpeed {
    pub backend: String,
    pub precision: Precision,
    /// Whether v is integrated out, or moves beside W.
    pub readout: Readout,
    pub activation: Activation,
    pub p: usize,
    pub n0: usize,
    pub rank: usize,
    pub width: usize,
    /// Per temperature.
    pub chains: usize,
    pub temperatures: Vec<f64>,
    pub chain_steps_per_s: f64,
    pub gflops: f64,
    /// faer's float32 products of the same shapes on all cores, timed in turn with the steps; only
    /// beside the CPU backend.
    pub matmul_gflops: Option<f64>,
    pub fraction_of_matmul: Option<f64>,
    pub stages: Vec<StageTime>,
    /// How a GPU divides matrix products, and why so.
    pub tiling: Option<String>,
    /// The share of the time of whole steps in which a GPU does not compute, by its own clock: what
    /// lies between dispatches, and host work that it waits for. Below zero it is noise. None where
    /// there is no such clock.
    pub gaps: Option<f64>,
    /// The most memory that this process had while it was measured; on Linux.
    pub peak_memory_mib: Option<f64>,
    /// A run with these settings.
    pub run: Option<RunSpeed>,
}

/// What a run took and what its draws are worth.
#[derive(Debug, Clone, Serialize)]
pub struct RunSpeed {
    pub theory_s: f64,
    pub warmup_s: f64,
    pub sampling_s: f64,
    pub gradients: u64,
    /// Bulk effective samples per second of sampling, one per temperature, of every scalar
    /// observable.
    pub ess_per_s: BTreeMap<String, Vec<f64>>,
}

/// Times steps with the readout sampled and, where the device can, integrated out: medians of
/// `rounds` rounds, at least one, in turn.
///
/// # Errors
/// As [`crate::session::Session::run`].
pub fn steps_of(setup: &Setup, rounds: usize) -> Result<(Device, Vec<StepSpeed>), StudyError> {
    let rounds = rounds.max(1);
    memory::reset_peak();
    let session = Session::new(setup.experiment(), load(setup)?)?;
    let job = session.solve(|_| ControlFlow::Continue(()))?;
    let mut backend = job.open(setup.device())?.backend;
    let mut speeds = vec![steps(setup, &job, backend.as_mut(), Readout::Sampled, rounds)?];
    if backend.integrates_readout() {
        speeds.push(steps(setup, &job, backend.as_mut(), Readout::Integrated, rounds)?);
    }
    note_peak(&mut speeds);
    Ok((backend.device(), speeds))
}

/// Runs what the experiment asks for, which is told to `listener`, and adds what its draws are
/// worth to the speed of the steps that it plays.
///
/// # Errors
/// As [`crate::session::Session::run`].
pub fn add_run(
    speeds: &mut [StepSpeed],
    setup: &Setup,
    listener: impl FnMut(&Event) -> ControlFlow<()>,
) -> Result<(), StudyError> {
    let run = run(setup, listener)?;
    let sampler = setup.experiment().sampler();
    let integrated = sampler.readout != Some(Readout::Sampled) && sampler.kind.adjusted();
    let wished = if integrated { Readout::Integrated } else { Readout::Sampled };
    let played = speeds.iter().position(|speed| speed.readout == wished).unwrap_or(0);
    if let Some(speed) = speeds.get_mut(played) {
        speed.run = Some(run);
    }
    note_peak(speeds);
    Ok(())
}

fn note_peak(speeds: &mut [StepSpeed]) {
    for speed in speeds {
        speed.peak_memory_mib = memory::peak().map(|bytes| bytes as f64 / MIB);
    }
}

fn steps(
    setup: &Setup,
    job: &Job,
    backend: &mut dyn Backend,
    readout: Readout,
    rounds: usize,
) -> Result<StepSpeed, RunError> {
    let ensemble = job.ensemble();
    let (problem, network) = (&ensemble.problem, ensemble.network);
    let (points, rank, width) = (problem.points(), problem.rank(), network.width);
    let scheme = match readout {
        Readout::Integrated => Scheme::Marginal { friction: 1.0 },
        Readout::Sampled => Scheme::Obabo { friction: 1.0, metropolis: true },
    };
    let motion = |temperature: &f64| {
        let mass = Mass { weights: vec![network.lambda0; rank], readout: network.lambda1 };
        IntegratorParams { beta: 1.0 / temperature, scheme, step_size: STEP_SIZE, mass }
    };
    let moves: Vec<IntegratorParams> = setup.experiment().temperatures().iter().map(motion).collect();
    let round = |trajectory: usize| Round {
        trajectory: trajectory as u32,
        steps: vec![STEPS; moves.len()],
        exchange: None,
        observe: None,
    };
    // A GPU takes several trajectories in one submission, and is timed that way.
    let Device { backend: device, tiling, .. } = backend.device();
    let batch = if device == "cpu" { 1 } else { 4 };
    let mut products = (device == "cpu").then(|| Products::new(points, rank, width, ensemble.chains()));
    let (mut taken, mut multiplied, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    // The first round warms caches, pools and pipelines up, and is not counted.
    for k in 0..=rounds {
        let played: Vec<Round> = (0..batch).map(|b| round(1 + k * batch + b)).collect();
        let start = Instant::now();
        let outcomes = backend.run(&moves, &played)?;
        taken.push(start.elapsed().as_secs_f64() / batch as f64);
        if outcomes.iter().flat_map(|o| &o.transitions).any(|t| t.diverged) {
            return Err(
                BackendError::Invalid("a chain diverged while it was timed: nothing was measured".into()).into()
            );
        }
        // Of the last trajectory once more, so that a device whose clock rate wanders is compared
        // with itself.
        if let Some(busy) = backend.busy(&moves, &round(k * batch + batch))? {
            gaps.push(1.0 - busy / taken[k]);
        }
        if let Some(products) = &mut products {
            let start = Instant::now();
            products.multiply(STEPS);
            multiplied.push(start.elapsed().as_secs_f64());
        }
    }
    let stages = stages(backend, &moves, &round(1 + (rounds + 1) * batch), rounds)?;
    let chain_steps = f64::from(STEPS) * ensemble.chains() as f64;
    let gflops = |seconds: f64| 4.0 * (points * rank * width) as f64 * chain_steps / seconds / 1e9;
    let (seconds, matmul) = (median(&taken[1..]), products.map(|_| median(&multiplied[1..])));
    Ok(StepSpeed {
        backend: device,
        precision: setup.device().precision,
        readout,
        activation: network.activation,
        p: points,
        n0: problem.dimension(),
        rank,
        width,
        chains: ensemble.replicas,
        temperatures: setup.experiment().temperatures().to_vec(),
        chain_steps_per_s: chain_steps / seconds,
        gflops: gflops(seconds),
        matmul_gflops: matmul.map(gflops),
        fraction_of_matmul: matmul.map(|matmul| matmul / seconds),
        stages,
        tiling,
        gaps: gaps.get(1..).map(median),
        peak_memory_mib: None,
        run: None,
    })
}

/// Medians over as many rounds.
fn stages(
    backend: &mut dyn Backend,
    moves: &[IntegratorParams],
    round: &Round,
    rounds: usize,
) -> Result<Vec<StageTime>, BackendError> {
    let measured: Vec<Vec<StageTime>> = (0..rounds).map(|_| backend.stages(moves, round)).collect::<Result<_, _>>()?;
    let of = |k: usize| median(&measured.iter().map(|stages| stages[k].seconds).collect::<Vec<_>>());
    Ok(measured[0].iter().enumerate().map(|(k, at)| StageTime { stage: at.stage.clone(), seconds: of(k) }).collect())
}

fn run(setup: &Setup, listener: impl FnMut(&Event) -> ControlFlow<()>) -> Result<RunSpeed, StudyError> {
    let document = run_to_completion(setup, listener)?;
    let timing = document.timing;
    let mut ess_per_s: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for at in &document.temperatures {
        for (name, observable) in &at.observables {
            if let Some(ess) = observable.ess.scalar() {
                ess_per_s.entry(name.clone()).or_default().push(ess / timing.sampling_s);
            }
        }
    }
    let (theory_s, warmup_s, sampling_s) = (timing.theory_s, timing.warmup_s, timing.sampling_s);
    Ok(RunSpeed { theory_s, warmup_s, sampling_s, gradients: timing.gradients, ess_per_s })
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
