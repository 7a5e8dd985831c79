//! Stage update: the elementary moves of an integrator on one block of coordinates, and float64 sums of squares.
//!
//! Coordinates come in rows that share one vector of masses: the N1 units of W′, or the readout as N1 rows of length 1.

use pulp::Arch;

/// Mass of every coordinate of a row, with what the moves need of it.
#[derive(Debug, Clone)]
pub struct RowMass {
    pub inverse: Vec<f32>,
    pub root: Vec<f32>,
}

impl RowMass {
    pub fn new(mass: &[f32]) -> Self {
        Self { inverse: mass.iter().map(|m| 1.0 / m).collect(), root: mass.iter().map(|m| m.sqrt()).collect() }
    }
}

/// B: p ← p − t (β ∂L + λ θ).
pub fn kick(momentum: &mut [f32], position: &[f32], gradient: &[f32], time: f32, beta: f32, lambda: f32) {
    let (force, prior) = (time * beta, time * lambda);
    Arch::new().dispatch(|| {
        for ((p, &x), &g) in momentum.iter_mut().zip(position).zip(gradient) {
            *p -= force * g + prior * x;
        }
    });
}

/// A: θ ← θ + t p/m.
pub fn drift(position: &mut [f32], momentum: &[f32], mass: &RowMass, time: f32) {
    let row = mass.inverse.len();
    Arch::new().dispatch(|| {
        for (x, p) in position.chunks_exact_mut(row).zip(momentum.chunks_exact(row)) {
            for ((x, &p), &inverse) in x.iter_mut().zip(p).zip(&mass.inverse) {
                *x += time * (p * inverse);
            }
        }
    });
}

/// O: p ← keep·p + √(1 − keep²) √m ξ. keep = 0 is a full refreshment.
pub fn refresh(momentum: &mut [f32], noise: &[f32], mass: &RowMass, keep: f32) {
    let row = mass.root.len();
    let fresh = (1.0 - keep * keep).sqrt();
    Arch::new().dispatch(|| {
        for (p, xi) in momentum.chunks_exact_mut(row).zip(noise.chunks_exact(row)) {
            for ((p, &xi), &root) in p.iter_mut().zip(xi).zip(&mass.root) {
                *p = keep * *p + fresh * (root * xi);
            }
        }
    });
}

/// ½ Σ p²/m in float64.
pub fn kinetic(momentum: &[f32], mass: &RowMass) -> f64 {
    let row = mass.inverse.len();
    if row == 1 {
        return 0.5 * f64::from(mass.inverse[0]) * sum_of_squares(momentum);
    }
    Arch::new().dispatch(|| {
        let mut total = 0.0;
        for p in momentum.chunks_exact(row) {
            let mut sums = [0f64; 8];
            let (chunks, inverse) = (p.chunks_exact(8), mass.inverse.chunks_exact(8));
            for (&p, &inverse) in chunks.remainder().iter().zip(inverse.remainder()) {
                total += f64::from(p) * f64::from(p) * f64::from(inverse);
            }
            for (p, inverse) in chunks.zip(inverse) {
                for l in 0..8 {
                    sums[l] += f64::from(p[l]) * f64::from(p[l]) * f64::from(inverse[l]);
                }
            }
            total += sums.iter().sum::<f64>();
        }
        0.5 * total
    })
}

/// Σ x² in float64.
pub fn sum_of_squares(values: &[f32]) -> f64 {
    Arch::new().dispatch(|| {
        let mut sums = [0f64; 8];
        let chunks = values.chunks_exact(8);
        let tail: f64 = chunks.remainder().iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        for x in chunks {
            for l in 0..8 {
                sums[l] += f64::from(x[l]) * f64::from(x[l]);
            }
        }
        sums.iter().sum::<f64>() + tail
    })
}

/// One Euler–Maruyama step of the overdamped dynamics in the field's convention: θ ← (1 − ηTλ)θ − η ∂L + √(2ηT) ξ.
pub fn euler_maruyama(position: &mut [f32], gradient: &[f32], noise: &[f32], eta: f32, temperature: f32, lambda: f32) {
    let shrink = 1.0 - eta * temperature * lambda;
    let amplitude = (2.0 * eta * temperature).sqrt();
    Arch::new().dispatch(|| {
        for ((x, &g), &xi) in position.iter_mut().zip(gradient).zip(noise) {
            *x = shrink * *x - eta * g + amplitude * xi;
        }
    });
}
