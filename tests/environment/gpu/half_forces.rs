//! Forces within a trajectory from products of float16 operands (`--precision f16-matrix`),
//! emulated without cooperative matrices: what they err by, what that costs, and that it leaves the
//! law alone.

use assert_cmd::Command;
use featherm::backend::cpu::Cpu;
use featherm::backend::gpu::shader::Kernel;
use featherm::backend::gpu::tiling::Tiling;
use featherm::backend::gpu::{Gpu, GpuOptions};
use featherm::backend::{Backend, Ensemble, IntegratorParams, Mass, Round, Scheme};
use featherm::sampler::{Readout, SamplerKind};
use libtest_mimic::Failed;

use super::{BASE, Case, HALF_FORCES, HALF_FORCES_LARGE, SHARED_8};
use crate::common::gpu::{info, on_device};
use crate::{Group, Test, common};

const INTEGRATED: Scheme = Scheme::Marginal { friction: 0.0 };
const HMC: Scheme = Scheme::Obabo { friction: 0.0, metropolis: true };

/// Relative rounding of float16.
const UNIT: f64 = 1.0 / 2048.0;

/// β grows tenfold from one temperature to the next, with masses to match.
fn moves(ensemble: &Ensemble, scheme: Scheme, beta: f64, step_size: f64) -> Vec<IntegratorParams> {
    let problem = &ensemble.problem;
    let curvature = |j: usize| problem.z_train.col(j).squared_norm_l2();
    let motion = |t: usize| {
        let beta = beta * 10f64.powi(t as i32);
        let weights = (0..problem.rank()).map(|j| 1.0 + beta * curvature(j)).collect();
        let mass = Mass { weights, readout: 1.0 + beta * problem.points() as f64 };
        IntegratorParams { beta, scheme, step_size, mass }
    };
    (0..ensemble.temperatures).map(motion).collect()
}

fn rounds(ensemble: &Ensemble, count: u32, steps: u32) -> Vec<Round> {
    let round =
        |trajectory| Round { trajectory, steps: vec![steps; ensemble.temperatures], exchange: None, observe: None };
    (1..=count).map(round).collect()
}

/// Adds the tests of this file.
pub fn add(group: &mut Group) {
    group.slow("half_forces::err_by_the_rounding_of_float16", rounding);
    group.long("half_forces::cost_hardly_any_acceptance", || acceptance(Case { temperatures: 3, ..HALF_FORCES }));
    group.long("half_forces::cost_hardly_any_acceptance_on_many_tiles", || acceptance(HALF_FORCES_LARGE));
    group.slow("half_forces::that_overflow_are_rejected", overflow);
    group.long("half_forces::wrong_ones_leave_the_law", wrong_force);
    group.long("half_forces::a_wrong_energy_is_seen", wrong_energy);
    for (case, readout) in common::posterior::Case::all().into_iter().zip([Readout::Sampled, Readout::Integrated]) {
        let name = format!("half_forces::meet_the_reference_posterior::{}::{readout:?}", case.activation);
        group.long(name, move || posterior(&case, readout));
    }
    if info().is_some_and(|info| !info.cooperative) {
        group.fast("half_forces::need_cooperative_matrices", refused);
    }
}

fn start(ensemble: &Ensemble, options: GpuOptions) -> Result<Gpu, Failed> {
    Ok(on_device(ensemble.clone(), options)?)
}

