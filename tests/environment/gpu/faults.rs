//! What goes wrong on a device: chains that diverge, ensembles that do not fit, drivers that fail;
//! each is one message and no panic.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use featherm::backend::cpu::Cpu;
use featherm::backend::gpu::shader::Kernel;
use featherm::backend::gpu::{AdapterChoice, Gpu, GpuOptions};
use featherm::backend::{Backend, Measurement, Outcome, Parity, Scheme};
use featherm::config::{Setup, TemperatureSettings, preset};
use featherm::model::Activation;
use featherm::remedy::{Remedies, Remedy, Setting};
use featherm::session::{Checkpoints, Event, Phase, Run, RunError, Session};
use featherm::studies::load;
use libtest_mimic::Failed;

use super::{BASE, Case, INTEGRATED, MALT, bits, moves, rounds};
use crate::common::gpu::{on_device, on_own_device};
use crate::{Group, Test};

/// Adds the tests of this file.
pub fn add(group: &mut Group) {
    group.fast("a_diverged_trajectory_is_rejected_and_forgotten", diverged);
    group.fast("lost_chains_stay_and_are_left_out", lost_chains);
    group.fast("chains_that_run_away_are_lost_as_on_the_cpu", runaway_chains);
    group.slow("too_large_systems_leave_the_readout_sampled", too_large_systems);
    group.fast("broken_shaders_name_file_and_line", broken_shader);
    group.fast("too_large_ensembles_are_refused_with_numbers", refusal);
    group.fast("a_buffer_beyond_the_device_is_one_message", large_buffer);
    group.fast("a_panic_of_the_driver_is_one_message", driver_panic);
    group.fast("a_lost_device_is_one_message", lost_device);
    group.slow("a_device_lost_in_a_run_leaves_its_checkpoint", lost_in_a_run);
}

/// What a run kept on its way, and how it ended.
type Course = (Vec<Vec<u8>>, Result<Run, RunError>);

/// A trajectory whose features overflow must be rejected and leave no trace in the next one.
fn diverged() -> Test {
    let case = Case { activation: Activation::Identity, ..BASE };
    let ensemble = case.ensemble();
    let mut gpu = on_device(ensemble.clone(), case.options())?;
    let mut calm = on_device(ensemble.clone(), case.options())?;
    let start = gpu.weights()?;
    let mut wild = moves(&ensemble, INTEGRATED, 1e6);
    wild.iter_mut().for_each(|motion| {
        motion.beta = 1e6;
        motion.mass.weights.fill(1e-12);
    });
    let mut long = rounds(&ensemble, 1, false);
    long[0].steps.fill(20);
    let outcomes = gpu.run(&wild, &long)?;
    assert!(outcomes[0].transitions.iter().all(|t| t.diverged && t.acceptance == 0.0), "{outcomes:?}");
    assert_eq!(gpu.weights()?, start);
    let (tame, mut next) = (moves(&ensemble, INTEGRATED, 0.2), rounds(&ensemble, 2, true));
    next.iter_mut().for_each(|round| round.trajectory += 1);
    let (a, b) = (gpu.run(&tame, &next)?, calm.run(&tame, &next)?);
    assert!(a.iter().flat_map(|o| &o.transitions).all(|t| t.acceptance > 0.5 && !t.diverged), "{a:?}");
    assert_eq!(bits(&gpu, &a)?, bits(&calm, &b)?);
    Ok(())
}

/// A learning rate that some chains survive and others do not.
fn lost_chains() -> Test {
    let case = Case { activation: Activation::Identity, replicas: 40, temperatures: 2, test: 3, ..BASE };
    let ensemble = case.ensemble();
    let moves = moves(&ensemble, Scheme::Ula, 0.3);
    let mut rounds = rounds(&ensemble, 4, true);
    rounds.iter_mut().for_each(|round| {
        round.steps.fill(12);
        round.exchange = Some(Parity::Even);
    });
    let (mut cpu, mut gpu) = (Cpu::<f32>::new(ensemble.clone()), on_device(ensemble, case.options())?);
    let (a, b) = (cpu.run(&moves, &rounds)?, gpu.run(&moves, &rounds)?);
    let lost = |outcomes: &[Outcome]| -> Vec<Vec<bool>> {
        outcomes.iter().map(|o| o.measurements.iter().map(|m: &Measurement| m.lost).collect()).collect()
    };
    let count = lost(&b).last().map_or(0, |last| last.iter().filter(|&&lost| lost).count());
    assert!((1..80).contains(&count), "{count} of 80 chains are lost");
    assert_eq!(lost(&a), lost(&b));
    let diverged = |o: &[Outcome]| o.iter().flat_map(|o| o.transitions.iter().map(|t| t.diverged)).collect::<Vec<_>>();
    assert_eq!(diverged(&a), diverged(&b));
    assert!(gpu.weights()?.iter().all(|w| w.rotated.iter().chain(&w.readout).all(|x| x.is_finite())));
    let draws = |backend: &dyn Backend| -> Result<Vec<usize>, Failed> {
        let all = backend.accumulated()?;
        let tallied = all.units.iter().flatten().map(|tally| tally.draws);
        Ok(all.predictive.iter().flatten().flatten().map(|batch| batch.draws).chain(tallied).collect())
    };
    assert_eq!(draws(&cpu)?, draws(&gpu)?);
    let finite = |sums: &[f64]| sums.iter().all(|x| x.is_finite());
    assert!(gpu.accumulated()?.gram.iter().flatten().all(|g| finite(g)));
    assert!(gpu.moments()?.iter().all(|m| finite(&m.weight_square)));
    Ok(())
}

