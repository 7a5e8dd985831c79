//! Samples beside theory: for every observable its estimate with error, each theory's value, and
//! how far they are apart.

mod correlation;
mod densities;
mod displacement;
mod evidence;
mod measured;
mod predictor;
mod signatures;
mod spectrum;

use rayon::prelude::*;

use crate::backend::PredictiveBatch;
use crate::numerics::estimate::Estimate;
use crate::observables::{Entry, SampledTemperature};
use crate::stats::{Chains, ShapeError, Summary, nested_rhat};
use crate::theory::{Prediction, TheoryKind};

pub use correlation::{ReadoutWeightVector, VectorAgreement, in_input_space, readout_weight_vector};
pub use densities::{
    Densities, DensityDistance, DensityDistances, LEAST_COUNT, Predicted as PredictedDensities, densities,
};
pub use displacement::{Displaced, GramDisplacement, GramTheory};
pub use evidence::{LogEvidence, Losses, log_evidence};
pub use measured::Measured;
pub use predictor::{Coverage, PredictedOutputs, PredictorReport, PredictorTheory, predictor};
pub use signatures::{CentroidDistanceMaximum, DistanceCurve, End, TheoryMaximum, centroid_distance_maximum};
pub use spectrum::{LeadingEigenvalue, WeightSpectrum, weight_spectrum};

/// Estimate, error and convergence of draws in rows of chains. The nested R̂ is that of
/// `superchains` equal groups of consecutive chains; chains left over when they are shared out do
/// not enter it.
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
    pub theory: Vec<(TheoryKind, Estimate)>,
}

impl Cell {
    /// (sample − theory)/√(MCSE² + the theory's own error²); `None` where the theory is silent or
    /// the MCSE unknown.
    pub fn z(&self, kind: TheoryKind) -> Option<f64> {
        let predicted = self.estimate(kind)?;
        let difference = self.summary.mean - predicted.value;
        (self.summary.mcse > 0.0).then(|| difference / self.summary.mcse.hypot(predicted.error))
    }

    /// sample/theory − 1; `None` where the theory is silent or zero.
    pub fn relative_deviation(&self, kind: TheoryKind) -> Option<f64> {
        let predicted = self.predicted(kind)?;
        (predicted != 0.0).then(|| self.summary.mean / predicted - 1.0)
    }

    /// The value of one theory.
    pub fn predicted(&self, kind: TheoryKind) -> Option<f64> {
        self.estimate(kind).map(|predicted| predicted.value)
    }

    /// The Monte Carlo error of one theory's value; `None` where the theory is silent or has none.
    pub fn theory_error(&self, kind: TheoryKind) -> Option<f64> {
        self.estimate(kind).map(|predicted| predicted.error).filter(|&error| error > 0.0)
    }

    fn estimate(&self, kind: TheoryKind) -> Option<Estimate> {
        self.theory.iter().find(|(k, _)| *k == kind).map(|&(_, predicted)| predicted)
    }
}

/// One named entry at one temperature.
#[derive(Debug, Clone)]
pub struct Row {
    pub name: String,
    /// One cell, or one per element of an array.
    pub cells: Vec<Cell>,
    pub array: bool,
    /// Draws are known only as means over batches, so that quantiles would not be those of a draw.
    pub batched: bool,
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
            Ok(Row { name: entry.name.clone(), cells, array: entry.array, batched: false })
        })
        .collect()
}

/// Fewer batches of a chain say nothing of their own correlation.
const LEAST_BATCHES: usize = 4;

