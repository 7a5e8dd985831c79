//! Samples beside theory: for every observable its estimate with error, each theory's value, and how far they are apart.

mod signatures;

use rayon::prelude::*;

use crate::backend::PredictiveBatch;
use crate::observables::{Entry, SampledTemperature};
use crate::stats::{Chains, ShapeError, Summary};
use crate::theory::{Kind, Prediction};

pub use signatures::{CentroidDistanceMaximum, DistanceCurve, centroid_distance_maximum};

/// Groups of consecutive chains that enter the nested R̂.
pub const SUPERCHAINS: usize = 4;

/// One sampled number and what the theories say of it.
#[derive(Debug, Clone)]
pub struct Cell {
    pub summary: Summary,
    pub theory: Vec<(Kind, f64)>,
}

impl Cell {
    /// (sample − theory)/MCSE; `None` where the theory is silent or the error unknown.
    pub fn z(&self, kind: Kind) -> Option<f64> {
        let difference = self.summary.mean - self.predicted(kind)?;
        (self.summary.mcse > 0.0).then(|| difference / self.summary.mcse)
    }

    /// sample/theory − 1; `None` where the theory is silent or zero.
    pub fn relative_deviation(&self, kind: Kind) -> Option<f64> {
        let predicted = self.predicted(kind)?;
        (predicted != 0.0).then(|| self.summary.mean / predicted - 1.0)
    }

    /// The value of one theory.
    pub fn predicted(&self, kind: Kind) -> Option<f64> {
        self.theory.iter().find(|(k, _)| *k == kind).map(|&(_, value)| value)
    }
}

/// One named entry at one temperature.
#[derive(Debug, Clone)]
pub struct Row {
    pub name: String,
    /// One cell, or one per element of an array.
    pub cells: Vec<Cell>,
    pub array: bool,
}

/// Rows of the scalar observables at one temperature.
///
/// # Errors
/// When the draws of an observable do not share out evenly among the chains.
pub fn scalar_rows(
    entries: &[Entry],
    sampled: &SampledTemperature,
    predictions: &[Prediction],
) -> Result<Vec<Row>, ShapeError> {
    let first_column = entries.iter().scan(0, |next, entry| {
        let first = *next;
        *next += entry.members.len();
        Some(first)
    });
    entries
        .iter()
        .zip(first_column.collect::<Vec<_>>())
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|(entry, first)| {
            let cell = |(k, &observable): (usize, &crate::observables::Observable)| {
                let chains = Chains::new(&sampled.draws[first + k], sampled.chains)?;
                let theory = predictions.iter().filter_map(|p| Some((p.kind, observable.predicted(p)?))).collect();
                Ok(Cell { summary: Summary::new(chains, SUPERCHAINS), theory })
            };
            let cells = entry.members.iter().enumerate().map(cell).collect::<Result<_, ShapeError>>()?;
            Ok(Row { name: entry.name.clone(), cells, array: entry.array })
        })
        .collect()
}

/// Rows of predictive mean and variance over the test points, from the batches of the chains of one temperature.
///
/// Draws are known only as sums over batches, so errors and R̂ are those of batch means. The predictive variance is the mean over
/// batches of the second moment about the overall mean.
///
/// # Errors
/// Never on batches of one shape; passed on from the statistics otherwise.
pub fn predictive_rows(batches: &[Vec<PredictiveBatch>], predictions: &[Prediction]) -> Result<Vec<Row>, ShapeError> {
    let complete: Vec<usize> =
        (0..batches.first().map_or(0, Vec::len)).filter(|&b| batches.iter().all(|chain| chain[b].draws > 0)).collect();
    let points = batches.first().and_then(|chain| chain.first()).map_or(0, |batch| batch.sum.len());
    if points == 0 || complete.is_empty() {
        return Ok(Vec::new());
    }
    let per_batch = |value: &dyn Fn(&PredictiveBatch) -> f64| -> Vec<f64> {
        batches.iter().flat_map(|chain| complete.iter().map(|&b| value(&chain[b]))).collect()
    };
    let cells = |point: usize| -> Result<[Cell; 2], ShapeError> {
        let mean = |batch: &PredictiveBatch| batch.sum[point] / batch.draws as f64;
        let means = per_batch(&mean);
        let summary_of_mean = Summary::new(Chains::new(&means, batches.len())?, SUPERCHAINS);
        let about = summary_of_mean.mean;
        let variances = per_batch(&|batch| {
            batch.sum_of_squares[point] / batch.draws as f64 - 2.0 * about * mean(batch) + about * about
        });
        let summary_of_variance = Summary::new(Chains::new(&variances, batches.len())?, SUPERCHAINS);
        let theory = |values: fn(&Prediction) -> &[f64]| {
            predictions.iter().filter_map(|p| Some((p.kind, *values(p).get(point)?))).collect()
        };
        Ok([
            Cell { summary: summary_of_mean, theory: theory(|p| &p.predictive_mean) },
            Cell { summary: summary_of_variance, theory: theory(|p| &p.predictive_variance) },
        ])
    };
    let pairs: Vec<[Cell; 2]> = (0..points).into_par_iter().map(cells).collect::<Result<_, _>>()?;
    let (means, variances) = pairs.into_iter().map(|[mean, variance]| (mean, variance)).unzip();
    Ok(vec![
        Row { name: "predictive_mean".into(), cells: means, array: true },
        Row { name: "predictive_variance".into(), cells: variances, array: true },
    ])
}
