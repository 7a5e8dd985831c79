//! Densities of single weights on a grid that samples share, and how far two of them are apart.

use serde::{Deserialize, Serialize};

/// Points of a grid, odd to have one at zero.
pub const GRID: usize = 61;

/// Half the width of a grid in standard deviations.
const REACH: f64 = 4.5;

/// How far the grid of a density reaches from zero, for a weight of this second moment.
pub fn reach(second_moment: f64) -> f64 {
    REACH * second_moment.max(0.0).sqrt()
}

/// A density on a grid, with its Monte Carlo error at every point. Where draws were counted it is
/// the mean density over the cell about a point, of the width of the grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Density {
    pub grid: Vec<f64>,
    pub value: Vec<f64>,
    pub error: Vec<f64>,
}

impl Density {
    /// The points from −`reach` to `reach`.
    pub fn points(reach: f64) -> Vec<f64> {
        let middle = (GRID / 2) as f64;
        (0..GRID).map(|k| reach * (k as f64 - middle) / middle).collect()
    }

    /// The distance of neighbouring points.
    pub fn spacing(&self) -> f64 {
        match self.grid[..] {
            [first, second, ..] => second - first,
            _ => f64::NAN,
        }
    }

    /// The mean over the cell about every point, from values at the points: f + h² f″/24, exact for
    /// cubic curves.
    pub fn cell_means(&self) -> Self {
        let last = self.value.len().saturating_sub(1);
        let mean = |k: usize| (self.value[k - 1] + 22.0 * self.value[k] + self.value[k + 1]) / 24.0;
        let value = (0..self.value.len()).map(|k| if k == 0 || k == last { self.value[k] } else { mean(k) }).collect();
        Self { value, ..self.clone() }
    }

    /// What a Gaussian of zero mean and this variance has in every cell, to the same order.
    pub fn gaussian(reach: f64, variance: f64) -> Self {
        let grid = Self::points(reach);
        let at = |x: &f64| (-0.5 * x * x / variance).exp() / (std::f64::consts::TAU * variance).sqrt();
        let value: Vec<f64> = grid.iter().map(at).collect();
        let error = vec![0.0; value.len()];
        Self { grid, value, error }.cell_means()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cell_means_are_those_of_a_gaussian() {
        let found = Density::gaussian(4.5, 1.0);
        let h = found.spacing();
        assert!((h - 0.15).abs() < 1e-12);
        // By the midpoint rule on a hundred parts of a cell.
        let at = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        for (k, &x) in found.grid.iter().enumerate().skip(1).take(GRID - 2) {
            let exact = (0..100).map(|i| at(x + h * ((i as f64 + 0.5) / 100.0 - 0.5))).sum::<f64>() / 100.0;
            assert!((found.value[k] - exact).abs() < 3e-6, "{x}: {} for {exact}", found.value[k]);
            if x.abs() < 0.5 {
                assert!((at(x) - exact).abs() > 1e-4, "the value at the point itself is another");
            }
        }
    }
}
