//! Whether class manifolds invert along descent: D² rises, is largest within the path, and falls
//! again.

use serde::Serialize;

use super::Spread;

/// D² counts as larger only beyond this fraction of it: features are float32, and D² is a small
/// difference of their means. Without it a plateau would have its maximum anywhere.
const ROUNDING: f64 = 1e-4;

/// Standard errors by which the mean must rise and fall. Three, since the maximum is sought among
/// all records: noise that is independent from record to record passes two of them in one case of
/// ten at 16 starts and 30 records, and three in one of a hundred (in four of a hundred at 4
/// starts).
const CLEAR: f64 = 3.0;

/// Fewer starts say too little of their own spread.
const LEAST_STARTS: usize = 4;

/// Where the D² of one start is largest among the records.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peak {
    pub step: u32,
    /// L/P there.
    pub train_loss: f64,
    pub value: f64,
    /// 1 − D²(last record)/D²(largest).
    pub relative_fall: f64,
    /// Whether it lies above both the first and the last record, beyond rounding.
    pub interior: bool,
}

/// Where the mean of D² over the starts is largest among the records.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanPeak {
    pub step: u32,
    /// Mean of L/P there.
    pub train_loss: f64,
    pub value: f64,
    pub interior: bool,
    /// D²(there) − D²(first record), start by start: what the starts have in common drops out of
    /// the error.
    pub rise: Spread,
    /// D²(there) − D²(last record), start by start.
    pub fall: Spread,
}

/// How one D² moves along the paths of all starts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inversion {
    /// Which D², by the name of its track.
    pub observable: String,
    /// One for each start.
    pub peaks: Vec<Peak>,
    /// k/n, with k of the n starts having an interior maximum, and √(p(1−p)/(n+3)) with p =
    /// (k+1)/(n+2), the standard deviation that k of n leaves of a fraction of which nothing else
    /// is known: not zero where all starts agree.
    pub interior_fraction: f64,
    pub interior_fraction_error: f64,
    /// L/P at the maximum and the relative fall from it, over the starts in which it is interior;
    /// `null` where there are none.
    pub train_loss: Option<Spread>,
    pub relative_fall: Option<Spread>,
    pub mean: MeanPeak,
    /// Whether the mean rises to its maximum, and falls from it, by more than three standard errors
    /// each; `null` with fewer than four starts.
    pub inverts: Option<bool>,
}

/// Finds the maxima of one D² record by record, so that no path need be kept.
#[derive(Debug)]
pub struct PeakTracker {
    observable: String,
    first: Vec<f64>,
    last: Vec<f64>,
    /// The largest of every start so far.
    tops: Vec<Top>,
    /// The largest mean so far, with the D² of all starts at its record.
    mean: Top,
    at_mean: Vec<f64>,
}

/// A record at which something is largest.
#[derive(Debug, Clone, Copy)]
struct Top {
    step: u32,
    loss: f64,
    value: f64,
}

impl Top {
    const NONE: Self = Self { step: 0, loss: f64::NAN, value: f64::NEG_INFINITY };

    /// Whether the record takes over.
    fn offer(&mut self, step: u32, loss: f64, value: f64) -> bool {
        let higher = value > self.value;
        if higher {
            *self = Self { step, loss, value };
        }
        higher
    }
}

impl PeakTracker {
    pub fn new(observable: &str) -> Self {
        let (observable, mean) = (observable.to_string(), Top::NONE);
        Self { observable, first: Vec::new(), last: Vec::new(), tops: Vec::new(), mean, at_mean: Vec::new() }
    }

