//! The doctor: one backend held against another, stage by stage, from the same states and the same
//! noise.

use std::sync::Arc;

use ndarray::{Array1, Array2};

use super::cpu::Cpu;
use super::{
    Backend, BackendError, Ensemble, IntegratorParams, Mass, Measurement, Observation, Outcome, Parity, Round, Scheme,
    UnitHistogram, Weights,
};
use crate::model::{Activation, Network, Problem, Task};
use crate::numerics::noise::{Address, Purpose};

/// How two backends compare in one stage.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Check {
    pub stage: &'static str,
    /// Largest deviation, relative to the largest number of the stage.
    pub deviation: f64,
    pub tolerance: f64,
}

impl Check {
    pub fn passed(&self) -> bool {
        self.deviation <= self.tolerance
    }
}

/// Largest deviations that rounding explains, relative to the largest number of each stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerances {
    /// Normals: the polynomials of Box–Muller in float32.
    pub noise: f64,
    /// Losses, gradients, statistics of the features, Gram matrices: one product in float32.
    pub stage: f64,
    /// Positions after a few steps.
    pub steps: f64,
    /// Positions after twenty steps, over which rounding grows.
    pub trajectory: f64,
    /// Energy errors, absolute, per root of the number of coordinates: rounding moves each
    /// coordinate at random.
    pub energy: f64,
}

impl Tolerances {
    /// A float32 device against float64.
    pub const SINGLE: Self = Self { noise: 1e-6, stage: 2e-6, steps: 2e-6, trajectory: 1e-5, energy: 3e-6 };
    /// Activations and slopes stored in float16, with a relative rounding of 2⁻¹¹.
    pub const HALF: Self = Self { noise: 1e-6, stage: 5e-4, steps: 1e-4, trajectory: 1e-3, energy: 2e-4 };
}

/// What a step of the rotation under the prior, rounded to float32, changes a coordinate's energy
/// by: alike for all units, so that it adds up.
const ROTATION_DRIFT: f64 = 1e-9;

/// Fraction of units that may be counted in another cell because rounding puts them across its
/// edge.
const MISPLACED: f64 = 2e-3;

/// Steps of the long trajectory.
const LONG: u32 = 20;

/// Holds a backend against the CPU in float64 on a small bundled problem; `start` puts the
/// problem's chains on the subject.
///
/// # Errors
/// When the subject cannot be started or fails.
pub fn doctor(
    start: impl FnOnce(Ensemble) -> Result<Box<dyn Backend>, BackendError>,
) -> Result<Vec<Check>, BackendError> {
    let ensemble = reference_ensemble()?;
    let mut subject = start(ensemble.clone())?;
    compare(&mut Cpu::<f64>::new(ensemble.clone()), subject.as_mut(), &ensemble, &Tolerances::SINGLE)
}

/// Gaussian inputs, 23 training and 7 test points in 31 dimensions; four temperatures of five
/// chains.
fn reference_ensemble() -> Result<Ensemble, BackendError> {
    let seed = 20_250_820;
    let address = Address { seed, chain: 0, trajectory: 0, step: 0, purpose: Purpose::Data };
    let mut inputs = vec![0.0; 30 * 31];
    address.normals(&mut inputs);
    let entry = |i: usize, j: usize| inputs[31 * i + j];
    let label = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
    let task = Task {
        name: "doctor".into(),
        x_train: Array2::from_shape_fn((23, 31), |(i, j)| entry(i, j)),
        y_train: Array1::from_shape_fn(23, label),
        class_train: (0..23).map(|i| i % 2).collect(),
        x_test: Array2::from_shape_fn((7, 31), |(i, j)| entry(i + 23, j)),
        y_test: Array1::from_shape_fn(7, label),
        class_test: (0..7).map(|i| i % 2).collect(),
        class_names: vec!["even".into(), "odd".into()],
    };
    let problem = Arc::new(Problem::new(&task).map_err(|error| BackendError::Invalid(error.to_string()))?);
    let direction = vec![1.0 / (problem.rank() as f64).sqrt(); problem.rank()];
    Ok(Ensemble {
        network: Network { width: 37, activation: Activation::Erf, lambda0: 1.0, lambda1: 1.0 },
        seed,
        temperatures: 4,
        replicas: 5,
        projection_axes: vec![direction; 4],
        histogram_ranges: vec![[2.0; 2]; 4],
        batches: 2,
        problem,
    })
}

