//! The theory's cost at size P beside one self-adjoint eigendecomposition of that size, which it
//! cannot do without.
//!
//! `FEATHERM_BENCH_LARGE=1` adds P = 2000, which takes minutes.

mod common;

use std::hint::black_box;
use std::time::Duration;

use common::{interleaved, measuring, problem};
use criterion::{BenchmarkId, Criterion};
use faer::{Mat, Side};
use featherm::host::stop::Stop;
use featherm::model::{Activation, Network, Problem};
use featherm::theory::ladder::solve;
use featherm::theory::unit::Params;
use featherm::theory::{Theory, TheoryKind};

const ACTIVATIONS: [(&str, Activation); 3] =
    [("erf", Activation::Erf), ("relu", Activation::Relu), ("tanh", Activation::Tanh)];
const DIMENSION: usize = 100;
const TEST_POINTS: usize = 100;
const ROUNDS: usize = 5;

fn sizes() -> Vec<usize> {
    let large = std::env::var_os("FEATHERM_BENCH_LARGE").is_some();
    if large { vec![500, 2000] } else { vec![500] }
}

fn network(points: usize, activation: Activation) -> Network {
    Network { width: points, activation, lambda0: 1.0, lambda1: 1.0 }
}

/// Fifty temperatures from 10 to 0.01, evenly spaced in ln T.
fn temperatures() -> Vec<f64> {
    (0..50).map(|k| 10.0 * 1e-3f64.powf(f64::from(k) / 49.0)).collect()
}

fn theory(problem: &Problem, activation: Activation) -> Theory {
    Theory::new(problem, &network(problem.points(), activation)).expect("the kernels of Gaussian inputs are finite")
}

fn sweep(theory: &Theory, temperatures: &[f64]) {
    let solved = solve(theory, &[TheoryKind::Saddle], temperatures, &Params::default(), &Stop::default(), |_| {});
    let solved = black_box(solved).expect("nobody stops it");
    assert!(solved.failures.is_empty(), "the saddle point of a network as wide as it has data");
}

fn decompose(kernel: &Mat<f64>) {
    black_box(kernel.self_adjoint_eigen(Side::Lower)).expect("a finite kernel has eigenvalues");
}

fn criterion(c: &mut Criterion) {
    let temperatures = temperatures();
    for points in sizes() {
        let problem = problem(points, DIMENSION, TEST_POINTS);
        let mut group = c.benchmark_group("theory");
        group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
        for (name, activation) in ACTIVATIONS {
            let id = |part: &str| BenchmarkId::new(part, format!("{name} P={points}"));
            group.bench_function(id("new"), |b| b.iter(|| theory(&problem, activation)));
            let theory = theory(&problem, activation);
            group.bench_function(id("sweep"), |b| b.iter(|| sweep(&theory, &temperatures)));
        }
        let kernel = theory(&problem, Activation::Erf).kernels().train.clone();
        group.bench_function(BenchmarkId::new("eigen", format!("P={points}")), |b| b.iter(|| decompose(&kernel)));
    }
}

/// The table: medians of interleaved rounds.
fn summary() {
    let temperatures = temperatures();
    println!(
        "\nmedians of {ROUNDS} interleaved rounds, {} temperatures, {TEST_POINTS} test points",
        temperatures.len()
    );
    println!("activation, P  | Theory::new ms | sweep ms | eigendecomposition ms | both/eigendecomposition");
    for points in sizes() {
        let problem = problem(points, DIMENSION, TEST_POINTS);
        for (name, activation) in ACTIVATIONS {
            let ready = theory(&problem, activation);
            let seconds = interleaved(
                ROUNDS,
                &mut [
                    &mut || drop(black_box(theory(&problem, activation))),
                    &mut || sweep(&ready, &temperatures),
                    &mut || decompose(&ready.kernels().train),
                ],
            );
            println!(
                "{:14} | {:14.1} | {:8.1} | {:21.1} | {:.2}",
                format!("{name}, {points}"),
                1e3 * seconds[0],
                1e3 * seconds[1],
                1e3 * seconds[2],
                (seconds[0] + seconds[1]) / seconds[2],
            );
        }
    }
}

fn main() {
    let mut c = Criterion::default().configure_from_args();
    criterion(&mut c);
    c.final_summary();
    if measuring() {
        summary();
    }
}
