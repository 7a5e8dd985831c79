//! Independent NUTS posteriors, and the same means from any backend.

use std::collections::BTreeMap;

use featherm::backend::{Backend, Ensemble, Measurement};
use featherm::compare::predictive_rows;
use featherm::model::{Activation, Network, Problem};
use featherm::stats::{Chains, Summary};
use serde::Deserialize;

use super::{MIN_ESS, Setting, Target, ensemble, run, summary, task};

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

/// A posterior that NUTS sampled in float64.
#[derive(Clone, Deserialize)]
pub struct Case {
    pub activation: String,
    width: usize,
    pub temperature: f64,
    lambda0: f64,
    lambda1: f64,
    pub x_train: Vec<Vec<f64>>,
    pub y_train: Vec<f64>,
    pub x_test: Vec<Vec<f64>>,
    posterior: BTreeMap<String, Posterior>,
}

#[derive(Clone, Deserialize)]
struct Posterior {
    mean: f64,
    mcse: f64,
}

impl Case {
    pub fn all() -> Vec<Self> {
        let text = include_str!("../reference/posterior_reference.json");
        serde_json::from_str::<Reference>(text).unwrap().cases
    }

    pub fn network(&self) -> Network {
        let activation = match self.activation.as_str() {
            "erf" => Activation::Erf,
            "relu" => Activation::Relu,
            "tanh" => Activation::Tanh,
            "id" => Activation::Identity,
            other => panic!("unknown activation {other}"),
        };
        Network { width: self.width, activation, lambda0: self.lambda0, lambda1: self.lambda1 }
    }

    /// Every listed mean beside what `backend` samples. The Gram matrix of points 0 and 1 is
    /// measured by naming each point a class of its own; the weights along the first coordinate.
    pub fn sample(&self, setting: &Setting, backend: impl Fn(Ensemble) -> Box<dyn Backend>) -> Vec<Target> {
        let mut by_sign = task(&self.x_train, &self.y_train, &self.x_test);
        let first_axis: Vec<f64> = (0..self.x_train[0].len()).map(|j| f64::from(u8::from(j == 0))).collect();
        let problem = Problem::new(&by_sign).unwrap();
        assert_eq!(problem.rank(), self.x_train[0].len(), "W' must hold all of W here");
        let by_sign_ensemble = ensemble(&problem, self.network(), setting, &first_axis);
        let mut on_device = backend(by_sign_ensemble.clone());
        let (draws, _) = run(on_device.as_mut(), &by_sign_ensemble, setting);
        let accumulated = on_device.accumulated().unwrap();
        let predictive = predictive_rows(&accumulated.predictive[0], &[], 1).unwrap();

        by_sign.class_train = (0..self.y_train.len()).map(|i| i.min(2)).collect();
        by_sign.class_names = vec!["first".into(), "second".into(), "rest".into()];
        let by_point = ensemble(&Problem::new(&by_sign).unwrap(), self.network(), setting, &first_axis);
        let (point_draws, _) = run(backend(by_point.clone()).as_mut(), &by_point, setting);

        let points = self.y_train.len() as f64;
        let scalar = |value: &dyn Fn(&Measurement) -> f64| summary(&draws, setting, 0, value);
        let second_moment = |point: usize| {
            let chains = &accumulated.predictive[0];
            // The last batch may be cut short, and those behind it are empty.
            let full = chains[0][0].draws;
            let filled = chains.iter().flatten().filter(|batch| batch.draws == full);
            let values: Vec<f64> = filled.map(|batch| batch.sum_of_squares[point] / full as f64).collect();
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