/// Plays the same rounds on both backends and compares them after every stage. Both start anew from
/// the reference's states each time, so that deviations do not add up.
///
/// # Errors
/// When one of them fails.
pub fn compare(
    reference: &mut dyn Backend,
    subject: &mut dyn Backend,
    ensemble: &Ensemble,
    tolerances: &Tolerances,
) -> Result<Vec<Check>, BackendError> {
    let coordinates = ensemble.network.width * (ensemble.problem.rank() + 1);
    let energy = tolerances.energy * (coordinates as f64).sqrt();
    let mut checks = Vec::new();
    let mut check = |stage, deviation: Deviation, tolerance| {
        checks.push(Check { stage, deviation: deviation.relative(), tolerance });
    };
    let (a, b) = (reference.weights()?, subject.weights()?);
    check("prior", positions(&a, &b), tolerances.noise);

    // Numbers that both precisions hold exactly.
    let round = |x: &f64| f64::from(*x as f32);
    let start: Vec<_> = a
        .iter()
        .map(|w| Weights {
            readout: w.readout.iter().map(round).collect(),
            rotated: w.rotated.iter().map(round).collect(),
        })
        .collect();
    let mut duel = Duel { reference, subject, ensemble, start };

    let observation = Some(Observation { batch: Some(ensemble.batches - 1), gram: true, weights: true });
    let still = |trajectory| Round { observe: observation, ..duel_round(ensemble, trajectory, 0) };
    let (a, b) = duel.play(Scheme::Ula, &[still(1)])?;
    check("loss", fields(&a, &b, |m| vec![m.loss]), tolerances.stage);
    check("observables", observables(&a, &b), tolerances.stage);
    let (a, b) = (duel.reference.accumulated()?, duel.subject.accumulated()?);
    check("gram", lists(a.gram.iter().flatten(), b.gram.iter().flatten()), tolerances.stage);
    check(
        "second moment of the weights",
        lists(a.weights.iter().flatten(), b.weights.iter().flatten()),
        tolerances.stage,
    );
    let sums = |batches: &[Vec<Vec<crate::backend::PredictiveBatch>>]| -> Vec<Vec<f64>> {
        let all = batches.iter().flatten().flatten();
        all.map(|p| [&p.sum[..], &p.sum_of_squares, &[p.draws as f64]].concat()).collect()
    };
    check("predictions", lists(&sums(&a.predictive), &sums(&b.predictive)), tolerances.stage);
    let vectors = |histograms: &[Vec<UnitHistogram>]| -> Vec<Vec<f64>> {
        histograms.iter().flatten().map(|histogram| histogram.correlation.clone()).collect()
    };
    check("readout–weight vector", lists(&vectors(&a.units), &vectors(&b.units)), tolerances.stage);
    check("counts of units", misplaced(&a.units, &b.units), MISPLACED);
    let (a, b) = (duel.reference.moments()?, duel.subject.moments()?);
    let all = |moments: &[crate::backend::Moments]| -> Vec<Vec<f64>> {
        moments
            .iter()
            .map(|m| [&m.weight_mean[..], &m.weight_square, &[m.readout_mean, m.readout_square]].concat())
            .collect()
    };
    check("moments", lists(&all(&a), &all(&b)), tolerances.stage);

    let obabo = |friction, metropolis| Scheme::Obabo { friction, metropolis };
    let stages = [
        ("gradient", Scheme::Ula, 1, tolerances.stage),
        ("ula", Scheme::Ula, 3, tolerances.steps),
        ("descent", Scheme::Descent, 3, tolerances.steps),
        ("baoab", Scheme::Baoab { friction: 0.7 }, 3, tolerances.steps),
        ("obabo", obabo(0.7, false), 3, tolerances.steps),
        ("hmc", obabo(0.0, false), LONG, tolerances.trajectory),
    ];
    for (stage, scheme, steps, tolerance) in stages {
        // So cold and far a step of ULA leads along the gradient and nothing else.
        let pace = if stage == "gradient" { Pace { beta: 1e8, step_size: 100.0 } } else { Pace::of(scheme) };
        let (a, b) = duel.play_at(pace, scheme, &[duel_round(ensemble, 2, steps)])?;
        check(stage, duel.positions()?, tolerance);
        if !matches!(scheme, Scheme::Ula | Scheme::Descent) {
            check("energy", energies(&a, &b), energy);
        }
    }

    let rounds: Vec<_> = (3..7).map(|trajectory| duel_round(ensemble, trajectory, 2)).collect();
    let (a, b) = duel.play(obabo(0.3, true), &rounds)?;
    check("accept", energies(&a, &b), energy);
    check("accepted states", duel.positions()?, tolerances.trajectory);

    let parities = [Parity::Even, Parity::Odd, Parity::Even, Parity::Odd];
    let exchange = |(trajectory, parity)| Round { exchange: Some(parity), ..still(trajectory) };
    let rounds: Vec<_> = (10..).zip(parities).map(exchange).collect();
    let (a, b) = duel.play(Scheme::Ula, &rounds)?;
    let flags = |outcomes: &[Outcome]| -> Vec<Vec<f64>> {
        outcomes.iter().map(|o| o.exchanged.iter().map(|&e| f64::from(u8::from(e))).collect()).collect()
    };
    check("exchange", lists(&flags(&a), &flags(&b)), 0.0);
    check("exchanged states", duel.positions()?, 0.0);
    check("losses after exchange", fields(&a, &b, |m| vec![m.loss]), tolerances.stage);

    if duel.subject.integrates_readout() {
        let drift = ROTATION_DRIFT * f64::from(LONG) * coordinates as f64;
        // The exchanges leave gradients of another temperature's energy.
        let exchanges: Vec<_> = (20..24)
            .zip(parities)
            .map(|(t, parity)| Round { exchange: Some(parity), observe: observation, ..duel_round(ensemble, t, 2) })
            .collect();
        let observed = |steps| vec![Round { observe: observation, ..duel_round(ensemble, 2, steps) }];
        for (friction, rounds, tolerance) in [
            (0.7, observed(3), tolerances.steps),
            (0.0, observed(LONG), tolerances.trajectory),
            (0.3, exchanges, tolerances.trajectory),
        ] {
            let (a, b) = duel.play(Scheme::Marginal { friction }, &rounds)?;
            check("integrated energy", energies(&a, &b), energy + drift);
            check("integrated exchange", lists(&flags(&a), &flags(&b)), 0.0);
            let (x, y) = (duel.reference.weights()?, duel.subject.weights()?);
            check("beside the readout", lists(x.iter().map(|w| &w.rotated), y.iter().map(|w| &w.rotated)), tolerance);
            check("drawn readout", lists(x.iter().map(|w| &w.readout), y.iter().map(|w| &w.readout)), tolerance);
            check("loss of the drawn readout", fields(&a, &b, |m| vec![m.loss]), tolerance);
        }
    }
    Ok(checks)
}