/// Rows of predictive mean and variance over the test points, from the batches of the chains of one
/// temperature.
///
/// Draws are known only as sums over batches, so errors and R̂ are those of batch means. The
/// predictive variance is the mean over batches of the second moment about the overall mean. A
/// chain that was lost on the way is left out whole, as it is from the scalars: it has fewer draws
/// than the others. Batches follow the planned draws, so an interrupted run has filled some of
/// them: a last one that is not full is left out where four full ones remain; with fewer, every
/// chain counts as one draw and the error is that of independent chains.
///
/// # Errors
/// Never on batches of one shape; passed on from the statistics otherwise.
pub fn predictive_rows(
    batches: &[Vec<PredictiveBatch>],
    predictions: &[PredictedOutputs],
    superchains: usize,
) -> Result<Vec<Row>, ShapeError> {
    let draws = |chain: &[PredictiveBatch]| chain.iter().map(|batch| batch.draws).sum::<usize>();
    let most = batches.iter().map(|chain| draws(chain)).max().unwrap_or(0);
    let chains: Vec<Vec<&PredictiveBatch>> = (batches.iter().filter(|chain| draws(chain) == most))
        .map(|chain| usable(chain.iter().filter(|batch| batch.draws > 0).collect()))
        .collect();
    let points = chains.first().and_then(|chain| chain.first()).map_or(0, |batch| batch.sum.len());
    if points == 0 {
        return Ok(Vec::new());
    }
    let by_chain = chains[0].len() < LEAST_BATCHES;
    let summary = |value: &dyn Fn(&PredictiveBatch) -> f64| -> Result<Summary, ShapeError> {
        if by_chain {
            let whole = |chain: &Vec<&PredictiveBatch>| {
                let draws = chain.iter().map(|batch| batch.draws).sum::<usize>() as f64;
                chain.iter().map(|batch| batch.draws as f64 * value(batch)).sum::<f64>() / draws
            };
            return Ok(summarise_independent(&chains.iter().map(whole).collect::<Vec<_>>()));
        }
        let values: Vec<f64> = chains.iter().flatten().map(|batch| value(batch)).collect();
        summarise(&values, chains.len(), superchains)
    };
    let cells = |point: usize| -> Result<[Cell; 2], ShapeError> {
        let mean = |batch: &PredictiveBatch| batch.sum[point] / batch.draws as f64;
        let summary_of_mean = summary(&mean)?;
        let about = summary_of_mean.mean;
        let summary_of_variance = summary(&|batch| {
            batch.sum_of_squares[point] / batch.draws as f64 - 2.0 * about * mean(batch) + about * about
        })?;
        let theory = |values: fn(&PredictedOutputs) -> &[Estimate]| {
            predictions.iter().filter_map(|p| Some((p.kind, *values(p).get(point)?))).collect()
        };
        Ok([
            Cell { summary: summary_of_mean, theory: theory(|p| &p.mean) },
            Cell { summary: summary_of_variance, theory: theory(|p| &p.variance) },
        ])
    };
    let pairs: Vec<[Cell; 2]> = (0..points).into_par_iter().map(cells).collect::<Result<_, _>>()?;
    let (means, variances) = pairs.into_iter().map(|[mean, variance]| (mean, variance)).unzip();
    Ok(vec![
        Row { name: "predictive_mean".into(), cells: means, array: true, batched: true },
        Row { name: "predictive_variance".into(), cells: variances, array: true, batched: true },
    ])
}

/// The batches of a chain without the last one if it was cut short and enough remain; all others
/// are full.
fn usable(mut filled: Vec<&PredictiveBatch>) -> Vec<&PredictiveBatch> {
    let fullest = filled.iter().map(|batch| batch.draws).max().unwrap_or(0);
    if filled.len() > LEAST_BATCHES && filled.last().is_some_and(|last| last.draws < fullest) {
        filled.pop();
    }
    filled
}

/// Mean and error of one value per chain, chains being independent; no more can be said. Two chains
/// give an error that is itself uncertain by three quarters, so four are asked for.
fn summarise_independent(values: &[f64]) -> Summary {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let sd = (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let mcse = if values.len() >= 4 { sd / n.sqrt() } else { f64::NAN };
    Summary { mean, sd, mcse, ..Summary::UNDEFINED }
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
        // Five draws of each of two chains: (2·1 + 2·2 + 3)/5 = 1.8, and 0.5 more.
        assert!((rows[0].cells[0].summary.mean - 2.05).abs() < 1e-12);
        let variance = rows[1].cells[0].summary.mean;
        assert!((variance - (0.56 + 0.25f64.powi(2))).abs() < 1e-12, "{variance}");
        assert!(rows[0].cells[0].summary.mcse.is_nan(), "two chains give no error");
    }

    /// Whatever an interruption left of the planned batches, chains that scatter as they do have
    /// the error that they do.
    #[test]
    fn an_interrupted_run_has_errors_from_what_was_filled() {
        // 20 planned batches of 10 draws, 24 chains; batch means scatter by one about zero, except
        // a last, cut-short one.
        let noise = |chain: usize, index: usize| {
            let mut z = [0.0f64; 4];
            let purpose = crate::numerics::noise::Purpose::Prior;
            crate::numerics::noise::Address {
                seed: 3,
                chain: chain as u32,
                trajectory: index as u32,
                step: 0,
                purpose,
            }
            .normals(&mut z);
            z[0]
        };
        let run = |full: usize, rest: usize| -> Summary {
            let chain = |c: usize| {
                let mut batches: Vec<_> = (0..full).map(|b| batch(10, noise(c, b))).collect();
                batches.extend((rest > 0).then(|| batch(rest, 100.0)));
                batches.resize(20, batch(0, 0.0));
                batches
            };
            let rows = predictive_rows(&(0..24).map(chain).collect::<Vec<_>>(), &[], 8).unwrap();
            rows[0].cells[0].summary
        };
        for full in [1, 2, 3, 4, 10, 20] {
            let summary = run(full, 0);
            let expected = 1.0 / (24.0 * full as f64).sqrt();
            assert!((summary.mcse / expected - 1.0).abs() < 0.45, "{full}: {} for {expected}", summary.mcse);
            assert!(summary.mean.abs() < 4.0 * expected);
            assert_eq!(summary.rhat.is_nan(), full < 4);
        }
        assert!(run(4, 3).mean.abs() < 1.0, "a batch cut short is left out where four are full");
        assert!(run(3, 3).mean > 1.0, "with fewer all that was drawn counts");
    }
}