    /// Takes L/P and D² of every start at the next record.
    pub fn push(&mut self, step: u32, losses: &[f64], distances: &[f64]) {
        if self.first.is_empty() {
            self.first = distances.to_vec();
            self.tops = vec![Top::NONE; distances.len()];
        }
        for (top, (&loss, &value)) in self.tops.iter_mut().zip(losses.iter().zip(distances)) {
            top.offer(step, loss, value);
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        if self.mean.offer(step, mean(losses), mean(distances)) {
            self.at_mean = distances.to_vec();
        }
        self.last = distances.to_vec();
    }

    /// What the records say; `None` when there were none.
    pub fn finish(self) -> Option<Inversion> {
        let starts = self.first.len();
        if starts == 0 {
            return None;
        }
        let peaks: Vec<Peak> = (self.tops.iter().zip(self.first.iter().zip(&self.last)))
            .map(|(&Top { step, loss, value }, (&first, &last))| Peak {
                step,
                train_loss: loss,
                value,
                relative_fall: 1.0 - last / value,
                interior: inside(value, first, last),
            })
            .collect();
        let inner: Vec<&Peak> = peaks.iter().filter(|peak| peak.interior).collect();
        let of_inner = |what: fn(&Peak) -> f64| {
            let values: Vec<f64> = inner.iter().map(|peak| what(peak)).collect();
            (!values.is_empty()).then(|| Spread::of(&values))
        };
        let (k, n) = (inner.len() as f64, starts as f64);
        let p = (k + 1.0) / (n + 2.0);
        let mean = self.mean_peak();
        let clear = |change: &Spread| change.error.is_some_and(|error| change.mean > CLEAR * error);
        Some(Inversion {
            interior_fraction: k / n,
            interior_fraction_error: (p * (1.0 - p) / (n + 3.0)).sqrt(),
            train_loss: of_inner(|peak| peak.train_loss),
            relative_fall: of_inner(|peak| peak.relative_fall),
            inverts: (starts >= LEAST_STARTS).then(|| mean.interior && clear(&mean.rise) && clear(&mean.fall)),
            observable: self.observable,
            peaks,
            mean,
        })
    }

    fn mean_peak(&self) -> MeanPeak {
        let above = |other: &[f64]| {
            let differences: Vec<f64> = self.at_mean.iter().zip(other).map(|(a, b)| a - b).collect();
            Spread::of(&differences)
        };
        let (rise, fall) = (above(&self.first), above(&self.last));
        let Top { step, loss, value } = self.mean;
        let interior = inside(value, value - rise.mean, value - fall.mean);
        MeanPeak { step, train_loss: loss, value, interior, rise, fall }
    }
}

/// Whether a value lies above both ends, beyond rounding.
fn inside(value: f64, first: f64, last: f64) -> bool {
    first.max(last) < value * (1.0 - ROUNDING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::noise::{Address, Purpose};

    /// The loss of a start falls as 1/2^record; `height` gives D² of a start at a record.
    fn tracked(starts: usize, records: usize, height: impl Fn(usize, usize) -> f64) -> Inversion {
        let mut tracker = PeakTracker::new("centroid_distance_sq");
        for record in 0..records {
            let losses = vec![0.5f64.powi(record as i32); starts];
            let distances: Vec<f64> = (0..starts).map(|start| height(start, record)).collect();
            tracker.push(10 * record as u32, &losses, &distances);
        }
        tracker.finish().unwrap()
    }

    /// Four starts of five records by hand; the last never falls.
    #[test]
    fn maxima_of_hand_made_traces_are_found() {
        let traces = [
            [1.0, 2.0, 4.0, 3.0, 2.0],
            [1.0, 3.0, 5.0, 5.0, 4.0],
            [1.0, 6.0, 4.0, 4.0, 3.0],
            [1.0, 2.0, 3.0, 4.0, 5.0],
        ];
        let found = tracked(4, 5, |start, record| traces[start][record]);
        let steps: Vec<u32> = found.peaks.iter().map(|peak| peak.step).collect();
        let falls: Vec<f64> = found.peaks.iter().map(|peak| peak.relative_fall).collect();
        let interior: Vec<bool> = found.peaks.iter().map(|peak| peak.interior).collect();
        // Of two equal records the first.
        assert_eq!((steps, interior), (vec![20, 20, 10, 40], vec![true, true, true, false]));
        for (fall, expected) in falls.iter().zip([0.5, 0.2, 0.5, 0.0]) {
            assert!((fall - expected).abs() < 1e-12, "{falls:?}");
        }
        assert_eq!(found.interior_fraction, 0.75);
        // p = 4/6 and n + 3 = 7.
        assert!((found.interior_fraction_error - (2.0f64 / 9.0 / 7.0).sqrt()).abs() < 1e-12);
        let (loss, fall) = (found.train_loss.unwrap(), found.relative_fall.unwrap());
        assert!((loss.mean - 1.0 / 3.0).abs() < 1e-12 && (fall.mean - 0.4).abs() < 1e-12, "{loss:?} {fall:?}");
        // sd of (1/4, 1/4, 1/2) is 1/√48, of (0.5, 0.2, 0.5) it is √0.03.
        assert!((loss.error.unwrap() - 1.0 / 12.0).abs() < 1e-12 && (fall.error.unwrap() - 0.1).abs() < 1e-12);
        // Means 1, 3.25, 4, 4, 3.5.
        let mean = found.mean;
        assert_eq!((mean.step, mean.train_loss, mean.value, mean.interior), (20, 0.25, 4.0, true));
        assert_eq!((mean.rise.mean, mean.fall.mean), (3.0, 0.5));
        // Falls 2, 1, 1, −2: their sd is √3.
        assert!((mean.fall.error.unwrap() - 0.75f64.sqrt()).abs() < 1e-12);
        assert_eq!(found.inverts, Some(false), "0.5 ± 0.87");
    }

    /// Starts far apart that all turn: paired, the fall is clear though it is smaller than the
    /// spread.
    #[test]
    fn a_fall_that_starts_share_is_an_inversion() {
        let turning = |start: usize, record: usize| {
            let x = record as f64 - 6.0;
            10.0 + start as f64 - 0.01 * x * x * (1.0 + 0.1 * (start % 3) as f64)
        };
        let found = tracked(16, 10, turning);
        assert_eq!((found.inverts, found.interior_fraction, found.mean.step), (Some(true), 1.0, 60));
        assert!(found.interior_fraction_error > 0.0, "sixteen starts do not make it certain");
        assert!(found.mean.fall.mean < 0.1 && found.mean.fall.error.unwrap() < 0.01);
        assert_eq!(tracked(3, 10, turning).inverts, None, "three starts have no error to speak of");
    }

    #[test]
    fn a_monotonic_path_has_no_inversion() {
        let rising = tracked(16, 10, |start, record| 1.0 + start as f64 * 0.1 + record as f64);
        assert_eq!((rising.inverts, rising.interior_fraction, rising.mean.step), (Some(false), 0.0, 90));
        assert_eq!((rising.train_loss, rising.relative_fall), (None, None));
        assert!(rising.peaks.iter().all(|peak| peak.relative_fall == 0.0));
        let falling = tracked(16, 10, |start, record| 20.0 + start as f64 * 0.1 - record as f64);
        assert_eq!((falling.inverts, falling.interior_fraction, falling.mean.step), (Some(false), 0.0, 0));
    }

    /// Float32 at the end of a path that has come to rest; ten times as much counts.
    #[test]
    fn rounding_on_a_plateau_is_no_maximum() {
        let plateau = |wobble: f64| {
            tracked(8, 12, |start, record| {
                let risen = if record < 4 { record as f64 } else { 4.0 };
                1.0 + risen + if record == 7 + start % 2 { wobble } else { 0.0 }
            })
        };
        let rounded = plateau(3e-4);
        assert_eq!((rounded.inverts, rounded.interior_fraction), (Some(false), 0.0));
        assert_eq!(plateau(3e-3).interior_fraction, 1.0);
    }

    /// Noise alone, independent from record to record: every start has its maximum somewhere
    /// inside, and the mean of them claims nothing.
    #[test]
    fn noise_alone_is_no_inversion() {
        let trials = 200;
        let noisy = |trial: u32| {
            let mut noise = vec![0.0f64; 16 * 30];
            Address { seed: 5, chain: trial, trajectory: 0, step: 0, purpose: Purpose::Prior }.normals(&mut noise);
            tracked(16, 30, |start, record| 20.0 + noise[30 * start + record])
        };
        let found: Vec<Inversion> = (0..trials).map(noisy).collect();
        let fraction = found.iter().map(|found| found.interior_fraction).sum::<f64>() / f64::from(trials);
        // 28 of the 30 records are inside.
        assert!((fraction - 28.0 / 30.0).abs() < 0.02, "{fraction}");
        let claims = found.iter().filter(|found| found.inverts == Some(true)).count();
        // One in a hundred is expected: two, with a standard deviation of one and a half.
        assert!(claims <= 8, "{claims} of {trials}");
        let interior = found.iter().filter(|found| found.mean.interior).count();
        assert!(interior > 150, "the mean is largest inside nearly always: {interior}");
    }
}
