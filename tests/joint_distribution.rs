//! Samplers judged by the joint law of weights and data: Geweke's alternation and simulation-based calibration, each with controls.
//!
//! Neither needs a reference value: weights drawn from the prior with labels drawn given them are an exact draw of the joint law, and
//! whatever alternates between its two conditionals must leave it as it is.

mod common;

use std::sync::Arc;

use common::task;
use featherm::backend::cpu::Cpu;
use featherm::backend::{Backend, Ensemble, Mass, Move, Round, Scheme, Weights};
use featherm::model::{Activation, Network, Problem};
use featherm::noise::{Address, Purpose};

const POINTS: usize = 5;
const RANK: usize = 3;
const TEMPERATURE: f64 = 0.4;

/// Largest |z| of a statistic of a right sampler, and least largest |z| of a wrong one.
const BOUND: f64 = 4.0;

fn network(activation: Activation) -> Network {
    Network { width: 4, activation, lambda0: 0.8, lambda1: 1.5 }
}

fn problem() -> Problem {
    let entry = |i: usize, j: usize| (((i * 31 + j * 57 + i * j * 13) % 23) as f64 - 11.0) / 7.0;
    let inputs: Vec<Vec<f64>> = (0..POINTS).map(|i| (0..RANK).map(|j| entry(i, j)).collect()).collect();
    Problem::new(&task(&inputs, &[1.0, -1.0, 1.0, -1.0, 1.0], &[])).unwrap()
}

/// One chain, alone with its own labels.
struct Replicate {
    ensemble: Ensemble,
    weights: Weights,
}

impl Replicate {
    /// Weights from the prior.
    fn new(problem: &Problem, network: Network, seed: u64) -> Self {
        let ensemble = Ensemble {
            problem: Arc::new(problem.clone()),
            network,
            seed,
            temperatures: 1,
            replicas: 1,
            directions: vec![vec![0.0; RANK]],
            reaches: vec![[1.0; 2]],
            batches: 1,
        };
        let weights = Cpu::<f32>::new(ensemble.clone()).weights().unwrap().remove(0);
        Self { ensemble, weights }
    }

    fn outputs(&self) -> Vec<f64> {
        let Ensemble { problem, network, .. } = &self.ensemble;
        let unit = |i: usize, mu: usize| {
            let h: f64 = (0..RANK).map(|j| self.weights.rotated[i * RANK + j] * problem.z_train[(mu, j)]).sum();
            self.weights.readout[i] * network.activation.sigma(h)
        };
        let scale = 1.0 / (network.width as f64).sqrt();
        (0..POINTS).map(|mu| scale * (0..network.width).map(|i| unit(i, mu)).sum::<f64>()).collect()
    }

    /// Labels given weights: y = f + √T ξ.
    fn relabel(&mut self, round: u32) {
        let mut labels = vec![0.0; POINTS];
        Address { seed: self.ensemble.seed, chain: 1, trajectory: round, step: 0, purpose: Purpose::Data }
            .normals(&mut labels);
        for (y, f) in labels.iter_mut().zip(self.outputs()) {
            *y = f + TEMPERATURE.sqrt() * *y;
        }
        let mut problem = Problem::clone(&self.ensemble.problem);
        problem.y_train.iter_mut().zip(labels).for_each(|(y, label)| *y = label);
        self.ensemble.problem = Arc::new(problem);
    }

    /// Weights given labels: trajectories of `steps` steps, numbered from `first`. Returns the statistics after each.
    fn advance(&mut self, motion: &Move, steps: u32, first: u32, count: u32) -> Vec<Statistics> {
        let mut backend = Cpu::<f32>::new(self.ensemble.clone());
        backend.set_weights(std::slice::from_ref(&self.weights)).unwrap();
        (first..first + count)
            .map(|trajectory| {
                let round = Round { trajectory, steps: vec![steps], exchange: None, observe: None };
                backend.run(std::slice::from_ref(motion), &[round]).unwrap();
                self.weights = backend.weights().unwrap().remove(0);
                self.statistics()
            })
            .collect()
    }

    fn statistics(&self) -> Statistics {
        let Weights { readout, rotated } = &self.weights;
        let squares = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>();
        let outputs = self.outputs();
        let fit: f64 = outputs.iter().zip(self.ensemble.problem.y_train.iter()).map(|(f, y)| f * y).sum();
        [readout.iter().sum(), squares(readout), squares(rotated), outputs[0], squares(&outputs), fit]
    }
}

/// Σv, ‖v‖², ‖W′‖², f(x₁), ‖f‖², f·y.
type Statistics = [f64; 6];

fn move_of(scheme: Scheme, step_size: f64) -> Move {
    let mass = Mass { weights: vec![1.0, 1.6, 0.7], readout: 1.3 };
    Move { beta: 1.0 / TEMPERATURE, scheme, step_size, mass }
}

/// The samplers that leave the joint law alone.
fn exact() -> Vec<(&'static str, Move, u32)> {
    let obabo = |friction| Scheme::Obabo { friction, metropolis: true };
    vec![
        ("malt", move_of(obabo(0.8), 0.35), 3),
        ("hmc", move_of(obabo(0.0), 0.35), 3),
        ("mala", move_of(obabo(0.0), 0.4), 1),
        ("malt, readout integrated", move_of(Scheme::Marginal { friction: 0.8 }, 0.6), 3),
        ("hmc, readout integrated", move_of(Scheme::Marginal { friction: 0.0 }, 0.6), 3),
        ("mala, readout integrated", move_of(Scheme::Marginal { friction: 0.0 }, 0.8), 1),
    ]
}

