//! The predictor on the test points: bias and variance, the coverage of its intervals, and point by
//! point against the theories.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::measured::{Measured, finite};
use crate::backend::PredictiveBatch;
use crate::numerics::estimate::Estimate;
use crate::stats::jackknife;
use crate::theory::{Prediction, TheoryKind};

/// Probabilities of the predictive intervals, and the standard deviations that a Gaussian's reach.
const LEVELS: [(&str, f64); 2] = [("0.5", 0.674_489_750_196_082), ("0.9", 1.644_853_626_951_473)];

/// The predictive distribution over the test points at one temperature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictorReport {
    /// Σ (⟨f*⟩ − y*)²/P* and Σ Var f*/P*, whose sum is the test MSE; errors by the jackknife over
    /// chains.
    pub bias_squared: Measured,
    pub variance: Measured,
    /// By theory.
    pub theory: BTreeMap<String, PredictorTheory>,
    /// For the probabilities 0.5 and 0.9, the fraction of test labels in the central interval of
    /// the Gaussian of mean ⟨f*⟩: by "sampled" and by theory.
    pub coverage: BTreeMap<String, BTreeMap<String, Coverage>>,
}

/// A fraction of labels, with two variances of the Gaussian.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Var f* + T: what a label is predicted to be, given the noise T of the likelihood.
    pub with_noise: f64,
    /// Var f*: where the network's output is.
    pub without_noise: f64,
}

/// A theory's predictor beside the sampled one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictorTheory {
    pub bias_squared: Option<f64>,
    pub variance: Option<f64>,
    /// Root mean square over the test points of (sampled ⟨f*⟩ − theory)/error, the theory's own
    /// included: 1 where only Monte Carlo error tells them apart.
    pub rms_z: Option<f64>,
    /// Root mean square of the difference itself, and the correlation over the test points.
    pub rms_difference: Option<f64>,
    pub correlation: Option<f64>,
}

/// What a theory says of the output at the test points.
#[derive(Debug, Clone)]
pub struct PredictedOutputs {
    pub kind: TheoryKind,
    /// ⟨f*⟩ and Var f* of every test point.
    pub mean: Vec<Estimate>,
    pub variance: Vec<Estimate>,
    pub bias_squared: Option<Estimate>,
    pub total_variance: Option<Estimate>,
}

impl PredictedOutputs {
    /// `None` where the theory is silent.
    pub fn of(p: &Prediction) -> Option<Self> {
        (!p.predictive_mean.is_empty()).then(|| Self {
            kind: p.kind,
            mean: p.predictive_mean.clone(),
            variance: p.predictive_variance.clone(),
            bias_squared: p.test_bias_squared,
            total_variance: p.test_variance,
        })
    }
}

/// Mean and variance of one test point.
#[derive(Debug, Clone, Copy)]
struct Point {
    mean: f64,
    variance: f64,
}

/// Sums of a chain over its draws: per point Σf/n and Σf²/n.
type Means = Vec<[f64; 2]>;