/// After two steps a position has felt one force of float16 operands: its deviation from float64 is
/// that of the force, relative to what forces move.
fn rounding() -> Test {
    // A step long enough for its rounding in float32 not to matter.
    for scheme in [Scheme::Obabo { friction: 0.0, metropolis: false }, INTEGRATED] {
        let ensemble = HALF_FORCES_LARGE.ensemble();
        let places = |backend: &mut dyn Backend, beta: f64| -> Result<Vec<Vec<f64>>, Failed> {
            backend.run(&moves(&ensemble, scheme, beta, 0.3), &rounds(&ensemble, 1, 2))?;
            Ok(backend.weights()?.into_iter().map(|w| w.rotated).collect())
        };
        let distance = |a: &[Vec<f64>], b: &[Vec<f64>]| {
            let pairs = a.iter().flatten().zip(b.iter().flatten());
            pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
        };
        let exact = places(&mut Cpu::<f64>::new(ensemble.clone()), 1.0)?;
        let still = {
            // The same masses, hardly any force.
            let mut cpu = Cpu::<f64>::new(ensemble.clone());
            let mut calm = moves(&ensemble, scheme, 1.0, 0.3);
            calm.iter_mut().for_each(|motion| motion.beta = 1e-9);
            cpu.run(&calm, &rounds(&ensemble, 1, 2))?;
            cpu.weights()?.into_iter().map(|w| w.rotated).collect::<Vec<_>>()
        };
        let moved = distance(&exact, &still);
        let deviation = |tiling, edit| -> Result<f64, Failed> {
            let mut gpu = start(&ensemble, GpuOptions { tiling, edit, ..GpuOptions::default() })?;
            Ok(distance(&places(&mut gpu, 1.0)?, &exact) / moved)
        };
        let spoiled: fn(Kernel, &mut String) = |_, text| *text = text.replace("halves(block[", "halves(1.005 * block[");
        let single = deviation(SHARED_8, None)?;
        let half = deviation(Some(Tiling::Emulated), None)?;
        let control = deviation(Some(Tiling::Emulated), Some(spoiled))?;
        println!("{scheme:?}: float32 {single:.1e}, float16 operands {half:.1e}, spoiled by 0.5 % {control:.1e}");
        // Two operands of either product are rounded, at random: one unit at most when their errors
        // are added in squares. Without any rounding nothing would be left of it.
        assert!(single < UNIT / 50.0 && half > UNIT / 50.0 && half < UNIT, "{single:e}, {half:e}");
        assert!(control > 1.5 * UNIT, "{control:e}");
    }
    Ok(())
}

/// The same trajectories with either forces, at three temperatures a factor of ten apart.
fn acceptance(case: Case) -> Test {
    let case = Case { replicas: 16, ..case };
    let ensemble = case.ensemble();
    for (name, scheme, step_size) in [("sampled", HMC, 0.15), ("integrated", INTEGRATED, 0.2)] {
        let accepted = |tiling| -> Result<Vec<[f64; 2]>, Failed> {
            let mut gpu = start(&ensemble, GpuOptions { tiling, ..GpuOptions::default() })?;
            let moves = moves(&ensemble, scheme, 1.0, step_size);
            gpu.run(&moves, &rounds(&ensemble, 10, 8))?;
            let mut rounds = rounds(&ensemble, 30, 8);
            rounds.iter_mut().for_each(|round| round.trajectory += 10);
            let outcomes = gpu.run(&moves, &rounds)?;
            let mut means = vec![[0.0; 2]; ensemble.temperatures];
            let each = outcomes.iter().flat_map(|o| o.transitions.iter().enumerate());
            for (chain, transition) in each {
                let share = 1.0 / (outcomes.len() * case.replicas) as f64;
                let at = &mut means[chain / case.replicas];
                at[0] += share * transition.acceptance;
                at[1] += share * transition.energy_error;
            }
            Ok(means)
        };
        let (single, half) = (accepted(SHARED_8)?, accepted(Some(Tiling::Emulated))?);
        println!("{name}: mean acceptance and energy error at β = 1, 10, 100: float32 {single:.4?}, half {half:.4?}");
        for (single, half) in single.iter().zip(&half) {
            // Of 480 trajectories the mean has an error of about 0.01.
            assert!(single[0] > 0.5 && (single[0] - half[0]).abs() < 0.05, "{single:?}, {half:?}");
        }
    }
    Ok(())
}

