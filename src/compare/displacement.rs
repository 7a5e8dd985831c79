//! How far the Gram matrix of the features has moved from the kernel of the prior, and whether a
//! theory moves it the same way.

use std::collections::BTreeMap;

use faer::Mat;
use serde::{Deserialize, Serialize};

use super::measured::{Measured, finite};
use crate::stats::jackknife;

/// ⟨G⟩ − K on the training points of one temperature. Errors by the jackknife over independent
/// blocks of chains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GramDisplacement {
    /// ‖⟨G⟩ − K‖ (Frobenius), without what the Monte Carlo error of every entry adds to it, and the
    /// same over ‖K‖.
    pub displacement_norm: Measured,
    pub relative_displacement: Measured,
    /// What that error adds: √Σ (standard error)² over entries.
    pub noise_norm: Option<f64>,
    /// yᵀ(⟨G⟩ − K)y/(yᵀy)².
    pub along_labels: Measured,
    /// Alignment of ⟨G⟩ and of K with the labels, yᵀGy/(‖G‖ yᵀy) (Cristianini, Shawe-Taylor,
    /// Elisseeff & Kandola 2001).
    pub alignment: Measured,
    pub kernel_alignment: Option<f64>,
    pub theory: BTreeMap<String, GramTheory>,
}

/// A theory's Gram matrix beside the sampled one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GramTheory {
    pub displacement_norm: Option<f64>,
    pub along_labels: Option<f64>,
    pub alignment: Option<f64>,
    /// Correlation of the entries of the two displacements, and the most that Monte Carlo error
    /// lets it be; `null` at infinite width, where nothing moves.
    pub correlation: Option<f64>,
    pub correlation_ceiling: Option<f64>,
    /// ‖⟨G⟩ − theory‖/‖⟨G⟩ − K‖, and what Monte Carlo error alone makes of it.
    pub relative_error: Option<f64>,
    pub noise_floor: Option<f64>,
}

/// A displacement, kept for what theories are held against.
#[derive(Debug)]
pub struct Displaced<'a> {
    kernel: &'a Mat<f64>,
    labels: &'a [f64],
    /// ⟨G⟩ − K, row-major.
    shift: Vec<f64>,
    noise: f64,
    /// The same of the entries less their mean.
    centred_noise: f64,
}

impl<'a> Displaced<'a> {
    /// From the mean Gram matrices of independent blocks of chains, each (P, P) row-major. `None`
    /// without any.
    pub fn new(blocks: &[Vec<f64>], kernel: &'a Mat<f64>, labels: &'a [f64]) -> Option<(Self, GramDisplacement)> {
        let (points, n) = (labels.len(), blocks.len());
        blocks.first()?;
        let sum: Vec<f64> = (0..points * points).map(|k| blocks.iter().map(|block| block[k]).sum()).collect();
        let prior = |k: usize| kernel[(k / points, k % points)];
        let squared_labels: f64 = labels.iter().map(|y| y * y).sum();
        let target = |k: usize| labels[k / points] * labels[k % points];
        // ⟨G⟩ without a block.
        let mean = |left: Option<usize>, k: usize| match left {
            None => sum[k] / n as f64,
            Some(block) => (sum[k] - blocks[block][k]) / (n as f64 - 1.0),
        };
        // Σ over entries of the squared standard error.
        let noise = |left: Option<usize>| {
            let kept = || (0..n).filter(move |&block| Some(block) != left);
            let m = kept().count() as f64;
            let spread = |k: usize| kept().map(|b| (blocks[b][k] - mean(left, k)).powi(2)).sum::<f64>();
            (0..sum.len()).map(spread).sum::<f64>() / (m - 1.0) / m
        };
        let norm = |left: Option<usize>| {
            let square: f64 = (0..sum.len()).map(|k| (mean(left, k) - prior(k)).powi(2)).sum();
            let noise = if n > 1 { noise(left) } else { 0.0 };
            (square - noise).max(0.0).sqrt()
        };
        let displacement = jackknife(n, norm);
        let kernel_norm = kernel.norm_l2();
        let alignment = jackknife(n, |left| {
            let (mut along, mut square) = (0.0, 0.0);
            for k in 0..sum.len() {
                let g = mean(left, k);
                along += g * target(k);
                square += g * g;
            }
            along / (square.sqrt() * squared_labels)
        });
        let along_labels = jackknife(n, |left| {
            (0..sum.len()).map(|k| (mean(left, k) - prior(k)) * target(k)).sum::<f64>() / squared_labels.powi(2)
        });
        let noise = if n > 1 { noise(None).sqrt() } else { f64::NAN };
        // Entries move together, most of all by a common shift, which a correlation does not see.
        let block_means: Vec<f64> = blocks.iter().map(|b| b.iter().sum::<f64>() / b.len() as f64).collect();
        let middle = block_means.iter().sum::<f64>() / n as f64;
        let common = block_means.iter().map(|x| (x - middle).powi(2)).sum::<f64>() / (n as f64 - 1.0) / n as f64;
        let centred_noise = (noise * noise - sum.len() as f64 * common).max(0.0).sqrt();
        let shift = (0..sum.len()).map(|k| mean(None, k) - prior(k)).collect();
        let displaced = Self { kernel, labels, shift, noise, centred_noise };
        let report = GramDisplacement {
            displacement_norm: displacement.into(),
            relative_displacement: (displacement.0 / kernel_norm, displacement.1 / kernel_norm).into(),
            noise_norm: finite(noise),
            along_labels: along_labels.into(),
            alignment: alignment.into(),
            kernel_alignment: finite(displaced.alignment(kernel)),
            theory: BTreeMap::new(),
        };
        Some((displaced, report))
    }

