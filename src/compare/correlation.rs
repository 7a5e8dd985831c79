//! The correlation of readout and weights, a vector in input space: its length and its direction beside the theory's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::densities::whole;
use super::measured::Measured;
use crate::backend::UnitTally;
use crate::model::Problem;
use crate::stats::jackknife;
use crate::theory::Prediction;

/// ⟨v w⟩ of one temperature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadoutWeightVector {
    /// ‖⟨v w⟩‖, without what the Monte Carlo error of every component adds to it.
    pub norm: Measured,
    /// ⟨v w⟩·û/‖⟨v w⟩‖, with the û along which weights are measured: 1 for the theory that names it.
    pub overlap: Measured,
    /// ‖⟨v w⟩‖ by theory, and how far the sampled one is from it in standard errors.
    pub theory: BTreeMap<String, f64>,
    pub z: BTreeMap<String, f64>,
}

/// From the tallies of the chains of one temperature; errors by the jackknife over chains. `direction` is û in the rotated basis. `None` where nothing was counted.
pub fn readout_weight_vector(
    tallies: &[UnitTally],
    direction: &[f64],
    predictions: &[Prediction],
) -> Option<ReadoutWeightVector> {
    let chains = chain_vectors(tallies);
    let n = chains.len();
    let rank = chains.first()?.len();
    let sums: Vec<f64> = (0..rank).map(|j| chains.iter().map(|c| c[j]).sum()).collect();
    let squares: Vec<f64> = (0..rank).map(|j| chains.iter().map(|c| c[j] * c[j]).sum()).collect();
    // The mean without one chain, its length without noise, and its part along û.
    let parts = |left: Option<usize>| -> (f64, f64) {
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
    let norm: Measured = jackknife(n, |left| parts(left).0).into();
    let directed = direction.iter().any(|&u| u != 0.0);
    let overlap = jackknife(n, |left| {
        let (norm, along) = parts(left);
        along / norm
    });
    let theory: BTreeMap<String, f64> =
        predictions.iter().map(|p| (p.kind.name().to_string(), p.readout_weight_correlation_norm)).collect();
    let z = theory.iter().filter_map(|(kind, &value)| Some((kind.clone(), norm.z(value)?))).collect();
    Some(ReadoutWeightVector { norm, overlap: if directed { overlap.into() } else { Measured::default() }, theory, z })
}

/// ⟨v w⟩ in input space, (N0), and the standard error of every component from the spread over chains; `None` where nothing was counted.
pub fn in_input_space(tallies: &[UnitTally], problem: &Problem) -> Option<(Vec<f64>, Vec<f64>)> {
    let chains: Vec<Vec<f64>> = (chain_vectors(tallies).iter())
        .map(|chain| {
            let component = |i: usize| (0..problem.rank()).map(|j| problem.basis[(i, j)] * chain[j]).sum();
            (0..problem.dimension()).map(component).collect()
        })
        .collect();
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
fn chain_vectors(tallies: &[UnitTally]) -> Vec<Vec<f64>> {
    let mean = |tally: &UnitTally| tally.correlation.iter().map(|sum| sum / tally.draws as f64).collect();
    whole(tallies).into_iter().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{Address, Purpose};

    /// Chains that scatter by `noise` about `mean`.
    fn tallies(mean: &[f64], noise: f64, seed: u64) -> Vec<UnitTally> {
        let chain = |chain| {
            let mut z = vec![0.0f64; mean.len()];
            Address { seed, chain, trajectory: 0, step: 0, purpose: Purpose::Prior }.normals(&mut z);
            let correlation = mean.iter().zip(&z).map(|(m, z)| 10.0 * (m + noise * z)).collect();
            UnitTally { draws: 10, correlation, ..UnitTally::new(mean.len()) }
        };
        (0..40).map(chain).collect()
    }

    /// In 200 directions noise alone is as long as the vector; it neither lengthens it nor turns it away.
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

    #[test]
    fn without_chains_directions_or_signal_nothing_is_claimed() {
        assert!(readout_weight_vector(&[], &[], &[]).is_none());
        let none = readout_weight_vector(&tallies(&[0.3, 0.1], 0.01, 1), &[0.0; 2], &[]).unwrap();
        assert!(none.overlap == Measured::default() && none.norm.value.is_some());
    }
}
