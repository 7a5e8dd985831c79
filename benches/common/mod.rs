//! What the benchmarks share: a problem of a given shape, and timings that are interleaved so that
//! a busy machine slows all alike.
#![allow(dead_code, reason = "each benchmark uses its part")]

use std::time::Instant;

use featherm::model::{Problem, Task};
use featherm::numerics::noise::{Address, Purpose};
use ndarray::{Array1, Array2};

/// Standard Gaussian inputs in `rank` dimensions, `points` ≥ `rank` of them, labelled by the sign
/// of their first coordinate, with `test` test points.
pub fn problem(points: usize, rank: usize, test: usize) -> Problem {
    let inputs = |count: usize, step: u32| {
        let mut values = vec![0f64; count * rank];
        Address { seed: 1, chain: 0, trajectory: 0, step, purpose: Purpose::Data }.normals(&mut values);
        Array2::from_shape_fn((count, rank), |(i, j)| values[i * rank + j])
    };
    let classes = |x: &Array2<f64>| x.column(0).iter().map(|&x| usize::from(x < 0.0)).collect::<Vec<_>>();
    let labels = |classes: &[usize]| classes.iter().map(|&class| 1.0 - 2.0 * class as f64).collect::<Array1<_>>();
    let (x_train, x_test) = (inputs(points, 0), inputs(test, 1));
    let (class_train, class_test) = (classes(&x_train), classes(&x_test));
    let task = Task {
        name: "benchmark".into(),
        y_train: labels(&class_train),
        y_test: labels(&class_test),
        x_train,
        x_test,
        class_train,
        class_test,
        class_names: vec!["+".into(), "-".into()],
    };
    Problem::new(&task).expect("Gaussian inputs have a rank")
}

/// Median seconds of every job over `rounds` rounds, each of which runs all jobs in turn, after one
/// that is not counted.
pub fn interleaved(rounds: usize, jobs: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    let mut seconds = vec![Vec::with_capacity(rounds); jobs.len()];
    for round in 0..=rounds {
        for (job, seconds) in jobs.iter_mut().zip(&mut seconds) {
            let start = Instant::now();
            job();
            if round > 0 {
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
    }
    seconds.into_iter().map(median).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Whether this run measures: `cargo bench` without `--test`, `--list` or `--profile-time`.
pub fn measuring() -> bool {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    has("--bench") && !has("--test") && !has("--list") && !has("--profile-time")
}