    /// A theory's Gram matrix beside the sampled one.
    pub fn beside(&self, gram: &Mat<f64>) -> GramTheory {
        let points = self.labels.len();
        let (mut products, mut own_square, mut square, mut error) = (0.0, 0.0, 0.0, 0.0);
        let (mut sum, mut own_sum) = (0.0, 0.0);
        let mut along = 0.0;
        for (k, &shift) in self.shift.iter().enumerate() {
            let (i, j) = (k / points, k % points);
            let own = gram[(i, j)] - self.kernel[(i, j)];
            products += own * shift;
            own_square += own * own;
            square += shift * shift;
            error += (shift - own).powi(2);
            sum += shift;
            own_sum += own;
            along += own * self.labels[i] * self.labels[j];
        }
        let n = self.shift.len() as f64;
        let squared_labels: f64 = self.labels.iter().map(|y| y * y).sum();
        let covariance = products - sum * own_sum / n;
        let variance = square - sum * sum / n;
        let moved = own_square > 0.0;
        let spread = (own_square - own_sum * own_sum / n) * variance;
        GramTheory {
            displacement_norm: finite(own_square.sqrt()),
            along_labels: finite(along / squared_labels.powi(2)),
            alignment: finite(self.alignment(gram)),
            correlation: finite(covariance / spread.sqrt()).filter(|_| moved && spread > 0.0),
            correlation_ceiling: finite((1.0 - self.centred_noise.powi(2) / variance).max(0.0).sqrt())
                .filter(|_| moved),
            relative_error: finite((error / square).sqrt()),
            noise_floor: finite(self.noise / square.sqrt()),
        }
    }

    fn alignment(&self, gram: &Mat<f64>) -> f64 {
        let y = self.labels;
        let form: f64 =
            (gram.col_iter().zip(y)).map(|(g, yj)| yj * g.iter().zip(y).map(|(g, yi)| g * yi).sum::<f64>()).sum();
        form / (gram.norm_l2() * y.iter().map(|y| y * y).sum::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::noise::{Address, Purpose};

    const POINTS: usize = 12;

    fn labels() -> Vec<f64> {
        (0..POINTS).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect()
    }

    /// G = 1 + ε y yᵀ, and the identity as the prior's kernel.
    fn moved(epsilon: f64) -> Mat<f64> {
        let y = labels();
        Mat::from_fn(POINTS, POINTS, |i, j| f64::from(u8::from(i == j)) + epsilon * y[i] * y[j])
    }

    fn blocks(epsilon: f64, noise: f64) -> Vec<Vec<f64>> {
        let block = |chain| {
            let mut z = vec![0.0f64; POINTS * POINTS];
            Address { seed: 4, chain, trajectory: 0, step: 0, purpose: Purpose::Prior }.normals(&mut z);
            let gram = moved(epsilon);
            let entry = |k: usize| {
                let (i, j) = (k / POINTS, k % POINTS);
                gram[(i, j)] + noise * z[i.max(j) * POINTS + i.min(j)]
            };
            (0..POINTS * POINTS).map(entry).collect()
        };
        (0..8).map(block).collect()
    }

    #[test]
    fn a_displacement_along_the_labels_is_measured_as_such() {
        let (kernel, y) = (moved(0.0), labels());
        let (displaced, report) = Displaced::new(&blocks(0.01, 0.02), &kernel, &y).unwrap();
        let close = |m: Measured, exact: f64| m.z(exact).unwrap().abs() < 4.0;
        assert!(close(report.displacement_norm, 0.12), "{report:?}");
        assert!(close(report.relative_displacement, 0.12 / 12f64.sqrt()), "{report:?}");
        assert!(close(report.along_labels, 0.01), "{report:?}");
        assert!((report.noise_norm.unwrap() / (0.02 * 12.0 / 8f64.sqrt()) - 1.0).abs() < 0.3, "{report:?}");
        let exact = displaced.alignment(&moved(0.01));
        assert!(close(report.alignment, exact) && report.kernel_alignment.unwrap() < exact, "{report:?}");
        let right = displaced.beside(&moved(0.01));
        let floor = right.noise_floor.unwrap();
        assert!((right.relative_error.unwrap() / floor - 1.0).abs() < 0.3, "{right:?}");
        assert!((right.correlation.unwrap() - right.correlation_ceiling.unwrap()).abs() < 0.1, "{right:?}");
        assert!((right.along_labels.unwrap() - 0.01).abs() < 1e-12);
        // Moved the other way, and not at all.
        let wrong = displaced.beside(&moved(-0.01));
        assert!(wrong.correlation.unwrap() < -0.7 && wrong.relative_error.unwrap() > 1.5, "{wrong:?}");
        let still = displaced.beside(&kernel);
        assert!(still.correlation.is_none() && (still.relative_error.unwrap() - 1.0).abs() < 1e-12, "{still:?}");
    }

    /// Where nothing moved, noise is not taken for a displacement.
    #[test]
    fn noise_alone_is_no_displacement() {
        let (kernel, y) = (moved(0.0), labels());
        let (_, report) = Displaced::new(&blocks(0.0, 0.02), &kernel, &y).unwrap();
        let noise = report.noise_norm.unwrap();
        assert!(report.displacement_norm.value.unwrap() < 0.6 * noise, "{report:?}");
        assert!(report.along_labels.z(0.0).unwrap().abs() < 4.0);
        assert!(Displaced::new(&[], &kernel, &y).is_none());
    }
}
