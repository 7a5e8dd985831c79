//! The GPU backend against the CPU's, kernel by kernel, on whatever device there is: the first
//! hardware GPU or else a software one;
//! `FEATHERM_GPU` names another.

mod bits;
mod faults;
mod half_forces;
mod law;
mod numerics;
mod parity;
mod tuning;

use std::sync::Arc;

use featherm::backend::cpu::Cpu;
use featherm::backend::doctor::{Check, Tolerances, compare, doctor};
use featherm::backend::gpu::tiling::Tiling;
use featherm::backend::gpu::{Gpu, GpuOptions};
use featherm::backend::{Backend, Ensemble, IntegratorParams, Mass, Observation, Outcome, Parity, Round, Scheme};
use featherm::model::{Activation, Network, Problem, Task};
use featherm::numerics::noise::{Address, Purpose};
use libtest_mimic::Failed;
use ndarray::{Array1, Array2};

use crate::common::gpu::{info, on_device};
use crate::{Need, Test, Trials};

/// Adds the tests of the GPU backend.
pub fn add(trials: &mut Trials) {
    let need = Need { what: "graphics device", variable: "FEATHERM_REQUIRE_GPU", there: info().is_some() };
    let mut group = trials.group("gpu", &need);
    group.slow("doctor_finds_nothing", || {
        all_pass(&doctor(|ensemble| Ok(Box::new(on_device(ensemble, GpuOptions::default())?)))?)
    });
    parity::add(&mut group);
    bits::add(&mut group);
    numerics::add(&mut group);
    faults::add(&mut group);
    law::add(&mut group);
    half_forces::add(&mut group);
    tuning::add(&mut group);
}

/// The shape of a test problem.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub units: usize,
    pub points: usize,
    pub dimension: usize,
    pub test: usize,
    pub classes: usize,
    pub temperatures: usize,
    pub replicas: usize,
    pub activation: Activation,
    pub tiling: Option<Tiling>,
    pub half: bool,
}

pub const REGISTER_8: Option<Tiling> = Some(Tiling::Register(8));
pub const REGISTER_4: Option<Tiling> = Some(Tiling::Register(4));
pub const SUBGROUP: Option<Tiling> = Some(Tiling::Subgroup);
pub const SHARED_8: Option<Tiling> = Some(Tiling::Workgroup(8));
pub const SHARED_4: Option<Tiling> = Some(Tiling::Workgroup(4));
pub const EMULATED: Option<Tiling> = Some(Tiling::Emulated);
pub const COOPERATIVE: Option<Tiling> = Some(Tiling::Cooperative);

pub const BASE: Case = Case {
    name: "odd_shapes",
    units: 13,
    points: 11,
    dimension: 15,
    test: 5,
    classes: 2,
    temperatures: 3,
    replicas: 4,
    activation: Activation::Erf,
    tiling: REGISTER_4,
    half: false,
};

/// More than one tile of 16 along every side, and fewer units than points.
pub const HALF_FORCES: Case = Case {
    name: "half_forces",
    units: 18,
    points: 21,
    dimension: 35,
    temperatures: 2,
    replicas: 2,
    tiling: EMULATED,
    ..BASE
};

/// More than one tile along every side of every product.
pub const HALF_FORCES_LARGE: Case =
    Case { name: "half_forces_large", units: 75, points: 67, dimension: 90, tiling: EMULATED, ..BASE };

impl Case {
    pub fn ensemble(&self) -> Ensemble {
        let Self { points, dimension, test, classes, .. } = *self;
        let address = Address { seed: 5, chain: 0, trajectory: 0, step: 0, purpose: Purpose::Data };
        let mut inputs = vec![0.0; (points + test) * dimension];
        address.normals(&mut inputs);
        let input = |point: usize, j: usize| inputs[point * dimension + j];
        let label = |point: usize| if point.is_multiple_of(3) { 1.0 } else { -0.7 };
        let task = Task {
            name: self.name.into(),
            x_train: Array2::from_shape_fn((points, dimension), |(i, j)| input(i, j)),
            y_train: Array1::from_shape_fn(points, label),
            class_train: (0..points).map(|i| i % classes).collect(),
            x_test: Array2::from_shape_fn((test, dimension), |(i, j)| input(points + i, j)),
            y_test: Array1::from_shape_fn(test, label),
            class_test: (0..test).map(|i| i % classes).collect(),
            class_names: (0..classes).map(|class| class.to_string()).collect(),
        };
        let problem = Arc::new(Problem::new(&task).expect("the inputs are not zero"));
        let unit_vector = |t: usize| {
            let raw: Vec<f64> = (0..problem.rank()).map(|j| 1.0 + ((t + j) % 3) as f64).collect();
            let norm = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
            raw.iter().map(|x| x / norm).collect()
        };
        Ensemble {
            network: Network { width: self.units, activation: self.activation, lambda0: 0.8, lambda1: 1.3 },
            seed: 0x1234_5678_9abc_def0,
            temperatures: self.temperatures,
            replicas: self.replicas,
            projection_axes: (0..self.temperatures).map(unit_vector).collect(),
            histogram_ranges: (0..self.temperatures).map(|t| [1.5 + 0.1 * t as f64, 2.0]).collect(),
            batches: 2,
            problem,
        }
    }

