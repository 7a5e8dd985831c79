//! Order parameters Q, Q̄ of the proportional limit: the stationary point of S that is continuous
//! from high temperature.
//!
//! ```text
//! S(Q, Q̄) = −Q Q̄ + ln(1+Q) + (1/N1)[ ln det A + yᵀA⁻¹y ]
//! Q = Tr(BK̃)/(λ1 N1)        Q̄ = 1/(1+Q) − Tr(BM)/(λ1 N1 (1+Q)²)
//! ```
//!
//! The second equation reads Q̄ = u ρ(u), u = 1/(1+Q), with
//!
//! ```text
//! ρ = 1 − (1/N1) [ g s/(1+g s) − g t²/(1+g s)² ],      g = u/λ1, s = mᵀD⁻¹m, t = mᵀD⁻¹y, D = T + (Q̄/λ1) K̃
//! ```
//!
//! where s and t depend on Q̄ alone. u ρ(u) grows from 0 to ∞ for N1 ≥ 2 (ρ = 1 for odd σ), so each
//! Q̄ has exactly one Q and, for any σ, one scalar equation in x = ln Q̄ remains, at O(P) per
//! evaluation: the slope of S along that curve,
//!
//! ```text
//! φ(x) = Q̄ ∂S/∂Q̄ = Q̄ − ρ + (Q̄/(λ1N1)) Tr(BK̃) = 0.
//! ```
//!
//! φ is negative below and positive above rigorous bounds that hold every root. The physical one is
//! followed from a temperature at which it is unique, by steps in ln T that keep an upward crossing
//! of φ near its linear extrapolation, in a window shrinking as the square root of the step: at a
//! fold, where the branch ends, the steps go to zero and the loss is reported.

use thiserror::Error;

use super::spectrum::{Bare, Resolvent, Spectrum};
use crate::host::stop::{Stop, Stopped};
use crate::numerics::linalg::sum_of;

/// How the saddle point is sought; the defaults suit every problem met so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Params {
    /// Largest step of the continuation, in ln T.
    pub largest_step: f64,
    /// Step in ln T below which the branch counts as lost.
    pub smallest_step: f64,
    /// Points, equally spaced in ln Q̄, of the scan for other roots.
    pub scan_points: usize,
    /// Largest relative residual of either equation that counts as solved.
    pub tolerance: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { largest_step: 0.25, smallest_step: 1e-9, scan_points: 256, tolerance: 1e-9 }
    }
}

/// The order parameters and how well they solve their equations.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    pub q: f64,
    pub q_bar: f64,
    /// Largest violation of the two equations, |ΔQ|/max(1, 1+Q) and |ΔQ̄|/Q̄.
    pub residual: f64,
    /// Evaluations of φ: the continuation from the temperature before, the solve and the scan.
    pub iterations: usize,
    /// (Q, Q̄) of every other stationary point that the scan sees (a pair closer than its spacing
    /// escapes it).
    pub other_roots: Vec<(f64, f64)>,
}

/// Why there is no saddle point to report.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum SaddleError {
    #[error(
        "no saddle point at temperature {temperature}: the branch continuous from high temperature ends near {lost_at}; \
         stay above it, or widen the network"
    )]
    BranchLost { temperature: f64, lost_at: f64 },
    #[error("the saddle point at temperature {temperature} is only solved to {residual:e}: rescale the data")]
    NotConverged { temperature: f64, residual: f64 },
    #[error("one hidden unit has no proportional limit for an activation that is not odd: use at least two")]
    SingleUnit,
}

