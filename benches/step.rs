//! One chain-step of the CPU backend beside the two matrix products it cannot do without.
//!
//! A chain-step is one gradient of one chain with its share of the momentum and noise work:
//! 4·P·r·N1 flops in the products H = W′Zᵀ and gZ, everything else counts as overhead. Criterion
//! times both; the table after it is measured in interleaved rounds and has the parts too, each as
//! a difference of two trajectories: friction = MALT − HMC, activation = erf − identity.

mod common;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use common::{interleaved, measuring, problem};
use criterion::{BenchmarkId, Criterion, Throughput};
use featherm::backend::cpu::Cpu;
use featherm::backend::{Backend, Ensemble, IntegratorParams, Mass, Round, Scheme};
use featherm::model::{Activation, Network, Problem};
use featherm::numerics::noise::{Address, Purpose};
use featherm::studies::speed::Products;

/// Steps of one trajectory: with ten of them the full refreshment at its start is shared as in a
/// run.
const STEPS: u32 = 10;
const ROUNDS: usize = 15;

#[derive(Clone, Copy)]
struct Shape {
    points: usize,
    rank: usize,
    width: usize,
    chains: usize,
}

const SHAPES: [Shape; 3] = [
    Shape { points: 100, rank: 64, width: 50, chains: 128 },
    Shape { points: 100, rank: 100, width: 100, chains: 32 },
    Shape { points: 500, rank: 500, width: 500, chains: 8 },
];

impl Shape {
    fn name(&self) -> String {
        let Self { points, rank, width, chains } = self;
        format!("P={points} r={rank} N1={width} chains={chains}")
    }

    /// Chain-steps of one trajectory of the ensemble.
    fn chain_steps(&self) -> f64 {
        self.chains as f64 * f64::from(STEPS)
    }

    fn products(&self) -> Products {
        Products::new(self.points, self.rank, self.width, self.chains)
    }

    /// Flops of one chain-step.
    fn flops(&self) -> f64 {
        4.0 * (self.points * self.rank * self.width) as f64
    }
}

/// The backend with a move, playing one trajectory after another.
struct Chains {
    backend: Cpu<f32>,
    motion: IntegratorParams,
    trajectory: u32,
}

impl Chains {
    fn new(shape: &Shape, problem: &Problem, activation: Activation, friction: f64) -> Self {
        Self::of(shape, problem, activation, Scheme::Obabo { friction, metropolis: true })
    }

    fn of(shape: &Shape, problem: &Problem, activation: Activation, scheme: Scheme) -> Self {
        let ensemble = Ensemble {
            problem: Arc::new(problem.clone()),
            network: Network { width: shape.width, activation, lambda0: 1.0, lambda1: 1.0 },
            seed: 1,
            temperatures: 1,
            replicas: shape.chains,
            projection_axes: vec![vec![0.0; problem.rank()]],
            histogram_ranges: vec![[1.0; 2]],
            batches: 1,
        };
        let mass = Mass { weights: vec![1.0; problem.rank()], readout: 1.0 };
        Self {
            backend: Cpu::new(ensemble),
            motion: IntegratorParams { beta: 10.0, scheme, step_size: 0.01, mass },
            trajectory: 0,
        }
    }

    fn play(&mut self) {
        let round = Round { trajectory: self.trajectory, steps: vec![STEPS], exchange: None, observe: None };
        self.trajectory += 1;
        let outcome = self.backend.run(std::slice::from_ref(&self.motion), &[round]).expect("the CPU does not fail");
        assert!(outcome[0].transitions.iter().all(|t| !t.diverged), "a diverged chain is not what is to be timed");
    }
}

