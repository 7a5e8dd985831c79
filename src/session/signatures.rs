//! From the accumulators of a job to the signatures that are no scalar of a draw: densities,
//! vectors, matrices, the predictor.

use super::Job;
use crate::backend::Accumulated;
use crate::compare::{self, Cell, Displaced, PredictedOutputs, PredictorReport, Row};
use crate::model::class_pairs;
use crate::numerics::estimate::Estimate;
use crate::numerics::histogram::Density;
use crate::observables;
use crate::observables::{Observable, SampledTemperature, TestSet};
use crate::results::Signatures;
use crate::stats::{Summary, jackknife};
use crate::theory::{Prediction, TheoryKind};

impl Job {
    /// The signatures of one temperature.
    pub(super) fn signatures_at(&self, t: usize, accumulated: &Accumulated) -> Signatures {
        let tallies = &accumulated.units[t];
        let reaches = self.ensemble.histogram_ranges[t];
        let reaches = if self.has_direction(t) { reaches } else { [reaches[0], 0.0] };
        let network = self.experiment.network();
        Signatures {
            densities: compare::densities(
                tallies,
                reaches,
                network.width,
                network.activation.is_odd(),
                &self.predicted_densities(t),
            ),
            readout_weight_vector: self.readout_weight_vector(t, accumulated),
            weight_spectrum: self.weight_spectrum(t, accumulated),
            gram: self.gram_displacement(t, accumulated),
            predictor: self.predictor(t, accumulated),
        }
    }

    /// Densities by theory, as means over cells: those of weights that are Gaussian at infinite
    /// width, and those of the theories of one unit.
    fn predicted_densities(&self, t: usize) -> compare::PredictedDensities {
        let reaches = self.ensemble.histogram_ranges[t];
        let network = self.experiment.network();
        let gaussian = [network.lambda1, network.lambda0];
        let [readout, along] = [0, 1].map(|k| Some(Density::gaussian(reaches[k], 1.0 / gaussian[k])));
        let units = self.solved.predictions[t].iter().filter_map(|p| {
            let unit = p.unit.as_ref()?;
            // That of w·û is a histogram already.
            let along = unit.weight_density_along_u.clone();
            Some((p.kind.name().to_string(), Some(unit.readout_density.cell_means()), along))
        });
        std::iter::once((TheoryKind::Nngp.name().to_string(), readout, along)).chain(units).collect()
    }

    fn readout_weight_vector(&self, t: usize, accumulated: &Accumulated) -> Option<compare::ReadoutWeightVector> {
        let rotated = |x: &[f64]| self.solved.problem.rotated(x).into_iter().map(Estimate::exact).collect();
        let vector = |p: &Prediction| match &p.process {
            Some(process) => Some((p.kind, rotated(&process.readout_weight_vector))),
            None => Some((p.kind, p.unit.as_ref()?.readout_weight_vector.clone())),
        };
        let predicted: Vec<_> = self.solved.predictions[t].iter().filter_map(vector).collect();
        compare::readout_weight_vector(&accumulated.units[t], &self.ensemble.projection_axes[t], &predicted)
    }

    fn weight_spectrum(&self, t: usize, accumulated: &Accumulated) -> Option<compare::WeightSpectrum> {
        let direction = &self.ensemble.projection_axes[t];
        let second = Observable::WeightSecondMomentAlongU;
        let value = |p: &Prediction| Some((p.kind.name().to_string(), second.predicted(p)?.value));
        let named = self.solved.predictions[t].iter().filter_map(value);
        let theory = if self.has_direction(t) { named.collect() } else { Default::default() };
        compare::weight_spectrum(&accumulated.weights[t], direction, self.experiment.network().lambda0, theory)
    }

    fn gram_displacement(&self, t: usize, accumulated: &Accumulated) -> Option<compare::GramDisplacement> {
        let (theory, problem) = (&self.solved.theory, &self.solved.problem);
        let kernel = &theory.kernels().train;
        let (displaced, mut report) = Displaced::new(&accumulated.gram[t], kernel, &problem.y_train)?;
        let beside = |p: &Prediction| (p.kind.name().to_string(), displaced.beside(&theory.gram(p)));
        report.theory = self.solved.predictions[t].iter().map(beside).collect();
        Some(report)
    }

    fn predictor(&self, t: usize, accumulated: &Accumulated) -> Option<PredictorReport> {
        let labels = &self.solved.problem.y_test;
        compare::predictor(
            &accumulated.predictive[t],
            labels,
            self.experiment.temperatures()[t],
            &self.predicted_outputs(t),
        )
    }

