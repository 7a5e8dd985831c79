//! Two starts meet: chains from the prior and chains planted in a cold state forget where they came from.

mod common;

use std::ops::ControlFlow;

use common::{MAX_Z, MIN_ESS, Setting, ensemble, plan, summary};
use featherm::backend::cpu::Cpu;
use featherm::backend::{Backend, Ensemble, Measurement, Weights};
use featherm::config::{Readout, SamplerKind, preset};
use featherm::model::{Activation, Network};
use featherm::sampler::sample;
use featherm::stats::Summary;

const TEMPERATURE: f64 = 0.05;

fn experiment() -> (featherm::model::Problem, Network) {
    let mut settings = preset("quick").unwrap();
    (settings.data.train, settings.data.test) = (Some(40), Some(0));
    let experiment = featherm::config::Experiment::resolve(settings).unwrap();
    let task = featherm::data::load(&experiment.data, 1).unwrap();
    let network = Network { width: 20, activation: Activation::Erf, lambda0: 1.0, lambda1: 1.0 };
    (featherm::model::Problem::new(&task).unwrap(), network)
}

/// Samples from given weights, or from the prior; returns the draws and where the chains ended.
fn sampled(
    base: &Ensemble,
    setting: &Setting,
    seed: u64,
    start: Option<&[Weights]>,
) -> (Vec<Vec<Measurement>>, Vec<Weights>) {
    let ensemble = Ensemble { seed, ..base.clone() };
    let mut backend = Cpu::<f32>::new(ensemble.clone());
    if let Some(weights) = start {
        backend.set_weights(weights).unwrap();
    }
    let mut draws = Vec::new();
    let record = |m: &[Measurement]| draws.push(m.to_vec());
    sample(&mut backend, &plan(&ensemble, setting), record, |_| ControlFlow::Continue(())).unwrap();
    (draws, backend.weights().unwrap())
}

/// D² of the two classes, ⟨v²⟩ and L.
fn observables(draws: &[Vec<Measurement>], setting: &Setting) -> [Summary; 3] {
    let distance = |m: &Measurement| m.centroid_gram[0] + m.centroid_gram[3] - 2.0 * m.centroid_gram[1];
    [
        summary(draws, setting, 0, distance),
        summary(draws, setting, 0, |m| m.readout_second_moment),
        summary(draws, setting, 0, |m| m.loss),
    ]
}

fn distances(a: &[Summary; 3], b: &[Summary; 3]) -> [f64; 3] {
    std::array::from_fn(|k| ((a[k].mean - b[k].mean) / a[k].mcse.hypot(b[k].mcse)).abs())
}

#[test]
fn chains_from_the_prior_and_from_a_cold_state_agree() {
    let (problem, network) = experiment();
    for readout in [Readout::Integrated, Readout::Sampled] {
        let setting = Setting { readout, draws: 400, ..Setting::new(SamplerKind::Malt, &[TEMPERATURE]) };
        let base = ensemble(&problem, network, &setting, &vec![0.0; problem.dimension()]);
        let cold = Setting { temperatures: vec![TEMPERATURE / 50.0], draws: 4, ..Setting::new(SamplerKind::Malt, &[]) };
        let (_, planted) = sampled(&base, &cold, 7, None);
        let (from_prior, _) = sampled(&base, &setting, 1, None);
        let (from_cold, _) = sampled(&base, &setting, 2, Some(&planted));
        let (a, b) = (observables(&from_prior, &setting), observables(&from_cold, &setting));
        assert!(a.iter().chain(&b).all(|summary| summary.ess_bulk >= MIN_ESS), "{a:?} {b:?}");
        let z = distances(&a, &b);
        assert!(z.iter().all(|&z| z < MAX_Z), "readout {readout:?}: {z:?}, {a:?} {b:?}");

        // The control: chains that barely move have not met, and it shows.
        let hasty = Setting {
            warmup: 0,
            draws: 40,
            step_size: Some(1e-3),
            readout,
            ..Setting::new(SamplerKind::Mala, &[TEMPERATURE])
        };
        let (from_prior, _) = sampled(&base, &hasty, 1, None);
        let (from_cold, _) = sampled(&base, &hasty, 2, Some(&planted));
        let z = distances(&observables(&from_prior, &hasty), &observables(&from_cold, &hasty));
        assert!(z.iter().any(|&z| z > MAX_Z), "two starts that cannot have met are not told apart: {z:?}");
    }
}
