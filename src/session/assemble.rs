//! From the samples of a job to its document: rows, evidence, signatures, warnings.

use std::collections::BTreeMap;

use super::{Job, RunError};
use crate::backend::{Accumulated, Backend};
use crate::compare::{self, DistanceCurve, LogEvidence, Losses, Row};
use crate::host::stop::Stop;
use crate::model::class_pairs;
use crate::observables;
use crate::observables::{Observable, Recorded, SampledTemperature, TestSet};
use crate::results::verdict::{diagnose, warnings};
use crate::results::{
    DataSummary, Document, LogEvidenceReport, SCHEMA, SamplerReport, Signatures, TemperatureReport, Timing, UnitReport,
};
use crate::sampler::{RunReport, SamplerPlan, superchains};
use crate::theory::unit::Params;
use crate::theory::{Prediction, TheoryKind, ladder};

/// Temperatures of the fine grid on which the theory's maximum is sought.
const THEORY_GRID: usize = 121;

impl Job {
    /// Every observable at every temperature, beside the theories.
    pub(super) fn rows(
        &self,
        entries: &[observables::Entry],
        sampled: &[SampledTemperature],
        accumulated: &Accumulated,
        signatures: &[Signatures],
    ) -> Result<Vec<Vec<Row>>, RunError> {
        let mut rows = Vec::new();
        for (t, sampled) in sampled.iter().enumerate() {
            let predictions = &self.solved.predictions[t];
            let superchains = self.judged_superchains(sampled);
            let mut at = compare::scalar_rows(entries, sampled, predictions, superchains)?;
            if !self.has_direction(t) {
                // Measured along a û of length zero they read 0, which is no measurement.
                at.retain(|row| !entries.iter().any(|e| e.name == row.name && e.members.iter().any(|o| o.along_u())));
            }
            at.extend(self.derived_rows(t, sampled, signatures[t].predictor.as_ref()));
            at.extend(compare::predictive_rows(&accumulated.predictive[t], &self.predicted_outputs(t), superchains)?);
            rows.push(at);
        }
        Ok(rows)
    }

    /// Superchains that the nested R̂ can tell apart: without its lost chains an ensemble no longer
    /// falls into those it started in.
    fn judged_superchains(&self, sampled: &SampledTemperature) -> usize {
        if sampled.chains == self.ensemble.replicas { superchains(sampled.chains) } else { 1 }
    }

    /// Whether some theory names a direction û at this temperature: none does where all fail, or
    /// where the labels are zero.
    pub(super) fn has_direction(&self, temperature: usize) -> bool {
        self.ensemble.projection_axes[temperature].iter().any(|&u| u != 0.0)
    }

    /// ln p(y) along the ladder from the draws of the loss.
    fn log_evidence(&self, sampled: &[SampledTemperature]) -> Option<Vec<LogEvidence>> {
        let problem = &self.solved.problem;
        let all = Observable::all(problem.classes(), TestSet::of(problem));
        let column = all.iter().position(|&o| o == Observable::TrainLoss)?;
        let points = problem.points() as f64;
        let losses: Vec<Losses> = sampled
            .iter()
            .map(|s| Losses { values: s.draws[column].iter().map(|x| points * x).collect(), chains: s.chains })
            .collect();
        compare::log_evidence(&self.solved.theory, self.experiment.temperatures(), &losses)
    }

