//! Speed of the GPU backend, one JSON document per line: per case chain-steps and operations per
//! second, and for each kernel of a step the time on the device's own clock with its share of
//! operations and bytes. `FEATHERM_GPU` names the device; the default is the first. Without any it
//! says so and ends.
//!
//! Run with `cargo bench --bench gpu`; with `-- --test` one small case only shows that it works.

use std::sync::Arc;
use std::time::Instant;

use featherm::backend::gpu::layout::Layout;
use featherm::backend::gpu::schedule::{Energy, Schedule};
use featherm::backend::gpu::shader::Kernel;
use featherm::backend::gpu::tiling::Tiling;
use featherm::backend::gpu::tuning::TILINGS;
use featherm::backend::gpu::{AdapterChoice, Gpu, GpuOptions, adapters};
use featherm::backend::{Backend, BackendError, Ensemble, IntegratorParams, Mass, Round, Scheme};
use featherm::model::{Activation, Network, Problem, Task};
use featherm::numerics::noise::{Address, Purpose};
use ndarray::{Array1, Array2};
use serde_json::{Value, json};

/// Steps of the timed trajectory.
const STEPS: u32 = 10;
/// (P, N1, chains), with as many input dimensions as points.
const CASES: [(usize, usize, usize); 2] = [(50, 100, 64), (200, 200, 8)];

/// The case of `--test`.
const SMALL: (usize, usize, usize) = (12, 9, 2);

fn main() -> Result<(), BackendError> {
    if adapters().is_empty() {
        println!("no graphics device: nothing to measure");
        return Ok(());
    }
    let choice = match std::env::var("FEATHERM_GPU").as_deref().unwrap_or("0").parse() {
        Ok(choice) => choice,
        Err(never) => match never {},
    };
    let cases = if std::env::args().any(|argument| argument == "--test") { vec![SMALL] } else { CASES.to_vec() };
    for (points, width, chains) in cases {
        let ensemble = ensemble(points, width, chains)?;
        for tiling in TILINGS.into_iter().chain([Tiling::Cooperative]) {
            // Not every device has subgroups, or cooperative matrices.
            match case(&choice, &ensemble, GpuOptions { tiling: Some(tiling), ..GpuOptions::default() }) {
                Ok(line) => println!("{line}"),
                Err(error) => eprintln!("{tiling:?}: {error}"),
            }
        }
        println!("{}", case(&choice, &ensemble, GpuOptions { half: true, ..GpuOptions::default() })?);
        println!("{}", moved(&choice, &ensemble, GpuOptions::default(), Scheme::Marginal { friction: 0.5 })?);
    }
    Ok(())
}

fn ensemble(points: usize, width: usize, chains: usize) -> Result<Ensemble, BackendError> {
    let address = Address { seed: 1, chain: 0, trajectory: 0, step: 0, purpose: Purpose::Data };
    let mut inputs = vec![0.0; points * points];
    address.normals(&mut inputs);
    let task = Task {
        name: "gaussian".into(),
        x_train: Array2::from_shape_fn((points, points), |(i, j)| inputs[i * points + j]),
        y_train: Array1::from_shape_fn(points, |i| if i % 2 == 0 { 1.0 } else { -1.0 }),
        class_train: (0..points).map(|i| i % 2).collect(),
        x_test: Array2::zeros((0, points)),
        y_test: Array1::zeros(0),
        class_test: vec![],
        class_names: vec!["+".into(), "-".into()],
    };
    let problem = Arc::new(Problem::new(&task).map_err(|error| BackendError::Invalid(error.to_string()))?);
    let network = Network { width, activation: Activation::Erf, lambda0: 1.0, lambda1: 1.0 };
    let projection_axes = vec![vec![0.0; problem.rank()]];
    let histogram_ranges = vec![[1.0; 2]];
    Ok(Ensemble {
        problem,
        network,
        seed: 1,
        temperatures: 1,
        replicas: chains,
        projection_axes,
        histogram_ranges,
        batches: 1,
    })
}

fn case(choice: &AdapterChoice, ensemble: &Ensemble, options: GpuOptions) -> Result<Value, BackendError> {
    moved(choice, ensemble, options, Scheme::Obabo { friction: 0.5, metropolis: true })
}

