//! The signature of feature learning: a maximum of D²(T) at a finite temperature, with the
//! confidence that the samples show it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use rand::RngExt;

use crate::numerics::noise::{Address, Purpose};

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
    /// (T, D²) of the saddle-point theory on a fine grid over the ladder's range; empty where it
    /// has no solution.
    pub theory: Vec<(f64, f64)>,
    /// By name, (T, D²) of theories that are known at temperatures of the ladder only, from hot to
    /// cold and as far as they have a solution.
    pub on_ladder: Vec<(String, Vec<(f64, f64)>)>,
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
    /// Confidence that D²(T) rises above both of its ends: one half of the chains chooses the inner
    /// temperature where it is largest, and the fraction of bootstrap resamples of the other half
    /// in which it lies above both ends there is averaged over the two ways. `None` with fewer than
    /// four chains. Zero with fewer than three temperatures. A flat curve gives about 1/3 on any
    /// ladder; were the chains that choose also to judge, it would give nearly 1 on a long one.
    pub confidence: Option<f64>,
    /// Maximum of the saddle-point theory over the range of the ladder; `None` where that is a
    /// single temperature.
    pub theory_temperature: Option<f64>,
    pub theory_value: Option<f64>,
    /// Whether the theory's maximum lies strictly inside that range: at an end it says only that
    /// the range is too narrow.
    #[serde(default)]
    pub theory_interior: Option<bool>,
    /// Every theory's maximum by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub theories: BTreeMap<String, TheoryMaximum>,
    /// For every temperature of the ladder, the fraction of bootstrap resamples of the chains in
    /// which D² is largest there: how well the place of the maximum is known. Empty with fewer than
    /// four chains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub location: Vec<f64>,
}

/// Where a theory's D²(T) is largest: the saddle point's on a fine grid; for theories known on the
/// ladder only, the top of the parabola in ln T through the largest value and its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TheoryMaximum {
    pub temperature: f64,
    pub value: f64,
    /// Whether it lies strictly inside the temperatures at which the theory has a solution.
    pub interior: bool,
    /// At which end it lies where it is not inside; `None` inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

/// What ends where a theory's D²(T) is largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The ladder: a wider one may show a maximum.
    Ladder,
    /// The theory's own solutions, inside the ladder: it says nothing of what comes beyond.
    Solutions,
}

/// Relative distance below which two temperatures are one: those of the fine grid are rounded.
const EQUAL: f64 = 1e-9;

impl TheoryMaximum {
    /// Of a curve from hot to cold at temperatures of `ladder` or between them; `None` for fewer
    /// than two points, which have no inside and no end.
    fn new(curve: &[(f64, f64)], ladder: &[f64], fine: bool) -> Option<Self> {
        let heights: Vec<f64> = curve.iter().map(|&(_, height)| height).collect();
        let top = argmax(&heights).filter(|_| curve.len() > 1)?;
        let interior = top > 0 && top + 1 < curve.len();
        let (temperature, value) = if interior && !fine { vertex(&curve[top - 1..=top + 1]) } else { curve[top] };
        let at_its_end = |end: Option<&f64>| end.is_some_and(|end| (temperature / end - 1.0).abs() < EQUAL);
        let end = if at_its_end(ladder.first()) || at_its_end(ladder.last()) { End::Ladder } else { End::Solutions };
        Some(Self { temperature, value, interior, end: (!interior).then_some(end) })
    }
}

/// The top of the parabola through three points (T, height), in ln T; the middle one is the
/// highest.
fn vertex(points: &[(f64, f64)]) -> (f64, f64) {
    let [(t0, f0), (t1, f1), (t2, f2)] = points[..] else { return points[0] };
    let (a, b) = ((t0 / t1).ln(), (t2 / t1).ln());
    // f1 + slope x + curve x² through both neighbours.
    let (p, q) = ((f0 - f1) / a, (f2 - f1) / b);
    let curve = (p - q) / (a - b);
    let slope = p - curve * a;
    let x = -0.5 * slope / curve;
    if x.is_finite() && curve < 0.0 { (t1 * x.exp(), f1 + 0.5 * slope * x) } else { (t1, f1) }
}

/// Bootstrap resamples.
const RESAMPLES: u32 = 2000;

