//! The correlation of readout and weights, a vector in input space: its length and its direction
//! beside the theory's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::densities::whole;
use super::measured::{Measured, finite};
use crate::backend::UnitHistogram;
use crate::model::Problem;
use crate::numerics::estimate::Estimate;
use crate::stats::jackknife;
use crate::theory::TheoryKind;

/// ⟨v w⟩ of one temperature.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ReadoutWeightVector {
    /// ‖⟨v w⟩‖, without what the Monte Carlo error of every component adds to it.
    pub norm: Measured,
    /// ⟨v w⟩·û/‖⟨v w⟩‖, with the û along which weights are measured: 1 for the theory that names
    /// it.
    pub overlap: Measured,
    /// ‖⟨v w⟩‖ by theory, and how far the sampled one is from it in standard errors of both.
    pub theory: BTreeMap<String, f64>,
    pub z: BTreeMap<String, f64>,
    /// The vector itself beside that of every theory but infinite width, which has none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub agreement: BTreeMap<String, VectorAgreement>,
}

/// A theory's vector beside the sampled one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct VectorAgreement {
    /// Cosine of the angle between them, with the noise of both taken out of their lengths: 1
    /// within its error where the theory points the same way.
    pub cosine: Measured,
    /// ‖sampled − theory‖/‖theory‖, and what Monte Carlo error alone, of samples and theory, makes
    /// of it.
    pub relative_error: Option<f64>,
    pub noise_floor: Option<f64>,
}

/// From the tallies of the chains of one temperature; errors by the jackknife over chains.
/// `direction` is û and `predicted` what theories say of ⟨v w⟩, all in the rotated basis. `None`
/// where nothing was counted.
pub fn readout_weight_vector(
    tallies: &[UnitHistogram],
    direction: &[f64],
    predicted: &[(TheoryKind, Vec<Estimate>)],
) -> Option<ReadoutWeightVector> {
    let chains = chain_vectors(tallies);
    let n = chains.len();
    let rank = chains.first()?.len();
    let sums: Vec<f64> = (0..rank).map(|j| chains.iter().map(|c| c[j]).sum()).collect();
    let squares: Vec<f64> = (0..rank).map(|j| chains.iter().map(|c| c[j] * c[j]).sum()).collect();
    // The mean without one chain: its length without noise, and its part along a direction.
    let parts = |left: Option<usize>, direction: &[f64]| -> (f64, f64) {
        let m = if left.is_some() { n - 1 } else { n } as f64;
        let (mut square, mut along) = (0.0, 0.0);
        for j in 0..rank {
            let own = left.map_or(0.0, |k| chains[k][j]);
            let mean = (sums[j] - own) / m;
            let spread = (squares[j] - own * own) / m - mean * mean;
            square += mean * mean - if m > 1.0 { spread / (m - 1.0) } else { 0.0 };
            along += mean * direction[j];
        }
        (if square > 0.0 { square.sqrt() } else { f64::NAN }, along)
    };
    let norm: Measured = jackknife(n, |left| parts(left, direction).0).into();
    let cosine = |direction: &[f64]| {
        jackknife(n, |left| {
            let (norm, along) = parts(left, direction);
            along / norm
        })
    };
    let overlap = if direction.iter().any(|&u| u != 0.0) { cosine(direction).into() } else { Measured::default() };
    let mean: Vec<f64> = sums.iter().map(|sum| sum / n as f64).collect();
    let spread = |j: usize| (squares[j] / n as f64 - mean[j] * mean[j]).max(0.0) / (n as f64 - 1.0);
    let noise: f64 = (0..rank).map(spread).sum();
    let mut found = ReadoutWeightVector { norm, overlap, ..ReadoutWeightVector::default() };
    for (kind, predicted) in predicted {
        let name = kind.name().to_string();
        let (length, error) = length(predicted);
        found.theory.insert(name.clone(), length);
        let both = (norm.value.unwrap_or(f64::NAN), norm.error.unwrap_or(f64::NAN).hypot(error));
        found.z.extend(Measured::from(both).z(length).map(|z| (name.clone(), z)));
        if length > 0.0 {
            let unit: Vec<f64> = predicted.iter().map(|x| x.value / length).collect();
            let (cosine, from_chains) = cosine(&unit);
            // What the theory's own error turns its direction by, seen from the sampled one.
            let turned = mean
                .iter()
                .zip(&unit)
                .zip(predicted)
                .map(|((m, u), x)| ((m / norm.value.unwrap_or(f64::NAN) - cosine * u) * x.error / length).powi(2));
            let from_theory = turned.sum::<f64>().sqrt();
            let own: f64 = predicted.iter().map(|x| x.error * x.error).sum();
            let off: f64 = mean.iter().zip(predicted).map(|(m, x)| (m - x.value).powi(2)).sum();
            let agreement = VectorAgreement {
                cosine: (cosine, from_chains.hypot(from_theory)).into(),
                relative_error: finite(off.sqrt() / length),
                noise_floor: finite((noise + own).sqrt() / length),
            };
            found.agreement.insert(name, agreement);
        }
    }
    Some(found)
}

