//! The samplers against NUTS reference posteriors, the prior, and themselves spoiled.

mod common;

use common::{MIN_ESS, Setting, Target, assert_met, assert_missed, ensemble, run, summary, task};
use featherm::backend::cpu::Cpu;
use featherm::backend::{Accumulated, Device, Moments, Move, Outcome, Round, Scheme, Weights};
use featherm::backend::{Backend, BackendError, Measurement};
use featherm::compare::predictive_rows;
use featherm::config::SamplerKind;
use featherm::model::{Activation, Network, Problem};
use featherm::stats::{Chains, Summary, ks_p_value};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    activation: String,
    width: usize,
    temperature: f64,
    lambda0: f64,
    lambda1: f64,
    x_train: Vec<Vec<f64>>,
    y_train: Vec<f64>,
    x_test: Vec<Vec<f64>>,
    posterior: BTreeMap<String, Posterior>,
}

#[derive(Deserialize)]
struct Posterior {
    mean: f64,
    mcse: f64,
}

impl Case {
    fn all() -> Vec<Self> {
        let text = include_str!("reference/posterior_reference.json");
        serde_json::from_str::<Reference>(text).unwrap().cases
    }

    fn network(&self) -> Network {
        let activation = match self.activation.as_str() {
            "erf" => Activation::Erf,
            "relu" => Activation::Relu,
            "tanh" => Activation::Tanh,
            "id" => Activation::Identity,
            other => panic!("unknown activation {other}"),
        };
        Network { width: self.width, activation, lambda0: self.lambda0, lambda1: self.lambda1 }
    }

    /// Every listed mean beside what `backend` samples. The Gram matrix of points 0 and 1 is measured by naming each point a class of
    /// its own; the weights along the first coordinate.
    fn sample(
        &self,
        setting: &Setting,
        backend: impl Fn(featherm::backend::Ensemble) -> Box<dyn Backend>,
    ) -> Vec<Target> {
        let mut by_sign = task(&self.x_train, &self.y_train, &self.x_test);
        let first_axis: Vec<f64> = (0..self.x_train[0].len()).map(|j| f64::from(u8::from(j == 0))).collect();
        let problem = Problem::new(&by_sign).unwrap();
        assert_eq!(problem.rank(), self.x_train[0].len(), "W' must hold all of W here");
        let by_sign_ensemble = ensemble(&problem, self.network(), setting, &first_axis);
        let mut on_device = backend(by_sign_ensemble.clone());
        let (draws, _) = run(on_device.as_mut(), &by_sign_ensemble, setting);
        let accumulated = on_device.accumulated().unwrap();
        let predictive = predictive_rows(&accumulated.predictive[0], &[]).unwrap();

        by_sign.class_train = (0..self.y_train.len()).map(|i| i.min(2)).collect();
        by_sign.class_names = vec!["first".into(), "second".into(), "rest".into()];
        let by_point = ensemble(&Problem::new(&by_sign).unwrap(), self.network(), setting, &first_axis);
        let (point_draws, _) = run(backend(by_point.clone()).as_mut(), &by_point, setting);

        let points = self.y_train.len() as f64;
        let scalar = |value: &dyn Fn(&Measurement) -> f64| summary(&draws, setting, 0, value);
        let second_moment = |point: usize| {
            let chains = &accumulated.predictive[0];
            let values: Vec<f64> =
                chains.iter().flatten().map(|batch| batch.sum_of_squares[point] / batch.draws as f64).collect();
            let summary = Summary::new(Chains::new(&values, chains.len()).unwrap(), 4);
            // Batches are few; their number says nothing of the draws behind them.
            Summary { ess_bulk: MIN_ESS, ..summary }
        };
        let predictive_mean = |point: usize| Summary { ess_bulk: MIN_ESS, ..predictive[0].cells[point].summary };
        let sampled = |name: &str| match name {
            "centroid_distance_sq" => scalar(&|m| m.centroid_gram[0] + m.centroid_gram[3] - 2.0 * m.centroid_gram[1]),
            "readout_second_moment" => scalar(&|m| m.readout_second_moment),
            "train_loss" => scalar(&|m| m.loss / points),
            "gram_00" => summary(&point_draws, setting, 0, |m| m.centroid_gram[0]),
            "gram_01" => summary(&point_draws, setting, 0, |m| m.centroid_gram[1]),
            "predictive_mean_0" => predictive_mean(0),
            "predictive_mean_1" => predictive_mean(1),
            "predictive_second_moment_0" => second_moment(0),
            "weight_second_moment" => scalar(&|m| m.weight_second_moment),
            "readout_weight_correlation_0" => scalar(&|m| m.readout_weight_along_u),
            other => panic!("the reference lists {other}, which is not compared"),
        };
        self.posterior
            .iter()
            .map(|(name, p)| Target { name: name.clone(), mean: p.mean, mcse: p.mcse, sampled: sampled(name) })
            .collect()
    }
}

fn cpu(ensemble: featherm::backend::Ensemble) -> Box<dyn Backend> {
    Box::new(Cpu::<f32>::new(ensemble))
}

fn check_all(kind: SamplerKind, adjust: impl Fn(&mut Setting)) {
    for case in Case::all() {
        let mut setting = Setting::new(kind, &[case.temperature]);
        adjust(&mut setting);
        assert_met(&format!("{kind:?} on {}", case.activation), &case.sample(&setting, cpu));
    }
}

