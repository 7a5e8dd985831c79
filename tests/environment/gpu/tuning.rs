//! Tilings of the matrix products: that they decide on bits and are kept with a run, how one is
//! measured and found again, and the clock by which gaps are told.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use featherm::backend::gpu::memory::MemoryPlan;
use featherm::backend::gpu::shader::Kernel;
use featherm::backend::gpu::tiling::Tiling;
use featherm::backend::gpu::tuning::{Choice, TILINGS, Tilings, tune};
use featherm::backend::gpu::{AdapterChoice, AdapterInfo, Gpu, GpuOptions};
use featherm::backend::{Backend, Ensemble, IntegratorParams, Mass, Observation, Round, Scheme};
use featherm::config::{Setup, TemperatureSettings, preset};
use featherm::session::Session;
use featherm::studies::load;
use libtest_mimic::Failed;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::gpu::{info, on_device};
use crate::{Group, Test, common};

type Named = (&'static str, fn(&AdapterInfo) -> Test);

/// Adds the tests of this file.
pub fn add(group: &mut Group) {
    let tests: [Named; 4] = [
        ("a_restored_ensemble_keeps_the_tiling_that_its_bits_follow_from", restored),
        ("the_program_takes_what_it_measured_and_needs_no_cache", program),
        ("busy_time_is_that_of_the_commands", busy),
        ("gram_matrices_leave_out_tiles_above_the_diagonal", one_triangle),
    ];
    for (name, test) in tests {
        group.slow(format!("tuning::{name}"), move || test(info().ok_or("no device")?));
    }
    group.long("tuning::the_measured_tiling_is_found_again", || measured(info().ok_or("no device")?));
}

/// Digits 3 and 8 at one temperature.
fn ensemble(points: usize, width: usize, chains: usize) -> Result<Ensemble, Failed> {
    let mut settings = preset("quick")?;
    (settings.data.train, settings.data.test, settings.network.width) = (Some(points), Some(4), Some(width));
    settings.temperature = TemperatureSettings { values: Some(vec![1.0]), range: None };
    settings.sampler.chains = Some(chains);
    let setup = Setup::resolve(settings)?;
    let session = Session::new(setup.experiment(), load(&setup)?)?;
    Ok(session.solve(|_| ControlFlow::Continue(()))?.ensemble().clone())
}

fn new(ensemble: &Ensemble, tiling: Option<Tiling>) -> Result<Gpu, Failed> {
    let options = GpuOptions { tiling, ..GpuOptions::default() };
    Ok(on_device(ensemble.clone(), options)?)
}

const MALT: Scheme = Scheme::Obabo { friction: 0.5, metropolis: true };
const INTEGRATED: Scheme = Scheme::Marginal { friction: 0.5 };

fn moves(ensemble: &Ensemble, scheme: Scheme) -> [IntegratorParams; 1] {
    let mass = Mass { weights: vec![2.0; ensemble.problem.rank()], readout: 3.0 };
    [IntegratorParams { beta: 1.0, scheme, step_size: 0.2, mass }]
}

fn round(trajectory: u32, steps: u32) -> Round {
    let observe = Some(Observation { batch: Some(0), gram: true, weights: true });
    Round { trajectory, steps: vec![steps], exchange: None, observe }
}

/// All that is known after the second of two rounds; Debug prints every bit of a number.
fn second_round(gpu: &mut Gpu, scheme: Scheme, ensemble: &Ensemble) -> Result<String, Failed> {
    let outcomes = gpu.run(&moves(ensemble, scheme), &[round(2, 3)])?;
    Ok(format!("{outcomes:?}\n{:?}\n{:?}", gpu.accumulated()?, gpu.weights()?))
}

/// The tilings that the device can run. Software devices take minutes to compile the kernels of
/// subgroups, so there these are left to the longest version of the tests.
fn compiled(device: &AdapterInfo, ensemble: &Ensemble) -> Vec<Tiling> {
    let wanted = |tiling: &Tiling| *tiling != Tiling::Subgroup || !device.is_software() || common::long();
    possible(device, ensemble).into_iter().filter(wanted).collect()
}

/// The tilings that the device can run.
fn possible(device: &AdapterInfo, ensemble: &Ensemble) -> Vec<Tiling> {
    let runs = |tiling: &Tiling| MemoryPlan::new(ensemble, &device.limits(), Some(*tiling), false).is_ok();
    TILINGS.into_iter().filter(runs).collect()
}

fn restored(device: &AdapterInfo) -> Test {
    let ensemble = ensemble(37, 41, 2)?;
    for scheme in [MALT, INTEGRATED] {
        let mut ends = Vec::new();
        // One scheme with all of them: software devices take seconds to compile each.
        let most = if scheme == MALT { TILINGS.len() } else { 2 };
        for tiling in compiled(device, &ensemble).into_iter().take(most) {
            let mut gpu = new(&ensemble, Some(tiling))?;
            gpu.run(&moves(&ensemble, scheme), &[round(1, 3)])?;
            let mut saved = Vec::new();
            gpu.save(&mut saved)?;
            let end = second_round(&mut gpu, scheme, &ensemble)?;
            // Into an ensemble that is divided otherwise, as one is where another tiling was
            // measured since.
            let other = if tiling == Tiling::Register(4) { Tiling::Register(8) } else { Tiling::Register(4) };
            let mut later = new(&ensemble, Some(other))?;
            assert!(later.restore(&saved)?);
            assert_eq!(later.plan().layout.tiling, tiling);
            let named = later.device().tiling.unwrap_or_default();
            assert_eq!(named, format!("{tiling}, of its checkpoint"));
            assert!(second_round(&mut later, scheme, &ensemble)? == end, "{tiling} goes on to other bits");
            ends.push((tiling, end));
        }
        // The control: were the tiling not kept, other bits would follow.
        for (n, (a, end)) in ends.iter().enumerate() {
            for (b, other) in &ends[..n] {
                println!("{scheme:?}: {a} and {b} {}", if end == other { "agree" } else { "differ" });
            }
        }
        let differ = ends.iter().any(|(_, end)| *end != ends[0].1);
        assert!(differ, "all tilings give the same bits: none would have to be kept");
    }
    Ok(())
}

fn measured(device: &AdapterInfo) -> Test {
    let dir = TempDir::new()?;
    let tilings = Tilings::at(&dir.path().join("tilings.json"));
    let ensemble = ensemble(12, 9, 2)?;
    assert_eq!(tilings.known(device, &ensemble, false), None);
    let tuned = tune(&AdapterChoice::Index(device.index), &ensemble, false, &tilings)?;
    println!("{tuned}");
    let timed: Vec<_> = tuned.times.iter().map(|(tiling, _)| *tiling).collect();
    assert_eq!(timed, possible(device, &ensemble), "every tiling has its turn");
    assert!(tuned.times.iter().all(|(_, seconds)| *seconds > 0.0 && seconds.is_finite()), "{tuned}");
    let least = tuned.times.iter().map(|(_, seconds)| *seconds).fold(f64::INFINITY, f64::min);
    let taken = tuned.times.iter().find(|(tiling, _)| *tiling == tuned.choice.tiling);
    assert!(taken.is_some_and(|(_, seconds)| *seconds <= least / 0.95), "{tuned}");
    assert_eq!(tuned.kept.as_deref(), Ok(&*dir.path().join("tilings.json")));
    assert_eq!(tilings.known(device, &ensemble, false), Some(tuned.choice.tiling));
    // Any number of chains has the same bits, and so the same tiling; other shapes, storage,
    // devices and drivers are others.
    let crowd = Ensemble { replicas: 50, ..ensemble.clone() };
    assert_eq!(tilings.known(device, &crowd, false), Some(tuned.choice.tiling));
    let wider = Ensemble { network: featherm::model::Network { width: 10, ..ensemble.network }, ..ensemble.clone() };
    let newer = AdapterInfo { driver: "another".into(), ..device.clone() };
    let strangers = [(device, &ensemble, true), (device, &wider, false), (&newer, &ensemble, false)];
    assert!(strangers.iter().all(|(device, ensemble, half)| tilings.known(device, ensemble, *half).is_none()));
    // A tiling that the device cannot run, or that there is not, is not taken from any file.
    let incapable = AdapterInfo { subgroup: 0, max_workgroup_bytes: 64, ..device.clone() };
    for tiling in [Tiling::Subgroup, Tiling::Workgroup(8), Tiling::Register(5)] {
        tilings.keep(Choice { tiling, ..tuned.choice.clone() })?;
        assert_eq!(tilings.known(&incapable, &ensemble, false), None, "{tiling}");
    }
    Ok(())
}

fn program(device: &AdapterInfo) -> Test {
    let dir = TempDir::new()?;
    let cache = dir.path().join("cache");
    let index = device.index.to_string();
    let bench = |cache: &Path, more: &[&str]| -> Result<(Value, String), Failed> {
        let shape = ["--train", "12", "--test", "0", "--width", "9", "--chains", "2", "--temperatures", "1"];
        let timed = ["bench", "--adapter", &index, "--steps-only", "--rounds", "1", "--json"];
        let mut command = common::resume::featherm(dir.path(), &[&timed[..], &shape, more].concat());
        let output = command.env("XDG_CACHE_HOME", cache).output()?;
        let log = common::resume::stderr(&output);
        if !output.status.success() {
            return Err(log.into());
        }
        Ok((serde_json::from_slice(&output.stdout)?, log))
    };
    let (document, log) = bench(&cache, &["--tune"])?;
    assert!(log.starts_with("tiles for P = 12, r = ") && log.contains("kept in "), "{log}");
    let tiling = |document: &Value| document["device"]["tiling"].as_str().unwrap_or_default().to_owned();
    assert!(tiling(&document).ends_with(", measured"), "{document}");
    for case in document["cases"].as_array().into_iter().flatten() {
        assert_eq!(case["tiling"], document["device"]["tiling"]);
        assert_eq!(case["gaps"].is_f64(), device.timestamps, "{case}");
        assert!(case["gaps"].as_f64().is_none_or(|gaps| gaps < 1.0), "{case}");
    }
    // What is in the file is what runs, be it what it may.
    let path = cache.join("featherm/gpu-tilings.json");
    let mut kept: Value = serde_json::from_slice(&fs::read(&path)?)?;
    kept["tilings"][0]["tiling"] = serde_json::json!({ "workgroup": 4 });
    fs::write(&path, kept.to_string())?;
    assert_eq!(tiling(&bench(&cache, &[])?.0), "workgroup 4, measured");
    let devices = common::resume::featherm(dir.path(), &["devices"]).env("XDG_CACHE_HOME", &cache).output()?;
    let listed = String::from_utf8_lossy(&devices.stdout).into_owned();
    assert!(listed.contains("measured: tiles workgroup 4 for P = 12"), "{listed}");
    // Without the file the rule decides.
    fs::write(&path, "{")?;
    assert!(tiling(&bench(&cache, &[])?.0).ends_with(", by rule"));
    // Where nothing can be written a measurement is lost, and nothing else.
    let (document, log) = bench(&path, &["--tune"])?;
    assert!(log.contains("but not kept: ") && tiling(&document).ends_with(", by rule"), "{log}");
    Ok(())
}

fn busy(device: &AdapterInfo) -> Test {
    let ensemble = ensemble(60, 60, 4)?;
    let mut gpu = new(&ensemble, compiled(device, &ensemble).first().copied())?;
    for scheme in [MALT, INTEGRATED] {
        let moves = moves(&ensemble, scheme);
        // Compiles.
        gpu.run(&moves, &[round(1, 2)])?;
        let start = Instant::now();
        let Some(seconds) = gpu.busy(&moves, &round(2, 10))? else {
            assert!(!device.timestamps);
            return Ok(());
        };
        let whole = start.elapsed().as_secs_f64();
        assert!(seconds > 0.0 && seconds <= whole, "{seconds} of {whole} s");
        // A clock in other units would be seen. Hardware may be done with so little before it has
        // begun.
        assert!(!device.is_software() || seconds > 0.01 * whole, "{seconds} of {whole} s");
        let stages = gpu.stages(&moves, &round(3, 10))?;
        let step: f64 = stages.iter().map(|stage| stage.seconds).sum();
        assert!(stages.len() >= 4 && step > 0.0 && step < seconds, "{step} of {seconds} s");
    }
    Ok(())
}

/// Of the sums for Gram matrices what lies in tiles above the diagonal is never written.
fn one_triangle(device: &AdapterInfo) -> Test {
    let ensemble = ensemble(160, 40, 2)?;
    let full: fn(Kernel, &mut String) = |kernel, text| {
        if kernel == Kernel::Gram {
            assert!(text.contains("if above_diagonal() {"));
            *text = text.replace("if above_diagonal() {", "if above_diagonal() && call.zero != 0u {");
        }
    };
    for tiling in compiled(device, &ensemble) {
        let written = |edit| -> Result<_, Failed> {
            let options = GpuOptions { tiling: Some(tiling), edit, ..GpuOptions::default() };
            let mut gpu = on_device(ensemble.clone(), options)?;
            gpu.run(&moves(&ensemble, MALT), &[round(1, 1)])?;
            let engine = gpu.engine();
            let sums = engine.device.read(&engine.gram[0], engine.gram[0].size())?;
            Ok(sums.into_iter().filter(|&x| x != 0.0).count())
        };
        let (half, whole) = (written(None)?, written(Some(full))?);
        let tile = tiling.tile();
        println!("{tiling}, tiles of {tile:?}: {half} of {whole} numbers");
        if 4 * tile[0].max(tile[1]) <= 160 {
            assert!(half as f64 <= 0.7 * whole as f64, "{tiling}: {half} of {whole}");
        }
    }
    Ok(())
}
