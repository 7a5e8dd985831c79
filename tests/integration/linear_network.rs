//! The samplers against the exact finite-width posterior of a linear network.

use crate::common::linear_network::{TEMPERATURE, exact, log_evidence, network, problem, targets};
use crate::common::{MAX_Z, Setting, assert_met, assert_missed, ensemble, run};
use featherm::backend::cpu::Cpu;
use featherm::backend::{Backend, Ensemble};
use featherm::compare::{self, LogEvidence, Losses};
use featherm::sampler::{Readout, SamplerKind};
use featherm::theory::Theory;

fn cpu(ensemble: Ensemble) -> Box<dyn Backend> {
    Box::new(Cpu::<f32>::new(ensemble))
}

/// Every observable of a network of this width.
fn assert_exact(width: usize, kind: SamplerKind, readout: Readout) {
    let problem = problem();
    assert_eq!(problem.rank(), 4);
    let mut setting = Setting { readout, ..Setting::new(kind, &[TEMPERATURE]) };
    if kind == SamplerKind::Mala {
        (setting.replicas, setting.draws) = (128, 3000);
    }
    let found = targets(&problem, network(width), &setting, 0, &exact(&problem, width), cpu);
    assert_met(&format!("{kind:?}, readout {readout:?}, N1 = {width}"), &found);
}

#[test]
fn every_observable_of_a_linear_network_is_exact() {
    for (kind, readout) in [(SamplerKind::Malt, Readout::Integrated), (SamplerKind::Hmc, Readout::Sampled)] {
        assert_exact(10, kind, readout);
    }
}

#[test]
#[ignore = "slow: statistical"]
fn every_observable_of_a_linear_network_is_exact_by_every_sampler_at_every_width() {
    for width in [3, 10, 50] {
        for readout in [Readout::Integrated, Readout::Sampled] {
            for kind in [SamplerKind::Malt, SamplerKind::Hmc, SamplerKind::Mala] {
                assert_exact(width, kind, readout);
            }
        }
    }
}

/// Every observable at the coldest of three temperatures that exchange states.
fn assert_tempered(kind: SamplerKind, readout: Readout) {
    let problem = problem();
    let mut setting = Setting { tempering: true, readout, ..Setting::new(kind, &[3.0, 1.0, TEMPERATURE]) };
    if kind == SamplerKind::Mala {
        (setting.replicas, setting.draws) = (128, 2000);
    }
    let found = targets(&problem, network(10), &setting, 2, &exact(&problem, 10), cpu);
    assert_met(&format!("tempered {kind:?}, readout {readout:?}"), &found);
}

/// Rounded forces leave the law of a sampled readout as it is; the integrated one is that of
/// rounded activations, by less than the errors.
#[test]
fn storage_in_float16_leaves_a_linear_network_exact() {
    let problem = problem();
    let half = |ensemble| -> Box<dyn Backend> { Box::new(Cpu::<f32>::with_half_storage(ensemble)) };
    for readout in [Readout::Integrated, Readout::Sampled] {
        let setting = Setting { readout, ..Setting::new(SamplerKind::Malt, &[TEMPERATURE]) };
        let found = targets(&problem, network(10), &setting, 0, &exact(&problem, 10), half);
        assert_met(&format!("float16, readout {readout:?}"), &found);
        let other = targets(&problem, network(10), &setting, 0, &exact(&problem, 20), half);
        assert_missed("the law of twice the width", &other);
    }
}

#[test]
fn replica_exchange_leaves_a_linear_network_exact() {
    assert_tempered(SamplerKind::Malt, Readout::Integrated);
}

#[test]
#[ignore = "slow: statistical"]
fn replica_exchange_leaves_a_linear_network_exact_by_every_sampler() {
    for readout in [Readout::Integrated, Readout::Sampled] {
        for kind in [SamplerKind::Malt, SamplerKind::Hmc, SamplerKind::Mala] {
            assert_tempered(kind, readout);
        }
    }
}

/// At a short step the bias of an unadjusted sampler is below the errors; at a long one it is not.
fn assert_biased_at_long_steps(kind: SamplerKind, short: f64, long: f64, draws: usize) {
    let problem = problem();
    let exact = exact(&problem, 10);
    let sampled = |step_size: f64| {
        let setting =
            Setting { step_size: Some(step_size), draws, replicas: 128, ..Setting::new(kind, &[TEMPERATURE]) };
        targets(&problem, network(10), &setting, 0, &exact, cpu)
    };
    assert_met(&format!("{kind:?} at {short}"), &sampled(short));
    assert_missed(&format!("{kind:?} at {long}"), &sampled(long));
}

