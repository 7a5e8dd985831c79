//! Effective sample size: how many independent draws would estimate as well as these correlated
//! ones?

use rustfft::FftPlanner;
use rustfft::num_complex::Complex64;

use super::order::Order;
use super::{Chains, mean, moments};

/// The probabilities whose quantiles stand for the tails.
pub(super) const TAILS: [f64; 2] = [0.05, 0.95];

/// ESS of the rank-normalised draws: how well the middle of the distribution is explored (Vehtari
/// et al., section 4.1).
pub fn ess_bulk(chains: Chains) -> f64 {
    if chains.are_valid() {
        ess_of_rank_normalised(&Order::new(chains).rank_normalised(), chains.half())
    } else {
        f64::NAN
    }
}

/// The smaller ESS of the 5 % and the 95 % quantile (Vehtari et al., section 4.3).
pub fn ess_tail(chains: Chains) -> f64 {
    if chains.are_valid() { ess_of_tails(chains, &Order::new(chains)) } else { f64::NAN }
}

/// ESS of the mean of the draws themselves; what the MCSE of the mean rests on.
pub fn ess_mean(chains: Chains) -> f64 {
    if chains.are_valid() { ess(&chains.halves(), |x| x) } else { f64::NAN }
}

/// ESS of the indicator that a draw lies at or below the quantile (Vehtari et al., section 4.3);
/// NaN for a probability outside of \[0, 1\].
pub fn ess_quantile(chains: Chains, probability: f64) -> f64 {
    if chains.are_valid() { ess_of_quantile(chains, &Order::new(chains), probability) } else { f64::NAN }
}

pub(super) fn ess_of_rank_normalised(z: &[f64], half: usize) -> f64 {
    ess(&z.chunks_exact(half).collect::<Vec<_>>(), |z| z)
}

pub(super) fn ess_of_tails(chains: Chains, order: &Order) -> f64 {
    let [low, high] = TAILS.map(|probability| ess_of_quantile(chains, order, probability));
    low.min(high)
}

pub(super) fn ess_of_quantile(chains: Chains, order: &Order, probability: f64) -> f64 {
    let quantile = order.quantile(probability);
    if quantile.is_nan() {
        return f64::NAN;
    }
    ess(&chains.halves(), |x| if x <= quantile { 1.0 } else { 0.0 })
}

/// ESS of the mean of `value(x)` over m rows of n draws: mn/τ, τ = −1 + 2 Σ_t ρ_t (Vehtari et al.,
/// eqs. 10–13; Geyer, Stat. Sci. 7, 473, 1992).
///
/// ρ_t = 1 − (W − mean over rows of the autocovariance at lag t)/var⁺ counts what separates the
/// rows as correlation that never decays. The sum runs over pairs ρ_2k + ρ_2k+1 for as long as they
/// are positive (initial positive sequence), each no larger than the one before (initial monotone
/// sequence), and then takes the next even lag alone, which helps antithetic chains. At most mn
/// log₁₀(mn) is granted. All values equal: mn.
pub(super) fn ess(rows: &[&[f64]], value: impl Fn(f64) -> f64) -> f64 {
    let (m, n) = (rows.len(), rows.first().map_or(0, |row| row.len()));
    if n < 2 {
        return f64::NAN;
    }
    let total = (m * n) as f64;
    let Correlogram { autocovariance, means, range, magnitude } = Correlogram::new(rows, n, value);
    // Rounding noise about a constant is no signal; ArviZ takes this bound as absolute, which would
    // also silence a small unit.
    if !range.is_finite() {
        return f64::NAN;
    }
    if range <= 1e-15 * magnitude {
        return total;
    }
    let within = autocovariance[0] * n as f64 / (n as f64 - 1.0);
    let between = if m > 1 { moments(&means).1 } else { 0.0 };
    let marginal = autocovariance[0] + between;
    let rho = |lag: usize| 1.0 - (within - autocovariance[lag]) / marginal;

    let (mut lag, mut even, mut odd) = (0, 1.0, rho(1));
    let (mut tau, mut previous) = (-1.0, f64::INFINITY);
    while lag + 4 < n && even + odd > 0.0 {
        previous = f64::min(previous, even + odd);
        tau += 2.0 * previous;
        lag += 2;
        (even, odd) = (rho(lag), rho(lag + 1));
    }
    if even > 0.0 || even + odd >= 0.0 {
        tau += even;
    }
    // Squares beyond the range of f64 leave NaN; every comparison above then ends the sum.
    if (even + odd).is_nan() { f64::NAN } else { total / tau.max(1.0 / total.log10()) }
}

struct Correlogram {
    /// Mean over rows of (1/n) Σ_s (x_s − x̄)(x_{s+t} − x̄), for t = 0..n.
    autocovariance: Vec<f64>,
    means: Vec<f64>,
    /// Largest less smallest value.
    range: f64,
    /// Largest absolute value.
    magnitude: f64,
}

impl Correlogram {
    /// By fast Fourier transform, two rows at once as real and imaginary part: the real part of the
    /// autocorrelation of x + iy is that of x plus that of y. Power spectra are added up over rows,
    /// so that one transform leads back; it may be a forward one, for the spectrum is real and only
    /// the real part is wanted.
    fn new(rows: &[&[f64]], n: usize, value: impl Fn(f64) -> f64) -> Self {
        // Padding by zeros keeps the last lags from wrapping round to the first.
        let length = (2 * n).next_power_of_two();
        let transform = FftPlanner::new().plan_fft_forward(length);
        let zero = Complex64::new(0.0, 0.0);
        let mut scratch = vec![zero; transform.get_inplace_scratch_len()];
        let mut signal = vec![zero; length];
        let mut power = vec![zero; length];
        let mut means = Vec::with_capacity(rows.len());
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut row_values = vec![0.0; n];
        for pair in rows.chunks(2) {
            signal.fill(zero);
            for (part, row) in pair.iter().enumerate() {
                for (out, &x) in row_values.iter_mut().zip(*row) {
                    *out = value(x);
                    low = low.min(*out);
                    high = high.max(*out);
                }
                let mean = mean(&row_values);
                for (point, x) in signal.iter_mut().zip(&row_values) {
                    if part == 0 { point.re = x - mean } else { point.im = x - mean }
                }
                means.push(mean);
            }
            transform.process_with_scratch(&mut signal, &mut scratch);
            for (sum, point) in power.iter_mut().zip(&signal) {
                sum.re += point.norm_sqr();
            }
        }
        transform.process_with_scratch(&mut power, &mut scratch);
        let scale = 1.0 / (length * n * rows.len()) as f64;
        let autocovariance = power[..n].iter().map(|point| point.re * scale).collect();
        Self { autocovariance, means, range: high - low, magnitude: high.abs().max(low.abs()) }
    }
}
