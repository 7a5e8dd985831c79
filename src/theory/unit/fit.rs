//! How closely the network follows its labels in the field of the adaptive theory.

use std::ops::AddAssign;

use crate::numerics::linalg::dot;

/// Sums over the training points.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fit {
    /// ⟨L⟩ = ½ Σ_μ [(y_μ − ⟨f_μ⟩)² + Var f_μ].
    pub loss: f64,
    /// Σ_μ Var f_μ/T: the effective number of parameters (p_D of Spiegelhalter et al., J. R. Stat.
    /// Soc. B 64, 583, 2002), between zero and P.
    pub effective_parameters: f64,
}

impl Fit {
    /// Of the dual field a and of Tr(−∂² ln Z): y − ⟨f⟩ = Ta, and Σ_μ Var f_μ = TP − T² Tr(−∂² ln
    /// Z).
    pub fn new(dual_field: &[f64], curvature: f64, temperature: f64) -> Self {
        let effective_parameters = dual_field.len() as f64 - temperature * curvature;
        let loss = 0.5 * temperature * (temperature * dot(dual_field, dual_field) + effective_parameters);
        Self { loss, effective_parameters }
    }

    pub fn over(self, count: f64) -> Self {
        Self { loss: self.loss / count, effective_parameters: self.effective_parameters / count }
    }
}

impl AddAssign for Fit {
    fn add_assign(&mut self, other: Self) {
        self.loss += other.loss;
        self.effective_parameters += other.effective_parameters;
    }
}
