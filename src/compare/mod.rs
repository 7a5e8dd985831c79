//! Samples beside theory: for every observable its estimate with error, each theory's value, and how far they are apart.

mod signatures;

use rayon::prelude::*;

use crate::backend::PredictiveBatch;
use crate::observables::{Entry, SampledTemperature};
use crate::stats::{Chains, ShapeError, Summary, nested_rhat};
use crate::theory::{Kind, Prediction};

pub use signatures::{CentroidDistanceMaximum, DistanceCurve, centroid_distance_maximum};

/// Estimate, error and convergence of draws in rows of chains. The nested R̂ is that of `superchains` equal groups of consecutive chains;
/// chains left over when they are shared out do not enter it.
fn summarise(values: &[f64], chains: usize, superchains: usize) -> Result<Summary, ShapeError> {
    let view = Chains::new(values, chains)?;
    let members = chains / superchains.max(1);
    let grouped = superchains * members;
    let nested = Chains::new(&values[..grouped * view.draws()], grouped)?;
    Ok(Summary { nested_rhat: nested_rhat(nested, superchains), ..Summary::new(view, 0) })
}

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
    superchains: usize,
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
                let summary = summarise(&sampled.draws[first + k], sampled.chains, superchains)?;
                let theory = predictions.iter().filter_map(|p| Some((p.kind, observable.predicted(p)?))).collect();
                Ok(Cell { summary, theory })
            };
            let cells = entry.members.iter().enumerate().map(cell).collect::<Result<_, ShapeError>>()?;
            Ok(Row { name: entry.name.clone(), cells, array: entry.array })
        })
        .collect()
}

/// Rows of predictive mean and variance over the test points, from the batches of the chains of one temperature.
///
/// Draws are known only as sums over batches, so errors and R̂ are those of batch means. The predictive variance is the mean over
/// batches of the second moment about the overall mean. A chain that was lost on the way is left out whole, as it is from the scalars: it has
/// fewer draws than the others.
///
/// # Errors
/// Never on batches of one shape; passed on from the statistics otherwise.
pub fn predictive_rows(
    batches: &[Vec<PredictiveBatch>],
    predictions: &[Prediction],
    superchains: usize,
) -> Result<Vec<Row>, ShapeError> {
    let draws = |chain: &[PredictiveBatch]| chain.iter().map(|batch| batch.draws).sum::<usize>();
    let most = batches.iter().map(|chain| draws(chain)).max().unwrap_or(0);
    // An interrupted run leaves its last batches empty.
    let chains: Vec<Vec<&PredictiveBatch>> = (batches.iter().filter(|chain| draws(chain) == most))
        .map(|chain| chain.iter().filter(|batch| batch.draws > 0).collect())
        .collect();
    let points = chains.first().and_then(|chain| chain.first()).map_or(0, |batch| batch.sum.len());
    if points == 0 {
        return Ok(Vec::new());
    }
    let per_batch = |value: &dyn Fn(&PredictiveBatch) -> f64| -> Vec<f64> {
        chains.iter().flatten().map(|batch| value(batch)).collect()
    };
    let cells = |point: usize| -> Result<[Cell; 2], ShapeError> {
        let mean = |batch: &PredictiveBatch| batch.sum[point] / batch.draws as f64;
        let means = per_batch(&mean);
        let summary_of_mean = summarise(&means, chains.len(), superchains)?;
        let about = summary_of_mean.mean;
        let variances = per_batch(&|batch| {
            batch.sum_of_squares[point] / batch.draws as f64 - 2.0 * about * mean(batch) + about * about
        });
        let summary_of_variance = summarise(&variances, chains.len(), superchains)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(draws: usize, value: f64) -> PredictiveBatch {
        let draws_of = draws as f64;
        PredictiveBatch { draws, sum: vec![draws_of * value], sum_of_squares: vec![draws_of * value * value] }
    }

    #[test]
    fn predictions_leave_out_lost_chains_and_empty_batches() {
        let whole =
            |shift: f64| vec![batch(2, 1.0 + shift), batch(2, 2.0 + shift), batch(1, 3.0 + shift), batch(0, 0.0)];
        let lost = vec![batch(2, 100.0), batch(1, 100.0), batch(0, 0.0), batch(0, 0.0)];
        let never = vec![batch(0, 0.0), batch(0, 0.0), batch(0, 0.0), batch(0, 0.0)];
        let rows = predictive_rows(&[whole(0.0), lost, whole(0.5), never], &[], 1).unwrap();
        assert_eq!(rows[0].cells[0].summary.mean, 2.25);
        let variance = rows[1].cells[0].summary.mean;
        assert!((variance - (1.25f64.powi(2) + 0.25f64.powi(2) + 0.75f64.powi(2)) / 3.0).abs() < 1e-12, "{variance}");
    }
}
