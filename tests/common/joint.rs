//! Samplers judged by the joint law of weights and data: Geweke's alternation and simulation-based
//! calibration.
//!
//! Neither needs a reference value: weights drawn from the prior with labels drawn given them are
//! an exact draw of the joint law, and whatever alternates between its two conditionals must leave
//! it as it is.

use std::sync::Arc;

use featherm::backend::cpu::Cpu;
use featherm::backend::{Backend, Ensemble, IntegratorParams, Mass, Round, Scheme, Weights};
use featherm::model::{Activation, Network, Problem};
use featherm::numerics::noise::{Address, Purpose};
use rand::RngExt;
use rayon::prelude::*;

use super::{rotation, task};

/// Σv, ‖v‖², ‖W′‖², f(x₁), ‖f‖², f·y.
pub type Statistics = [f64; 6];

pub const STATISTICS: [&str; 6] = ["Σv", "‖v‖²", "‖W′‖²", "f(x₁)", "‖f‖²", "f·y"];

/// A joint law: inputs, network and temperature; weights from the prior, y = f + √T ξ.
pub struct Joint {
    problem: Problem,
    network: Network,
    temperature: f64,
}

/// How the chains of a joint law move.
pub struct Sampler {
    pub name: &'static str,
    pub readout: &'static str,
    motion: IntegratorParams,
    steps: u32,
}

impl Joint {
    /// `points` inputs in `rank` dimensions.
    pub fn new(activation: Activation, width: usize, points: usize, rank: usize, temperature: f64) -> Self {
        let entry = |i: usize, j: usize| (((i * 31 + j * 57 + i * j * 13) % 23) as f64 - 11.0) / 7.0;
        let inputs: Vec<Vec<f64>> = (0..points).map(|i| (0..rank).map(|j| entry(i, j)).collect()).collect();
        let labels: Vec<f64> = (0..points).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let problem = Problem::new(&task(&inputs, &labels, &[])).unwrap();
        assert_eq!(problem.rank(), rank, "W′ holds all of W");
        Self { problem, network: Network { width, activation, lambda0: 0.8, lambda1: 1.5 }, temperature }
    }

    fn sampler(&self, (name, readout): (&'static str, &'static str), scheme: Scheme, h: f64, steps: u32) -> Sampler {
        let weights = [1.0, 1.6, 0.7].into_iter().cycle().take(self.problem.rank()).collect();
        let mass = Mass { weights, readout: 1.3 };
        Sampler {
            name,
            readout,
            motion: IntegratorParams { beta: 1.0 / self.temperature, scheme, step_size: h, mass },
            steps,
        }
    }

    /// The samplers that leave the joint law alone, at the step length h of a trajectory with v
    /// sampled; with v integrated out it is longer.
    pub fn exact(&self, h: f64) -> Vec<Sampler> {
        let obabo = |friction| Scheme::Obabo { friction, metropolis: true };
        let marginal = |friction| Scheme::Marginal { friction };
        vec![
            self.sampler(("malt", "sampled"), obabo(0.8), h, 3),
            self.sampler(("hmc", "sampled"), obabo(0.0), h, 3),
            self.sampler(("mala", "sampled"), obabo(0.0), 1.15 * h, 1),
            self.sampler(("malt", "integrated"), marginal(0.8), 1.7 * h, 3),
            self.sampler(("hmc", "integrated"), marginal(0.0), 1.7 * h, 3),
            self.sampler(("mala", "integrated"), marginal(0.0), 2.3 * h, 1),
        ]
    }

    /// Samplers that do not: unadjusted at a long step, and energies that are off.
    pub fn wrong(&self, h: f64) -> Vec<Sampler> {
        let hot = |sampler: Sampler, factor: f64| {
            let motion = IntegratorParams { beta: sampler.motion.beta * factor, ..sampler.motion };
            Sampler { motion, ..sampler }
        };
        let obabo = |metropolis| Scheme::Obabo { friction: 0.8, metropolis };
        vec![
            self.sampler(("malt without its accept step", "sampled"), obabo(false), 1.7 * h, 3),
            hot(self.sampler(("malt at 1.4 β", "sampled"), obabo(true), h, 3), 1.4),
            hot(self.sampler(("malt at 0.7 β", "integrated"), Scheme::Marginal { friction: 0.8 }, 1.7 * h, 3), 0.7),
        ]
    }