/// Finds the maximum of a curve; `None` for an empty ladder. `seed` and `stream` name the
/// bootstrap's random numbers.
pub fn centroid_distance_maximum(curve: &DistanceCurve, seed: u64, stream: u32) -> Option<CentroidDistanceMaximum> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let means: Vec<f64> = curve.chain_means.iter().map(|chains| mean(chains)).collect();
    let top = argmax(&means)?;
    let inside = |k: usize| k > 0 && k + 1 < means.len();
    let heights: Vec<f64> = curve.theory.iter().map(|&(_, height)| height).collect();
    let theory_top = argmax(&heights).filter(|_| means.len() > 1);
    let theory = theory_top.map(|k| curve.theory[k]);
    let saddle = TheoryMaximum::new(&curve.theory, curve.temperatures, true).filter(|_| means.len() > 1);
    let saddle = saddle.map(|maximum| ("saddle".to_string(), maximum));
    let of = |on: &[(f64, f64)]| TheoryMaximum::new(on, curve.temperatures, false);
    let others = curve.on_ladder.iter().filter_map(|(name, on)| Some((name.clone(), of(on)?)));
    Some(CentroidDistanceMaximum {
        temperature: curve.temperatures[top],
        value: means[top],
        mcse: Some(curve.mcse[top]).filter(|mcse| mcse.is_finite()),
        interior: inside(top),
        infinite_width_value: curve.infinite_width,
        confidence: confidence(&curve.chain_means, seed, stream),
        theory_temperature: theory.map(|(t, _)| t),
        theory_value: theory.map(|(_, d)| d),
        theory_interior: theory_top.map(|k| k > 0 && k + 1 < heights.len()),
        theories: saddle.into_iter().chain(others).collect(),
        location: location(&curve.chain_means, seed, stream),
    })
}

/// See [`CentroidDistanceMaximum::confidence`].
///
/// Chains are resampled with the same indices at every temperature: with replica exchange the
/// chains that share an index share their history.
fn confidence(chain_means: &[Vec<f64>], seed: u64, stream: u32) -> Option<f64> {
    let half = chain_means.iter().map(Vec::len).min()? / 2;
    if half < 2 {
        return None;
    }
    if chain_means.len() < 3 {
        return Some(0.0);
    }
    let last = chain_means.len() - 1;
    let sum = |t: usize, chains: &[usize]| chains.iter().map(|&chain| chain_means[t][chain]).sum::<f64>();
    let halves = [0, 1].map(|first| (0..half).map(|k| 2 * k + first).collect::<Vec<_>>());
    let mut hits = 0;
    for (way, (choosing, judging)) in [(&halves[0], &halves[1]), (&halves[1], &halves[0])].into_iter().enumerate() {
        let top = (1..last).max_by(|&a, &b| sum(a, choosing).total_cmp(&sum(b, choosing)))?;
        for resample in 0..RESAMPLES {
            let address =
                Address { seed, chain: stream, trajectory: resample, step: way as u32, purpose: Purpose::Bootstrap };
            let mut rng = address.rng();
            let resampled: Vec<usize> = (0..half).map(|_| judging[rng.random_range(0..half)]).collect();
            let [hot, inner, cold] = [0, top, last].map(|t| sum(t, &resampled));
            hits += u32::from(inner > hot && inner > cold);
        }
    }
    Some(f64::from(hits) / f64::from(2 * RESAMPLES))
}

