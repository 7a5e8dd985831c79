//! `report.json`: the whole result of a run in one document, from which every table and figure is
//! made again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::backend::Device;
use crate::compare::{
    Cell, CentroidDistanceMaximum, Densities, GramDisplacement, LogEvidence, PredictorReport, ReadoutWeightVector, Row,
    WeightSpectrum,
};
use crate::config::Settings;
use crate::numerics::estimate::Estimate;
use crate::numerics::histogram::Density;
use crate::observables::ChainSeries;
use crate::sampler::{ChainReport, ExchangeReport, Readout, SamplerPlan};
use crate::stats::{Chains, QUANTILES, bfmi, bfmi_pooled};
use crate::theory::unit::Method;
use crate::theory::{Prediction, ProcessDetails, TheoryKind};

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
    /// Original labels of the classes; empty if the points have none.
    pub classes: Vec<String>,
    /// P, P*, N0 and the rank r of the training inputs.
    pub train_points: usize,
    pub test_points: usize,
    pub dimension: usize,
    pub rank: usize,
}

impl DataSummary {
    /// Returns where the data came from, and the classes if there are any.
    pub fn described(&self) -> String {
        match self.classes[..] {
            [] => self.name.clone(),
            _ => format!("{}, classes {}", self.name, self.classes.join(", ")),
        }
    }
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
    /// Whether the draws meet every threshold of [`super::verdict`].
    pub converged: bool,
    /// Why they do not and what to change, one complaint with its remedies each; settings are named
    /// as in a configuration file.
    pub advice: Vec<String>,
    pub sampler: SamplerReport,
    pub observables: BTreeMap<String, ObservableReport>,
    /// ln p(y), integrated over the ladder from the prior down to this temperature.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log_evidence: Option<LogEvidenceReport>,
    /// What the theories say that is not sampled.
    pub theory: BTreeMap<String, OrderParameters>,
    /// The same of the theories of one unit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub units: BTreeMap<String, UnitReport>,
    /// What is sampled beside the observables.
    #[serde(flatten)]
    pub signatures: Signatures,
}

/// What is sampled of one temperature that is no scalar of a draw.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Signatures {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub densities: Option<Densities>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readout_weight_vector: Option<ReadoutWeightVector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_spectrum: Option<WeightSpectrum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gram: Option<GramDisplacement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predictor: Option<PredictorReport>,
}

/// Which R̂ judges a temperature: the nested one where chains started in superchains, else the
/// rank-normalised split one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RhatKind {
    Nested,
    Split,
}

impl RhatKind {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Nested => "nested R\u{302}",
            Self::Split => "split R\u{302}",
        }
    }
}

impl TemperatureReport {
    /// The scalars that are diagnosed. Predictions at test points are kept only as batch means, too
    /// few to be diagnosed by themselves.
    fn diagnosed(&self) -> impl Iterator<Item = (&str, &ObservableReport)> {
        self.observables
            .iter()
            .filter(|(name, _)| !name.starts_with("predictive_"))
            .map(|(name, report)| (name.as_str(), report))
    }

    /// The largest of a field over the diagnosed scalars, by the order of `key`, and whose it is.
    pub fn largest(
        &self,
        field: impl Fn(&ObservableReport) -> &Field,
        key: impl Fn(f64) -> f64,
    ) -> Option<(&str, f64)> {
        self.diagnosed()
            .flat_map(|(name, report)| field(report).values().iter().flatten().map(move |&value| (name, value)))
            .max_by(|a, b| key(a.1).total_cmp(&key(b.1)))
    }

    /// The largest R̂ of the kind that judges.
    pub fn worst_rhat(&self) -> Option<(RhatKind, &str, f64)> {
        let nested = self.largest(|report| &report.nested_rhat, |x| x).map(|(name, x)| (RhatKind::Nested, name, x));
        nested.or_else(|| self.largest(|report| &report.rhat, |x| x).map(|(name, x)| (RhatKind::Split, name, x)))
    }

    /// The smallest bulk ESS.
    pub fn least_ess_bulk(&self) -> Option<(&str, f64)> {
        self.largest(|report| &report.ess, |x| -x)
    }

