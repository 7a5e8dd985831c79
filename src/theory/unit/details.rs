//! What a theory of one unit says beside the observables.

use faer::{Mat, Scale};
use serde::{Deserialize, Serialize};

use crate::numerics::estimate::Estimate;
use crate::numerics::histogram::Density;

/// Where the draws came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Reweighted draws of the prior.
    Importance,
    /// Markov chains.
    Chain,
}

/// Residual and iterations of the self-consistent field, the largest over the sets of draws. By
/// chains the residual is that of the mean field and the mean output, which is Monte Carlo, and the
/// iterations are trajectories.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct UnitSolution {
    pub residual: f64,
    pub iterations: usize,
}

/// What a theory of one hidden unit says beside the observables, and how it was found.
#[derive(Debug, Clone)]
pub struct UnitDetails {
    pub method: Method,
    /// Effective fraction of the draws: below one by the spread of the weights.
    pub effective_fraction: f64,
    /// Σ_μ Var f_μ/T, of the adaptive theory: the effective number of parameters, between 0 and P.
    pub effective_parameters: Option<Estimate>,
    /// ⟨v w⟩ in the rotated basis, (r).
    pub readout_weight_vector: Vec<Estimate>,
    /// ⟨G⟩ on the training points, (P, P).
    pub gram: Mat<f64>,
    /// The marginal densities of v and of w·û; the latter is `None` without a û.
    pub readout_density: Density,
    pub weight_density_along_u: Option<Density>,
    /// How the field was found; of the saddle point's, nothing is left to solve.
    pub solution: UnitSolution,
}

impl UnitDetails {
    /// The mean over independent sets of draws of all that is no estimate; estimates are those of
    /// the first. `None` without sets.
    pub(in crate::theory) fn combined(all: Vec<Self>) -> Option<Self> {
        let count = all.len() as f64;
        let over = |value: &dyn Fn(&Self) -> f64| Estimate::of_independent(&all.iter().map(value).collect::<Vec<_>>());
        let density = |of: &dyn Fn(&Self) -> Option<&Density>| -> Option<Density> {
            let grid = of(all.first()?)?.grid.clone();
            let at = |k: usize| over(&|unit| of(unit).map_or(f64::NAN, |density| density.value[k]));
            let (value, error) = (0..grid.len()).map(at).map(|e| (e.value, e.error)).unzip();
            Some(Density { grid, value, error })
        };
        let readout_density = density(&|unit| Some(&unit.readout_density))?;
        let weight_density_along_u = density(&|unit| unit.weight_density_along_u.as_ref());
        let effective_fraction = over(&|unit| unit.effective_fraction).value;
        let solution = UnitSolution {
            residual: all.iter().map(|unit| unit.solution.residual).fold(0.0, f64::max),
            iterations: all.iter().map(|unit| unit.solution.iterations).max().unwrap_or(0),
        };
        let mut sets = all.into_iter();
        let mut combined =
            Self { effective_fraction, readout_density, weight_density_along_u, solution, ..sets.next()? };
        sets.for_each(|unit| combined.gram += &unit.gram);
        combined.gram *= Scale(1.0 / count);
        Some(combined)
    }
}