/// A round of the comparison: temperatures take turns in the number of steps, so that some wait for
/// others.
fn duel_round(ensemble: &Ensemble, trajectory: u32, steps: u32) -> Round {
    let steps = (0..ensemble.temperatures).map(|t| steps.saturating_sub((t % 2) as u32)).collect();
    Round { trajectory, steps, exchange: None, observe: None }
}

/// Two backends and the states they start from.
struct Duel<'a> {
    reference: &'a mut dyn Backend,
    subject: &'a mut dyn Backend,
    ensemble: &'a Ensemble,
    start: Vec<Weights>,
}

/// β of the first temperature, of which the others are multiples, and the length of a step.
#[derive(Debug, Clone, Copy)]
struct Pace {
    beta: f64,
    step_size: f64,
}

impl Pace {
    fn of(scheme: Scheme) -> Self {
        Self { beta: 0.5, step_size: if matches!(scheme, Scheme::Ula | Scheme::Descent) { 0.01 } else { 0.3 } }
    }
}

/// What a round did on the reference and on the subject.
type Outcomes = (Vec<Outcome>, Vec<Outcome>);

impl Duel<'_> {
    fn play(&mut self, scheme: Scheme, rounds: &[Round]) -> Result<Outcomes, BackendError> {
        self.play_at(Pace::of(scheme), scheme, rounds)
    }

    fn play_at(&mut self, pace: Pace, scheme: Scheme, rounds: &[Round]) -> Result<Outcomes, BackendError> {
        let problem = &self.ensemble.problem;
        let curvature = |j: usize| problem.z_train.col(j).squared_norm_l2();
        let moves: Vec<_> = (0..self.ensemble.temperatures)
            .map(|t| {
                let beta = pace.beta * (1.0 + t as f64);
                let weights = (0..problem.rank()).map(|j| 1.0 + beta * curvature(j)).collect();
                let mass = Mass { weights, readout: 1.0 + beta * problem.points() as f64 };
                IntegratorParams { beta, scheme, step_size: pace.step_size, mass }
            })
            .collect();
        let play = |backend: &mut dyn Backend| {
            backend.set_weights(&self.start)?;
            backend.run(&moves, rounds)
        };
        Ok((play(self.reference)?, play(self.subject)?))
    }

    fn positions(&self) -> Result<Deviation, BackendError> {
        Ok(positions(&self.reference.weights()?, &self.subject.weights()?))
    }
}

