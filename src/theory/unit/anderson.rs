//! Anderson acceleration of a fixed-point iteration x = F(x): the combination of past steps whose
//! residuals cancel best (Walker & Ni, SIAM J. Numer. Anal. 49, 1715, 2011).

use std::collections::VecDeque;

use faer::{Mat, Side};

use crate::numerics::linalg::{dot, multiply};

/// Past steps that are combined.
const MEMORY: usize = 6;

/// Relative size of the least eigenvalue that is kept when steps are nearly parallel.
const PARALLEL: f64 = 1e-10;

/// The memory of an iteration.
#[derive(Default)]
pub(super) struct Anderson {
    last: Option<(Vec<f64>, Vec<f64>)>,
    /// Differences of consecutive points and of their residuals.
    steps: VecDeque<(Vec<f64>, Vec<f64>)>,
}

impl Anderson {
    /// Forgets the past, as after a jump.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// The next point after `x`, whose residual F(x) − x is `residual`; `damping` multiplies the
    /// part that no past step explains.
    pub fn next(&mut self, x: Vec<f64>, residual: Vec<f64>, damping: f64) -> Vec<f64> {
        let difference = |new: &[f64], old: &[f64]| new.iter().zip(old).map(|(new, old)| new - old).collect();
        if let Some((old_x, old_residual)) = self.last.take() {
            self.steps.push_back((difference(&x, &old_x), difference(&residual, &old_residual)));
            if self.steps.len() > MEMORY {
                self.steps.pop_front();
            }
        }
        let mut next: Vec<f64> = x.iter().zip(&residual).map(|(x, f)| x + damping * f).collect();
        for ((step, change), weight) in self.steps.iter().zip(self.combination(&residual)) {
            for ((next, s), c) in next.iter_mut().zip(step).zip(change) {
                *next -= weight * (s + damping * c);
            }
        }
        self.last = Some((x, residual));
        next
    }

    /// The weights γ that minimise ‖residual − Σ γ_k change_k‖.
    fn combination(&self, residual: &[f64]) -> Vec<f64> {
        let k = self.steps.len();
        if k == 0 {
            return Vec::new();
        }
        let gram = Mat::from_fn(k, k, |i, j| dot(&self.steps[i].1, &self.steps[j].1));
        let right: Vec<f64> = self.steps.iter().map(|(_, change)| dot(change, residual)).collect();
        let Ok(eigen) = gram.self_adjoint_eigen(Side::Lower) else { return vec![0.0; k] };
        let values: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
        let least = PARALLEL * values.iter().copied().fold(0.0, f64::max);
        let projected = multiply(eigen.U().transpose(), &right);
        let solved: Vec<f64> =
            projected.iter().zip(&values).map(|(r, &v)| if v > least { r / v } else { 0.0 }).collect();
        multiply(eigen.U(), &solved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A linear map with eigenvalues on both sides of −1 and one near 1: the plain iteration
    /// diverges, the accelerated one is exact after as many steps as there are dimensions.
    #[test]
    fn linear_maps_are_solved_where_the_plain_iteration_diverges() {
        let slopes = [-3.0, 0.97, 0.2, -0.5];
        let residual = |x: &[f64]| -> Vec<f64> { x.iter().zip(slopes).map(|(x, s)| 1.0 + s * x - x).collect() };
        let miss = |x: &[f64]| dot(&residual(x), &residual(x)).sqrt();
        let run = |accelerated: bool| {
            let mut anderson = Anderson::default();
            let mut x = vec![0.0; 4];
            for _ in 0..7 {
                let f = residual(&x);
                if !accelerated {
                    anderson.forget();
                }
                x = anderson.next(x, f, 0.5);
            }
            miss(&x)
        };
        assert!(run(true) < 1e-8, "{}", run(true));
        assert!(run(false) > 1e-1, "{}", run(false));
    }
}