/// See [`CentroidDistanceMaximum::location`]. Chains are resampled together at all temperatures, as
/// in [`confidence`].
fn location(chain_means: &[Vec<f64>], seed: u64, stream: u32) -> Vec<f64> {
    let chains = chain_means.iter().map(Vec::len).min().unwrap_or(0);
    if chains < 4 {
        return Vec::new();
    }
    let mut hits = vec![0u32; chain_means.len()];
    for trajectory in 0..RESAMPLES {
        // The two ways of the confidence took steps 0 and 1.
        let mut rng = Address { seed, chain: stream, trajectory, step: 2, purpose: Purpose::Bootstrap }.rng();
        let indices: Vec<usize> = (0..chains).map(|_| rng.random_range(0..chains)).collect();
        let sums: Vec<f64> = chain_means.iter().map(|means| indices.iter().map(|&k| means[k]).sum()).collect();
        if let Some(top) = argmax(&sums) {
            hits[top] += 1;
        }
    }
    hits.into_iter().map(|hits| f64::from(hits) / f64::from(RESAMPLES)).collect()
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
            on_ladder: vec![],
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
    fn two_temperatures_cannot_show_a_maximum() {
        let found = centroid_distance_maximum(&curve(&LADDER[..2], |t| t as f64), 1, 0).unwrap();
        assert_eq!((found.interior, found.confidence), (false, Some(0.0)));
    }

    #[test]
    fn a_theory_that_peaks_at_an_end_of_the_ladder_says_so() {
        let with = |heights: [f64; 3], temperatures| {
            let theory = [10.0, 1.0, 0.1].into_iter().zip(heights).collect();
            centroid_distance_maximum(&DistanceCurve { theory, ..curve(temperatures, |_| 1.0) }, 1, 0).unwrap()
        };
        assert_eq!(with([1.0, 2.0, 1.0], &LADDER).theory_interior, Some(true));
        let at_the_end = with([1.0, 2.0, 3.0], &LADDER);
        assert_eq!((at_the_end.theory_temperature, at_the_end.theory_interior), (Some(0.1), Some(false)));
        assert_eq!(with([1.0, 2.0, 1.0], &LADDER[..1]).theory_temperature, None, "one temperature has no range");
    }

    #[test]
    fn the_place_of_the_maximum_is_as_certain_as_the_curve_is_steep() {
        let found = |height: &dyn Fn(usize) -> f64| centroid_distance_maximum(&curve(&LADDER, height), 1, 0).unwrap();
        let steep = found(&|t| 3.0 - (t as f64 - 2.0).abs()).location;
        assert!(steep[2] > 0.99 && (steep.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{steep:?}");
        // Two temperatures that cannot be told apart share it.
        let shared = found(&|t| if t == 1 || t == 2 { 1.0 } else { 0.0 }).location;
        assert!(shared[1] > 0.05 && shared[2] > 0.05 && shared[1] + shared[2] > 0.99, "{shared:?}");
    }

    #[test]
    fn theories_on_the_ladder_have_the_top_of_a_parabola() {
        let height = |t: f64| 2.0 - (t / 0.8f64).ln().powi(2);
        let on: Vec<(f64, f64)> = LADDER.iter().map(|&t| (t, height(t))).collect();
        let names = [("single-unit", on.clone()), ("adaptive", on[..2].to_vec())];
        let on_ladder = names.map(|(name, on)| (name.to_string(), on)).to_vec();
        let with = DistanceCurve { on_ladder, ..curve(&LADDER, |_| 1.0) };
        let theories = centroid_distance_maximum(&with, 1, 0).unwrap().theories;
        let full = theories["single-unit"];
        assert!((full.temperature - 0.8).abs() < 1e-9 && (full.value - 2.0).abs() < 1e-9 && full.interior, "{full:?}");
        // Lost below T = 3, it rises to the end of what is known of it.
        let lost = TheoryMaximum { temperature: 3.0, value: height(3.0), interior: false, end: Some(End::Solutions) };
        assert_eq!(theories["adaptive"], lost);
    }

    /// A rise to where a theory ends is no rise to where the ladder ends, at either side and on the
    /// rounded temperatures of a fine grid.
    #[test]
    fn an_end_is_that_of_the_ladder_or_of_the_solutions() {
        let end = |heights: &[f64], from: usize| {
            let on = LADDER[from..].iter().map(|t| t * (1.0 + 1e-15)).zip(heights.iter().copied()).collect();
            let on_ladder = vec![("adaptive".to_string(), on)];
            let with = DistanceCurve { on_ladder, ..curve(&LADDER, |_| 1.0) };
            centroid_distance_maximum(&with, 1, 0).unwrap().theories["adaptive"].end
        };
        assert_eq!(end(&[1.0, 2.0, 3.0, 4.0, 5.0], 0), Some(End::Ladder));
        assert_eq!(end(&[1.0, 2.0, 3.0, 4.0], 0), Some(End::Solutions), "lost below T = 0.3");
        assert_eq!(end(&[5.0, 4.0, 3.0, 2.0], 0), Some(End::Ladder), "largest at the hot end");
        assert_eq!(end(&[5.0, 4.0, 3.0, 2.0], 1), Some(End::Solutions), "without a solution at T = 10");
        assert_eq!(end(&[1.0, 2.0, 1.0], 0), None, "inside");
    }

    #[test]
    fn a_maximum_without_its_end_is_read() {
        let old: TheoryMaximum = serde_json::from_str(r#"{"temperature":3.0,"value":0.5,"interior":false}"#).unwrap();
        assert_eq!((old.end, old.interior), (None, false));
        let new = TheoryMaximum { end: Some(End::Solutions), ..old };
        assert!(serde_json::to_string(&new).unwrap().contains(r#""end":"solutions""#));
    }

    /// Independent noise about a flat curve: long ladders must not turn it into a maximum.
    #[test]
    fn a_flat_curve_leaves_the_verdict_open() {
        for temperatures in [5usize, 40] {
            let ladder: Vec<f64> = (0..temperatures).map(|t| 10.0 * 0.8f64.powi(t as i32)).collect();
            let mean = (0..40)
                .map(|trial| {
                    let mut noisy = curve(&ladder, |_| 1.0);
                    for (t, chains) in noisy.chain_means.iter_mut().enumerate() {
                        Address { seed: trial, chain: t as u32, trajectory: 0, step: 0, purpose: Purpose::Prior }
                            .normals(chains);
                    }
                    centroid_distance_maximum(&noisy, trial, 0).unwrap().confidence.unwrap() / 40.0
                })
                .sum::<f64>();
            assert!((0.2..0.45).contains(&mean), "{temperatures} temperatures: {mean}");
        }
    }
}
