//! One unit in a mixture of fields, which the others' output along a direction is to it
//! ([`collective`](super::collective)).

use super::log_weights::normalised;
use super::measure::UnitAction;
use crate::numerics::linalg::dot;

/// Logarithm of a term over the largest below which it does not add to a sum of some hundred.
const NEGLIGIBLE: f64 = -36.0;

/// Dual field a − oBe with probability ω.
pub(super) struct Mixture {
    /// o = t − t̄.
    pub offsets: Vec<f64>,
    pub log_weights: Vec<f64>,
}

/// Of one w in a mixture of fields, in units in which λ1 = 1: averages over the fields given w, and
/// what chains move on.
#[derive(Clone, Copy)]
pub(super) struct MixtureTilt {
    /// ⟨v⟩.
    pub mean: f64,
    /// ⟨v²⟩.
    pub square: f64,
    /// ln of ⟨v²⟩p(w)/p0(w).
    pub log_sized: f64,
    /// Its derivatives with respect to q, m and the pull.
    pub slopes: [f64; 3],
    /// ln of ∫dv exp(mv − ½(1+q)v²) Ω(v`response`) over √(2π).
    pub log_total: f64,
}

impl MixtureTilt {
    /// Of a w whose tilt is `action` at the mean field, in `fields` of offset o and ln ω;
    /// `response` is φ·Be/√(λ1N1), so that m is `action.m` − o·`response` there.
    pub fn new(action: UnitAction, response: f64, fields: impl Iterator<Item = (f64, f64)> + Clone) -> Self {
        let stiff = 1.0 + action.q.max(0.0);
        let exponent = |(offset, log): (f64, f64)| log + 0.5 * (action.m - offset * response).powi(2) / stiff;
        let most = fields.clone().map(exponent).fold(f64::NEG_INFINITY, f64::max);
        let (mut total, mut mean, mut square) = (0.0, 0.0, 0.0);
        let mut slopes = [0.0; 3];
        for field in fields {
            let relative = exponent(field) - most;
            if relative < NEGLIGIBLE {
                continue;
            }
            let p = relative.exp();
            let m = action.m - field.0 * response;
            let mu = m / stiff;
            // ⟨v²⟩ in this field is (1 + q + m²)/(1 + q)².
            let sized = stiff + m * m;
            let second = sized / (stiff * stiff);
            total += p;
            mean += p * mu;
            square += p * second;
            let on_m = mu + 2.0 * m / sized;
            slopes[0] += p * second * (1.0 / sized - 0.5 * mu * mu - 2.5 / stiff);
            slopes[1] += p * second * on_m;
            slopes[2] -= p * second * on_m * field.0;
        }
        Self {
            mean: mean / total,
            square: square / total,
            log_total: most + total.ln() - 0.5 * stiff.ln(),
            log_sized: most + square.ln() - 0.5 * stiff.ln(),
            slopes: slopes.map(|slope| slope / square),
        }
    }
}

impl Mixture {
    /// o and ln ω of every field.
    pub fn fields(&self) -> impl Iterator<Item = (f64, f64)> + Clone {
        self.offsets.iter().copied().zip(self.log_weights.iter().copied())
    }

    /// The offset of one field drawn given w, with `uniform` in (0, 1).
    pub fn pick(&self, action: UnitAction, response: f64, uniform: f64) -> f64 {
        let stiff = 1.0 + action.q.max(0.0);
        let log: Vec<f64> = (self.offsets.iter().zip(&self.log_weights))
            .map(|(offset, log)| log + 0.5 * (action.m - offset * response).powi(2) / stiff)
            .collect();
        let weights = normalised(&log);
        let mut left = uniform;
        for (offset, p) in self.offsets.iter().zip(&weights) {
            left -= p;
            if left < 0.0 {
                return *offset;
            }
        }
        self.offsets.last().copied().unwrap_or(0.0)
    }

    /// ln Ω(z), the mean of exp(−oz).
    pub fn log_mean(&self, z: f64) -> f64 {
        let terms = || self.fields().map(|(offset, log)| log - offset * z);
        let most = terms().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = terms().filter(|term| term - most > NEGLIGIBLE).map(|term| (term - most).exp()).sum();
        most + sum.ln()
    }

    /// Variance of t.
    pub fn variance(&self) -> f64 {
        let weights: Vec<f64> = self.log_weights.iter().map(|log| log.exp()).collect();
        let mean = dot(&weights, &self.offsets);
        weights.iter().zip(&self.offsets).map(|(p, offset)| p * (offset - mean).powi(2)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_what_chains_move_on() {
        let fields = [(-0.4, -1.1), (0.3, -0.5), (1.9, -3.0)];
        let log_sized =
            |[q, m, response]: [f64; 3]| MixtureTilt::new(UnitAction { q, m }, response, fields.into_iter()).log_sized;
        for at in [[0.8, 1.7, 0.9], [3.0, -4.0, 0.2], [0.0, 0.1, -1.5]] {
            let slopes = MixtureTilt::new(UnitAction { q: at[0], m: at[1] }, at[2], fields.into_iter()).slopes;
            for (k, slope) in slopes.into_iter().enumerate() {
                let step = 1e-5;
                let (mut up, mut down) = (at, at);
                up[k] += step;
                // q is not below zero.
                down[k] = if k == 0 { at[k] } else { at[k] - step };
                let expected = (log_sized(up) - log_sized(down)) / (up[k] - down[k]);
                assert!((slope - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{k}: {slope} for {expected}");
            }
        }
    }
}