/// Where ηTλ0 = 3 the step of ULA doubles W′ while erf of it, and the loss, stay finite; at the
/// colder temperature it does not.
fn runaway_chains() -> Test {
    let case = Case { replicas: 4, temperatures: 2, ..BASE };
    let mut ensemble = case.ensemble();
    (ensemble.network.lambda0, ensemble.network.lambda1) = (100.0, 1.0);
    let moves = moves(&ensemble, Scheme::Ula, 0.015);
    let mut rounds = rounds(&ensemble, 4, true);
    rounds.iter_mut().for_each(|round| round.steps.fill(12));
    let (mut cpu, mut gpu) = (Cpu::<f32>::new(ensemble.clone()), on_device(ensemble, case.options())?);
    let (a, b) = (cpu.run(&moves, &rounds)?, gpu.run(&moves, &rounds)?);
    let lost = |o: &Outcome| o.measurements.iter().map(|m| m.lost).collect::<Vec<_>>();
    let diverged = |o: &Outcome| o.transitions.iter().map(|t| t.diverged).collect::<Vec<_>>();
    for (a, b) in a.iter().zip(&b) {
        assert_eq!((lost(a), diverged(a)), (lost(b), diverged(b)));
    }
    // A thousandfold in a round: the bound is passed in the second.
    assert_eq!([lost(&b[0]), lost(&b[3])].concat(), [vec![false; 8], vec![true; 4], vec![false; 4]].concat());
    let finite = |m: &Measurement| (m.loss + m.weight_second_moment + m.weight_along_u_fourth).is_finite();
    assert!(b.iter().flat_map(|o| &o.measurements).all(finite));
    Ok(())
}

/// Where there is no room for the systems, or no time, the ensemble runs as ever with its readout
/// sampled.
fn too_large_systems() -> Test {
    let wide = Case { units: 513, points: 513, dimension: 2, temperatures: 1, replicas: 1, test: 0, ..BASE };
    for (case, binding_bytes) in [(wide, None), (Case { units: 61, points: 60, half: true, ..wide }, Some(29_200))] {
        let ensemble = case.ensemble();
        let mut gpu = on_device(ensemble.clone(), GpuOptions { binding_bytes, ..case.options() })?;
        assert!(!gpu.integrates_readout(), "{}", gpu.plan());
        let refused = gpu.run(&moves(&ensemble, INTEGRATED, 0.1), &rounds(&ensemble, 1, false)).err();
        let remedies = refused.ok_or("the readout was integrated out")?.remedies();
        assert_eq!(remedies, [Remedy::set(Setting::Readout, "sampled")]);
        gpu.run(&moves(&ensemble, MALT, 0.1), &rounds(&ensemble, 1, true))?;
    }
    let ensemble = BASE.ensemble();
    let mut gpu = on_device(ensemble.clone(), BASE.options())?;
    let mut mixed = moves(&ensemble, INTEGRATED, 0.1);
    mixed[1].scheme = MALT;
    let message = gpu.run(&mixed, &rounds(&ensemble, 1, false)).err().ok_or("mixed moves were played")?.to_string();
    assert!(message.contains("at all temperatures or at none"), "{message}");
    Ok(())
}

fn broken_shader() -> Test {
    let spoil = |kernel: Kernel, text: &mut String| {
        if kernel == Kernel::Residual {
            *text = text.replace("var loss = vec2<f32>(0.0);", "var loss = 1u;");
        }
    };
    let options = GpuOptions { edit: Some(spoil), ..BASE.options() };
    let error = on_device(BASE.ensemble(), options).err().ok_or("a broken shader was accepted")?.to_string();
    assert!(error.starts_with("shaders/residual.wgsl:") && error.lines().count() == 1, "{error}");
    Ok(())
}