/// From the batches of the chains of one temperature; lost chains are left out. `None` without test
/// points or draws.
pub fn predictor(
    batches: &[Vec<PredictiveBatch>],
    labels: &[f64],
    temperature: f64,
    predictions: &[PredictedOutputs],
) -> Option<PredictorReport> {
    let chains = chain_means(batches, labels.len());
    chains.first().filter(|_| !labels.is_empty())?;
    let totals: Means = (0..labels.len())
        .map(|point| [0, 1].map(|power| chains.iter().map(|chain| chain[point][power]).sum::<f64>()))
        .collect();
    let point = |left: Option<usize>, k: usize| {
        let n = (chains.len() - usize::from(left.is_some())) as f64;
        let own = left.map_or([0.0; 2], |chain| chains[chain][k]);
        let [mean, square] = [0, 1].map(|power| (totals[k][power] - own[power]) / n);
        Point { mean, variance: square - mean * mean }
    };
    let over = |left: Option<usize>, value: &dyn Fn(Point, f64) -> f64| {
        labels.iter().enumerate().map(|(k, &y)| value(point(left, k), y)).sum::<f64>() / labels.len() as f64
    };
    let bias = jackknife(chains.len(), |left| over(left, &|p, y| (p.mean - y).powi(2)));
    let variance = jackknife(chains.len(), |left| over(left, &|p, _| p.variance));
    let sampled: Vec<Point> = (0..labels.len()).map(|k| point(None, k)).collect();
    let errors: Vec<f64> = (0..labels.len()).map(|k| jackknife(chains.len(), |left| point(left, k).mean).1).collect();
    let of_theory = |p: &PredictedOutputs| -> Vec<Point> {
        let pairs = p.mean.iter().zip(&p.variance);
        pairs.map(|(mean, variance)| Point { mean: mean.value, variance: variance.value }).collect()
    };
    let theory = predictions.iter().map(|p| {
        let found = PredictorTheory {
            bias_squared: p.bias_squared.map(|x| x.value),
            variance: p.total_variance.map(|x| x.value),
            ..agreement(&sampled, &errors, &p.mean)
        };
        (p.kind.name().to_string(), found)
    });
    let coverage = LEVELS.map(|(level, reach)| {
        let all = std::iter::once(("sampled".to_string(), coverage(&sampled, labels, reach, temperature)));
        let theories = predictions
            .iter()
            .map(|p| (p.kind.name().to_string(), coverage(&of_theory(p), labels, reach, temperature)));
        (level.to_string(), all.chain(theories).collect())
    });
    Some(PredictorReport {
        bias_squared: bias.into(),
        variance: variance.into(),
        theory: theory.collect(),
        coverage: coverage.into(),
    })
}

/// Means over the draws of every chain that was not lost.
fn chain_means(batches: &[Vec<PredictiveBatch>], points: usize) -> Vec<Means> {
    let draws = |chain: &[PredictiveBatch]| chain.iter().map(|batch| batch.draws).sum::<usize>();
    let most = batches.iter().map(|chain| draws(chain)).max().unwrap_or(0);
    let kept = batches.iter().filter(|chain| most > 0 && draws(chain) == most);
    kept.map(|chain| {
        let sum = |values: fn(&PredictiveBatch) -> &[f64], point: usize| {
            chain.iter().map(|batch| values(batch)[point]).sum::<f64>() / most as f64
        };
        (0..points).map(|k| [sum(|batch| &batch.sum, k), sum(|batch| &batch.sum_of_squares, k)]).collect()
    })
    .collect()
}

fn coverage(points: &[Point], labels: &[f64], reach: f64, temperature: f64) -> Coverage {
    let inside = |noise: f64| {
        let within = |(p, y): (&Point, &f64)| (y - p.mean).abs() <= reach * (p.variance + noise).max(0.0).sqrt();
        points.iter().zip(labels).filter(|&pair| within(pair)).count() as f64 / labels.len() as f64
    };
    Coverage { with_noise: inside(temperature), without_noise: inside(0.0) }
}

