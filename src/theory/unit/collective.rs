//! The others' output along one direction beyond its Gaussian: what keeps several units from
//! fitting the data at once.
//!
//! # Derivation
//!
//! One unit of a network of N1 is distributed as p0(w) p0(v) Z(y − x), with x = vφ/√N1 its part of
//! the output and Z(y') the evidence of the other N1 − 1 for labels y'. The adaptive theory takes
//! ln Z to second order in x, as if the others' output f' were Gaussian, of covariance C. At low
//! temperature and large P/N1 that fails: a few units fit much of the data alone, |x| is as large
//! as |y|, and where one does, no second does. In a Gaussian of covariance C they come and go
//! independently: the more of them there are, the softer (T + C)⁻¹ is where they act, and the more
//! come. So C is split along one direction g of the data,
//!
//! ```text
//! t = g·f',     f' = F + (t − t̄) e + f⊥,     e = Cg/(gᵀCg),     f⊥ Gaussian of covariance C⊥ = C − CggᵀC/(gᵀCg),  uncorrelated with t
//! ```
//!
//! and along it the law of t is kept. With B = (T + C⊥)⁻¹ and b = eᵀBe,
//!
//! ```text
//! Z(y − x) ∝ ∫dt ω(t) exp( x·(a − (t − t̄)Be) − ½xᵀBx ),     ω(t) ∝ ρ^{*(N1−1)}(t) exp( −½b(t − t̄)² + κt ),     ⟨t⟩_ω = t̄ = g·(y − Ta)
//! ```
//!
//! where ρ is the law of g·x of one unit without the others' answer to it, exp(−½bs²) ∫dt ω(t)
//! exp(−bs(t − t̄)) = W(s), and κ holds the mean where the dual field has it. ρ comes from a tally
//! of s in the mixture, over W; what is averaged over iterations is that ratio, each tally over the
//! W and the dual field it was made under: a mean tally over the last W remembers other fields, and
//! the loop through it oscillates. So a unit is in a mixture of fields a − (t − t̄)Be. A Gaussian ω
//! of variance 1/(b + 1/gᵀCg) gives back (T + C)⁻¹, and that is where N1 → ∞ at fixed P leads; the
//! difference is of higher order than 1/N1 there, and of order one where units fit the data alone.
//! g is the direction of a: along it the dual field acts, and such units lie. (Derived for this
//! project.)

use faer::Mat;

use super::log_weights::normalised;
use super::measure::UnitAction;
use super::mixture::Mixture;
use crate::numerics::linalg::{dot, multiply};

/// Points of the grid of t, an odd number.
const GRID: usize = 401;

/// Logarithm of the weight below which a field does not count.
const LEAST: f64 = -40.0;

/// Nodes and weights that average polynomials of degree 13 over a standard Gaussian (Gauss and
/// Hermite).
const NODES: [(f64, f64); 7] = [
    (-3.750_439_717_725_742, 5.482_688_559_722_18e-4),
    (-2.366_759_410_734_541, 0.030_757_123_967_586_5),
    (-1.154_405_394_739_968, 0.240_123_178_605_012_7),
    (0.0, 16.0 / 35.0),
    (1.154_405_394_739_968, 0.240_123_178_605_012_7),
    (2.366_759_410_734_541, 0.030_757_123_967_586_5),
    (3.750_439_717_725_742, 5.482_688_559_722_18e-4),
];

/// Least stiffness of the Gaussian that nodes are of over that of the unit.
const SOFTEST: f64 = 0.1;

/// One w, in units in which λ1 = 1: s = v`direction`, `direction` = g·φ/√(λ1N1).
pub(super) struct ProjectedTally {
    /// ln of the probability of w over ∫dv exp(mv − ½(1+q)v²) Ω(v`response`).
    pub log: f64,
    pub action: UnitAction,
    /// φ·Be/√(λ1N1).
    pub response: f64,
    pub direction: f64,
}

