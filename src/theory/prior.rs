//! The loss under the prior, exact at any width: where thermodynamic integration starts.
//!
//! With G = ΦᵀΦ/N1, f | W ~ N(0, G/λ1) and s = ‖φ‖² of one hidden unit, φ = (σ(h^1), …, σ(h^P)):
//!
//! ```text
//! ⟨L⟩₀   = ½ ( ‖y‖² + Tr K/λ1 )
//! Var₀ L = ½ Tr K²/λ1² + yᵀK y/λ1 + (1/(N1 λ1²)) [ ½ (E s² − Tr K²) + ¼ Var s ]
//! ```
//!
//! from E Tr G² = (1 − 1/N1) Tr K² + E s²/N1 and Var L = E Var(L | W) + Var E(L | W). Derived for
//! this project.

use faer::Mat;
use rand::RngExt;
use rand_distr::StandardNormal;

use super::Theory;
use crate::numerics::linalg::{dot, multiply};
use crate::numerics::noise::{Address, Purpose};

/// Mean and variance of L = ½ Σ (y − f)² under the prior.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PriorLoss {
    pub mean: f64,
    pub variance: f64,
}

/// Draws of a unit for Var s, which has no closed form: it enters at order 1/N1, where their few
/// per cent do not matter.
const UNITS: usize = 2048;
/// Units whose features are held at once.
const BLOCK: usize = 256;
/// Names their noise: no chain of a run has this number.
const STREAM: u32 = u32::MAX;

pub(super) fn prior_loss(theory: &Theory) -> PriorLoss {
    let (kernel, y) = (&theory.kernels.train, &theory.problem.y_train);
    let lambda1 = theory.network.lambda1;
    let trace: f64 = kernel.diagonal().column_vector().iter().sum();
    let trace_of_square = kernel.squared_norm_l2();
    let variance_of_norm = variance_of_squared_norm(theory, trace);
    let fourth = variance_of_norm + trace * trace;
    let finite_width = (0.5 * (fourth - trace_of_square) + 0.25 * variance_of_norm)
        / (theory.network.width as f64 * lambda1 * lambda1);
    PriorLoss {
        mean: 0.5 * (dot(y, y) + trace / lambda1),
        variance: 0.5 * trace_of_square / (lambda1 * lambda1)
            + dot(y, &multiply(kernel.as_ref(), y)) / lambda1
            + finite_width,
    }
}

/// Var s about its known mean E s = Tr K, from a fixed set of prior draws.
fn variance_of_squared_norm(theory: &Theory, mean: f64) -> f64 {
    let (z, network) = (&theory.problem.z_train, &theory.network);
    let deviation = 1.0 / network.lambda0.sqrt();
    let mut sum = 0.0;
    for block in 0..UNITS / BLOCK {
        let address = Address { seed: 0, chain: STREAM, trajectory: block as u32, step: 0, purpose: Purpose::Prior };
        let noise: Vec<f64> = address.rng().sample_iter(StandardNormal).take(BLOCK * z.ncols()).collect();
        let weights = Mat::from_fn(z.ncols(), BLOCK, |j, i| deviation * noise[i * z.ncols() + j]);
        let h = z * weights;
        for unit in h.col_iter() {
            let s: f64 = unit.iter().map(|&h| network.activation.sigma(h).powi(2)).sum();
            sum += (s - mean).powi(2);
        }
    }
    sum / UNITS as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::tests::{ALL, network, problem};

    /// Against networks drawn from the prior: 4000 of them give the mean to 1.6 % of its deviation
    /// and the variance to some 5 %.
    #[test]
    fn moments_are_those_of_sampled_networks() {
        let problem = problem();
        for activation in ALL {
            let network = crate::model::Network { width: 3, ..network(activation) };
            let theory = Theory::new(&problem, &network).unwrap();
            let expected = prior_loss(&theory);
            let z = &problem.z_train;
            let count = 4000;
            let losses: Vec<f64> = (0..count)
                .map(|k| {
                    let mut noise = vec![0.0f64; network.width * (z.ncols() + 1)];
                    Address { seed: 5, chain: k, trajectory: 0, step: 0, purpose: Purpose::Prior }.normals(&mut noise);
                    let (readout, weights) = noise.split_at(network.width);
                    let output = |mu: usize| -> f64 {
                        (readout.iter().zip(weights.chunks_exact(z.ncols())))
                            .map(|(v, w)| {
                                let h: f64 = w.iter().enumerate().map(|(j, w)| w * z[(mu, j)]).sum();
                                v * activation.sigma(h / network.lambda0.sqrt())
                            })
                            .sum::<f64>()
                            / (network.width as f64 * network.lambda1).sqrt()
                    };
                    (0..problem.points()).map(|mu| 0.5 * (problem.y_train[mu] - output(mu)).powi(2)).sum()
                })
                .collect();
            let n = f64::from(count);
            let mean = losses.iter().sum::<f64>() / n;
            let central = |power: i32| losses.iter().map(|l| (l - mean).powi(power)).sum::<f64>() / n;
            let variance = central(2);
            let z_mean = (mean - expected.mean) / (variance / n).sqrt();
            let error = ((central(4) - variance * variance) / n).sqrt();
            let z_variance = (variance - expected.variance) / error;
            assert!(z_mean.abs() < 4.0 && z_variance.abs() < 4.0, "{activation:?}: z = {z_mean}, {z_variance}");
            // Control: at infinite width the variance is another.
            let wide =
                prior_loss(&Theory::new(&problem, &crate::model::Network { width: 1 << 20, ..network }).unwrap());
            assert!((variance - wide.variance) / error > 4.0, "{activation:?}: the width does not matter");
        }
    }
}