    /// The statistics of `count` exact draws of the joint law, under the seeds from `first` on.
    pub fn independent(&self, first: u64, count: u64) -> Vec<Statistics> {
        let draw = |seed: u64| {
            let mut replicate = Replicate::new(self, seed);
            replicate.relabel(0);
            replicate.statistics()
        };
        (first..first + count).into_par_iter().map(draw).collect()
    }

    /// Geweke (2004): after `alternations` of labels | weights and weights | labels the weights
    /// still have their prior law. Every replicate starts from an exact draw and is independent of
    /// the others, so no autocorrelation enters the errors. Returns the acceptance too.
    pub fn alternated(&self, sampler: &Sampler, first: u64, count: u64, alternations: u32) -> (Vec<Statistics>, f64) {
        let run = |seed: u64| {
            let mut replicate = Replicate::new(self, seed);
            let mut acceptance = 0.0;
            for round in 0..alternations {
                replicate.relabel(round);
                acceptance += replicate.advance(sampler, round + 1, 1);
            }
            // Fresh labels, so that the statistics of both samples are of the joint law.
            replicate.relabel(alternations);
            (replicate.statistics(), acceptance / f64::from(alternations))
        };
        let found: Vec<(Statistics, f64)> = (first..first + count).into_par_iter().map(run).collect();
        let acceptance = found.iter().map(|(_, acceptance)| acceptance).sum::<f64>() / count as f64;
        (found.into_iter().map(|(statistics, _)| statistics).collect(), acceptance)
    }

    /// Simulation-based calibration (Talts et al. 2018): counts of the rank of the true statistics
    /// among [`RANKS`] draws, `between` trajectories apart, of the posterior given their data. The
    /// truth stands at a random place of the chain, with draws before and after it: all samplers
    /// here are reversible, so the ranks are exactly uniform however correlated the draws (Besag &
    /// Clifford 1989).
    pub fn ranks(&self, sampler: &Sampler, first: u64, count: u64, between: u32) -> [[u64; RANKS + 1]; 6] {
        let run = |seed: u64| {
            let mut truth = Replicate::new(self, seed);
            truth.relabel(0);
            let mut rng = Address { seed, chain: 2, trajectory: 0, step: 0, purpose: Purpose::Data }.rng();
            let place = rng.random_range(0..=RANKS);
            let statistics = truth.statistics();
            let mut chain = truth.clone();
            let mut ranks = [0; 6];
            for draw in 0..RANKS {
                if draw == place {
                    chain.clone_from(&truth);
                }
                chain.advance(sampler, 1 + draw as u32 * between, between);
                let below = chain.statistics().into_iter().zip(statistics).map(|(x, truth)| usize::from(x < truth));
                ranks.iter_mut().zip(below).for_each(|(rank, below)| *rank += below);
            }
            ranks
        };
        let mut counts = [[0; RANKS + 1]; 6];
        let ranks: Vec<[usize; 6]> = (first..first + count).into_par_iter().map(run).collect();
        for ranks in ranks {
            counts.iter_mut().zip(ranks).for_each(|(counts, rank)| counts[rank] += 1);
        }
        counts
    }
}