    /// What the theories say of the test points.
    pub(super) fn predicted_outputs(&self, t: usize) -> Vec<PredictedOutputs> {
        self.solved.predictions[t].iter().filter_map(PredictedOutputs::of).collect()
    }

    /// Rows of scalars that are functions of means and not means of draws: their errors are from
    /// the jackknife over chains.
    pub(super) fn derived_rows(
        &self,
        t: usize,
        sampled: &SampledTemperature,
        predictor: Option<&PredictorReport>,
    ) -> Vec<Row> {
        let mut rows = self.normalised_distances(t, sampled);
        if let Some(found) = predictor {
            let predicted = self.predicted_outputs(t);
            type Part = fn(&PredictedOutputs) -> Option<Estimate>;
            let parts: [(&str, _, Part); 2] = [
                ("test_bias_squared", found.bias_squared, |p| p.bias_squared),
                ("test_variance", found.variance, |p| p.total_variance),
            ];
            rows.extend(parts.into_iter().map(|(name, measured, part)| {
                let theory = predicted.iter().filter_map(|p| Some((p.kind, part(p)?))).collect();
                let nan = f64::NAN;
                row(name.into(), (measured.value.unwrap_or(nan), measured.error.unwrap_or(nan)), theory)
            }));
        }
        rows
    }

    /// D_ab/√(R²_a + R²_b), the distance of two centroids in units of the size of their manifolds,
    /// from the means of D² and R².
    fn normalised_distances(&self, t: usize, sampled: &SampledTemperature) -> Vec<Row> {
        let problem = &self.solved.problem;
        let all = Observable::all(problem.classes(), TestSet::of(problem));
        let of_pair = |((a, b), test): ((usize, usize), bool)| {
            let parts = if test {
                use Observable::{TestCentroidDistanceSq as Distance, TestGyrationRadiusSq as Radius};
                [Distance(a, b), Radius(a), Radius(b)]
            } else {
                use Observable::{CentroidDistanceSq as Distance, GyrationRadiusSq as Radius};
                [Distance(a, b), Radius(a), Radius(b)]
            };
            let column = |o: Observable| all.iter().position(|&other| other == o);
            let columns = [column(parts[0])?, column(parts[1])?, column(parts[2])?];
            let chains = columns.map(|column| sampled.chain_means(column));
            let n = chains[0].len();
            let mean = |values: &[f64], left: Option<usize>| {
                let own = left.map_or(0.0, |k| values[k]);
                (values.iter().sum::<f64>() - own) / (n - usize::from(left.is_some())) as f64
            };
            let ratio = |[d, a, b]: [f64; 3]| (d / (a + b)).sqrt();
            let found = jackknife(n, |left| ratio([0, 1, 2].map(|k| mean(&chains[k], left))));
            let predicted = |p: &Prediction| {
                let [d, a, b] = [parts[0].predicted(p)?, parts[1].predicted(p)?, parts[2].predicted(p)?];
                let value = ratio([d, a, b].map(|e| e.value));
                if [d, a, b].iter().all(|e| e.error == 0.0) {
                    return Some((p.kind, Estimate::exact(value)));
                }
                // To first order, as if the three errors were independent.
                let relative = 0.5 * (d.error / d.value).hypot(a.error.hypot(b.error) / (a.value + b.value));
                Some((p.kind, Estimate { value, error: value * relative }))
            };
            let (set, suffix) = (if test { "_test" } else { "" }, observables::suffix(&problem.class_names, &[a, b]));
            let name = format!("normalised_centroid_distance{set}{suffix}");
            Some(row(name, found, self.solved.predictions[t].iter().filter_map(predicted).collect()))
        };
        // Without manifolds of the test points there are no columns for them.
        [false, true]
            .iter()
            .flat_map(|&test| class_pairs(problem.classes()).map(move |pair| (pair, test)))
            .filter_map(of_pair)
            .collect()
    }
}

/// A scalar of which only value and error are known.
fn row(name: String, (mean, mcse): (f64, f64), theory: Vec<(TheoryKind, Estimate)>) -> Row {
    let theory = theory.into_iter().filter(|(_, estimate)| estimate.value.is_finite()).collect();
    let summary = Summary { mean, mcse, ..Summary::UNDEFINED };
    Row { name, cells: vec![Cell { summary, theory }], array: false, batched: true }
}
