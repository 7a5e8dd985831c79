//! Sums and systems at the edges of float32: long loops, many matrices, cold and large systems,
//! energies that change from run to run.

use featherm::backend::cpu::Cpu;
use featherm::backend::gpu::schedule::Schedule;
use featherm::backend::gpu::shader::Kernel;
use featherm::backend::gpu::{AdapterInfo, GpuOptions};
use featherm::backend::{Backend, Ensemble, Scheme};
use featherm::model::{Activation, Network};
use libtest_mimic::Failed;

use super::{BASE, Case, INTEGRATED, MALT, all_pass, checks, moves, rounds};
use crate::common::gpu::{info, on_device};
use crate::{Group, Test};

/// Adds the tests of this file.
pub fn add(group: &mut Group) {
    group.slow("loops_stay_below_the_devices_limit", long_loops);
    group.slow("a_million_gram_matrices_keep_full_precision", gram_precision);
    group.fast("the_energy_can_change_from_run_to_run", switched);
    group.fast("a_cold_system_has_the_cpus_energy", cold_system);
    group.slow("the_largest_system_is_solved", largest_system);
}

/// Moves by V and by L, at changing temperatures, one after another from where the last one ended.
fn switched() -> Test {
    let deviation = |edit| -> Result<f64, Failed> {
        let ensemble = BASE.ensemble();
        let mut gpu = on_device(ensemble.clone(), GpuOptions { edit, ..BASE.options() })?;
        let mut cpu = Cpu::<f64>::new(ensemble.clone());
        let mut trajectory = 0;
        for (scheme, beta, moving) in [
            (MALT, 1.0, 3),
            (INTEGRATED, 1.0, 3),
            (INTEGRATED, 1.5, 2),
            // Of a temperature that stays the gradient is left as it is.
            (MALT, 1.0, 1),
            (MALT, 1.0, 3),
            (INTEGRATED, 0.5, 3),
            (Scheme::Baoab { friction: 0.5 }, 0.5, 3),
        ] {
            let mut moves = moves(&ensemble, scheme, 0.2);
            moves.iter_mut().for_each(|motion| motion.beta *= beta);
            let mut rounds = rounds(&ensemble, 2, true);
            for round in &mut rounds {
                trajectory += 1;
                round.trajectory = trajectory;
                round.steps[moving..].fill(0);
            }
            cpu.run(&moves, &rounds)?;
            gpu.run(&moves, &rounds)?;
        }
        let (a, b) = (cpu.weights()?, gpu.weights()?);
        let pairs = a.iter().zip(&b).flat_map(|(a, b)| {
            a.rotated.iter().chain(&a.readout).zip(b.rotated.iter().chain(&b.readout)).map(|(x, y)| (x - y).abs())
        });
        Ok(pairs.fold(0.0, f64::max))
    };
    let found = deviation(None)?;
    println!("largest deviation {found:.1e}");
    assert!(found < 1e-4, "{found:e}");
    let blind: fn(Kernel, &mut String) = |_, text| {
        *text = text.replace("select(note.yz, energy_of(chain), steps_of(chain) > 0u)", "energy_of(chain)");
    };
    let found = deviation(Some(blind))?;
    assert!(found > 1e-3, "a gradient taken for one that fits must show, but deviates by {found:e}");
    Ok(())
}

/// Pivots beyond 2, whose logarithms have a part in whole powers of 2.
fn cold_system() -> Test {
    let deviation = |edit| -> Result<f64, Failed> {
        let ensemble = BASE.ensemble();
        let mut moves = moves(&ensemble, INTEGRATED, 0.01);
        moves.iter_mut().for_each(|motion| motion.beta *= 100.0);
        let rounds = rounds(&ensemble, 1, false);
        let mut gpu = on_device(ensemble.clone(), GpuOptions { edit, ..BASE.options() })?;
        let (a, b) = (Cpu::<f64>::new(ensemble).run(&moves, &rounds)?, gpu.run(&moves, &rounds)?);
        let pairs = a[0].transitions.iter().zip(&b[0].transitions);
        Ok(pairs.fold(0.0, |worst: f64, (a, b)| worst.max((a.energy - b.energy).abs() / a.energy.abs())))
    };
    let found = deviation(None)?;
    println!("largest deviation {found:.1e}");
    assert!(found < 1e-5, "{found:e}");
    let spoiled: fn(Kernel, &mut String) = |_, text| *text = text.replace("0.693359375", "0.69");
    let found = deviation(Some(spoiled))?;
    assert!(found > 1e-4, "wrong powers of 2 must show, but deviate by {found:e}");
    Ok(())
}

