//! The sampled log evidence, by thermodynamic integration over the ladder.
//!
//! With β = 1/T and Z(β) = E_prior e^{−βL},
//!
//! ```text
//! d ln Z/dβ = −⟨L⟩_β        d⟨L⟩/dβ = −Var_β L        ln p(y) = ln Z(β) − (P/2) ln 2πT
//! ```
//!
//! so every temperature gives the integrand and its slope, and the prior gives both at β = 0,
//! exactly ([`Theory::prior_loss`](crate::theory::Theory::prior_loss)). A theory b that obeys the
//! same two relations is taken out first,
//!
//! ```text
//! ln Z(β) = ln Z_b(β) − ∫₀^β D dβ',     D = ⟨L⟩ − ⟨L⟩_b,     D' = −(Var L − Var_b L)
//! ```
//!
//! which is exact whatever b is worth: it only leaves a small and smooth D to be integrated. A
//! cubic Hermite rule takes g = (β + b₀)D as a function of x = ln(β + b₀), so that ∫ D dβ = ∫ g dx:
//!
//! ```text
//! ∫ g dx ≈ (Δ/2)(g_a + g_b) + (Δ²/12)(g'_a − g'_b),     dg/dx = (β + b₀)(D + (β + b₀)D')
//! ```
//!
//! with b₀ = ⟨L⟩₀/Var₀L, where the loss leaves its prior: the rule is one in β below it, and one in
//! ln β, as ladders are spaced, above.
//!
//! Two errors are kept apart. The *MCSE* is that of the very combination of draws that the rule
//! sums: a draw L counts as c L + e (L − ⟨L⟩)² at its temperature, and draws of one replica are
//! added up over the ladder before their error is taken, since exchange ties them together. The
//! *quadrature error* comes from applying the rule to the difference of two theories, whose
//! integral is known: interval by interval, scaled up where the samples are further from the theory
//! than the theories are from each other, and added without regard to sign. A ladder whose hottest
//! temperature is too cold for the first interval to be resolved shows it there.

use crate::host::stop::Stop;
use crate::stats::{Chains, mcse_mean};
use crate::theory::unit::Params;
use crate::theory::{Theory, TheoryKind, ladder};

/// Draws of L at one temperature: row-major, one row per chain.
#[derive(Debug, Clone)]
pub struct Losses {
    pub values: Vec<f64>,
    pub chains: usize,
}

/// ln p(y) at one temperature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogEvidence {
    pub mean: f64,
    /// Monte Carlo standard error.
    pub mcse: f64,
    /// Estimate of what the rule of integration contributes.
    pub quadrature_error: f64,
    /// The theory that was taken out.
    pub baseline: TheoryKind,
}

impl LogEvidence {
    /// Both errors together.
    pub fn error(&self) -> f64 {
        self.mcse.hypot(self.quadrature_error)
    }
}

