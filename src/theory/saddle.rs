//! Order parameters Q, Q̄ of the proportional limit: the stationary point of S that is continuous from high temperature.
//!
//!     S(Q, Q̄) = −Q Q̄ + ln(1+Q) + (1/N1)[ ln det A + yᵀA⁻¹y ]
//!     Q = Tr(BK̃)/(λ1 N1)        Q̄ = 1/(1+Q) − Tr(BM)/(λ1 N1 (1+Q)²)
//!
//! The second equation reads Q̄ = u ρ(u), u = 1/(1+Q), with
//!
//!     ρ = 1 − (1/N1) [ g s/(1+g s) − g t²/(1+g s)² ],      g = u/λ1, s = mᵀD⁻¹m, t = mᵀD⁻¹y, D = T + (Q̄/λ1) K̃
//!
//! where s and t depend on Q̄ alone. u ρ(u) grows from 0 to ∞ for N1 ≥ 2 (ρ = 1 for odd σ), so each Q̄ has exactly one Q and, for any σ,
//! one scalar equation in x = ln Q̄ remains, at O(P) per evaluation: the slope of S along that curve,
//!
//!     φ(x) = Q̄ ∂S/∂Q̄ = Q̄ − ρ + (Q̄/(λ1N1)) Tr(BK̃) = 0.
//!
//! φ is negative below and positive above the bounds of [`Equation::bounds`], which hold every root. The physical one is followed
//! from a temperature at which it is unique, by steps in ln T that keep an upward crossing of φ inside a window shrinking as the
//! square root of the step: at a fold, where the branch ends, the steps go to zero and the loss is reported.

use thiserror::Error;

use super::spectrum::{Bare, Resolvent, Spectrum};

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
    /// Largest violation of the two equations, |ΔQ|/(1+Q) and |ΔQ̄|/Q̄.
    pub residual: f64,
    /// Evaluations of φ: the continuation from the temperature before, the solve and the scan.
    pub iterations: usize,
    /// (Q, Q̄) of every other stationary point that the scan sees (a pair closer than its spacing escapes it).
    pub other_roots: Vec<(f64, f64)>,
}

/// Why there is no saddle point to report.
#[derive(Debug, Clone, PartialEq, Error)]
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

/// The saddle point at one temperature.
///
/// # Errors
/// [`SaddleError`] if the branch from high temperature ends above `temperature` or the equations are not solved to tolerance.
pub fn solve(spectrum: &Spectrum, temperature: f64, params: &Params) -> Result<Solution, SaddleError> {
    Branch::start(spectrum, temperature, params)?.solve_at(temperature)
}

/// The saddle point at many positive temperatures, in one continuation from the highest to the lowest; results in the order given.
pub fn ladder(spectrum: &Spectrum, temperatures: &[f64], params: &Params) -> Vec<Result<Solution, SaddleError>> {
    let hottest = temperatures.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let mut branch = Branch::start(spectrum, hottest, params);
    let mut order: Vec<usize> = (0..temperatures.len()).collect();
    order.sort_by(|&i, &j| temperatures[j].total_cmp(&temperatures[i]));
    let mut solved: Vec<(usize, _)> = order
        .into_iter()
        .map(|index| match &mut branch {
            Ok(branch) => (index, branch.solve_at(temperatures[index])),
            Err(error) => (index, Err(error.clone())),
        })
        .collect();
    solved.sort_by_key(|(index, _)| *index);
    solved.into_iter().map(|(_, result)| result).collect()
}

/// The branch of solutions continuous from high temperature, at the lowest temperature reached so far.
struct Branch<'a> {
    spectrum: &'a Spectrum,
    params: &'a Params,
    temperature: f64,
    /// ln Q̄.
    x: f64,
    /// Evaluations of φ since the last solution.
    evaluations: usize,
    lost: bool,
}