/// What a unit feels of the others along g: their fields, and with b = `stiffness` their answer.
pub(super) struct CavityField<'a> {
    /// `None` where one field stands for all.
    pub mixture: Option<&'a Mixture>,
    pub stiffness: f64,
}

impl CavityField<'_> {
    /// ln Ω(z).
    fn fields(&self, z: f64) -> f64 {
        self.mixture.map_or(0.0, |mixture| mixture.log_mean(z))
    }

    /// ln W(s).
    fn answer(&self, s: f64) -> f64 {
        let pushed = self.stiffness * s;
        self.fields(pushed) - 0.5 * pushed * s
    }

    /// A Gaussian of `variance` = gᵀCg, which is in the stiffness already and answers with (1/b +
    /// gᵀCg)⁻¹.
    pub fn gaussian(stiffness: f64, variance: f64) -> Self {
        Self { mixture: None, stiffness: stiffness - stiffness * stiffness / (stiffness + 1.0 / variance) }
    }
}

/// How C falls apart along g.
pub(super) struct Split {
    /// gᵀCg.
    pub variance: f64,
    /// e.
    pub axis: Vec<f64>,
    /// C⊥.
    pub rest: Mat<f64>,
}

/// The law of t, from tallies of g·x of single units.
pub(super) struct ProjectedLaw {
    /// g.
    pub direction: Vec<f64>,
    step: f64,
    /// ρ in each cell, averaged over iterations, under the dual field that `reference` is along g;
    /// empty before the first.
    alone: Vec<f64>,
    reference: f64,
}

impl ProjectedLaw {
    /// Along the direction of `dual_field`, which must not be zero, on a grid that holds the whole
    /// output along it and its spread.
    pub fn new(dual_field: &[f64], labels: &[f64], spread: &Mat<f64>) -> Self {
        let size = dot(dual_field, dual_field).sqrt();
        let direction: Vec<f64> = dual_field.iter().map(|a| a / size).collect();
        let deviation = dot(&direction, &multiply(spread.as_ref(), &direction)).max(0.0).sqrt();
        let reach = 1.6 * dot(&direction, labels).abs() + 4.0 * deviation;
        Self { reference: size, direction, step: 2.0 * reach / (GRID - 1) as f64, alone: Vec::new() }
    }

    /// t or s at the middle of cell k.
    fn at(&self, k: usize) -> f64 {
        (k as f64 - (GRID / 2) as f64) * self.step
    }

    pub fn split(&self, spread: &Mat<f64>) -> Split {
        let image = multiply(spread.as_ref(), &self.direction);
        let variance = dot(&self.direction, &image);
        let axis: Vec<f64> = image.iter().map(|x| x / variance).collect();
        let mut rest = spread.clone();
        for (column, c) in rest.col_iter_mut().zip(&axis) {
            column.iter_mut().zip(&image).for_each(|(x, r)| *x -= r * c);
        }
        Split { variance, axis, rest }
    }

    /// Takes the share `gain` of ρ from units in the fields of `others`, under `dual_field`.
    ///
    /// Of one w it is the law of v over W: exp(mv − ½(1+q)v²) Ω(vφ·Be/√(λ1N1))/W(s), where Ω(z) is
    /// the mean of exp(−oz). Nearly, Ω cancels W's and leaves a Gaussian of stiffness 1 + q −
    /// b(s/v)², softer than the law of v; nodes are of that one, and weigh what is left.
    pub fn add(&mut self, units: &[ProjectedTally], dual_field: &[f64], gain: f64, others: &CavityField<'_>) {
        let excess = dot(&self.direction, dual_field) - self.reference;
        let (mut at, mut log_weights) = (Vec::new(), Vec::new());
        for ProjectedTally { log, action, response, direction } in units {
            let stiff = 1.0 + action.q.max(0.0);
            let alone = (stiff - others.stiffness * direction * direction).max(SOFTEST * stiff);
            for (node, weight) in NODES {
                let v = action.m / alone + node / alone.sqrt();
                let s = v * direction;
                let law = v * (action.m - 0.5 * stiff * v) + others.fields(v * response) - others.answer(s);
                at.push(s);
                log_weights.push(log + law + 0.5 * node * node + (weight / alone.sqrt()).ln() - excess * s);
            }
        }
        let most = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut tally = vec![0.0; GRID];
        at.iter().zip(&log_weights).for_each(|(s, log)| self.count(*s, (log - most).exp(), &mut tally));
        let total: f64 = tally.iter().sum();
        let alone = tally.iter().map(|p| p / total);
        if self.alone.is_empty() {
            self.alone = alone.collect();
        } else {
            self.alone.iter_mut().zip(alone).for_each(|(old, new)| *old += gain * (new - *old));
        }
    }