/// The order at which systems are still solved: no loop is cut short.
fn largest_system() -> Test {
    let case = Case { units: 512, points: 513, dimension: 3, test: 0, temperatures: 1, replicas: 1, ..BASE };
    let ensemble = case.ensemble();
    let mut gpu = on_device(ensemble.clone(), GpuOptions::default())?;
    let mut cpu = Cpu::<f64>::new(ensemble.clone());
    let mut rounds = rounds(&ensemble, 1, true);
    rounds[0].steps.fill(2);
    let moves = moves(&ensemble, INTEGRATED, 0.1);
    let (a, b) = (cpu.run(&moves, &rounds)?.remove(0), gpu.run(&moves, &rounds)?.remove(0));
    let (a_state, b_state) = (cpu.weights()?.remove(0), gpu.weights()?.remove(0));
    let pairs = a_state.rotated.iter().chain(&a_state.readout).zip(b_state.rotated.iter().chain(&b_state.readout));
    let worst = pairs.fold(0.0, |worst: f64, (a, b)| worst.max((a - b).abs()));
    println!("{:?}\n{:?}\nlargest deviation {worst:.1e}", a.transitions, b.transitions);
    assert!(a.transitions[0].acceptance > 0.5 && worst < 1e-4, "{worst:e}");
    assert!((a.transitions[0].energy_error - b.transitions[0].energy_error).abs() < 1e-2);
    Ok(())
}

/// Sums whose loops would pass 65,535 in one invocation if nothing split them: a wide layer, and
/// many chains in a Gram sum.
fn long_loops() -> Test {
    let wide = Case { units: 45_000, points: 3, dimension: 2, temperatures: 1, replicas: 1, ..BASE };
    all_pass(&checks(wide, wide.options())?)?;

    let crowd = Case { units: 4_096, points: 2, dimension: 1, test: 0, temperatures: 1, replicas: 800, ..BASE };
    let ensemble = crowd.ensemble();
    let mut rounds = rounds(&ensemble, 1, true);
    rounds[0].steps.fill(0);
    let moves = moves(&ensemble, MALT, 0.1);
    let gram = |backend: &mut dyn Backend| -> Result<Vec<f64>, Failed> {
        backend.run(&moves, &rounds)?;
        Ok(backend.accumulated()?.gram.concat().concat())
    };
    let deviation = |a: &[f64], b: &[f64]| a.iter().zip(b).fold(0.0, |worst: f64, (a, b)| worst.max((a - b).abs()));
    let expected = gram(&mut Cpu::<f64>::new(ensemble.clone()))?;
    let found = gram(&mut on_device(ensemble.clone(), crowd.options())?)?;
    assert!(deviation(&expected, &found) < 1e-6, "{}", deviation(&expected, &found));
    if info().is_some_and(AdapterInfo::is_software) {
        // The limit is real: left in one piece, the sum is cut short.
        let unsplit = |_: Kernel, text: &mut String| {
            *text = text.replace("const GRAM_CHAINS = ", "const GRAM_CHAINS = 1000000u + ")
        };
        let options = GpuOptions { edit: Some(unsplit), ..crowd.options() };
        let found = gram(&mut on_device(ensemble, options)?)?;
        assert!(deviation(&expected, &found) > 1e-3, "the loop was not cut: the limit may be gone");
    }
    Ok(())
}

/// Full float32 precision of a mean over 10⁶ matrices: the kernel alone adds the same 100 chains of
/// a block ten thousand times.
fn gram_precision() -> Test {
    let case = Case { units: 1, points: 2, dimension: 2, test: 0, temperatures: 1, replicas: 800, ..BASE };
    let ensemble = Ensemble {
        network: Network { activation: Activation::Identity, ..case.ensemble().network },
        ..case.ensemble()
    };
    let z = &ensemble.problem.z_train;
    let worst = |repeats: usize, edit| -> Result<f64, Failed> {
        let gpu = on_device(ensemble.clone(), GpuOptions { edit, ..case.options() })?;
        let mut round = rounds(&ensemble, 1, true).remove(0);
        round.steps.fill(0);
        let mut schedule = Schedule::new(gpu.plan());
        schedule.round(0, &round);
        gpu.engine().run(&schedule.commands)?;
        let gram: Vec<_> = schedule.commands.into_iter().filter(|command| command.kernel == Kernel::Gram).collect();
        assert_eq!(gram.len(), 1);
        gpu.engine().run(&vec![gram[0]; repeats - 1])?;
        let buffer = &gpu.engine().gram[0];
        let sums = gpu.engine().device.read(buffer, buffer.size())?;

        let mut worst = 0.0f64;
        // Of each block two rows of a vector of high parts and one of low parts, the lower triangle
        // of which is used.
        for (block, sums) in sums.chunks_exact(16).enumerate() {
            let mut exact = [0.0; 4];
            for (replica, w) in gpu.weights()?.iter().enumerate() {
                let h = |point: usize| z[(point, 0)] * w.rotated[0] + z[(point, 1)] * w.rotated[1];
                if ensemble.gram_block(replica) == block {
                    (0..4).for_each(|k| exact[k] += repeats as f64 * h(k / 2) * h(k % 2));
                }
            }
            for (i, j) in [(0, 0), (1, 0), (1, 1)] {
                let sum = f64::from(sums[8 * i + j]) + f64::from(sums[8 * i + 4 + j]);
                worst = worst.max((sum - exact[2 * i + j]).abs() / exact[3 * i].max(exact[3 * j]));
            }
        }
        Ok(worst)
    };
    let error = worst(10_000, None)?;
    assert!(error < f64::from(f32::EPSILON), "relative error {error:e}");
    let plain: fn(Kernel, &mut String) =
        |_, text| *text = text.replace("Sums(high, low - opaque_four(high - s))", "Sums(high, vec4<f32>(0.0))");
    let error = worst(1_000, Some(plain))?;
    assert!(error > 1e-6, "plain float32 sums must show, but err by {error:e}");
    Ok(())
}
