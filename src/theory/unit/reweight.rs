//! Sums over draws with importance weights.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, Par};
use rayon::prelude::*;

use super::draws::Draws;
use super::estimate::Weights;
use super::measure::{Measure, UnitAction};
use crate::host::stop::{Stop, Stopped};

/// Parts into which sums over blocks are split: fixed, so that no result depends on the number of
/// threads.
pub(super) const PARTS: usize = 8;

/// q and m of all draws, in order.
///
/// # Errors
/// [`Stopped`] on request, as the other functions here.
pub(super) fn actions(draws: &Draws, measure: &Measure, stop: &Stop) -> Result<Vec<UnitAction>, Stopped> {
    let of_block = |block| {
        stop.check()?;
        Ok(measure.actions_of(block, &mut Mat::new()))
    };
    Ok(draws.blocks.par_iter().map(of_block).collect::<Result<Vec<_>, _>>()?.concat())
}

/// ln of the importance weight of every draw.
pub(super) fn log_weights(draws: &Draws, actions: &[UnitAction]) -> Vec<f64> {
    let base = draws.blocks.iter().flat_map(|block| &block.log_base);
    base.zip(actions).map(|(base, action)| base + action.log_weight()).collect()
}

/// Σ_i p_i φ_i φ_iᵀ over all draws.
pub(super) fn weighted_gram(draws: &Draws, weights: &[f64], stop: &Stop) -> Result<Mat<f64>, Stopped> {
    let points = draws.blocks.first().map_or(0, |block| block.features.nrows());
    let numbered = draws.numbered();
    let parts: Vec<Mat<f64>> = numbered
        .par_chunks(numbered.len().div_ceil(PARTS).max(1))
        .map(|part| {
            let mut sum = Mat::zeros(points, points);
            for (start, block) in part {
                stop.check()?;
                let mut scaled = block.features.clone();
                for (column, p) in scaled.col_iter_mut().zip(&weights[*start..]) {
                    column.iter_mut().for_each(|x| *x *= p);
                }
                matmul(
                    sum.as_mut(),
                    BlockStructure::TriangularLower,
                    Accum::Add,
                    scaled.as_ref(),
                    BlockStructure::Rectangular,
                    block.features.transpose(),
                    BlockStructure::Rectangular,
                    1.0,
                    Par::Seq,
                );
            }
            Ok(sum)
        })
        .collect::<Result<_, _>>()?;
    let mut total: Mat<f64> = Mat::zeros(points, points);
    for part in parts {
        total += part;
    }
    for j in 0..points {
        for i in 0..j {
            total[(i, j)] = total[(j, i)];
        }
    }
    Ok(total)
}

/// Normalised weights that turn the draws into draws of the prior.
pub(super) fn prior_weights(draws: &Draws) -> Vec<f64> {
    let log: Vec<f64> = draws.blocks.iter().flat_map(|block| block.log_base.iter().copied()).collect();
    Weights::new(&log).values
}