    /// Puts a weight on three cells so that its mean and its variance stay what they are: hundreds
    /// are added up, and what cells would widen each by is their spread before long. Outer cells
    /// may be a little below zero, which others make up for.
    fn count(&self, s: f64, weight: f64, tally: &mut [f64]) {
        // Beyond the grid there is nothing.
        let cell = (s / self.step + (GRID / 2) as f64).clamp(1.0, (GRID - 2) as f64);
        let (middle, off) = (cell.round(), cell - cell.round());
        for (k, share) in [0.5 * off * (off - 1.0), 1.0 - off * off, 0.5 * off * (off + 1.0)].into_iter().enumerate() {
            tally[middle as usize + k - 1] += weight * share;
        }
    }

    /// ω for the others of a unit, with ⟨t⟩ = `mean` and the stiffness b = `stiffness` along e.
    pub fn mixture(&self, others: usize, mean: f64, stiffness: f64) -> Mixture {
        let grid: Vec<f64> = (0..GRID).map(|k| self.at(k)).collect();
        // A tilt common to all units changes nothing in the end, and puts their sum on the grid.
        let one = tilted_to(&self.alone, &grid, mean / others.max(1) as f64, self.step);
        let log: Vec<f64> = (power(&one, others).iter().zip(&grid))
            .map(|(log, t)| log - 0.5 * stiffness * (t - mean).powi(2))
            .collect();
        let weights = tilted_to(&normalised(&log), &grid, mean, self.step);
        let fields = grid.iter().zip(&weights).map(|(t, p)| (t - mean, p.ln())).filter(|&(_, log)| log > LEAST);
        let (offsets, log_weights): (Vec<f64>, Vec<f64>) = fields.unzip();
        Mixture { offsets, log_weights }
    }
}

/// `law` times an exponential of t that gives it this mean, its sum one, by Newton's method between
/// the nearest exponents known to give less and more: far out, where a law has gaps, its variance
/// is no guide. A few cells may be below zero.
fn tilted_to(law: &[f64], grid: &[f64], mean: f64, step: f64) -> Vec<f64> {
    let log: Vec<f64> = law.iter().map(|p| p.abs().ln()).collect();
    let tilted = |kappa: f64| -> Vec<f64> {
        let log: Vec<f64> = log.iter().zip(grid).map(|(log, t)| log + kappa * (t - mean)).collect();
        let most = log.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = log.iter().zip(law).map(|(log, p)| (log - most).exp().copysign(*p)).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|p| p / total).collect()
    };
    let (mut kappa, mut low, mut high) = (0.0, f64::NEG_INFINITY, f64::INFINITY);
    let mut weights = tilted(kappa);
    for _ in 0..100 {
        let miss = mean - dot(&weights, grid);
        if miss.abs() < 1e-9 * step {
            break;
        }
        if miss > 0.0 {
            low = kappa;
        } else {
            high = kappa;
        }
        let variance: f64 = weights.iter().zip(grid).map(|(p, t)| p * (t - mean + miss).powi(2)).sum();
        let next = kappa + (miss / variance.max(1e-3 * step * step)).clamp(-1.0 / step, 1.0 / step);
        kappa = if low < next && next < high { next } else { 0.5 * (low + high) };
        weights = tilted(kappa);
    }
    weights
}