/// Largest difference and largest number of what is compared.
#[derive(Debug, Default)]
struct Deviation {
    difference: f64,
    scale: f64,
}

impl Deviation {
    fn add(&mut self, a: f64, b: f64) {
        // Numbers that neither has are alike; one that only one has is infinitely wrong.
        let difference = if a.is_nan() && b.is_nan() { 0.0 } else { (a - b).abs() };
        self.difference = self.difference.max(if difference.is_nan() { f64::INFINITY } else { difference });
        self.scale = self.scale.max(a.abs());
    }

    fn relative(&self) -> f64 {
        if self.difference == 0.0 { 0.0 } else { self.difference / self.scale }
    }
}

fn lists<'a>(a: impl IntoIterator<Item = &'a Vec<f64>>, b: impl IntoIterator<Item = &'a Vec<f64>>) -> Deviation {
    let mut deviation = Deviation::default();
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return deviation,
            (Some(a), Some(b)) if a.len() == b.len() => a.iter().zip(b).for_each(|(&a, &b)| deviation.add(a, b)),
            _ => deviation.add(f64::INFINITY, 0.0),
        }
    }
}

/// Units counted in another cell, as a fraction of all; draws must be the same.
fn misplaced(a: &[Vec<UnitHistogram>], b: &[Vec<UnitHistogram>]) -> Deviation {
    let cells = |histograms: &[Vec<UnitHistogram>]| -> Vec<f64> {
        let counts = |t: &UnitHistogram| [&t.readout[..], &t.along_u, &[t.draws as f64]].concat();
        histograms.iter().flatten().flat_map(counts).collect()
    };
    let (a, b) = (cells(a), cells(b));
    let difference =
        if a.len() == b.len() { a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum() } else { f64::INFINITY };
    Deviation { difference, scale: a.iter().sum() }
}

fn positions(a: &[Weights], b: &[Weights]) -> Deviation {
    let parts = |weights: &'_ [Weights]| -> Vec<Vec<f64>> {
        weights.iter().flat_map(|w| [w.readout.clone(), w.rotated.clone()]).collect()
    };
    lists(&parts(a), &parts(b))
}

fn fields(a: &[Outcome], b: &[Outcome], field: impl Fn(&Measurement) -> Vec<f64>) -> Deviation {
    let all = |outcomes: &[Outcome]| -> Vec<Vec<f64>> {
        outcomes.iter().flat_map(|o| o.measurements.iter().map(&field)).collect()
    };
    lists(&all(a), &all(b))
}

fn observables(a: &[Outcome], b: &[Outcome]) -> Deviation {
    fields(a, b, |m| {
        let scalars = [
            m.readout_mean,
            m.readout_second_moment,
            m.readout_weight_along_u,
            m.weight_along_u_squared,
            m.weight_second_moment,
            m.readout_fourth_moment,
            m.weight_along_u_fourth,
            m.test_squared_error.unwrap_or(f64::NAN),
        ];
        let (test_gram, test_norms) = m.test_manifolds.clone().unwrap_or_default();
        [&scalars[..], &m.centroid_gram, &m.mean_square_norm, &test_gram, &test_norms].concat()
    })
}

/// Energies are compared relatively, their errors and what follows from them absolutely.
fn energies(a: &[Outcome], b: &[Outcome]) -> Deviation {
    let all = |outcomes: &[Outcome]| -> Vec<Vec<f64>> {
        let transitions = outcomes.iter().flat_map(|o| &o.transitions);
        transitions.map(|t| vec![t.energy_error, t.acceptance, f64::from(u8::from(t.diverged))]).collect()
    };
    let mut deviation = lists(&all(a), &all(b));
    deviation.scale = 1.0;
    for (a, b) in a.iter().zip(b).flat_map(|(a, b)| a.transitions.iter().zip(&b.transitions)) {
        let scale = a.energy.abs().max(1.0);
        deviation.add(a.energy / scale, b.energy / scale);
    }
    deviation
}