fn moved(
    choice: &AdapterChoice,
    ensemble: &Ensemble,
    options: GpuOptions,
    scheme: Scheme,
) -> Result<Value, BackendError> {
    let energy = if matches!(scheme, Scheme::Marginal { .. }) { Energy::Marginal } else { Energy::Loss };
    let mut gpu = Gpu::new(choice, ensemble.clone(), options)?;
    let mass = Mass { weights: vec![10.0; ensemble.problem.rank()], readout: 10.0 };
    let moves = [IntegratorParams { beta: 1.0, scheme, step_size: 0.1, mass }];
    let round = |trajectory| Round { trajectory, steps: vec![STEPS], exchange: None, observe: None };
    gpu.run(&moves, &[round(1), round(2)])?;
    let start = Instant::now();
    gpu.run(&moves, &[round(3), round(4), round(5)])?;
    let seconds = start.elapsed().as_secs_f64();

    let mut schedule = Schedule::of(gpu.plan(), energy, energy);
    schedule.round(0, &round(6));
    let step: Vec<_> = schedule.commands.into_iter().filter(|command| command.call.step == STEPS / 2).collect();
    let times = gpu.engine().profile(&step)?;
    let layout = &gpu.plan().layout;
    let kernels: Vec<_> = step
        .iter()
        .zip(times.unwrap_or_default())
        .map(|(command, seconds)| {
            let (operations, bytes) = work(command.kernel, layout);
            json!({
                "kernel": command.kernel.entry(),
                "ms": 1e3 * seconds,
                "gflops": operations * ensemble.chains() as f64 / seconds / 1e9,
                "gbytes_per_s": bytes * ensemble.chains() as f64 / seconds / 1e9,
            })
        })
        .collect();

    let steps = (3 * STEPS) as usize * ensemble.chains();
    let (p, rank) = (ensemble.problem.points(), ensemble.problem.rank());
    Ok(json!({
        "schema": "featherm.bench.gpu/1",
        "device": gpu.device(),
        "p": p,
        "rank": rank,
        "width": ensemble.network.width,
        "chains": ensemble.chains(),
        "tiles": match layout.tiling {
            Tiling::Register(_) => "register",
            Tiling::Workgroup(_) => "workgroup",
            Tiling::Subgroup => "subgroup",
            Tiling::Cooperative => "cooperative",
            Tiling::Emulated => "emulated",
        },
        "block": layout.tiling.block(),
        "half": layout.half,
        "readout": if energy == Energy::Marginal { "integrated" } else { "sampled" },
        "chain_steps_per_s": steps as f64 / seconds,
        "gflops": (4 * p * rank * ensemble.network.width * steps) as f64 / seconds / 1e9,
        "memory_mib": gpu.plan().total_bytes() as f64 / 1048576.0,
        "kernels": kernels,
    }))
}

/// Operations of one chain in a kernel, and the bytes that it must at least move.
fn work(kernel: Kernel, layout: &Layout) -> (f64, f64) {
    let (p, n, r) = (layout.points as f64, layout.units as f64, layout.rank as f64);
    let order = layout.order() as f64;
    let feature = layout.feature_bytes() as f64 / 4.0;
    match kernel {
        Kernel::Forward => (2.0 * p * n * r, 4.0 * n * r + 2.0 * feature * p * n),
        // Position and momentum are read and written.
        Kernel::Backward => (2.0 * p * n * r, 16.0 * n * r + feature * p * n),
        Kernel::BackwardReadout => (2.0 * p * n, feature * p * n + 16.0 * n),
        Kernel::BackwardMarginal => (2.0 * p * n * r, 16.0 * n * r + (feature + 4.0) * p * n),
        // One half of a symmetric product.
        Kernel::Assemble => (order * p * n, feature * p * n + 4.0 * order * order),
        Kernel::Factorize => (order * order * order / 3.0, 8.0 * order * order),
        Kernel::Solve => (2.0 * order * p * n, (feature + 4.0) * p * n + 4.0 * order * order),
        Kernel::Evaluate => (4.0 * p * n, (feature + 4.0) * p * n),
        Kernel::Residual => (3.0 * p, p * n / 2.0),
        _ => (0.0, 0.0),
    }
}
