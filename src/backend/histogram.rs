//! What is added up over the hidden units of one chain, draw by draw, because a mean over units
//! would lose it: distributions and a vector.

use serde::{Deserialize, Serialize};

/// Cells of equal width in which a variable is counted, the middle one about zero: the grid of
/// [`Density`](crate::numerics::histogram::Density).
pub const CELLS: usize = crate::numerics::histogram::GRID;

/// Sums over the units of one chain and over its observed draws.
///
/// v and w·û are counted in [`CELLS`] cells of width 2R/(CELLS − 1) about the points −R … R of a
/// grid, with R the chain's entry of
/// [`Ensemble::histogram_ranges`](super::Ensemble::histogram_ranges), between one cell for what
/// lies below and one for what lies above.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitHistogram {
    /// Draws added.
    pub draws: usize,
    /// Σ (1/N1) Σ_i v_i W′_ij for every rotated direction j.
    pub correlation: Vec<f64>,
    /// Units counted by their v, and by their w·û: below, the cells, above.
    pub readout: Vec<f64>,
    pub along_u: Vec<f64>,
}

impl UnitHistogram {
    /// Returns true if the other has as many directions and cells.
    pub(super) fn same_shape(&self, other: &Self) -> bool {
        let sizes = |t: &Self| [t.correlation.len(), t.readout.len(), t.along_u.len()];
        sizes(self) == sizes(other)
    }

    /// Nothing counted, in `rank` directions.
    pub fn new(rank: usize) -> Self {
        Self { draws: 0, correlation: vec![0.0; rank], readout: vec![0.0; CELLS + 2], along_u: vec![0.0; CELLS + 2] }
    }
}

/// Cells per unit of a variable whose cells reach to `reach`; 0, which counts everything in the
/// middle, where there is no range.
pub(super) fn cells_per_unit(reach: f64) -> f64 {
    if reach > 0.0 { (CELLS / 2) as f64 / reach } else { 0.0 }
}

/// The entry of [`UnitHistogram::readout`] or [`UnitHistogram::along_u`] in which a value is
/// counted.
pub(super) fn cell(x: f64, cells_per_unit: f64) -> usize {
    // A cast saturates at zero, for what lies below.
    ((x * cells_per_unit + (CELLS / 2) as f64 + 1.5).floor() as usize).min(CELLS + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_lie_about_the_points_of_the_grid() {
        let scale = cells_per_unit(3.0);
        let width = 6.0 / (CELLS - 1) as f64;
        for (k, x) in (0..CELLS).map(|k| (k, -3.0 + k as f64 * width)) {
            assert_eq!([x - 0.49 * width, x, x + 0.49 * width].map(|x| cell(x, scale)), [k + 1; 3]);
        }
        assert_eq!([-3.06, -1e9, 3.06, 1e9].map(|x| cell(x * 1.1, scale)), [0, 0, CELLS + 1, CELLS + 1]);
        assert_eq!(cell(5.0, cells_per_unit(0.0)), CELLS / 2 + 1, "without a range everything is in the middle");
    }
}
