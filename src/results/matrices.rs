//! What of a run is too large for its document and is drawn nevertheless, at one temperature.

use crate::theory::TheoryKind;

/// Gram matrices on the training points at one temperature, each (P, P) row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct GramAt {
    /// Index of the temperature, and P.
    pub index: usize,
    pub points: usize,
    /// ⟨G⟩ and its MCSE; NaN where that is not known.
    pub sampled: Vec<f64>,
    pub mcse: Vec<f64>,
    /// K, which infinite width keeps.
    pub nngp: Vec<f64>,
    /// The most refined theory that has a solution here.
    pub theory: Option<(TheoryKind, Vec<f64>)>,
    /// Class of every point.
    pub classes: Option<Vec<usize>>,
}

/// ⟨v w⟩ in input space at one temperature, every vector (N0).
#[derive(Debug, Clone, PartialEq)]
pub struct VectorAt {
    /// Index of the temperature.
    pub index: usize,
    /// With its MCSE; NaN where that is not known.
    pub sampled: Vec<f64>,
    pub mcse: Vec<f64>,
    /// Of every theory that has one here.
    pub theories: Vec<(TheoryKind, Vec<f64>)>,
}