impl<'a> Branch<'a> {
    /// Starts at `temperature`, or higher where that is needed for the bounds of Q̄ to be within a few per cent of each other.
    fn start(spectrum: &'a Spectrum, temperature: f64, params: &'a Params) -> Result<Self, SaddleError> {
        if spectrum.width < 2.0 && spectrum.mean.iter().any(|&m| m != 0.0) {
            return Err(SaddleError::SingleUnit);
        }
        let trace: f64 = spectrum.eigenvalues.iter().sum::<f64>() / spectrum.lambda1;
        let labels: f64 = spectrum.labels.iter().map(|y| y * y).sum();
        let temperature = temperature.max(100.0 * trace.max(labels) / spectrum.width);
        let mut branch = Self { spectrum, params, temperature, x: 0.0, evaluations: 0, lost: false };
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
    fn solve_at(&mut self, temperature: f64) -> Result<Solution, SaddleError> {
        let mut step = self.params.largest_step;
        while self.temperature > temperature && !self.lost {
            let remaining = (self.temperature / temperature).ln();
            let last = remaining <= step;
            let taken = if last { remaining } else { step };
            let next = if last { temperature } else { self.temperature * (-taken).exp() };
            let equation = Equation { spectrum: self.spectrum, temperature: next };
            let window = 0.25 * taken.sqrt();
            let (low, high) = (self.x - window, self.x + window);
            let (f_low, f_high) = (self.slope(&equation, low), self.slope(&equation, high));
            if f_low < 0.0 && f_high > 0.0 {
                self.x = bracketed_root(|x| self.slope(&equation, x), (low, f_low), (high, f_high));
                self.temperature = next;
                step = (2.0 * taken).min(self.params.largest_step).max(self.params.smallest_step);
            } else {
                step = 0.5 * taken;
                self.lost = step < self.params.smallest_step;
            }
        }
        if self.lost {
            return Err(SaddleError::BranchLost { temperature, lost_at: self.temperature });
        }
        self.report(temperature)
    }

    fn report(&mut self, temperature: f64) -> Result<Solution, SaddleError> {
        let equation = Equation { spectrum: self.spectrum, temperature };
        let other_roots = self.other_roots(&equation);
        let (q_bar, resolvent) = (self.x.exp(), equation.resolvent(self.x));
        let Spectrum { lambda1, width, .. } = *self.spectrum;
        let inverse = lambda1 * resolvent.mean_gain;
        let from_trace = resolvent.covariance_trace() / (lambda1 * width);
        let from_mean = inverse - resolvent.mean_connected() * inverse * inverse / (lambda1 * width);
        let residual = ((1.0 + from_trace) * inverse - 1.0).abs().max((from_mean / q_bar - 1.0).abs());
        // A residual that is NaN must not pass.
        if residual.is_nan() || residual > self.params.tolerance {
            return Err(SaddleError::NotConverged { temperature, residual });
        }
        let iterations = std::mem::take(&mut self.evaluations);
        Ok(Solution { q: inverse.recip() - 1.0, q_bar, residual, iterations, other_roots })
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

    /// Solves Q̄ = u ρ(u) for u = 1/(1+Q), in ln u, between the bounds 1 − 1/N1 ≤ ρ ≤ 1 + t²/(4 s N1).
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

    /// Bounds of ln Q̄ over all roots: ρ_min/(1 + Tr K̃/(λ1N1T)) ≤ Q̄ ≤ 1 + ‖y‖²/(T N1), from 0 ≤ Tr(A⁻¹K̃) ≤ Tr K̃/T and
    /// aᵀA a = yᵀA⁻¹y ≤ ‖y‖²/T; widened by a per cent.
    fn bounds(&self) -> (f64, f64) {
        let Spectrum { eigenvalues, labels, mean, lambda1, width } = self.spectrum;
        let rho = if mean.iter().any(|&m| m != 0.0) { 1.0 - 1.0 / width } else { 1.0 };
        let scale = self.temperature * width;
        let trace: f64 = eigenvalues.iter().sum::<f64>() / lambda1;
        let squares: f64 = labels.iter().map(|y| y * y).sum();
        ((rho / (1.0 + trace / scale)).ln() - 0.01, (squares / scale).ln_1p() + 0.01)
    }
}

/// The root between two points where `f` has opposite signs, to rounding: the Illinois method, with a bisection whenever three steps
/// have not halved the bracket.
fn bracketed_root(mut f: impl FnMut(f64) -> f64, low: (f64, f64), high: (f64, f64)) -> f64 {
    let ((mut a, mut f_a), (mut b, mut f_b)) = (low, high);
    let rounding = |a: f64, b: f64| 2.0 * f64::EPSILON * (1.0 + a.abs().max(b.abs()));
    let (mut checkpoint, mut side) = ((b - a).abs(), 0);
    for iteration in 1..200 {
        if (b - a).abs() <= rounding(a, b) {
            break;
        }
        let halve = iteration % 4 == 0 && (b - a).abs() > 0.5 * checkpoint;
        if iteration % 4 == 0 {
            checkpoint = (b - a).abs();
        }
        let x = if halve { 0.5 * (a + b) } else { (a * f_b - b * f_a) / (f_b - f_a) };
        let f_x = f(x);
        if f_x == 0.0 || f_x.is_nan() {
            return x;
        }
        if (f_x < 0.0) == (f_a < 0.0) {
            (a, f_a) = (x, f_x);
            f_b *= if side == 1 { 0.5 } else { 1.0 };
            side = 1;
        } else {
            (b, f_b) = (x, f_x);
            f_a *= if side == -1 { 0.5 } else { 1.0 };
            side = -1;
        }
    }
    0.5 * (a + b)
}