/// Samplers that do not: unadjusted at a long step, and energies that are off.
fn wrong() -> Vec<(&'static str, Move, u32)> {
    let hot = |motion: Move, factor: f64| Move { beta: motion.beta * factor, ..motion };
    vec![
        ("unadjusted", move_of(Scheme::Obabo { friction: 0.8, metropolis: false }, 0.6), 3),
        ("too cold", hot(move_of(Scheme::Obabo { friction: 0.8, metropolis: true }, 0.35), 1.4), 3),
        ("too hot, readout integrated", hot(move_of(Scheme::Marginal { friction: 0.8 }, 0.6), 0.7), 3),
    ]
}

/// The largest |z| among the statistics of two independent samples.
fn worst(a: &[Statistics], b: &[Statistics]) -> f64 {
    let moments = |sample: &[Statistics], k: usize| {
        let n = sample.len() as f64;
        let mean = sample.iter().map(|s| s[k]).sum::<f64>() / n;
        let variance = sample.iter().map(|s| (s[k] - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance / n)
    };
    let z = |k: usize| {
        let ((mean_a, error_a), (mean_b, error_b)) = (moments(a, k), moments(b, k));
        ((mean_a - mean_b) / (error_a + error_b).sqrt()).abs()
    };
    (0..6).map(z).fold(0.0, f64::max)
}

/// Geweke (2004): after many alternations of labels | weights and weights | labels the weights still have their prior law. Every
/// replicate starts from an exact draw and is independent of the others, so no autocorrelation enters the errors.
fn geweke(network: Network, motion: &Move, steps: u32) -> f64 {
    const REPLICATES: u64 = 3000;
    const ALTERNATIONS: u32 = 12;
    let problem = problem();
    let run = |seed: u64, alternations: u32| {
        let mut replicate = Replicate::new(&problem, network, seed);
        for round in 0..alternations {
            replicate.relabel(round);
            replicate.advance(motion, steps, round + 1, 1);
        }
        // Fresh labels, so that the statistics of both samples are of the joint law.
        replicate.relabel(alternations);
        replicate.statistics()
    };
    let alternated: Vec<Statistics> = (0..REPLICATES).map(|seed| run(seed, ALTERNATIONS)).collect();
    let independent: Vec<Statistics> = (0..8 * REPLICATES).map(|seed| run(seed + REPLICATES, 0)).collect();
    worst(&alternated, &independent)
}

#[test]
fn alternating_between_weights_and_labels_leaves_the_joint_law() {
    for activation in [Activation::Erf, Activation::Relu] {
        for (name, motion, steps) in exact() {
            let z = geweke(network(activation), &motion, steps);
            assert!(z < BOUND, "{name}, {activation:?}: |z| = {z:.1}");
        }
    }
}

#[test]
fn a_wrong_sampler_changes_the_joint_law() {
    for (name, motion, steps) in wrong() {
        let z = geweke(network(Activation::Erf), &motion, steps);
        assert!(z > BOUND, "{name} is not seen: |z| = {z:.1}");
    }
}

/// Draws per calibration run.
const RANKS: usize = 15;

/// χ² of the ranks of the true statistics among draws from the posterior (Talts et al. 2018), the largest over the statistics, for
/// RANKS degrees of freedom.
fn calibration(network: Network, motion: &Move, steps: u32) -> f64 {
    const RUNS: u64 = 800;
    const BETWEEN: u32 = 12;
    let problem = problem();
    let mut counts = [[0f64; RANKS + 1]; 6];
    for seed in 0..RUNS {
        let mut replicate = Replicate::new(&problem, network, 10_000 + seed);
        replicate.relabel(0);
        let truth = replicate.statistics();
        // The start is an exact draw too, but it is the truth itself: it is left behind first.
        replicate.advance(motion, steps, 1, 60);
        let mut ranks = [0; 6];
        for draw in 0..RANKS as u32 {
            let statistics = replicate.advance(motion, steps, 61 + draw * BETWEEN, BETWEEN);
            let last = statistics[BETWEEN as usize - 1];
            ranks
                .iter_mut()
                .zip(last.iter().zip(truth))
                .for_each(|(rank, (x, truth))| *rank += usize::from(*x < truth));
        }
        counts.iter_mut().zip(ranks).for_each(|(counts, rank)| counts[rank] += 1.0);
    }
    let expected = RUNS as f64 / (RANKS + 1) as f64;
    counts.iter().map(|c| c.iter().map(|n| (n - expected).powi(2) / expected).sum()).fold(0.0, f64::max)
}

/// χ² that fifteen degrees of freedom exceed once in a million.
const CHI_SQUARE: f64 = 56.5;

#[test]
fn ranks_of_the_truth_are_uniform() {
    for (name, motion, steps) in exact().into_iter().filter(|(name, ..)| !name.starts_with("mala")) {
        let chi_square = calibration(network(Activation::Erf), &motion, steps);
        assert!(chi_square < CHI_SQUARE, "{name}: χ² = {chi_square:.1}");
    }
}

#[test]
fn ranks_of_a_wrong_sampler_are_not_uniform() {
    for (name, motion, steps) in wrong() {
        let chi_square = calibration(network(Activation::Erf), &motion, steps);
        assert!(chi_square > CHI_SQUARE, "{name} is not seen: χ² = {chi_square:.1}");
    }
}
