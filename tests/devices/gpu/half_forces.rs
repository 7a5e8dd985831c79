//! Forces within a trajectory from products of float16 operands (`--precision f16-matrix`), emulated without cooperative matrices: what they err by, what
//! that costs, and that it leaves the law alone.

use assert_cmd::Command;
use featherm::backend::cpu::Cpu;
use featherm::backend::gpu::shader::Kernel;
use featherm::backend::gpu::tiling::Tiling;
use featherm::backend::gpu::{AdapterChoice, Gpu, GpuOptions};
use featherm::backend::{Backend, Ensemble, Mass, Move, Round, Scheme};
use featherm::config::{Readout, SamplerKind};
use libtest_mimic::Failed;

use crate::{BASE, Case, HALF_FORCES, SHARED_8, Test, common};

const INTEGRATED: Scheme = Scheme::Marginal { friction: 0.0 };
const HMC: Scheme = Scheme::Obabo { friction: 0.0, metropolis: true };

/// Relative rounding of float16.
const UNIT: f64 = 1.0 / 2048.0;

/// β grows tenfold from one temperature to the next, with masses to match.
fn moves(ensemble: &Ensemble, scheme: Scheme, beta: f64, step_size: f64) -> Vec<Move> {
    let problem = &ensemble.problem;
    let curvature = |j: usize| problem.z_train.col(j).squared_norm_l2();
    let motion = |t: usize| {
        let beta = beta * 10f64.powi(t as i32);
        let weights = (0..problem.rank()).map(|j| 1.0 + beta * curvature(j)).collect();
        let mass = Mass { weights, readout: 1.0 + beta * problem.points() as f64 };
        Move { beta, scheme, step_size, mass }
    };
    (0..ensemble.temperatures).map(motion).collect()
}

fn rounds(ensemble: &Ensemble, count: u32, steps: u32) -> Vec<Round> {
    let round =
        |trajectory| Round { trajectory, steps: vec![steps; ensemble.temperatures], exchange: None, observe: None };
    (1..=count).map(round).collect()
}

fn start(device: &AdapterChoice, ensemble: &Ensemble, options: GpuOptions) -> Result<Gpu, Failed> {
    Ok(Gpu::new(device, ensemble.clone(), options)?)
}

/// After two steps a position has felt one force of float16 operands: its deviation from float64 is that of the force, relative to what forces move.
pub fn rounding(device: &AdapterChoice) -> Test {
    // A step long enough for its rounding in float32 not to matter.
    for scheme in [Scheme::Obabo { friction: 0.0, metropolis: false }, INTEGRATED] {
        let ensemble = HALF_FORCES.ensemble();
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
            let mut gpu = start(device, &ensemble, GpuOptions { tiling, edit, ..GpuOptions::default() })?;
            Ok(distance(&places(&mut gpu, 1.0)?, &exact) / moved)
        };
        let spoiled: fn(Kernel, &mut String) = |_, text| *text = text.replace("halves(block[", "halves(1.005 * block[");
        let single = deviation(SHARED_8, None)?;
        let half = deviation(Some(Tiling::Emulated), None)?;
        let control = deviation(Some(Tiling::Emulated), Some(spoiled))?;
        println!("{scheme:?}: float32 {single:.1e}, float16 operands {half:.1e}, spoiled by 0.5 % {control:.1e}");
        // Two operands of either product are rounded, at random: one unit at most when their errors are added in squares. Without any rounding
        // nothing would be left of it.
        assert!(single < UNIT / 50.0 && half > UNIT / 50.0 && half < UNIT, "{single:e}, {half:e}");
        assert!(control > 1.5 * UNIT, "{control:e}");
    }
    Ok(())
}

