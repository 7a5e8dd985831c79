//! Warm-ups of any length leave a tuning that can be sampled with.

use std::ops::ControlFlow;

use crate::common::{Setting, ensemble, task};
use featherm::backend::cpu::Cpu;
use featherm::model::{Activation, Network, Problem};
use featherm::sampler::{Phase, Readout, SamplerKind, SamplerPlan, Tuning, informed_mass, sample};

const TEMPERATURES: [f64; 2] = [1.0, 0.1];

/// The tuning after `warmup` trajectories.
fn tuned(
    kind: SamplerKind,
    readout: Readout,
    replicas: usize,
    warmup: usize,
    step_size: Option<f64>,
    steps: Option<u32>,
) -> Vec<Tuning> {
    let entry = |i: usize, j: usize| (((i * 31 + j * 57 + i * j * 13) % 23) as f64 - 11.0) / 7.0;
    let inputs: Vec<Vec<f64>> = (0..7).map(|i| (0..5).map(|j| entry(i, j)).collect()).collect();
    let y: Vec<f64> = (0..7).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 }).collect();
    let problem = Problem::new(&task(&inputs, &y, &[])).unwrap();
    let network = Network { width: 4, activation: Activation::Erf, lambda0: 1.0, lambda1: 1.0 };
    let setting = Setting { replicas, ..Setting::new(kind, &TEMPERATURES) };
    let ensemble = ensemble(&problem, network, &setting, &[1.0, 0.0, 0.0, 0.0, 0.0]);
    let betas = TEMPERATURES.map(|t| 1.0 / t);
    let initial = |&beta: &f64| Tuning {
        step_size: step_size.unwrap_or(0.3),
        steps: steps.unwrap_or(1),
        mass: informed_mass(&problem, &network, beta, 1.0),
    };
    let plan = SamplerPlan {
        kind,
        readout,
        betas: betas.to_vec(),
        warmup,
        draws: 4,
        batches: 1,
        initial: betas.iter().map(initial).collect(),
        adapt_step_size: step_size.is_none(),
        adapt_steps: steps.is_none() && kind.tunes_steps(),
        tempering: true,
        superchains: 1,
        gram: false,
        observe_warmup: false,
        snapshots: 0,
    };
    let mut warmed = 0;
    let report = sample(
        &mut Cpu::<f32>::new(ensemble),
        &plan,
        |_| (),
        |state| {
            if state.phase == Phase::WarmUp {
                warmed = state.done;
            }
            ControlFlow::Continue(())
        },
    );
    assert_eq!(warmed, warmup, "no more and no fewer trajectories than asked for");
    report.unwrap().chains.into_iter().map(|chains| chains.tuning).collect()
}

#[test]
fn any_length_of_warm_up_leaves_a_usable_tuning() {
    use SamplerKind::{Baoab, Hmc, Mala, Malt};
    let integrated = [Malt, Hmc, Mala].map(|kind| (kind, Readout::Integrated));
    for (kind, readout) in [Malt, Hmc, Mala, Baoab].map(|kind| (kind, Readout::Sampled)).into_iter().chain(integrated) {
        for replicas in [1, 6] {
            for warmup in [0, 1, 2, 5, 20, 50, 53, 54, 77, 110] {
                for tuning in tuned(kind, readout, replicas, warmup, None, None) {
                    let what = format!("{kind:?}, {readout:?}, {replicas} replicas, warm-up {warmup}: {tuning:?}");
                    assert!((1e-3..10.0).contains(&tuning.step_size), "{what}");
                    let mass = tuning.mass.weights.iter().chain([&tuning.mass.readout]);
                    assert!(mass.copied().all(|m| m > 0.0 && m.is_finite()), "{what}");
                    match kind {
                        Mala => assert_eq!(tuning.steps, 1, "{what}"),
                        // Too short a warm-up to try lengths must not leave the shortest of them.
                        _ if warmup < 50 => assert!((0.6..2.0).contains(&tuning.duration()), "{what}"),
                        _ => assert!(tuning.duration() > 0.1, "{what}"),
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_fixed_stays_fixed() {
    for warmup in [0, 20, 80] {
        for tuning in tuned(SamplerKind::Malt, Readout::Sampled, 4, warmup, Some(0.02), None) {
            assert_eq!(tuning.step_size, 0.02);
            assert!(tuning.steps > 4, "steps follow the step length, warm-up {warmup}: {tuning:?}");
        }
        for tuning in tuned(SamplerKind::Malt, Readout::Sampled, 4, warmup, None, Some(7)) {
            assert_eq!(tuning.steps, 7);
        }
    }
}