/// The saddle point at many positive temperatures, in one continuation from the highest to the
/// lowest; results in the order given.
///
/// # Errors
/// [`Stopped`] on request. Each result is a [`SaddleError`] if the branch from high temperature
/// ends above its temperature or the equations are not solved to tolerance.
pub fn ladder(
    spectrum: &Spectrum,
    temperatures: &[f64],
    params: &Params,
    stop: &Stop,
) -> Result<Vec<Result<Solution, SaddleError>>, Stopped> {
    let hottest = temperatures.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let mut branch = Branch::start(spectrum, hottest, params);
    let mut order: Vec<usize> = (0..temperatures.len()).collect();
    order.sort_by(|&i, &j| temperatures[j].total_cmp(&temperatures[i]));
    let mut solved: Vec<(usize, _)> = order
        .into_iter()
        .map(|index| match &mut branch {
            Ok(branch) => Ok((index, branch.solve_at(temperatures[index], stop)?)),
            Err(error) => Ok((index, Err(error.clone()))),
        })
        .collect::<Result<_, _>>()?;
    solved.sort_by_key(|(index, _)| *index);
    Ok(solved.into_iter().map(|(_, result)| result).collect())
}

/// The branch of solutions continuous from high temperature, at the lowest temperature reached so
/// far.
struct Branch<'a> {
    spectrum: &'a Spectrum,
    params: &'a Params,
    temperature: f64,
    /// ln Q̄.
    x: f64,
    /// d ln Q̄/d ln T over the last step.
    trend: f64,
    /// Evaluations of φ since the last solution.
    evaluations: usize,
    lost: bool,
}

impl<'a> Branch<'a> {
    /// Starts at `temperature`, or higher where that is needed for the bounds of Q̄ to be within a
    /// few per cent of each other.
    fn start(spectrum: &'a Spectrum, temperature: f64, params: &'a Params) -> Result<Self, SaddleError> {
        if spectrum.width < 2.0 && spectrum.mean.iter().any(|&m| m != 0.0) {
            return Err(SaddleError::SingleUnit);
        }
        let trace: f64 = spectrum.eigenvalues.iter().sum::<f64>() / spectrum.lambda1;
        let labels: f64 = spectrum.labels.iter().map(|y| y * y).sum();
        let temperature = temperature.max(100.0 * trace.max(labels) / spectrum.width);
        let mut branch = Self { spectrum, params, temperature, x: 0.0, trend: 0.0, evaluations: 0, lost: false };
        let equation = Equation { spectrum, temperature };
        let (low, high) = equation.bounds();
        let (f_low, f_high) = (branch.slope(&equation, low), branch.slope(&equation, high));
        branch.x = bracketed_root(|x| branch.slope(&equation, x), (low, f_low), (high, f_high));
        Ok(branch)
    }

    fn slope(&mut self, equation: &Equation, x: f64) -> f64 {
        self.evaluations += 1;
        equation.slope(x)
    }

    /// Follows the branch down to `temperature`, then reports it.
    fn solve_at(&mut self, temperature: f64, stop: &Stop) -> Result<Result<Solution, SaddleError>, Stopped> {
        let mut step = self.params.largest_step;
        stop.check()?;
        while self.temperature > temperature && !self.lost {
            stop.check()?;
            let remaining = (self.temperature / temperature).ln();
            let last = remaining <= step;
            let taken = if last { remaining } else { step };
            let next = if last { temperature } else { self.temperature * (-taken).exp() };
            let equation = Equation { spectrum: self.spectrum, temperature: next };
            let window = 0.25 * taken.sqrt();
            let guess = self.x - self.trend * taken;
            let (low, high) = (guess - window, guess + window);
            let (f_low, f_high) = (self.slope(&equation, low), self.slope(&equation, high));
            if f_low < 0.0 && f_high > 0.0 {
                let x = bracketed_root(|x| self.slope(&equation, x), (low, f_low), (high, f_high));
                self.trend = (self.x - x) / taken;
                (self.x, self.temperature) = (x, next);
                step = (2.0 * taken).min(self.params.largest_step).max(self.params.smallest_step);
            } else {
                step = 0.5 * taken;
                self.lost = step < self.params.smallest_step;
            }
        }
        if self.lost {
            return Ok(Err(SaddleError::BranchLost { temperature, lost_at: self.temperature }));
        }
        Ok(self.report(temperature))
    }

