//! Sampled densities of single weights beside those of the theories, cell by cell.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::measured::finite;
use crate::backend::{CELLS, UnitHistogram};
use crate::numerics::histogram::Density;

/// Densities of v and w·û over all units, chains and draws of one temperature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Densities {
    /// Mean density in the cell about every point of the grid, which is that of the theories'
    /// densities. Errors are standard errors from the spread over chains; those of a single chain
    /// are of units that are independent. For odd σ both signs count alike, as in the posterior.
    pub readout: Density,
    /// `null` where no theory names û.
    pub weight_along_u: Option<Density>,
    /// Fractions of units below and above the grid, of v and of w·û.
    pub outside: [[f64; 2]; 2],
    /// How far each theory is from the samples.
    pub distance: DensityDistances,
}

/// Distances by the theory's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DensityDistances {
    pub readout: BTreeMap<String, DensityDistance>,
    pub weight_along_u: BTreeMap<String, DensityDistance>,
}

/// How far a theory's density is from the sampled one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DensityDistance {
    /// Largest difference of the distribution functions at the edges of cells (Kolmogorov &
    /// Smirnov), and its standard error there: that of the samples, and that of the theory as if
    /// its cells were independent, which is too much rather than too little.
    pub kolmogorov_smirnov: Option<f64>,
    pub kolmogorov_smirnov_error: Option<f64>,
    /// Σ (sampled − theory)²/(both errors)² over cells, divided by their number: about 1 where they
    /// agree. Cells with fewer than [`LEAST_COUNT`] units are left out, and with odd σ one of every
    /// pair.
    pub chi_squared_per_cell: Option<f64>,
    pub cells: usize,
}

/// Units in a cell, over all chains and draws, from which its error is one.
pub const LEAST_COUNT: f64 = 50.0;

/// The densities that theories predict at one temperature: of v and of w·û.
pub type Predicted = Vec<PredictedBy>;

/// Those of one theory, by its name.
type PredictedBy = (String, Option<Density>, Option<Density>);

/// What was counted at one temperature, in cells that go as far as `reaches`. With `even` densities
/// are even; `units` is N1. `None` where nothing was counted.
pub fn densities(
    tallies: &[UnitHistogram],
    reaches: [f64; 2],
    units: usize,
    even: bool,
    predicted: &Predicted,
) -> Option<Densities> {
    let kept = whole(tallies);
    let units_per_chain = (units * kept.first()?.draws) as f64;
    let counted = |counts: fn(&UnitHistogram) -> &[f64], reach: f64| -> Counted {
        let chains = kept.iter().map(|tally| fractions(counts(tally), units_per_chain, even)).collect();
        Counted { chains, reach, units: units_per_chain, even }
    };
    let readout = counted(|tally| &tally.readout, reaches[0]);
    let along = counted(|tally| &tally.along_u, reaches[1]);
    let directed = reaches[1] > 0.0;
    let against = |counted: &Counted, theory: &dyn Fn(&PredictedBy) -> Option<Density>| {
        predicted.iter().filter_map(|p| Some((p.0.clone(), counted.distance(&theory(p)?)))).collect()
    };
    Some(Densities {
        distance: DensityDistances {
            readout: against(&readout, &|p| p.1.clone()),
            weight_along_u: if directed { against(&along, &|p| p.2.clone()) } else { BTreeMap::new() },
        },
        outside: [&readout, &along].map(Counted::outside),
        readout: readout.density(),
        weight_along_u: directed.then(|| along.density()),
    })
}

/// The tallies of chains that were not lost on the way.
pub(super) fn whole(tallies: &[UnitHistogram]) -> Vec<&UnitHistogram> {
    let most = tallies.iter().map(|tally| tally.draws).max().unwrap_or(0);
    tallies.iter().filter(|tally| tally.draws == most && most > 0).collect()
}

/// Counts as fractions of all; with `even` both signs together.
fn fractions(counts: &[f64], total: f64, even: bool) -> Vec<f64> {
    let mirrored = |k: usize| if even { 0.5 * (counts[k] + counts[counts.len() - 1 - k]) } else { counts[k] };
    (0..counts.len()).map(|k| mirrored(k) / total).collect()
}

/// Fractions of units in the cells and outside them, chain by chain.
struct Counted {
    chains: Vec<Vec<f64>>,
    reach: f64,
    /// Units counted in every chain.
    units: f64,
    even: bool,
}

impl Counted {
    /// Mean and standard error over chains of a number of each; of a single chain, the error of
    /// independent units.
    fn over(&self, value: impl Fn(&[f64]) -> f64) -> (f64, f64) {
        let n = self.chains.len() as f64;
        let values: Vec<f64> = self.chains.iter().map(|chain| value(chain)).collect();
        let mean = values.iter().sum::<f64>() / n;
        if values.len() < 2 {
            return (mean, (mean * (1.0 - mean).max(0.0) / self.units).sqrt());
        }
        let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        (mean, (squares / (n - 1.0) / n).sqrt())
    }

    fn width(&self) -> f64 {
        2.0 * self.reach / (CELLS - 1) as f64
    }

    fn density(&self) -> Density {
        let (value, error) = (1..=CELLS)
            .map(|k| self.over(|chain| chain[k]))
            .map(|(mean, error)| (mean / self.width(), error / self.width()))
            .unzip();
        Density { grid: Density::points(self.reach), value, error }
    }

