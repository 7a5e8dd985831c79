//! From the numbers that the kernels leave to transitions, measurements and sums in float64.

use super::layout::Layout;
use super::slots::{MeasurementSlot, TransitionSlot};
use crate::backend::{CELLS, Measurement, Moments, Outcome, PredictiveBatch, Round, Transition, UnitHistogram};

/// A number stored as high and low part.
fn double(high: f32, low: f32) -> f64 {
    f64::from(high) + f64::from(low)
}

/// What one round did, from the results of all its chains.
pub fn outcome(layout: &Layout, round: &Round, results: &[f32]) -> Outcome {
    let chain = |chain: usize| &results[chain * layout.results()..(chain + 1) * layout.results()];
    let chains = 0..layout.temperatures * layout.replicas;
    let exchanged = round.exchange.map_or_else(Vec::new, |parity| {
        let pairs = parity.pairs(layout.temperatures);
        let chains = pairs.flat_map(|lower| (0..layout.replicas).map(move |replica| lower * layout.replicas + replica));
        chains.map(|lower| chain(lower)[TransitionSlot::Exchanged as usize] != 0.0).collect()
    });
    let predicted = round.observe.is_some_and(|o| o.batch.is_some()) && layout.test_points > 0;
    let measurements = match round.observe {
        Some(_) => chains.clone().map(|c| measurement(layout, predicted, &chain(c)[TransitionSlot::COUNT..])).collect(),
        None => Vec::new(),
    };
    Outcome { transitions: chains.map(|c| transition(chain(c))).collect(), exchanged, measurements }
}

fn transition(results: &[f32]) -> Transition {
    let at = |slot: TransitionSlot| results[slot as usize];
    Transition {
        acceptance: f64::from(at(TransitionSlot::Acceptance)),
        energy_error: f64::from(at(TransitionSlot::EnergyError)),
        energy: double(at(TransitionSlot::EnergyHigh), at(TransitionSlot::EnergyLow)),
        diverged: at(TransitionSlot::Diverged) != 0.0,
    }
}

fn measurement(layout: &Layout, predicted: bool, results: &[f32]) -> Measurement {
    let at = |slot: MeasurementSlot| f64::from(results[slot as usize]);
    let classes = layout.classes;
    let lost = at(MeasurementSlot::Lost) != 0.0;
    // Only the lower triangle is computed.
    let manifolds = |first: usize| -> (Vec<f64>, Vec<f64>) {
        let number = |index: usize| f64::from(results[first + index]);
        let centroid = |a: usize, b: usize| number(classes + a.max(b) * classes + a.min(b));
        let gram = (0..classes * classes).map(|k| centroid(k / classes, k % classes)).collect();
        (gram, (0..classes).map(number).collect())
    };
    let (centroid_gram, mean_square_norm) = manifolds(MeasurementSlot::COUNT);
    Measurement {
        loss: at(MeasurementSlot::LossHigh) + at(MeasurementSlot::LossLow),
        readout_mean: at(MeasurementSlot::ReadoutMean),
        readout_second_moment: at(MeasurementSlot::ReadoutSecondMoment),
        readout_weight_along_u: at(MeasurementSlot::ReadoutWeightAlongU),
        weight_along_u_squared: at(MeasurementSlot::WeightAlongUSquared),
        readout_fourth_moment: at(MeasurementSlot::ReadoutFourthMoment),
        weight_along_u_fourth: at(MeasurementSlot::WeightAlongUFourth),
        weight_second_moment: at(MeasurementSlot::WeightSecondMoment),
        centroid_gram,
        mean_square_norm,
        test_squared_error: (predicted && !lost).then(|| at(MeasurementSlot::TestSquaredError)),
        test_manifolds: (predicted && !lost && layout.test_manifolds).then(|| manifolds(layout.test_norms())),
        lost,
    }
}

/// The mean of a symmetric matrix of `points` rows from the sums of its lower triangle: per row
/// ⌈points/4⌉ pairs of a vector of high parts and one of low parts.
pub fn gram(points: usize, sums: &[f32], draws: usize) -> Vec<f64> {
    let vectors = points.div_ceil(4);
    let entry = |i: usize, j: usize| {
        let (row, column) = (i.max(j), i.min(j));
        let at = 8 * (row * vectors + column / 4) + column % 4;
        double(sums[at], sums[at + 4]) / draws as f64
    };
    (0..points * points).map(|k| entry(k / points, k % points)).collect()
}

/// One batch of predictions from its sums.
pub fn predictive(sums: &[f32], draws: usize) -> PredictiveBatch {
    let sum = |first: usize| sums.chunks_exact(4).map(|s| double(s[first], s[first + 1])).collect();
    PredictiveBatch { draws, sum: sum(0), sum_of_squares: sum(2) }
}

/// Merges the batches of one chain's predictions, of `size` numbers each, two by two; the last ones
/// become empty.
pub fn merge_batches(chain: &mut [f32], size: usize) {
    let merged: Vec<f32> = chain
        .chunks(2 * size)
        .flat_map(|pair| {
            let (first, second) = pair.split_at(size);
            let sums = (0..size).step_by(2).map(move |at| {
                double(first[at], first[at + 1]) + second.get(at..at + 2).map_or(0.0, |s| double(s[0], s[1]))
            });
            sums.flat_map(|sum| [sum as f32, (sum - f64::from(sum as f32)) as f32])
        })
        .collect();
    chain.fill(0.0);
    chain[..merged.len()].copy_from_slice(&merged);
}

/// The histogram of one chain from its sums, behind those of its predictions.
pub fn histogram(layout: &Layout, sums: &[f32], draws: usize) -> UnitHistogram {
    let (vectors, counts) = sums[4 * layout.chain_predictions()..].split_at(8 * layout.rank_vectors());
    let direction = |j: usize| double(vectors[8 * (j / 4) + j % 4], vectors[8 * (j / 4) + 4 + j % 4]);
    let cells = |first: usize| counts.chunks_exact(4).take(CELLS + 2).map(|c| double(c[first], c[first + 1])).collect();
    UnitHistogram {
        draws,
        correlation: (0..layout.rank).map(direction).collect(),
        readout: cells(0),
        along_u: cells(2),
    }
}

/// Adds the sums of one chain's weights.
pub fn add_moments(layout: &Layout, sums: &[f32], moments: &mut Moments) {
    let column = |j: usize| (8 * (j / 4) + j % 4, 8 * (j / 4) + 4 + j % 4);
    for j in 0..layout.rank {
        let (mean, square) = column(j);
        moments.weight_mean[j] += f64::from(sums[mean]);
        moments.weight_square[j] += f64::from(sums[square]);
    }
    let readout = &sums[8 * layout.rank_vectors()..];
    moments.readout_mean += readout[..4].iter().copied().map(f64::from).sum::<f64>();
    moments.readout_square += readout[4..8].iter().copied().map(f64::from).sum::<f64>();
}