    fn report(&mut self, temperature: f64) -> Result<Solution, SaddleError> {
        let equation = Equation { spectrum: self.spectrum, temperature };
        let other_roots = self.other_roots(&equation);
        let (q_bar, resolvent) = (self.x.exp(), equation.resolvent(self.x));
        let Spectrum { lambda1, width, .. } = *self.spectrum;
        let inverse = lambda1 * resolvent.mean_gain;
        let from_trace = resolvent.covariance_trace() / (lambda1 * width);
        let from_mean = inverse - resolvent.mean_connected() * inverse * inverse / (lambda1 * width);
        let q = inverse.recip() - 1.0;
        let residual = ((from_trace - q).abs() / (1.0 + q).max(1.0)).max((from_mean / q_bar - 1.0).abs());
        // A residual that is NaN must not pass.
        if residual.is_nan() || residual > self.params.tolerance {
            return Err(SaddleError::NotConverged { temperature, residual });
        }
        let iterations = std::mem::take(&mut self.evaluations);
        Ok(Solution { q, q_bar, residual, iterations, other_roots })
    }

    /// Roots of φ on a grid over the bounds, other than the branch's own.
    fn other_roots(&mut self, equation: &Equation) -> Vec<(f64, f64)> {
        let (low, high) = equation.bounds();
        let spacing = (high - low) / (self.params.scan_points.max(2) - 1) as f64;
        let mut roots = Vec::new();
        let mut left = (low, self.slope(equation, low));
        for index in 1..self.params.scan_points.max(2) {
            let x = low + index as f64 * spacing;
            let right = (x, self.slope(equation, x));
            let own = left.0 <= self.x && self.x <= right.0;
            if !own && (left.1 < 0.0) != (right.1 < 0.0) {
                let x = bracketed_root(|x| self.slope(equation, x), left, right);
                let inverse = equation.spectrum.lambda1 * equation.resolvent(x).mean_gain;
                roots.push((inverse.recip() - 1.0, x.exp()));
            }
            left = right;
        }
        roots
    }
}

/// The scalar equation φ(ln Q̄) = 0 at one temperature.
struct Equation<'a> {
    spectrum: &'a Spectrum,
    temperature: f64,
}

impl Equation<'_> {
    /// φ(x).
    fn slope(&self, x: f64) -> f64 {
        let Spectrum { lambda1, width, .. } = *self.spectrum;
        let q_bar = x.exp();
        if !self.spectrum.has_mean() {
            // ρ = 1, and the trace is one pass without a buffer: the scan spends its time here.
            let (temperature, gain) = (self.temperature, q_bar / lambda1);
            let trace = sum_of([&self.spectrum.eigenvalues, &self.spectrum.labels], |[k, y]| {
                let inverse = 1.0 / (temperature + gain * k);
                k * inverse * (1.0 - y * y * inverse)
            });
            return q_bar - 1.0 + q_bar * trace / (lambda1 * width);
        }
        let resolvent = self.resolvent(x);
        let rho = q_bar / (lambda1 * resolvent.mean_gain);
        q_bar - rho + q_bar * resolvent.covariance_trace() / (lambda1 * width)
    }

    /// The resolvent at Q̄ = eˣ and the Q that belongs to it.
    fn resolvent(&self, x: f64) -> Resolvent<'_> {
        let q_bar = x.exp();
        let bare = Bare::new(self.spectrum, self.temperature, q_bar);
        let inverse = self.inverse_one_plus_q(&bare, q_bar);
        bare.resolvent(inverse)
    }

    /// Solves Q̄ = u ρ(u) for u = 1/(1+Q), in ln u, between the bounds 1 − 1/N1 ≤ ρ ≤ 1 + t²/(4 s
    /// N1).
    fn inverse_one_plus_q(&self, bare: &Bare, q_bar: f64) -> f64 {
        let Spectrum { lambda1, width, .. } = *self.spectrum;
        let (s, t) = (bare.mean_mean, bare.mean_labels);
        if s == 0.0 {
            return q_bar;
        }
        let violation = |ln_u: f64| {
            let gain = ln_u.exp() / lambda1;
            let screened = 1.0 + gain * s;
            let rho = 1.0 - (gain * s / screened - gain * (t / screened).powi(2)) / width;
            ln_u + (rho / q_bar).ln()
        };
        let low = (q_bar / (1.0 + t * t / (4.0 * s * width))).ln() - 1e-12;
        let high = (q_bar / (1.0 - 1.0 / width)).ln() + 1e-12;
        bracketed_root(violation, (low, violation(low)), (high, violation(high))).exp()
    }

    /// Bounds of ln Q̄ over all roots: ρ_min/(1 + Tr K̃/(λ1N1T)) ≤ Q̄ ≤ 1 + ‖y‖²/(T N1), from 0 ≤
    /// Tr(A⁻¹K̃) ≤ Tr K̃/T and aᵀA a = yᵀA⁻¹y ≤ ‖y‖²/T; widened by a per cent.
    fn bounds(&self) -> (f64, f64) {
        let Spectrum { eigenvalues, labels, mean, lambda1, width } = self.spectrum;
        let rho = if mean.iter().any(|&m| m != 0.0) { 1.0 - 1.0 / width } else { 1.0 };
        let scale = self.temperature * width;
        let trace: f64 = eigenvalues.iter().sum::<f64>() / lambda1;
        let squares: f64 = labels.iter().map(|y| y * y).sum();
        ((rho / (1.0 + trace / scale)).ln() - 0.01, (squares / scale).ln_1p() + 0.01)
    }
}