/// ln of the law of a sum of n independent numbers, from that of one. Where no cell of it is below
/// zero nothing cancels, and tails keep their digits; what falls below zero otherwise is zero.
fn power(one: &[f64], n: usize) -> Vec<f64> {
    let mut base: Vec<f64> = one.to_vec();
    let (mut scale, mut result, mut left) = (0.0, None::<(Vec<f64>, f64)>, n);
    while left > 0 {
        if left % 2 == 1 {
            result = Some(match result {
                None => (base.clone(), scale),
                Some((sum, with)) => {
                    let (sum, more) = rescaled(convolve(&sum, &base));
                    (sum, with + scale + more)
                }
            });
        }
        left /= 2;
        if left > 0 {
            let (next, more) = rescaled(convolve(&base, &base));
            (base, scale) = (next, 2.0 * scale + more);
        }
    }
    let (sum, scale) = result.unwrap_or_else(|| {
        let mut zero = vec![0.0; one.len()];
        zero[one.len() / 2] = 1.0;
        (zero, 0.0)
    });
    sum.iter().map(|p| p.max(0.0).ln() + scale).collect()
}

/// On the same grid, whose middle is zero: what falls out of it is lost.
fn convolve(a: &[f64], b: &[f64]) -> Vec<f64> {
    let (n, middle) = (a.len(), a.len() / 2);
    (0..n)
        .map(|k| {
            let (from, to) = ((k + middle + 1).saturating_sub(n), (k + middle).min(n - 1));
            (from..=to).map(|i| a[i] * b[k + middle - i]).sum()
        })
        .collect()
}

/// Over its largest entry, and the logarithm of that.
fn rescaled(mut values: Vec<f64>) -> (Vec<f64>, f64) {
    let most = values.iter().copied().fold(0.0, f64::max);
    values.iter_mut().for_each(|x| *x /= most);
    (values, most.ln())
}

#[cfg(test)]
mod tests {
    use super::super::log_weights::log_sum;
    use super::*;
    use crate::theory::unit::mixture::MixtureTilt;

    fn ln_binomial(n: usize, k: usize) -> f64 {
        (0..k).map(|i| (((n - i) as f64) / ((i + 1) as f64)).ln()).sum()
    }

    /// A sum of n coins, tails of 1e-90 included, where a transform in double precision would have
    /// noise of 1e-16.
    #[test]
    fn sums_of_independent_numbers_keep_their_tails() {
        for n in [0, 1, 2, 7, 24, 63] {
            let p = 0.03f64;
            let mut one = vec![0.0; GRID];
            (one[GRID / 2], one[GRID / 2 + 1]) = (1.0 - p, p);
            let sum = power(&one, n);
            for k in 0..=n {
                let expected = ln_binomial(n, k) + k as f64 * p.ln() + (n - k) as f64 * (1.0 - p).ln();
                assert!((sum[GRID / 2 + k] - expected).abs() < 1e-9, "{n}, {k}: {} for {expected}", sum[GRID / 2 + k]);
            }
            assert!(n > 40 || sum[GRID / 2 + n + 1] == f64::NEG_INFINITY && sum[GRID / 2 - 1] == f64::NEG_INFINITY);
        }
    }

    /// A law along one axis of a plane, of `others` units that are Gaussian along it, together of
    /// this variance, with this stiffness.
    fn gaussian(others: usize, variance: f64, stiffness: f64) -> ProjectedLaw {
        let spread = Mat::from_fn(2, 2, |i, j| {
            if i != j {
                0.0
            } else if i == 0 {
                variance
            } else {
                0.3
            }
        });
        let mut law = ProjectedLaw::new(&[2.0, 0.0], &[3.0, 1.0], &spread);
        let action = UnitAction { q: 0.5, m: 0.0 };
        // Of all sizes from nothing to √3 times the deviation of all.
        let size = (1.5 * 3.0 * variance / others as f64).sqrt();
        let unit =
            |k: usize| ProjectedTally { log: 0.0, action, response: 0.0, direction: size * (k as f64 + 0.5) / 512.0 };
        let units: Vec<ProjectedTally> = (0..512).map(unit).collect();
        law.add(&units, &[2.0, 0.0], 1.0, &CavityField::gaussian(stiffness, variance));
        law
    }