/// The length of a theory's vector without what its Monte Carlo error adds to it, and the error
/// that is left.
fn length(vector: &[Estimate]) -> (f64, f64) {
    let own: f64 = vector.iter().map(|x| x.error * x.error).sum();
    let square = vector.iter().map(|x| x.value * x.value).sum::<f64>() - own;
    let length = square.max(0.0).sqrt();
    let along = vector.iter().map(|x| (x.value * x.error).powi(2)).sum::<f64>().sqrt();
    (length, if length > 0.0 { along / length } else { own.sqrt() })
}

/// ⟨v w⟩ in input space, (N0), and the standard error of every component from the spread over
/// chains; `None` where nothing was counted.
pub fn in_input_space(tallies: &[UnitHistogram], problem: &Problem) -> Option<(Vec<f64>, Vec<f64>)> {
    let chains: Vec<Vec<f64>> = chain_vectors(tallies).iter().map(|chain| problem.in_input_space(chain)).collect();
    let n = chains.len() as f64;
    chains.first()?;
    Some(
        (0..problem.dimension())
            .map(|i| {
                let mean = chains.iter().map(|chain| chain[i]).sum::<f64>() / n;
                let squares: f64 = chains.iter().map(|chain| (chain[i] - mean).powi(2)).sum();
                (mean, (squares / (n - 1.0) / n).sqrt())
            })
            .unzip(),
    )
}