    /// The account of a finished run.
    pub(super) fn document(
        &self,
        plan: &SamplerPlan,
        report: &RunReport,
        backend: &dyn Backend,
        timing: Timing,
        rows: Vec<Vec<Row>>,
        (sampled, recorded, at): (&[SampledTemperature], &Recorded, Vec<Signatures>),
    ) -> Document {
        let (experiment, problem) = (&self.experiment, &self.solved.problem);
        let signatures = self.signatures(&rows, sampled);
        let ladder = experiment.temperatures();
        let evidence = self.log_evidence(sampled);
        let mut temperatures: Vec<TemperatureReport> = rows
            .iter()
            .zip(at)
            .enumerate()
            .map(|(t, (rows, signatures))| {
                let (chains, predictions) = (&report.chains[t], &self.solved.predictions[t]);
                let found = evidence.as_ref().and_then(|evidence| evidence.get(t));
                TemperatureReport {
                    temperature: ladder[t],
                    converged: false,
                    advice: Vec::new(),
                    sampler: SamplerReport::new(
                        (chains, recorded.draws.at(t)),
                        plan,
                        (experiment.sampler().chains, self.judged_superchains(&sampled[t])),
                        report.draws,
                        (t, report.exchange.as_ref()),
                    ),
                    observables: rows.iter().map(|row| (row.name.clone(), row.into())).collect(),
                    log_evidence: found.map(|found| LogEvidenceReport::new(found, predictions)),
                    theory: by_theory(predictions, |p| Some(p.process.as_ref()?.into())),
                    units: by_theory(predictions, UnitReport::of),
                    signatures,
                }
            })
            .collect();
        let config = experiment.settings();
        for (t, at) in temperatures.iter_mut().enumerate() {
            let complaints = diagnose(at, &config.sampler, t.checked_sub(1).map(|hotter| ladder[hotter]));
            at.advice = complaints.iter().map(ToString::to_string).collect();
            at.converged = complaints.is_empty();
        }
        let mut warnings = warnings(&temperatures, experiment.sampler().kind.adjusted());
        warnings.extend(self.solved.warnings.iter().cloned());
        let aimless = (0..ladder.len()).filter(|&t| !self.has_direction(t));
        let aimless: Vec<String> = aimless.map(|t| ladder[t].to_string()).collect();
        if !aimless.is_empty() {
            let at = aimless.join(", ");
            warnings.push(format!(
                "no theory names a direction û at T = {at}: the two observables along it are left out there"
            ));
        }
        if evidence.is_none() {
            warnings.push("no theory has a solution at every temperature, so the log evidence is left out".into());
        }
        Document {
            schema: SCHEMA.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            config: config.clone(),
            device: backend.device(),
            data: DataSummary {
                name: problem.name.clone(),
                classes: problem.class_names.clone(),
                train_points: problem.points(),
                test_points: problem.test_points(),
                dimension: problem.dimension(),
                rank: problem.rank(),
            },
            timing,
            interrupted: report.interrupted,
            temperatures,
            exchange: report.exchange.clone(),
            signatures,
            warnings,
        }
    }

    /// The maximum of D²(T) for every pair of classes.
    fn signatures(
        &self,
        rows: &[Vec<Row>],
        sampled: &[SampledTemperature],
    ) -> BTreeMap<String, compare::CentroidDistanceMaximum> {
        let problem = &self.solved.problem;
        let temperatures = self.experiment.temperatures();
        let all = Observable::all(problem.classes(), TestSet::of(problem));
        let (theory, kinds, grid) = (&self.solved.theory, [TheoryKind::Saddle], fine_grid(temperatures));
        let fine = ladder::solve(theory, &kinds, &grid, &Params::default(), &Stop::default(), |_| {});
        let fine: Vec<Prediction> = fine.into_iter().flat_map(|fine| fine.predictions).flatten().collect();
        let mut maxima = BTreeMap::new();
        for (pair, (a, b)) in class_pairs(problem.classes()).enumerate() {
            let observable = Observable::CentroidDistanceSq(a, b);
            let Some(column) = all.iter().position(|&o| o == observable) else { continue };
            let suffix = observables::suffix(&problem.class_names, &[a, b]);
            let name = format!("{}{suffix}", observable.name());
            let cells: Vec<_> =
                rows.iter().filter_map(|rows| rows.iter().find(|row| row.name == name)?.cells.first()).collect();
            let Some(infinite_width) = cells.first().and_then(|cell| cell.predicted(TheoryKind::Nngp)) else {
                continue;
            };
            let curve = DistanceCurve {
                temperatures,
                chain_means: sampled.iter().map(|s| s.chain_means(column)).collect(),
                mcse: cells.iter().map(|cell| cell.summary.mcse).collect(),
                infinite_width,
                theory: fine.iter().map(|p| (p.temperature, p.centroid_distance_sq[pair].value)).collect(),
                on_ladder: TheoryKind::UNITS
                    .into_iter()
                    .map(|kind| {
                        let known = self.solved.predictions.iter().filter_map(|at| at.iter().find(|p| p.kind == kind));
                        let points = known.map(|p| (p.temperature, p.centroid_distance_sq[pair].value));
                        (kind.name().to_string(), points.collect())
                    })
                    .collect(),
            };
            if let Some(found) = compare::centroid_distance_maximum(&curve, self.experiment.sampler().seed, pair as u32)
            {
                maxima.insert(format!("centroid_distance_maximum{suffix}"), found);
            }
        }
        maxima
    }
}

/// Part of the predictions by the names of their theories.
fn by_theory<T>(predictions: &[Prediction], part: impl Fn(&Prediction) -> Option<T>) -> BTreeMap<String, T> {
    predictions.iter().filter_map(|p| Some((p.kind.name().to_string(), part(p)?))).collect()
}

/// Log-spaced temperatures over the range of the ladder.
fn fine_grid(temperatures: &[f64]) -> Vec<f64> {
    let (Some(&high), Some(&low)) = (temperatures.first(), temperatures.last()) else { return Vec::new() };
    let step = (low / high).ln() / (THEORY_GRID - 1) as f64;
    (0..THEORY_GRID).map(|k| high * (step * k as f64).exp()).collect()
}