    /// Units whose output is cells wide and units whose output is a third of a cell.
    #[test]
    fn the_law_of_many_units_has_their_variance() {
        for (others, variance) in [(400, 4.0), (400, 0.04), (25, 1.0)] {
            let law = gaussian(others, variance, 0.0);
            let grid: Vec<f64> = (0..GRID).map(|k| law.at(k)).collect();
            let of_sum = |one: &[f64]| -> f64 {
                normalised(&power(one, others)).iter().zip(&grid).map(|(p, t)| p * t * t).sum()
            };
            let found = of_sum(&law.alone);
            assert!((found / variance - 1.0).abs() < 1e-3, "{others}: {found} for {variance}");
            // Control: with cells below zero cut off before the sum, units narrower than a cell are
            // too wide.
            let cut: Vec<f64> = law.alone.iter().map(|p| p.max(0.0)).collect();
            assert!(variance > 0.04 || of_sum(&cut) > 1.2 * variance, "{}", of_sum(&cut));
        }
    }

    #[test]
    fn laws_with_gaps_are_tilted_to_any_mean() {
        let grid: Vec<f64> = (0..GRID).map(|k| 0.02 * (k as f64 - 200.0)).collect();
        let mut log = vec![f64::NEG_INFINITY; GRID];
        for (k, value) in [(3, -80.0), (198, -1.0), (200, 0.0), (201, -0.5), (290, -30.0), (399, -200.0)] {
            log[k] = value;
        }
        let law: Vec<f64> = log.iter().map(|log: &f64| log.exp()).collect();
        for mean in [-3.5, -0.03, 0.0, 0.011, 0.5, 1.7, 1.9, 3.9] {
            let weights = tilted_to(&law, &grid, mean, 0.02);
            assert!((dot(&weights, &grid) - mean).abs() < 1e-8, "{} for {mean}", dot(&weights, &grid));
        }
        // Control: no tilt gives a mean that is beyond the law.
        let weights = tilted_to(&law, &grid, 3.99, 0.02);
        assert!((dot(&weights, &grid) - 3.99).abs() > 1e-3);
    }

    /// The tally of single units holds the others' answer; where all is Gaussian, the mixture has
    /// the variance of a Gaussian field, and a unit in it the weight and the mean of one whose
    /// stiffness is that much softer.
    #[test]
    fn a_gaussian_law_is_a_softer_stiffness() {
        let (others, variance, stiffness) = (400, 4.0, 2.0);
        let mixture = gaussian(others, variance, stiffness).mixture(others, 1.5, stiffness);
        let expected = 1.0 / (stiffness + 1.0 / variance);
        assert!((mixture.variance() / expected - 1.0).abs() < 0.01, "{} for {expected}", mixture.variance());
        let total: f64 = mixture.log_weights.iter().map(|log| log.exp()).sum();
        let mean: f64 = mixture.log_weights.iter().zip(&mixture.offsets).map(|(log, o)| log.exp() * o).sum();
        assert!((total - 1.0).abs() < 1e-9 && mean.abs() < 1e-6, "{total}, {mean}");
        let (action, response) = (UnitAction { q: 0.8, m: 1.7 }, 0.9);
        let tilt = MixtureTilt::new(action, response, mixture.fields());
        let soft = |variance: f64| 1.0 + action.q - response * response * variance;
        let log_weight = |variance: f64| 0.5 * (action.m * action.m / soft(variance) - soft(variance).ln());
        let mean = |variance: f64| action.m / soft(variance);
        let square = mean(expected).powi(2) + 1.0 / soft(expected);
        assert!((tilt.mean - mean(expected)).abs() < 0.01, "{}", tilt.mean);
        assert!((tilt.square / square - 1.0).abs() < 0.01, "{} for {square}", tilt.square);
        let log_sized = log_weight(expected) + square.ln();
        assert!((tilt.log_sized - log_sized).abs() < 0.01, "{} for {log_sized}", tilt.log_sized);
        assert!((tilt.log_total - log_weight(expected)).abs() < 0.01, "{}", tilt.log_total);
        // Controls: a field without the mixture, and one in which the others know nothing of each
        // other.
        assert!((tilt.mean - mean(0.0)).abs() > 0.1, "the mixture must be seen");
        assert!(soft(variance) < 0.0, "independent units would have no measure at all");
    }