#[test]
fn malt_meets_the_reference_posteriors() {
    check_all(SamplerKind::Malt, |_| ());
}

#[test]
fn hmc_meets_the_reference_posteriors() {
    check_all(SamplerKind::Hmc, |_| ());
}

#[test]
fn mala_meets_the_reference_posteriors() {
    check_all(SamplerKind::Mala, |setting| {
        setting.replicas = 128;
        setting.draws = 4000;
        setting.warmup = 400;
    });
}

#[test]
fn float64_meets_a_reference_posterior() {
    let case = &Case::all()[0];
    let setting = Setting::new(SamplerKind::Malt, &[case.temperature]);
    assert_met("float64", &case.sample(&setting, |e| Box::new(Cpu::<f64>::new(e))));
}

/// A backend that runs moves other than those it is given.
struct Spoiled<B> {
    inner: B,
    spoil: fn(&mut Move),
}

impl<B: Backend> Backend for Spoiled<B> {
    fn device(&self) -> Device {
        self.inner.device()
    }

    fn run(&mut self, moves: &[Move], rounds: &[Round]) -> Result<Vec<Outcome>, BackendError> {
        let mut moves = moves.to_vec();
        moves.iter_mut().for_each(self.spoil);
        self.inner.run(&moves, rounds)
    }

    fn moments(&self) -> Result<Vec<Moments>, BackendError> {
        self.inner.moments()
    }

    fn accumulated(&self) -> Result<Accumulated, BackendError> {
        self.inner.accumulated()
    }

    fn weights(&self) -> Result<Vec<Weights>, BackendError> {
        self.inner.weights()
    }

    fn set_weights(&mut self, weights: &[Weights]) -> Result<(), BackendError> {
        self.inner.set_weights(weights)
    }
}

/// A gradient, a prior and an accept rule that are wrong must each be seen.
#[test]
fn wrong_samplers_miss_the_reference_posteriors() {
    let case = &Case::all()[0];
    let mut setting = Setting::new(SamplerKind::Malt, &[case.temperature]);
    let spoiled =
        |spoil: fn(&mut Move)| move |e| -> Box<dyn Backend> { Box::new(Spoiled { inner: Cpu::<f32>::new(e), spoil }) };
    // The likelihood's force and energy three per cent too strong.
    assert_missed("likelihood", &case.sample(&setting, spoiled(|m| m.beta *= 1.03)));
    // A prior three per cent too narrow.
    let prior = |e: featherm::backend::Ensemble| -> Box<dyn Backend> {
        let network = Network { lambda0: 1.03 * e.network.lambda0, ..e.network };
        Box::new(Cpu::<f32>::new(featherm::backend::Ensemble { network, ..e }))
    };
    assert_missed("prior", &case.sample(&setting, prior));
    // Every proposal accepted, at a step length where that matters.
    setting.step_size = Some(0.3);
    let accept_all = spoiled(|m| m.scheme = Scheme::Obabo { friction: 1.0, metropolis: false });
    assert_missed("accept", &case.sample(&setting, accept_all));
}

/// Without data, v and w are Gaussian with variances 1/λ1 and 1/λ0.
#[test]
fn the_prior_is_sampled_exactly() {
    let case = &Case::all()[2];
    let network = case.network();
    let problem = Problem::new(&task(&case.x_train, &case.y_train, &case.x_test)).unwrap();
    let mut setting = Setting::new(SamplerKind::Malt, &[f64::INFINITY]);
    setting.replicas = 512;
    let direction = vec![0.0; problem.dimension()];
    let ensemble = ensemble(&problem, network, &setting, &direction);
    let mut backend = Cpu::<f32>::new(ensemble.clone());
    let (draws, report) = run(&mut backend, &ensemble, &setting);
    assert!(report.chains[0].acceptance_rate < 0.999, "the accept rule was at work");
    let moment = |name: &str, mean: f64, value: fn(&Measurement) -> f64| Target {
        name: name.into(),
        mean,
        mcse: 0.0,
        sampled: summary(&draws, &setting, 0, value),
    };
    assert_met(
        "prior",
        &[
            moment("v", 0.0, |m| m.readout_mean),
            moment("v²", 1.0 / network.lambda1, |m| m.readout_second_moment),
            moment("w²", 1.0 / network.lambda0, |m| m.weight_second_moment),
        ],
    );
    let weights = backend.weights().unwrap();
    let normal = |deviation: f64| move |x: f64| 0.5 * libm::erfc(-x / (deviation * std::f64::consts::SQRT_2));
    let v: Vec<f64> = weights.iter().flat_map(|w| w.readout.iter().copied()).collect();
    let w: Vec<f64> = weights.iter().flat_map(|w| w.rotated.iter().copied()).collect();
    let deviations = [1.0 / network.lambda1.sqrt(), 1.0 / network.lambda0.sqrt()];
    for (values, deviation) in [(&v, deviations[0]), (&w, deviations[1])] {
        assert!(values.len() >= 2000);
        assert!(ks_p_value(values, normal(deviation)) > 1e-3);
        assert!(ks_p_value(values, normal(1.2 * deviation)) < 1e-3, "a prior twenty per cent too wide must be seen");
    }
}