    fn outside(&self) -> [f64; 2] {
        [0, CELLS + 1].map(|k| self.over(|chain| chain[k]).0)
    }

    /// The distance of a theory whose density is known on the same grid.
    fn distance(&self, theory: &Density) -> DensityDistance {
        let sampled = self.density();
        let width = self.width();
        let least = LEAST_COUNT / (self.units * self.chains.len() as f64);
        let first = if self.even { CELLS / 2 } else { 0 };
        let terms: Vec<f64> = (first..CELLS)
            .filter(|&k| sampled.value[k] * width >= least)
            .map(|k| {
                let error = sampled.error[k].hypot(theory.error[k]);
                ((sampled.value[k] - theory.value[k]) / error).powi(2)
            })
            .filter(|term| term.is_finite())
            .collect();
        // What a theory has beyond its grid is taken to lie on both sides alike.
        let tail = 0.5 * (1.0 - width * theory.value.iter().sum::<f64>());
        let mut function = tail;
        let mut variance = 0.0;
        let mut worst = (0.0, self.over(|chain| chain[0]).1);
        for k in 0..=CELLS {
            let found = self.over(|chain| chain[..=k].iter().sum());
            let difference = (found.0 - function).abs();
            if difference > worst.0 {
                worst = (difference, found.1.hypot(f64::sqrt(variance)));
            }
            function += theory.value.get(k).map_or(0.0, |value| width * value);
            variance += theory.error.get(k).map_or(0.0, |error| (width * error).powi(2));
        }
        DensityDistance {
            kolmogorov_smirnov: finite(worst.0),
            kolmogorov_smirnov_error: finite(worst.1),
            chi_squared_per_cell: finite(terms.iter().sum::<f64>() / terms.len() as f64),
            cells: terms.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::noise::{Address, Purpose};

    /// Standard normals of `chains` chains, counted as a backend does, shifted and scaled.
    fn tallies(chains: u32, shift: f64, scale: f64) -> Vec<UnitHistogram> {
        let count = |chain| {
            let mut values = vec![0.0f64; 20_000];
            Address { seed: 8, chain, trajectory: 0, step: 0, purpose: Purpose::Prior }.normals(&mut values);
            let mut tally = UnitHistogram { draws: 200, ..UnitHistogram::new(1) };
            for x in values.iter().map(|x| scale * x + shift) {
                let at = (x / 0.15 + 31.5).floor().clamp(0.0, 62.0) as usize;
                tally.readout[at] += 1.0;
                tally.along_u[at] += 1.0;
            }
            tally
        };
        (0..chains).map(count).collect()
    }

    #[test]
    fn gaussian_weights_are_at_no_distance_from_a_gaussian() {
        let gaussian = Density::gaussian(4.5, 1.0);
        let predicted = vec![("nngp".to_string(), Some(gaussian.clone()), Some(gaussian))];
        let found = |shift: f64, scale: f64, even: bool| {
            densities(&tallies(16, shift, scale), [4.5; 2], 100, even, &predicted).unwrap()
        };
        for even in [false, true] {
            let right = found(0.0, 1.0, even);
            let distance = &right.distance.readout["nngp"];
            let chi = distance.chi_squared_per_cell.unwrap();
            // The error from 16 chains is itself uncertain: E t² = 15/13.
            assert!((0.6..1.7).contains(&chi), "{even}: {chi}");
            let (ks, error) = (distance.kolmogorov_smirnov.unwrap(), distance.kolmogorov_smirnov_error.unwrap());
            assert!(ks < 4.0 * error && ks < 2e-3, "{even}: {ks} ± {error}");
            let total: f64 = right.readout.value.iter().sum::<f64>() * 0.15 + right.outside[0].iter().sum::<f64>();
            assert!((total - 1.0).abs() < 1e-12);
            assert!(right.outside[0][0] < 1e-4);
            // Three per cent too wide is seen.
            let wide = &found(0.0, 1.03, even).distance.weight_along_u["nngp"];
            assert!(wide.chi_squared_per_cell.unwrap() > 4.0, "{wide:?}");
            assert!(wide.kolmogorov_smirnov.unwrap() > 4.0 * wide.kolmogorov_smirnov_error.unwrap());
        }
        // A shift is seen where signs count, and folded away where they do not.
        assert!(found(0.05, 1.0, false).distance.readout["nngp"].kolmogorov_smirnov.unwrap() > 0.015);
        let folded = found(0.05, 1.0, true).readout;
        assert_eq!(folded.value[0], folded.value[CELLS - 1]);
    }

    #[test]
    fn lost_chains_and_empty_runs_leave_no_trace() {
        let mut all = tallies(4, 0.0, 1.0);
        let whole = densities(&all[..3], [4.5; 2], 100, false, &Vec::new()).unwrap();
        all[3].draws = 7;
        all[3].readout.fill(1e9);
        assert_eq!(densities(&all, [4.5; 2], 100, false, &Vec::new()).unwrap(), whole);
        assert!(densities(&[UnitHistogram::new(1)], [4.5; 2], 100, false, &Vec::new()).is_none());
        let one = densities(&all[..1], [4.5, 0.0], 100, false, &Vec::new()).unwrap();
        assert!(one.readout.error.iter().all(|e| e.is_finite()) && one.weight_along_u.is_none());
    }
}