    /// Units that either do nothing or give s: their number is the binomial law times exp(−½b(ks −
    /// t̄)²), and of one unit what is left of that after the other N − 1. From its exact tally the
    /// law of the others comes back, far narrower than of independent units.
    #[test]
    fn units_that_fit_the_data_exclude_each_other() {
        let (n, s, stiffness, activity) = (25usize, 2.0, 0.7, 0.2f64);
        // b and t̄ of a dual field that asks for about one such unit.
        let centre = 1.1 * s;
        let weight = |k: usize, own: f64| -0.5 * stiffness * (k as f64 * s + own - centre).powi(2);
        let of_others = |own: f64| -> Vec<f64> {
            (0..n).map(|k| ln_binomial(n - 1, k) + k as f64 * activity.ln() + weight(k, own)).collect()
        };
        let (idle, active) = (log_sum(&of_others(0.0)), activity.ln() + log_sum(&of_others(s)));
        let share = 1.0 / (1.0 + (idle - active).exp());
        let others = normalised(&of_others(0.0));
        let mean: f64 = others.iter().enumerate().map(|(k, p)| k as f64 * s * p).sum();
        let variance: f64 = others.iter().enumerate().map(|(k, p)| p * (k as f64 * s - mean).powi(2)).sum();

        let spread = Mat::from_fn(1, 1, |_, _| n as f64 * share * (1.0 - share) * s * s);
        let mut law = ProjectedLaw::new(&[1.0], &[6.0], &spread);
        // On a grid of which s is a multiple, and without the widening that Monte Carlo wants.
        law.step = 0.1;
        let response = stiffness * (centre - mean);
        // From the law of the others to one unit, and from it back, as chains and the field do.
        let mut found: Option<(Mixture, f64)> = None;
        for _ in 0..60 {
            let odds = {
                let others = match &found {
                    Some((mixture, _)) => CavityField { mixture: Some(mixture), stiffness },
                    None => CavityField::gaussian(stiffness, spread[(0, 0)]),
                };
                let odds = activity * (response * s + others.answer(s) - others.answer(0.0)).exp();
                // A readout of 1, all but sharp.
                let action = UnitAction { q: 1e9, m: 1e9 + 1.0 };
                let sharp = 0.5 * (action.m * action.m / (1.0 + action.q) - action.q.ln_1p());
                let unit = |direction: f64, odds: f64| ProjectedTally {
                    log: (odds / (1.0 + odds)).ln() - sharp,
                    action,
                    response: 0.0,
                    direction,
                };
                law.add(&[unit(0.0, 1.0 / odds), unit(s, odds)], &[1.0], 0.3, &others);
                odds
            };
            found = Some((law.mixture(n - 1, mean, stiffness), odds / (1.0 + odds)));
        }
        let (found, active) = found.unwrap();
        assert!((active / share - 1.0).abs() < 0.01, "{active} for {share}");
        assert!((found.variance() / variance - 1.0).abs() < 0.02, "{} for {variance}", found.variance());
        let independent = (n - 1) as f64 * share * (1.0 - share) * s * s;
        assert!(variance < 0.5 * independent, "{variance} must be far from {independent} of independent units");
        for (offset, log) in found.offsets.iter().zip(&found.log_weights).filter(|(_, log)| **log > -12.0) {
            let k = ((offset + mean) / s).round();
            assert!((k * s - mean - offset).abs() < 1e-9, "nothing between whole units: {offset}");
            assert!((log.exp() - others[k as usize]).abs() < 0.01, "{k}: {} for {}", log.exp(), others[k as usize]);
        }
    }
}