/// Labels of 10⁵ leave residuals that float16 does not hold: every trajectory with such a force is
/// rejected as diverged, and none in float32.
fn overflow() -> Test {
    let mut ensemble = Case { temperatures: 1, ..BASE }.ensemble();
    let mut problem = (*ensemble.problem).clone();
    problem.y_train = vec![1e5; problem.points()];
    ensemble.problem = problem.into();
    let diverged = |tiling| -> Result<Vec<bool>, Failed> {
        let mut gpu = start(&ensemble, GpuOptions { tiling, ..GpuOptions::default() })?;
        let before = gpu.weights()?;
        let outcomes = gpu.run(&moves(&ensemble, HMC, 1e-12, 0.1), &rounds(&ensemble, 1, 3))?;
        let diverged: Vec<_> = outcomes[0].transitions.iter().map(|t| t.diverged).collect();
        assert_eq!(gpu.weights()? == before, diverged.iter().all(|&d| d), "what is rejected stays");
        Ok(diverged)
    };
    assert!(diverged(SHARED_8)?.iter().all(|&d| !d));
    assert!(diverged(Some(Tiling::Emulated))?.iter().all(|&d| d));
    Ok(())
}

fn sampled(
    case: &common::posterior::Case,
    readout: Readout,
    edit: Option<fn(Kernel, &mut String)>,
) -> Vec<common::Target> {
    let setting = common::Setting { readout, ..common::Setting::new(SamplerKind::Malt, &[case.temperature]) };
    let options = GpuOptions { tiling: Some(Tiling::Emulated), edit, ..GpuOptions::default() };
    case.sample(&setting, |ensemble| match on_device(ensemble, options) {
        Ok(gpu) => Box::new(gpu),
        Err(error) => panic!("{error}"),
    })
}

fn posterior(case: &common::posterior::Case, readout: Readout) -> Test {
    let targets = sampled(case, readout, None);
    for target in &targets {
        println!("{} {readout:?} {:32} z = {:+.2}", case.activation, target.name, target.z());
    }
    common::assert_met(&case.activation, &targets);
    Ok(())
}

/// Forces that are a tenth too large are forces of no energy, but those of a function of position:
/// what is accepted has the same law.
fn wrong_force() -> Test {
    let case = &common::posterior::Case::all()[0];
    let spoiled: fn(Kernel, &mut String) = |_, text| *text = text.replace("halves(block[b])", "halves(1.1 * block[b])");
    common::assert_met("forces a tenth too large", &sampled(case, Readout::Sampled, Some(spoiled)));
    Ok(())
}

/// Labels a fifth too large, in forces and energies alike, are another law.
fn wrong_energy() -> Test {
    let case = &common::posterior::Case::all()[0];
    let spoiled: fn(Kernel, &mut String) =
        |_, text| *text = text.replace("- scalar(DATA_LABELS", "- 1.2 * scalar(DATA_LABELS");
    common::assert_missed("labels a fifth too large", &sampled(case, Readout::Sampled, Some(spoiled)));
    Ok(())
}

/// A device without cooperative matrices says so: the library with an error, the program with one
/// line and exit code 2.
fn refused() -> Test {
    let options = GpuOptions { tiling: Some(Tiling::Cooperative), ..GpuOptions::default() };
    let error = on_device(BASE.ensemble(), options).err().ok_or("cooperative matrices were used")?.to_string();
    assert!(error.contains("no cooperative matrices"), "{error}");
    let index = info().ok_or("no device")?.index;
    for command in [vec!["run", "--out", "/nonexistent/run"], vec!["bench"]] {
        let arguments = ["--precision", "f16-matrix", "--adapter", &index.to_string()].map(String::from);
        let output = Command::new(assert_cmd::cargo::cargo_bin!("featherm")).args(command).args(arguments).output()?;
        let error = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("precision = f16-matrix is impossible") && error.lines().count() == 1, "{error}");
    }
    Ok(())
}
