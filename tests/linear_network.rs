//! The samplers against the exact finite-width posterior of a linear network.

mod common;

use common::linear_network::{TEMPERATURE, exact, network, problem, targets};
use common::{Setting, assert_met, assert_missed};
use featherm::backend::cpu::Cpu;
use featherm::backend::{Backend, Ensemble};
use featherm::config::{Readout, SamplerKind};

fn cpu(ensemble: Ensemble) -> Box<dyn Backend> {
    Box::new(Cpu::<f32>::new(ensemble))
}

#[test]
fn every_observable_of_a_linear_network_is_exact() {
    let problem = problem();
    assert_eq!(problem.rank(), 4);
    for width in [3, 10, 50] {
        let exact = exact(&problem, width);
        for readout in [Readout::Integrated, Readout::Sampled] {
            for kind in [SamplerKind::Malt, SamplerKind::Hmc, SamplerKind::Mala] {
                let mut setting = Setting { readout, ..Setting::new(kind, &[TEMPERATURE]) };
                if kind == SamplerKind::Mala {
                    (setting.replicas, setting.draws) = (128, 3000);
                }
                let found = targets(&problem, network(width), &setting, 0, &exact, cpu);
                assert_met(&format!("{kind:?}, readout {readout:?}, N1 = {width}"), &found);
            }
        }
    }
}

#[test]
fn replica_exchange_leaves_a_linear_network_exact() {
    let problem = problem();
    for readout in [Readout::Integrated, Readout::Sampled] {
        for kind in [SamplerKind::Malt, SamplerKind::Hmc, SamplerKind::Mala] {
            let mut setting = Setting { tempering: true, readout, ..Setting::new(kind, &[3.0, 1.0, TEMPERATURE]) };
            if kind == SamplerKind::Mala {
                (setting.replicas, setting.draws) = (128, 2000);
            }
            let found = targets(&problem, network(10), &setting, 2, &exact(&problem, 10), cpu);
            assert_met(&format!("tempered {kind:?}, readout {readout:?}"), &found);
        }
    }
}

/// At a short step the biases of the unadjusted samplers are below the errors; at a long one they are not.
#[test]
fn unadjusted_samplers_meet_a_linear_network_at_short_steps_only() {
    let problem = problem();
    let exact = exact(&problem, 10);
    let sampled = |kind: SamplerKind, step_size: f64, draws: usize| {
        let setting =
            Setting { step_size: Some(step_size), draws, replicas: 128, ..Setting::new(kind, &[TEMPERATURE]) };
        targets(&problem, network(10), &setting, 0, &exact, cpu)
    };
    for (kind, short, long, draws) in [(SamplerKind::Baoab, 0.05, 0.28, 400), (SamplerKind::Ula, 1.5e-3, 0.05, 3000)] {
        assert_met(&format!("{kind:?} at {short}"), &sampled(kind, short, draws));
        assert_missed(&format!("{kind:?} at {long}"), &sampled(kind, long, draws));
    }
}

/// The large-N1 theory is not the exact answer at N1 = 3, and the test can tell.
#[test]
fn another_width_is_told_apart() {
    let problem = problem();
    let setting = Setting::new(SamplerKind::Malt, &[TEMPERATURE]);
    assert_missed("N1 = 3 against N1 = 4", &targets(&problem, network(3), &setting, 0, &exact(&problem, 4), cpu));
}