/// The sampled ln p(y) at every temperature of a ladder given from hot to cold; `None` where no
/// theory can be taken out.
///
/// `losses` holds L = ½ Σ (y − f)², not its mean over points. Draws of a biased sampler give a
/// biased evidence.
pub fn log_evidence(theory: &Theory, temperatures: &[f64], losses: &[Losses]) -> Option<Vec<LogEvidence>> {
    let betas: Vec<f64> = temperatures.iter().map(|t| 1.0 / t).collect();
    // Two theories are enough for an error; the more refined one is nearer to the samples.
    let mut found = TheoryKind::PROCESSES.into_iter().rev().filter_map(|kind| Baseline::new(theory, kind, &betas));
    let baseline = found.next()?;
    let other = found.next();

    let moments: Vec<[f64; 2]> = losses.iter().map(|losses| mean_and_variance(&losses.values)).collect();
    let prior = theory.prior_loss();
    let measured: Vec<Node> = std::iter::once([prior.mean, prior.variance])
        .chain(moments.iter().copied())
        .zip(&baseline.nodes)
        .map(|([mean, variance], b)| Node { value: mean, slope: -variance }.minus(*b))
        .collect();
    let known = other.as_ref().map(|other| Difference::new(&baseline, other));

    let half_log = 0.5 * theory.points() as f64;
    let onset = prior.mean / prior.variance;
    let (mut integral, mut quadrature_error) = (0.0, 0.0);
    let mut errors = Errors::new(losses);
    let mut result = Vec::new();
    for k in 0..betas.len() {
        let interval = Interval::new(&betas, k, onset);
        let ends = [measured[k], measured[k + 1]];
        let part = interval.hermite(ends);
        integral += part;
        quadrature_error += match &known {
            Some(known) => {
                interval.scale(ends, known.ends(k)) * (interval.hermite(known.ends(k)) - known.exact(k)).abs()
            }
            // One theory alone: what the slopes change bounds the error from above.
            None => (part - interval.trapezoid(ends)).abs(),
        };
        let mcse = errors.through(k, &interval, moments[k][0]);
        result.push(LogEvidence {
            mean: baseline.log_z[k] - integral - half_log * (std::f64::consts::TAU * temperatures[k]).ln(),
            mcse,
            quadrature_error,
            baseline: baseline.kind,
        });
    }
    Some(result)
}

/// A function of β at one β: its value and its derivative.
#[derive(Debug, Clone, Copy)]
struct Node {
    value: f64,
    slope: f64,
}

impl Node {
    fn minus(self, other: Self) -> Self {
        Self { value: self.value - other.value, slope: self.slope - other.slope }
    }
}

/// From one β to the next, as β + b₀ at both ends.
struct Interval {
    from: f64,
    to: f64,
}

/// What the rule makes of one end: its factors before value and slope.
type Weights = [f64; 2];

impl Interval {
    /// The interval that ends at temperature `k`; the first starts at β = 0.
    fn new(betas: &[f64], k: usize, onset: f64) -> Self {
        Self { from: k.checked_sub(1).map_or(0.0, |hotter| betas[hotter]) + onset, to: betas[k] + onset }
    }

    /// Weights of both ends: the rule is linear in values and slopes.
    fn weights(&self) -> [Weights; 2] {
        let (a, b) = (self.from, self.to);
        let step = (b / a).ln();
        let (half, twelfth) = (step / 2.0, step * step / 12.0);
        [[a * (half + twelfth), a * a * twelfth], [b * (half - twelfth), -b * b * twelfth]]
    }

    fn hermite(&self, ends: [Node; 2]) -> f64 {
        self.weights().iter().zip(ends).map(|([v, s], node)| v * node.value + s * node.slope).sum()
    }

    fn trapezoid(&self, [a, b]: [Node; 2]) -> f64 {
        0.5 * (self.to / self.from).ln() * (self.from * a.value + self.to * b.value)
    }

    /// How much larger the sampled D is than the known difference at the ends of the interval, at
    /// least 1.
    fn scale(&self, sampled: [Node; 2], known: [Node; 2]) -> f64 {
        let size = |[a, b]: [Node; 2]| f64::max(self.from * a.value.abs(), self.to * b.value.abs());
        let ratio = size(sampled) / size(known);
        // Theories that agree at both ends say nothing.
        if ratio.is_finite() { ratio.max(1.0) } else { 1.0 }
    }
}

/// ⟨L⟩, its slope −Var L and ln Z of one theory along the ladder.
struct Baseline {
    kind: TheoryKind,
    /// At β = 0 and at every temperature.
    nodes: Vec<Node>,
    /// At every temperature.
    log_z: Vec<f64>,
}