/// The mean over draws of every chain.
fn chain_vectors(tallies: &[UnitHistogram]) -> Vec<Vec<f64>> {
    let mean = |tally: &UnitHistogram| tally.correlation.iter().map(|sum| sum / tally.draws as f64).collect();
    whole(tallies).into_iter().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::noise::{Address, Purpose};

    /// Chains that scatter by `noise` about `mean`.
    fn tallies(mean: &[f64], noise: f64, seed: u64) -> Vec<UnitHistogram> {
        let chain = |chain| {
            let mut z = vec![0.0f64; mean.len()];
            Address { seed, chain, trajectory: 0, step: 0, purpose: Purpose::Prior }.normals(&mut z);
            let correlation = mean.iter().zip(&z).map(|(m, z)| 10.0 * (m + noise * z)).collect();
            UnitHistogram { draws: 10, correlation, ..UnitHistogram::new(mean.len()) }
        };
        (0..40).map(chain).collect()
    }

    /// In 200 directions noise alone is as long as the vector; it neither lengthens it nor turns it
    /// away.
    #[test]
    fn noise_neither_lengthens_nor_turns_the_vector() {
        let mut mean = vec![0.0; 200];
        (mean[0], mean[1]) = (0.6, 0.8);
        let mut direction = vec![0.0; 200];
        direction[1] = 1.0;
        let found: Vec<_> =
            (0..20).map(|seed| readout_weight_vector(&tallies(&mean, 0.45, seed), &direction, &[]).unwrap()).collect();
        for (name, exact, of) in
            [("norm", 1.0, (|v| v.norm) as fn(&ReadoutWeightVector) -> Measured), ("overlap", 0.8, |v| v.overlap)]
        {
            let z: Vec<f64> = found.iter().map(|v| of(v).z(exact).unwrap()).collect();
            let mean = z.iter().sum::<f64>() / 20.0;
            let square = z.iter().map(|z| z * z).sum::<f64>() / 20.0;
            assert!(mean.abs() < 0.9 && square < 2.5, "{name}: z = {z:?}");
        }
        // The raw length would be off by much more than its error.
        let raw = (1.0f64 + 200.0 * 0.45 * 0.45 / 40.0).sqrt();
        assert!(found[0].norm.z(raw).unwrap() < -4.0, "{:?}", found[0].norm);
    }

    /// A theory that is right agrees within errors, its own and the samples'; one that points
    /// elsewhere, or is too long, is told apart.
    #[test]
    fn a_theory_that_is_right_is_told_from_others() {
        const NOISE: f64 = 0.05;
        let mean: Vec<f64> = (0..100).map(|j| 0.3 * f64::from(j).sin()).collect();
        let mut z = vec![0.0f64; 100];
        let noisy = |mean: &[f64], seed: u64, z: &mut [f64]| -> Vec<Estimate> {
            Address { seed, chain: 99, trajectory: 1, step: 0, purpose: Purpose::Prior }.normals(z);
            mean.iter().zip(z).map(|(m, z)| Estimate { value: m + NOISE * *z, error: NOISE }).collect()
        };
        let (mut squares, mut ratios) = (0.0, 0.0);
        for seed in 0..20 {
            let turned: Vec<f64> = mean.iter().rev().copied().collect();
            let longer: Vec<Estimate> = mean.iter().map(|m| Estimate::exact(1.2 * m)).collect();
            let predicted = [
                (TheoryKind::Nngp, vec![Estimate::exact(0.0); 100]),
                (TheoryKind::Saddle, longer),
                (TheoryKind::SingleUnit, noisy(&turned, seed, &mut z)),
                (TheoryKind::Adaptive, noisy(&mean, seed, &mut z)),
            ];
            let found = readout_weight_vector(&tallies(&mean, 0.2, seed), &[0.0; 100], &predicted).unwrap();
            assert!(found.theory["nngp"] == 0.0 && !found.agreement.contains_key("nngp"));
            let right = found.agreement["adaptive"];
            squares += right.cosine.z(1.0).unwrap().powi(2) / 20.0;
            ratios += right.relative_error.unwrap() / right.noise_floor.unwrap() / 20.0;
            assert!(found.z["adaptive"].abs() < 4.0 && found.z["saddle"] < -10.0, "{:?}", found.z);
            let (longer, turned) = (found.agreement["saddle"], found.agreement["single-unit"]);
            assert!(longer.cosine.z(1.0).unwrap().abs() < 4.0, "{longer:?}");
            let expected = (0.2f64 / 1.2).hypot(longer.noise_floor.unwrap());
            assert!((longer.relative_error.unwrap() - expected).abs() < 0.02, "{longer:?}");
            assert!(turned.cosine.z(1.0).unwrap() < -10.0 && turned.relative_error.unwrap() > 1.0, "{turned:?}");
        }
        assert!(squares < 2.5 && (ratios - 1.0).abs() < 0.1, "z² = {squares}, {ratios} times the noise");
    }

    #[test]
    fn without_chains_directions_or_signal_nothing_is_claimed() {
        assert!(readout_weight_vector(&[], &[], &[]).is_none());
        let none = readout_weight_vector(&tallies(&[0.3, 0.1], 0.01, 1), &[0.0; 2], &[]).unwrap();
        assert!(none.overlap == Measured::default() && none.norm.value.is_some());
    }
}
