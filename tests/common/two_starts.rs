//! Chains from the prior beside chains planted in a cold state.

use std::ops::ControlFlow;

use featherm::backend::cpu::Cpu;
use featherm::backend::{Backend, Ensemble, Measurement, Weights};
use featherm::config::{Setup, preset};
use featherm::model::{Activation, Network, Problem};
use featherm::sampler::{Readout, SamplerKind, sample};
use featherm::stats::Summary;

use super::{Setting, ensemble, plan, rotation, summary};

pub const TEMPERATURE: f64 = 0.05;

/// What is compared.
pub const OBSERVABLES: [&str; 3] = ["D²", "⟨v²⟩", "⟨L⟩"];

/// Digits 3/8 on a network.
pub struct TwoStarts {
    problem: Problem,
    network: Network,
}

/// The observables of both starts.
#[derive(Debug)]
pub struct Meeting {
    from_prior: [Summary; 3],
    from_cold: [Summary; 3],
}

impl Meeting {
    /// Distances in combined errors.
    pub fn z(&self) -> [f64; 3] {
        let (a, b) = (&self.from_prior, &self.from_cold);
        std::array::from_fn(|k| (a[k].mean - b[k].mean) / a[k].mcse.hypot(b[k].mcse))
    }

    pub fn least_ess(&self) -> f64 {
        self.from_prior.iter().chain(&self.from_cold).map(|summary| summary.ess_bulk).fold(f64::INFINITY, f64::min)
    }
}

impl TwoStarts {
    pub fn new(activation: Activation, width: usize, points: usize) -> Self {
        let mut settings = preset("quick").unwrap();
        (settings.data.train, settings.data.test) = (Some(points), Some(0));
        let setup = Setup::resolve(settings).unwrap();
        let problem = featherm::data::load(setup.data(), 1).unwrap();
        let network = Network { width, activation, lambda0: 1.0, lambda1: 1.0 };
        Self { problem, network }
    }

    /// Samples of `setting` from both starts.
    pub fn meet(&self, setting: &Setting) -> Meeting {
        let base = ensemble(&self.problem, self.network, setting, &vec![0.0; self.problem.dimension()]);
        let cold = Setting {
            replicas: setting.replicas,
            draws: 4,
            readout: setting.readout,
            ..Setting::new(SamplerKind::Malt, &[TEMPERATURE / 50.0])
        };
        let (_, planted) = sampled(&base, &cold, 7, None);
        let (from_prior, _) = sampled(&base, setting, 1, None);
        let (from_cold, _) = sampled(&base, setting, 2, Some(&planted));
        Meeting { from_prior: observables(&from_prior, setting), from_cold: observables(&from_cold, setting) }
    }
}

/// Chains that have time to meet.
pub fn patient(readout: Readout, replicas: usize, draws: usize) -> Setting {
    Setting { readout, replicas, draws, ..Setting::new(SamplerKind::Malt, &[TEMPERATURE]) }
}

/// Chains that barely move cannot have met: the control.
pub fn hasty(readout: Readout) -> Setting {
    let mala = Setting::new(SamplerKind::Mala, &[TEMPERATURE]);
    Setting { warmup: 0, draws: 40, step_size: Some(1e-3), readout, ..mala }
}

/// Samples from given weights, or from the prior; returns the draws and where the chains ended.
fn sampled(
    base: &Ensemble,
    setting: &Setting,
    seed: u64,
    start: Option<&[Weights]>,
) -> (Vec<Vec<Measurement>>, Vec<Weights>) {
    let ensemble = Ensemble { seed: seed + (rotation() << 8), ..base.clone() };
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