/// The same trajectories with either forces, at three temperatures a factor of ten apart.
pub fn acceptance(device: &AdapterChoice) -> Test {
    let case = Case { replicas: 16, ..HALF_FORCES };
    let ensemble = case.ensemble();
    for (name, scheme, step_size) in [("sampled", HMC, 0.15), ("integrated", INTEGRATED, 0.2)] {
        let accepted = |tiling| -> Result<Vec<[f64; 2]>, Failed> {
            let mut gpu = start(device, &ensemble, GpuOptions { tiling, ..GpuOptions::default() })?;
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

/// Labels of 10⁵ leave residuals that float16 does not hold: every trajectory with such a force is rejected as diverged, and none in float32.
pub fn overflow(device: &AdapterChoice) -> Test {
    let mut ensemble = Case { temperatures: 1, ..BASE }.ensemble();
    let mut problem = (*ensemble.problem).clone();
    problem.y_train = vec![1e5; problem.points()];
    ensemble.problem = problem.into();
    let diverged = |tiling| -> Result<Vec<bool>, Failed> {
        let mut gpu = start(device, &ensemble, GpuOptions { tiling, ..GpuOptions::default() })?;
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
    device: &AdapterChoice,
    case: &common::posterior::Case,
    readout: Readout,
    edit: Option<fn(Kernel, &mut String)>,
) -> Vec<common::Target> {
    let setting = common::Setting { readout, ..common::Setting::new(SamplerKind::Malt, &[case.temperature]) };
    let options = GpuOptions { tiling: Some(Tiling::Emulated), edit, ..GpuOptions::default() };
    case.sample(&setting, |ensemble| match Gpu::new(device, ensemble, options) {
        Ok(gpu) => Box::new(gpu),
        Err(error) => panic!("{error}"),
    })
}

pub fn posterior(device: &AdapterChoice, case: &common::posterior::Case, readout: Readout) -> Test {
    let targets = sampled(device, case, readout, None);
    for target in &targets {
        println!("{} {readout:?} {:32} z = {:+.2}", case.activation, target.name, target.z());
    }
    common::assert_met(&case.activation, &targets);
    Ok(())
}

/// Forces that are a tenth too large are forces of no energy, but those of a function of position: what is accepted has the same law.
pub fn wrong_force(device: &AdapterChoice) -> Test {
    let case = &common::posterior::Case::all()[0];
    let spoiled: fn(Kernel, &mut String) = |_, text| *text = text.replace("halves(block[b])", "halves(1.1 * block[b])");
    common::assert_met("forces a tenth too large", &sampled(device, case, Readout::Sampled, Some(spoiled)));
    Ok(())
}

/// Labels a fifth too large, in forces and energies alike, are another law.
pub fn wrong_energy(device: &AdapterChoice) -> Test {
    let case = &common::posterior::Case::all()[0];
    let spoiled: fn(Kernel, &mut String) =
        |_, text| *text = text.replace("- scalar(DATA_LABELS", "- 1.2 * scalar(DATA_LABELS");
    common::assert_missed("labels a fifth too large", &sampled(device, case, Readout::Sampled, Some(spoiled)));
    Ok(())
}

/// A device without cooperative matrices says so: the library with an error, the program with one line and exit code 2.
pub fn refused(device: &AdapterChoice) -> Test {
    let options = GpuOptions { tiling: Some(Tiling::Cooperative), ..GpuOptions::default() };
    let error = Gpu::new(device, BASE.ensemble(), options).err().ok_or("cooperative matrices were used")?.to_string();
    assert!(error.contains("no cooperative matrices"), "{error}");
    let AdapterChoice::Index(index) = device else { return Err("the tests choose their device by its number".into()) };
    for command in [vec!["run", "--out", "/nonexistent/run"], vec!["bench"]] {
        let arguments = ["--precision", "f16-matrix", "--adapter", &index.to_string()].map(String::from);
        let output = Command::new(assert_cmd::cargo::cargo_bin!("featherm")).args(command).args(arguments).output()?;
        let error = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("precision = f16-matrix is impossible") && error.lines().count() == 1, "{error}");
    }
    Ok(())
}
