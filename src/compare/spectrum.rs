//! The spectrum of ⟨w wᵀ⟩, pooled over hidden units and chains, beside what as many draws of the
//! prior would show.
//!
//! Learning displaces few directions: they stand out as eigenvalues beyond the bulk that the prior
//! N(0, 1/λ0) makes of finitely many samples. Of n independent samples in r directions it reaches,
//! by Marchenko and Pastur, over (1/λ0)(1 ± √(r/n))²; single eigenvalues go beyond the edges by
//! some of the widths of Tracy and Widom (Johnstone, Ann. Statist. 29, 295, 2001),
//!
//! ```text
//! (√n ± √r)²/(nλ0) ± 2.02 σ±,      σ± = (1/λ0) (√n ± √r) |1/√r ± 1/√n|^{1/3}/n          99 %
//! ```
//!
//! Draws of a chain are correlated, and so a little are the units of a network. n is therefore not
//! their number but is read off from the spread of independent blocks of chains: entries off the
//! diagonal vary by (M_jj M_kk + M_jk²)/n, which is summed over all of them.

use std::collections::BTreeMap;

use faer::Mat;
use serde::{Deserialize, Serialize};

use super::measured::{Measured, finite};
use crate::numerics::linalg::eigen;
use crate::stats::jackknife;

/// Eigenvalues of which more is said.
const LEADING: usize = 3;

/// The 99 % quantile of the Tracy–Widom law of real matrices.
const TRACY_WIDOM: f64 = 2.02;

/// ⟨w wᵀ⟩ of one temperature in the r directions that the training inputs span; in all others the
/// prior stays as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightSpectrum {
    /// All r eigenvalues, the largest first.
    pub eigenvalues: Vec<f64>,
    /// The first of them.
    pub leading: Vec<LeadingEigenvalue>,
    /// 1/λ0, every eigenvalue under the prior.
    pub prior: f64,
    /// Independent samples of w that the spread over blocks of chains amounts to; `null` where that
    /// is not known.
    pub effective_samples: Option<f64>,
    /// Where the eigenvalues of as many samples of the prior lie.
    pub prior_band: Option<[f64; 2]>,
    /// Eigenvalues above and below it.
    pub above: Option<usize>,
    pub below: Option<usize>,
    /// ⟨(w·û)²⟩ by theory: what the first eigenvalue is where one direction is learnt.
    pub theory: BTreeMap<String, f64>,
    /// Eigenvector of the first eigenvalue in the rotated basis, along û rather than against it;
    /// not part of a report.
    #[serde(skip)]
    pub leading_direction: Vec<f64>,
}

/// One of the largest eigenvalues.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeadingEigenvalue {
    /// With its error by the jackknife over blocks of chains, to first order: the direction is
    /// held.
    pub eigenvalue: Measured,
    /// Its part of the trace over the r directions.
    pub share: f64,
    /// (e·û)² of its eigenvector e; `null` where no theory names a direction.
    pub overlap_with_u: Option<f64>,
}

/// From the mean second moments of independent blocks of chains, each (r, r) row-major, `direction`
/// û in the rotated basis, and ⟨(w·û)²⟩ by theory. `None` without any blocks, or where they are not
/// finite.
pub fn weight_spectrum(
    blocks: &[Vec<f64>],
    direction: &[f64],
    lambda0: f64,
    theory: BTreeMap<String, f64>,
) -> Option<WeightSpectrum> {
    let (rank, n) = (direction.len(), blocks.len());
    blocks.first()?;
    let mean = Mat::from_fn(rank, rank, |j, k| blocks.iter().map(|b| b[j * rank + k]).sum::<f64>() / n as f64);
    if !mean.is_all_finite() {
        return None;
    }
    let (values, vectors) = eigen(mean.as_ref())?;
    let mut order: Vec<usize> = (0..rank).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    let eigenvalues: Vec<f64> = order.iter().map(|&k| values[k]).collect();
    let trace: f64 = eigenvalues.iter().sum();
    let directed = direction.iter().any(|&u| u != 0.0);
    let vector = |k: usize| vectors.col(order[k]);
    let along = |k: usize| vector(k).iter().zip(direction).map(|(e, u)| e * u).sum::<f64>();
    let leading = |k: usize| {
        // eᵀMe of every block.
        let of_block = |block: &Vec<f64>| {
            let image = |row: &[f64]| row.iter().zip(vector(k).iter()).map(|(m, e)| m * e).sum::<f64>();
            block.chunks_exact(rank).zip(vector(k).iter()).map(|(row, e)| e * image(row)).sum::<f64>()
        };
        let forms: Vec<f64> = blocks.iter().map(of_block).collect();
        let without = |left: Option<usize>| {
            let own = left.map_or(0.0, |k| forms[k]);
            (forms.iter().sum::<f64>() - own) / (n - usize::from(left.is_some())) as f64
        };
        let overlap_with_u = directed.then(|| along(k).powi(2));
        LeadingEigenvalue { eigenvalue: jackknife(n, without).into(), share: eigenvalues[k] / trace, overlap_with_u }
    };
    let effective_samples = effective_samples(blocks, &mean);
    let prior_band = effective_samples.map(|samples| prior_band(rank as f64, samples, lambda0));
    let sign = if along(0) < 0.0 { -1.0 } else { 1.0 };
    Some(WeightSpectrum {
        leading: (0..LEADING.min(rank)).map(leading).collect(),
        prior: 1.0 / lambda0,
        effective_samples,
        prior_band,
        above: prior_band.map(|[_, high]| eigenvalues.iter().filter(|&&x| x > high).count()),
        below: prior_band.map(|[low, _]| eigenvalues.iter().filter(|&&x| x < low).count()),
        theory,
        leading_direction: vector(0).iter().map(|e| sign * e).collect(),
        eigenvalues,
    })
}

