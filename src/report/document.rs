//! `report.json`: the whole result of a run in one document, from which every table and figure is made again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::backend::Device;
use crate::compare::{Cell, CentroidDistanceMaximum, Row};
use crate::config::Settings;
use crate::sampler::{ChainReport, ExchangeReport};
use crate::theory::{Kind, Prediction};

/// Version of the document's shape.
pub const SCHEMA: &str = "featherm.report/1";

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub schema: String,
    /// Version of featherm.
    pub version: String,
    /// The resolved configuration.
    pub config: Settings,
    pub device: Device,
    pub data: DataSummary,
    pub timing: Timing,
    /// The run was stopped before all draws were taken.
    pub interrupted: bool,
    /// From hot to cold.
    pub temperatures: Vec<TemperatureReport>,
    /// Replica exchange between neighbouring temperatures, where it ran.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exchange: Option<ExchangeReport>,
    pub signatures: BTreeMap<String, CentroidDistanceMaximum>,
    /// What the reader should know before trusting a number.
    pub warnings: Vec<String>,
}

/// What the data turned out to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSummary {
    pub name: String,
    /// Original labels of the classes.
    pub classes: Vec<String>,
    /// P, P*, N0 and the rank r of the training inputs.
    pub train_points: usize,
    pub test_points: usize,
    pub dimension: usize,
    pub rank: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    pub theory_s: f64,
    pub warmup_s: f64,
    pub sampling_s: f64,
    /// Gradients of single chains, warm-up included.
    pub gradients: u64,
    /// Rate while sampling, at 4·P·r·N1 flops per gradient.
    pub gflops: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemperatureReport {
    pub temperature: f64,
    pub sampler: SamplerReport,
    pub observables: BTreeMap<String, ObservableReport>,
    /// What the theories say that is not sampled.
    pub theory: BTreeMap<String, OrderParameters>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SamplerReport {
    pub step_size: f64,
    /// Steps per trajectory.
    pub steps: u32,
    pub friction: f64,
    pub acceptance_rate: f64,
    /// Root mean square of a trajectory's energy error, divergences left out.
    pub energy_error: f64,
    pub chains: usize,
    pub draws: usize,
    /// Chains that left the finite numbers and were left out.
    pub diverged_chains: usize,
    /// Trajectories with a non-finite or enormous energy error.
    pub divergences: usize,
}

impl SamplerReport {
    pub fn new(chains: &ChainReport, friction: f64, replicas: usize, draws: usize) -> Self {
        Self {
            step_size: chains.tuning.step_size,
            steps: chains.tuning.steps,
            friction,
            acceptance_rate: chains.acceptance_rate,
            energy_error: chains.energy_error,
            chains: replicas,
            draws,
            diverged_chains: chains.lost_chains,
            divergences: chains.divergences,
        }
    }
}

/// Order parameters and evidence of one theory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderParameters {
    pub q: f64,
    pub q_bar: f64,
    pub effective_action: f64,
    pub log_evidence: f64,
}

impl From<&Prediction> for OrderParameters {
    fn from(p: &Prediction) -> Self {
        Self { q: p.q, q_bar: p.q_bar, effective_action: p.effective_action, log_evidence: p.log_evidence }
    }
}

/// A number, or one per element of an array observable; a number that is not finite is `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Field {
    Scalar(Option<f64>),
    Array(Vec<Option<f64>>),
}

impl Field {
    /// The scalar, or the only element.
    pub fn scalar(&self) -> Option<f64> {
        match self {
            Self::Scalar(value) => *value,
            Self::Array(values) if values.len() == 1 => values[0],
            Self::Array(_) => None,
        }
    }

    /// All numbers.
    pub fn values(&self) -> &[Option<f64>] {
        match self {
            Self::Scalar(value) => std::slice::from_ref(value),
            Self::Array(values) => values,
        }
    }
}

/// One observable at one temperature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservableReport {
    pub mean: Field,
    /// Monte Carlo standard error of the mean.
    pub mcse: Field,
    /// Bulk and tail effective sample size.
    pub ess: Field,
    pub ess_tail: Field,
    /// Rank-normalised split R̂, and nested R̂ over consecutive groups of chains.
    pub rhat: Field,
    pub nested_rhat: Field,
    pub theory: BTreeMap<String, Field>,
    /// (mean − theory)/MCSE.
    pub z: BTreeMap<String, Field>,
    /// mean/theory − 1.
    pub relative_deviation: BTreeMap<String, Field>,
}

impl From<&Row> for ObservableReport {
    fn from(row: &Row) -> Self {
        let field = |value: &dyn Fn(&Cell) -> Option<f64>| {
            let mut values: Vec<_> = row.cells.iter().map(|cell| value(cell).filter(|x| x.is_finite())).collect();
            if row.array { Field::Array(values) } else { Field::Scalar(values.pop().flatten()) }
        };
        let per_theory = |value: &dyn Fn(&Cell, Kind) -> Option<f64>| {
            let known = |kind: &Kind| row.cells.iter().any(|cell| cell.predicted(*kind).is_some());
            let kinds = Kind::ALL.into_iter().filter(known);
            kinds.map(|kind| (kind.name().to_string(), field(&|cell| value(cell, kind)))).collect()
        };
        Self {
            mean: field(&|c| Some(c.summary.mean)),
            mcse: field(&|c| Some(c.summary.mcse)),
            ess: field(&|c| Some(c.summary.ess_bulk)),
            ess_tail: field(&|c| Some(c.summary.ess_tail)),
            rhat: field(&|c| Some(c.summary.rhat)),
            nested_rhat: field(&|c| Some(c.summary.nested_rhat)),
            theory: per_theory(&|c, kind| c.predicted(kind)),
            z: per_theory(&|c, kind| c.z(kind)),
            relative_deviation: per_theory(&|c, kind| c.relative_deviation(kind)),
        }
    }
}