fn agreement(sampled: &[Point], errors: &[f64], theory: &[Estimate]) -> PredictorTheory {
    let n = sampled.len() as f64;
    let mean = |values: &dyn Fn(usize) -> f64| (0..sampled.len()).map(values).sum::<f64>() / n;
    let difference = |k: usize| sampled[k].mean - theory[k].value;
    let error = |k: usize| errors[k].hypot(theory[k].error);
    let (a, b) = (mean(&|k| sampled[k].mean), mean(&|k| theory[k].value));
    let product = |x: &dyn Fn(usize) -> f64, y: &dyn Fn(usize) -> f64| mean(&|k| x(k) * y(k));
    let (x, y) = (|k: usize| sampled[k].mean - a, |k: usize| theory[k].value - b);
    PredictorTheory {
        bias_squared: None,
        variance: None,
        rms_z: finite(mean(&|k| (difference(k) / error(k)).powi(2)).sqrt()),
        rms_difference: finite(mean(&|k| difference(k).powi(2)).sqrt()),
        correlation: finite(product(&x, &y) / (product(&x, &x) * product(&y, &y)).sqrt()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::noise::{Address, Purpose};

    const POINTS: usize = 400;

    fn normals(chain: u32, step: u32) -> Vec<f64> {
        let mut z = vec![0.0f64; POINTS];
        Address { seed: 6, chain, trajectory: 0, step, purpose: Purpose::Data }.normals(&mut z);
        z
    }

    /// Outputs of mean m and variance 0.25 at every point, and labels m + noise of variance 0.25 +
    /// 0.5.
    fn sample() -> (Vec<f64>, Vec<f64>, Vec<Vec<PredictiveBatch>>) {
        let means = normals(1000, 0);
        let labels = means.iter().zip(normals(1001, 0)).map(|(m, z)| m + 0.75f64.sqrt() * z).collect();
        let chain = |chain| {
            let mut batch = PredictiveBatch { draws: 50, sum: vec![0.0; POINTS], sum_of_squares: vec![0.0; POINTS] };
            for draw in 0..50 {
                for (k, z) in normals(chain, draw).iter().enumerate() {
                    let f = means[k] + 0.5 * z;
                    batch.sum[k] += f;
                    batch.sum_of_squares[k] += f * f;
                }
            }
            vec![batch]
        };
        let batches = (0..16).map(chain).collect();
        (means, labels, batches)
    }

    #[test]
    fn bias_variance_and_coverage_are_those_of_the_process() {
        let (means, labels, mut batches) = sample();
        batches.push(vec![PredictiveBatch { draws: 3, sum: vec![1e9; POINTS], sum_of_squares: vec![1e18; POINTS] }]);
        let found = predictor(&batches, &labels, 0.5, &[]).unwrap();
        assert!(found.variance.z(0.25 * (1.0 - 1.0 / 800.0)).unwrap().abs() < 4.0, "{found:?}");
        let bias: f64 = labels.iter().zip(&means).map(|(y, m)| (y - m).powi(2)).sum::<f64>() / POINTS as f64;
        assert!(found.bias_squared.z(bias + 0.25 / 800.0).unwrap().abs() < 4.0, "{found:?} for {bias}");
        for (level, expected) in [("0.5", 0.5), ("0.9", 0.9)] {
            let Coverage { with_noise, without_noise } = found.coverage[level]["sampled"];
            let error = (expected * (1.0 - expected) / POINTS as f64).sqrt();
            assert!((with_noise - expected).abs() < 4.0 * error, "{level}: {with_noise}");
            assert!(without_noise < expected - 4.0 * error, "{level}: too narrow an interval must be seen");
        }
    }

    #[test]
    fn agreement_is_one_standard_error_for_the_truth_and_more_for_anything_else() {
        let (means, labels, batches) = sample();
        let chains = chain_means(&batches, POINTS);
        let n = chains.len() as f64;
        let sampled: Vec<Point> = (0..POINTS)
            .map(|k| Point { mean: chains.iter().map(|c| c[k][0]).sum::<f64>() / n, variance: 0.25 })
            .collect();
        let errors = vec![(0.25f64 / 800.0).sqrt(); POINTS];
        let exact = |values: &[f64]| values.iter().copied().map(Estimate::exact).collect::<Vec<_>>();
        let right = agreement(&sampled, &errors, &exact(&means));
        assert!((right.rms_z.unwrap() - 1.0).abs() < 0.15 && right.correlation.unwrap() > 0.999, "{right:?}");
        let wrong = agreement(&sampled, &errors, &exact(&labels));
        assert!(wrong.rms_z.unwrap() > 10.0 && wrong.correlation.unwrap() < 0.9, "{wrong:?}");
        assert!(predictor(&[], &labels, 0.5, &[]).is_none() && predictor(&batches, &[], 0.5, &[]).is_none());
    }
}