impl Baseline {
    /// `None` where the theory has no solution at some temperature.
    ///
    /// Slopes are differences of ⟨L⟩, whose relative error here is below 1e-6 and is far below that
    /// of any sample.
    fn new(theory: &Theory, kind: TheoryKind, betas: &[f64]) -> Option<Self> {
        const STEP: f64 = 1e-3;
        let points = theory.points() as f64;
        let prior = theory.prior_loss();
        // Small against 1/(the largest eigenvalue of K/λ1), which ⟨L⟩₀ bounds.
        let small = STEP / prior.mean;
        let wanted: Vec<f64> = [small, 2.0 * small]
            .into_iter()
            .chain(betas.iter().flat_map(|b| [b * (1.0 - STEP), *b, b * (1.0 + STEP)]))
            .collect();
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
        let temperatures: Vec<f64> = order.iter().map(|&k| 1.0 / wanted[k]).collect();
        let mut loss = vec![0.0; wanted.len()];
        let mut evidence = vec![0.0; wanted.len()];
        let solved =
            ladder::solve(theory, &[kind], &temperatures, &Params::default(), &Stop::default(), |_| {}).ok()?;
        for (&k, at) in order.iter().zip(&solved.predictions) {
            let prediction = at.first()?;
            loss[k] = points * prediction.train_loss?.value;
            evidence[k] = prediction.process.as_ref()?.log_evidence;
        }
        let at_zero = Node { value: prior.mean, slope: (4.0 * loss[0] - loss[1] - 3.0 * prior.mean) / (2.0 * small) };
        let at = |(k, beta): (usize, &f64)| {
            let [below, here, above] = [0, 1, 2].map(|offset| loss[2 + 3 * k + offset]);
            Node { value: here, slope: (above - below) / (2.0 * STEP * beta) }
        };
        let nodes = std::iter::once(at_zero).chain(betas.iter().enumerate().map(at)).collect();
        let log_z = (betas.iter().enumerate())
            .map(|(k, beta)| evidence[3 + 3 * k] + 0.5 * points * (std::f64::consts::TAU / beta).ln())
            .collect();
        Some(Self { kind, nodes, log_z })
    }
}

/// The difference of two theories, whose integral is known.
struct Difference {
    nodes: Vec<Node>,
    /// ∫₀^β of the difference, at β = 0 and at every temperature.
    integral: Vec<f64>,
}

impl Difference {
    fn new(a: &Baseline, b: &Baseline) -> Self {
        let nodes = a.nodes.iter().zip(&b.nodes).map(|(a, b)| a.minus(*b)).collect();
        let integral = std::iter::once(0.0).chain(a.log_z.iter().zip(&b.log_z).map(|(a, b)| b - a)).collect();
        Self { nodes, integral }
    }

    fn ends(&self, interval: usize) -> [Node; 2] {
        [self.nodes[interval], self.nodes[interval + 1]]
    }

    fn exact(&self, interval: usize) -> f64 {
        self.integral[interval + 1] - self.integral[interval]
    }
}

/// The Monte Carlo error of the integral, built up temperature by temperature.
struct Errors<'a> {
    losses: &'a [Losses],
    /// Whether chains of all temperatures can be added up replica by replica.
    aligned: bool,
    /// What the draws of the temperatures so far, the last one as an inner node, have added up to.
    sum: Vec<f64>,
    /// The same as a variance, where chains were lost and cannot be added up.
    variance: f64,
    /// Weights of the previous temperature as the right end of its interval.
    previous: Option<(Weights, f64)>,
}

impl<'a> Errors<'a> {
    fn new(losses: &'a [Losses]) -> Self {
        let shape = |losses: &Losses| (losses.chains, losses.values.len());
        let aligned = losses.windows(2).all(|pair| shape(&pair[0]) == shape(&pair[1]));
        let sum = vec![0.0; losses.first().map_or(0, |losses| losses.values.len())];
        Self { losses, aligned, sum, variance: 0.0, previous: None }
    }