/// The root between two points where `f` has opposite signs, until the bracket is down to rounding:
/// Chandrupatla's method (Adv. Eng. Softw. 28, 145, 1997), inverse quadratic interpolation where it
/// is safe and bisection elsewhere.
fn bracketed_root(mut f: impl FnMut(f64) -> f64, low: (f64, f64), high: (f64, f64)) -> f64 {
    // `newest` and `other` bracket the root; `last` is the point dropped before.
    let (mut newest, mut other) = (high, low);
    let mut fraction = 0.5;
    for _ in 0..200 {
        let x = newest.0 + fraction * (other.0 - newest.0);
        let f_x = f(x);
        if f_x == 0.0 || f_x.is_nan() {
            return x;
        }
        let last;
        if (f_x < 0.0) == (newest.1 < 0.0) {
            last = newest;
        } else {
            last = other;
            other = newest;
        }
        newest = (x, f_x);
        let width = (other.0 - newest.0).abs();
        let rounding = 2.0 * f64::EPSILON * (1.0 + x.abs());
        if width <= 2.0 * rounding {
            break;
        }
        let ((x1, f1), (x2, f2), (x3, f3)) = (newest, other, last);
        let (xi, phi) = ((x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2));
        let safe = phi * phi < xi && (1.0 - phi).powi(2) < 1.0 - xi;
        let interpolated = f1 / (f2 - f1) * f3 / (f2 - f3) + (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f3 - f2);
        let limit = rounding / width;
        fraction = if safe { interpolated.clamp(limit, 1.0 - limit) } else { 0.5 };
    }
    if newest.1.abs() < other.1.abs() { newest.0 } else { other.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solve(spectrum: &Spectrum, temperature: f64, params: &Params) -> Result<Solution, SaddleError> {
        ladder(spectrum, &[temperature], params, &Stop::default()).unwrap().remove(0)
    }

    /// Many directions without labels and one stiff direction with a huge label: φ has a fold near
    /// T = 95.
    fn folded() -> Spectrum {
        let mut eigenvalues = vec![1.0; 1000];
        let mut labels = vec![0.0; 1000];
        eigenvalues.push(1e-3);
        labels.push(1.65e8_f64.sqrt());
        Spectrum { eigenvalues, labels, mean: vec![0.0; 1001], lambda1: 1.0, width: 10.0 }
    }

    #[test]
    fn other_roots_are_seen_and_solve_the_equations() {
        let (spectrum, params) = (folded(), Params::default());
        let solution = solve(&spectrum, 105.0, &params).unwrap();
        assert_eq!(solution.other_roots.len(), 2, "{solution:?}");
        let equation = Equation { spectrum: &spectrum, temperature: 105.0 };
        for &(q, q_bar) in &solution.other_roots {
            assert!(equation.slope(q_bar.ln()).abs() < 1e-9 * q_bar && (q_bar * (1.0 + q) - 1.0).abs() < 1e-12);
            assert!(q_bar > solution.q_bar, "the physical root is the one continuous from Q̄ = 1");
        }
        assert!(solve(&spectrum, 1e4, &params).unwrap().other_roots.is_empty());
    }

    #[test]
    fn a_lost_branch_is_an_error_and_not_another_root() {
        let spectrum = folded();
        let results = ladder(&spectrum, &[20.0, 50.0, 1e3, 105.0], &Params::default(), &Stop::default()).unwrap();
        assert!(results[2].is_ok() && results[3].is_ok());
        for (result, expected) in results.iter().zip([20.0, 50.0]) {
            let Err(SaddleError::BranchLost { temperature, lost_at }) = *result else { panic!("{result:?}") };
            assert!(temperature == expected && (80.0..105.0).contains(&lost_at), "{lost_at}");
        }
        // The equation does have a root there: only continuity excludes it.
        let equation = Equation { spectrum: &spectrum, temperature: 50.0 };
        let (low, high) = equation.bounds();
        assert!(equation.slope(low) < 0.0 && equation.slope(high) > 0.0);
    }

    #[test]
    fn bounds_hold_every_root() {
        for (width, mean) in [(2.0, 0.5), (7.0, 0.5), (7.0, 0.0), (1.0, 0.0)] {
            let spectrum = Spectrum {
                eigenvalues: (0..40).map(|i| 2.0 * 0.6_f64.powi(i)).collect(),
                labels: (0..40).map(|i| f64::from(i % 5) - 2.0).collect(),
                mean: (0..40).map(|i| mean * 0.9_f64.powi(i)).collect(),
                lambda1: 0.4,
                width,
            };
            for temperature in [1e-6, 1e-3, 1.0, 1e3, 1e6] {
                let equation = Equation { spectrum: &spectrum, temperature };
                let (low, high) = equation.bounds();
                assert!(equation.slope(low) < 0.0 && equation.slope(high) > 0.0, "{width} {mean} {temperature}");
                let solution = solve(&spectrum, temperature, &Params::default()).unwrap();
                assert!(solution.residual < 1e-10 && (low..high).contains(&solution.q_bar.ln()), "{solution:?}");
            }
        }
    }

    #[test]
    fn one_hidden_unit_is_refused_where_the_limit_does_not_exist() {
        let spectrum = Spectrum { mean: vec![0.1; 1001], width: 1.0, ..folded() };
        assert_eq!(solve(&spectrum, 1.0, &Params::default()), Err(SaddleError::SingleUnit));
        assert_eq!(
            ladder(&spectrum, &[1.0], &Params::default(), &Stop::default()).unwrap(),
            [Err(SaddleError::SingleUnit)]
        );
        assert!(ladder(&spectrum, &[], &Params::default(), &Stop::default()).unwrap().is_empty());
    }

    #[test]
    fn bracketed_roots_are_found_to_rounding() {
        let functions: [(&dyn Fn(f64) -> f64, f64); 4] = [
            (&|x| x.exp() - 2.0, 2f64.ln()),
            (&|x| (x - 0.25).powi(3), 0.25),
            (&|x| (40.0 * (x - 0.9)).tanh(), 0.9),
            (&|x| (x - 0.3) * if x < 0.3 { 1.0 } else { 1e6 }, 0.3),
        ];
        for (f, root) in functions {
            let mut evaluations = 0;
            let counted = |x| {
                evaluations += 1;
                f(x)
            };
            let found = bracketed_root(counted, (-1.0, f(-1.0)), (2.0, f(2.0)));
            assert!((found - root).abs() < 1e-12 || f(found) == 0.0, "{found} for {root}");
            assert!(evaluations < 100, "{evaluations}");
        }
    }
}