fn refusal() -> Test {
    let options = GpuOptions { binding_bytes: Some(1 << 12), ..BASE.options() };
    let error = on_device(BASE.ensemble(), options).err().ok_or("too large an ensemble was accepted")?;
    assert!(error.to_string().contains("MiB") && error.remedies().contains(&Remedy::lower(Setting::Width)), "{error}");
    let error = Gpu::new(&AdapterChoice::Name("no such device".into()), BASE.ensemble(), BASE.options());
    let error = error.err().ok_or("a device that does not exist was opened")?.to_string();
    assert!(error.contains("there are: 0: "), "{error}");
    Ok(())
}

/// A buffer larger than the device's largest fails alone: the ensemble beside it goes on.
fn large_buffer() -> Test {
    let ensemble = BASE.ensemble();
    let mut gpu = on_own_device(ensemble.clone(), BASE.options())?;
    let error = gpu.engine().device.storage("everything", 1 << 50).err().ok_or("a pebibyte was reserved")?.to_string();
    assert!(error.starts_with("GPU ") && error.contains("1073741824.0 MiB for everything"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    gpu.run(&moves(&ensemble, MALT, 0.1), &rounds(&ensemble, 1, true))?;
    Ok(())
}

/// wgpu panics where a driver does what it must not; the user is to see one line and no backtrace.
fn driver_panic() -> Test {
    let ensemble = BASE.ensemble();
    let mut gpu = on_own_device(ensemble.clone(), BASE.options())?;
    let error =
        gpu.engine().device.guarded("being tried", || panic!("lost\n  the device")).err().ok_or("it went on")?;
    let error = error.to_string();
    assert!(error.starts_with("GPU ") && error.ends_with("its driver crashed (lost the device)"), "{error}");
    // The panic left error scopes open, which must not swallow or misreport what comes after.
    gpu.run(&moves(&ensemble, MALT, 0.1), &rounds(&ensemble, 1, true))?;
    assert!(gpu.engine().device.storage("everything", 1 << 50).is_err());
    Ok(())
}

fn lost_device() -> Test {
    let ensemble = BASE.ensemble();
    let mut gpu = on_own_device(ensemble.clone(), BASE.options())?;
    gpu.engine().device.device.destroy();
    let run = gpu.run(&moves(&ensemble, MALT, 0.1), &rounds(&ensemble, 2, true)).err();
    let errors = [run.ok_or("ran")?, gpu.weights().err().ok_or("read")?, gpu.moments().err().ok_or("summed")?];
    for error in errors.map(|error| error.to_string()) {
        assert!(error.starts_with("GPU ") && error.lines().count() == 1, "{error}");
        println!("{error}");
    }
    Ok(())
}

/// A run whose device goes away among its draws ends with one line; from what it kept, another
/// device gives the bits of a run left alone.
fn lost_in_a_run() -> Test {
    let mut settings = preset("quick")?;
    (settings.data.train, settings.data.test, settings.network.width) = (Some(10), Some(4), Some(6));
    settings.temperature = TemperatureSettings { values: Some(vec![1.0]), range: None };
    let sampler = &mut settings.sampler;
    (sampler.chains, sampler.warmup, sampler.draws) = (Some(4), Some(8), Some(20));
    let setup = Setup::resolve(settings)?;
    let problem = load(&setup)?;
    let sample = |from: Option<Vec<u8>>, lost: bool| -> Result<Course, Failed> {
        let session = Session::new(setup.experiment(), Arc::clone(&problem))?;
        let job = session.solve(|_| ControlFlow::Continue(()))?;
        let mut gpu = on_own_device(job.ensemble().clone(), GpuOptions::default())?;
        let handle = gpu.engine().device.device.clone();
        let mut kept = Vec::new();
        let mut keep = |state: &[u8]| {
            kept.push(state.to_vec());
            Ok(())
        };
        let listener = |event: &Event| {
            if lost && event.phase == Phase::Sampling {
                handle.destroy();
            }
            ControlFlow::Continue(())
        };
        let checkpoints = Checkpoints { from, every: Duration::from_nanos(1), keep: &mut keep };
        let ended = job.sample(&mut gpu, listener, Some(checkpoints));
        Ok((kept, ended))
    };
    let (_, alone) = sample(None, false)?;
    let alone = alone?.document.temperatures;
    let (kept, ended) = sample(None, true)?;
    let error = ended.err().ok_or("the run went on without its device")?.to_string();
    assert!(error.starts_with("GPU ") && error.lines().count() == 1, "{error}");
    let (_, ended) = sample(Some(kept.last().ok_or("no checkpoint was kept")?.clone()), false)?;
    assert_eq!(serde_json::to_string(&ended?.document.temperatures)?, serde_json::to_string(&alone)?);
    Ok(())
}