/// n in all: the number of blocks times that of one of them.
fn effective_samples(blocks: &[Vec<f64>], mean: &Mat<f64>) -> Option<f64> {
    let (rank, n) = (mean.nrows(), blocks.len() as f64);
    let (mut spread, mut scale) = (0.0, 0.0);
    for j in 0..rank {
        for k in 0..j {
            let m = mean[(j, k)];
            spread += blocks.iter().map(|b| (b[j * rank + k] - m).powi(2)).sum::<f64>() / (n - 1.0);
            scale += mean[(j, j)] * mean[(k, k)] + m * m;
        }
    }
    finite(n * scale / spread).filter(|&samples| samples > 0.0)
}

/// Where the eigenvalues of n independent samples of N(0, 1/λ0) in r directions lie.
fn prior_band(rank: f64, samples: f64, lambda0: f64) -> [f64; 2] {
    let (r, n) = (rank.sqrt(), samples.sqrt());
    let edge = |sign: f64| {
        let side = n + sign * r;
        let width = side.abs() * (1.0 / r + sign / n).abs().cbrt();
        (side * side + sign * TRACY_WIDOM * width) / (samples * lambda0)
    };
    // Fewer samples than directions leave some without any.
    [if samples > rank { edge(-1.0).max(0.0) } else { 0.0 }, edge(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::noise::{Address, Purpose};

    const RANK: usize = 30;
    const BLOCKS: usize = 8;

    /// Second moments of `samples` Gaussian vectors in every block, with variance `outlier` along
    /// the first axis and 1/2 else.
    fn blocks(samples: usize, outlier: f64, seed: u64) -> Vec<Vec<f64>> {
        let block = |chain: usize| {
            let address = Address { seed, chain: chain as u32, trajectory: 0, step: 0, purpose: Purpose::Data };
            let mut noise = vec![0.0f64; samples * RANK];
            address.normals(&mut noise);
            let mut moment = vec![0.0; RANK * RANK];
            for w in noise.chunks_exact_mut(RANK) {
                w.iter_mut().for_each(|x| *x *= 0.5f64.sqrt());
                w[0] *= (outlier / 0.5).sqrt();
                for j in 0..RANK {
                    for k in 0..RANK {
                        moment[j * RANK + k] += w[j] * w[k] / samples as f64;
                    }
                }
            }
            moment
        };
        (0..BLOCKS).map(block).collect()
    }

    fn spectrum(blocks: &[Vec<f64>]) -> WeightSpectrum {
        let direction: Vec<f64> = (0..RANK).map(|j| f64::from(u8::from(j == 0))).collect();
        weight_spectrum(blocks, &direction, 2.0, BTreeMap::new()).unwrap()
    }

    #[test]
    fn the_prior_stays_in_its_band_and_an_outlier_stands_out() {
        let mut beyond = 0;
        for seed in 0..20 {
            let found = spectrum(&blocks(100, 0.5, seed));
            let samples = found.effective_samples.unwrap();
            assert!((samples / 800.0 - 1.0).abs() < 0.2, "{samples} for 800");
            beyond += found.above.unwrap() + found.below.unwrap();
        }
        // Two edges that one in a hundred crosses.
        assert!(beyond <= 3, "{beyond} eigenvalues of 20 priors");
        let found = spectrum(&blocks(100, 1.5, 1));
        let Measured { value: Some(value), error: Some(error) } = found.leading[0].eigenvalue else {
            panic!("{:?}", found.leading[0])
        };
        // A sample covariance pushes its outlier up by γ/(1 − ...) of itself: here a few per cent,
        // below the error.
        assert!((value - 1.5).abs() < 4.0 * error && error < 0.15, "{value} ± {error}");
        assert_eq!(found.above, Some(1));
        assert!(found.leading[0].overlap_with_u.unwrap() > 0.9 && found.leading_direction[0] > 0.9);
        assert!(found.leading[1].overlap_with_u.unwrap() < 0.1);
        let trace: f64 = found.eigenvalues.iter().sum();
        assert!((found.leading[0].share - value / trace).abs() < 1e-9);
    }

    /// Blocks whose draws say less than their number: the band is as wide as they deserve.
    #[test]
    fn correlated_draws_are_fewer_samples() {
        let [few, many] = [20, 200].map(|samples| spectrum(&blocks(samples, 0.5, 3)));
        let [few_samples, many_samples] = [&few, &many].map(|found| found.effective_samples.unwrap());
        assert!((many_samples / few_samples / 10.0 - 1.0).abs() < 0.3, "{few_samples} and {many_samples}");
        assert!(few.prior_band.unwrap()[1] > many.prior_band.unwrap()[1]);
        // Without a second block nothing is known of the spread.
        let alone = spectrum(&blocks(20, 0.5, 3)[..1]);
        assert_eq!((alone.effective_samples, alone.prior_band, alone.leading[0].eigenvalue.error), (None, None, None));
    }
}