    /// The smallest tail ESS.
    pub fn least_ess_tail(&self) -> Option<(&str, f64)> {
        self.largest(|report| &report.ess_tail, |x| -x)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SamplerReport {
    pub step_size: f64,
    /// Steps per trajectory.
    pub steps: u32,
    pub friction: f64,
    /// Whether the readout was integrated out of the energy or moved beside the weights.
    pub readout: Readout,
    /// Smallest and largest mass of the rotated input directions.
    pub mass_range: [f64; 2],
    pub acceptance_rate: f64,
    /// Root mean square of a trajectory's energy error, divergences left out.
    pub energy_error: f64,
    pub chains: usize,
    pub draws: usize,
    /// Chains that ran away (see [`crate::backend::RUNAWAY`]) or left the finite numbers, and were
    /// left out.
    pub diverged_chains: usize,
    /// Trajectories with a non-finite or enormous energy error.
    pub divergences: usize,
    /// Groups of chains that started from one point and enter the nested R̂; 0 where there is none.
    pub superchains: usize,
    /// E-BFMI of all chains together, and that of the chain where it is smallest; `null` for `ula`,
    /// which has no momentum.
    pub e_bfmi: Option<f64>,
    pub e_bfmi_min: Option<f64>,
    /// Acceptance rates of exchanges with the next hotter and the next colder temperature; `null`
    /// where there are none.
    pub exchange_hotter: Option<f64>,
    pub exchange_colder: Option<f64>,
}

impl SamplerReport {
    /// The sampler's account of temperature `index` of the ladder, whose chains form `superchains`.
    pub fn new(
        (chains, series): (&ChainReport, &[ChainSeries]),
        plan: &SamplerPlan,
        (replicas, superchains): (usize, usize),
        draws: usize,
        (index, exchange): (usize, Option<&ExchangeReport>),
    ) -> Self {
        let (e_bfmi, e_bfmi_min) = energy_diagnostics(series);
        let rate = |gap: Option<usize>| exchange?.rates.get(gap?).copied();
        Self {
            step_size: chains.tuning.step_size,
            steps: chains.tuning.steps,
            friction: chains.tuning.friction(plan.kind),
            readout: plan.readout,
            mass_range: [
                chains.tuning.mass.weights.iter().copied().fold(f64::INFINITY, f64::min),
                chains.tuning.mass.weights.iter().copied().fold(0.0, f64::max),
            ],
            acceptance_rate: chains.acceptance_rate,
            energy_error: chains.energy_error,
            chains: replicas,
            draws,
            diverged_chains: chains.lost_chains,
            divergences: chains.divergences,
            superchains: if superchains < 2 { 0 } else { superchains },
            e_bfmi,
            e_bfmi_min,
            exchange_hotter: rate(index.checked_sub(1)),
            exchange_colder: rate(Some(index)),
        }
    }
}

/// E-BFMI over all chains and the smallest of one; lost chains, whose energies are not numbers, are
/// left out.
fn energy_diagnostics(series: &[ChainSeries]) -> (Option<f64>, Option<f64>) {
    let whole: Vec<&[f64]> = series
        .iter()
        .map(|chain| chain.energy.as_slice())
        .filter(|chain| chain.iter().all(|e| e.is_finite()))
        .collect();
    let values = whole.concat();
    let Ok(chains) = Chains::new(&values, whole.len()) else { return (None, None) };
    let finite = |x: f64| Some(x).filter(|x| x.is_finite());
    let least = bfmi(chains).into_iter().filter(|x| x.is_finite()).reduce(f64::min);
    (finite(bfmi_pooled(chains)), least)
}

/// The sampled log evidence beside the theories' (thermodynamic integration of ⟨L⟩ over β).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogEvidenceReport {
    pub mean: Option<f64>,
    /// Monte Carlo standard error.
    pub mcse: Option<f64>,
    /// Estimated error of the integration between the temperatures of the ladder.
    pub quadrature_error: Option<f64>,
    /// The theory whose own integral is exact and that was taken out before integrating: it
    /// sharpens the result and does not bias it.
    pub baseline: String,
    pub theory: BTreeMap<String, f64>,
    /// (mean − theory)/√(mcse² + quadrature_error²).
    pub z: BTreeMap<String, f64>,
    /// mean/theory − 1.
    pub relative_deviation: BTreeMap<String, f64>,
}

impl LogEvidenceReport {
    pub fn new(found: &LogEvidence, predictions: &[Prediction]) -> Self {
        let finite = |x: f64| Some(x).filter(|x| x.is_finite());
        let per_theory = |value: &dyn Fn(f64) -> f64| {
            let evidence = |p: &Prediction| Some((p.kind.name().to_string(), p.process.as_ref()?.log_evidence));
            let named = predictions.iter().filter_map(evidence).map(|(name, predicted)| (name, value(predicted)));
            named.filter(|(_, x)| x.is_finite()).collect()
        };
        Self {
            mean: finite(found.mean),
            mcse: finite(found.mcse),
            quadrature_error: finite(found.quadrature_error),
            baseline: found.baseline.name().into(),
            theory: per_theory(&|predicted| predicted),
            z: per_theory(&|predicted| (found.mean - predicted) / found.error()),
            relative_deviation: per_theory(&|predicted| found.mean / predicted - 1.0),
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

impl From<&ProcessDetails> for OrderParameters {
    fn from(p: &ProcessDetails) -> Self {
        let ProcessDetails { effective_action, log_evidence, .. } = *p;
        Self { q: p.solution.q, q_bar: p.solution.q_bar, effective_action, log_evidence }
    }
}

/// What a theory of one unit says beside the observables, and how it was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitReport {
    pub method: Method,
    /// Effective fraction of the draws.
    pub effective_fraction: f64,
    /// Residual and iterations of the self-consistent field; zero where it is the saddle point's.
    pub residual: f64,
    pub iterations: usize,
    /// Σ_μ Var f_μ/T of the adaptive theory: the effective number of parameters.
    #[serde(default)]
    pub effective_parameters: Option<Estimate>,
    /// ⟨v⁴⟩ and ⟨(w·û)⁴⟩.
    pub readout_fourth_moment: Estimate,
    pub weight_fourth_moment_along_u: Option<Estimate>,
    /// Marginal densities of v and of w·û.
    pub readout_density: Density,
    pub weight_density_along_u: Option<Density>,
}

impl UnitReport {
    /// `None` for a theory that is not one of one unit.
    pub fn of(p: &Prediction) -> Option<Self> {
        let unit = p.unit.as_ref()?;
        Some(Self {
            method: unit.method,
            effective_fraction: unit.effective_fraction,
            residual: unit.solution.residual,
            iterations: unit.solution.iterations,
            effective_parameters: unit.effective_parameters,
            readout_fourth_moment: p.readout_fourth_moment?,
            weight_fourth_moment_along_u: p.weight_fourth_moment_along_u,
            readout_density: unit.readout_density.clone(),
            weight_density_along_u: unit.weight_density_along_u.clone(),
        })
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
    /// Mean of the first half of the draws less that of the second, in standard errors from the
    /// spread over chains.
    pub drift: Field,
    /// Quantiles of the draws under their probabilities, "0.05", "0.5", "0.95"; empty where draws
    /// are known only as batch means.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub quantiles: BTreeMap<String, QuantileReport>,
    pub theory: BTreeMap<String, Field>,
    /// Monte Carlo errors of the theories that have one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub theory_error: BTreeMap<String, Field>,
    /// (mean − theory)/√(MCSE² + theory_error²).
    pub z: BTreeMap<String, Field>,
    /// mean/theory − 1.
    pub relative_deviation: BTreeMap<String, Field>,
}

/// A quantile with its Monte Carlo standard error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuantileReport {
    pub value: Field,
    pub mcse: Field,
}

impl From<&Row> for ObservableReport {
    fn from(row: &Row) -> Self {
        let field = |value: &dyn Fn(&Cell) -> Option<f64>| {
            let mut values: Vec<_> = row.cells.iter().map(|cell| value(cell).filter(|x| x.is_finite())).collect();
            if row.array { Field::Array(values) } else { Field::Scalar(values.pop().flatten()) }
        };
        let per_theory = |value: &dyn Fn(&Cell, TheoryKind) -> Option<f64>| {
            let known = |kind: &TheoryKind| row.cells.iter().any(|cell| cell.predicted(*kind).is_some());
            let kinds = TheoryKind::ALL.into_iter().filter(known);
            kinds.map(|kind| (kind.name().to_string(), field(&|cell| value(cell, kind)))).collect()
        };
        Self {
            mean: field(&|c| Some(c.summary.mean)),
            mcse: field(&|c| Some(c.summary.mcse)),
            ess: field(&|c| Some(c.summary.ess_bulk)),
            ess_tail: field(&|c| Some(c.summary.ess_tail)),
            rhat: field(&|c| Some(c.summary.rhat)),
            nested_rhat: field(&|c| Some(c.summary.nested_rhat)),
            drift: field(&|c| Some(c.summary.drift)),
            quantiles: (QUANTILES.into_iter().enumerate().filter(|_| !row.batched))
                .map(|(k, probability)| {
                    let value = field(&|c| Some(c.summary.quantiles[k].value));
                    let mcse = field(&|c| Some(c.summary.quantiles[k].mcse));
                    (probability.to_string(), QuantileReport { value, mcse })
                })
                .collect(),
            theory: per_theory(&|c, kind| c.predicted(kind)),
            theory_error: TheoryKind::UNITS
                .into_iter()
                .filter(|&kind| row.cells.iter().any(|cell| cell.theory_error(kind).is_some()))
                .map(|kind| (kind.name().to_string(), field(&|c| c.theory_error(kind))))
                .collect(),
            z: per_theory(&|c, kind| c.z(kind)),
            relative_deviation: per_theory(&|c, kind| c.relative_deviation(kind)),
        }
    }
}
