//! The signature of feature learning: a maximum of D²(T) at a finite temperature, with the confidence that the samples show it.

use serde::{Deserialize, Serialize};

use crate::noise::{Address, Purpose};

/// D² of one pair of classes along the ladder.
#[derive(Debug)]
pub struct DistanceCurve<'a> {
    /// The ladder, from hot to cold.
    pub temperatures: &'a [f64],
    /// For every temperature the mean over the draws of each chain.
    pub chain_means: Vec<Vec<f64>>,
    /// For every temperature the MCSE of the mean over all chains.
    pub mcse: Vec<f64>,
    /// D² at infinite width.
    pub infinite_width: f64,
    /// (T, D²) of the saddle-point theory on a fine grid over the ladder's range; empty where it has no solution.
    pub theory: Vec<(f64, f64)>,
}

/// Where D²(T) is largest, as sampled and in theory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CentroidDistanceMaximum {
    /// The temperature of the ladder with the largest mean, and that mean with its MCSE.
    pub temperature: f64,
    pub value: f64,
    pub mcse: Option<f64>,
    /// Whether it lies strictly inside the ladder.
    pub interior: bool,
    pub infinite_width_value: f64,
    /// Fraction of bootstrap resamples over chains whose maximum lies strictly inside the ladder; `None` with fewer than two chains.
    pub confidence: Option<f64>,
    /// Maximum of the saddle-point theory over the range of the ladder.
    pub theory_temperature: Option<f64>,
    pub theory_value: Option<f64>,
}

/// Bootstrap resamples.
const RESAMPLES: u32 = 2000;

/// Finds the maximum of a curve; `None` for an empty ladder. `seed` and `stream` name the bootstrap's random numbers.
///
/// Chains are resampled with the same indices at every temperature: with replica exchange the chains that share an index share
/// their history.
pub fn centroid_distance_maximum(curve: &DistanceCurve, seed: u64, stream: u32) -> Option<CentroidDistanceMaximum> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let means: Vec<f64> = curve.chain_means.iter().map(|chains| mean(chains)).collect();
    let top = argmax(&means)?;
    let inside = |k: usize| k > 0 && k + 1 < means.len();
    let chains = curve.chain_means.iter().map(Vec::len).min()?;
    let confidence = (chains > 1).then(|| {
        let mut indices = vec![0; chains];
        let hits = (0..RESAMPLES).filter(|&resample| {
            let address = Address { seed, chain: stream, trajectory: resample, step: 0, purpose: Purpose::Bootstrap };
            address.indices(chains, &mut indices);
            let resampled: Vec<f64> =
                curve.chain_means.iter().map(|values| indices.iter().map(|&i| values[i]).sum::<f64>()).collect();
            argmax(&resampled).is_some_and(inside)
        });
        hits.count() as f64 / f64::from(RESAMPLES)
    });
    let theory = curve.theory.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    Some(CentroidDistanceMaximum {
        temperature: curve.temperatures[top],
        value: means[top],
        mcse: Some(curve.mcse[top]).filter(|mcse| mcse.is_finite()),
        interior: inside(top),
        infinite_width_value: curve.infinite_width,
        confidence,
        theory_temperature: theory.map(|&(t, _)| t),
        theory_value: theory.map(|&(_, d)| d),
    })
}

fn argmax(values: &[f64]) -> Option<usize> {
    values.iter().enumerate().filter(|(_, v)| v.is_finite()).max_by(|a, b| a.1.total_cmp(b.1)).map(|(k, _)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(temperatures: &[f64], height: impl Fn(usize) -> f64) -> DistanceCurve<'_> {
        let spread = |chain: usize| 0.1 * ((chain * 7 % 11) as f64 - 5.0);
        let chain_means =
            (0..temperatures.len()).map(|t| (0..40).map(|chain| height(t) + spread(chain + 3 * t)).collect()).collect();
        DistanceCurve {
            temperatures,
            chain_means,
            mcse: vec![0.05; temperatures.len()],
            infinite_width: 0.5,
            theory: vec![],
        }
    }

    const LADDER: [f64; 5] = [10.0, 3.0, 1.0, 0.3, 0.1];

    #[test]
    fn a_clear_interior_maximum_is_found_with_certainty() {
        let found = centroid_distance_maximum(&curve(&LADDER, |t| 3.0 - (t as f64 - 2.0).abs()), 1, 0).unwrap();
        assert_eq!((found.temperature, found.interior), (1.0, true));
        assert!(found.confidence.unwrap() > 0.99);
    }

    #[test]
    fn a_monotonic_curve_has_no_interior_maximum() {
        let found = centroid_distance_maximum(&curve(&LADDER, |t| t as f64), 1, 0).unwrap();
        assert_eq!((found.temperature, found.interior), (0.1, false));
        assert!(found.confidence.unwrap() < 0.01);
    }

    #[test]
    fn a_flat_curve_leaves_the_verdict_open() {
        let found = centroid_distance_maximum(&curve(&LADDER, |_| 1.0), 1, 0).unwrap();
        let confidence = found.confidence.unwrap();
        assert!(confidence > 0.05 && confidence < 0.95, "{confidence}");
    }
}