#[test]
fn baoab_meets_a_linear_network_at_short_steps_only() {
    assert_biased_at_long_steps(SamplerKind::Baoab, 0.05, 0.28, 400);
}

#[test]
#[ignore = "slow: statistical, with short steps"]
fn ula_meets_a_linear_network_at_short_steps_only() {
    assert_biased_at_long_steps(SamplerKind::Ula, 1.5e-3, 0.05, 3000);
}

/// The large-N1 theory is not the exact answer at N1 = 3, and the test can tell.
#[test]
fn another_width_is_told_apart() {
    let problem = problem();
    let setting = Setting::new(SamplerKind::Malt, &[TEMPERATURE]);
    let found = targets(&problem, network(3), &setting, 0, &exact(&problem, 4), cpu);
    assert_missed("N1 = 3 against N1 = 4", &found);
    // So can each of these by itself.
    let (weights, others): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|target| target.name.starts_with("⟨w") && target.name != "⟨w²⟩");
    assert_missed("⟨w wᵀ⟩, N1 = 3 against N1 = 4", &weights);
    let tested: Vec<_> = others.into_iter().filter(|target| target.name.ends_with(" test")).collect();
    assert_missed("test points, N1 = 3 against N1 = 4", &tested);
}

/// The evidence that samples of a ladder give, by thermodynamic integration.
fn sampled_evidence(width: usize, setting: &Setting, scale: f64) -> Vec<LogEvidence> {
    let problem = problem();
    let ensemble = ensemble(&problem, network(width), setting, &[1.0, 0.0, 0.0, 0.0]);
    let (draws, _) = run(cpu(ensemble.clone()).as_mut(), &ensemble, setting);
    let losses: Vec<Losses> = (0..setting.temperatures.len())
        .map(|t| {
            let chains = t * setting.replicas..(t + 1) * setting.replicas;
            let values = chains.flat_map(|chain| draws.iter().map(move |draw| scale * draw[chain].loss)).collect();
            Losses { values, chains: setting.replicas }
        })
        .collect();
    let theory = Theory::new(&problem, &network(width)).unwrap();
    compare::log_evidence(&theory, &setting.temperatures, &losses).unwrap()
}

/// ln p(y) at every temperature against the quadrature over q, with errors small enough to mean
/// something.
#[test]
#[ignore = "slow: statistical, four ladders"]
fn the_evidence_of_a_linear_network_is_exact() {
    let problem = problem();
    let ladder = [30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03];
    for (width, tempering) in [(3, false), (10, false), (10, true), (50, true)] {
        let setting = Setting { tempering, ..Setting::new(SamplerKind::Malt, &ladder) };
        let found = sampled_evidence(width, &setting, 1.0);
        let z = |found: &[LogEvidence], true_width: usize| -> Vec<f64> {
            let exact = |t: f64| log_evidence(&problem, true_width, t);
            found.iter().zip(ladder).map(|(found, t)| (found.mean - exact(t)) / found.error()).collect()
        };
        for (found, (z, t)) in found.iter().zip(z(&found, width).iter().zip(ladder)) {
            println!("N1 = {width}, T = {t}: {found:?}, z = {z:.2}");
            assert!(z.abs() < MAX_Z, "N1 = {width}, T = {t}: {found:?}, exact {}", log_evidence(&problem, width, t));
            assert!(found.error() < 0.1, "N1 = {width}, T = {t}: {found:?}");
        }
        // Controls: the evidence of another width is another one, and a loss that is off by a
        // twentieth is seen.
        if width == 3 {
            let missed = |z: &[f64]| z.iter().any(|z| z.abs() > MAX_Z);
            assert!(missed(&z(&found, 6)), "N1 = 3 against N1 = 6: {:?}", z(&found, 6));
            let wrong = sampled_evidence(width, &setting, 1.05);
            assert!(missed(&z(&wrong, width)), "a scaled loss: {:?}", z(&wrong, width));
        }
    }
}

/// A ladder that starts too cold cannot resolve the way from the prior: its error says so and
/// covers what was lost.
#[test]
fn an_unresolved_first_interval_shows_in_the_quadrature_error() {
    let problem = problem();
    for ladder in [[0.3, 0.1], [0.03, 0.01]] {
        let found = sampled_evidence(3, &Setting::new(SamplerKind::Malt, &ladder), 1.0);
        for (found, t) in found.iter().zip(ladder) {
            let miss = (found.mean - log_evidence(&problem, 3, t)).abs();
            println!("T = {t}: {found:?}, off by {miss:.4}");
            assert!(miss < 4.0 * found.error(), "T = {t}: {found:?} is off by {miss}");
            assert!(found.quadrature_error > 3.0 * found.mcse, "T = {t}: {found:?}");
        }
    }
}
