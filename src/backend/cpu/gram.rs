//! Stage gram: ⟨G⟩ = ⟨ΦᵀΦ/N1⟩ of a block of chains, in float32 products and a float64 sum; and ⟨w
//! wᵀ⟩ = ⟨W′ᵀW′/N1⟩ in the same way.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, MatMut, MatRef, Par};
use serde::{Deserialize, Serialize};

use super::scalar::Scalar;

/// The running sum over the draws of one block of chains of G, or of another second moment of rows
/// pooled over units.
#[derive(Debug, Serialize, Deserialize)]
pub struct GramSum<S> {
    /// P, or r of weights.
    points: usize,
    draws: usize,
    /// Σ G: only the lower triangle is used, (P, P) row-major.
    sum: Vec<f64>,
    /// G of the last draw, overwritten by the next.
    #[serde(skip)]
    product: Vec<S>,
}

impl<S: Scalar> GramSum<S> {
    pub fn new(points: usize) -> Self {
        Self { points, draws: 0, sum: Vec::new(), product: Vec::new() }
    }

    /// Whether both are of as many points, and `other` is sound.
    pub fn same_shape(&self, other: &Self) -> bool {
        let size = if other.draws == 0 { 0 } else { other.points * other.points };
        self.points == other.points && other.sum.len() == size
    }

    /// Adds G = ΦᵀΦ/N1 of one draw; Φ has shape (N1, P), as W′ has (N1, r).
    pub fn add(&mut self, features: &[S]) {
        let points = self.points;
        let units = features.len() / points;
        self.sum.resize(points * points, 0.0);
        self.product.resize(points * points, S::default());
        let phi = MatRef::from_row_major_slice(features, units, points);
        matmul(
            MatMut::from_row_major_slice_mut(&mut self.product, points, points),
            BlockStructure::TriangularLower,
            Accum::Replace,
            phi.transpose(),
            BlockStructure::Rectangular,
            phi,
            BlockStructure::Rectangular,
            S::round(1.0 / units as f64),
            Par::Seq,
        );
        for i in 0..points {
            let row = i * points..i * points + i + 1;
            for (sum, &g) in self.sum[row.clone()].iter_mut().zip(&self.product[row]) {
                *sum += g.into();
            }
        }
        self.draws += 1;
    }

    /// The mean over draws, (P, P) row-major; empty when nothing was added.
    pub fn mean(&self) -> Vec<f64> {
        let (points, draws) = (self.points, self.draws as f64);
        if self.draws == 0 {
            return Vec::new();
        }
        let entry = |i: usize, j: usize| self.sum[i.max(j) * points + i.min(j)] / draws;
        (0..points * points).map(|k| entry(k / points, k % points)).collect()
    }
}