/// z of every statistic between two independent samples.
pub fn distances(a: &[Statistics], b: &[Statistics]) -> [f64; 6] {
    let moments = |sample: &[Statistics], k: usize| {
        let n = sample.len() as f64;
        let mean = sample.iter().map(|s| s[k]).sum::<f64>() / n;
        let variance = sample.iter().map(|s| (s[k] - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance / n)
    };
    std::array::from_fn(|k| {
        let ((mean_a, error_a), (mean_b, error_b)) = (moments(a, k), moments(b, k));
        (mean_a - mean_b) / (error_a + error_b).sqrt()
    })
}

/// Draws beside the truth. An even number, for which the tail of χ² is a finite sum.
pub const RANKS: usize = 16;

/// Probability that counts of uniform ranks are at least this uneven, by χ² with [`RANKS`] = 2m
/// degrees of freedom: e^{−x/2} Σ_{i<m} (x/2)^i/i!.
pub fn uniformity(counts: &[u64; RANKS + 1]) -> f64 {
    let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    let half = 0.5 * counts.iter().map(|&n| (n as f64 - expected).powi(2) / expected).sum::<f64>();
    let terms = (1..RANKS / 2).scan(1.0, |term, i| {
        *term *= half / i as f64;
        Some(*term)
    });
    (-half).exp() * (1.0 + terms.sum::<f64>())
}

/// One chain, alone with its own labels.
#[derive(Clone)]
struct Replicate {
    ensemble: Ensemble,
    temperature: f64,
    weights: Weights,
}

impl Replicate {
    /// Weights from the prior.
    fn new(joint: &Joint, seed: u64) -> Self {
        let ensemble = Ensemble {
            problem: Arc::new(joint.problem.clone()),
            network: joint.network,
            // Seeds of a call are below 2³².
            seed: seed + (rotation() << 32),
            temperatures: 1,
            replicas: 1,
            projection_axes: vec![vec![0.0; joint.problem.rank()]],
            histogram_ranges: vec![[1.0; 2]],
            batches: 1,
        };
        let weights = Cpu::<f32>::new(ensemble.clone()).weights().unwrap().remove(0);
        Self { ensemble, temperature: joint.temperature, weights }
    }

    fn outputs(&self) -> Vec<f64> {
        let Ensemble { problem, network, .. } = &self.ensemble;
        let (points, rank) = (problem.points(), problem.rank());
        let unit = |i: usize, mu: usize| {
            let h: f64 = (0..rank).map(|j| self.weights.rotated[i * rank + j] * problem.z_train[(mu, j)]).sum();
            self.weights.readout[i] * network.activation.sigma(h)
        };
        let scale = 1.0 / (network.width as f64).sqrt();
        (0..points).map(|mu| scale * (0..network.width).map(|i| unit(i, mu)).sum::<f64>()).collect()
    }

    /// Labels given weights: y = f + √T ξ.
    fn relabel(&mut self, round: u32) {
        let mut labels = vec![0.0; self.ensemble.problem.points()];
        Address { seed: self.ensemble.seed, chain: 1, trajectory: round, step: 0, purpose: Purpose::Data }
            .normals(&mut labels);
        for (y, f) in labels.iter_mut().zip(self.outputs()) {
            *y = f + self.temperature.sqrt() * *y;
        }
        let mut problem = Problem::clone(&self.ensemble.problem);
        problem.y_train.iter_mut().zip(labels).for_each(|(y, label)| *y = label);
        self.ensemble.problem = Arc::new(problem);
    }

    /// Weights given labels: `count` trajectories, numbered from `first`. Returns their mean
    /// acceptance.
    fn advance(&mut self, sampler: &Sampler, first: u32, count: u32) -> f64 {
        let mut backend = Cpu::<f32>::new(self.ensemble.clone());
        backend.set_weights(std::slice::from_ref(&self.weights)).unwrap();
        let round = |trajectory| Round { trajectory, steps: vec![sampler.steps], exchange: None, observe: None };
        let rounds: Vec<Round> = (first..first + count).map(round).collect();
        let outcomes = backend.run(std::slice::from_ref(&sampler.motion), &rounds).unwrap();
        self.weights = backend.weights().unwrap().remove(0);
        outcomes.iter().map(|outcome| outcome.transitions[0].acceptance).sum::<f64>() / f64::from(count)
    }

    fn statistics(&self) -> Statistics {
        let Weights { readout, rotated } = &self.weights;
        let squares = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>();
        let outputs = self.outputs();
        let fit: f64 = outputs.iter().zip(self.ensemble.problem.y_train.iter()).map(|(f, y)| f * y).sum();
        [readout.iter().sum(), squares(readout), squares(rotated), outputs[0], squares(&outputs), fit]
    }
}