    /// The MCSE of the integral up to temperature `k`, reached through `interval`.
    fn through(&mut self, k: usize, interval: &Interval, mean: f64) -> f64 {
        let [left, right] = interval.weights();
        if let Some((as_right_end, its_mean)) = self.previous {
            // The temperature before is an inner node now.
            let both = [left[0] + as_right_end[0], left[1] + as_right_end[1]];
            let inner = combination(&self.losses[k - 1].values, both, its_mean);
            if self.aligned {
                self.sum.iter_mut().zip(&inner).for_each(|(sum, x)| *sum += x);
            } else {
                self.variance += mcse(&inner, self.losses[k - 1].chains).powi(2);
            }
        }
        self.previous = Some((right, mean));
        let Losses { values, chains } = &self.losses[k];
        let mut last = combination(values, right, mean);
        if self.aligned {
            last.iter_mut().zip(&self.sum).for_each(|(x, sum)| *x += sum);
            mcse(&last, *chains)
        } else {
            mcse(&last, *chains).hypot(self.variance.sqrt())
        }
    }
}

/// What every draw contributes to the integral: the value of D is that of L, its slope −(L − ⟨L⟩)².
fn combination(losses: &[f64], [value, slope]: Weights, mean: f64) -> Vec<f64> {
    losses.iter().map(|l| value * l - slope * (l - mean).powi(2)).collect()
}

fn mcse(values: &[f64], chains: usize) -> f64 {
    Chains::new(values, chains).map_or(f64::NAN, mcse_mean)
}

fn mean_and_variance(values: &[f64]) -> [f64; 2] {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    [mean, values.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / (n - 1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Activation;
    use crate::theory::tests::{network, problem};

    /// The rule is exact where g is a cubic of x; without slopes it is not.
    #[test]
    fn the_rule_is_exact_for_cubics() {
        let onset = 0.5;
        let interval = Interval::new(&[2.0, 7.0], 1, onset);
        // g = x³ with x = ln(β + b₀), so D = x³/(β + b₀) and D' = (3x² − x³)/(β + b₀)².
        let at = |beta: f64| {
            let (b, x) = (beta + onset, (beta + onset).ln());
            Node { value: x.powi(3) / b, slope: (3.0 * x.powi(2) - x.powi(3)) / (b * b) }
        };
        let exact = (7.5f64.ln().powi(4) - 2.5f64.ln().powi(4)) / 4.0;
        assert!((interval.hermite([at(2.0), at(7.0)]) - exact).abs() < 1e-13);
        assert!((interval.trapezoid([at(2.0), at(7.0)]) - exact).abs() > 1e-2);
    }

    /// A theory is integrated back to its own evidence: slopes, prior and the relation between ⟨L⟩
    /// and ln p(y) fit together.
    #[test]
    fn a_theory_gives_its_own_evidence_back() {
        let problem = problem();
        for activation in [Activation::Erf, Activation::Relu] {
            let theory = Theory::new(&problem, &network(activation)).unwrap();
            let onset = theory.prior_loss().mean / theory.prior_loss().variance;
            for kind in TheoryKind::PROCESSES {
                let betas: Vec<f64> = (0..60).map(|k| 1e-3 * 1.2f64.powi(k)).collect();
                let b = Baseline::new(&theory, kind, &betas).unwrap();
                let worst = |rule: &dyn Fn(&Interval, [Node; 2]) -> f64| {
                    let (mut integral, mut worst) = (0.0, 0.0);
                    for k in 0..betas.len() {
                        let interval = Interval::new(&betas, k, onset);
                        integral += rule(&interval, [b.nodes[k], b.nodes[k + 1]]);
                        worst = f64::max(worst, (integral + b.log_z[k]).abs() / b.log_z[k].abs());
                    }
                    worst
                };
                let error = worst(&|interval, ends| interval.hermite(ends));
                assert!(error < 1e-4, "{activation:?} {kind:?}: {error:e}");
                // Control: without the slopes the same nodes are not enough.
                let without = worst(&|interval, ends| interval.trapezoid(ends));
                assert!(without > 10.0 * error, "{activation:?} {kind:?}: {without:e} beside {error:e}");
            }
        }
    }
}