    pub fn options(&self) -> GpuOptions {
        GpuOptions { tiling: self.tiling, half: self.half, ..GpuOptions::default() }
    }
}

pub fn checks(case: Case, options: GpuOptions) -> Result<Vec<Check>, Failed> {
    let ensemble = case.ensemble();
    let rounded = case.half || case.tiling.is_some_and(Tiling::halved);
    let tolerances = if rounded { Tolerances::HALF } else { Tolerances::SINGLE };
    let mut gpu = on_device(ensemble.clone(), options)?;
    Ok(compare(&mut Cpu::<f64>::new(ensemble.clone()), &mut gpu, &ensemble, &tolerances)?)
}

pub fn all_pass(checks: &[Check]) -> Test {
    let failed: Vec<_> = checks.iter().filter(|check| !check.passed()).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("{failed:#?}").into()) }
}

/// How all temperatures move in the tests below.
pub fn moves(ensemble: &Ensemble, scheme: Scheme, step_size: f64) -> Vec<IntegratorParams> {
    let mass = Mass { weights: vec![2.0; ensemble.problem.rank()], readout: 3.0 };
    let beta = |t: usize| 0.5 + t as f64;
    (0..ensemble.temperatures)
        .map(|t| IntegratorParams { beta: beta(t), scheme, step_size, mass: mass.clone() })
        .collect()
}

pub fn rounds(ensemble: &Ensemble, count: u32, observed: bool) -> Vec<Round> {
    let observe = observed.then_some(Observation { batch: Some(1), gram: true, weights: true });
    let steps = vec![3; ensemble.temperatures];
    (1..=count).map(|trajectory| Round { trajectory, steps: steps.clone(), exchange: None, observe }).collect()
}

pub const MALT: Scheme = Scheme::Obabo { friction: 0.5, metropolis: true };
pub const INTEGRATED: Scheme = Scheme::Marginal { friction: 0.5 };

/// Everything that is known of a run, chain by chain, as bits.
pub fn bits(gpu: &Gpu, outcomes: &[Outcome]) -> Result<Vec<Vec<u64>>, Failed> {
    let accumulated = gpu.accumulated()?;
    let sums = accumulated.predictive.into_iter().flatten().zip(accumulated.units.into_iter().flatten());
    let weights = gpu.weights()?;
    Ok(sums
        .zip(weights)
        .enumerate()
        .map(|(chain, ((batches, tally), weights))| {
            let mut all = [weights.readout, weights.rotated].concat();
            batches.iter().for_each(|b| all.extend(b.sum.iter().chain(&b.sum_of_squares)));
            all.extend(tally.correlation.iter().chain(&tally.readout).chain(&tally.along_u));
            for outcome in outcomes {
                let t = &outcome.transitions[chain];
                all.extend([t.acceptance, t.energy, t.energy_error]);
                if let Some(m) = outcome.measurements.get(chain) {
                    all.extend(m.centroid_gram.iter().chain(&m.mean_square_norm));
                    all.extend(m.test_manifolds.iter().flat_map(|(gram, norms)| gram.iter().chain(norms)));
                    all.extend([m.loss, m.readout_mean, m.readout_weight_along_u, m.weight_second_moment]);
                }
            }
            all.into_iter().map(f64::to_bits).collect()
        })
        .collect())
}

pub fn played(case: Case, scheme: Scheme, options: GpuOptions) -> Result<(Gpu, Vec<Vec<u64>>), Failed> {
    let ensemble = case.ensemble();
    let mut gpu = on_device(ensemble.clone(), options)?;
    let outcomes = gpu.run(&moves(&ensemble, scheme, 0.4), &rounds(&ensemble, 4, true))?;
    let bits = bits(&gpu, &outcomes)?;
    Ok((gpu, bits))
}

/// Rounds with exchanges of either parity.
pub fn exchanging(ensemble: &Ensemble) -> Vec<Round> {
    let mut rounds = rounds(ensemble, 9, true);
    rounds
        .iter_mut()
        .for_each(|round| round.exchange = Some(if round.trajectory % 2 == 0 { Parity::Even } else { Parity::Odd }));
    rounds
}