/// Criterion's own timings of whole trajectories.
fn criterion(c: &mut Criterion) {
    for shape in SHAPES {
        let problem = problem(shape.points, shape.rank, 0);
        let mut group = c.benchmark_group("step");
        group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
        group.throughput(Throughput::Elements((shape.flops() * shape.chain_steps()) as u64));
        let mut malt = Chains::new(&shape, &problem, Activation::Erf, 1.0);
        group.bench_function(BenchmarkId::new("malt", shape.name()), |b| b.iter(|| malt.play()));
        let mut products = shape.products();
        group.bench_function(BenchmarkId::new("matmul", shape.name()), |b| b.iter(|| products.multiply(STEPS)));
        group.finish();
    }
    let mut group = c.benchmark_group("noise");
    let mut normals = vec![0f32; 1 << 14];
    group.throughput(Throughput::Elements(normals.len() as u64));
    group.bench_function("normals", |b| b.iter(|| draw(&mut normals)));
}

fn draw(normals: &mut [f32]) {
    Address { seed: 3, chain: 0, trajectory: 0, step: 0, purpose: Purpose::Friction }.normals(normals);
    black_box(&normals);
}

/// The table: medians of interleaved rounds.
fn summary() {
    println!("\n{} threads, medians of {ROUNDS} interleaved rounds", rayon::current_num_threads());
    println!(
        "shape                          | µs/step | Gflop/s | matmul | fraction | friction µs | activation ns/element"
    );
    for shape in SHAPES {
        let problem = problem(shape.points, shape.rank, 0);
        let chains = |activation, friction| Chains::new(&shape, &problem, activation, friction);
        let (mut malt, mut hmc) = (chains(Activation::Erf, 1.0), chains(Activation::Erf, 0.0));
        let mut identity = chains(Activation::Identity, 1.0);
        let mut products = shape.products();
        let seconds = interleaved(
            ROUNDS,
            &mut [&mut || malt.play(), &mut || products.multiply(STEPS), &mut || hmc.play(), &mut || identity.play()],
        );
        let per_step = |seconds: f64| 1e6 * seconds / shape.chain_steps();
        let gflops = |seconds: f64| shape.flops() * shape.chain_steps() / seconds / 1e9;
        let elements = (shape.points * shape.width) as f64;
        println!(
            "{:30} | {:7.1} | {:7.1} | {:6.1} | {:8.2} | {:11.1} | {:.2}",
            shape.name(),
            per_step(seconds[0]),
            gflops(seconds[0]),
            gflops(seconds[1]),
            seconds[1] / seconds[0],
            per_step(seconds[0] - seconds[2]),
            1e3 * per_step(seconds[0] - seconds[3]) / elements,
        );
    }
    let mut normals = vec![0f32; 1 << 14];
    let seconds = interleaved(ROUNDS, &mut [&mut || (0..100).for_each(|_| draw(&mut normals))]);
    println!("noise: {:.2} ns/normal on one thread", 1e9 * seconds[0] / 100.0 / normals.len() as f64);
    println!("per step and element, the ensemble's {} threads share the work", rayon::current_num_threads());
}

/// Every dimension of a shape doubled by itself: how the time of a step grows with it.
fn exponents() {
    let base = Shape { points: 200, rank: 100, width: 100, chains: 16 };
    let doubled = [
        ("P", Shape { points: 400, ..base }),
        ("r", Shape { rank: 200, ..base }),
        ("N1", Shape { width: 200, ..base }),
        ("chains", Shape { chains: 32, ..base }),
    ];
    for (name, scheme) in SCHEMES {
        let play = |shape: &Shape| {
            let problem = problem(shape.points, shape.rank, 0);
            Chains::of(shape, &problem, Activation::Erf, scheme)
        };
        let mut small = play(&base);
        println!("\nwork ∝ x^k where x doubles from {}; {name}", base.name());
        for (dimension, shape) in &doubled {
            let mut large = play(shape);
            let seconds = interleaved(ROUNDS, &mut [&mut || small.play(), &mut || large.play()]);
            println!("x = {dimension:6} k = {:.2}", (seconds[1] / seconds[0]).log2());
        }
    }
}

const SCHEMES: [(&str, Scheme); 2] = [
    ("readout sampled", Scheme::Obabo { friction: 1.0, metropolis: true }),
    ("readout integrated", Scheme::Marginal { friction: 1.0 }),
];

fn main() {
    let mut c = Criterion::default().configure_from_args();
    criterion(&mut c);
    c.final_summary();
    if measuring() {
        summary();
        exponents();
    }
}
